//! The columns of every table, from the builders that `collector::convert` fills to the flat batches that parts and queries
//! see. What a name means on disk is written in `store/docs/format.md`; the names themselves stand only here.
//!
//! A request becomes one [`Batch`]: rows, and a *shared* table that the rows point into. For logs and spans the shared
//! table holds envelopes (one resource and scope each), for points it holds series. Envelopes are expanded into the rows
//! when a batch is made flat; series stay a table of their own, joined by `series_id`.

mod attributes;
mod coded;
mod envelope;
mod flat;
pub(crate) mod hash;
mod logs;
mod points;
mod promote;
mod spans;
pub(crate) mod texts;

pub use attributes::{AttributeColumns, MapColumn, ValueRef, typed_value};
pub(crate) use coded::{Coded, coded, is_never_coded};
pub use envelope::{EnvelopeColumns, ResourceRow, ScopeRow};
pub(crate) use flat::flat_series_rows;
pub use flat::{expanded_rows, expansion_bytes, flat_exemplars, flat_rows, flat_series};
pub use logs::{LogColumns, LogRow};
pub(crate) use points::point_fields;
pub use points::{ExemplarRow, PointColumns, PointRow, PointValue, SeriesIdentity, SeriesKey, SeriesRow, SeriesStem};
pub(crate) use promote::{Census, Shape, is_overflow};
pub use promote::{is_attribute, joined, map_entries};
pub use spans::{EventRow, LinkRow, SpanColumns, SpanRow};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use model::Signal;
use std::sync::Arc;

/// What one request becomes: columns, not yet numbered.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Which signal the rows are of.
    pub signal: Signal,
    /// One row per item; the column [`column::SHARED`] points into `shared`.
    pub rows: RecordBatch,
    /// Envelopes of logs and spans, series of points.
    pub shared: RecordBatch,
    /// Of points: the envelopes of their series; the column [`column::ENVELOPE`] of `shared` points into it. Without it every
    /// series carries its own.
    pub envelopes: Option<RecordBatch>,
    /// Of points: their exemplars; the column [`column::POINT_ROW`] points into `rows`.
    pub exemplars: Option<RecordBatch>,
}

impl Batch {
    /// Number of items.
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that the columns take in memory.
    pub fn memory_bytes(&self) -> usize {
        let optional = [&self.envelopes, &self.exemplars].into_iter().flatten();
        let optional: usize = optional.map(RecordBatch::get_array_memory_size).sum();
        self.rows.get_array_memory_size() + self.shared.get_array_memory_size() + optional
    }
}

/// The tables of the store. Series are part of the points' parts, not a table that is asked for alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Table {
    /// Log records.
    Logs,
    /// Spans.
    Spans,
    /// Metric data points.
    Points,
    /// Exemplars of points.
    Exemplars,
}

impl Table {
    /// All tables.
    pub const ALL: [Table; 4] = [Table::Logs, Table::Spans, Table::Points, Table::Exemplars];

    /// The word used for directories and counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Table::Logs => "logs",
            Table::Spans => "spans",
            Table::Points => "points",
            Table::Exemplars => "exemplars",
        }
    }

    /// The signal whose batches fill the table.
    pub const fn signal(self) -> Signal {
        match self {
            Table::Logs => Signal::Logs,
            Table::Spans => Signal::Spans,
            Table::Points | Table::Exemplars => Signal::Points,
        }
    }
}

/// Names of the fixed columns. Attributes have columns named by a prefix and their key.
#[allow(missing_docs, reason = "what each column holds is written once, in store/docs/format.md")]
pub mod column {
    // Every table.
    pub const TIMESTAMP: &str = "timestamp";
    pub const INGEST_SEQ: &str = "ingest_seq";
    pub const DERIVED_TIMES: &str = "derived_times";
    pub const SERVICE: &str = "service";
    pub const TRACE_ID: &str = "trace_id";
    pub const SPAN_ID: &str = "span_id";
    pub const CORRELATION_ID: &str = "correlation_id";
    pub const FLAGS: &str = "flags";
    pub const DROPPED_ATTRIBUTES_COUNT: &str = "dropped_attributes_count";
    /// Map of attributes that have no column of their own: `attr:KEY` to OTLP/JSON.
    pub const OVERFLOW: &str = "overflow";

    // Envelope.
    pub const RESOURCE_SCHEMA_URL: &str = "resource_schema_url";
    pub const RESOURCE_DROPPED_ATTRIBUTES_COUNT: &str = "resource_dropped_attributes_count";
    pub const SCOPE_NAME: &str = "scope_name";
    pub const SCOPE_VERSION: &str = "scope_version";
    pub const SCOPE_SCHEMA_URL: &str = "scope_schema_url";
    pub const SCOPE_DROPPED_ATTRIBUTES_COUNT: &str = "scope_dropped_attributes_count";
    /// Map of the envelope's attributes that have no column of their own: `res:KEY`, `scope:KEY`, `entity_refs`.
    pub const ENVELOPE_OVERFLOW: &str = "envelope_overflow";

    // Only inside a batch: positions in its other tables.
    pub const SHARED: &str = "shared";
    pub const ENVELOPE: &str = "envelope";
    pub const POINT_ROW: &str = "point_row";

