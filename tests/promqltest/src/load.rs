//! The series that a script loads.

use std::collections::BTreeMap;

use model::Labels;
use query::promql::notation::{self, Cell, Written};
use query::promql::{Buckets, CUSTOM_SCHEMA, Histogram};

use crate::time;

/// A series with the samples that it is given.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its labels, its name among them.
    pub labels: Labels,
    /// Milliseconds and what is there; never nothing.
    pub samples: Vec<(i64, Cell)>,
}

/// Series, their values `step` apart.
pub(crate) fn series(step: &str, lines: &[&str]) -> Result<Vec<Series>, String> {
    let step = time::millis(step)?;
    let series = lines.iter().map(|line| {
        let (labels, sequence) = notation::metric(line).map_err(|error| error.to_string())?;
        let cells = notation::cells(sequence).map_err(|error| error.to_string())?;
        let timed = (0..).map(|index| step * index).zip(cells);
        Ok(Series { labels, samples: timed.filter(|(_, cell)| !matches!(cell, Cell::Nothing)).collect() })
    });
    series.collect()
}

/// A classic histogram at one time: bounds with cumulative counts, count, sum.
#[derive(Default)]
struct Classic {
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

/// Classic histograms, and from each a native one with custom buckets under the name without a suffix.
pub(crate) fn with_native(step: &str, lines: &[&str]) -> Result<Vec<Series>, String> {
    let mut all = series(step, lines)?;
    let mut found: BTreeMap<Labels, BTreeMap<i64, Classic>> = BTreeMap::new();
    for Series { labels, samples } in &all {
        let name = labels.metric_name().unwrap_or("");
        let suffixed = ["_bucket", "_count", "_sum"].into_iter().find_map(|end| Some((name.strip_suffix(end)?, end)));
        let Some((base, suffix)) = suffixed else { continue };
        let bound = labels.get("le").and_then(|bound| bound.parse::<f64>().ok());
        let times = found.entry(labels.with("le", "").with("__name__", base)).or_default();
        for (time, cell) in samples {
            let Cell::Number(value) = cell else { continue };
            let classic = times.entry(*time).or_default();
            match (suffix, bound) {
                ("_bucket", Some(bound)) => classic.buckets.push((bound, *value)),
                ("_count", _) => classic.count = Some(*value),
                ("_sum", _) => classic.sum = *value,
                _ => {}
            }
        }
    }
    all.extend(found.into_iter().map(|(labels, times)| {
        let samples = times.into_iter().map(|(time, classic)| {
            (time, Cell::Histogram(Written { histogram: native(classic).into(), says_hint: false }))
        });
        Series { labels, samples: samples.collect() }
    }));
    Ok(all)
}

fn native(mut classic: Classic) -> Histogram {
    classic.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let counts: Vec<f64> = classic.buckets.iter().map(|(_, count)| *count).collect();
    let count = classic.count.or(counts.last().copied()).unwrap_or(0.0);
    let finite: Vec<f64> = classic.buckets.iter().map(|(bound, _)| *bound).filter(|bound| bound.is_finite()).collect();
    let cumulative = counts.iter().copied().take(finite.len()).chain([count]);
    let mut before = 0.0;
    let buckets = cumulative.zip(0..).map(|(cumulative, index)| {
        let own = cumulative - before;
        before = cumulative;
        (index, own)
    });
    let positive = Buckets::new(buckets.collect::<Vec<_>>());
    Histogram {
        schema: CUSTOM_SCHEMA,
        count,
        sum: classic.sum,
        positive,
        bounds: finite.into(),
        ..Histogram::default()
    }
}
