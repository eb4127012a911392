//! Resources and scopes: what all items below them share.

use std::borrow::Cow;

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValueKind;
use opentelemetry_proto::tonic::common::v1::{EntityRef, InstrumentationScope};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use serde_json::{Map, Value, json};
use store::schema::{ResourceRow, ScopeRow, ValueRef};

use super::attributes::KeyValues;
use super::{Mistakes, correlation};
use collector::Reason;
use collector::convert::Context;

/// A resource, or the absence of one, which OTLP does not tell from an empty resource.
#[derive(Debug)]
pub struct HeldResource<'a> {
    attributes: KeyValues<'a>,
    dropped_attributes_count: u32,
    schema_url: &'a str,
    entity_refs_json: String,
    bytes: usize,
}

/// A scope, or the absence of one, which OTLP does not tell from an empty scope.
#[derive(Debug)]
pub struct HeldScope<'a> {
    attributes: KeyValues<'a>,
    dropped_attributes_count: u32,
    name: &'a str,
    version: &'a str,
    schema_url: &'a str,
    bytes: usize,
}

/// A resource and a scope in the store's words, borrowed from the held ones.
#[derive(Debug)]
pub struct Envelope<'a> {
    resource: &'a HeldResource<'a>,
    scope: &'a HeldScope<'a>,
    resource_attributes: Vec<(&'a str, ValueRef<'a>)>,
    scope_attributes: Vec<(&'a str, ValueRef<'a>)>,
    /// The resource's correlation id, for items without one of their own.
    pub correlation_id: Option<Cow<'a, str>>,
    /// Bytes that one copy takes.
    pub bytes: usize,
}

impl<'a> HeldResource<'a> {
    pub fn new(resource: Option<&'a Resource>, schema_url: &'a str, context: &Context<'_>) -> Self {
        let list = resource.map_or(&[][..], |resource| &resource.attributes);
        Self {
            attributes: KeyValues::new(list, &context.limits),
            dropped_attributes_count: resource.map_or(0, |resource| resource.dropped_attributes_count),
            schema_url,
            entity_refs_json: resource.map_or_else(String::new, |resource| entity_refs_json(&resource.entity_refs)),
            bytes: resource.map_or(0, Resource::encoded_len) + schema_url.len(),
        }
    }
}

impl HeldResource<'_> {
    /// The service's name; empty if it has none.
    pub fn service(&self) -> &str {
        let named = self.attributes.list().iter().rev().find(|entry| entry.key == "service.name");
        match named.and_then(|entry| entry.value.as_ref()?.value.as_ref()) {
            Some(AnyValueKind::StringValue(name)) => name,
            _ => "",
        }
    }
}

impl<'a> HeldScope<'a> {
    pub fn new(scope: Option<&'a InstrumentationScope>, schema_url: &'a str, context: &Context<'_>) -> Self {
        let list = scope.map_or(&[][..], |scope| &scope.attributes);
        Self {
            attributes: KeyValues::new(list, &context.limits),
            dropped_attributes_count: scope.map_or(0, |scope| scope.dropped_attributes_count),
            name: scope.map_or("", |scope| &scope.name),
            version: scope.map_or("", |scope| &scope.version),
            schema_url,
            bytes: scope.map_or(0, InstrumentationScope::encoded_len) + schema_url.len(),
        }
    }
}

impl<'a> Envelope<'a> {
    pub fn new(resource: &'a HeldResource<'a>, scope: &'a HeldScope<'a>, context: &Context<'_>) -> Self {
        let resource_attributes = resource.attributes.refs();
        Self {
            correlation_id: correlation::find(context.correlation_keys, &resource_attributes),
            resource_attributes,
            scope_attributes: scope.attributes.refs(),
            bytes: resource.bytes + scope.bytes,
            resource,
            scope,
        }
    }

    /// Why no item may be kept below it.
    pub fn fault(&self) -> Result<(), Reason> {
        self.resource.attributes.fault.or(self.scope.attributes.fault).map_or(Ok(()), Err)
    }

    /// What is to be warned about with every item below it.
    pub fn mistakes(&self) -> Mistakes {
        let string_index = self.resource.attributes.string_index || self.scope.attributes.string_index;
        Mistakes { string_index, ..Mistakes::default() }
    }

    pub fn resource_row(&self) -> ResourceRow<'_> {
        ResourceRow {
            attributes: &self.resource_attributes,
            dropped_attributes_count: self.resource.dropped_attributes_count,
            schema_url: self.resource.schema_url,
            entity_refs_json: &self.resource.entity_refs_json,
        }
    }

    pub fn scope_row(&self) -> ScopeRow<'_> {
        ScopeRow {
            name: self.scope.name,
            version: self.scope.version,
            attributes: &self.scope_attributes,
            dropped_attributes_count: self.scope.dropped_attributes_count,
            schema_url: self.scope.schema_url,
        }
    }
}

// OTLP/JSON, which leaves fields of no content out.
fn entity_refs_json(refs: &[EntityRef]) -> String {
    if refs.is_empty() {
        return String::new();
    }
    let refs = refs.iter().map(|entity| {
        let mut object = Map::new();
        if !entity.schema_url.is_empty() {
            object.insert("schemaUrl".to_owned(), json!(entity.schema_url));
        }
        if !entity.r#type.is_empty() {
            object.insert("type".to_owned(), json!(entity.r#type));
        }
        if !entity.id_keys.is_empty() {
            object.insert("idKeys".to_owned(), json!(entity.id_keys));
        }
        if !entity.description_keys.is_empty() {
            object.insert("descriptionKeys".to_owned(), json!(entity.description_keys));
        }
        Value::Object(object)
    });
    Value::Array(refs.collect()).to_string()
}
