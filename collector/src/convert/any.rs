//! OTLP's `AnyValue` and `KeyValue` on the wire, as the borrowed pairs that the store's columns take.
//!
//! Scalars are borrowed from the request. Arrays and key-value lists, which are rare, become a small tree first: protobuf lets
//! a later piece of a message add to an earlier one or replace it, so that nothing can be written before the end is seen.

use model::attributes::AttributeValue;
use store::schema::ValueRef;

use super::Limits;
use super::weight::{self, Budget};
use super::wire::{Fields, Walk};
use crate::Reason;

/// A value as it came.
#[derive(Debug, Default)]
pub(super) enum Any<'a> {
    /// `AnyValue` with nothing set.
    #[default]
    Empty,
    Plain(ValueRef<'a>),
    /// An index into a table of texts that only profiles have: read as empty.
    TextIndex(i32),
    Array(Vec<Any<'a>>),
    Map(Vec<Entry<'a>>),
}

/// One entry of a key-value list.
#[derive(Debug, Default)]
pub(super) struct Entry<'a> {
    key: &'a str,
    value: Option<Any<'a>>,
    key_index: i32,
}

impl<'a> Any<'a> {
    /// Reads the fields of an `AnyValue` into this one.
    #[inline]
    pub(super) fn merge(&mut self, mut fields: Fields<'a>, budget: &mut Budget) -> Walk<()> {
        while let Some(key) = fields.key()? {
            match key.number {
                1 => *self = Any::Plain(ValueRef::String(fields.text(key)?)),
                2 => *self = Any::Plain(ValueRef::Bool(fields.varint(key)? != 0)),
                3 => *self = Any::Plain(ValueRef::Int(fields.varint(key)? as i64)),
                4 => *self = Any::Plain(ValueRef::Double(fields.double(key)?)),
                5 => {
                    let list = fields.message(key)?;
                    self.merge_array(list, budget)?;
                }
                6 => {
                    let list = fields.message(key)?;
                    self.merge_map(list, budget)?;
                }
                7 => *self = Any::Plain(ValueRef::Bytes(fields.bytes(key)?)),
                8 => *self = Any::TextIndex(fields.i32(key)?),
                _ => fields.skip(key)?,
            }
        }
        Ok(())
    }

    fn merge_array(&mut self, mut list: Fields<'a>, budget: &mut Budget) -> Walk<()> {
        let mut values = match std::mem::take(self) {
            Any::Array(values) => values,
            _ => Vec::new(),
        };
        while let Some(key) = list.key()? {
            match key.number {
                1 => {
                    budget.take(&weight::ANY_VALUE)?;
                    let mut value = Any::Empty;
                    value.merge(list.message(key)?, budget)?;
                    values.push(value);
                }
                _ => list.skip(key)?,
            }
        }
        *self = Any::Array(values);
        Ok(())
    }

    fn merge_map(&mut self, mut list: Fields<'a>, budget: &mut Budget) -> Walk<()> {
        let mut entries = match std::mem::take(self) {
            Any::Map(entries) => entries,
            _ => Vec::new(),
        };
        while let Some(key) = list.key()? {
            match key.number {
                1 => entries.push(Entry::read(list.message(key)?, budget)?),
                _ => list.skip(key)?,
            }
        }
        *self = Any::Map(entries);
        Ok(())
    }

    /// Levels of arrays and key-value lists.
    fn depth(&self) -> usize {
        match self {
            Any::Array(values) => 1 + values.iter().map(Any::depth).max().unwrap_or(0),
            Any::Map(entries) => {
                1 + entries.iter().filter_map(|entry| entry.value.as_ref()).map(Any::depth).max().unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Whether there are string indexes, which are read as absent.
    fn has_index(&self) -> bool {
        match self {
            Any::TextIndex(_) => true,
            Any::Array(values) => values.iter().any(Any::has_index),
            Any::Map(entries) => {
                let of_value = |entry: &Entry<'_>| entry.value.as_ref().is_some_and(Any::has_index);
                entries.iter().any(|entry| entry.key_index != 0 || of_value(entry))
            }
            _ => false,
        }
    }

    /// Bytes of its field in the shortest way to write it.
    fn encoded_bytes(&self) -> usize {
        match self {
            Any::Empty => 0,
            Any::Plain(ValueRef::String(text)) => prefixed(text.len()),
            Any::Plain(ValueRef::Bytes(bytes)) => prefixed(bytes.len()),
            Any::Plain(ValueRef::Bool(_)) => 2,
            Any::Plain(ValueRef::Int(value)) => 1 + varint_bytes(*value as u64),
            Any::Plain(_) => 9,
            Any::TextIndex(index) => 1 + varint_bytes(i64::from(*index) as u64),
            Any::Array(values) => prefixed(values.iter().map(|value| prefixed(value.encoded_bytes())).sum()),
            Any::Map(entries) => prefixed(entries.iter().map(|entry| prefixed(entry.encoded_bytes())).sum()),
        }
    }

    fn to_value(&self) -> AttributeValue {
        match self {
            Any::Empty | Any::TextIndex(_) => AttributeValue::Empty,
            Any::Plain(value) => ValueRef::to_owned(*value),
            Any::Array(values) => AttributeValue::Array(values.iter().map(Any::to_value).collect()),
            Any::Map(entries) => {
                let value = |entry: &Entry<'_>| entry.value.as_ref().map_or(AttributeValue::Empty, Any::to_value);
                AttributeValue::Map(entries.iter().map(|entry| (entry.key.to_owned(), value(entry))).collect())
            }
        }
    }
}

impl<'a> Entry<'a> {
    /// Reads a `KeyValue`.
    #[inline]
    fn read(mut fields: Fields<'a>, budget: &mut Budget) -> Walk<Self> {
        budget.take(&weight::KEY_VALUE)?;
        let mut entry = Entry::default();
        while let Some(key) = fields.key()? {
            match key.number {
                1 => entry.key = fields.text(key)?,
                2 => {
                    budget.take(&weight::ANY_VALUE)?;
                    let value = fields.message(key)?;
                    entry.value.get_or_insert_default().merge(value, budget)?;
                }
                3 => entry.key_index = fields.i32(key)?,
                _ => fields.skip(key)?,
            }
        }
        Ok(entry)
    }

    fn encoded_bytes(&self) -> usize {
        let key = if self.key.is_empty() { 0 } else { prefixed(self.key.len()) };
        let value = self.value.as_ref().map_or(0, |value| prefixed(value.encoded_bytes()));
        let index = if self.key_index == 0 { 0 } else { 1 + varint_bytes(i64::from(self.key_index) as u64) };
        key + value + index
    }
}

fn prefixed(length: usize) -> usize {
    1 + varint_bytes(length as u64) + length
}

fn varint_bytes(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// A log record's body, or another single value.
#[derive(Debug, Default)]
pub(super) struct HeldValue<'a> {
    any: Option<Any<'a>>,
    nested: Option<AttributeValue>,
}

impl<'a> HeldValue<'a> {
    /// Reads an `AnyValue` into this one.
    pub(super) fn merge(&mut self, fields: Fields<'a>, budget: &mut Budget) -> Walk<()> {
        budget.take(&weight::ANY_VALUE)?;
        self.any.get_or_insert_default().merge(fields, budget)
    }

    /// All of it is read. Whether it is nested no deeper than `depth_max`.
    pub(super) fn settle(&mut self, depth_max: usize) -> bool {
        match &self.any {
            None | Some(Any::Plain(_)) => true,
            Some(any) if any.depth() > depth_max => false,
            Some(any) => {
                self.nested = Some(any.to_value());
                true
            }
        }
    }

    pub(super) fn has_index(&self) -> bool {
        self.any.as_ref().is_some_and(Any::has_index)
    }

    /// The value, once it is settled.
    pub(super) fn as_ref(&self) -> Option<ValueRef<'_>> {
        match &self.any {
            None => None,
            Some(Any::Plain(value)) => Some(*value),
            Some(_) => self.nested.as_ref().map(ValueRef::Nested),
        }
    }
}

/// A pair of an attribute's key and value.
pub(super) type Pair<'a> = (&'a str, ValueRef<'a>);

/// A list of attributes under construction; emptied and filled again for item after item.
#[derive(Debug, Default)]
pub(super) struct Attributes<'a> {
    pairs: Vec<Pair<'a>>,
    // Arrays, maps and empty values, with their places among the pairs.
    nested: Vec<(usize, AttributeValue)>,
    // What is too long or too large first, and whether anything is nested too deep.
    oversized: Option<Reason>,
    too_deep: bool,
    /// Whether there were string indexes, read as absent.
    pub string_index: bool,
}

// Stands in the pairs where a nested value belongs.
const ELSEWHERE: ValueRef<'static> = ValueRef::Bool(false);

impl<'a> Attributes<'a> {
    /// Begins the next item's list.
    pub(super) fn clear(&mut self) {
        self.pairs.clear();
        self.nested.clear();
        self.oversized = None;
        self.too_deep = false;
        self.string_index = false;
    }

    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Reads one `KeyValue` of the list.
    #[inline]
    pub(super) fn read(&mut self, fields: Fields<'a>, limits: &Limits, budget: &mut Budget) -> Walk<()> {
        let entry = Entry::read(fields, budget)?;
        self.string_index |= entry.key_index != 0;
        let bytes = match entry.value {
            Some(Any::Plain(value)) => {
                self.pairs.push((entry.key, value));
                match value {
                    ValueRef::String(text) => text.len(),
                    ValueRef::Bytes(bytes) => bytes.len(),
                    _ => 0,
                }
            }
            other => self.read_nested(entry.key, other.unwrap_or_default(), limits),
        };
        if self.oversized.is_none() {
            if entry.key.len() > limits.attribute_key_bytes_max {
                self.oversized = Some(Reason::AttributeKey);
            } else if bytes > limits.attribute_value_bytes_max {
                self.oversized = Some(Reason::AttributeValue);
            }
        }
        Ok(())
    }

    // Answers the bytes that count.
    fn read_nested(&mut self, key: &'a str, value: Any<'a>, limits: &Limits) -> usize {
        self.string_index |= value.has_index();
        let too_deep = value.depth() > limits.value_depth_max;
        self.too_deep |= too_deep;
        // Refused all the same; what is too deep to be read again is not copied either.
        let copy = if too_deep { AttributeValue::Empty } else { value.to_value() };
        self.nested.push((self.pairs.len(), copy));
        self.pairs.push((key, ELSEWHERE));
        match value {
            Any::Array(_) | Any::Map(_) => value.encoded_bytes(),
            _ => 0,
        }
    }

    /// Why the list must not be used: a value is nested too deep, or something is too many or too large.
    pub(super) fn fault(&self, limits: &Limits) -> Option<Reason> {
        if self.too_deep {
            return Some(Reason::Depth);
        }
        if self.pairs.len() > limits.attributes_max { Some(Reason::Attributes) } else { self.oversized }
    }

    /// The last value of this key, if it is text.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        let position = self.pairs.iter().rposition(|(name, _)| *name == key)?;
        match self.pairs[position].1 {
            ValueRef::String(text) => Some(text),
            _ => None,
        }
    }

    /// The same with memory of their own.
    pub(super) fn to_pairs(&self) -> Vec<Pair<'_>> {
        let mut pairs: Vec<Pair<'_>> = self.pairs.clone();
        for (place, value) in &self.nested {
            pairs[*place].1 = ValueRef::Nested(value);
        }
        pairs
    }

    /// The pairs in the order they were sent. `scratch` is used where they cannot be handed out as they are.
    pub(super) fn pairs<'s>(&'s self, scratch: &'s mut Vec<Pair<'s>>) -> &'s [Pair<'s>] {
        if self.nested.is_empty() {
            return &self.pairs;
        }
        scratch.clear();
        scratch.extend(self.pairs.iter().copied());
        for (place, value) in &self.nested {
            scratch[*place].1 = ValueRef::Nested(value);
        }
        scratch
    }
}
