//! Functions of histograms: of classic ones, series with a label `le`, which meet in one result per histogram, and of native ones.

use std::collections::HashMap;
use std::sync::Arc;

use model::Labels;

use super::{Evaluator, Result, SeriesStream, in_order};
use crate::promql::function::buckets::{self, Bucket};
use crate::promql::histogram::{self, Estimate, Histogram};
use crate::promql::plan::{HistogramFact, HistogramFunction, HistogramShare};
use crate::promql::value::{Column, Series};

const BUCKET_LABEL: &str = "le";

/// What there is with one label set.
#[derive(Default)]
struct Kinds {
    classic: Vec<(f64, Column)>,
    native: Option<Column>,
}

/// What is asked of each histogram.
enum Question {
    Quantile(Column),
    Fraction(Column, Column),
}

/// A number that a native histogram tells.
pub(super) fn fact(fact: HistogramFact, histogram: &Histogram) -> f64 {
    match fact {
        HistogramFact::Count => histogram.count,
        HistogramFact::Sum => histogram.sum,
        HistogramFact::Avg => histogram::mean(histogram),
        HistogramFact::Stdvar => histogram::variance(histogram),
        HistogramFact::Stddev => histogram::variance(histogram).sqrt(),
    }
}

impl<'a> Evaluator<'a> {
    pub(super) fn histogram(self, node: &'a HistogramShare) -> Result<SeriesStream<'a>> {
        let histograms = self.histograms(node)?;
        let quantile = |quantile| -> Result<Question> {
            let quantile = self.scalar(quantile)?;
            self.check_quantile(&quantile, node.first_position);
            Ok(Question::Quantile(quantile))
        };
        // With the label that says which question it was.
        let questions: Vec<(Option<(&str, String)>, Question)> = match &node.function {
            HistogramFunction::Quantile(share) => vec![(None, quantile(share)?)],
            HistogramFunction::Fraction(lower, upper) => {
                vec![(None, Question::Fraction(self.scalar(lower)?, self.scalar(upper)?))]
            }
            HistogramFunction::Quantiles(label, shares) => {
                let mut questions = Vec::with_capacity(shares.len());
                for share in shares {
                    let Question::Quantile(column) = quantile(share)? else { continue };
                    let value = column.get(0).unwrap_or(f64::NAN);
                    questions.push((Some((label.as_str(), metric_number(value))), Question::Quantile(column)));
                }
                questions
            }
        };
        let stream = in_order(histograms).into_iter().flat_map(move |(labels, kinds)| {
            let answers: Vec<Result<Series>> = questions
                .iter()
                .map(|(label, question)| {
                    let column = self.answers(node, &labels, &kinds, question)?;
                    let (labels, name_goes) = self.nameless(labels.clone());
                    let labels = match label {
                        Some((name, value)) => labels.with(name, value),
                        None => labels,
                    };
                    Ok(Series { labels, column, name_goes })
                })
                .collect();
            answers
        });
        // Histograms of two names may be left with one label set.
        self.unique(Box::new(stream), node.vector.is_unique_without_name())
    }

    fn answers(self, node: &HistogramShare, labels: &Labels, kinds: &Kinds, question: &Question) -> Result<Column> {
        self.charge(self.steps.count())?;
        let mut column = Column::holes(self.steps.count());
        let mut at_step = Vec::with_capacity(kinds.classic.len());
        for index in 0..self.steps.count() {
            let present =
                |(bound, column): &(f64, Column)| column.get(index).map(|count| Bucket { bound: *bound, count });
            self.charge(0)?;
            at_step.clear();
            at_step.extend(kinds.classic.iter().filter_map(present));
            let native = kinds.native.as_ref().and_then(|native| native.histogram(index));
            let value = match native {
                Some(_) if !at_step.is_empty() => {
                    let of_metric = self.of_metric(labels);
                    let text =
                        format!("PromQL warning: vector contains a mix of classic and native histograms{of_metric}");
                    self.warn(node.position, text);
                    None
                }
                Some(native) => self.native_answer(node, labels, native, question, index),
                None if at_step.is_empty() => None,
                None => self.classic_answer(node, labels, &mut at_step, question, index),
            };
            column.set(index, value);
        }
        Ok(column)
    }

    fn classic_answer(
        self,
        node: &HistogramShare,
        labels: &Labels,
        buckets: &mut Vec<Bucket>,
        question: &Question,
        index: usize,
    ) -> Option<f64> {
        match question {
            Question::Quantile(share) => {
                let estimate = buckets::quantile(share.get(index)?, buckets);
                if estimate.forced {
                    self.inform_of_force(node, labels);
                }
                Some(estimate.value)
            }
            Question::Fraction(lower, upper) => {
                Some(buckets::fraction(lower.get(index)?, upper.get(index).unwrap_or(f64::NAN), buckets))
            }
        }
    }

    fn native_answer(
        self,
        node: &HistogramShare,
        labels: &Labels,
        native: &Arc<Histogram>,
        question: &Question,
        index: usize,
    ) -> Option<f64> {
        let inform = |function: &str, what: &str| {
            let of_metric = self.of_metric(labels);
            let text = format!("PromQL info: input to {function} has NaN observations, {what}{of_metric}");
            self.inform(node.position, text);
        };
        match question {
            Question::Quantile(share) => Some(match histogram::quantile(share.get(index)?, native) {
                Estimate::Sure(value) => value,
                Estimate::Skewed(value) => {
                    inform("histogram_quantile", "result is skewed higher");
                    value
                }
                Estimate::Unknown => {
                    inform("histogram_quantile", "result is NaN");
                    f64::NAN
                }
            }),
            Question::Fraction(lower, upper) => {
                if native.sum.is_nan() && native.count > 0.0 && !native.is_custom() {
                    inform("histogram_fraction", "which are excluded from all fractions");
                }
                Some(histogram::fraction(lower.get(index)?, upper.get(index).unwrap_or(f64::NAN), native))
            }
        }
    }

    // The buckets of each histogram with their upper bounds, and native histograms as they are.
    fn histograms(self, node: &'a HistogramShare) -> Result<HashMap<Labels, Kinds>> {
        let mut histograms: HashMap<Labels, Kinds> = HashMap::new();
        for series in self.vector(&node.vector)? {
            let Series { labels, column, .. } = series?;
            if column.has_histograms() {
                histograms.entry(labels.clone()).or_default().native = Some(column.clone());
            }
            if column.present().next().is_none() {
                continue;
            }
            let text = labels.get(BUCKET_LABEL).unwrap_or("");
            match bound(text) {
                Some(bound) => {
                    let histogram = labels.filter(|name| name != BUCKET_LABEL);
                    histograms.entry(histogram).or_default().classic.push((bound, column));
                }
                None => {
                    let of_metric = self.of_metric(&labels);
                    let text = format!(
                        "PromQL warning: bucket label \"le\" is missing or has a malformed value of {text:?}{of_metric}"
                    );
                    self.warn(node.position, text);
                }
            }
        }
        Ok(histograms)
    }

    fn inform_of_force(self, node: &HistogramShare, labels: &Labels) {
        let of_metric = self.of_metric(labels);
        let text = format!(
            "PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){of_metric}"
        );
        self.inform(node.position, text);
    }
}

// Go reads more than Rust does: hexadecimal floats and underscores, which nobody writes as a bound.
fn bound(text: &str) -> Option<f64> {
    text.parse().ok().filter(|bound: &f64| !bound.is_nan())
}

// As OpenMetrics writes numbers in labels: always with a fraction or an exponent.
fn metric_number(value: f64) -> String {
    let text = histogram::short_number(value);
    if value.is_finite() && !text.contains(['.', 'e']) { format!("{text}.0") } else { text }
}
