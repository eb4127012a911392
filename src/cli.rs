//! The command line's shape: the commands, and the flags that several of them share. What one command alone takes stands in
//! that command's file.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::command::{bench, correlate, inspect, metrics, rows, rules, serve, services, status, trace, tui};
#[cfg(feature = "demo")]
use crate::command::{demo, shop};

/// Logs, traces and metrics in one place: OpenTelemetry in, answers out.
#[derive(Debug, Parser)]
#[command(name = "sextant", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server: receive telemetry, keep it, answer queries.
    Serve(serve::ServeArgs),
    /// Run the server together with a shop of microservices that produce telemetry.
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
    /// Break the demo's services on purpose, or run them without a server.
    #[cfg(feature = "demo")]
    Shop(shop::ShopArgs),
    /// Find log records.
    Logs(rows::RowsArgs),
    /// Find spans.
    Spans(rows::RowsArgs),
    /// Find metric data points as they were sent.
    Points(rows::RowsArgs),
    /// Show one trace as a waterfall.
    Trace(trace::TraceArgs),
    /// Show everything that carries one trace id or correlation id, in time order.
    Correlate(correlate::CorrelateArgs),
    /// List services with their rate, errors and durations.
    Services(services::ServicesArgs),
    /// Query metrics with PromQL, or list them.
    Metrics(metrics::MetricsArgs),
    /// Look for mistakes in rule files, or run their unit tests.
    Rules(rules::RulesArgs),
    /// Show what a data directory holds.
    Inspect(inspect::InspectArgs),
    /// Show what a running server is doing.
    Status(status::StatusArgs),
    /// Watch a server: services, logs, traces, alerts, in the terminal.
    Tui(tui::TuiArgs),
    /// Measure a part of Sextant on this machine.
    Bench(bench::BenchArgs),
}

/// Flags of every command that asks a server.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// The server to ask.
    #[arg(long, value_name = "URL", default_value = DEFAULT_URL, env = "SEXTANT_URL", hide_env_values = true)]
    pub url: String,
    /// A file whose first line is sent as bearer token.
    #[arg(long, value_name = "FILE", env = "SEXTANT_TOKEN_FILE", hide_env_values = true)]
    pub token_file: Option<PathBuf>,
    /// Print JSON, one value per line, instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Where a server with default settings answers.
pub const DEFAULT_URL: &str = "http://127.0.0.1:3300";
