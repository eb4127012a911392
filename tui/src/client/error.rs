//! What can go wrong between asking and understanding the answer.

use std::time::Duration;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address is none this client can use.
    #[error("{url:?} is no address of a server: {reason}")]
    BadUrl {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The token cannot stand in a header.
    #[error("the token holds characters that no HTTP header may carry")]
    BadToken,
    /// No connection, or it broke before the answer began.
    #[error("cannot reach the server at {url}")]
    Unreachable {
        /// The server's address.
        url: String,
        /// What the network said.
        #[source]
        source: hyper_util::client::legacy::Error,
    },
    /// The server was silent for too long.
    #[error("the server at {url} did not answer within {seconds} s", seconds = waited.as_secs())]
    Timeout {
        /// The server's address.
        url: String,
        /// How long this client waited.
        waited: Duration,
    },
    /// The server answered, and the answer is no.
    #[error("the server refused {path}: {}", refusal.message)]
    Refused {
        /// What was asked for.
        path: String,
        /// What the server said.
        refusal: Box<Refusal>,
    },
    /// The answer broke off.
    #[error("the answer to {path} broke off")]
    CutOff {
        /// What was asked for.
        path: String,
        /// What the network said; absent if the answer ended where it should not.
        #[source]
        source: Option<hyper::Error>,
    },
    /// The answer is not what this version expects.
    #[error("the answer to {path} is not what this version understands")]
    BadAnswer {
        /// What was asked for.
        path: String,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// The answer, or one line of it, exceeds this client's limit.
    #[error("the answer to {path} is larger than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        path: String,
        /// The limit.
        limit: usize,
    },
}

/// An error answer, in whichever of the server's languages it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The word for programs: Sextant's `code` or Prometheus's `errorType`.
    pub code: String,
    /// One sentence.
    pub message: String,
    /// Where in the query the mistake is, in characters from 0.
    pub position: Option<usize>,
    /// What to do instead.
    pub hint: Option<String>,
}

/// The few cases callers treat differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The asker has to change something: address, token, query, parameters.
    WrongUse,
    /// What was asked for does not exist.
    NotFound,
    /// There is no server, or it cannot or will not answer now.
    Unavailable,
    /// The two sides do not understand each other.
    BadAnswer,
}

impl ClientError {
    /// What a caller may want to do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::BadUrl { .. } | Self::BadToken => Kind::WrongUse,
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::CutOff { .. } => Kind::Unavailable,
            Self::Refused { refusal, .. } => match refusal.status {
                404 => Kind::NotFound,
                400 | 405 | 413 | 414 | 422 => Kind::WrongUse,
                _ => Kind::Unavailable,
            },
            Self::BadAnswer { .. } | Self::TooLarge { .. } => Kind::BadAnswer,
        }
    }

    /// What to try, if there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::BadUrl { .. } => Some("write it like http://127.0.0.1:3300".to_owned()),
            Self::BadToken => Some("a token file holds one line of visible ASCII characters".to_owned()),
            Self::Unreachable { .. } => {
                Some("start a server with `sextant serve`, or name another one with --url".to_owned())
            }
            Self::Timeout { .. } => Some("ask for less: a shorter time range or a smaller limit".to_owned()),
            Self::Refused { refusal, .. } => refusal.hint.clone(),
            Self::CutOff { .. } | Self::BadAnswer { .. } | Self::TooLarge { .. } => None,
        }
    }

    /// What the server said, if it said no.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            _ => None,
        }
    }
}
