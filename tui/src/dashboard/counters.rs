//! Series of the server's own counters. The store does not hold them, so the terminal keeps what `/api/v1/status` said
//! each time and makes rates of it; such a series begins when the terminal began to ask.

use std::collections::{BTreeMap, VecDeque};

use model::wire::status::Status;

use super::limits::COUNTER_SAMPLES_MAX;
use super::variables::is_name;

/// How a counter is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As it is.
    Value,
    /// Growth a second. A counter that fell was started anew.
    Rate,
}

impl Reading {
    /// The words there are.
    pub fn words() -> [&'static str; 2] {
        ["value", "rate"]
    }

    /// The reading with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "value" => Some(Self::Value),
            "rate" => Some(Self::Rate),
            _ => None,
        }
    }
}

/// A question about counters: those of one name, with some labels, summed up by others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterQuery {
    /// As in `/metrics`, or one of the status's own: `wal_bytes`, `wal_segments`, `ingest_seq`, `table_head_rows`,
    /// `table_head_bytes`, `table_parts`, `table_part_rows`, `table_part_bytes`.
    pub name: String,
    /// These must be there.
    pub labels: Vec<(String, String)>,
    /// How it is read.
    pub reading: Reading,
    /// One series for each of these labels' values; one for all if empty.
    pub by: Vec<String>,
}

impl CounterQuery {
    /// Reads `name` or `name{label="value",...}`.
    pub fn parse(text: &str, reading: Reading, by: Vec<String>) -> Result<Self, String> {
        let (name, labels) = split(text.trim()).ok_or_else(|| format!("`{text}` is no counter"))?;
        if let Some(odd) = by.iter().find(|label| !is_name(label)) {
            return Err(format!("`{odd}` is no name of a label"));
        }
        Ok(Self { name: name.to_owned(), labels, reading, by })
    }
}

/// One series of counters.
#[derive(Clone, Debug, PartialEq)]
pub struct CounterSeries {
    /// The labels it was summed up by.
    pub labels: BTreeMap<String, String>,
    /// Unix seconds and value, in time order.
    pub points: Vec<(f64, f64)>,
}

type Counter = (String, Vec<(String, String)>);

/// What the status said, moment by moment.
#[derive(Clone, Debug, Default)]
pub struct History {
    samples: VecDeque<(f64, BTreeMap<Counter, f64>)>,
}

impl History {
    /// Keeps a status, asked for at `seconds` of Unix time. Time that went back starts the history anew.
    pub fn push(&mut self, seconds: f64, status: &Status) {
        if self.samples.back().is_some_and(|(newest, _)| *newest >= seconds) {
            self.samples.clear();
        }
        if self.samples.len() >= COUNTER_SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back((seconds, flat(status)));
    }

    /// Since when there is one, in Unix seconds.
    pub fn begins(&self) -> Option<f64> {
        self.samples.front().map(|(seconds, _)| *seconds)
    }

    /// When the newest one is from, in Unix seconds.
    pub fn ends(&self) -> Option<f64> {
        self.samples.back().map(|(seconds, _)| *seconds)
    }

    /// The series that `query` asks for, between two Unix times.
    pub fn series(&self, query: &CounterQuery, start: f64, end: f64) -> Vec<CounterSeries> {
        let mut series: BTreeMap<Vec<String>, Vec<(f64, f64)>> = BTreeMap::new();
        let mut before: Option<(f64, BTreeMap<Vec<String>, f64>)> = None;
        for (seconds, counters) in self.samples.iter().filter(|(seconds, _)| *seconds <= end) {
            let sums = sums(counters, query);
            for (key, value) in &sums {
                let value = match (query.reading, &before) {
                    (Reading::Value, _) => Some(*value),
                    (Reading::Rate, Some((earlier, old))) => {
                        // What was not there yet had counted nothing; what fell began again at nothing.
                        let old = old.get(key).copied().unwrap_or(0.0);
                        let grown = if *value >= old { value - old } else { *value };
                        Some(grown / (seconds - earlier))
                    }
                    (Reading::Rate, None) => None,
                };
                if let Some(value) = value.filter(|_| *seconds >= start) {
                    series.entry(key.clone()).or_default().push((*seconds, value));
                }
            }
            before = Some((*seconds, sums));
        }
        let labels = |key: Vec<String>| query.by.iter().cloned().zip(key).collect();
        series.into_iter().map(|(key, points)| CounterSeries { labels: labels(key), points }).collect()
    }
}

fn sums(counters: &BTreeMap<Counter, f64>, query: &CounterQuery) -> BTreeMap<Vec<String>, f64> {
    let mut sums = BTreeMap::new();
    for ((name, labels), value) in counters {
        if *name != query.name || !query.labels.iter().all(|wanted| labels.contains(wanted)) {
            continue;
        }
        let of = |name: &String| labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.clone());
        let key: Vec<String> = query.by.iter().map(|name| of(name).unwrap_or_default()).collect();
        *sums.entry(key).or_insert(0.0) += value;
    }
    sums
}

