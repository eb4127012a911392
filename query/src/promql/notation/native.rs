//! Native histograms in notation: `{{schema:1 sum:-0.3 count:3.1 z_bucket:7.1 z_bucket_w:0.05 buckets:[5.1 10 7] offset:-3}}`.

use std::sync::Arc;

use super::{Cell, Written, number};
use crate::promql::histogram::{Buckets, CUSTOM_SCHEMA, Hint, Histogram, SCHEMA_MAX, SCHEMA_MIN};

/// A histogram, with its braces. What it does not say is 0; `offset` is the index of the first of the `buckets`, `n_` stands before
/// what lies below zero, `z_` before the zero bucket.
pub fn histogram(text: &str) -> Result<Written, String> {
    let inside = text.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
    let inside = inside.ok_or_else(|| format!("expected a histogram in double braces, not {text:?}"))?;
    let mut read = Read::default();
    let mut rest = inside.trim();
    while !rest.is_empty() {
        let (key, value) = rest.split_once(':').ok_or_else(|| format!("expected \"key:value\", not {rest:?}"))?;
        let value = value.trim_start();
        let end = match value.starts_with('[') {
            true => value.find(']').map_or(value.len(), |end| end + 1),
            false => value.find(char::is_whitespace).unwrap_or(value.len()),
        };
        let (value, tail) = value.split_at(end);
        read.field(key.trim(), value)?;
        rest = tail.trim_start();
    }
    read.written()
}

#[derive(Default)]
struct Read {
    histogram: Histogram,
    positive: (i32, Vec<f64>),
    negative: (i32, Vec<f64>),
    says_hint: bool,
}

impl Read {
    fn field(&mut self, key: &str, value: &str) -> Result<(), String> {
        let whole = |value: &str| value.parse::<i32>().map_err(|_| format!("{value:?} is no whole number"));
        let histogram = &mut self.histogram;
        match key {
            "schema" => histogram.schema = whole(value)?,
            "sum" => histogram.sum = number(value)?,
            "count" => histogram.count = number(value)?,
            "z_bucket" => histogram.zero_count = number(value)?,
            "z_bucket_w" => histogram.zero_threshold = number(value)?,
            "buckets" => self.positive.1 = numbers(value)?,
            "offset" => self.positive.0 = whole(value)?,
            "n_buckets" => self.negative.1 = numbers(value)?,
            "n_offset" => self.negative.0 = whole(value)?,
            "custom_values" => histogram.bounds = numbers(value)?.into(),
            "counter_reset_hint" => {
                self.says_hint = true;
                histogram.hint = match value {
                    "unknown" => Hint::Unknown,
                    "reset" => Hint::Reset,
                    "not_reset" => Hint::NotReset,
                    "gauge" => Hint::Gauge,
                    _ => return Err(format!("{value:?} is no counter_reset_hint")),
                };
            }
            _ => return Err(format!("a histogram has no {key:?}")),
        }
        Ok(())
    }

    fn written(self) -> Result<Written, String> {
        let schema = self.histogram.schema;
        if schema != CUSTOM_SCHEMA && !(SCHEMA_MIN..=SCHEMA_MAX).contains(&schema) {
            return Err(format!("there is no schema {schema}"));
        }
        let buckets = |(offset, counts): (i32, Vec<f64>)| {
            Buckets::new(counts.into_iter().zip(0i32..).map(|(count, index)| (offset.saturating_add(index), count)))
        };
        let (positive, negative) = (buckets(self.positive), buckets(self.negative));
        let histogram = Arc::new(Histogram { positive, negative, ..self.histogram });
        Ok(Written { histogram, says_hint: self.says_hint })
    }
}

fn numbers(text: &str) -> Result<Vec<f64>, String> {
    let inside = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let inside = inside.ok_or_else(|| format!("expected numbers in brackets, not {text:?}"))?;
    inside.split_whitespace().map(number).collect()
}

/// An item of a sequence, without how often it comes.
pub(super) fn sequence(item: &str, times: Option<usize>, cells: &mut Vec<Cell>) -> Result<(), String> {
    let end = item.find("}}").map_or(item.len(), |end| end + 2);
    let (first, increment) = item.split_at(end);
    let first = histogram(first)?;
    // One more than the number says: the first, and then so many steps.
    let count = times.unwrap_or(0) + 1;
    if increment.is_empty() {
        cells.extend(std::iter::repeat_n(Cell::Histogram(first), count));
        return Ok(());
    }
    if times.is_none() {
        return Err(format!("{item:?} does not say how often: \"x\" and a number are missing"));
    }
    let negative = match increment.as_bytes()[0] {
        b'+' => false,
        b'-' => true,
        _ => return Err(format!("unexpected {increment:?} behind a histogram")),
    };
    let increment = histogram(&increment[1..])?.histogram;
    let says_hint = first.says_hint;
    let mut sum = first.histogram;
    for _ in 0..count {
        cells.push(Cell::Histogram(Written { histogram: Arc::clone(&sum), says_hint }));
        let next = if negative { sum.minus(&increment) } else { sum.plus(&increment) };
        let next = next.map_err(|_| "exponential and custom buckets do not add up".to_owned())?;
        sum = Arc::new(next.histogram);
    }
    Ok(())
}
