//! The commands, one file each: the flags a command takes, and what it does.

pub mod bench;
pub mod correlate;
#[cfg(feature = "demo")]
pub mod demo;
pub mod inspect;
pub mod metrics;
pub mod rows;
pub mod rules;
pub mod serve;
pub mod services;
#[cfg(feature = "demo")]
pub mod shop;
pub mod status;
pub mod trace;
pub mod tui;

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use ::tui::Client;
use ::tui::client::Settings;
use anyhow::Context as _;
use model::wire::logs::LogRow;
use model::wire::points::PointRow;
use model::wire::spans::SpanRow;

use crate::cli::{Cli, Command, ServerArgs};
use crate::report::{Failure, Outcome};

/// Runs what was asked for.
pub fn run(cli: Cli) -> Outcome {
    match cli.command {
        Command::Serve(args) => serve::run(args),
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(args),
        #[cfg(feature = "demo")]
        Command::Shop(args) => shop::run(args),
        Command::Logs(args) => wait(rows::run::<LogRow>(args)),
        Command::Spans(args) => wait(rows::run::<SpanRow>(args)),
        Command::Points(args) => wait(rows::run::<PointRow>(args)),
        Command::Trace(args) => wait(trace::run(args)),
        Command::Correlate(args) => wait(correlate::run(args)),
        Command::Services(args) => wait(services::run(args)),
        Command::Metrics(args) => wait(metrics::run(args)),
        Command::Rules(args) => rules::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Status(args) => wait(status::run(args)),
        Command::Tui(args) => tui::run(args),
        Command::Bench(args) => bench::run(args),
    }
}

/// Runs a reader: it waits for one server most of the time, one thread is enough.
pub fn wait(reader: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the runtime")?.block_on(reader)
}

/// The client of the server that the flags name.
pub fn client(args: &ServerArgs) -> Result<Client, Failure> {
    client_with(&args.url, args.token_file.as_deref(), Settings::default().silence_max)
}

/// The client of the server at `url`, which may be silent for as long as `silence_max`.
pub fn client_with(url: &str, token_file: Option<&Path>, silence_max: Duration) -> Result<Client, Failure> {
    Ok(Client::new(url, Settings { token: token_file.map(token).transpose()?, silence_max })?)
}

/// The token of a file: its first line.
pub fn token(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file);
    let text = text.with_context(|| format!("cannot read the token file {}", file.display()))?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}
