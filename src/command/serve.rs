//! `sextant serve`: the server, until it is told to stop.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use store::disk::{Disk, FaultyDisk, PlannedFault, RealDisk};

use crate::config::{self, Config, Door};
use crate::own_records::Recorded;
use crate::report::{Exit, Failure, Outcome};
use crate::runtimes;
use crate::server::{Doors, Server};
use crate::shutdown::Signals;
use crate::telemetry;

/// What the configuration file says may be said here again, and then counts.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration file [default: sextant.toml here, if it exists].
    #[arg(long, value_name = "FILE", env = "SEXTANT_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// The directory that holds everything [default: sextant-data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    doors: DoorArgs,
    /// What goes wrong on the disk, for the campaigns: `store/src/disk/faulty.rs` says how to write it.
    #[arg(long, value_name = "FAULT", hide = true)]
    disk_fault: Vec<PlannedFault>,
}

/// Where to listen.
#[derive(Debug, Args)]
pub struct DoorArgs {
    /// Where OTLP over gRPC comes in: IP:PORT or off [default: 127.0.0.1:4317].
    #[arg(long, value_name = "ADDRESS")]
    otlp_grpc: Option<Door>,
    /// Where OTLP over HTTP comes in: IP:PORT or off [default: 127.0.0.1:4318].
    #[arg(long, value_name = "ADDRESS")]
    otlp_http: Option<Door>,
    /// Where answers go out: IP:PORT or off [default: 127.0.0.1:3300].
    #[arg(long, value_name = "ADDRESS")]
    http: Option<Door>,
    /// A file whose first line is the token that every request has to show.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Let doors be open to the network although nobody checks who asks.
    #[arg(long)]
    insecure: bool,
}

impl DoorArgs {
    /// Flags win over what `config` says.
    pub fn apply(&self, config: &mut Config) {
        let set = |door: &mut Door, flag: Option<Door>| *door = flag.unwrap_or(*door);
        set(&mut config.otlp_grpc, self.otlp_grpc);
        set(&mut config.otlp_http, self.otlp_http);
        set(&mut config.http, self.http);
        if let Some(file) = &self.token_file {
            config.token_file.clone_from(file);
        }
        config.insecure |= self.insecure;
    }
}

/// Serves until SIGINT or SIGTERM.
pub fn run(args: ServeArgs) -> Outcome {
    let mut config = config::load(args.config.as_deref(), config::variables())?;
    args.doors.apply(&mut config);
    config.data_dir = args.data_dir.unwrap_or(config.data_dir);
    let disk = disk(&config.data_dir, args.disk_fault);
    let recorded = telemetry::start(&config)?;
    let runtime = runtimes::answering().context("cannot start the runtime")?;
    let outcome = runtime.block_on(serve(&config, disk, recorded));
    // A start that was interrupted may still be replaying; nobody waits for that.
    runtime.shutdown_background();
    outcome
}

fn disk(data_dir: &Path, faults: Vec<PlannedFault>) -> Arc<dyn Disk> {
    let real = Arc::new(RealDisk);
    if faults.is_empty() { real } else { Arc::new(FaultyDisk::new(real, data_dir, faults)) }
}

async fn serve(config: &Config, disk: Arc<dyn Disk>, recorded: Recorded) -> Outcome {
    let mut signals = Signals::catch().context("cannot catch signals")?;
    let server = tokio::select! {
        server = Server::start(config, disk, recorded, announce) => server?,
        () = signals.received() => return Ok(Exit::Done),
    };
    tracing::info!(data_dir = %config.data_dir.display(), "ready");
    signals.received().await;
    tracing::info!("stopping");
    tokio::select! {
        stopped = server.stop() => stopped?,
        () = signals.received() => return Err(Failure::wrong_use(anyhow::anyhow!("stopped at once by a second signal"))),
    }
    tracing::info!("stopped");
    Ok(Exit::Done)
}

/// One line per door on stdout: its name and the address that was bound.
pub fn announce(doors: &Doors) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (name, address) in doors {
        writeln!(out, "{name} {address}")?;
    }
    out.flush()
}
