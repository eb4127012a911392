//! Why a whole request is refused, and what its sender can make of it. Rejected items of an accepted request are no error:
//! see [`crate::Outcome`].

use std::time::Duration;

use store::{ErrorKind, StoreError};

use crate::convert::Malformed;
use crate::limits;

/// Why bytes are no OTLP request.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not a protobuf message of this kind: cut short, damaged, nested too deep, or with text that is no UTF-8.
    #[error("the body is not the protobuf message {message}")]
    Protobuf {
        /// Name of the message.
        message: &'static str,
        /// What is wrong, and where.
        #[source]
        source: Malformed,
    },
    /// Not the JSON of a message of this kind.
    #[error("the body is not the message {message} in JSON: {place}, byte {offset}: {what}")]
    Json {
        /// Name of the message.
        message: &'static str,
        /// Where, as a path of keys and positions.
        place: String,
        /// Where, in bytes.
        offset: usize,
        /// What is wrong there.
        what: String,
    },
    /// So many tiny parts that they would take far more memory than the bytes they came in.
    #[error("decoding the request would take more than {bytes_max} bytes of memory")]
    TooManyParts {
        /// The limit.
        bytes_max: u64,
    },
}

/// A refused request: nothing of it is stored.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The body is not what it says it is.
    #[error("cannot decode the request")]
    Undecodable(#[source] DecodeError),
    /// The compressed body is damaged.
    #[error("cannot decompress the request")]
    Compression(#[source] std::io::Error),
    /// The body ended before it was whole, or is no gRPC message.
    #[error("cannot read the request: {what}")]
    Broken {
        /// What is wrong with it.
        what: String,
    },
    /// Over the limit, before or after decompression.
    #[error("the request is larger than {bytes_max} bytes (after decompression)")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// The content type is none that is understood.
    #[error("the content type {content_type:?} is not understood")]
    ContentType {
        /// What was sent; empty if nothing was.
        content_type: String,
    },
    /// The content encoding is none that is understood.
    #[error("the content encoding {encoding:?} is not understood")]
    ContentEncoding {
        /// What was sent.
        encoding: String,
    },
    /// A path without a receiver.
    #[error("nothing is received at {path}")]
    UnknownPath {
        /// What was asked for.
        path: String,
    },
    /// A method other than POST.
    #[error("the method {method} is not allowed here")]
    Method {
        /// What was sent.
        method: String,
    },
    /// Other requests hold all the memory that requests may hold.
    #[error("the server is busy with other requests")]
    Overloaded,
    /// The requests of its connection hold all that one connection may hold.
    #[error("the other requests of this connection are still being processed")]
    ConnectionFull,
    /// The process has no memory to take it with.
    #[error("the server has reached its memory limit")]
    Memory,
    /// The door asks for a token, and there was none or another one.
    #[error("this server takes requests with its bearer token alone")]
    Unauthenticated,
    /// The body arrives in drops.
    #[error("the body arrives at less than {bytes_per_s} bytes a second")]
    Drips {
        /// The limit.
        bytes_per_s: u64,
    },
    /// The body did not arrive in time.
    #[error("the body did not arrive within {seconds} s")]
    Slow {
        /// The limit.
        seconds: u64,
    },
    /// The server is not ready yet.
    #[error("the server is starting: it replays its write-ahead log")]
    Starting,
    /// The server is stopping.
    #[error("the server is stopping")]
    Closed,
    /// The store did not take the batch.
    #[error("cannot store the request")]
    Store(#[source] StoreError),
    /// Conversion died: a defect.
    #[error("the request could not be processed because of a defect in the server")]
    Defect,
}

/// What a sender can make of a refusal. Every door has one answer for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The request is wrong and will always be.
    Invalid,
    /// The request is too large and will always be.
    TooLarge,
    /// The request is of a kind this door does not take.
    Unsupported,
    /// There is nothing at this address.
    NotFound,
    /// The address takes other methods.
    Method,
    /// Who asks must say who they are.
    Unauthenticated,
    /// The same request may be taken later.
    Transient {
        /// When to come again.
        retry_after: Duration,
    },
    /// The server failed in a way that trying again does not help.
    Internal,
}

impl Refusal {
    /// What the sender can make of it.
    pub fn kind(&self) -> RefusalKind {
        match self {
            Refusal::Undecodable(DecodeError::TooManyParts { .. }) => RefusalKind::TooLarge,
            Refusal::Undecodable(_) | Refusal::Compression(_) | Refusal::Broken { .. } => RefusalKind::Invalid,
            Refusal::TooLarge { .. } => RefusalKind::TooLarge,
            Refusal::ContentType { .. } | Refusal::ContentEncoding { .. } => RefusalKind::Unsupported,
            Refusal::UnknownPath { .. } => RefusalKind::NotFound,
            Refusal::Method { .. } => RefusalKind::Method,
            Refusal::Unauthenticated => RefusalKind::Unauthenticated,
            Refusal::Overloaded | Refusal::ConnectionFull | Refusal::Memory => {
                RefusalKind::Transient { retry_after: limits::RETRY_AFTER_OVERLOAD }
            }
            Refusal::Starting => RefusalKind::Transient { retry_after: limits::RETRY_AFTER_START },
            Refusal::Slow { .. } | Refusal::Drips { .. } | Refusal::Closed => {
                RefusalKind::Transient { retry_after: limits::RETRY_AFTER_FAILURE }
            }
            Refusal::Store(StoreError::TooLarge { .. }) => RefusalKind::TooLarge,
            Refusal::Store(error) => match error.kind() {
                ErrorKind::Transient => RefusalKind::Transient { retry_after: limits::RETRY_AFTER_FAILURE },
                ErrorKind::Permanent => RefusalKind::Internal,
            },
            Refusal::Defect => RefusalKind::Internal,
        }
    }

    /// The word of the counters.
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::Undecodable(DecodeError::TooManyParts { .. }) => "too_many_parts",
            Refusal::Undecodable(_) => "undecodable",
            Refusal::Compression(_) => "bad_compression",
            Refusal::Broken { .. } => "broken_body",
            Refusal::TooLarge { .. } => "too_large",
            Refusal::ContentType { .. } => "content_type",
            Refusal::ContentEncoding { .. } => "content_encoding",
            Refusal::UnknownPath { .. } => "unknown_path",
            Refusal::Method { .. } => "method",
            Refusal::Overloaded => "overloaded",
            Refusal::ConnectionFull => "connection_full",
            Refusal::Memory => "memory",
            Refusal::Unauthenticated => "unauthenticated",
            Refusal::Drips { .. } => "slow_body",
            Refusal::Slow { .. } => "slow_body",
            Refusal::Starting => "starting",
            Refusal::Closed => "closed",
            Refusal::Store(StoreError::DiskFull { .. }) => "disk_full",
            Refusal::Store(_) => "store",
            Refusal::Defect => "defect",
        }
    }

    /// Where in the request the mistake is, if that is known.
    pub fn place(&self) -> Option<&str> {
        match self {
            Refusal::Undecodable(DecodeError::Json { place, .. }) => Some(place),
            _ => None,
        }
    }

    /// What the sender is told: what is wrong and what to do. What the store said stays in the log.
    pub fn public_message(&self) -> String {
        let hint = match self {
            Refusal::Undecodable(DecodeError::Protobuf { source, .. }) => {
                return format!("{self}: {source}; send the OTLP export request of this signal, as protobuf");
            }
            Refusal::Undecodable(DecodeError::Json { place, offset, what, .. }) => {
                return format!(
                    "{self}: {place}, byte {offset}: {what}; send this signal's export request as OTLP/JSON"
                );
            }
            Refusal::Compression(source) => {
                return format!("{self}: {source}; send whole gzip members or zstd frames and nothing after them");
            }
            Refusal::Undecodable(error @ DecodeError::TooManyParts { .. }) => {
                return format!("{error}; send fewer items per request");
            }
            Refusal::Store(error @ StoreError::TooLarge { .. }) => return error.to_string(),
            Refusal::Broken { .. } => "send the whole body",
            Refusal::TooLarge { .. } => "send fewer items per request, or raise collector.request_bytes_max",
            Refusal::ContentType { .. } => "send application/x-protobuf or application/json",
            Refusal::ContentEncoding { .. } => "send gzip, zstd or identity",
            Refusal::UnknownPath { .. } => "send to /v1/logs, /v1/traces or /v1/metrics",
            Refusal::Method { .. } => "send POST",
            Refusal::Unauthenticated => "send the header Authorization: Bearer TOKEN",
            Refusal::Overloaded
            | Refusal::ConnectionFull
            | Refusal::Memory
            | Refusal::Slow { .. }
            | Refusal::Drips { .. }
            | Refusal::Starting
            | Refusal::Closed => "send the same request again later",
            Refusal::Store(error) if error.kind() == ErrorKind::Transient => "send the same request again later",
            Refusal::Store(_) | Refusal::Defect => "the server's log says more",
        };
        format!("{self}; {hint}")
    }
}
