//! `sextant correlate ID`: everything that carries one id, spans, logs and exemplars merged into one time line.

use clap::Args;
use model::time::{Timestamp, format_duration};
use model::wire::correlate::Correlation;
use model::wire::points::Exemplar;

use super::client;
use super::rows::{log_message, moment, plain, short_duration, short_time, tone_of_status};
use super::status::counted;
use crate::cli::ServerArgs;
use crate::report::{self, Exit, Outcome};
use crate::table::{Align, Cell, Screen, Table, Tone};

/// Which id.
#[derive(Debug, Args)]
pub struct CorrelateArgs {
    /// A correlation id, or a trace id.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    server: ServerArgs,
}

/// Prints what carries the id.
pub async fn run(args: CorrelateArgs) -> Outcome {
    let found = client(&args.server)?.correlate(&args.id).await?;
    let empty = found.spans.is_empty() && found.logs.is_empty() && found.exemplars.is_empty();
    let mut screen = Screen::stdout();
    if args.server.json {
        screen.json(&serde_json::to_string(&found).map_err(anyhow::Error::from)?)?;
    } else if empty {
        report::note("note", &format!("nothing carries the id {}", args.id));
    } else {
        draw(&found, &mut screen)?;
    }
    screen.flush()?;
    if found.partial {
        let reason = found.reason.as_deref().unwrap_or("the server gave no reason");
        report::note("warning", &format!("the answer is not complete: {reason}"));
    }
    Ok(if empty { Exit::No } else { Exit::Done })
}

struct Entry {
    time: Timestamp,
    cells: [Cell; 4],
}

fn draw(found: &Correlation, screen: &mut Screen) -> std::io::Result<()> {
    let entries = time_line(found);
    let first = entries.first().map(|entry| entry.time).unwrap_or_default();
    let heading = format!(
        "{} id {}  {}  {}  {}  {}  services: {}",
        found.kind,
        found.id,
        found.start.as_deref().map(short_time).unwrap_or_default(),
        counted(found.spans.len() as u64, "span"),
        counted(found.logs.len() as u64, "log"),
        counted(found.exemplars.len() as u64, "exemplar"),
        found.services.join(", "),
    );
    screen.line(&screen.paint(Tone::Strong, &tui::sanitize::line(&heading)))?;
    let mut table = Table::new(&[
        ("AFTER", Align::Right),
        ("KIND", Align::Left),
        ("SERVICE", Align::Left),
        ("STATE", Align::Left),
        ("DETAIL", Align::Left),
    ]);
    for Entry { time, cells } in entries {
        let after = format_duration(time.as_nanos().saturating_sub(first.as_nanos()));
        let mut row = vec![Cell::new(after, Tone::Faint)];
        row.extend(cells);
        table.push(screen, row)?;
    }
    table.settle(screen)
}

// Spans, logs and exemplars by time; a span before what happened at the very moment it began.
fn time_line(found: &Correlation) -> Vec<Entry> {
    let mut entries = Vec::with_capacity(found.spans.len() + found.logs.len() + found.exemplars.len());
    for span in &found.spans {
        entries.push(Entry {
            time: moment(&span.timestamp).unwrap_or_default(),
            cells: [
                "span".into(),
                span.service.as_deref().unwrap_or("-").into(),
                Cell::new(&span.status, tone_of_status(&span.status)),
                format!("{}  {}", span.name, short_duration(span.duration_ns)).into(),
            ],
        });
    }
    for log in &found.logs {
        let severity = log.severity.as_deref().unwrap_or("-");
        entries.push(Entry {
            time: moment(&log.timestamp).unwrap_or_default(),
            cells: [
                "log".into(),
                log.service.as_deref().unwrap_or("-").into(),
                Cell::new(severity, Tone::of_severity(severity)),
                log_message(log).into(),
            ],
        });
    }
    for exemplar in &found.exemplars {
        entries.push(Entry {
            time: moment(&exemplar.timestamp).unwrap_or_default(),
            cells: [
                "exemplar".into(),
                exemplar.service.as_deref().unwrap_or("-").into(),
                "-".into(),
                describe(exemplar).into(),
            ],
        });
    }
    entries.sort_by_key(|entry| entry.time);
    entries
}

fn describe(exemplar: &Exemplar) -> String {
    format!("{} = {}", exemplar.metric.as_deref().unwrap_or("?"), plain(&exemplar.value))
}
