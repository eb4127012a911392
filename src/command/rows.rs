//! `sextant logs|spans|points`: stored records, found by the filter language.

use std::time::Duration;

use clap::Args;
use model::Signal;
use model::time::{Timestamp, format_duration, parse_duration};
use model::wire::Meta;
use model::wire::logs::LogRow;
use model::wire::points::PointRow;
use model::wire::spans::SpanRow;
use serde_json::{Map, Value};
use tui::Client;
use tui::client::{ClientError, Row, RowsRequest};

use super::client;
use crate::cli::ServerArgs;
use crate::report::{self, Exit, Failure, Outcome};
use crate::table::{Align, Cell, Screen, Table, Tone};

/// Which records, and how many of them.
#[derive(Debug, Args)]
pub struct RowsArgs {
    /// What to look for, such as `service:checkout severity:>=warn timeout`; everything if it is absent.
    #[arg(value_name = "QUERY")]
    query: Vec<String>,
    /// How far back to look [default: 1h].
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["start", "end"])]
    since: Option<String>,
    /// The first moment: RFC 3339, Unix seconds, or a distance such as -2h.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    start: Option<String>,
    /// The first moment that is too late; now by default.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    end: Option<String>,
    /// At most so many, the newest first; `none` for all that the server is willing to stream.
    #[arg(long, value_name = "N", default_value = "100", value_parser = limit)]
    limit: String,
    /// The oldest first.
    #[arg(long)]
    oldest_first: bool,
    /// Keep waiting for new ones, and print each as it comes.
    #[arg(short, long, conflicts_with_all = ["since", "start", "end", "oldest_first"])]
    follow: bool,
    #[command(flatten)]
    server: ServerArgs,
}

fn limit(text: &str) -> Result<String, String> {
    match (text, text.parse::<u64>()) {
        ("none", _) => Ok(text.to_owned()),
        (_, Ok(1..)) => Ok(text.to_owned()),
        _ => Err("write a number from 1, or none".to_owned()),
    }
}

impl RowsArgs {
    fn request(&self) -> Result<RowsRequest, Failure> {
        let start = match &self.since {
            Some(since) => Some(before_now(since)?),
            None => self.start.clone(),
        };
        Ok(RowsRequest {
            query: self.query.join(" "),
            start,
            end: self.end.clone(),
            limit: Some(self.limit.clone()),
            ascending: self.oldest_first,
            cursor: None,
        })
    }
}

/// The moment that `--since` means, as the server reads it.
pub fn before_now(since: &str) -> Result<String, Failure> {
    if parse_duration(since).is_none() {
        let error = anyhow::anyhow!("--since {since:?} is no duration");
        return Err(Failure::wrong_use(error).with_hint(Some("write it like 15m or 2h30m")));
    }
    Ok(format!("-{since}"))
}

/// A record that can be shown as a line of a table.
pub trait Line: Row {
    /// What it is a record of.
    const SIGNAL: Signal;
    /// The table's heading, and how wide to make each column when rows are not known beforehand.
    const COLUMNS: &'static [(&'static str, Align, usize)];
    /// The row's cells, one per column.
    fn cells(&self) -> Vec<Cell>;
    /// The number the record got when it was committed.
    fn ingest_seq(&self) -> u64;
}

/// Prints the records that match, or follows them.
pub async fn run<L: Line>(args: RowsArgs) -> Outcome {
    let client = client(&args.server)?;
    let mut printer = Printer::<L>::new(args.server.json);
    let request = args.request()?;
    let query = request.query.clone();
    let result = match (args.follow, L::SIGNAL) {
        (false, _) => find(&client, &request, &mut printer).await,
        (true, Signal::Logs) => tail(&client, &request.query, &mut printer).await,
        (true, _) => poll(&client, request, &mut printer).await,
    };
    result.map_err(|failure| failure.at_query(&query))?;
    Ok(Exit::Done)
}

async fn find<L: Line>(client: &Client, request: &RowsRequest, printer: &mut Printer<L>) -> Result<(), Failure> {
    let mut rows = client.rows::<L>(request).await?;
    while let Some(line) = rows.next_line().await? {
        printer.print_line(&line)?;
    }
    printer.finish()?;
    if let Some(meta) = rows.meta() {
        tell(meta);
        if printer.printed == 0 {
            report::note("note", &format!("no {} match in this time range", L::SIGNAL));
        } else if meta.cursor.is_some() {
            report::note("note", &format!("there are more: raise --limit (now {})", printer.printed));
        }
    }
    Ok(())
}

