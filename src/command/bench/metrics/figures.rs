//! The figures of a run, for people and for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::side::{Rest, Sent};
use crate::table::{Align, Cell, Screen, Table, Tone};

/// What was measured.
#[derive(Debug)]
pub struct Figures {
    /// Series.
    pub series: u64,
    /// Samples of each.
    pub steps: u64,
    /// Sextant, and Prometheus if it was there.
    pub of: Vec<Of>,
}

/// What was measured of one of them.
#[derive(Debug)]
pub struct Of {
    /// Which.
    pub name: &'static str,
    /// What went in.
    pub sent: Sent,
    /// What became of it.
    pub rest: Rest,
    /// What was asked.
    pub questions: Vec<&'static str>,
    /// Series in each answer.
    pub found: Vec<usize>,
    /// What each question took of a server that had just started.
    pub cold: Vec<Vec<Duration>>,
    /// What it took again and again.
    pub warm: Vec<Vec<Duration>>,
    /// The most memory while it was asked, in the last of its lives.
    pub peak_kib: u64,
    /// The server with many series.
    pub active: Option<Active>,
}

/// A server that has one sample of each of many series.
#[derive(Debug)]
pub struct Active {
    /// How many.
    pub series: u64,
    /// Its memory when it has answered.
    pub resident_kib: u64,
    /// The most that it has held.
    pub peak_kib: u64,
    /// How long it took to write them.
    pub took: Duration,
}

/// The time below which so many of a thousand stay.
fn quantile(times: &[Duration], per_mille: usize) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    let place = (times.len() * per_mille).div_ceil(1_000).max(1) - 1;
    times.get(place).copied().unwrap_or_default()
}

