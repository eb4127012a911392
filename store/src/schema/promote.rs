//! Joins batches of one table whose attribute columns differ into one, choosing which attributes have a column of their own.
//! Called by the flush; a merge of parts chooses again.
//!
//! Each key gets the type that most of its values have, and the [`limits::ATTRIBUTE_COLUMNS_MAX`] keys with the most such
//! values get columns. Everything else goes to the overflow maps. Nothing is lost: a value is in its column or in the map.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, MapArray, RecordBatch, StringArray, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use model::attributes::AttributeValue;

use super::attributes::{MapColumn, TypedColumn, ValueRef, typed_value};
use super::{column, map_type};
use crate::limits;

/// All rows of the batches, in their order.
pub fn joined(batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let mut census = Census::default();
    for batch in batches {
        census.add_fields(batch.schema_ref());
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            census.add_column(field.name(), field.data_type(), (array.len() - array.null_count()) as u64);
            if is_overflow(field.name()) {
                census.add_overflow(array, |_| 1);
            }
        }
    }
    let shape = census.shape();
    let shaped = batches.iter().map(|batch| shape.apply(batch)).collect::<Result<Vec<_>, _>>()?;
    concat_batches(&shape.schema, &shaped)
}

/// Counts the values of attributes, to choose which of them get a column.
#[derive(Debug, Default)]
pub(crate) struct Census {
    fixed: Vec<FieldRef>,
    known: HashSet<String>,
    maps: BTreeSet<&'static str>,
    values: HashMap<String, Vec<(DataType, u64)>>,
    // Attributes of which some values were in a map.
    overflowing: HashSet<String>,
}

impl Census {
    /// Notes which columns there are.
    pub(crate) fn add_fields(&mut self, schema: &Schema) {
        for field in schema.fields() {
            let name = field.name().as_str();
            if is_overflow(name) {
                self.maps.insert(if name == column::OVERFLOW { column::OVERFLOW } else { column::ENVELOPE_OVERFLOW });
            } else if !is_attribute(name) && self.known.insert(name.to_owned()) {
                self.fixed.push(Arc::clone(field));
            }
        }
    }

    /// Counts so many values of a column. Others than attributes' do not count.
    pub(crate) fn add_column(&mut self, name: &str, data_type: &DataType, values: u64) {
        if is_attribute(name) {
            self.count(name, data_type, values);
        }
    }

    /// Counts what is in a map of attributes without columns, each row so many times.
    pub(crate) fn add_overflow(&mut self, maps: &ArrayRef, times: impl Fn(usize) -> u64) {
        for (row, key, json) in map_entries(maps) {
            if let Some(data_type) = json_type(json).filter(|_| is_attribute(key)) {
                self.count(key, &data_type, times(row));
                if !self.overflowing.contains(key) && self.overflowing.len() < limits::COUNTED_KEYS_MAX {
                    self.overflowing.insert(key.to_owned());
                }
            }
        }
    }

    fn count(&mut self, name: &str, data_type: &DataType, values: u64) {
        if !self.values.contains_key(name) {
            if self.values.len() >= limits::COUNTED_KEYS_MAX {
                return;
            }
            self.values.insert(name.to_owned(), Vec::new());
        }
        let Some(types) = self.values.get_mut(name) else { return };
        match types.iter_mut().find(|(known, _)| known == data_type) {
            Some((_, known)) => *known += values,
            None => types.push((data_type.clone(), values)),
        }
    }

    /// The choice.
    pub(crate) fn shape(self) -> Shape {
        let mut best: Vec<(u64, String, DataType)> = Vec::with_capacity(self.values.len());
        for (name, types) in self.values {
            // Of types with equal counts the first one seen, as within a batch.
            if let Some((data_type, values)) = types.into_iter().rev().max_by_key(|(_, values)| *values) {
                best.push((values, name, data_type));
            }
        }
        best.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        best.truncate(limits::ATTRIBUTE_COLUMNS_MAX);
        let promoted: BTreeMap<String, DataType> =
            best.into_iter().filter(|(values, ..)| *values > 0).map(|(_, name, data_type)| (name, data_type)).collect();
        let attributes = promoted.iter().map(|(name, data_type)| Arc::new(Field::new(name, data_type.clone(), true)));
        let maps = self.maps.iter().map(|name| Arc::new(Field::new(*name, map_type(), true)));
        let fields: Vec<FieldRef> = self.fixed.iter().cloned().chain(attributes).chain(maps).collect();
        Shape { schema: Arc::new(Schema::new(fields)), promoted, overflowing: self.overflowing }
    }
}

/// Which columns joined rows have.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    schema: SchemaRef,
    promoted: BTreeMap<String, DataType>,
    overflowing: HashSet<String>,
}

impl Shape {
    /// The columns, in their order.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Some of the columns. What is said of the others still holds: which attributes have one, and which are in the map.
    pub(crate) fn only(&self, wanted: impl Fn(&str) -> bool) -> Shape {
        let fields = self.schema.fields().iter().filter(|field| wanted(field.name())).cloned();
        let schema = Arc::new(Schema::new(fields.collect::<Vec<FieldRef>>()));
        Shape { schema, promoted: self.promoted.clone(), overflowing: self.overflowing.clone() }
    }

    /// Whether some values of a column have to be taken out of a map.
    pub(crate) fn takes_from_map(&self, name: &str) -> bool {
        self.overflowing.contains(name)
    }

    /// The same rows in these columns.
    pub(crate) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let layout = Layout::of(batch, &self.promoted);
        let arrays = self.schema.fields().iter().map(|field| {
            let name = field.name().as_str();
            if is_overflow(name) {
                layout.overflow_array(name)
            } else if is_attribute(name) {
                layout.promoted_array(name, field.data_type())
            } else {
                fixed_array(batch, field)
            }
        });
        RecordBatch::try_new(Arc::clone(&self.schema), arrays.collect())
    }
}

