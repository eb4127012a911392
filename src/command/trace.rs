//! `sextant trace ID`: one trace as a waterfall.

use clap::Args;
use model::wire::traces::{Trace, TraceSpan};

use super::client;
use super::rows::{short_duration, short_time};
use super::status::counted;
use crate::cli::ServerArgs;
use crate::report::{self, Exit, Outcome};
use crate::table::{Align, Cell, Screen, Table, Tone};

/// Which trace.
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// The trace's id, 32 hexadecimal digits.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    server: ServerArgs,
}

/// Prints a trace.
pub async fn run(args: TraceArgs) -> Outcome {
    let trace = client(&args.server)?.trace(&args.id).await?;
    let mut screen = Screen::stdout();
    if args.server.json {
        screen.json(&serde_json::to_string(&trace).map_err(anyhow::Error::from)?)?;
    } else {
        draw(&trace, &mut screen)?;
    }
    screen.flush()?;
    if trace.partial {
        let reason = trace.reason.as_deref().unwrap_or("spans are missing");
        report::note("warning", &format!("the trace is not complete: {reason}"));
    }
    Ok(if trace.spans.is_empty() { Exit::No } else { Exit::Done })
}

fn draw(trace: &Trace, screen: &mut Screen) -> std::io::Result<()> {
    let heading = format!(
        "trace {}  {}  {}  {}  {}  {}",
        trace.trace_id,
        short_time(&trace.start),
        counted(trace.spans.len() as u64, "span"),
        counted(trace.services.len() as u64, "service"),
        counted(trace.errors as u64, "error"),
        short_duration(trace.duration_ns),
    );
    screen.line(&screen.paint(Tone::Strong, &tui::sanitize::line(&heading)))?;
    // What the other columns take at most, so that a bar never wraps.
    let width = screen.width().saturating_sub(84).clamp(20, 80);
    let mut table = Table::new(&[
        ("SERVICE", Align::Left),
        ("SPAN", Align::Left),
        ("DURATION", Align::Right),
        ("", Align::Left),
        ("TIME", Align::Left),
    ]);
    for span in &trace.spans {
        let failed = span.span.status == "error";
        table.push(
            screen,
            vec![
                span.span.service.as_deref().unwrap_or("-").into(),
                label(span).into(),
                short_duration(span.span.duration_ns).into(),
                // The sign says what the colour says.
                Cell::new(if failed { "!" } else { " " }, Tone::Bad),
                Cell::new(
                    bar(span.offset_ns, span.span.duration_ns, trace.duration_ns, width),
                    if failed { Tone::Bad } else { Tone::Good },
                ),
            ],
        )?;
    }
    table.settle(screen)
}

fn label(span: &TraceSpan) -> String {
    // Deeper than this the names would be all that is seen.
    const INDENT_MAX: usize = 12;
    let missing = if span.missing_parent { "(parent missing) " } else { "" };
    format!("{}{missing}{}", "  ".repeat(span.depth.min(INDENT_MAX)), span.span.name)
}

// A span's place in the whole, drawn in `width` columns to half a column.
fn bar(offset: u64, duration: u64, whole: u64, width: usize) -> String {
    let halves = (width * 2) as f64;
    let place = |nanos: u64| (nanos as f64 / whole.max(1) as f64 * halves).round() as usize;
    let begin = place(offset).min(width * 2 - 1);
    let end = place(offset.saturating_add(duration)).clamp(begin + 1, width * 2);
    (0..width)
        .map(|column| {
            match (begin <= column * 2 && column * 2 < end, begin <= column * 2 + 1 && column * 2 + 1 < end) {
                (true, true) => '█',
                (true, false) => '▌',
                (false, true) => '▐',
                (false, false) => '·',
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_show_place_and_length() {
        for (offset, duration, drawn) in [
            (0, 100, "██████████"),
            (50, 50, "·····█████"),
            (0, 5, "▌·········"),
            (95, 5, "·········▐"),
            (25, 10, "··▐▌······"),
            (100, 0, "·········▐"),
            (40, 0, "····▌·····"),
            (90, 500, "·········█"),
        ] {
            assert_eq!(bar(offset, duration, 100, 10), drawn, "{offset} {duration}");
        }
        assert_eq!(bar(0, 0, 0, 4), "▌···");
    }
}
