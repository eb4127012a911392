//! The resource and scope of a row.

use arrow::array::RecordBatch;
use arrow::datatypes::UInt32Type;
use arrow::error::ArrowError;
use model::attributes::AttributeValue;
use model::wire;
use serde_json::{Map, Value, json};
use store::schema::column;

use crate::rows::columns::{AttributeReader, Maps, Numbers, Texts};

/// Attributes of a row, each key once.
pub type Attributes = Vec<(String, AttributeValue)>;

/// Reads resources and scopes.
#[derive(Debug)]
pub struct EnvelopeReader {
    service: Texts,
    resource: AttributeReader,
    scope: AttributeReader,
    overflow: Maps,
    resource_schema_url: Texts,
    resource_dropped: Numbers<UInt32Type>,
    scope_name: Texts,
    scope_version: Texts,
    scope_schema_url: Texts,
    scope_dropped: Numbers<UInt32Type>,
}

impl EnvelopeReader {
    /// Reads the rows of this batch.
    pub fn new(batch: &RecordBatch) -> Result<Self, ArrowError> {
        Ok(Self {
            service: Texts::of(batch, column::SERVICE)?,
            resource: AttributeReader::of(batch, column::RES_PREFIX, column::ENVELOPE_OVERFLOW)?,
            scope: AttributeReader::of(batch, column::SCOPE_PREFIX, column::ENVELOPE_OVERFLOW)?,
            overflow: Maps::of(batch, column::ENVELOPE_OVERFLOW),
            resource_schema_url: Texts::of(batch, column::RESOURCE_SCHEMA_URL)?,
            resource_dropped: Numbers::of(batch, column::RESOURCE_DROPPED_ATTRIBUTES_COUNT)?,
            scope_name: Texts::of(batch, column::SCOPE_NAME)?,
            scope_version: Texts::of(batch, column::SCOPE_VERSION)?,
            scope_schema_url: Texts::of(batch, column::SCOPE_SCHEMA_URL)?,
            scope_dropped: Numbers::of(batch, column::SCOPE_DROPPED_ATTRIBUTES_COUNT)?,
        })
    }

    /// `service.name`.
    pub fn service(&self, row: usize) -> Option<String> {
        self.service.get(row).map(String::from)
    }

    /// Attributes of the resource, the service's name among them.
    pub fn resource(&self, row: usize) -> Attributes {
        let service = self.service.get(row).map(|name| AttributeValue::String(name.to_owned()));
        let service = service.map(|name| ("service.name".to_owned(), name));
        let others = self.resource.read(row).into_iter();
        let others = others.filter(|(key, _)| service.is_none() || key != "service.name").collect::<Vec<_>>();
        service.clone().into_iter().chain(others).collect()
    }

    /// How many attributes of the resource were dropped before sending.
    pub fn resource_dropped(&self, row: usize) -> u32 {
        self.resource_dropped.number(row)
    }

    /// Schema URL of the resource.
    pub fn resource_schema_url(&self, row: usize) -> String {
        self.resource_schema_url.text(row)
    }

    /// The scope as rows show it.
    pub fn scope(&self, row: usize) -> wire::Scope {
        wire::Scope {
            name: self.scope_name.text(row),
            version: self.scope_version.text(row),
            attributes: plain(self.scope.read(row)),
            schema_url: self.scope_schema_url.text(row),
            dropped_attributes_count: self.scope_dropped.number(row),
        }
    }

    /// OTLP/JSON's resource with its schema URL, and scope with its own.
    pub fn otlp(&self, row: usize) -> Envelope {
        let mut resource = Map::new();
        put_list(&mut resource, "attributes", otlp_attributes(self.resource(row)));
        put_number(&mut resource, "droppedAttributesCount", self.resource_dropped(row));
        let refs = self.overflow.entries(row).find(|(key, _)| *key == column::ENTITY_REFS_KEY);
        if let Some(refs) = refs.and_then(|(_, json)| serde_json::from_str(json).ok()) {
            resource.insert("entityRefs".into(), refs);
        }
        let mut scope = Map::new();
        put_text(&mut scope, "name", self.scope_name.get(row));
        put_text(&mut scope, "version", self.scope_version.get(row));
        put_list(&mut scope, "attributes", otlp_attributes(self.scope.read(row)));
        put_number(&mut scope, "droppedAttributesCount", self.scope_dropped.number(row));
        Envelope {
            resource: Value::Object(resource),
            resource_schema_url: self.resource_schema_url.text(row),
            scope: Value::Object(scope),
            scope_schema_url: self.scope_schema_url.text(row),
        }
    }
}

/// Resource and scope as OTLP/JSON.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Envelope {
    /// OTLP's `Resource`.
    pub resource: Value,
    /// Its schema URL.
    pub resource_schema_url: String,
    /// OTLP's `InstrumentationScope`.
    pub scope: Value,
    /// Its schema URL.
    pub scope_schema_url: String,
}

/// Attributes as rows show them.
pub fn plain(attributes: Attributes) -> wire::Attributes {
    attributes.into_iter().map(|(key, value)| (key, value.to_plain_json())).collect()
}

/// Attributes as OTLP/JSON, in the order of their keys, so that equal ones are equal texts.
pub fn otlp_attributes(mut attributes: Attributes) -> Vec<Value> {
    attributes.sort_by(|left, right| left.0.cmp(&right.0));
    attributes.into_iter().map(|(key, value)| json!({ "key": key, "value": value.to_otlp_json() })).collect()
}

/// Adds a text unless it is empty, which is protobuf's default.
pub fn put_text(object: &mut Map<String, Value>, key: &str, text: Option<&str>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        object.insert(key.to_owned(), Value::from(text));
    }
}

/// Adds a list unless it is empty.
pub fn put_list(object: &mut Map<String, Value>, key: &str, list: Vec<Value>) {
    if !list.is_empty() {
        object.insert(key.to_owned(), Value::Array(list));
    }
}

/// Adds a number unless it is 0.
pub fn put_number<N: Into<Value> + Default + PartialEq>(object: &mut Map<String, Value>, key: &str, number: N) {
    if number != N::default() {
        object.insert(key.to_owned(), number.into());
    }
}

/// Adds a 64-bit number, which OTLP/JSON writes as text, even if it is 0: a time that was sent as 0 is said to be 0.
pub fn put_long(object: &mut Map<String, Value>, key: &str, number: impl ToString) {
    object.insert(key.to_owned(), Value::String(number.to_string()));
}
