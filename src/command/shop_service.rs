//! `sextant shop-service NAME`: one of the demo's services. Hidden, because the demo starts it by itself.

use anyhow::Context as _;
use clap::Args;

use crate::report::{Exit, Failure, Outcome};

/// The shop reads its own arguments.
#[derive(Debug, Args)]
pub struct ShopServiceArgs {
    /// The service's name and its flags.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
}

/// Runs one service until it is told to stop, or until whoever started it is gone.
pub fn run(args: ShopServiceArgs) -> Outcome {
    let config = shop::ServiceConfig::from_args(args.args).map_err(|error| {
        let hint = error.hint();
        Failure::wrong_use(error).with_hint(Some(hint))
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(async {
        let stop = shop::stop_requested(&config);
        shop::run_service(config, stop).await
    })?;
    Ok(Exit::Done)
}
