//! The figures of a run, for people and for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use ::store::{Table as StoreTable, TableBytes};
use model::Signal;
use serde_json::{Value, json};

use crate::command::inspect::draw_columns;
use crate::table::{Align, Cell, Screen, Table, Tone};

/// Columns that take less of a table are shown together.
const SHARE_MIN: f64 = 0.002;

/// What was measured of one signal.
#[derive(Debug)]
pub struct Figures {
    /// Of which.
    pub signal: Signal,
    /// What was asked, and whether it was a needle.
    pub questions: Vec<(&'static str, bool)>,
    /// After the first load, and after the second.
    pub stages: Vec<Stage>,
    /// What the columns take after the second.
    pub columns: BTreeMap<StoreTable, TableBytes>,
}

/// A server that has taken a load. Times are of all its life.
#[derive(Debug)]
pub struct Stage {
    /// Whether it had nothing left to do.
    pub is_idle: bool,
    /// Rows that are stored.
    pub rows: u64,
    /// Parts that they are in.
    pub parts: u64,
    /// Bytes of the parts.
    pub bytes: u64,
    /// Processor time of the thread that writes parts.
    pub flush: Duration,
    /// Processor time of the thread that merges them.
    pub merge: Duration,
    /// Time within both to make indexes.
    pub index: Duration,
    /// Rows that merges have written.
    pub merged_rows: u64,
    /// The most memory that the server held.
    pub peak_kib: u64,
    /// What each question took each time.
    pub answers: Vec<Vec<Duration>>,
}

impl Stage {
    fn per_million(&self, time: Duration) -> f64 {
        time.as_secs_f64() / self.rows as f64 * 1e6
    }
}

/// A start on a large log.
#[derive(Debug)]
pub struct Replay {
    /// What was in it.
    pub signal: Signal,
    /// Its bytes.
    pub wal: u64,
    /// Its rows.
    pub rows: u64,
    /// From the start of the process until it was ready.
    pub ready: Duration,
    /// The replay's share of it, in seconds.
    pub seconds: f64,
    /// The most memory that the server held until then.
    pub peak_kib: u64,
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A table for each signal, and one of its columns.
pub fn print_tables(measured: &[Figures], replay: Option<&Replay>) -> std::io::Result<()> {
    let mut screen = Screen::stdout();
    for of in measured {
        print_stages(of, &mut screen)?;
        screen.line("")?;
        draw_columns(&of.columns, SHARE_MIN, &mut screen)?;
        screen.line("")?;
    }
    if let Some(of) = replay {
        let mib = of.wal as f64 / f64::from(1 << 20);
        screen.line(&format!(
            "replay of {mib:.0} MiB, {} {}: {:.2} s, {:.2} s a GiB; ready {:.2} s after the start, {} MiB at most",
            of.rows,
            of.signal,
            of.seconds,
            of.seconds / mib * 1024.0,
            of.ready.as_secs_f64(),
            of.peak_kib / 1024
        ))?;
    }
    screen.line("CPU-S/M: processor seconds of the thread for a million rows. Needles and scans: the median, in milliseconds, over HTTP")?;
    if measured.iter().flat_map(|of| &of.stages).any(|stage| !stage.is_idle) {
        screen.line("+: the server was not idle when the time was over")?;
    }
    screen.flush()
}

fn print_stages(of: &Figures, screen: &mut Screen) -> std::io::Result<()> {
    let [first, second] = &of.stages[..] else { return Ok(()) };
    let mut table = Table::new(&[
        (of.signal.as_str(), Align::Left),
        ("FIRST", Align::Right),
        ("THEN", Align::Right),
        ("TIMES", Align::Right),
    ]);
    let mut push = |name: &str, values: [f64; 2], digits: usize| {
        let ratio = if values[0] > 0.0 { format!("{:.2}", values[1] / values[0]) } else { String::new() };
        let [first, second] = values.map(|value| format!("{value:.digits$}"));
        table.push(screen, vec![name.into(), first.into(), second.into(), Cell::new(ratio, Tone::Faint)])
    };
    let both = |value: &dyn Fn(&Stage) -> f64| [value(first), value(second)];
    let plus = |stage: &Stage| if stage.is_idle { "" } else { "+" };
    push(&format!("rows{}", plus(second)), both(&|stage| stage.rows as f64), 0)?;
    push("parts", both(&|stage| stage.parts as f64), 0)?;
    push("bytes a row", both(&|stage| stage.bytes as f64 / stage.rows as f64), 2)?;
    push("flush, CPU-S/M", both(&|stage| stage.per_million(stage.flush)), 2)?;
    push("merge, CPU-S/M", both(&|stage| stage.per_million(stage.merge)), 2)?;
    push("index within both, S/M", both(&|stage| stage.per_million(stage.index)), 2)?;
    push("written by merges, rows a row", both(&|stage| stage.merged_rows as f64 / stage.rows as f64), 2)?;
    push("peak MiB", both(&|stage| (stage.peak_kib / 1024) as f64), 0)?;
    for (place, (name, is_needle)) in of.questions.iter().enumerate() {
        let kind = if *is_needle { "needle" } else { "scan" };
        push(&format!("{kind}: {name}, ms"), both(&|stage| millis(median(&stage.answers[place]))), 2)?;
    }
    table.settle(screen)
}

/// One object.
pub fn to_json(measured: &[Figures], replay: Option<&Replay>) -> Value {
    let signals: serde_json::Map<String, Value> =
        measured.iter().map(|of| (of.signal.as_str().to_owned(), of_signal(of))).collect();
    let replay = replay.map(|of| {
        json!({
            "signal": of.signal.as_str(),
            "wal_bytes": of.wal,
            "rows": of.rows,
            "seconds": of.seconds,
            "ready_seconds": of.ready.as_secs_f64(),
            "peak_rss_kib": of.peak_kib,
        })
    });
    json!({"signals": signals, "replay": replay})
}

fn of_signal(of: &Figures) -> Value {
    let stages: Vec<Value> = of.stages.iter().map(|stage| of_stage(of, stage)).collect();
    let columns: serde_json::Map<String, Value> = of
        .columns
        .iter()
        .map(|(table, sizes)| {
            let sizes = json!({"rows": sizes.rows, "columns": sizes.columns, "files": sizes.files});
            (table.as_str().to_owned(), sizes)
        })
        .collect();
    json!({"stages": stages, "tables": columns})
}

fn of_stage(of: &Figures, stage: &Stage) -> Value {
    let answer = |((name, is_needle), times): (&(&'static str, bool), &Vec<Duration>)| {
        let most = times.iter().max().copied().unwrap_or_default();
        json!({"question": name, "is_needle": is_needle, "p50_ms": millis(median(times)), "max_ms": millis(most)})
    };
    json!({
        "is_idle": stage.is_idle,
        "rows": stage.rows,
        "parts": stage.parts,
        "bytes": stage.bytes,
        "flush_cpu_s_per_million": stage.per_million(stage.flush),
        "merge_cpu_s_per_million": stage.per_million(stage.merge),
        "index_s_per_million": stage.per_million(stage.index),
        "merged_rows": stage.merged_rows,
        "peak_rss_kib": stage.peak_kib,
        "answers": of.questions.iter().zip(&stage.answers).map(answer).collect::<Vec<Value>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3, 1, 2].map(Duration::from_secs)), Duration::from_secs(2));
        assert_eq!(median(&[]), Duration::ZERO);
    }
}
