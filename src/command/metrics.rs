//! `sextant metrics query|names|cardinality`: metrics as Prometheus sees them.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use model::clock::{Clock as _, SystemClock};
use model::time::parse_duration;
use model::wire::prom::{Labels, Metadata, QueryData, Response, Sample};
use model::wire::status::SeriesStatus;
use tui::Client;
use tui::client::Params;

use super::client;
use crate::cli::ServerArgs;
use crate::report::{self, Exit, Failure, Outcome};
use crate::table::{Align, Cell, Screen, Table, Tone};

/// What to do with metrics.
#[derive(Debug, Args)]
pub struct MetricsArgs {
    #[command(subcommand)]
    command: MetricsCommand,
}

#[derive(Debug, Subcommand)]
enum MetricsCommand {
    /// Evaluate a PromQL expression, now or over time.
    Query(QueryArgs),
    /// List the metrics there are.
    Names(NamesArgs),
    /// Count the series of each metric and the values of each label.
    Cardinality(CardinalityArgs),
}

#[derive(Debug, Args)]
struct QueryArgs {
    /// The expression, such as `sum by (job) (rate(http_requests_total[5m]))`.
    #[arg(value_name = "EXPR", allow_hyphen_values = true)]
    expression: String,
    /// Evaluate at this moment instead of now: RFC 3339 or Unix seconds.
    #[arg(long, value_name = "TIME", conflicts_with = "range")]
    time: Option<String>,
    /// Evaluate over the time since then, up to now.
    #[arg(long, value_name = "DURATION")]
    range: Option<String>,
    /// The distance of two evaluations [default: a sixtieth of the range].
    #[arg(long, value_name = "DURATION", requires = "range")]
    step: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
struct NamesArgs {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
struct CardinalityArgs {
    /// List at most so many metrics and labels.
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    #[command(flatten)]
    server: ServerArgs,
}

/// Does it.
pub async fn run(args: MetricsArgs) -> Outcome {
    match args.command {
        MetricsCommand::Query(args) => query(args).await,
        MetricsCommand::Names(args) => names(args).await,
        MetricsCommand::Cardinality(args) => cardinality(args).await,
    }
}

async fn query(args: QueryArgs) -> Outcome {
    let client = client(&args.server)?;
    let (data, axis) = match &args.range {
        Some(range) => {
            let range = seconds("--range", range)?;
            let step = match &args.step {
                Some(step) => seconds("--step", step)?,
                None => (range / SPARK_WIDTH as f64).ceil().max(1.0),
            };
            let end = SystemClock::new().now().as_millis() as f64 / 1e3;
            let start = end - range;
            let (from, to) = (start.to_string(), end.to_string());
            let data = data_of(client.query_range(&args.expression, &from, &to, &step.to_string()).await?)?;
            (data, Axis { start, end, columns: columns(range / step + 1.0) })
        }
        None => {
            let data = data_of(client.query(&args.expression, args.time.as_deref()).await?)?;
            let axis = Axis::of(&data);
            (data, axis)
        }
    };
    let mut screen = Screen::stdout();
    if args.server.json {
        print_json(&data, &mut screen)?
    } else {
        draw(&data, axis, &mut screen)?
    }
    screen.flush()?;
    Ok(Exit::Done)
}

fn seconds(flag: &str, text: &str) -> Result<f64, Failure> {
    match parse_duration(text) {
        Some(nanos) if nanos > 0 => Ok(nanos as f64 / 1e9),
        _ => {
            let error = anyhow::anyhow!("{flag} {text:?} is no duration");
            Err(Failure::wrong_use(error).with_hint(Some("write it like 15s, 5m or 1h")))
        }
    }
}

// The data of a successful answer; its warnings go to stderr.
fn data_of<D>(response: Response<D>) -> Result<D, Failure> {
    for warning in response.warnings.iter().chain(&response.infos) {
        report::note("warning", warning);
    }
    response.data.ok_or_else(|| anyhow::anyhow!("the server's answer holds no data").into())
}

fn print_json(data: &QueryData, screen: &mut Screen) -> Result<(), Failure> {
    let mut print = |value: serde_json::Result<String>| -> Result<(), Failure> {
        Ok(screen.json(&value.map_err(anyhow::Error::from)?)?)
    };
    match data {
        QueryData::Vector(series) => series.iter().try_for_each(|one| print(serde_json::to_string(one))),
        QueryData::Matrix(series) => series.iter().try_for_each(|one| print(serde_json::to_string(one))),
        QueryData::Scalar(sample) | QueryData::String(sample) => print(serde_json::to_string(sample)),
    }
}

/// Columns of a sparkline at most.
const SPARK_WIDTH: usize = 60;

// The time that sparklines show: the same for every series, so that lines above each other can be compared.
#[derive(Clone, Copy)]
struct Axis {
    start: f64,
    end: f64,
    columns: usize,
}

impl Axis {
    // Of an answer that says by itself what time it covers.
    fn of(data: &QueryData) -> Self {
        let QueryData::Matrix(series) = data else { return Self { start: 0.0, end: 0.0, columns: 1 } };
        let times = series.iter().flat_map(|one| &one.values).map(|(time, _)| *time);
        let (start, end) = times.fold((f64::MAX, f64::MIN), |(least, most), time| (least.min(time), most.max(time)));
        let samples = series.iter().map(|one| one.values.len()).max().unwrap_or_default();
        Self { start, end, columns: columns(samples as f64) }
    }
}

// One column for each evaluation, as long as there is room.
fn columns(evaluations: f64) -> usize {
    (evaluations as usize).clamp(1, SPARK_WIDTH)
}

fn draw(data: &QueryData, axis: Axis, screen: &mut Screen) -> std::io::Result<()> {
    match data {
        QueryData::Scalar((_, value)) | QueryData::String((_, value)) => screen.line(&tui::sanitize::line(value)),
        QueryData::Vector(series) if series.is_empty() => nothing(),
        QueryData::Matrix(series) if series.is_empty() => nothing(),
        QueryData::Vector(series) => {
            let mut table = Table::new(&[("VALUE", Align::Right), ("SERIES", Align::Left)]);
            for one in series {
                let value = match (&one.value, &one.histogram) {
                    (Some((_, value)), _) => value.clone(),
                    (None, Some((_, histogram))) => format!("count {} sum {}", histogram.count, histogram.sum),
                    (None, None) => "-".to_owned(),
                };
                table.push(screen, vec![(&value).into(), series_text(&one.metric).into()])?;
            }
            table.settle(screen)
        }
        QueryData::Matrix(series) => {
            let mut table = Table::new(&[
                ("MIN", Align::Right),
                ("MAX", Align::Right),
                ("LAST", Align::Right),
                ("OVER TIME", Align::Left),
                ("SERIES", Align::Left),
            ]);
            for one in series {
                let values: Vec<f64> = one.values.iter().map(|(_, value)| number(value)).collect();
                let least = values.iter().copied().filter(|value| value.is_finite()).fold(f64::INFINITY, f64::min);
                let most = values.iter().copied().filter(|value| value.is_finite()).fold(f64::NEG_INFINITY, f64::max);
                let newest = one.values.last().map_or("-", |(_, value)| value.as_str());
                table.push(
                    screen,
                    vec![
                        short_number(least).into(),
                        short_number(most).into(),
                        short_number(number(newest)).into(),
                        Cell::new(sparkline(&one.values, axis), Tone::Good),
                        series_text(&one.metric).into(),
                    ],
                )?;
            }
            table.settle(screen)
        }
    }
}

fn nothing() -> std::io::Result<()> {
    report::note("note", "no series match");
    Ok(())
}

// Prometheus writes NaN, +Inf and -Inf as Rust reads them.
fn number(text: &str) -> f64 {
    text.parse().unwrap_or(f64::NAN)
}

fn short_number(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    if value != 0.0 && (value.abs() >= 1e9 || value.abs() < 1e-3) {
        return format!("{value:.3e}");
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

// As high as the last value in each column's time; a gap where there is none.
fn sparkline(values: &[Sample], axis: Axis) -> String {
    let mut columns = vec![None; axis.columns];
    for (time, value) in values {
        let place = if axis.end > axis.start { (time - axis.start) / (axis.end - axis.start) } else { 1.0 };
        let value = number(value);
        if value.is_finite() {
            let column = (place * (axis.columns - 1) as f64).round() as usize;
            columns[column.min(axis.columns - 1)] = Some(value);
        }
    }
    bars(&columns)
}

/// A character for each number, between the least and the greatest of them; a gap where there is none.
pub fn bars(columns: &[Option<f64>]) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let present = columns.iter().flatten();
    let (least, most) = present.fold((f64::MAX, f64::MIN), |(a, b), value| (a.min(*value), b.max(*value)));
    let level = |value: f64| {
        let height = if most > least { (value - least) / (most - least) } else { 0.5 };
        LEVELS[(height * (LEVELS.len() - 1) as f64).round() as usize]
    };
    columns.iter().map(|column| column.map_or(' ', level)).collect()
}

// `name{label="value"}`, as it can be written in a query.
fn series_text(labels: &Labels) -> String {
    let name = labels.get("__name__").map_or("", String::as_str);
    let pairs = labels.iter().filter(|(label, _)| *label != "__name__");
    let pairs: Vec<String> = pairs.map(|(label, value)| format!("{label}={value:?}")).collect();
    format!("{name}{{{}}}", pairs.join(", "))
}

async fn names(args: NamesArgs) -> Outcome {
    let client = client(&args.server)?;
    let names = data_of(client.label_values("__name__").await?)?;
    let metadata: Response<BTreeMap<String, Vec<Metadata>>> = client.get("/api/v1/metadata", &Params::new()).await?;
    let metadata = data_of(metadata)?;
    let mut screen = Screen::stdout();
    let mut table = Table::new(&[
        ("METRIC", Align::Left),
        ("TYPE", Align::Left),
        ("UNIT", Align::Left),
        ("DESCRIPTION", Align::Left),
    ]);
    for name in &names {
        let known = metadata.get(base_name(name, &metadata)).and_then(|all| all.first());
        let field = |of: fn(&Metadata) -> &String| known.map(of).cloned().unwrap_or_default();
        let (kind, unit, help) = (field(|m| &m.kind), field(|m| &m.unit), field(|m| &m.help));
        if args.server.json {
            let line = serde_json::json!({"metric": name, "type": kind, "unit": unit, "help": help});
            screen.json(&line.to_string())?;
        } else {
            table.push(&mut screen, vec![name.into(), kind.into(), unit.into(), Cell::new(help, Tone::Faint)])?;
        }
    }
    if names.is_empty() {
        nothing()?;
    } else if !args.server.json {
        table.settle(&mut screen)?;
    }
    screen.flush()?;
    Ok(Exit::Done)
}

// Metadata is kept under a histogram's own name, not under the names of its series.
fn base_name<'n>(name: &'n str, metadata: &BTreeMap<String, Vec<Metadata>>) -> &'n str {
    if metadata.contains_key(name) {
        return name;
    }
    let bases = ["_bucket", "_sum", "_count"].into_iter().filter_map(|suffix| name.strip_suffix(suffix));
    bases.into_iter().find(|base| metadata.contains_key(*base)).unwrap_or(name)
}

async fn cardinality(args: CardinalityArgs) -> Outcome {
    let client = client(&args.server)?;
    let series = all_series(&client).await?;
    let mut metrics: BTreeMap<&str, u64> = BTreeMap::new();
    let mut labels: BTreeMap<&str, std::collections::BTreeSet<&str>> = BTreeMap::new();
    for one in &series {
        *metrics.entry(one.get("__name__").map_or("", String::as_str)).or_default() += 1;
        for (label, value) in one.iter().filter(|(label, _)| *label != "__name__") {
            labels.entry(label).or_default().insert(value);
        }
    }
    let labels = labels.into_iter().map(|(label, values)| (label, values.len() as u64)).collect();
    let mut screen = Screen::stdout();
    for (what, counted, counts) in [("metric", "series", metrics), ("label", "values", labels)] {
        draw_top(&args, what, counted, counts, &mut screen)?;
    }
    draw_limited(&args, &client.status().await?.series, &mut screen)?;
    screen.flush()?;
    Ok(Exit::Done)
}

// Metrics that have had points of series beyond a limit, under the names they were sent with.
fn draw_limited(args: &CardinalityArgs, series: &SeriesStatus, screen: &mut Screen) -> std::io::Result<()> {
    let limited = series.limited.iter().take(args.top);
    if args.server.json {
        return limited.into_iter().try_for_each(|of| {
            let of = serde_json::json!({"limited": of.metric, "folded": of.folded, "rejected": of.rejected});
            screen.json(&of.to_string())
        });
    }
    if series.limited.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&[
        ("FOLDED", Align::Right),
        ("REJECTED", Align::Right),
        ("LIMITED METRIC", Align::Left),
        ("WHY", Align::Left),
    ]);
    for of in limited {
        let rejected: u64 = of.rejected.values().sum();
        let why: Vec<&str> = of.rejected.keys().map(String::as_str).collect();
        let cells = [of.folded.to_string(), rejected.to_string(), of.metric.clone(), why.join(", ")];
        table.push(screen, cells.iter().map(|cell| cell.as_str().into()).collect())?;
    }
    table.settle(screen)?;
    screen.line(&screen.paint(Tone::Faint, &format!("at most {} series of a metric", series.per_metric_max)))?;
    screen.line("")
}

