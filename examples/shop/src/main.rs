//! `shop-service NAME [--listen A] [--otlp URL] [--upstream URL] [--orders-per-second N]`: one service of the shop,
//! alone. Everything is in the library; `sextant demo` uses it without this binary.

use std::process::ExitCode;

use shop::ServiceConfig;

#[tokio::main]
async fn main() -> ExitCode {
    let config = match ServiceConfig::from_args(std::env::args().skip(1)) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("error: {error}\nhint: {}", error.hint());
            return ExitCode::from(2);
        }
    };
    let stop = shop::stop_requested(&config);
    match shop::run_service(config, stop).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