fn flat(status: &Status) -> BTreeMap<Counter, f64> {
    let mut flat = BTreeMap::new();
    for (text, value) in &status.counters {
        if let Some((name, labels)) = split(text) {
            flat.insert((name.to_owned(), labels), *value as f64);
        }
    }
    let mut own = |name: &str, table: Option<&str>, value: u64| {
        let labels = table.map(|table| ("table".to_owned(), table.to_owned())).into_iter().collect();
        flat.insert((name.to_owned(), labels), value as f64);
    };
    own("wal_bytes", None, status.wal.bytes);
    own("wal_segments", None, status.wal.segments);
    own("ingest_seq", None, status.ingest_seq);
    for (table, size) in &status.tables {
        let table = Some(table.as_str());
        own("table_head_rows", table, size.head_rows);
        own("table_head_bytes", table, size.head_bytes);
        own("table_parts", table, size.parts);
        own("table_part_rows", table, size.part_rows);
        own("table_part_bytes", table, size.part_bytes);
    }
    flat
}

/// The name and the labels of `name{label="value",...}`; `None` if the text is nothing of the kind.
pub fn split(text: &str) -> Option<(&str, Vec<(String, String)>)> {
    let (name, inner) = match text.split_once('{') {
        None => (text, ""),
        Some((name, rest)) => (name.trim(), rest.trim_end().strip_suffix('}')?.trim()),
    };
    if !is_name(name) {
        return None;
    }
    let mut labels = Vec::new();
    let mut rest = inner;
    while !rest.is_empty() {
        let (label, after) = rest.split_once('=')?;
        let label = label.trim();
        let (value, after) = string_at(after.trim_start())?;
        if !is_name(label) {
            return None;
        }
        labels.push((label.to_owned(), value));
        rest = match after.trim_start() {
            "" => "",
            more => more.strip_prefix(',')?.trim_start(),
        };
    }
    Some((name, labels))
}

// The string in double quotes at the beginning of `text`, and what follows it.
fn string_at(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let (mut out, mut is_escaped) = (String::new(), false);
    for (at, c) in inner.char_indices() {
        match c {
            _ if is_escaped => {
                out.push(if c == 'n' { '\n' } else { c });
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            '"' => return Some((out, &inner[at + 1..])),
            _ => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(logs: u64, spans: u64) -> Status {
        let mut status = Status::default();
        let name = |signal: &str| format!("accepted_total{{door=\"grpc\",signal=\"{signal}\"}}");
        status.counters.insert(name("logs"), logs);
        status.counters.insert(name("spans"), spans);
        status.wal.bytes = logs + spans;
        status
    }

    fn query(text: &str, reading: Reading, by: &[&str]) -> CounterQuery {
        CounterQuery::parse(text, reading, by.iter().map(|by| (*by).to_owned()).collect()).expect("a counter")
    }

    #[test]
    fn names_and_labels_are_told_apart() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (text, expected) in [
            ("x", Some(("x", vec![]))),
            ("x{}", Some(("x", vec![]))),
            ("x{a=\"1\", b=\"2\"}", Some(("x", vec![pair("a", "1"), pair("b", "2")]))),
            ("x{a=\"q\\\"}=,\\\\\"}", Some(("x", vec![pair("a", "q\"}=,\\")]))),
            ("x{a=1}", None),
            ("x{a=\"1\"", None),
            ("x{a=\"1\" b=\"2\"}", None),
            ("1x", None),
            ("", None),
            ("x{a=\"1\\", None),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }

    #[test]
    fn rates_are_of_sums_and_survive_a_restart() {
        let mut history = History::default();
        for (seconds, logs, spans) in [(10.0, 100, 0), (20.0, 200, 50), (30.0, 10, 60)] {
            history.push(seconds, &status(logs, spans));
        }
        let points =
            |query| history.series(&query, 0.0, 100.0).into_iter().map(|series| series.points).collect::<Vec<_>>();
        let rate = query("accepted_total", Reading::Rate, &["signal"]);
        assert_eq!(points(rate), [vec![(20.0, 10.0), (30.0, 1.0)], vec![(20.0, 5.0), (30.0, 1.0)]]);
        let value = query("accepted_total{signal=\"logs\"}", Reading::Value, &[]);
        assert_eq!(points(value), [vec![(10.0, 100.0), (20.0, 200.0), (30.0, 10.0)]]);
        assert_eq!(points(query("wal_bytes", Reading::Value, &[])), [vec![(10.0, 100.0), (20.0, 250.0), (30.0, 70.0)]]);
        assert_eq!(points(query("none", Reading::Value, &[])), Vec::<Vec<(f64, f64)>>::new());
    }

    #[test]
    fn the_history_is_bounded_and_time_going_back_ends_it() {
        let mut history = History::default();
        for at in 0..COUNTER_SAMPLES_MAX + 10 {
            history.push(at as f64, &status(0, 0));
        }
        assert_eq!(history.begins(), Some(10.0));
        history.push(5.0, &status(0, 0));
        assert_eq!(history.begins(), Some(5.0));
    }
}
