//! Remarks of functions and aggregations, in Prometheus's words.

use super::Evaluator;
use crate::promql::function::Remark;

impl Evaluator<'_> {
    /// Says what was remarkable about the series `name`, or about what has no name.
    pub(super) fn remark(self, remarks: Vec<Remark>, name: &str, position: Option<usize>) {
        for remark in remarks {
            let place = self.place(position);
            match remark {
                Remark::Mixed => self.warn(format!(
                    "PromQL warning: encountered a mix of histograms and floats for metric name {name:?}{place}"
                )),
                Remark::IgnoredInRange => self.inform(format!(
                    "PromQL info: ignored histograms in a range containing both floats and histograms for metric name \
                     {name:?}{place}"
                )),
                Remark::NotCounter => {
                    self.warn(format!("PromQL warning: this native histogram metric is not a counter: {name:?}{place}"))
                }
                Remark::NotGauge => {
                    self.warn(format!("PromQL warning: this native histogram metric is not a gauge: {name:?}{place}"))
                }
                Remark::MixedSchemas => self.warn(format!(
                    "PromQL warning: vector contains a mix of histograms with exponential and custom buckets schemas \
                     for metric name {name:?}{place}"
                )),
                Remark::Reconciled(during) => self.inform(format!(
                    "PromQL info: mismatched custom buckets were reconciled during {}{place}",
                    during.word()
                )),
                Remark::Collision(during) => self.warn(format!(
                    "PromQL warning: conflicting counter resets during histogram {}{place}",
                    during.word()
                )),
            }
        }
    }

    /// Says that an aggregation made for numbers has left out histograms.
    pub(super) fn inform_of_ignored(self, aggregation: &str, position: Option<usize>) {
        let place = self.place(position);
        self.inform(format!("PromQL info: ignored histogram in {aggregation} aggregation{place}"));
    }

    // ` for metric name "x"`, where there is a name.
    pub(super) fn of_metric(self, labels: &model::Labels) -> String {
        labels.metric_name().map_or_else(String::new, |name| format!(" for metric name {name:?}"))
    }
}
