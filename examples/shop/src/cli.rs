//! The shop's commands, for its own binary and for `sextant shop`.

mod ask;
mod fault;
mod run;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::config::ServiceConfig;

/// Where the gateway listens for the services and for faults, unless it is told otherwise.
pub const INTERNAL: &str = "127.0.0.1:7071";

/// The reference microservices: run them, break them.
#[derive(Debug, Parser)]
#[command(name = "shop", version)]
pub struct Shop {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole shop until Ctrl-C.
    Run(run::RunArgs),
    /// Break it on purpose, or stop that.
    Fault(fault::FaultArgs),
    /// Show what is broken on purpose, and what can be.
    Faults(fault::FaultsArgs),
    /// Run one service; `run` does it for each.
    Service(Box<ServiceConfig>),
}

/// Runs a command. `program` are the arguments that lead from the running executable to this command line.
pub async fn run(command: Command, program: &[&str]) -> anyhow::Result<()> {
    match command {
        Command::Run(args) => run::run(args, program).await,
        Command::Fault(args) => fault::start_or_stop(args).await,
        Command::Faults(args) => fault::list(args).await,
        Command::Service(config) => {
            let stop = crate::stop_requested(config.stop_with_stdin);
            crate::run_service(*config, stop).await
        }
    }
}

/// The arguments after which `NAME --flags` run a service.
pub fn service_arguments(program: &[&str]) -> Vec<OsString> {
    program.iter().chain(&["service"]).map(OsString::from).collect()
}

pub use fault::{start_fault, stop_fault};
