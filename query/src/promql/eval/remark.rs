//! Remarks of functions and aggregations, in Prometheus's words.

use super::Evaluator;
use crate::promql::function::Remark;

impl Evaluator<'_> {
    /// Says what was remarkable about the series `name`, or about what has no name.
    pub(super) fn remark(self, remarks: Vec<Remark>, name: &str, position: Option<usize>) {
        for remark in remarks {
            match remark {
                Remark::Mixed => self.warn(position, format!(
                    "PromQL warning: encountered a mix of histograms and floats for metric name {name:?}"
                )),
                Remark::IgnoredInRange => self.inform(position, format!(
                    "PromQL info: ignored histograms in a range containing both floats and histograms for metric name \
                     {name:?}"
                )),
                Remark::NotCounter => {
                    self.warn(position, format!("PromQL warning: this native histogram metric is not a counter: {name:?}"))
                }
                Remark::NotGauge => {
                    self.warn(position, format!("PromQL warning: this native histogram metric is not a gauge: {name:?}"))
                }
                Remark::MixedSchemas => self.warn(position, format!(
                    "PromQL warning: vector contains a mix of histograms with exponential and custom buckets schemas \
                     for metric name {name:?}"
                )),
                Remark::Reconciled(during) => self.inform(position, format!(
                    "PromQL info: mismatched custom buckets were reconciled during {}",
                    during.word()
                )),
                Remark::Collision(during) => self.warn(position, format!(
                    "PromQL warning: conflicting counter resets during histogram {}",
                    during.word()
                )),
            }
        }
    }

    /// Says that an aggregation made for numbers has left out histograms.
    pub(super) fn inform_of_ignored(self, aggregation: &str, position: Option<usize>) {
        self.inform(position, format!("PromQL info: ignored histogram in {aggregation} aggregation"));
    }

    // ` for metric name "x"`, where there is a name.
    pub(super) fn of_metric(self, labels: &model::Labels) -> String {
        labels.metric_name().map_or_else(String::new, |name| format!(" for metric name {name:?}"))
    }
}