fn draw_top(
    args: &CardinalityArgs,
    what: &'static str,
    counted: &'static str,
    counts: BTreeMap<&str, u64>,
    screen: &mut Screen,
) -> std::io::Result<()> {
    let mut counts: Vec<(&str, u64)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let rows = counts.iter().take(args.top);
    if args.server.json {
        return rows
            .into_iter()
            .try_for_each(|(name, count)| screen.json(&serde_json::json!({what: name, counted: count}).to_string()));
    }
    let headings = if what == "metric" { ("SERIES", "METRIC") } else { ("VALUES", "LABEL") };
    let mut table = Table::new(&[(headings.0, Align::Right), (headings.1, Align::Left)]);
    for (name, count) in rows {
        table.push(screen, vec![count.to_string().into(), (*name).into()])?;
    }
    table.settle(screen)?;
    let all: u64 = counts.iter().map(|(_, count)| count).sum();
    let total = if what == "metric" {
        format!("{all} series of {} metrics", counts.len())
    } else {
        format!("{} labels", counts.len())
    };
    screen.line(&screen.paint(Tone::Faint, &total))?;
    screen.line("")
}

async fn all_series(client: &Client) -> Result<Vec<Labels>, Failure> {
    let params = Params::new().with("match[]", "{__name__=~\".+\"}");
    data_of(client.get("/api/v1/series", &params).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparklines_show_shape_and_gaps() {
        let line = |values: &[(f64, &str)], columns| {
            let values: Vec<Sample> = values.iter().map(|(time, value)| (*time, (*value).to_owned())).collect();
            sparkline(&values, Axis { start: 0.0, end: 60.0, columns })
        };
        assert_eq!(line(&[(0.0, "0"), (30.0, "NaN"), (60.0, "7")], 5), "▁   █");
        assert_eq!(line(&[(0.0, "0"), (15.0, "1"), (30.0, "2"), (45.0, "3"), (60.0, "7")], 5), "▁▂▃▄█");
        assert_eq!(line(&[(59.0, "3")], 3), "  ▅");
        assert_eq!(line(&[(60.0, "-1"), (60.0, "+Inf")], 1), "▅");
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in
            [(0.0, "0"), (1.5, "1.5"), (1234.0, "1234"), (2e12, "2.000e12"), (0.00012, "1.200e-4"), (f64::NAN, "-")]
        {
            assert_eq!(short_number(value), text);
        }
    }
}
