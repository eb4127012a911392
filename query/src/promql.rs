//! PromQL with Prometheus's semantics: parse, plan, evaluate over a [`SeriesSource`]. What exists is what [`Plan`] accepts;
//! everything else is refused by name and place.
//!
//! Not an HTTP API: that is `api/prom`. Rules use the same engine.

mod dialect;
mod engine;
mod error;
mod eval;
mod features;
mod function;
mod histogram;
pub mod limits;
mod matcher;
pub mod notation;
mod parse;
mod plan;
mod selectors;
mod source;
mod staleness;
mod summation;
mod tokens;
mod value;

pub use engine::{Options, instant, instant_plan, range, range_plan};
pub use error::{Kind, PromqlError};
pub use eval::Budget;
pub use features::{Feature, Features};
pub use histogram::{Bucket, Buckets, CUSTOM_SCHEMA, Hint, Histogram, SCHEMA_MAX, SCHEMA_MIN, Whole};
pub use matcher::{Condition, Matcher, all_accept, only_name};
pub use parse::{format, tree};
pub use plan::{Plan, series_selector};
pub use selectors::selectors;
pub use source::{
    MemorySource, MetricFacts, MillisRange, Samples, Selection, SeriesSource, StoreSource, StoredExemplar,
    StoredSeries, Translator,
};
pub use staleness::{is_stale, stale_marker};
pub use value::{Answer, Element, Point, Points, Sample, Steps, Value};
