//! `sextant services`: every service with rate, errors and durations of its requests.

use clap::Args;
use model::wire::counts::{Service, Services};

use super::client;
use super::metrics::bars;
use super::rows::{before_now, short_duration, short_time};
use crate::cli::ServerArgs;
use crate::report::{self, Exit, Failure, Outcome};
use crate::table::{Align, Cell, Screen, Table, Tone};

/// Of which time.
#[derive(Debug, Args)]
pub struct ServicesArgs {
    /// How far back to look [default: 1h].
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["start", "end"])]
    since: Option<String>,
    /// The first moment: RFC 3339, Unix seconds, or a distance such as -2h.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    start: Option<String>,
    /// The first moment that is too late; now by default.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    end: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

// Columns of the rates' sparkline.
const STEPS: usize = 30;

impl ServicesArgs {
    fn range(&self) -> Result<(String, String), Failure> {
        let start = match &self.since {
            Some(since) => before_now(since)?,
            None => self.start.clone().unwrap_or_else(|| "-1h".to_owned()),
        };
        Ok((start, self.end.clone().unwrap_or_else(|| "now".to_owned())))
    }
}

/// Prints the services.
pub async fn run(args: ServicesArgs) -> Outcome {
    let (start, end) = args.range()?;
    let found = client(&args.server)?.services(&start, &end, STEPS).await?;
    let mut screen = Screen::stdout();
    if args.server.json {
        for service in &found.services {
            screen.json(&serde_json::to_string(service).map_err(anyhow::Error::from)?)?;
        }
    } else if found.services.is_empty() {
        report::note("note", "no service sent spans or logs in this time range");
    } else {
        draw(&found, &mut screen)?;
    }
    screen.flush()?;
    if found.partial {
        let reason = found.reason.as_deref().unwrap_or("the server gave no reason");
        report::note("warning", &format!("the answer is not complete: {reason}"));
    }
    Ok(Exit::Done)
}

fn draw(found: &Services, screen: &mut Screen) -> std::io::Result<()> {
    let mut table = Table::new(&[
        ("SERVICE", Align::Left),
        ("REQUESTS/S", Align::Right),
        ("ERRORS", Align::Right),
        ("P50", Align::Right),
        ("P95", Align::Right),
        ("P99", Align::Right),
        ("LOGS", Align::Right),
        ("LOG ERRORS", Align::Right),
        ("LAST SEEN", Align::Left),
        ("RATE", Align::Left),
    ]);
    for service in &found.services {
        table.push(screen, cells(service))?;
    }
    table.settle(screen)
}

fn cells(service: &Service) -> Vec<Cell> {
    let duration = |nanos: Option<u64>| Cell::from(nanos.map(short_duration).unwrap_or_default());
    let bad = |number: u64| if number > 0 { Tone::Bad } else { Tone::Plain };
    let rates: Vec<Option<f64>> = service.rates.iter().map(|rate| Some(*rate)).collect();
    // Without requests there is nothing to say of them.
    let of_requests = |text: String| if service.requests > 0 { text } else { String::new() };
    vec![
        match service.service.as_str() {
            "" => Cell::new("(none)", Tone::Faint),
            name => name.into(),
        },
        of_requests(format!("{:.2}", service.rate)).into(),
        Cell::new(of_requests(format!("{:.1} %", service.error_share * 100.0)), bad(service.errors)),
        duration(service.p50_ns),
        duration(service.p95_ns),
        duration(service.p99_ns),
        service.logs.to_string().into(),
        Cell::new(service.log_errors.to_string(), bad(service.log_errors)),
        short_time(&service.last_seen).into(),
        Cell::new(of_requests(bars(&rates)), Tone::Good),
    ]
}
