//! `sextant demo`: the server, and the shop's services that send it telemetry, until Ctrl-C.
//!
//! The services are processes of their own (this program again, as `shop service`), because that is what is to be shown:
//! one order seen across processes. The server runs in this process.

mod alarm;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use indicatif::ProgressBar;
use model::wire::correlate::Correlation;
use shop::{Components, Fault, Plan, ServiceName, Shop};
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

/// Where the demo keeps its data and listens.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// The directory that holds everything [default: a new one that is removed at the end].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Break the shop on purpose and see the alert come: payments-error, slow-database:800ms, ...; `sextant shop faults` lists them.
    #[arg(long, value_name = "FAULT")]
    fault: Option<Fault>,
    /// Orders a second.
    #[arg(long, value_name = "N", default_value_t = 4.0)]
    rate: f64,
    /// Where the shop is told of faults [default: 127.0.0.1:7071, or a free port if that is taken].
    #[arg(long, value_name = "IP:PORT")]
    shop: Option<SocketAddr>,
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
    let demo = Demo { fault: args.fault, rate: args.rate, internal: args.shop.unwrap_or_else(usual_or_free) };
    let outcome = runtime.block_on(demo.run(config, recorded, args.webhooks.as_deref()));
    runtime.shutdown_background();
    drop(temporary);
    outcome
}

