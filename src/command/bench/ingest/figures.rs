//! The figures of a run, for people and for programs.

use std::time::Duration;

use model::Signal;
use serde_json::{Value, json};

use super::load::Sent;
use crate::table::{Align, Cell, Screen, Table, Tone};

/// What was measured of one signal.
#[derive(Debug)]
pub struct Figures {
    /// Of which.
    pub signal: Signal,
    /// What went in.
    pub sent: Sent,
    /// The server's processor time when the last answer had come.
    pub acknowledged: Duration,
    /// The same when everything was in parts and nothing was left to do.
    pub idle: Duration,
    /// Whether that point was reached.
    pub is_idle: bool,
    /// Seconds that prost takes to decode an item.
    pub yardstick: f64,
    /// Bytes of all parts.
    pub bytes_at_rest: u64,
    /// How many parts there are.
    pub parts: u64,
    /// The most memory that the server held.
    pub peak_kib: u64,
}

impl Figures {
    fn items(&self) -> f64 {
        self.sent.items as f64
    }

    // Processor seconds for a million items.
    fn per_million(&self, time: Duration) -> f64 {
        time.as_secs_f64() / self.items() * 1e6
    }

    fn ratio(&self, time: Duration) -> f64 {
        time.as_secs_f64() / self.items() / self.yardstick
    }
}

/// A line for each signal.
pub fn print_table(measured: &[Figures]) -> std::io::Result<()> {
    let mut screen = Screen::stdout();
    let mut table = Table::new(&[
        ("SIGNAL", Align::Left),
        ("ITEMS", Align::Right),
        ("B/ITEM SENT", Align::Right),
        ("ITEMS/S", Align::Right),
        ("CPU-S/M ACK", Align::Right),
        ("IDLE", Align::Right),
        ("PROST", Align::Right),
        ("RATIO ACK", Align::Right),
        ("IDLE", Align::Right),
        ("B/ITEM AT REST", Align::Right),
        ("PARTS", Align::Right),
        ("PEAK MIB", Align::Right),
        ("SHED", Align::Right),
    ]);
    for of in measured {
        let rate = of.items() / of.sent.took.as_secs_f64();
        let tone = if of.is_idle { Tone::Plain } else { Tone::Warning };
        let idle = if of.is_idle { "" } else { "+" };
        table.push(
            &mut screen,
            vec![
                of.signal.as_str().into(),
                of.sent.items.to_string().into(),
                format!("{:.0}", of.sent.bytes as f64 / of.items()).into(),
                format!("{rate:.0}").into(),
                format!("{:.2}", of.per_million(of.acknowledged)).into(),
                Cell::new(format!("{:.2}{idle}", of.per_million(of.idle)), tone),
                format!("{:.2}", of.yardstick * 1e6).into(),
                format!("{:.2}", of.ratio(of.acknowledged)).into(),
                Cell::new(format!("{:.2}{idle}", of.ratio(of.idle)), tone),
                format!("{:.2}", of.bytes_at_rest as f64 / of.items()).into(),
                of.parts.to_string().into(),
                (of.peak_kib / 1024).to_string().into(),
                of.sent.shed.to_string().into(),
            ],
        )?;
    }
    table.settle(&mut screen)?;
    screen.line("\nCPU-S/M: the server's processor seconds for a million items, at the last acknowledgement and when it is idle")?;
    screen.line("RATIO: the same in units of what prost takes to decode the same bytes, measured in this run")?;
    if measured.iter().any(|of| !of.is_idle) {
        screen.line("+: the server was not idle when the time was over")?;
    }
    screen.flush()
}

/// One object.
pub fn to_json(measured: &[Figures]) -> Value {
    let of_signal = |of: &Figures| {
        let value = json!({
            "items": of.sent.items,
            "requests": of.sent.requests,
            "shed": of.sent.shed,
            "bytes_sent": of.sent.bytes,
            "seconds": of.sent.took.as_secs_f64(),
            "items_per_s": of.items() / of.sent.took.as_secs_f64(),
            "acknowledged_cpu_s_per_million": of.per_million(of.acknowledged),
            "idle_cpu_s_per_million": of.per_million(of.idle),
            "is_idle": of.is_idle,
            "prost_cpu_s_per_million": of.yardstick * 1e6,
            "acknowledged_ratio": of.ratio(of.acknowledged),
            "idle_ratio": of.ratio(of.idle),
            "bytes_per_item_at_rest": of.bytes_at_rest as f64 / of.items(),
            "parts": of.parts,
            "peak_rss_kib": of.peak_kib,
        });
        (of.signal.as_str().to_owned(), value)
    };
    Value::Object(measured.iter().map(of_signal).collect())
}
