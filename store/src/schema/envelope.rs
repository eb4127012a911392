//! Envelopes: the resource and scope that rows of a request share.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, RecordBatch, StringBuilder, UInt32Builder};
use arrow::datatypes::{Field, Schema};

use super::attributes::{AttributeColumns, ValueRef};
use super::column;

/// A resource as OTLP sends it. Of attributes with one key the last counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct ResourceRow<'a> {
    /// Attributes in the order they were sent.
    pub attributes: &'a [(&'a str, ValueRef<'a>)],
    /// How many attributes were dropped before sending.
    pub dropped_attributes_count: u32,
    /// Schema URL of the resource.
    pub schema_url: &'a str,
    /// OTLP's entity references as an OTLP/JSON array; empty if there are none.
    pub entity_refs_json: &'a str,
}

/// An instrumentation scope as OTLP sends it. Of attributes with one key the last counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScopeRow<'a> {
    /// The scope's name.
    pub name: &'a str,
    /// The scope's version.
    pub version: &'a str,
    /// Attributes in the order they were sent.
    pub attributes: &'a [(&'a str, ValueRef<'a>)],
    /// How many attributes were dropped before sending.
    pub dropped_attributes_count: u32,
    /// Schema URL of the scope's telemetry.
    pub schema_url: &'a str,
}

const SERVICE_NAME: &str = "service.name";

/// Columns of envelopes under construction, one row per resource and scope.
#[derive(Debug, Default)]
pub struct EnvelopeColumns {
    rows: u32,
    service: StringBuilder,
    resource_schema_url: StringBuilder,
    resource_dropped: UInt32Builder,
    scope_name: StringBuilder,
    scope_version: StringBuilder,
    scope_schema_url: StringBuilder,
    scope_dropped: UInt32Builder,
    attributes: AttributeColumns,
}

impl EnvelopeColumns {
    /// Adds an envelope; answers its row.
    pub fn push(&mut self, resource: &ResourceRow<'_>, scope: &ScopeRow<'_>) -> u32 {
        self.attributes.begin_row();
        // The name lives in the column `service` alone, where every table and query looks for it; one that is no text is an
        // attribute like any other. Of several the last decides which of the two it is.
        let named = resource.attributes.iter().rposition(|(key, _)| *key == SERVICE_NAME);
        let service = named.and_then(|position| match resource.attributes[position].1 {
            ValueRef::String(name) => Some(name),
            _ => None,
        });
        for (key, value) in resource.attributes.iter().rev() {
            if service.is_none() || *key != SERVICE_NAME {
                self.attributes.put(column::RES_PREFIX, key, *value);
            }
        }
        for (key, value) in scope.attributes.iter().rev() {
            self.attributes.put(column::SCOPE_PREFIX, key, *value);
        }
        if !resource.entity_refs_json.is_empty() {
            self.attributes.put_overflow(column::ENTITY_REFS_KEY, resource.entity_refs_json);
        }
        self.service.append_option(service);
        self.resource_schema_url.append_value(resource.schema_url);
        self.resource_dropped.append_value(resource.dropped_attributes_count);
        self.scope_name.append_value(scope.name);
        self.scope_version.append_value(scope.version);
        self.scope_schema_url.append_value(scope.schema_url);
        self.scope_dropped.append_value(scope.dropped_attributes_count);
        self.rows += 1;
        self.rows - 1
    }

    pub(super) fn finish_columns(mut self) -> Vec<(Field, ArrayRef)> {
        let fixed: [(&str, ArrayRef); 7] = [
            (column::SERVICE, Arc::new(self.service.finish())),
            (column::RESOURCE_SCHEMA_URL, Arc::new(self.resource_schema_url.finish())),
            (column::RESOURCE_DROPPED_ATTRIBUTES_COUNT, Arc::new(self.resource_dropped.finish())),
            (column::SCOPE_NAME, Arc::new(self.scope_name.finish())),
            (column::SCOPE_VERSION, Arc::new(self.scope_version.finish())),
            (column::SCOPE_SCHEMA_URL, Arc::new(self.scope_schema_url.finish())),
            (column::SCOPE_DROPPED_ATTRIBUTES_COUNT, Arc::new(self.scope_dropped.finish())),
        ];
        let fields = fixed.map(|(name, array)| (Field::new(name, array.data_type().clone(), true), array));
        fields.into_iter().chain(self.attributes.finish(column::ENVELOPE_OVERFLOW)).collect()
    }

    /// The finished table.
    pub fn finish(self) -> RecordBatch {
        record_batch(self.finish_columns())
    }
}

/// A record batch of columns that have one length by construction.
pub(super) fn record_batch(columns: Vec<(Field, ArrayRef)>) -> RecordBatch {
    let (fields, mut arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    // Builders begin with room for a thousand values: a batch of ten rows would hold a hundred times its size in the head.
    arrays.iter_mut().for_each(|array| array.shrink_to_fit());
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .expect("every builder of a table gets one value per row, of the type its field is made from")
}
