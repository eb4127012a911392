//! The shop's commands, for its own binary and for `sextant shop`.

use clap::{Parser, Subcommand};

use crate::config::ServiceConfig;

/// The reference microservices.
#[derive(Debug, Parser)]
#[command(name = "shop", version)]
pub struct Shop {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs one service; `shop run` does it for each.
    Service(Box<ServiceConfig>),
}

/// Runs a command. `_program` are the arguments that lead from the running executable to this command line.
pub async fn run(shop: Shop, _program: &[&str]) -> anyhow::Result<()> {
    match shop.command {
        Command::Service(config) => {
            let stop = crate::stop_requested(&config);
            crate::run_service(*config, stop).await
        }
    }
}
