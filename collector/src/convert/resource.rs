//! Resources and scopes: what all items below them share.

use std::borrow::Cow;

use serde_json::{Map, Value, json};
use store::schema::{ResourceRow, ScopeRow};

use super::any::{Attributes, Pair};
use super::weight::{self, Budget};
use super::wire::{Fields, Walk};
use super::{Context, Limits, Mistakes, correlation};
use crate::Reason;

/// A resource, or the absence of one, which OTLP does not tell from an empty resource.
#[derive(Debug, Default)]
pub(super) struct HeldResource<'a> {
    attributes: Attributes<'a>,
    dropped_attributes_count: u32,
    pub schema_url: &'a str,
    entity_refs: Vec<EntityRef<'a>>,
    entity_refs_json: String,
    pieces: Pieces<'a>,
    fault: Option<Reason>,
}

/// A scope, or the absence of one, which OTLP does not tell from an empty scope.
#[derive(Debug, Default)]
pub(super) struct HeldScope<'a> {
    attributes: Attributes<'a>,
    dropped_attributes_count: u32,
    name: &'a str,
    version: &'a str,
    pub schema_url: &'a str,
    pieces: Pieces<'a>,
    fault: Option<Reason>,
}

/// A resource and a scope in the store's words, borrowed from the held ones.
#[derive(Debug)]
pub(super) struct Envelope<'h> {
    resource: &'h HeldResource<'h>,
    scope: &'h HeldScope<'h>,
    resource_attributes: Vec<Pair<'h>>,
    scope_attributes: Vec<Pair<'h>>,
    /// The resource's correlation id, for items without one of their own.
    pub correlation_id: Option<Cow<'h, str>>,
    /// Bytes that one copy takes.
    pub bytes: usize,
}

// The bytes that a message came in: mostly one piece or none.
#[derive(Debug, Default)]
struct Pieces<'a> {
    first: &'a [u8],
    count: usize,
    bytes: usize,
}

impl<'a> Pieces<'a> {
    fn add(&mut self, piece: &'a [u8]) {
        if self.count == 0 {
            self.first = piece;
        }
        self.count += 1;
        self.bytes += piece.len();
    }

    fn once(&self) -> Option<&'a [u8]> {
        (self.count <= 1).then_some(self.first)
    }
}

impl<'a> HeldResource<'a> {
    /// Reads a `Resource` into this one.
    pub(super) fn merge(&mut self, mut fields: Fields<'a>, limits: &Limits, budget: &mut Budget) -> Walk<()> {
        self.pieces.add(fields.rest());
        while let Some(key) = fields.key()? {
            match key.number {
                1 => self.attributes.read(fields.message(key)?, limits, budget)?,
                2 => self.dropped_attributes_count = fields.u32(key)?,
                3 => self.entity_refs.push(EntityRef::read(fields.message(key)?, budget)?),
                _ => fields.skip(key)?,
            }
        }
        Ok(())
    }

    /// All of it is read.
    pub(super) fn settle(&mut self, limits: &Limits) {
        self.fault = self.attributes.fault(limits);
        if !self.entity_refs.is_empty() {
            self.entity_refs_json = Value::Array(self.entity_refs.iter().map(EntityRef::to_json).collect()).to_string();
        }
    }

    /// The service's name; empty if it has none.
    pub(super) fn service(&self) -> &'a str {
        self.attributes.text("service.name").unwrap_or_default()
    }

    /// The bytes it came in, unless they were several pieces.
    pub(super) fn bytes_once(&self) -> Option<&'a [u8]> {
        self.pieces.once()
    }
}

impl<'a> HeldScope<'a> {
    /// Reads an `InstrumentationScope` into this one.
    pub(super) fn merge(&mut self, mut fields: Fields<'a>, limits: &Limits, budget: &mut Budget) -> Walk<()> {
        self.pieces.add(fields.rest());
        while let Some(key) = fields.key()? {
            match key.number {
                1 => self.name = fields.text(key)?,
                2 => self.version = fields.text(key)?,
                3 => self.attributes.read(fields.message(key)?, limits, budget)?,
                4 => self.dropped_attributes_count = fields.u32(key)?,
                _ => fields.skip(key)?,
            }
        }
        Ok(())
    }