fn median(times: &[Duration]) -> Duration {
    quantile(times, 500)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

impl Of {
    fn bytes_per_sample(&self) -> f64 {
        self.rest.bytes as f64 / self.sent.samples as f64
    }

    fn per_million(&self, time: Duration) -> f64 {
        time.as_secs_f64() / self.sent.samples as f64 * 1e6
    }
}

/// A table of the queries, and one of everything else.
pub fn print_tables(figures: &Figures) -> std::io::Result<()> {
    let mut screen = Screen::stdout();
    let samples = figures.series * figures.steps;
    screen.line(&format!("{} series, {samples} samples; milliseconds over HTTP\n", figures.series))?;
    let beside = figures.of.get(1);
    let mut columns = vec![
        ("QUERY", Align::Left),
        ("SERIES", Align::Right),
        ("WARM P50", Align::Right),
        ("P99", Align::Right),
        ("COLD P50", Align::Right),
        ("P99", Align::Right),
    ];
    if beside.is_some() {
        let names = ["PROMETHEUS WARM P50", "P99", "COLD P50", "P99", "WARM TIMES", "COLD TIMES"];
        columns.extend(names.map(|name| (name, Align::Right)));
    }
    let mut table = Table::new(&columns);
    let Some(ours) = figures.of.first() else { return Ok(()) };
    for (place, name) in ours.questions.iter().enumerate() {
        let times = |of: &Of| {
            let (warm, cold) = (&of.warm[place], &of.cold[place]);
            [quantile(warm, 500), quantile(warm, 990), quantile(cold, 500), quantile(cold, 990)]
        };
        let shown = |of: &Of| times(of).map(|time| Cell::from(format!("{:.2}", millis(time))));
        let mut cells = vec![Cell::from(*name), ours.found[place].to_string().into()];
        cells.extend(shown(ours));
        if let Some(theirs) = beside {
            cells.extend(shown(theirs));
            for at in [0, 2] {
                let ratio = times(theirs)[at].as_secs_f64() / times(ours)[at].as_secs_f64();
                cells.push(Cell::new(format!("{ratio:.2}"), if ratio < 1.0 { Tone::Warning } else { Tone::Plain }));
            }
        }
        table.push(&mut screen, cells)?;
    }
    table.settle(&mut screen)?;
    screen.line("")?;
    print_rest(figures, &mut screen)?;
    screen.line(
        "\nCOLD: each query once after each start, in turn the first; the files may still be in the kernel's cache",
    )?;
    if beside.is_some() {
        screen.line("TIMES: as long as Prometheus takes, in units of what Sextant takes")?;
    }
    if figures.of.iter().any(|of| !of.rest.is_idle) {
        screen.line("+: the server was not idle when the time was over")?;
    }
    screen.flush()
}

fn print_rest(figures: &Figures, screen: &mut Screen) -> std::io::Result<()> {
    let mut table = Table::new(&[
        ("SERVER", Align::Left),
        ("SAMPLES/S", Align::Right),
        ("CPU-S/M ACK", Align::Right),
        ("IDLE", Align::Right),
        ("B/SAMPLE AT REST", Align::Right),
        ("PEAK MIB ASKED", Align::Right),
        ("ACTIVE SERIES", Align::Right),
        ("MIB", Align::Right),
        ("PEAK MIB", Align::Right),
        ("S", Align::Right),
    ]);
    for of in &figures.of {
        let plus = if of.rest.is_idle { "" } else { "+" };
        let active = |value: &dyn Fn(&Active) -> String| Cell::from(of.active.as_ref().map_or("-".to_owned(), value));
        let cells = vec![
            of.name.into(),
            format!("{:.0}", of.sent.samples as f64 / of.sent.took.as_secs_f64()).into(),
            format!("{:.2}", of.per_million(of.sent.processor)).into(),
            format!("{:.2}{plus}", of.per_million(of.rest.processor)).into(),
            format!("{:.3}", of.bytes_per_sample()).into(),
            (of.peak_kib / 1024).to_string().into(),
            active(&|active| active.series.to_string()),
            active(&|active| (active.resident_kib / 1024).to_string()),
            active(&|active| (active.peak_kib / 1024).to_string()),
            active(&|active| format!("{:.1}", active.took.as_secs_f64())),
        ];
        table.push(screen, cells)?;
    }
    table.settle(screen)
}

/// One object.
pub fn to_json(figures: &Figures) -> Value {
    let of: serde_json::Map<String, Value> = figures.of.iter().map(|of| (of.name.to_owned(), of_side(of))).collect();
    json!({"series": figures.series, "samples": figures.series * figures.steps, "servers": of})
}

fn of_side(of: &Of) -> Value {
    let times = |times: &[Duration]| json!({"p50_ms": millis(median(times)), "p99_ms": millis(quantile(times, 990))});
    let queries = of.questions.iter().enumerate().map(|(place, name)| {
        json!({
            "query": name,
            "series": of.found[place],
            "warm": times(&of.warm[place]),
            "cold": times(&of.cold[place]),
        })
    });
    let active = of.active.as_ref().map(|active| {
        json!({
            "series": active.series,
            "rss_kib": active.resident_kib,
            "peak_rss_kib": active.peak_kib,
            "seconds": active.took.as_secs_f64(),
        })
    });
    json!({
        "samples": of.sent.samples,
        "seconds": of.sent.took.as_secs_f64(),
        "acknowledged_cpu_s_per_million": of.per_million(of.sent.processor),
        "idle_cpu_s_per_million": of.per_million(of.rest.processor),
        "is_idle": of.rest.is_idle,
        "bytes_per_sample_at_rest": of.bytes_per_sample(),
        "peak_rss_kib": of.peak_kib,
        "queries": queries.collect::<Vec<Value>>(),
        "active": active,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_were_measured() {
        let times: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        for (per_mille, expected) in [(500, 50), (990, 99), (1_000, 100), (1, 1)] {
            assert_eq!(quantile(&times, per_mille), Duration::from_millis(expected));
        }
        assert_eq!(quantile(&[Duration::from_millis(7)], 990), Duration::from_millis(7));
        assert_eq!(quantile(&[], 500), Duration::ZERO);
    }
}
