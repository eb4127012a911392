//! Exemplars, alone and beside their points.

use std::collections::HashMap;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, UInt8Type, UInt32Type, UInt64Type};
use arrow::error::ArrowError;
use model::TimeRange;
use model::attributes::{double_json, int_json};
use model::wire::points::Exemplar;
use serde_json::{Map, Value};
use store::schema::{column, derived};
use store::{Narrow, Projection, Snapshot, StoreError, Table};

use crate::rows::columns::{Ids, Maps, Numbers, Texts, Times};
use crate::rows::envelope::{otlp_attributes, plain, put_list, put_long, put_text};

/// Reads the rows of a batch of exemplars.
#[derive(Debug)]
pub struct ExemplarReader {
    timestamp: Times,
    derived: Numbers<UInt8Type>,
    seq: Numbers<UInt64Type>,
    ordinal: Numbers<UInt32Type>,
    metric: Texts,
    service: Texts,
    value_int: Numbers<Int64Type>,
    value_double: Numbers<Float64Type>,
    trace_id: Ids,
    span_id: Ids,
    correlation_id: Texts,
    attributes: Maps,
}

impl ExemplarReader {
    /// Reads the rows of this batch.
    pub fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        Ok(Self {
            timestamp: Times::of(batch, column::TIMESTAMP)?,
            derived: Numbers::of(batch, column::DERIVED_TIMES)?,
            seq: Numbers::of(batch, column::INGEST_SEQ)?,
            ordinal: Numbers::of(batch, column::ORDINAL)?,
            metric: Texts::of(batch, column::METRIC)?,
            service: Texts::of(batch, column::SERVICE)?,
            value_int: Numbers::of(batch, column::VALUE_INT)?,
            value_double: Numbers::of(batch, column::VALUE_DOUBLE)?,
            trace_id: Ids::of(batch, column::TRACE_ID),
            span_id: Ids::of(batch, column::SPAN_ID),
            correlation_id: Texts::of(batch, column::CORRELATION_ID)?,
            attributes: Maps::of(batch, column::ATTRIBUTES),
        })
    }

    /// An exemplar that stands alone: it names its metric and service.
    pub fn alone(&self, row: usize) -> Exemplar {
        Exemplar {
            metric: self.metric.get(row).map(String::from),
            service: self.service.get(row).map(String::from),
            ..self.beside_point(row)
        }
    }

    /// The trace the row names.
    pub fn trace_id(&self, row: usize) -> Option<&[u8]> {
        self.trace_id.get(row)
    }

    fn beside_point(&self, row: usize) -> Exemplar {
        Exemplar {
            timestamp: self.timestamp.time(row).to_string(),
            metric: None,
            service: None,
            value: value_json(self.value_int.get(row), self.value_double.get(row)).unwrap_or(Value::Null),
            trace_id: self.trace_id.hex(row),
            span_id: self.span_id.hex(row),
            correlation_id: self.correlation_id.get(row).map(String::from),
            attributes: plain(self.attributes.values(row, "")),
        }
    }

    fn otlp(&self, row: usize) -> Value {
        let mut exemplar = Map::new();
        let sent = self.derived.number(row) & derived::TIMESTAMP == 0;
        put_long(&mut exemplar, "timeUnixNano", if sent { self.timestamp.number(row) } else { 0 });
        put_otlp_value(&mut exemplar, self.value_int.get(row), self.value_double.get(row));
        put_list(&mut exemplar, "filteredAttributes", otlp_attributes(self.attributes.values(row, "")));
        put_text(&mut exemplar, "traceId", self.trace_id.hex(row).as_deref());
        put_text(&mut exemplar, "spanId", self.span_id.hex(row).as_deref());
        Value::Object(exemplar)
    }
}

/// The exemplars of some points, by the points' `ingest_seq`, in the order they were sent.
#[derive(Debug, Default)]
pub struct ExemplarsOfPoints {
    readers: Vec<ExemplarReader>,
    // Ordinal, reader, row.
    by_point: HashMap<u64, Vec<(u32, usize, usize)>>,
}

impl ExemplarsOfPoints {
    /// Finds the exemplars of the points with these numbers, which must be sorted.
    pub fn find(snapshot: &Snapshot, points: &[u64]) -> Result<Self, StoreError> {
        let mut found = Self::default();
        let (Some(least), Some(greatest)) = (points.first(), points.last()) else {
            return Ok(found);
        };
        let numbers = Projection::Columns(vec![column::INGEST_SEQ.to_owned()]);
        // An exemplar's time may lie far from its point's.
        for granule in snapshot.granules(Table::Exemplars, TimeRange::ALL, &Narrow::All)? {
            let (first, last) = granule.seq_bounds();
            if first > *greatest || last < *least {
                continue;
            }
            let batch = granule.read(&numbers)?;
            let seqs = batch[column::INGEST_SEQ].as_primitive::<UInt64Type>();
            let rows: Vec<u32> = (0..)
                .zip(seqs.values())
                .filter(|(_, seq)| points.binary_search(seq).is_ok())
                .map(|(row, _)| row)
                .collect();
            if !rows.is_empty() {
                found.add(&granule.read_rows(&Projection::All, &rows)?)?;
            }
        }
        found.by_point.values_mut().for_each(|exemplars| exemplars.sort_unstable());
        Ok(found)
    }

    /// The exemplars of a point as rows show them.
    pub fn rows(&self, point: u64) -> Vec<Exemplar> {
        self.places(point).iter().map(|(_, reader, row)| self.readers[*reader].beside_point(*row)).collect()
    }

    /// The exemplars of a point as OTLP/JSON.
    pub fn otlp(&self, point: u64) -> Vec<Value> {
        self.places(point).iter().map(|(_, reader, row)| self.readers[*reader].otlp(*row)).collect()
    }

    fn places(&self, point: u64) -> &[(u32, usize, usize)] {
        self.by_point.get(&point).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), StoreError> {
        let reader =
            ExemplarReader::new(batch).map_err(|source| StoreError::Columns { operation: "read exemplars", source })?;
        for row in 0..batch.num_rows() {
            let place = (reader.ordinal.number(row), self.readers.len(), row);
            self.by_point.entry(reader.seq.number(row)).or_default().push(place);
        }
        self.readers.push(reader);
        Ok(())
    }
}

/// A measured number as plain JSON.
pub fn value_json(int: Option<i64>, double: Option<f64>) -> Option<Value> {
    int.map(int_json).or_else(|| double.map(double_json))
}

/// Adds `asInt` or `asDouble`.
pub fn put_otlp_value(object: &mut Map<String, Value>, int: Option<i64>, double: Option<f64>) {
    if let Some(value) = int {
        put_long(object, "asInt", value);
    } else if let Some(value) = double {
        object.insert("asDouble".into(), double_json(value));
    }
}
