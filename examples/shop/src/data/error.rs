//! What goes wrong with a database, said with its operation and object.

use std::path::PathBuf;

use crate::limits::{CONNECTION_WAIT_MAX, CONNECTIONS_MAX, QUESTION_MAX};

/// Why a database gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DatabaseError {
    #[error("this shop was built without PostgreSQL: build it with `--features postgres`, or leave out --postgres")]
    NoPostgres,
    #[error("cannot make the directory {} for databases", .directory.display())]
    Directory { directory: PathBuf, source: std::io::Error },
    #[error("cannot open the database {namespace}")]
    Open { namespace: &'static str, source: sqlx::Error },
    #[error(
        "{operation} {collection} got no connection to {namespace} within {} s: {CONNECTIONS_MAX} are in use, or it cannot be reached",
        CONNECTION_WAIT_MAX.as_secs()
    )]
    NoConnection { namespace: &'static str, operation: &'static str, collection: &'static str },
    #[error("{operation} {collection} in {namespace} was not answered within {} s", QUESTION_MAX.as_secs())]
    Unanswered { namespace: &'static str, operation: &'static str, collection: &'static str },
    #[error("{operation} {collection} in {namespace} failed")]
    Ask { namespace: &'static str, operation: &'static str, collection: &'static str, source: sqlx::Error },
}

impl DatabaseError {
    /// Whether the same question may be answered by another server: this one is away, and has not said no.
    pub(crate) fn is_unreachable(&self) -> bool {
        match self {
            Self::Open { .. } | Self::NoConnection { .. } | Self::Unanswered { .. } => true,
            Self::Ask { source, .. } => match source {
                sqlx::Error::Io(_) | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
                // PostgreSQL's classes for connections that fail and servers that end or begin.
                sqlx::Error::Database(said) => {
                    said.code().is_some_and(|code| code.starts_with("08") || code.starts_with("57P"))
                }
                _ => false,
            },
            Self::NoPostgres | Self::Directory { .. } => false,
        }
    }
}
