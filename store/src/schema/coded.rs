//! Joins the batches of logs or spans that a flush writes, without expanding their envelopes: texts of envelopes, and of rows where
//! they are few, become numbers of dictionaries. Called by the flush.
//!
//! The same rows in the same columns as [`super::joined`] makes of [`super::flat_rows`], but for that.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanBufferBuilder, RecordBatch, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::flat::{index_column, own_rows, rows_of_shared};
use super::promote::{Census, Shape, is_overflow};
use super::texts::{Dictionary, Texts};
use super::{Batch, column, is_attribute};
use crate::limits;

/// Joined rows.
pub(crate) struct Coded {
    /// The columns as a part has them.
    pub(crate) schema: SchemaRef,
    /// The rows; columns of texts that are in `texts` have numbers instead.
    pub(crate) rows: RecordBatch,
    /// The dictionaries of those columns.
    pub(crate) texts: Texts,
    /// Attributes that are left out, because every row has the same in another column: which that is.
    pub(crate) same: BTreeMap<String, String>,
}

/// Columns whose texts hardly ever repeat.
pub(crate) fn is_never_coded(name: &str) -> bool {
    name == column::BODY || name == column::CORRELATION_ID
}

/// Joins batches, each with the number of its first row.
pub(crate) fn coded(batches: &[(&Batch, u64)]) -> Result<Coded, ArrowError> {
    let own: Vec<RecordBatch> =
        batches.iter().map(|(batch, seq_base)| own_rows(batch, *seq_base)).collect::<Result<_, _>>()?;
    let places: Vec<UInt32Array> =
        batches.iter().map(|(batch, _)| index_column(&batch.rows, column::SHARED)).collect::<Result<_, _>>()?;
    let shape = shape(batches, &own)?;
    let of_envelopes: HashSet<&str> = batches.iter().flat_map(|(batch, _)| names(&batch.shared)).collect();
    let is_of_envelope = |name: &str| {
        of_envelopes.contains(name) || name.starts_with(column::RES_PREFIX) || name.starts_with(column::SCOPE_PREFIX)
    };
    let of_rows = shape.only(|name| !is_of_envelope(name));
    let of_envelope = shape.only(is_of_envelope);
    let own: Vec<RecordBatch> = own.iter().map(|rows| of_rows.apply(rows)).collect::<Result<_, _>>()?;
    let shared: Vec<RecordBatch> =
        batches.iter().map(|(batch, _)| of_envelope.apply(&batch.shared)).collect::<Result<_, _>>()?;

    let mut texts = Texts::default();
    let mut same = BTreeMap::new();
    let mut columns: Vec<FieldRef> = Vec::new();
    let mut fields: Vec<FieldRef> = Vec::new();
    let mut finished: Vec<ArrayRef> = Vec::new();
    for field in shape.schema().fields() {
        let name = field.name().as_str();
        let is_text = field.data_type() == &DataType::Utf8;
        let numbers = if is_of_envelope(name) {
            let arrays: Vec<&ArrayRef> = shared.iter().map(|table| &table[name]).collect();
            if is_text {
                let mut dictionary = Dictionary::default();
                let numbers = of_envelopes_numbers(&arrays, &places, &mut dictionary)?;
                texts.insert(name, dictionary);
                Arc::new(numbers) as ArrayRef
            } else {
                let taken = arrays.iter().zip(&places).map(|(column, places)| take(column, places, None));
                joined(&taken.collect::<Result<Vec<_>, _>>()?.iter().collect::<Vec<_>>())?
            }
        } else {
            let arrays: Vec<&ArrayRef> = own.iter().map(|rows| &rows[name]).collect();
            // Mostly what the correlation id was found in.
            if is_text && is_attribute(name) && own.iter().zip(&arrays).all(|(rows, of)| is_correlation_id(rows, of)) {
                same.insert(name.to_owned(), column::CORRELATION_ID.to_owned());
                continue;
            }
            let mut dictionary = Dictionary::default();
            match numbers(&arrays, &mut dictionary).filter(|_| is_text && !is_never_coded(name)) {
                Some(numbers) => {
                    texts.insert(name, dictionary);
                    joined(&numbers.iter().collect::<Vec<_>>())?
                }
                None => joined(&arrays)?,
            }
        };
        columns.push(Arc::clone(field));
        fields.push(Arc::new(Field::new(name, numbers.data_type().clone(), true)));
        finished.push(numbers);
    }
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), finished)?;
    Ok(Coded { schema: Arc::new(Schema::new(columns)), rows, texts, same })
}

fn is_correlation_id(rows: &RecordBatch, array: &ArrayRef) -> bool {
    rows.column_by_name(column::CORRELATION_ID).is_some_and(|ids| ids == array)
}

fn names(table: &RecordBatch) -> impl Iterator<Item = &str> {
    table.schema_ref().fields().iter().map(|field| field.name().as_str())
}

