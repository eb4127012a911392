//! `sextant status`: what a running server is doing.

use clap::Args;
use model::wire::status::{LimitedMetric, Status};

use super::client;
use crate::cli::ServerArgs;
use crate::report::{Exit, Outcome};
use crate::table::{Align, Cell, Screen, Table, Tone};

/// Which server.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print every counter too.
    #[arg(long)]
    counters: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Prints a server's status.
pub async fn run(args: StatusArgs) -> Outcome {
    let status = client(&args.server)?.status().await?;
    let mut screen = Screen::stdout();
    if args.server.json {
        screen.json(&serde_json::to_string(&status).map_err(anyhow::Error::from)?)?;
    } else {
        draw(&status, &mut screen)?;
        if args.counters {
            draw_counters(&status, &mut screen)?;
        }
    }
    screen.flush()?;
    Ok(Exit::Done)
}

fn draw(status: &Status, screen: &mut Screen) -> std::io::Result<()> {
    let doors: Vec<String> = status.doors.iter().map(|(name, address)| format!("{name} {address}")).collect();
    for (name, value) in [
        ("version", status.version.clone()),
        ("mode", status.mode.clone()),
        ("started", status.started.clone()),
        ("doors", doors.join(", ")),
        ("ingest_seq", status.ingest_seq.to_string()),
        ("durability", status.durability.clone()),
    ] {
        screen.line(&format!("{name:<12} {}", tui::sanitize::line(&value)))?;
    }
    let memory = &status.memory;
    let [resident, limit] = [memory.resident_bytes, memory.limit_bytes].map(bytes);
    screen.line(&format!("{:<12} {resident} of {limit}, {} in flight", "memory", bytes(memory.in_flight_bytes)))?;
    screen.line("")?;
    draw_storage(status, screen)?;
    draw_receipts(status, screen)?;
    draw_series(status, screen)
}

// What became of what was sent.
fn draw_receipts(status: &Status, screen: &mut Screen) -> std::io::Result<()> {
    if status.receipts.is_empty() {
        return Ok(());
    }
    screen.line("")?;
    let mut table = Table::new(&[
        ("DOOR", Align::Left),
        ("SERVICE", Align::Left),
        ("SIGNAL", Align::Left),
        ("REQUESTS", Align::Right),
        ("ACCEPTED", Align::Right),
        ("DUPLICATES", Align::Right),
        ("FOLDED", Align::Right),
        ("REJECTED", Align::Right),
        ("SHED", Align::Right),
        ("WHY", Align::Left),
    ]);
    for of in &status.receipts {
        let sum = |by: &std::collections::BTreeMap<String, u64>| by.values().sum::<u64>().to_string();
        let why = of.rejected.iter().chain(&of.shed).chain(&of.refused).filter(|(_, count)| **count > 0);
        let why: Vec<String> = why.map(|(reason, count)| format!("{reason} {count}")).collect();
        table.push(
            screen,
            vec![
                of.door.as_str().into(),
                of.service.as_str().into(),
                of.signal.as_str().into(),
                of.requests.to_string().into(),
                of.accepted.to_string().into(),
                of.duplicates.to_string().into(),
                of.folded.to_string().into(),
                sum(&of.rejected).into(),
                sum(&of.shed).into(),
                why.join(", ").as_str().into(),
            ],
        )?;
    }
    table.settle(screen)
}

// How many series there are, and of which metrics too many.
fn draw_series(status: &Status, screen: &mut Screen) -> std::io::Result<()> {
    let of = &status.series;
    if of.known_max == 0 {
        return Ok(());
    }
    screen.line("")?;
    let (known, metrics) = (of.known, counted(of.metrics, "metric"));
    let limits = format!("at most {}, {} of one", of.known_max, of.per_metric_max);
    screen.line(&format!("{:<12} {known} of {metrics}; {limits}", "series"))?;
    for (heading, rows) in [("SERIES", largest(status)), ("LIMITED POINTS", limited(status))] {
        if rows.is_empty() {
            continue;
        }
        screen.line("")?;
        let mut table = Table::new(&[(heading, Align::Right), ("METRIC", Align::Left), ("WHY", Align::Left)]);
        for (count, metric, why) in rows {
            table.push(screen, vec![count.to_string().into(), metric.into(), why.as_str().into()])?;
        }
        table.settle(screen)?;
    }
    Ok(())
}