    /// All of it is read.
    pub(super) fn settle(&mut self, limits: &Limits) {
        self.fault = self.attributes.fault(limits);
    }

    /// The bytes it came in, unless they were several pieces.
    pub(super) fn bytes_once(&self) -> Option<&'a [u8]> {
        self.pieces.once()
    }
}

impl<'h> Envelope<'h> {
    pub(super) fn new(resource: &'h HeldResource<'h>, scope: &'h HeldScope<'h>, context: &Context<'_>) -> Self {
        let pairs = |attributes: &'h Attributes<'h>, fault: Option<Reason>| match fault {
            Some(_) => Vec::new(),
            None => attributes.to_pairs(),
        };
        let resource_attributes = pairs(&resource.attributes, resource.fault);
        Self {
            correlation_id: correlation::find(context.correlation_keys, &resource_attributes),
            resource_attributes,
            scope_attributes: pairs(&scope.attributes, scope.fault),
            bytes: resource.pieces.bytes + resource.schema_url.len() + scope.pieces.bytes + scope.schema_url.len(),
            resource,
            scope,
        }
    }

    /// Namespace and name of the service, where they are texts.
    pub(super) fn service(&self) -> [Option<&'h str>; 2] {
        ["service.namespace", "service.name"].map(|key| self.resource.attributes.text(key))
    }

    /// Why no item may be kept below it.
    pub(super) fn fault(&self) -> Result<(), Reason> {
        self.resource.fault.or(self.scope.fault).map_or(Ok(()), Err)
    }

    /// What is to be warned about with every item below it.
    pub(super) fn mistakes(&self) -> Mistakes {
        let string_index = self.resource.attributes.string_index || self.scope.attributes.string_index;
        Mistakes { string_index, ..Mistakes::default() }
    }

    pub(super) fn resource_row(&self) -> ResourceRow<'_> {
        ResourceRow {
            attributes: &self.resource_attributes,
            dropped_attributes_count: self.resource.dropped_attributes_count,
            schema_url: self.resource.schema_url,
            entity_refs_json: &self.resource.entity_refs_json,
        }
    }

    pub(super) fn scope_row(&self) -> ScopeRow<'_> {
        ScopeRow {
            name: self.scope.name,
            version: self.scope.version,
            attributes: &self.scope_attributes,
            dropped_attributes_count: self.scope.dropped_attributes_count,
            schema_url: self.scope.schema_url,
        }
    }
}

#[derive(Debug, Default)]
struct EntityRef<'a> {
    schema_url: &'a str,
    kind: &'a str,
    id_keys: Vec<&'a str>,
    description_keys: Vec<&'a str>,
}

impl<'a> EntityRef<'a> {
    fn read(mut fields: Fields<'a>, budget: &mut Budget) -> Walk<Self> {
        budget.take(&weight::ENTITY_REF)?;
        let mut entity = Self::default();
        while let Some(key) = fields.key()? {
            match key.number {
                1 => entity.schema_url = fields.text(key)?,
                2 => entity.kind = fields.text(key)?,
                3 | 4 => {
                    budget.take(&weight::TEXT)?;
                    let keys = if key.number == 3 { &mut entity.id_keys } else { &mut entity.description_keys };
                    keys.push(fields.text(key)?);
                }
                _ => fields.skip(key)?,
            }
        }
        Ok(entity)
    }

    // OTLP/JSON, which leaves fields of no content out.
    fn to_json(&self) -> Value {
        let mut object = Map::new();
        if !self.schema_url.is_empty() {
            object.insert("schemaUrl".to_owned(), json!(self.schema_url));
        }
        if !self.kind.is_empty() {
            object.insert("type".to_owned(), json!(self.kind));
        }
        if !self.id_keys.is_empty() {
            object.insert("idKeys".to_owned(), json!(self.id_keys));
        }
        if !self.description_keys.is_empty() {
            object.insert("descriptionKeys".to_owned(), json!(self.description_keys));
        }
        Value::Object(object)
    }
}
