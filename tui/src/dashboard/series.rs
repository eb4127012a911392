//! From answers to lines and rows: what PromQL's values and the counters' series become before they are drawn.

use std::collections::BTreeMap;

use model::TimeRange;
use model::wire::prom::{Labels, QueryData, Sample};

use super::counters::CounterSeries;
use super::variables::legend;
use crate::sanitize::Safe;
use crate::widget::chart::Line;

/// Series of one panel; more cannot be told apart, and each is drawn anew in every frame.
pub const SERIES_MAX: usize = 60;

/// Points of a line over a range of time.
const POINTS: i64 = 240;

/// One series: its labels and its points.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Raw: names and values of labels.
    pub labels: BTreeMap<String, String>,
    /// Unix seconds and value, in time order.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// The newest value.
    pub fn last(&self) -> Option<f64> {
        self.points.last().map(|(_, value)| *value)
    }

    /// What the legend calls it: by the template, else by its labels.
    pub fn name(&self, template: &str) -> Safe {
        if !template.is_empty() {
            return Safe::line(&legend(short(template), |name| self.labels.get(name).map(|value| short(value))));
        }
        let name = self.labels.get("__name__").map_or("", String::as_str);
        let labels = self.labels.iter().filter(|(label, _)| *label != "__name__");
        let labels: Vec<String> = labels.map(|(label, value)| format!("{}={}", short(label), short(value))).collect();
        match (name, labels.is_empty()) {
            ("", true) => Safe::from_static("value"),
            (name, true) => Safe::line(name),
            ("", false) => Safe::line(&labels.join(" ")),
            (name, false) => Safe::line(&format!("{name} {}", labels.join(" "))),
        }
    }

    /// The line of a chart.
    pub fn line(&self, template: &str) -> Line {
        Line { name: self.name(template), points: self.points.clone(), hidden: false }
    }
}

// More than this of one text stands in no legend, and names are made anew in every frame.
fn short(text: &str) -> &str {
    const CHARS_MAX: usize = 300;
    text.char_indices().nth(CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}

/// What a query answered, as series; and how many of them are more than can be shown.
pub fn of_answer(data: &QueryData) -> (Vec<Series>, usize) {
    let series: Vec<Series> = match data {
        QueryData::Scalar(sample) => vec![series(&Labels::new(), std::slice::from_ref(sample))],
        // A text has no place among numbers.
        QueryData::String(_) => Vec::new(),
        QueryData::Vector(vector) => {
            let some = vector.iter().take(SERIES_MAX);
            some.map(|one| series(&one.metric, one.value.as_slice())).collect()
        }
        QueryData::Matrix(matrix) => {
            matrix.iter().take(SERIES_MAX).map(|one| series(&one.metric, &one.values)).collect()
        }
    };
    let all = match data {
        QueryData::Vector(vector) => vector.len(),
        QueryData::Matrix(matrix) => matrix.len(),
        QueryData::Scalar(_) | QueryData::String(_) => series.len(),
    };
    let more = all - series.len();
    (series, more)
}

/// The counters' series, as others.
pub fn of_counters(counters: Vec<CounterSeries>) -> Vec<Series> {
    let series = counters.into_iter().take(SERIES_MAX);
    series.map(|counter| Series { labels: counter.labels, points: counter.points }).collect()
}

fn series(labels: &Labels, samples: &[Sample]) -> Series {
    Series { labels: labels.clone(), points: samples.iter().map(|(at, text)| (*at, number(text))).collect() }
}

/// A number as Prometheus writes it; what is none is a gap.
pub fn number(text: &str) -> f64 {
    match text {
        "+Inf" | "Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        text => text.parse().unwrap_or(f64::NAN),
    }
}

/// The step that gives a range some 240 points: a round number of seconds, so that the points of two refreshes are the same.
pub fn step_ns(range: TimeRange) -> i64 {
    const SECOND: i64 = 1_000_000_000;
    const ROUND: [i64; 22] = [
        1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1_200, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400,
        604_800, 2_592_000,
    ];
    let length = range.end.as_nanos().saturating_sub(range.start.as_nanos()).max(1);
    let least = length / POINTS / SECOND;
    let round = ROUND.into_iter().find(|step| *step >= least);
    round.unwrap_or(least).max(1).saturating_mul(SECOND)
}

/// The range with both ends on whole steps, so that points stand where they stood before.
pub fn aligned(range: TimeRange, step_ns: i64) -> TimeRange {
    let floor = |nanos: i64| nanos.saturating_sub(nanos.rem_euclid(step_ns.max(1)));
    let place = |nanos: i64| range.end.saturating_add(floor(nanos).saturating_sub(range.end.as_nanos()));
    TimeRange { start: place(range.start.as_nanos()), end: place(range.end.as_nanos()) }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;
    use model::wire::prom::{MatrixSeries, VectorSeries};

    use super::*;

    #[test]
    fn series_have_names() {
        let labels = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Series { labels: pairs.collect(), points: Vec::new() }
        };
        for (pairs, template, expected) in [
            (&[][..], "", "value"),
            (&[("__name__", "up")], "", "up"),
            (&[("__name__", "up"), ("job", "a")], "", "up job=a"),
            (&[("job", "a"), ("x", "\x1b[2J")], "", "job=a x=\\x1b[2J"),
            (&[("job", "a")], "{{job}}!", "a!"),
        ] {
            assert_eq!(labels(pairs).name(template).as_str(), expected);
        }
    }

    #[test]
    fn answers_become_series() {
        let sample = |text: &str| (1.0, text.to_owned());
        let matrix = QueryData::Matrix(vec![MatrixSeries {
            metric: Labels::new(),
            values: vec![sample("1"), sample("NaN"), sample("+Inf"), sample("1e+03"), sample("x")],
            histograms: Vec::new(),
        }]);
        let (series, more) = of_answer(&matrix);
        let values: Vec<f64> = series[0].points.iter().map(|(_, value)| *value).collect();
        assert_eq!((values[0], values[2], values[3], more), (1.0, f64::INFINITY, 1000.0, 0));
        assert!(values[1].is_nan() && values[4].is_nan());
        let one = VectorSeries { value: Some(sample("1")), ..VectorSeries::default() };
        let (series, more) = of_answer(&QueryData::Vector(vec![one; SERIES_MAX + 7]));
        assert_eq!((series.len(), more), (SERIES_MAX, 7));
        assert_eq!(of_answer(&QueryData::String(sample("x"))), (Vec::new(), 0));
        assert_eq!(of_answer(&QueryData::Scalar(sample("2"))).0[0].last(), Some(2.0));
    }

    #[test]
    fn steps_are_round_and_points_stay() {
        let at = |seconds: i64| Timestamp::from_nanos(seconds * 1_000_000_000);
        for (seconds, expected) in
            [(1, 1), (900, 5), (3_600, 15), (86_400, 600), (2_592_000, 14_400), (400_000_000, 2_592_000)]
        {
            let range = TimeRange { start: at(1_000_000), end: at(1_000_000 + seconds) };
            assert_eq!(step_ns(range), expected * 1_000_000_000, "{seconds}");
        }
        let range = TimeRange { start: at(1_003), end: at(1_999) };
        assert_eq!(aligned(range, 10_000_000_000), TimeRange { start: at(1_000), end: at(1_990) });
        let _ = (step_ns(TimeRange::ALL), aligned(TimeRange::ALL, 1_000));
    }
}
