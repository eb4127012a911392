//! `shop run`: every service as a process, until Ctrl-C.

use std::io::Write as _;
use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Args;

use crate::config::Components;
use crate::supervisor::{Plan, Shop};

/// What the shop is told.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// The front door.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7070")]
    listen: SocketAddr,
    /// The gateway's address for the services, and for `shop fault`.
    #[arg(long, value_name = "IP:PORT", default_value = super::INTERNAL)]
    internal: SocketAddr,
    /// OTLP over gRPC takes the telemetry.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4317")]
    otlp: String,
    /// Orders a second.
    #[arg(long, value_name = "N", default_value_t = 4.0)]
    rate: f64,
    #[command(flatten)]
    components: Components,
}

pub(super) async fn run(args: RunArgs, program: &[&str]) -> anyhow::Result<()> {
    let executable = std::env::current_exe().context("cannot find this program")?;
    let plan = Plan {
        program: (executable, super::service_arguments(program)),
        variables: Vec::new(),
        otlp: args.otlp,
        listen: args.listen,
        internal: args.internal,
        rate: args.rate,
        components: args.components,
        adjust: |_| {},
    };
    let mut stop = Box::pin(crate::stop_requested(false));
    let opened = tokio::select! {
        opened = Shop::open(&plan) => opened,
        // Dropping what has been started ends it.
        () = &mut stop => return Ok(()),
    };
    let mut shop = opened?;
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "front door http://{}", shop.gateway)?;
        writeln!(out, "faults     --shop {}", shop.internal)?;
        out.flush()?;
    }
    let ended = tokio::select! {
        error = shop.given_up() => Err(error),
        () = stop => Ok(()),
    };
    shop.close().await;
    ended
}
