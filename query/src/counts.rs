//! Counts over time: records by kind in buckets, and rate, errors and duration of services. What `api/histogram` and
//! `api/services` answer.

mod buckets;
pub mod histogram;
pub mod services;
mod sketch;

pub use buckets::Buckets;
