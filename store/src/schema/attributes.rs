//! Columns for attributes: one typed column per key, and one map for what fits none.
//!
//! A key's column has the type of the first value seen in the batch; values of other types, arrays, key-value lists, empty
//! values, and keys beyond [`limits::ATTRIBUTE_COLUMNS_MAX`] go to the overflow map, so nothing is lost and nothing explodes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, MapArray,
    StringArray, StringBuilder, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use model::attributes::AttributeValue;

use super::hash::{ByItself, text_hash};
use super::map_fields;
use crate::limits;

/// A borrowed attribute value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// UTF-8 text.
    String(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// A signed 64-bit integer.
    Int(i64),
    /// An IEEE 754 double.
    Double(f64),
    /// Any bytes.
    Bytes(&'a [u8]),
    /// Arrays, maps and the empty value; only ever kept in the overflow.
    Nested(&'a AttributeValue),
}

impl<'a> From<&'a AttributeValue> for ValueRef<'a> {
    fn from(value: &'a AttributeValue) -> Self {
        match value {
            AttributeValue::String(text) => ValueRef::String(text),
            AttributeValue::Bool(value) => ValueRef::Bool(*value),
            AttributeValue::Int(value) => ValueRef::Int(*value),
            AttributeValue::Double(value) => ValueRef::Double(*value),
            AttributeValue::Bytes(bytes) => ValueRef::Bytes(bytes),
            AttributeValue::Empty | AttributeValue::Array(_) | AttributeValue::Map(_) => ValueRef::Nested(value),
        }
    }
}

impl ValueRef<'_> {
    /// The value with its own memory.
    pub fn to_owned(self) -> AttributeValue {
        match self {
            ValueRef::String(text) => AttributeValue::String(text.to_owned()),
            ValueRef::Bool(value) => AttributeValue::Bool(value),
            ValueRef::Int(value) => AttributeValue::Int(value),
            ValueRef::Double(value) => AttributeValue::Double(value),
            ValueRef::Bytes(bytes) => AttributeValue::Bytes(bytes.to_vec()),
            ValueRef::Nested(value) => value.clone(),
        }
    }

    /// OTLP/JSON text, the form of the overflow maps.
    pub fn to_otlp_json_text(self) -> String {
        match self {
            ValueRef::String(text) => {
                let mut json = String::with_capacity(text.len() + 20);
                json.push_str(r#"{"stringValue":"#);
                // A text can always be written as JSON.
                json.push_str(&serde_json::to_string(text).unwrap_or_default());
                json.push('}');
                json
            }
            ValueRef::Bool(value) => format!(r#"{{"boolValue":{value}}}"#),
            ValueRef::Int(value) => format!(r#"{{"intValue":"{value}"}}"#),
            other => other.to_owned().to_otlp_json().to_string(),
        }
    }
}

/// Attribute columns under construction. Rows are begun one after the other; values go to the row begun last.
#[derive(Debug, Default)]
pub struct AttributeColumns {
    rows: usize,
    // The columns by the hashes of their names. Names with one hash, which a stranger can make, are looked for among all: there
    // are few.
    by_hash: HashMap<u64, usize, ByItself>,
    columns: Vec<(Box<str>, TypedColumn)>,
    overflow: MapColumn,
}

impl AttributeColumns {
    /// Begins the next row.
    pub fn begin_row(&mut self) {
        self.rows += 1;
        self.overflow.begin_row();
    }

    /// Sets the attribute `prefix` + `key` of the current row. Of several values for one key the *first* put counts:
    /// callers that mean the last one put in reverse.
    pub fn put(&mut self, prefix: &str, key: &str, value: ValueRef<'_>) {
        let row = self.rows - 1;
        if !self.overflow.row_is_empty() && self.overflow.row_has(&[prefix, key].concat()) {
            return;
        }
        let Some(slot) = self.slot(prefix, key, value) else {
            self.overflow.put(&[prefix, key].concat(), &value.to_otlp_json_text());
            return;
        };
        let column = &mut self.columns[slot].1;
        if column.len() > row {
            return;
        }
        if !column.put(row, value) {
            self.overflow.put(&[prefix, key].concat(), &value.to_otlp_json_text());
        }
    }

    /// Puts a text straight into the current row's overflow, under a name that is no attribute's.
    pub fn put_overflow(&mut self, name: &str, json: &str) {
        self.overflow.put(name, json);
    }

    /// The columns in the order in which their keys were first seen, and the overflow map last, under `overflow_name`.
    pub fn finish(self, overflow_name: &str) -> Vec<(Field, ArrayRef)> {
        let rows = self.rows;
        let mut finished: Vec<(Field, ArrayRef)> = Vec::with_capacity(self.columns.len() + 1);
        for (name, column) in self.columns {
            let array = column.finish(rows);
            finished.push((Field::new(name.as_ref(), array.data_type().clone(), true), array));
        }
        let overflow = self.overflow.finish();
        finished.push((Field::new(overflow_name, overflow.data_type().clone(), true), overflow));
        finished
    }

    // The column of this name, made if there is room and the value's type can have one.
    fn slot(&mut self, prefix: &str, key: &str, value: ValueRef<'_>) -> Option<usize> {
        let is_it = |name: &str| name.strip_prefix(prefix).is_some_and(|rest| rest == key);
        let hash = text_hash(text_hash(0, prefix.as_bytes()), key.as_bytes());
        if let Some(slot) = self.by_hash.get(&hash) {
            if is_it(&self.columns[*slot].0) {
                return Some(*slot);
            }
            if let Some(slot) = self.columns.iter().position(|(name, _)| is_it(name)) {
                return Some(slot);
            }
        }
        if self.columns.len() >= limits::ATTRIBUTE_COLUMNS_MAX {
            return None;
        }
        let column = TypedColumn::for_value(value)?;
        self.columns.push(([prefix, key].concat().into(), column));
        self.by_hash.entry(hash).or_insert(self.columns.len() - 1);
        Some(self.columns.len() - 1)
    }
}

/// The value of an attribute column in a row; `None` if it is null there.
pub fn typed_value(array: &ArrayRef, row: usize) -> Option<ValueRef<'_>> {
    if array.is_null(row) {
        return None;
    }
    Some(match array.data_type() {
        DataType::Utf8 => ValueRef::String(array.as_string::<i32>().value(row)),
        DataType::Boolean => ValueRef::Bool(array.as_boolean().value(row)),
        DataType::Int64 => ValueRef::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => ValueRef::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Binary => ValueRef::Bytes(array.as_binary::<i32>().value(row)),
        _ => return None,
    })
}

/// A column of one type under construction.
#[derive(Debug)]
pub(super) enum TypedColumn {
    String(StringBuilder),
    Bool(BooleanBuilder),
    Int(Int64Builder),
    Double(Float64Builder),
    Bytes(BinaryBuilder),
}

// Runs one expression on whichever builder is inside.
macro_rules! each {
    ($column:expr, $builder:ident => $body:expr) => {
        match $column {
            TypedColumn::String($builder) => $body,
            TypedColumn::Bool($builder) => $body,
            TypedColumn::Int($builder) => $body,
            TypedColumn::Double($builder) => $body,
            TypedColumn::Bytes($builder) => $body,
        }
    };
}

impl TypedColumn {
    fn for_value(value: ValueRef<'_>) -> Option<Self> {
        Some(match value {
            ValueRef::String(_) => TypedColumn::String(StringBuilder::new()),
            ValueRef::Bool(_) => TypedColumn::Bool(BooleanBuilder::new()),
            ValueRef::Int(_) => TypedColumn::Int(Int64Builder::new()),
            ValueRef::Double(_) => TypedColumn::Double(Float64Builder::new()),
            ValueRef::Bytes(_) => TypedColumn::Bytes(BinaryBuilder::new()),
            ValueRef::Nested(_) => return None,
        })
    }

    /// A column of one of the types that attribute columns have; of bytes for any other.
    pub(super) fn of_type(data_type: &DataType) -> Self {
        match data_type {
            DataType::Utf8 => TypedColumn::String(StringBuilder::new()),
            DataType::Boolean => TypedColumn::Bool(BooleanBuilder::new()),
            DataType::Int64 => TypedColumn::Int(Int64Builder::new()),
            DataType::Float64 => TypedColumn::Double(Float64Builder::new()),
            _ => TypedColumn::Bytes(BinaryBuilder::new()),
        }
    }

    fn len(&self) -> usize {
        use arrow::array::ArrayBuilder as _;
        each!(self, builder => builder.len())
    }

    // Rows that lacked the key are filled in only when its next value comes.
    fn pad(&mut self, rows: usize) {
        let missing = rows.saturating_sub(self.len());
        if missing == 0 {
            return;
        }
        match self {
            TypedColumn::String(builder) => (0..missing).for_each(|_| builder.append_null()),
            TypedColumn::Bytes(builder) => (0..missing).for_each(|_| builder.append_null()),
            TypedColumn::Bool(builder) => builder.append_nulls(missing),
            TypedColumn::Int(builder) => builder.append_nulls(missing),
            TypedColumn::Double(builder) => builder.append_nulls(missing),
        }
    }

    /// Whether the value has the column's type and was put. Rows must come in ascending order.
    pub(super) fn put(&mut self, row: usize, value: ValueRef<'_>) -> bool {
        match (&mut *self, value) {
            (TypedColumn::String(_), ValueRef::String(_))
            | (TypedColumn::Bool(_), ValueRef::Bool(_))
            | (TypedColumn::Int(_), ValueRef::Int(_))
            | (TypedColumn::Double(_), ValueRef::Double(_))
            | (TypedColumn::Bytes(_), ValueRef::Bytes(_)) => {}
            _ => return false,
        }
        self.pad(row);
        match (self, value) {
            (TypedColumn::String(builder), ValueRef::String(value)) => builder.append_value(value),
            (TypedColumn::Bool(builder), ValueRef::Bool(value)) => builder.append_value(value),
            (TypedColumn::Int(builder), ValueRef::Int(value)) => builder.append_value(value),
            (TypedColumn::Double(builder), ValueRef::Double(value)) => builder.append_value(value),
            (TypedColumn::Bytes(builder), ValueRef::Bytes(value)) => builder.append_value(value),
            _ => return false,
        }
        true
    }

    /// The finished column of so many rows.
    pub(super) fn finish(mut self, rows: usize) -> ArrayRef {
        self.pad(rows);
        each!(&mut self, builder => Arc::new(builder.finish()))
    }
}

/// A column of maps from text to text under construction. Rows are begun one after the other.
#[derive(Debug, Default)]
pub struct MapColumn {
    // Where each row begun so far starts in `keys` and `values`.
    starts: Vec<i32>,
    keys: Vec<String>,
    values: Vec<String>,
    // The keys of the current row once it has many: a sender decides how many, so looking for one must not take longer with
    // each.
    many: HashSet<String>,
}

// Up to so many keys are compared one by one, which is faster than hashing.
const FEW_KEYS: usize = 32;

impl MapColumn {
    /// Begins the next row.
    pub fn begin_row(&mut self) {
        self.starts.push(self.entries());
        self.many.clear();
    }

    /// Adds an entry to the current row. Of several entries with one key the *first* counts.
    pub fn put(&mut self, key: &str, value: &str) {
        if !self.row_has(key) {
            self.keys.push(key.to_owned());
            self.values.push(value.to_owned());
            let start = self.row_start();
            match self.keys.len() - start {
                0..=FEW_KEYS => {}
                _ if self.many.is_empty() => self.many.extend(self.keys[start..].iter().cloned()),
                _ => {
                    self.many.insert(key.to_owned());
                }
            }
        }
    }

    fn row_is_empty(&self) -> bool {
        self.keys.len() == self.row_start()
    }

    fn row_has(&self, key: &str) -> bool {
        if self.many.is_empty() {
            self.keys[self.row_start()..].iter().any(|known| known == key)
        } else {
            self.many.contains(key)
        }
    }

    fn row_start(&self) -> usize {
        self.starts.last().and_then(|start| usize::try_from(*start).ok()).unwrap_or(0)
    }

    /// The finished column. Rows without entries are empty maps, never null.
    pub fn finish(self) -> ArrayRef {
        let mut offsets = self.starts.clone();
        offsets.push(self.entries());
        let keys: ArrayRef = Arc::new(StringArray::from(self.keys));
        let values: ArrayRef = Arc::new(StringArray::from(self.values));
        let entries = StructArray::new(map_fields(), vec![keys, values], None);
        let field = Field::new("key_value", DataType::Struct(map_fields()), false);
        let offsets = OffsetBuffer::new(offsets.into());
        Arc::new(MapArray::new(Arc::new(field), offsets, entries, None, false))
    }

    fn entries(&self) -> i32 {
        i32::try_from(self.keys.len()).expect("a request is limited to 64 MiB, an entry takes more than one byte")
    }
}