async fn tail<L: Line>(client: &Client, query: &str, printer: &mut Printer<L>) -> Result<(), Failure> {
    let mut events = client.tail(query).await?;
    printer.follow()?;
    while let Some(event) = events.next().await? {
        if event.name == "message" || event.name == "row" {
            printer.print_line(event.data.as_bytes())?;
            printer.flush()?;
        } else {
            report::note(&event.name, &event.data);
        }
    }
    Err(Failure::unavailable(anyhow::anyhow!("the server ended the stream")))
}

/// How often spans and points are asked for while they are followed.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Rows of any time: what comes while following may have happened long ago, or by a clock that is ahead of the server's.
const ANY_TIME: (&str, &str) = ("0", "2262-01-01T00:00:00Z");

// Only logs have a tail of their own. What is newer than the newest seen is a filter like any other.
async fn poll<L: Line>(client: &Client, request: RowsRequest, printer: &mut Printer<L>) -> Result<(), Failure> {
    let mut seen = client.status().await?.ingest_seq;
    // A mistake in the query is shown at its place in what was typed, not in what is asked for below.
    let trial = RowsRequest { limit: Some("1".to_owned()), ..request.clone() };
    client.rows::<L>(&trial).await?;
    printer.follow()?;
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        let newer = format!("ingest_seq:>{seen}");
        let query = if request.query.is_empty() { newer } else { format!("({}) {newer}", request.query) };
        let request = RowsRequest {
            query,
            start: Some(ANY_TIME.0.to_owned()),
            end: Some(ANY_TIME.1.to_owned()),
            limit: Some("none".to_owned()),
            ascending: true,
            ..RowsRequest::default()
        };
        let mut rows = client.rows::<L>(&request).await?;
        while let Some(line) = rows.next_line().await? {
            seen = seen.max(printer.print_line(&line)?);
        }
        printer.flush()?;
        rows.meta().into_iter().for_each(tell);
    }
}

fn tell(meta: &Meta) {
    for warning in &meta.warnings {
        report::note("warning", warning);
    }
    if meta.partial {
        let reason = meta.reason.as_deref().unwrap_or("the server gave no reason");
        report::note("warning", &format!("the answer is not complete: {reason}"));
    }
    if let Some(hint) = &meta.hint {
        report::note("hint", hint);
    }
}

struct Printer<L> {
    screen: Screen,
    // Absent when JSON is asked for.
    table: Option<Table>,
    printed: u64,
    row: std::marker::PhantomData<L>,
}

impl<L: Line> Printer<L> {
    fn new(json: bool) -> Self {
        let columns: Vec<_> = L::COLUMNS.iter().map(|(name, align, _)| (*name, *align)).collect();
        let table = (!json).then(|| Table::new(&columns));
        Self { screen: Screen::stdout(), table, printed: 0, row: std::marker::PhantomData }
    }

    // From now on rows are printed as they come.
    fn follow(&mut self) -> Result<(), Failure> {
        if let Some(table) = &mut self.table {
            let widths: Vec<usize> = L::COLUMNS.iter().map(|(_, _, width)| *width).collect();
            table.reserve(&widths);
            table.settle(&mut self.screen)?;
        }
        Ok(())
    }

    // Prints a row and gives its ingest_seq.
    fn print_line(&mut self, line: &[u8]) -> Result<u64, Failure> {
        let bad = |source| ClientError::BadAnswer { path: L::PATH.to_owned(), source };
        let row: L = serde_json::from_slice(line).map_err(bad)?;
        match &mut self.table {
            Some(table) => table.push(&mut self.screen, row.cells())?,
            None => self.screen.json(&String::from_utf8_lossy(line))?,
        }
        self.printed += 1;
        Ok(row.ingest_seq())
    }

    fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.screen.flush()?)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        match &mut self.table {
            // A heading without rows says nothing.
            Some(_) if self.printed == 0 => Ok(()),
            Some(table) => Ok(table.settle(&mut self.screen)?),
            None => self.flush(),
        }
    }
}