// Chooses the columns as if envelopes were expanded.
fn shape(batches: &[(&Batch, u64)], own: &[RecordBatch]) -> Result<Shape, ArrowError> {
    let mut census = Census::default();
    for ((batch, _), rows) in batches.iter().zip(own) {
        census.add(rows, |_| 1);
        let weights = rows_of_shared(batch)?;
        census.add(&batch.shared, |envelope| weights[envelope] as u64);
    }
    Ok(census.shape())
}

fn joined(arrays: &[&ArrayRef]) -> Result<ArrayRef, ArrowError> {
    concat(&arrays.iter().map(|array| array.as_ref()).collect::<Vec<_>>())
}

// Numbers of the rows' texts; `None` if they are many.
fn numbers(columns: &[&ArrayRef], dictionary: &mut Dictionary) -> Option<Vec<ArrayRef>> {
    let number = |column: &&ArrayRef| {
        let numbers = dictionary.encode(column.as_string_opt()?, limits::DICTIONARY_BYTES_MAX)?;
        Some(Arc::new(numbers) as ArrayRef)
    };
    columns.iter().map(number).collect()
}

// Numbers of the texts of each row's envelope. However many there are: all of them are in memory already, and expanding them
// would only multiply them.
fn of_envelopes_numbers(
    columns: &[&ArrayRef],
    places: &[UInt32Array],
    dictionary: &mut Dictionary,
) -> Result<UInt32Array, ArrowError> {
    let rows = places.iter().map(|places| places.len()).sum();
    let mut numbers: Vec<u32> = Vec::with_capacity(rows);
    let has_nulls = columns.iter().any(|column| column.null_count() > 0);
    let mut valid = has_nulls.then(|| BooleanBufferBuilder::new(rows));
    for (column, places) in columns.iter().zip(places) {
        let of_envelopes = dictionary.encode(column.as_string(), usize::MAX);
        let of_envelopes = of_envelopes.ok_or_else(|| ArrowError::MemoryError("texts are too many".to_owned()))?;
        let values = of_envelopes.values();
        numbers.extend(places.values().iter().map(|place| values[*place as usize]));
        if let Some(valid) = &mut valid {
            places.values().iter().for_each(|place| valid.append(of_envelopes.is_valid(*place as usize)));
        }
    }
    Ok(UInt32Array::new(numbers.into(), valid.map(|mut valid| NullBuffer::new(valid.finish()))))
}

impl Census {
    // Counts a table's columns, each row so many times.
    fn add(&mut self, table: &RecordBatch, times: impl Fn(usize) -> u64) {
        self.add_fields(table.schema_ref());
        for (field, array) in table.schema_ref().fields().iter().zip(table.columns()) {
            if is_attribute(field.name()) {
                let values = (0..array.len()).filter(|row| array.is_valid(*row)).map(&times).sum();
                self.add_column(field.name(), field.data_type(), values);
            } else if is_overflow(field.name()) {
                self.add_overflow(array, &times);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;
    use model::Signal;

    use super::*;
    use crate::schema::flat_rows;
    use crate::wal::columns::sample;

    #[test]
    fn rows_are_those_that_expanded_envelopes_would_give() {
        for seed in 0..60 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let signal = if rng.bool() { Signal::Logs } else { Signal::Spans };
            let ids: Vec<String> = (0..rng.usize(1..40)).map(|id| format!("id {id}")).collect();
            let batches: Vec<Batch> = (0..3).map(|_| sample::batch(&mut rng, signal, [7; 16], &ids)).collect();
            let bases: Vec<(&Batch, u64)> = batches.iter().zip([1, 1_000, 2_000]).collect();
            let coded = coded(&bases).expect("the batches are whole");
            let flat: Vec<RecordBatch> =
                bases.iter().map(|(batch, base)| flat_rows(batch, *base).expect("rows")).collect();
            let expected = crate::schema::joined(&flat).expect("they can be joined");
            let written = expected.schema_ref().fields().iter().filter(|field| !coded.same.contains_key(field.name()));
            let written: Vec<FieldRef> = written.cloned().collect();
            assert_eq!(coded.schema, Arc::new(Schema::new(written)), "seed {seed}");
            for (field, array) in expected.schema_ref().fields().iter().zip(expected.columns()) {
                if coded.same.contains_key(field.name()) {
                    assert_eq!(&expected[column::CORRELATION_ID], array, "seed {seed}: {}", field.name());
                    continue;
                }
                let own = &coded.rows[field.name().as_str()];
                let Some(dictionary) = coded.texts.get(field.name()) else {
                    assert_eq!(own, array, "seed {seed}: {}", field.name());
                    continue;
                };
                let numbers: &UInt32Array = own.as_primitive();
                let texts: StringArray =
                    numbers.iter().map(|number| number.map(|number| dictionary.text(number))).collect();
                assert_eq!(&texts, array.as_string::<i32>(), "seed {seed}: {}", field.name());
            }
        }
    }
}
