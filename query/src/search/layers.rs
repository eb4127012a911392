//! Where the values of a field are in a batch: one or more layers, of which for each row the first that has a value counts.
//!
//! Attributes have a typed column of their own, or an entry in an overflow map, or both in different rows; some columns
//! that people see are made from others.

use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::kernels::cmp;
use store::Table;
use store::schema::column;

use crate::search::fields::{Column, Kind, Words};
use crate::search::plan::{Field, Place};

/// One place where a field's values may be.
#[derive(Clone, Debug)]
pub enum Layer {
    /// A column.
    Array(ArrayRef, Look),
    /// Entries of this key in a map column; their values are OTLP/JSON.
    Map(ArrayRef, String),
}

/// How the numbers or bytes of a column are to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// As they are.
    Plain,
    /// As text of which the empty one means that there is none.
    Text,
    /// As hexadecimal digits.
    Hex,
    /// As level words.
    Severity,
    /// As words of an enumeration.
    Word(Words),
    /// As moments.
    Time,
    /// As durations.
    Duration,
}

/// Names of the columns that [`layers`] needs for this field.
pub fn columns(table: Table, field: &Field) -> Vec<String> {
    match field {
        Field::Column(wanted) => {
            let (names, with_overflow) = physical(wanted);
            let overflow = with_overflow.then_some(column::OVERFLOW);
            names.iter().copied().chain(overflow).map(String::from).collect()
        }
        Field::Attribute(place, key) => {
            let sources = sources(table, *place, key);
            sources.into_iter().map(|source| source.column).collect()
        }
    }
}

/// The layers of the field that the batch has.
pub fn layers(table: Table, field: &Field, batch: &RecordBatch) -> Vec<Layer> {
    match field {
        Field::Column(wanted) if wanted.name == "clock_skew" => clock_skew(batch).into_iter().collect(),
        Field::Column(wanted) => column_layers(wanted, batch),
        Field::Attribute(place, key) => {
            let sources = sources(table, *place, key);
            sources.into_iter().filter_map(|source| source.layer(batch)).collect()
        }
    }
}

/// Whether any row of the batch, matching or not, can have the field. Columns always count as known.
pub fn is_known(table: Table, field: &Field, batch: &RecordBatch) -> bool {
    match field {
        Field::Column(_) => true,
        Field::Attribute(..) => layers(table, field, batch).iter().any(|layer| match layer {
            Layer::Array(array, _) => array.null_count() < array.len(),
            Layer::Map(map, key) => {
                let keys = map.as_map().keys().as_string::<i32>();
                keys.iter().any(|found| found == Some(key))
            }
        }),
    }
}

// The columns of the store behind a column of the language, and whether the overflow may hold a value of other type.
fn physical(wanted: &'static Column) -> (Vec<&'static str>, bool) {
    match wanted.name {
        "body" => (vec![column::BODY], true),
        "severity" => (vec![column::SEVERITY_NUMBER], false),
        "status" => (vec![column::STATUS_CODE], false),
        "duration" => (vec![column::DURATION_NS], false),
        "clock_skew" => (vec![column::TIMESTAMP, column::END_TIMESTAMP], false),
        "value" => (vec![column::VALUE_INT, column::VALUE_DOUBLE], false),
        name => (vec![name], false),
    }
}

fn column_layers(wanted: &'static Column, batch: &RecordBatch) -> Vec<Layer> {
    let look = match wanted.kind {
        Kind::Text => Look::Text,
        Kind::Any | Kind::Number | Kind::Bool => Look::Plain,
        Kind::Time => Look::Time,
        Kind::Duration => Look::Duration,
        Kind::Id(_) => Look::Hex,
        Kind::Severity => Look::Severity,
        Kind::Word(words) => Look::Word(words),
    };
    let (names, with_overflow) = physical(wanted);
    let overflow = with_overflow.then(|| map_layer(batch, column::OVERFLOW, wanted.name)).flatten();
    let arrays = names.into_iter().filter_map(|name| batch.column_by_name(name));
    overflow.into_iter().chain(arrays.map(|array| Layer::Array(array.clone(), look))).collect()
}

struct Source {
    column: String,
    // The key in the column, if it is a map.
    key: Option<String>,
}

impl Source {
    fn layer(&self, batch: &RecordBatch) -> Option<Layer> {
        match &self.key {
            Some(key) => map_layer(batch, &self.column, key),
            None => batch.column_by_name(&self.column).map(|array| Layer::Array(array.clone(), Look::Plain)),
        }
    }
}

fn sources(table: Table, place: Place, key: &str) -> Vec<Source> {
    let own = |prefix: &str| Source { column: [prefix, key].concat(), key: None };
    let overflow = |map: &str, prefix: &str| Source { column: map.to_owned(), key: Some([prefix, key].concat()) };
    let record = || match table {
        // Exemplars have few attributes of ever different names: they are one map.
        Table::Exemplars => vec![overflow(column::ATTRIBUTES, "")],
        _ => vec![own(column::ATTR_PREFIX), overflow(column::OVERFLOW, column::ATTR_PREFIX)],
    };
    let resource = || {
        // The service's name lives in a column of its own.
        let service = (key == "service.name").then(|| Source { column: column::SERVICE.to_owned(), key: None });
        let others = [own(column::RES_PREFIX), overflow(column::ENVELOPE_OVERFLOW, column::RES_PREFIX)];
        service.into_iter().chain(others).collect::<Vec<_>>()
    };
    match place {
        Place::Record => record(),
        Place::Resource => resource(),
        Place::RecordOrResource => record().into_iter().chain(resource()).collect(),
        Place::Scope => vec![own(column::SCOPE_PREFIX), overflow(column::ENVELOPE_OVERFLOW, column::SCOPE_PREFIX)],
    }
}

fn map_layer(batch: &RecordBatch, name: &str, key: &str) -> Option<Layer> {
    let map = batch.column_by_name(name).filter(|array| array.as_map_opt().is_some())?;
    Some(Layer::Map(map.clone(), key.to_owned()))
}

fn clock_skew(batch: &RecordBatch) -> Option<Layer> {
    let (start, end) = (batch.column_by_name(column::TIMESTAMP)?, batch.column_by_name(column::END_TIMESTAMP)?);
    let skewed: BooleanArray = cmp::lt(end, start).ok()?;
    Some(Layer::Array(std::sync::Arc::new(skewed), Look::Plain))
}