impl Line for LogRow {
    const SIGNAL: Signal = Signal::Logs;
    const COLUMNS: &'static [(&'static str, Align, usize)] = &[
        ("TIME", Align::Left, 23),
        ("LEVEL", Align::Left, 5),
        ("SERVICE", Align::Left, 16),
        ("MESSAGE", Align::Left, 0),
    ];

    fn cells(&self) -> Vec<Cell> {
        let severity = self.severity.as_deref().unwrap_or("-");
        vec![
            Cell::new(short_time(&self.timestamp), Tone::Faint),
            Cell::new(severity, Tone::of_severity(severity)),
            self.service.as_deref().unwrap_or("-").into(),
            log_message(self).into(),
        ]
    }

    fn ingest_seq(&self) -> u64 {
        self.ingest_seq
    }
}

impl Line for SpanRow {
    const SIGNAL: Signal = Signal::Spans;
    const COLUMNS: &'static [(&'static str, Align, usize)] = &[
        ("TIME", Align::Left, 23),
        ("SERVICE", Align::Left, 16),
        ("DURATION", Align::Right, 8),
        ("STATUS", Align::Left, 6),
        ("KIND", Align::Left, 8),
        ("NAME", Align::Left, 32),
        ("TRACE", Align::Left, 32),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(short_time(&self.timestamp), Tone::Faint),
            self.service.as_deref().unwrap_or("-").into(),
            short_duration(self.duration_ns).into(),
            Cell::new(&self.status, tone_of_status(&self.status)),
            self.kind.as_str().into(),
            self.name.as_str().into(),
            Cell::new(&self.trace_id, Tone::Faint),
        ]
    }

    fn ingest_seq(&self) -> u64 {
        self.ingest_seq
    }
}

impl Line for PointRow {
    const SIGNAL: Signal = Signal::Points;
    const COLUMNS: &'static [(&'static str, Align, usize)] = &[
        ("TIME", Align::Left, 23),
        ("SERVICE", Align::Left, 16),
        ("METRIC", Align::Left, 32),
        ("TYPE", Align::Left, 9),
        ("VALUE", Align::Right, 12),
        ("UNIT", Align::Left, 4),
        ("ATTRIBUTES", Align::Left, 0),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::new(short_time(&self.timestamp), Tone::Faint),
            self.service.as_deref().unwrap_or("-").into(),
            self.metric.as_str().into(),
            self.kind.as_str().into(),
            point_value(self).into(),
            self.unit.as_str().into(),
            Cell::new(pairs(&self.attributes), Tone::Faint),
        ]
    }

    fn ingest_seq(&self) -> u64 {
        self.ingest_seq
    }
}

/// A time as people read it: to the millisecond, without what is always the same.
pub fn short_time(timestamp: &str) -> String {
    match timestamp.split_once('.') {
        Some((seconds, fraction)) => {
            let millis: String = fraction.chars().take(3).collect();
            format!("{}.{millis}", seconds.replace('T', " "))
        }
        None => timestamp.to_owned(),
    }
}

/// A span's duration as people read it.
pub fn short_duration(nanos: u64) -> String {
    format_duration(i64::try_from(nanos).unwrap_or(i64::MAX))
}

/// The moment a row's `timestamp` names.
pub fn moment(timestamp: &str) -> Option<Timestamp> {
    Timestamp::parse(timestamp, Timestamp::default()).ok()
}

/// The tone of a span's status.
pub fn tone_of_status(status: &str) -> Tone {
    match status {
        "error" => Tone::Bad,
        "ok" => Tone::Good,
        _ => Tone::Plain,
    }
}

/// The part of a log record that people read: event name, body, attributes.
pub fn log_message(row: &LogRow) -> String {
    let body = match &row.body {
        Value::Null => String::new(),
        body => plain(body),
    };
    let parts = [row.event_name.clone(), body, pairs(&row.attributes)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ")
}

/// The value of a point, or the count and sum of one that has many.
pub fn point_value(row: &PointRow) -> String {
    match (&row.value, row.count) {
        (Some(value), _) => plain(value),
        (None, Some(count)) => {
            let sum = row.sum.as_ref().map_or_else(String::new, |sum| format!(" sum={}", plain(sum)));
            format!("count={count}{sum}")
        }
        (None, None) => "-".to_owned(),
    }
}

/// Attributes as `key=value`, in the order of their keys.
pub fn pairs(attributes: &Map<String, Value>) -> String {
    let pairs: Vec<String> = attributes.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
    pairs.join(" ")
}

/// A value without the quotes that JSON would put around a text.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
