//! The write path: OTLP in, durable columns out. Never queries.
//!
//! [`receiver`] has the doors (gRPC and HTTP), [`Intake`] the one way behind them, [`convert`] the step from wire bytes to
//! the store's columns. The root package makes the [`Intake`], binds the listeners and serves the doors on them.

mod config;
mod conversions;
pub mod convert;
mod error;
mod intake;
pub mod limits;
mod outcome;
mod own;
mod pipeline;
mod receipts;
pub mod receiver;
pub mod scrape;
mod stats;

pub use config::{Config, ConfigError};
pub use error::{DecodeError, Refusal, RefusalKind};
pub use intake::Intake;
pub use outcome::{Fate, Limited, OfService, Outcome, Reason, Services, Tally, Warning};
pub use own::{Myself, OwnEvent, OwnRecord, OwnSpan, OwnValue, Within};
pub use receiver::Door;
pub use receiver::either::either;
pub use receiver::grpc::{ServeError, grpc_router, serve_grpc};
pub use receiver::http::http_router;
pub use receiver::protect::protect;
pub use receiver::share::Share;
