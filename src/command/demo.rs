//! `sextant demo`: the server, and three services of the shop that send it telemetry, until Ctrl-C.
//!
//! The services are processes of their own (this program again, as `shop-service`), because that is what is to be shown:
//! one order seen across processes. The server runs in this process.

mod alarm;
mod children;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use indicatif::ProgressBar;
use model::wire::correlate::Correlation;
use shop::Fault;
use store::disk::RealDisk;
use tokio::time::Instant;
use tui::Client;
use tui::client::Settings;

use super::serve::{DoorArgs, announce};
use crate::config::{self, Config};
use crate::own_records::Recorded;
use crate::report::{Exit, Failure, Outcome};
use crate::runtimes;
use crate::server::Server;
use crate::shutdown::Signals;
use crate::telemetry;
use alarm::Alarm;
use children::Children;

/// Where the demo keeps its data and listens.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The directory that holds everything [default: a new one that is removed at the end].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Break the shop on purpose and see the alert come: payments-error, or payments-error:30% for another share of requests.
    #[arg(long, value_name = "FAULT")]
    fault: Option<shop::Fault>,
    /// Add the body of each alert's webhook to this file, a line each.
    #[arg(long, value_name = "FILE")]
    webhooks: Option<PathBuf>,
    #[command(flatten)]
    doors: DoorArgs,
}

/// Own metrics are stored so often: whoever looks at a demo does not want to wait for a chart.
const OWN_METRICS_INTERVAL_S: u64 = 5;

/// From the start of the services until everything of one order can be found.
const FIRST_ORDER_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs the demo until SIGINT or SIGTERM.
pub fn run(args: DemoArgs) -> Outcome {
    let mut config = Config {
        log: "warn".to_owned(),
        own_metrics_interval_s: OWN_METRICS_INTERVAL_S,
        ..config::without_file(config::variables())?
    };
    args.doors.apply(&mut config);
    // Kept until the end: dropping it removes the directory.
    let temporary = match args.data_dir {
        Some(directory) => {
            config.data_dir = directory;
            None
        }
        None => {
            let directory = tempfile::Builder::new().prefix("sextant-demo-").tempdir();
            let directory = directory.context("cannot make a directory for the demo's data")?;
            config.data_dir = directory.path().to_owned();
            Some(directory)
        }
    };
    let recorded = telemetry::start(&config)?;
    let runtime = runtimes::answering().context("cannot start the runtime")?;
    let outcome = runtime.block_on(demo(config, recorded, args.fault, args.webhooks.as_deref()));
    runtime.shutdown_background();
    drop(temporary);
    outcome
}

async fn demo(mut config: Config, recorded: Recorded, fault: Option<Fault>, webhooks: Option<&Path>) -> Outcome {
    let mut signals = Signals::catch().context("cannot catch signals")?;
    let alarm = Alarm::set_up(&mut config, webhooks).await?;
    let server = Server::start(&config, Arc::new(RealDisk), recorded, announce).await?;
    // The server has read it as well, and would not have started without.
    let token_file = Some(config.token_file.as_path()).filter(|file| !file.as_os_str().is_empty());
    let token = token_file.map(super::token).transpose()?;
    let mut children = Children::new(fault, token.clone());
    let shown = tokio::select! {
        shown = show(&server, &mut children, fault, token, token_file) => shown,
        () = signals.received() => Ok(()),
    };
    // Stopped in the order of the data, whether the demo ended well or not: first who sends, then who receives.
    children.stop().await;
    server.stop().await?;
    drop(alarm);
    shown?;
    Ok(Exit::Done)
}

// Ends only with an error: a demo goes on until it is stopped.
async fn show(
    server: &Server,
    children: &mut Children,
    fault: Option<Fault>,
    token: Option<String>,
    token_file: Option<&Path>,
) -> Result<(), Failure> {
    let (otlp, http) = (server.door("otlp_grpc"), server.door("http"));
    let (Some(otlp), Some(http)) = (otlp, http) else {
        let error = anyhow::anyhow!("the demo needs the doors otlp_grpc and http");
        return Err(Failure::wrong_use(error));
    };
    let url = format!("http://{}", reachable(http));
    let progress = ProgressBar::new_spinner().with_message("starting gateway, orders and payments");
    progress.enable_steady_tick(Duration::from_millis(120));
    let deadline = Instant::now() + FIRST_ORDER_TIMEOUT;
    let waiting = async {
        children.start(&format!("http://{}", reachable(otlp))).await?;
        progress.set_message("waiting for the first order to go through");
        let id = children.first_order().await?;
        progress.set_message("waiting until all of it can be found");
        let settings = Settings { token, ..Settings::default() };
        let found = everything_of(&Client::new(&url, settings)?, &id).await?;
        anyhow::Ok((id, found))
    };
    let waited = tokio::time::timeout_at(deadline, waiting).await;
    progress.finish_and_clear();
    let (id, found) = match waited {
        Ok(found) => found?,
        Err(_) => {
            let seconds = FIRST_ORDER_TIMEOUT.as_secs();
            return Err(anyhow::anyhow!("no order could be found whole within {seconds} s").into());
        }
    };
    print_what_to_try(&id, &found, &flags(&url, token_file), fault)?;
    Err(children.unexpected_end().await.into())
}

// Polls until spans and logs of all services and an exemplar can be found by the id.
async fn everything_of(client: &Client, id: &str) -> anyhow::Result<Correlation> {
    loop {
        let found = client.correlate(id).await;
        if let Ok(found) = found
            && is_whole(&found)
        {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn is_whole(found: &Correlation) -> bool {
    shop::ServiceName::ALL.iter().all(|name| {
        let name = Some(name.as_str());
        found.spans.iter().any(|span| span.service.as_deref() == name)
            && found.logs.iter().any(|log| log.service.as_deref() == name)
    }) && !found.exemplars.is_empty()
}

// What every command needs to reach this server.
fn flags(url: &str, token_file: Option<&Path>) -> String {
    let url = if url == crate::cli::DEFAULT_URL { String::new() } else { format!(" --url {url}") };
    let token = token_file.map(|file| format!(" --token-file {}", file.display())).unwrap_or_default();
    url + &token
}

fn print_what_to_try(id: &str, found: &Correlation, flags: &str, fault: Option<Fault>) -> std::io::Result<()> {
    use std::io::Write as _;

    let program = std::env::args().next().unwrap_or_else(|| "sextant".to_owned());
    let trace = found.spans.first().map_or("", |span| span.trace_id.as_str());
    let mut out = std::io::stdout().lock();
    writeln!(out, "correlation_id={id}\n\nThe shop is open. Try in another terminal:\n")?;
    for command in [
        format!("correlate {id}"),
        format!("trace {trace}"),
        format!("logs 'correlation_id:{id}'"),
        "logs 'severity:>=warn' --since 10m".to_owned(),
        "spans 'service:payments duration:>20ms'".to_owned(),
        "metrics query 'sum by (job) (rate(http_server_request_duration_seconds_count[1m]))' --range 10m".to_owned(),
        "metrics names".to_owned(),
        "logs -f".to_owned(),
        "status".to_owned(),
    ] {
        writeln!(out, "  {program} {command}{flags}")?;
    }
    if let Some(fault) = fault {
        let (service, share) = (fault.service(), fault.share() * 100.0);
        writeln!(
            out,
            "\nOf the requests to {service} {share} % fail. Within a minute a rule notices, and its webhook is shown here."
        )?;
    }
    writeln!(out, "\nCtrl-C stops everything.")?;
    out.flush()
}

// An address that listens everywhere is reached at loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
