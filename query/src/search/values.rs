//! The texts of a field in a batch, each distinct one once: what groups are made of.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt8Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use model::attributes::AttributeValue;
use model::id::hex;
use store::Table;

use crate::search::evaluate::{entry, present, word};
use crate::search::layers::{Layer, Look, layers};
use crate::search::matching::Scalar;
use crate::search::number::Number;
use crate::search::plan::Field;

/// The texts of a field in the rows of a batch. A row without the field has the empty text.
#[derive(Debug)]
pub struct Texts {
    // For each row the position of its text.
    codes: Vec<u32>,
    // The first is the empty one.
    texts: Vec<String>,
    known: HashMap<String, u32>,
}

/// The texts of the field in these rows.
pub fn texts(table: Table, field: &Field, batch: &RecordBatch, rows: &BooleanBuffer) -> Result<Texts, ArrowError> {
    let mut texts = Texts {
        codes: vec![0; batch.num_rows()],
        texts: vec![String::new()],
        known: HashMap::from([(String::new(), 0)]),
    };
    let mut left = rows.clone();
    for layer in layers(table, field, batch) {
        let present = &left & &present(&layer)?;
        if present.count_set_bits() == 0 {
            continue;
        }
        match &layer {
            Layer::Map(map, key) => texts.fill(&present, |row| {
                let json = entry(map.as_map(), key, row)?;
                let value = AttributeValue::from_otlp_json(&serde_json::from_str(json).ok()?)?;
                Some(Cow::Owned(Scalar::from(&value).text().into_owned()))
            }),
            Layer::Array(array, look) => texts.fill_from(array, *look, &present)?,
        }
        left = &left & &!&present;
    }
    Ok(texts)
}

impl Texts {
    /// The position of a row's text. Rows have equal texts exactly if they have equal positions.
    pub fn code(&self, row: usize) -> u32 {
        self.codes[row]
    }

    /// How many positions there are.
    pub fn distinct(&self) -> usize {
        self.texts.len()
    }

    /// The text at a position.
    pub fn text(&self, code: u32) -> &str {
        &self.texts[code as usize]
    }

    fn fill<'a>(&mut self, rows: &BooleanBuffer, mut text: impl FnMut(usize) -> Option<Cow<'a, str>>) {
        for row in rows.set_indices() {
            if let Some(text) = text(row) {
                self.codes[row] = self.code_of(&text);
            }
        }
    }

    fn code_of(&mut self, text: &str) -> u32 {
        if let Some(code) = self.known.get(text) {
            return *code;
        }
        let code = self.texts.len() as u32;
        self.texts.push(text.to_owned());
        self.known.insert(text.to_owned(), code);
        code
    }

    fn fill_from(&mut self, array: &ArrayRef, look: Look, rows: &BooleanBuffer) -> Result<(), ArrowError> {
        match look {
            Look::Severity | Look::Word(_) => {
                let numbers = cast(array, &DataType::Int32)?;
                let numbers = numbers.as_primitive::<Int32Type>().values();
                self.fill_distinct(rows, |row| numbers[row], |number| word(look, number).unwrap_or_default());
            }
            Look::Hex => {
                let ids = array.as_fixed_size_binary();
                self.fill(rows, |row| Some(hex(ids.value(row)).into()));
            }
            Look::Time => {
                let nanos = array.as_primitive::<TimestampNanosecondType>().values();
                self.fill(rows, |row| Some(Scalar::Time(nanos[row]).text()));
            }
            Look::Duration => {
                let nanos = array.as_primitive::<UInt64Type>().values();
                let text = |row: usize| Scalar::Duration(i64::try_from(nanos[row]).unwrap_or(i64::MAX)).text();
                self.fill(rows, |row| Some(text(row)));
            }
            Look::Text | Look::Plain => self.fill_plain(array, rows)?,
        }
        Ok(())
    }

    fn fill_plain(&mut self, array: &ArrayRef, rows: &BooleanBuffer) -> Result<(), ArrowError> {
        if let Some(dictionary) = array.as_any_dictionary_opt() {
            let values = dictionary.values();
            // An empty dictionary has no keys to normalise.
            if values.is_empty() {
                return Ok(());
            }
            let values = plain_texts(values)?;
            let keys = dictionary.normalized_keys();
            self.fill_distinct(rows, |row| keys[row], |key| values(key).into_owned());
            return Ok(());
        }
        let text = plain_texts(array)?;
        self.fill(rows, |row| Some(text(row)));
        Ok(())
    }

    // Of values that are told apart more cheaply than their texts are made.
    fn fill_distinct<K: std::hash::Hash + Eq + Copy>(
        &mut self,
        rows: &BooleanBuffer,
        key: impl Fn(usize) -> K,
        text: impl Fn(K) -> String,
    ) {
        let mut known: HashMap<K, u32> = HashMap::new();
        for row in rows.set_indices() {
            let key = key(row);
            self.codes[row] = *known.entry(key).or_insert_with(|| self.code_of(&text(key)));
        }
    }
}

// Gives the text of a row of an array without a dictionary.
fn plain_texts<'a>(array: &'a ArrayRef) -> Result<Box<dyn Fn(usize) -> Cow<'a, str> + 'a>, ArrowError> {
    macro_rules! integers {
        ($type:ty) => {{
            let values = array.as_primitive::<$type>().values();
            Box::new(move |row| Scalar::Number(Number::Int(i128::from(values[row]))).text())
        }};
    }
    Ok(match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            Box::new(move |row| Cow::Borrowed(texts.value(row)))
        }
        DataType::LargeUtf8 => {
            let texts = array.as_string::<i64>();
            Box::new(move |row| Cow::Borrowed(texts.value(row)))
        }
        DataType::Utf8View => {
            let texts = array.as_string_view();
            Box::new(move |row| Cow::Borrowed(texts.value(row)))
        }
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        DataType::UInt8 => integers!(UInt8Type),
        DataType::UInt32 => integers!(UInt32Type),
        DataType::UInt64 => integers!(UInt64Type),
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            Box::new(move |row| Scalar::Number(Number::Double(values[row])).text())
        }
        DataType::Boolean => {
            let values = array.as_boolean().values();
            Box::new(move |row| Scalar::Bool(values.value(row)).text())
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            Box::new(move |row| Scalar::Bytes(values.value(row)).text())
        }
        DataType::LargeBinary => {
            let values = array.as_binary::<i64>();
            Box::new(move |row| Scalar::Bytes(values.value(row)).text())
        }
        DataType::BinaryView => {
            let values = array.as_binary_view();
            Box::new(move |row| Scalar::Bytes(values.value(row)).text())
        }
        other => return Err(ArrowError::SchemaError(format!("no count can be split by a column of type {other}"))),
    })
}
