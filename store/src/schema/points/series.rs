//! The series that points belong to, and the hash of what tells one from another.

use std::collections::HashMap;
use std::hash::Hasher as _;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Int32Builder, RecordBatch, StringBuilder, UInt8Builder, UInt32Builder, UInt64Builder,
};
use arrow::datatypes::Field;
use siphasher::sip128::{Hasher128 as _, SipHasher13};

use crate::schema::attributes::{AttributeColumns, ValueRef};
use crate::schema::envelope::{EnvelopeColumns, ResourceRow, ScopeRow, record_batch};
use crate::schema::{column, metric_type};

/// The secret of a data directory that series ids are hashed with, so that nobody can aim at a collision.
pub type SeriesKey = [u8; 16];

/// The identity of a series.
#[derive(Clone, Copy, Debug)]
pub struct SeriesRow<'a> {
    /// The resource.
    pub resource: ResourceRow<'a>,
    /// The scope.
    pub scope: ScopeRow<'a>,
    /// OTLP's metric name.
    pub metric: &'a str,
    /// As sent.
    pub description: &'a str,
    /// As sent.
    pub unit: &'a str,
    /// OTLP's metadata of the metric. Of entries with one key the last counts.
    pub metadata: &'a [(&'a str, ValueRef<'a>)],
    /// See [`metric_type`].
    pub metric_type: u8,
    /// OTLP's number; 0 for gauges and summaries.
    pub temporality: i32,
    /// Of sums.
    pub monotonic: bool,
    /// Attributes of the point. Of attributes with one key the last counts.
    pub attributes: &'a [(&'a str, ValueRef<'a>)],
}

/// Columns of series under construction.
#[derive(Debug, Default)]
pub(super) struct SeriesColumns {
    series_id: UInt64Builder,
    series_check: UInt64Builder,
    metric: StringBuilder,
    description: StringBuilder,
    unit: StringBuilder,
    metric_type: UInt8Builder,
    temporality: Int32Builder,
    monotonic: BooleanBuilder,
    attributes: AttributeColumns,
    envelope: UInt32Builder,
    envelopes: EnvelopeColumns,
    envelope_rows: HashMap<EnvelopeIdentity, u32>,
    rows: u32,
}

impl SeriesColumns {
    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    pub(super) fn push(&mut self, stem: &SeriesStem, identity: SeriesIdentity, row: &SeriesRow<'_>) {
        self.rows += 1;
        self.series_id.append_value(identity.id());
        self.series_check.append_value(identity.check());
        self.metric.append_value(row.metric);
        self.description.append_value(row.description);
        self.unit.append_value(row.unit);
        self.metric_type.append_value(row.metric_type);
        self.temporality.append_value(row.temporality);
        self.monotonic.append_option((row.metric_type == metric_type::SUM).then_some(row.monotonic));
        self.attributes.begin_row();
        for (key, value) in row.attributes.iter().rev() {
            self.attributes.put(column::ATTR_PREFIX, key, *value);
        }
        for (key, value) in row.metadata.iter().rev() {
            self.attributes.put_overflow(&[column::METADATA_PREFIX, key].concat(), &value.to_otlp_json_text());
        }
        let envelopes = &mut self.envelopes;
        let known = self.envelope_rows.entry(stem.envelope);
        self.envelope.append_value(*known.or_insert_with(|| envelopes.push(&row.resource, &row.scope)));
    }

    /// The series, and the envelopes that they name.
    pub(super) fn finish(mut self) -> (RecordBatch, RecordBatch) {
        let fixed: [(&str, ArrayRef); 9] = [
            (column::ENVELOPE, Arc::new(self.envelope.finish())),
            (column::SERIES_ID, Arc::new(self.series_id.finish())),
            (column::SERIES_CHECK, Arc::new(self.series_check.finish())),
            (column::METRIC, Arc::new(self.metric.finish())),
            (column::DESCRIPTION, Arc::new(self.description.finish())),
            (column::UNIT, Arc::new(self.unit.finish())),
            (column::TYPE, Arc::new(self.metric_type.finish())),
            (column::TEMPORALITY, Arc::new(self.temporality.finish())),
            (column::MONOTONIC, Arc::new(self.monotonic.finish())),
        ];
        let fixed = fixed.map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array));
        let attributes = self.attributes.finish(column::OVERFLOW);
        (record_batch(fixed.into_iter().chain(attributes).collect()), self.envelopes.finish())
    }
}

/// Bits of an id that the metric's name alone decides. Parts are sorted by ids: so the series of a metric are neighbours there, a question
/// about it reads little else, and what resembles each other is compressed together. Few, as they are missing where ids must differ.
const METRIC_BITS: u32 = 12;

// The bits of an identity that are not the metric's.
const OWN_MASK: u128 = u128::MAX >> METRIC_BITS;

/// What tells one series from another, hashed: the first half is its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesIdentity(u128);

