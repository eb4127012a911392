//! The server's own logs: to stderr, in the form of `tracing`, as loud as the configuration says; and, with its spans, to its own store.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::config::Config;
use crate::own_records::{self, Recorded};

/// From now on logs go to stderr, as `config.log` says, and are recorded, as `config.own_records` says.
pub fn start(config: &Config) -> anyhow::Result<Recorded> {
    let directives = &config.log;
    let filter = EnvFilter::try_new(directives).with_context(|| format!("cannot read log = {directives:?}"))?;
    let level: LevelFilter = config.own_records.parse().ok().with_context(|| {
        format!("own_records = {:?} is none of off, error, warn, info, debug, trace", config.own_records)
    })?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let told = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colour).with_filter(filter);
    let (recorder, recorded) = own_records::recorder(level);
    let subscriber = tracing_subscriber::registry().with(told).with(recorder);
    // A second start in the same process keeps the first subscriber, which is what its caller wants.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(recorded)
}