    // Logs.
    pub const OBSERVED_TIMESTAMP: &str = "observed_timestamp";
    pub const SEVERITY_NUMBER: &str = "severity_number";
    pub const SEVERITY_TEXT: &str = "severity_text";
    pub const BODY: &str = "body";
    pub const EVENT_NAME: &str = "event_name";

    // Spans.
    pub const END_TIMESTAMP: &str = "end_timestamp";
    pub const DURATION_NS: &str = "duration_ns";
    pub const PARENT_SPAN_ID: &str = "parent_span_id";
    pub const NAME: &str = "name";
    pub const KIND: &str = "kind";
    pub const TRACE_STATE: &str = "trace_state";
    pub const STATUS_CODE: &str = "status_code";
    pub const STATUS_MESSAGE: &str = "status_message";
    pub const DROPPED_EVENTS_COUNT: &str = "dropped_events_count";
    pub const DROPPED_LINKS_COUNT: &str = "dropped_links_count";
    pub const EVENTS: &str = "events";
    pub const LINKS: &str = "links";

    // Points and series.
    pub const SERIES_ID: &str = "series_id";
    pub const SERIES_CHECK: &str = "series_check";
    pub const METRIC: &str = "metric";
    pub const DESCRIPTION: &str = "description";
    pub const UNIT: &str = "unit";
    pub const TYPE: &str = "type";
    pub const TEMPORALITY: &str = "temporality";
    pub const MONOTONIC: &str = "monotonic";
    pub const START_TIMESTAMP: &str = "start_timestamp";
    pub const VALUE_INT: &str = "value_int";
    pub const VALUE_DOUBLE: &str = "value_double";
    /// In files alone: doubles that are decimal numbers.
    pub(crate) const VALUE_UNITS: &str = "value_units";
    pub(crate) const VALUE_SCALE: &str = "value_scale";
    pub const COUNT: &str = "count";
    pub const SUM: &str = "sum";
    pub const MIN: &str = "min";
    pub const MAX: &str = "max";
    pub const BUCKET_COUNTS: &str = "bucket_counts";
    pub const EXPLICIT_BOUNDS: &str = "explicit_bounds";
    pub const SCALE: &str = "scale";
    pub const ZERO_COUNT: &str = "zero_count";
    pub const ZERO_THRESHOLD: &str = "zero_threshold";
    pub const POSITIVE_OFFSET: &str = "positive_offset";
    pub const POSITIVE_COUNTS: &str = "positive_counts";
    pub const NEGATIVE_OFFSET: &str = "negative_offset";
    pub const NEGATIVE_COUNTS: &str = "negative_counts";
    pub const QUANTILES: &str = "quantiles";
    pub const EXEMPLAR_COUNT: &str = "exemplar_count";
    /// Of points of series with delta temporality: the running total, see [`Total`](crate::delta::Total).
    pub const TOTAL: &str = "total";

    // Exemplars.
    pub const ORDINAL: &str = "ordinal";
    pub const ATTRIBUTES: &str = "attributes";

    // Prefixes of attribute columns and of keys in the overflow maps.
    pub const ATTR_PREFIX: &str = "attr:";
    pub const RES_PREFIX: &str = "res:";
    pub const SCOPE_PREFIX: &str = "scope:";
    /// In a series' overflow: OTLP's metadata of the metric.
    pub const METADATA_PREFIX: &str = "metadata:";
    /// In a log's overflow: the body, where it is no text. The column `body` then holds its plain JSON.
    pub const BODY_KEY: &str = "body";
    /// In an envelope's overflow: OTLP's entity references of the resource, as an OTLP/JSON array.
    pub const ENTITY_REFS_KEY: &str = "entity_refs";
}

/// Bits of the column `derived_times`: which times the sender left at 0 and the server filled in.
pub mod derived {
    /// `timestamp` is not the record's own: logs take the observed time, points the time of receipt.
    pub const TIMESTAMP: u8 = 1;
    /// `observed_timestamp` is the time of receipt.
    pub const OBSERVED: u8 = 2;
}

/// Numbers of the column `type`, in the order in which OTLP's `Metric.data` lists them.
#[allow(missing_docs, reason = "the constants are OTLP's own words")]
pub mod metric_type {
    pub const GAUGE: u8 = 1;
    pub const SUM: u8 = 2;
    pub const HISTOGRAM: u8 = 3;
    pub const EXPONENTIAL_HISTOGRAM: u8 = 4;
    pub const SUMMARY: u8 = 5;

    /// The word rows show for the number.
    pub fn word(number: u8) -> &'static str {
        match number {
            GAUGE => "gauge",
            SUM => "sum",
            HISTOGRAM => "histogram",
            EXPONENTIAL_HISTOGRAM => "exponential_histogram",
            SUMMARY => "summary",
            _ => "unknown",
        }
    }
}

/// Nanoseconds since the Unix epoch, UTC.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))
}

/// Map from text to OTLP/JSON text, named as the Parquet specification names it.
pub fn map_type() -> DataType {
    DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(map_fields()), false)), false)
}

fn map_fields() -> Fields {
    Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, false)])
}
