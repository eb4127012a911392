//! The words every Sextant crate shares. No Arrow, no data files, no connections: what stands here can be used by the terminal as
//! well as by the store.

pub mod attributes;
pub mod clock;
pub mod duration;
pub mod file_patterns;
pub mod id;
pub mod labels;
pub mod memory;
pub mod names;
pub mod signal;
pub mod small_file;
pub mod stats;
pub mod threads;
pub mod time;
#[cfg(feature = "tls")]
pub mod tls;
pub mod wire;
pub mod yaml;

pub use clock::{Clock, ManualClock, SystemClock};
pub use id::{CorrelationId, SpanId, TraceId};
pub use labels::Labels;
pub use signal::Signal;
pub use time::{TimeRange, Timestamp};
