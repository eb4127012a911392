//! `sextant bench`: measures a part of Sextant on this machine, in a form that anyone can repeat. Never a test: machines are
//! noisy, and what is printed is to be read beside a yardstick of the same minute.

mod background;
mod ingest;
mod metrics;
mod process;
mod sdk;
mod store;
mod tui;
mod wire;

use clap::{Args, Subcommand};

use crate::report::Outcome;

/// What is measured.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The dashboard: time of a frame on each screen, and time and memory while it follows a flood of log records.
    Tui(tui::TuiArgs),
    /// The write path: processor time, memory and bytes on disk for each log record, span and point.
    Ingest(ingest::IngestArgs),
    /// What is stored: processor time of flushes, merges and indexes, a replay, bytes of each column, and queries with ten times the rows.
    Store(store::StoreArgs),
    /// Metrics as a dashboard asks for them: eight queries over hours of samples, bytes of a sample, memory of a million series; beside a Prometheus
    /// that was given the same.
    Metrics(metrics::MetricsArgs),
    /// `sextant-sdk` in a service: latency and processor time of a request and memory, beside the same service without it; with a collector that is there, slow, and away.
    Sdk(sdk::SdkArgs),
}

/// Measures.
pub fn run(args: BenchArgs) -> Outcome {
    match args.what {
        What::Tui(args) => tui::run(&args),
        What::Ingest(args) => ingest::run(&args),
        What::Store(args) => store::run(&args),
        What::Metrics(args) => metrics::run(&args),
        What::Sdk(args) => sdk::run(&args),
    }
}
