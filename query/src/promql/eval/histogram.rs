//! Functions of classic histograms: series with a label `le`, which meet in one result per histogram.

use std::collections::HashMap;

use model::Labels;

use super::{Evaluator, Result, SeriesStream, in_order};
use crate::promql::function::buckets::{self, Bucket};
use crate::promql::plan::{HistogramFunction, HistogramShare};
use crate::promql::value::{Column, Series};

const BUCKET_LABEL: &str = "le";

impl<'a> Evaluator<'a> {
    pub(super) fn histogram(self, node: &'a HistogramShare) -> Result<SeriesStream<'a>> {
        let histograms = self.histograms(node)?;
        let (first, second) = match &node.function {
            HistogramFunction::Quantile(quantile) => {
                let quantile = self.scalar(quantile)?;
                self.check_quantile(&quantile, node.first_position);
                (quantile, None)
            }
            HistogramFunction::Fraction(lower, upper) => (self.scalar(lower)?, Some(self.scalar(upper)?)),
        };
        let stream = in_order(histograms).into_iter().map(move |(labels, columns)| {
            self.charge(self.steps.count())?;
            let mut column = Column::holes(self.steps.count());
            let mut at_step = Vec::with_capacity(columns.len());
            for index in 0..self.steps.count() {
                let present =
                    |(bound, column): &(f64, Column)| column.get(index).map(|count| Bucket { bound: *bound, count });
                self.charge(0)?;
                at_step.clear();
                at_step.extend(columns.iter().filter_map(present));
                let (false, Some(first)) = (at_step.is_empty(), first.get(index)) else { continue };
                let value = match &second {
                    None => {
                        let estimate = buckets::quantile(first, &mut at_step);
                        if estimate.forced {
                            self.inform_of_force(node);
                        }
                        estimate.value
                    }
                    Some(upper) => buckets::fraction(first, upper.get(index).unwrap_or(f64::NAN), &mut at_step),
                };
                column.set(index, Some(value));
            }
            Ok(Series { labels: labels.without_name(), column })
        });
        // Histograms of two names may be left with one label set.
        self.unique(Box::new(stream), node.vector.is_unique_without_name())
    }

    // The buckets of each histogram with their upper bounds.
    fn histograms(self, node: &'a HistogramShare) -> Result<HashMap<Labels, Vec<(f64, Column)>>> {
        let mut histograms: HashMap<Labels, Vec<(f64, Column)>> = HashMap::new();
        for series in self.vector(&node.vector)? {
            let Series { labels, column } = series?;
            let text = labels.get(BUCKET_LABEL).unwrap_or("");
            match bound(text) {
                Some(bound) => {
                    let histogram = labels.filter(|name| name != BUCKET_LABEL);
                    histograms.entry(histogram).or_default().push((bound, column));
                }
                None if column.is_empty() => {}
                None => {
                    let of_metric =
                        labels.metric_name().map_or_else(String::new, |name| format!(" for metric name {name:?}"));
                    let place = self.place(node.position);
                    self.warn(format!(
                        "PromQL warning: bucket label \"le\" is missing or has a malformed value of {text:?}{of_metric}{place}"
                    ));
                }
            }
        }
        Ok(histograms)
    }

    fn inform_of_force(self, node: &HistogramShare) {
        let place = self.place(node.position);
        self.inform(format!(
            "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){place}"
        ));
    }
}

// Go reads more than Rust does: hexadecimal floats and underscores, which nobody writes as a bound.
fn bound(text: &str) -> Option<f64> {
    text.parse().ok().filter(|bound: &f64| !bound.is_nan())
}