// Somebody may run two demos; what is printed then says where this one is.
fn usual_or_free() -> SocketAddr {
    let usual: Option<SocketAddr> = shop::cli::INTERNAL.parse().ok();
    let usual = usual.filter(|usual| TcpListener::bind(usual).is_ok());
    usual.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

struct Demo {
    fault: Option<Fault>,
    rate: f64,
    internal: SocketAddr,
}

impl Demo {
    async fn run(&self, mut config: Config, recorded: Recorded, webhooks: Option<&Path>) -> Outcome {
        let mut signals = Signals::catch().context("cannot catch signals")?;
        let alarm = Alarm::set_up(&mut config, webhooks).await?;
        let server = Server::start(&config, Arc::new(RealDisk), recorded, announce).await?;
        // The server has read it as well, and would not have started without.
        let token_file = Some(config.token_file.as_path()).filter(|file| !file.as_os_str().is_empty());
        let files = tempfile::Builder::new().prefix("sextant-demo-shop-").tempdir();
        let files = files.context("cannot make a directory for the shop's databases")?;
        let mut open = None;
        let shown = tokio::select! {
            shown = self.show(&server, files.path(), token_file, &mut open) => shown,
            () = signals.received() => Ok(()),
        };
        // Stopped in the order of the data, whether the demo ended well or not: first who sends, then who receives.
        if let Some(shop) = open {
            shop.close().await;
        }
        server.stop().await?;
        drop(alarm);
        shown?;
        Ok(Exit::Done)
    }

    // Ends only with an error: a demo goes on until it is stopped.
    async fn show(
        &self,
        server: &Server,
        files: &Path,
        token_file: Option<&Path>,
        open: &mut Option<Shop>,
    ) -> Result<(), Failure> {
        let (otlp, http) = (server.door("otlp_grpc"), server.door("http"));
        let (Some(otlp), Some(http)) = (otlp, http) else {
            let error = anyhow::anyhow!("the demo needs the doors otlp_grpc and http");
            return Err(Failure::wrong_use(error));
        };
        let url = format!("http://{}", reachable(http));
        let token = token_file.map(super::token).transpose()?;
        let progress = ProgressBar::new_spinner().with_message("opening the shop");
        progress.enable_steady_tick(Duration::from_millis(120));
        let deadline = Instant::now() + FIRST_ORDER_TIMEOUT;
        let plan = self.plan(&format!("http://{}", reachable(otlp)), files, token.as_deref())?;
        let waiting = async {
            let shop = open.insert(Shop::open(&plan).await?);
            progress.set_message("waiting for the first order to go through");
            let id = shop.first_order().await?;
            progress.set_message("waiting until all of it can be found");
            let settings = Settings { token, ..Settings::default() };
            let found = everything_of(&Client::new(&url, settings)?, &id).await?;
            let internal = shop.internal.to_string();
            if let Some(fault) = self.fault {
                shop::cli::start_fault(&internal, fault, None).await?;
            }
            anyhow::Ok((id, found, internal))
        };
        let waited = tokio::time::timeout_at(deadline, waiting).await;
        progress.finish_and_clear();
        let (id, found, internal) = match waited {
            Ok(found) => found?,
            Err(_) => {
                let seconds = FIRST_ORDER_TIMEOUT.as_secs();
                return Err(anyhow::anyhow!("no order could be found whole within {seconds} s").into());
            }
        };
        self.print_what_to_try(&id, &found, &flags(&url, token_file), &internal)?;
        match open {
            Some(shop) => Err(shop.given_up().await.into()),
            None => Ok(()),
        }
    }

    fn plan(&self, otlp: &str, files: &Path, token: Option<&str>) -> anyhow::Result<Plan> {
        let program = std::env::current_exe().context("cannot find this program")?;
        let headers = token.map(|token| ("OTEL_EXPORTER_OTLP_HEADERS".to_owned(), authorization(token)));
        Ok(Plan {
            program: (program, shop::cli::service_arguments(&super::shop::PROGRAM)),
            // Unlike arguments, an environment is nobody else's to read.
            variables: headers.into_iter().collect(),
            otlp: otlp.to_owned(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            internal: self.internal,
            rate: self.rate,
            components: Components { data_dir: files.to_owned(), ..Components::default() },
            adjust: |_| {},
        })
    }
}

// The variable's values are percent-encoded.
fn authorization(token: &str) -> String {
    let encoded = token.bytes().map(|byte| match byte {
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    format!("authorization=Bearer%20{}", encoded.collect::<String>())
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
    // The customers are no service: they leave no trace of their own.
    ServiceName::ALL.iter().filter(|name| **name != ServiceName::Loadgen).all(|name| {
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

impl Demo {
    fn print_what_to_try(&self, id: &str, found: &Correlation, flags: &str, internal: &str) -> std::io::Result<()> {
        use std::io::Write as _;

        let program = std::env::args().next().unwrap_or_else(|| "sextant".to_owned());
        let trace = found.spans.first().map_or("", |span| span.trace_id.as_str());
        let shop = if internal == shop::cli::INTERNAL { String::new() } else { format!(" --shop {internal}") };
        let mut out = std::io::stdout().lock();
        writeln!(out, "correlation_id={id}\n\nThe shop is open. Try in another terminal:\n")?;
        for command in [
            format!("correlate {id}"),
            format!("trace {trace}"),
            format!("logs 'correlation_id:{id}'"),
            "logs 'severity:>=warn' --since 10m".to_owned(),
            "spans 'service:payments duration:>20ms'".to_owned(),
            "metrics query 'sum by (job) (rate(http_server_request_duration_seconds_count[1m]))' --range 10m"
                .to_owned(),
            "services".to_owned(),
            "tui".to_owned(),
            "logs -f".to_owned(),
            "status".to_owned(),
        ] {
            writeln!(out, "  {program} {command}{flags}")?;
        }
        writeln!(out, "\nBreak it, and stop that again:\n")?;
        for command in ["faults", "fault payments-error 50%", "fault payments-error --stop"] {
            writeln!(out, "  {program} shop {command}{shop}")?;
        }
        if let Some(fault) = self.fault {
            let effect = fault.kind().effect();
            writeln!(
                out,
                "\n{fault} has begun: {effect}. Within some minutes a rule notices, and its webhook is shown here."
            )?;
        }
        writeln!(out, "\nCtrl-C stops everything.")?;
        out.flush()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_any_characters_fits_the_variable() {
        assert_eq!(authorization("aZ09-_,=%"), "authorization=Bearer%20aZ09%2D%5F%2C%3D%25");
    }
}