/// Whether a column is one of the maps of attributes that have no column.
pub(crate) fn is_overflow(name: &str) -> bool {
    name == column::OVERFLOW || name == column::ENVELOPE_OVERFLOW
}

/// Whether a column, or a key of the overflow maps, is an attribute's.
pub fn is_attribute(name: &str) -> bool {
    [column::ATTR_PREFIX, column::RES_PREFIX, column::SCOPE_PREFIX].iter().any(|prefix| name.starts_with(prefix))
}

// Which of the maps holds an attribute that has no column.
fn overflow_of(name: &str) -> &'static str {
    if name.starts_with(column::ATTR_PREFIX) { column::OVERFLOW } else { column::ENVELOPE_OVERFLOW }
}

fn fixed_array(batch: &RecordBatch, field: &Field) -> ArrayRef {
    let array = batch.column_by_name(field.name()).cloned();
    array.unwrap_or_else(|| new_null_array(field.data_type(), batch.num_rows()))
}

// The type a column for a value of an overflow map would have; none for arrays, maps and the empty value.
fn json_type(json: &str) -> Option<DataType> {
    let kind = json.strip_prefix("{\"")?;
    Some(match kind.split_once('"')?.0 {
        "stringValue" => DataType::Utf8,
        "boolValue" => DataType::Boolean,
        "intValue" => DataType::Int64,
        "doubleValue" => DataType::Float64,
        "bytesValue" => DataType::Binary,
        _ => return None,
    })
}

/// The entries of a column of maps, each with its row.
pub fn map_entries(maps: &ArrayRef) -> impl Iterator<Item = (usize, &str, &str)> {
    let maps: &MapArray = maps.as_map();
    let keys: &StringArray = maps.keys().as_string();
    let values: &StringArray = maps.values().as_string();
    maps.value_offsets().windows(2).enumerate().flat_map(move |(row, ends)| {
        let [start, end] = [ends[0] as usize, ends[1] as usize];
        (start..end).map(move |entry| (row, keys.value(entry), values.value(entry)))
    })
}

// How one batch's attributes are laid out anew.
struct Layout<'a> {
    rows: usize,
    arrays: HashMap<&'a str, &'a ArrayRef>,
    // Columns whose values go to the overflow.
    demoted: Vec<(&'a str, &'a ArrayRef)>,
    // Values of the overflow that go to columns, by name, in the order of their rows.
    moved: HashMap<&'a str, Vec<(usize, AttributeValue)>>,
}

impl<'a> Layout<'a> {
    fn of(batch: &'a RecordBatch, promoted: &BTreeMap<String, DataType>) -> Self {
        let mut layout =
            Layout { rows: batch.num_rows(), arrays: HashMap::new(), demoted: Vec::new(), moved: HashMap::new() };
        for (field, array) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            let name = field.name().as_str();
            layout.arrays.insert(name, array);
            if is_attribute(name) && promoted.get(name) != Some(field.data_type()) && array.null_count() < array.len() {
                layout.demoted.push((name, array));
            }
        }
        for name in [column::OVERFLOW, column::ENVELOPE_OVERFLOW] {
            for (row, key, json) in layout.arrays.get(name).copied().into_iter().flat_map(map_entries) {
                if promoted.get(key).is_some_and(|data_type| json_type(json).as_ref() == Some(data_type))
                    && let Some(value) = parsed(json)
                {
                    layout.moved.entry(key).or_default().push((row, value));
                }
            }
        }
        layout
    }

    fn promoted_array(&self, name: &str, data_type: &DataType) -> ArrayRef {
        let own = self.arrays.get(name).copied().filter(|array| array.data_type() == data_type);
        let Some(moved) = self.moved.get(name) else {
            return own.cloned().unwrap_or_else(|| new_null_array(data_type, self.rows));
        };
        let mut column = TypedColumn::of_type(data_type);
        let mut moved = moved.iter().peekable();
        for row in 0..self.rows {
            let from_overflow = moved.next_if(|(place, _)| *place == row).map(|(_, value)| ValueRef::from(value));
            if let Some(value) = own.and_then(|array| typed_value(array, row)).or(from_overflow) {
                column.put(row, value);
            }
        }
        column.finish(self.rows)
    }

    fn overflow_array(&self, map: &str) -> ArrayRef {
        let demoted: Vec<_> = self.demoted.iter().filter(|(name, _)| overflow_of(name) == map).collect();
        let own = self.arrays.get(map).copied();
        if let Some(own) = own.filter(|_| demoted.is_empty() && !self.moved.keys().any(|key| overflow_of(key) == map)) {
            return Arc::clone(own);
        }
        let mut entries = own.into_iter().flat_map(map_entries).peekable();
        // Where each moved value is, so that exactly the entries that left are left out.
        let moved: HashSet<(usize, &str)> =
            self.moved.iter().flat_map(|(key, values)| values.iter().map(move |(row, _)| (*row, *key))).collect();
        let mut rebuilt = MapColumn::default();
        for row in 0..self.rows {
            rebuilt.begin_row();
            while let Some((_, key, json)) = entries.next_if(|(place, ..)| *place == row) {
                if !moved.contains(&(row, key)) {
                    rebuilt.put(key, json);
                }
            }
            for (name, array) in &demoted {
                if let Some(value) = typed_value(array, row) {
                    rebuilt.put(name, &value.to_otlp_json_text());
                }
            }
        }
        rebuilt.finish()
    }
}

fn parsed(json: &str) -> Option<AttributeValue> {
    AttributeValue::from_otlp_json(&serde_json::from_str(json).ok()?)
}