fn largest(status: &Status) -> Vec<(u64, &str, String)> {
    status.series.largest.iter().map(|of| (of.series, of.metric.as_str(), String::new())).collect()
}

fn limited(status: &Status) -> Vec<(u64, &str, String)> {
    let of_metric = |of: &'_ LimitedMetric| {
        let folded = (of.folded > 0).then(|| format!("folded {}", of.folded));
        let rejected = of.rejected.iter().map(|(reason, count)| format!("{reason} {count}"));
        folded.into_iter().chain(rejected).collect::<Vec<_>>().join(", ")
    };
    let all = |of: &LimitedMetric| of.folded + of.rejected.values().sum::<u64>();
    status.series.limited.iter().map(|of| (all(of), of.metric.as_str(), of_metric(of))).collect()
}

/// The write-ahead log and the tables.
pub fn draw_storage(status: &Status, screen: &mut Screen) -> std::io::Result<()> {
    let mut table = Table::new(&[
        ("TABLE", Align::Left),
        ("HEAD ROWS", Align::Right),
        ("HEAD BYTES", Align::Right),
        ("PARTS", Align::Right),
        ("PART ROWS", Align::Right),
        ("PART BYTES", Align::Right),
        ("EXPIRED ROWS", Align::Right),
    ]);
    for (name, of) in &status.tables {
        table.push(
            screen,
            vec![
                name.into(),
                of.head_rows.to_string().into(),
                bytes(of.head_bytes).into(),
                of.parts.to_string().into(),
                of.part_rows.to_string().into(),
                bytes(of.part_bytes).into(),
                of.expired_rows.to_string().into(),
            ],
        )?;
    }
    table.settle(screen)?;
    screen.line("")?;
    screen.line(&format!("wal          {}, {}", counted(status.wal.segments, "segment"), bytes(status.wal.bytes)))?;
    if !status.disk.state.is_empty() {
        let [free, least] = [status.disk.free_bytes, status.disk.free_bytes_min].map(bytes);
        let said = match status.disk.state.as_str() {
            "full" => "full: rows are refused",
            "nearly_full" => "nearly full: signals with a bound of bytes give way",
            other => other,
        };
        screen.line(&format!(
            "disk         {}, {free} free, rows are taken down to {least}",
            tui::sanitize::line(said)
        ))?;
    }
    if status.quarantined.parts > 0 {
        let rows = counted(status.quarantined.rows, "row");
        let parts = counted(status.quarantined.parts, "part");
        screen.line(&format!("damaged      {parts} with {rows}: out of use, answers say what they lack"))?;
    }
    Ok(())
}

fn draw_counters(status: &Status, screen: &mut Screen) -> std::io::Result<()> {
    screen.line("")?;
    let mut table = Table::new(&[("VALUE", Align::Right), ("COUNTER", Align::Left)]);
    for (name, value) in &status.counters {
        let tone = if *value == 0 { Tone::Faint } else { Tone::Plain };
        table.push(screen, vec![Cell::new(value.to_string(), tone), Cell::new(name, tone)])?;
    }
    table.settle(screen)
}

/// A number with what it counts: `1 span`, `2 spans`.
pub fn counted(number: u64, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// A number of bytes as people read it.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut size = count as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_bytes_for_people() {
        for (count, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (64 << 20, "64.0 MiB")] {
            assert_eq!(bytes(count), text);
        }
    }
}