impl SeriesIdentity {
    /// The id of the series.
    pub fn id(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// Tells a collision of ids from a repetition.
    pub(super) fn check(self) -> u64 {
        self.0 as u64
    }
}

/// The identity of all series of one metric, but for their attributes.
#[derive(Clone, Copy, Debug)]
pub struct SeriesStem {
    hasher: SipHasher13,
    // A hash of the metric's name. Its first bits are those of all identities.
    name: u128,
    envelope: EnvelopeIdentity,
}

// A hash of a resource and a scope, and the one number of theirs that is not in it.
type EnvelopeIdentity = (u128, u32);

impl SeriesStem {
    /// Everything that the series of a metric share. Attribute lists are hashed in the order of their keys, each text with its
    /// length, so that no two identities share a byte string.
    pub(super) fn new(key: &SeriesKey, row: &SeriesRow<'_>) -> Self {
        let mut hasher = SipHasher13::new_with_key(key);
        hash_attributes(&mut hasher, row.resource.attributes);
        hash_text(&mut hasher, row.resource.schema_url);
        hash_text(&mut hasher, row.resource.entity_refs_json);
        hasher.write_u32(row.resource.dropped_attributes_count);
        hash_attributes(&mut hasher, row.scope.attributes);
        for text in [row.scope.name, row.scope.version, row.scope.schema_url] {
            hash_text(&mut hasher, text);
        }
        let envelope = (hasher.finish128().as_u128(), row.scope.dropped_attributes_count);
        for text in [row.metric, row.description, row.unit] {
            hash_text(&mut hasher, text);
        }
        hasher.write_u32(row.scope.dropped_attributes_count);
        hash_attributes(&mut hasher, row.metadata);
        hasher.write_u8(row.metric_type);
        hasher.write_i32(row.temporality);
        hasher.write_u8(u8::from(row.monotonic));
        let mut of_metric = SipHasher13::new_with_key(key);
        of_metric.write(row.metric.as_bytes());
        Self { hasher, name: of_metric.finish128().as_u128(), envelope }
    }

    /// Tells this metric's name from all others, whatever else its series have.
    pub fn metric_id(&self) -> u64 {
        (self.name >> 64) as u64
    }

    /// The identity of the series with these attributes.
    pub fn with(&self, attributes: &[(&str, ValueRef<'_>)]) -> SeriesIdentity {
        let mut hasher = self.hasher;
        hash_attributes(&mut hasher, attributes);
        SeriesIdentity(self.name & !OWN_MASK | hasher.finish128().as_u128() & OWN_MASK)
    }
}

fn hash_attributes(hasher: &mut SipHasher13, attributes: &[(&str, ValueRef<'_>)]) {
    // Points have few, which is sorted where it lies.
    let mut few = [0; 16];
    let mut many = Vec::new();
    let order = match few.get_mut(..attributes.len()) {
        Some(few) => few,
        None => {
            many.resize(attributes.len(), 0);
            &mut many[..]
        }
    };
    order.iter_mut().enumerate().for_each(|(place, position)| *position = place);
    // Sorted by key; among equal keys the last one sent comes first, and the others are skipped.
    order.sort_unstable_by_key(|position| (attributes[*position].0, usize::MAX - position));
    let is_first = |place: usize| place == 0 || attributes[order[place - 1]].0 != attributes[order[place]].0;
    hasher.write_usize((0..order.len()).filter(|place| is_first(*place)).count());
    for place in (0..order.len()).filter(|place| is_first(*place)) {
        let (key, value) = attributes[order[place]];
        hash_text(hasher, key);
        hash_value(hasher, value);
    }
}

fn hash_value(hasher: &mut SipHasher13, value: ValueRef<'_>) {
    match value {
        ValueRef::String(text) => {
            hasher.write_u8(1);
            hash_text(hasher, text);
        }
        ValueRef::Bool(value) => hasher.write(&[2, u8::from(value)]),
        ValueRef::Int(value) => {
            hasher.write_u8(3);
            hasher.write_i64(value);
        }
        ValueRef::Double(value) => {
            hasher.write_u8(4);
            hasher.write_u64(value.to_bits());
        }
        ValueRef::Bytes(bytes) => {
            hasher.write_u8(5);
            hasher.write_usize(bytes.len());
            hasher.write(bytes);
        }
        ValueRef::Nested(_) => {
            hasher.write_u8(6);
            hash_text(hasher, &value.to_otlp_json_text());
        }
    }
}

fn hash_text(hasher: &mut SipHasher13, text: &str) {
    hasher.write_usize(text.len());
    hasher.write(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_a_metric_are_neighbours_and_all_else_tells_them_apart() {
        let key = [9; 16];
        let identity = |metric: &str, unit: &str, value: i64| {
            let row = SeriesRow {
                resource: ResourceRow::default(),
                scope: ScopeRow::default(),
                metric,
                description: "",
                unit,
                metadata: &[],
                metric_type: metric_type::GAUGE,
                temporality: 0,
                monotonic: false,
                attributes: &[],
            };
            SeriesStem::new(&key, &row).with(&[("a", ValueRef::Int(value))])
        };
        let first_bits = |identity: SeriesIdentity| identity.id() >> (u64::BITS - METRIC_BITS);
        let one = identity("memory", "By", 1);
        let others = (2..2_000).map(|value| identity("memory", ["By", "s"][value as usize % 2], value));
        let all: std::collections::HashSet<SeriesIdentity> = others.chain([one]).collect();
        assert_eq!(all.len(), 1_999);
        assert!(all.iter().all(|identity| first_bits(*identity) == first_bits(one)));
        let metrics = (0..100).map(|metric| first_bits(identity(&format!("metric {metric}"), "", 1)));
        assert!(metrics.collect::<std::collections::HashSet<u64>>().len() > 90, "metrics are spread");
    }
}
