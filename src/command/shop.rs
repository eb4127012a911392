//! `sextant shop`: the reference microservices by themselves, which `sextant demo` runs beside a server: run them, break them.

use anyhow::Context as _;
use clap::Args;

use crate::report::{Exit, Failure, Outcome};

/// What leads from this executable to the shop's own command line.
pub const PROGRAM: [&str; 1] = ["shop"];

/// The shop reads its own arguments.
#[derive(Debug, Args)]
pub struct ShopArgs {
    #[command(subcommand)]
    command: shop::cli::Command,
}

/// Runs one of the shop's commands.
pub fn run(args: ShopArgs) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = runtime.context("cannot start the runtime")?.block_on(shop::cli::run(args.command, &PROGRAM));
    match done {
        Ok(()) => Ok(Exit::Done),
        Err(error) => Err(Failure::from(error)),
    }
}
