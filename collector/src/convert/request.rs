//! The levels that the three requests have in common: resources, scopes, items. What an item is, its signal knows.
//!
//! Protobuf lets fields come in any order, and a message in pieces. So each of the two envelopes is read before the items below
//! it, and these are read over until then, which costs little: their lengths are written in front of them.

use std::collections::HashMap;

use model::{Signal, Timestamp};

use super::resource::{Envelope, HeldResource, HeldScope};
use super::weight::{self, Budget, Shape};
use super::wire::{Fields, Walk};
use super::{Context, Expansion, Mistakes};
use crate::{Outcome, Reason};

/// A request on its way into columns.
#[derive(Debug)]
pub(super) struct Request<'c, 'a> {
    pub context: &'c Context<'c>,
    pub outcome: Outcome,
    pub budget: Budget,
    pub expansion: Expansion,
    // Rows of envelopes by the bytes they came in: a sender that repeats its resource for each item costs it once.
    rows: HashMap<EnvelopeBytes<'a>, u32>,
}

// A resource, its schema's URL, a scope, its schema's URL.
type EnvelopeBytes<'a> = (&'a [u8], &'a str, &'a [u8], &'a str);

/// What makes rows of the items of one signal.
pub(super) trait Items<'a> {
    /// What is asked for how long they are kept.
    const SIGNAL: Signal;
    /// Names of the three lists, outermost first.
    const LISTS: [&'static str; 3];
    /// What an item takes.
    const SHAPE: &'static Shape;

    /// Reads one item: a log record, a span, a metric.
    fn item(&mut self, fields: Fields<'a>, place: &mut Under<'_>, request: &mut Request<'_, 'a>) -> Walk<()>;
}

/// What stands above an item.
#[derive(Debug)]
pub(super) struct Under<'h> {
    pub envelope: &'h Envelope<'h>,
    /// Older items are not kept.
    pub kept_from: Timestamp,
    /// The envelope's row, once an item has been kept.
    pub row: Option<u32>,
    /// Positions in the three lists.
    pub positions: [usize; 3],
}

impl<'c, 'a> Request<'c, 'a> {
    /// Nothing is read yet. `outcome` holds what was noted before.
    pub(super) fn new(context: &'c Context<'c>, outcome: Outcome) -> Self {
        Self {
            context,
            outcome,
            budget: Budget::new(context.limits.decoded_bytes_max),
            expansion: Expansion::new(context.limits),
            rows: HashMap::new(),
        }
    }

    /// Reads all of it.
    pub(super) fn walk(&mut self, bytes: &'a [u8], items: &mut impl Items<'a>) -> Walk<()> {
        let mut fields = Fields::of_request(bytes);
        let mut position = 0;
        while let Some(key) = fields.key()? {
            if key.number == 1 {
                self.budget.take(&weight::RESOURCE_LOGS)?;
                self.of_resource(fields.message(key)?, position, items)?;
                position += 1;
            } else {
                fields.skip(key)?;
            }
        }
        self.outcome.settle();
        Ok(())
    }

    fn of_resource<I: Items<'a>>(&mut self, fields: Fields<'a>, position: usize, items: &mut I) -> Walk<()> {
        let mut resource = HeldResource::default();
        let mut ahead = fields;
        while let Some(key) = ahead.key()? {
            match key.number {
                1 => {
                    self.budget.take(&weight::RESOURCE)?;
                    resource.merge(ahead.message(key)?, &self.context.limits, &mut self.budget)?;
                }
                2 => _ = ahead.bytes(key)?,
                3 => resource.schema_url = ahead.text(key)?,
                _ => ahead.skip(key)?,
            }
        }
        resource.settle(&self.context.limits);
        self.outcome.begin(resource.service());
        let kept_from = self.context.kept_from(I::SIGNAL, resource.service());
        let mut scopes = fields;
        let mut place = 0;
        while let Some(key) = scopes.key()? {
            if key.number == 2 {
                self.budget.take(&weight::SCOPE_LOGS)?;
                self.of_scope(scopes.message(key)?, &resource, kept_from, [position, place, 0], items)?;
                place += 1;
            } else {
                scopes.skip(key)?;
            }
        }
        Ok(())
    }

    fn of_scope<I: Items<'a>>(
        &mut self,
        fields: Fields<'a>,
        resource: &HeldResource<'a>,
        kept_from: Timestamp,
        positions: [usize; 3],
        items: &mut I,
    ) -> Walk<()> {
        let mut scope = HeldScope::default();
        let mut ahead = fields;
        while let Some(key) = ahead.key()? {
            match key.number {
                1 => {
                    self.budget.take(&weight::SCOPE)?;
                    scope.merge(ahead.message(key)?, &self.context.limits, &mut self.budget)?;
                }
                2 => {
                    // A swarm of items is refused before there is a row of it.
                    self.budget.take(I::SHAPE)?;
                    ahead.bytes(key)?;
                }
                3 => scope.schema_url = ahead.text(key)?,
                _ => ahead.skip(key)?,
            }
        }
        scope.settle(&self.context.limits);
        let envelope = Envelope::new(resource, &scope, self.context);
        let bytes = resource.bytes_once().zip(scope.bytes_once());
        let bytes = bytes.map(|(of_resource, of_scope)| (of_resource, resource.schema_url, of_scope, scope.schema_url));
        let row = bytes.and_then(|bytes| self.rows.get(&bytes).copied());
        let mut under = Under { envelope: &envelope, kept_from, row, positions };
        let mut below = fields;
        while let Some(key) = below.key()? {
            if key.number == 2 {
                items.item(below.message(key)?, &mut under, self)?;
                under.positions[2] += 1;
            } else {
                below.skip(key)?;
            }
        }
        if let (Some(bytes), Some(row)) = (bytes, under.row) {
            self.rows.insert(bytes, row);
        }
        Ok(())
    }

    /// Counts an item that is kept, or says why it is not.
    pub(super) fn count(&mut self, kept: Result<Mistakes, Reason>, place: impl Fn() -> String) {
        match kept {
            Ok(mistakes) => {
                self.outcome.accepted += 1;
                mistakes.note(&mut self.outcome, place);
            }
            Err(reason) => self.outcome.rejected.note(reason, 1, place),
        }
    }
}
