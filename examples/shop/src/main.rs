//! `shop`: the reference microservices alone. Everything is in the library; `sextant shop` is the same.

use std::process::ExitCode;

use clap::Parser as _;
use shop::cli::Shop;

#[tokio::main]
async fn main() -> ExitCode {
    match shop::cli::run(Shop::parse().command, &[]).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
