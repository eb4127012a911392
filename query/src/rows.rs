//! Rows of the store as people and programs see them: batches of columns in, wire rows or OTLP/JSON out.

pub mod columns;
mod envelope;
pub mod exemplars;
mod logs;
pub mod otlp;
mod points;
pub mod reader;
mod spans;

pub use logs::LogReader;
pub use points::PointReader;
pub use spans::SpanReader;
