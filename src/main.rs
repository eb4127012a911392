//! The one binary. Parses the command line, runs the command, and turns what came of it into an exit code.

mod cli;
mod command;
mod config;
mod doors;
mod gate;
mod in_flight;
mod memory;
mod own_metrics;
mod own_records;
#[cfg(test)]
mod reference;
mod report;
mod runtimes;
mod scraping;
mod server;
#[cfg(feature = "demo")]
mod shipped;
mod shutdown;
mod table;
mod telemetry;

use std::process::ExitCode;

use clap::Parser as _;

// Gives what is freed back to the system within a second: see ADR 019, and `.cargo/config.toml` for its settings.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    report::finish(command::run(cli::Cli::parse()))
}
