//! The one binary. Parses the command line, runs the command, and turns what came of it into an exit code.

mod cli;
mod command;
mod config;
mod gate;
mod in_flight;
mod own_metrics;
#[cfg(test)]
mod reference;
mod report;
mod server;
#[cfg(feature = "demo")]
mod shipped;
mod shutdown;
mod table;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    report::finish(command::run(cli::Cli::parse()))
}
