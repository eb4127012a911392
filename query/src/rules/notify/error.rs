//! What can go wrong with notifications before one is on its way. What goes wrong with a delivery is `client::Failure`.

use std::path::PathBuf;

pub use model::yaml::ConfigError;
use store::StoreError;
use thiserror::Error;

/// Why there is no notifier, or why it keeps its old configuration.
#[derive(Debug, Error)]
pub enum NotifyError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file says something wrong, or something that is not supported.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `allowed_receivers` says something wrong.
    #[error("rules.allowed_receivers: {entry:?} is neither a host nor an address nor a network")]
    Allowed {
        /// The entry.
        entry: String,
    },
    /// The store holds something that this version cannot read.
    #[error("cannot read {table} of the store at key {key:?}")]
    State {
        /// The state table.
        table: &'static str,
        /// The key.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The store did not take a change.
    #[error("cannot commit a change of notifications")]
    Store(#[from] StoreError),
}

impl NotifyError {
    /// What to do about it; empty if the message says it all.
    pub fn hint(&self) -> &str {
        match self {
            NotifyError::Config(error) => &error.hint,
            NotifyError::Allowed { .. } => {
                "write it like hooks.example.org, 10.1.2.3:8080, [fd00::1]:443 or 10.1.0.0/16"
            }
            NotifyError::Read { .. } => "rules.alertmanager names the file; leave it empty for no notifications",
            NotifyError::State { .. } => "start the version of Sextant that wrote it",
            NotifyError::Store(_) => "",
        }
    }
}
