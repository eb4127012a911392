//! The server's own logs: to stderr, in the form of `tracing`, as loud as the configuration says.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tracing_subscriber::EnvFilter;

/// Logs go to stderr from now on. `directives` as in `info` or `info,store=debug`.
pub fn start(directives: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(directives).with_context(|| format!("cannot read log = {directives:?}"))?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour).finish();
    // A second start in the same process keeps the first subscriber, which is what its caller wants.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}
