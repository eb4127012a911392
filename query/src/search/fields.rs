//! The fields a filter can name in each table, and what kind of value each has. The physical columns behind them are the
//! business of `values`.

use store::Table;

/// A field that every row of a table may have, apart from attributes.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Column {
    /// The name as people write it.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
}

/// What the values of a column are; it decides what can be asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text.
    Text,
    /// Any OTLP value: a log's body.
    Any,
    /// Whole or fractional numbers.
    Number,
    /// `true` or `false`.
    Bool,
    /// Nanoseconds since the Unix epoch.
    Time,
    /// Nanoseconds.
    Duration,
    /// Binary ids, written as this many hexadecimal digits.
    Id(usize),
    /// OTLP's severity number, written as its level word.
    Severity,
    /// An enumeration, written as a word.
    Word(Words),
}

/// The enumerations of OTLP that rows show as words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Words {
    /// Kind of a span.
    SpanKind,
    /// Status code of a span.
    SpanStatus,
    /// Type of a metric.
    MetricType,
    /// Temporality of a sum or histogram.
    Temporality,
}

/// The column of this name, if the table has one.
pub fn column(table: Table, name: &str) -> Option<&'static Column> {
    own(table).iter().chain(COMMON).find(|column| column.name == name)
}

/// The column that words without a field are looked for in.
pub fn default_column(table: Table) -> &'static Column {
    let name = match table {
        Table::Logs => "body",
        Table::Spans => "name",
        Table::Points | Table::Exemplars => "metric",
    };
    column(table, name).expect("each table has its default column")
}

/// Names of all columns of a table, its own first.
pub fn names(table: Table) -> impl Iterator<Item = &'static str> {
    own(table).iter().chain(COMMON).map(|column| column.name)
}

const fn field(name: &'static str, kind: Kind) -> Column {
    Column { name, kind }
}

fn own(table: Table) -> &'static [Column] {
    match table {
        Table::Logs => LOGS,
        Table::Spans => SPANS,
        Table::Points => POINTS,
        Table::Exemplars => EXEMPLARS,
    }
}

const COMMON: &[Column] = &[
    field("timestamp", Kind::Time),
    field("ingest_seq", Kind::Number),
    field("service", Kind::Text),
    field("scope_name", Kind::Text),
    field("scope_version", Kind::Text),
    field("scope_schema_url", Kind::Text),
    field("resource_schema_url", Kind::Text),
];

const LOGS: &[Column] = &[
    field("body", Kind::Any),
    field("severity", Kind::Severity),
    field("severity_number", Kind::Number),
    field("severity_text", Kind::Text),
    field("event_name", Kind::Text),
    field("trace_id", Kind::Id(32)),
    field("span_id", Kind::Id(16)),
    field("correlation_id", Kind::Text),
    field("observed_timestamp", Kind::Time),
    field("flags", Kind::Number),
    field("dropped_attributes_count", Kind::Number),
];

const SPANS: &[Column] = &[
    field("name", Kind::Text),
    field("kind", Kind::Word(Words::SpanKind)),
    field("status", Kind::Word(Words::SpanStatus)),
    field("status_message", Kind::Text),
    field("duration", Kind::Duration),
    field("duration_ns", Kind::Number),
    field("trace_id", Kind::Id(32)),
    field("span_id", Kind::Id(16)),
    field("parent_span_id", Kind::Id(16)),
    field("correlation_id", Kind::Text),
    field("end_timestamp", Kind::Time),
    field("trace_state", Kind::Text),
    field("clock_skew", Kind::Bool),
    field("flags", Kind::Number),
    field("dropped_attributes_count", Kind::Number),
    field("dropped_events_count", Kind::Number),
    field("dropped_links_count", Kind::Number),
];

const POINTS: &[Column] = &[
    field("metric", Kind::Text),
    field("type", Kind::Word(Words::MetricType)),
    field("unit", Kind::Text),
    field("description", Kind::Text),
    field("temporality", Kind::Word(Words::Temporality)),
    field("monotonic", Kind::Bool),
    field("start_timestamp", Kind::Time),
    field("value", Kind::Number),
    field("count", Kind::Number),
    field("sum", Kind::Number),
    field("min", Kind::Number),
    field("max", Kind::Number),
    field("scale", Kind::Number),
    field("zero_count", Kind::Number),
    field("flags", Kind::Number),
];

const EXEMPLARS: &[Column] = &[
    field("metric", Kind::Text),
    field("value", Kind::Number),
    field("trace_id", Kind::Id(32)),
    field("span_id", Kind::Id(16)),
    field("correlation_id", Kind::Text),
];
