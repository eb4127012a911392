//! Evaluates a plan over a batch of rows, column by column. Only rows that can still matter are looked at: those that the
//! conditions before have left.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray as _, MapArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt8Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use model::attributes::AttributeValue;
use model::id::{hex, unhex};
use model::wire::logs::severity_word;
use model::wire::spans::{kind_word, status_word};
use store::Table;
use store::schema::metric_type;

use crate::search::fields::Words;
use crate::search::layers::{Layer, Look, layers};
use crate::search::matching::{Scalar, passes};
use crate::search::number::Number;
use crate::search::plan::{Plan, Test};

/// Those of `rows` that the plan matches.
pub fn evaluate(
    plan: &Plan,
    table: Table,
    batch: &RecordBatch,
    rows: &BooleanBuffer,
) -> Result<BooleanBuffer, ArrowError> {
    match plan {
        Plan::Everything => Ok(rows.clone()),
        Plan::Nothing => Ok(BooleanBuffer::new_unset(rows.len())),
        Plan::And(plans) => {
            let mut left = rows.clone();
            for plan in in_order_of_cost(plans) {
                if left.count_set_bits() == 0 {
                    break;
                }
                left = evaluate(plan, table, batch, &left)?;
            }
            Ok(left)
        }
        Plan::Or(plans) => {
            let mut found = BooleanBuffer::new_unset(rows.len());
            let mut left = rows.clone();
            for plan in in_order_of_cost(plans) {
                if left.count_set_bits() == 0 {
                    break;
                }
                let matched = evaluate(plan, table, batch, &left)?;
                left = &left & &!&matched;
                found = &found | &matched;
            }
            Ok(found)
        }
        Plan::Not(plan) => Ok(rows & &!&evaluate(plan, table, batch, rows)?),
        Plan::Is(field, test) => {
            let mut found = BooleanBuffer::new_unset(rows.len());
            let mut left = rows.clone();
            for layer in layers(table, field, batch) {
                let present = &left & &present(&layer)?;
                if present.count_set_bits() == 0 {
                    continue;
                }
                found = &found | &test_layer(&layer, test, &present)?;
                left = &left & &!&present;
            }
            Ok(found)
        }
    }
}

// Cheap conditions first, so that the dear ones see fewer rows.
fn in_order_of_cost(plans: &[Plan]) -> Vec<&Plan> {
    let mut ordered: Vec<&Plan> = plans.iter().collect();
    ordered.sort_by_key(|plan| cost(plan));
    ordered
}

fn cost(plan: &Plan) -> u32 {
    match plan {
        Plan::Everything | Plan::Nothing => 0,
        Plan::And(plans) | Plan::Or(plans) => plans.iter().map(cost).sum(),
        Plan::Not(plan) => cost(plan),
        Plan::Is(_, Test::Exists | Test::Within(_)) => 1,
        Plan::Is(_, Test::Text(_) | Test::OneOf(_)) => 2,
        Plan::Is(_, Test::Words(_) | Test::Prefix(_)) => 10,
        Plan::Is(_, Test::Regex(_)) => 20,
    }
}

/// The rows that have a value in this layer.
pub(super) fn present(layer: &Layer) -> Result<BooleanBuffer, ArrowError> {
    match layer {
        Layer::Map(map, key) => {
            let map = map.as_map();
            let keys = map.keys().as_string::<i32>();
            // Most batches have no such entry at all.
            if !keys.iter().any(|found| found == Some(key)) {
                return Ok(BooleanBuffer::new_unset(map.len()));
            }
            Ok(BooleanBuffer::collect_bool(map.len(), |row| entry(map, key, row).is_some()))
        }
        Layer::Array(array, look) => {
            let valid = match array.logical_nulls() {
                Some(nulls) => nulls.into_inner(),
                None => BooleanBuffer::new_set(array.len()),
            };
            match look {
                Look::Severity | Look::Word(_) => {
                    Ok(&valid & &by_number(array, &valid, |number| word(*look, number).is_some())?)
                }
                _ => Ok(valid),
            }
        }
    }
}

fn test_layer(layer: &Layer, test: &Test, rows: &BooleanBuffer) -> Result<BooleanBuffer, ArrowError> {
    match layer {
        Layer::Map(map, key) => Ok(collect(rows, |row| {
            let value = entry(map.as_map(), key, row).and_then(|json| serde_json::from_str(json).ok());
            let value = value.and_then(|json| AttributeValue::from_otlp_json(&json));
            value.is_some_and(|value| passes(test, Scalar::from(&value)))
        })),
        Layer::Array(array, look) => test_array(array, *look, test, rows),
    }
}

fn test_array(array: &ArrayRef, look: Look, test: &Test, rows: &BooleanBuffer) -> Result<BooleanBuffer, ArrowError> {
    match look {
        Look::Severity | Look::Word(_) => {
            by_number(array, rows, |number| word(look, number).is_some_and(|word| passes(test, Scalar::Text(&word))))
        }
        Look::Hex => test_ids(array, test, rows),
        Look::Time => {
            let nanos = array.as_primitive::<TimestampNanosecondType>().values();
            Ok(collect(rows, |row| passes(test, Scalar::Time(nanos[row]))))
        }
        Look::Duration => {
            let nanos = array.as_primitive::<UInt64Type>().values();
            Ok(collect(rows, |row| passes(test, Scalar::Duration(i64::try_from(nanos[row]).unwrap_or(i64::MAX)))))
        }
        Look::Text if *test == Test::Exists => {
            let texts = cast(array, &DataType::Utf8)?;
            let texts = texts.as_string::<i32>();
            Ok(collect(rows, |row| !texts.value(row).is_empty()))
        }
        Look::Text | Look::Plain => test_values(array, test, rows),
    }
}

fn test_values(array: &ArrayRef, test: &Test, rows: &BooleanBuffer) -> Result<BooleanBuffer, ArrowError> {
    if *test == Test::Exists {
        return Ok(rows.clone());
    }
    if let Some(dictionary) = array.as_any_dictionary_opt() {
        // Each distinct value once. An empty dictionary has no keys to normalise.
        let values = dictionary.values();
        if values.is_empty() {
            return Ok(BooleanBuffer::new_unset(array.len()));
        }
        let passed = test_values(values, test, &BooleanBuffer::new_set(values.len()))?;
        let keys = dictionary.normalized_keys();
        return Ok(collect(rows, |row| passed.value(keys[row])));
    }
    macro_rules! integers {
        ($type:ty) => {{
            let values = array.as_primitive::<$type>().values();
            collect(rows, |row| passes(test, Scalar::Number(Number::Int(i128::from(values[row])))))
        }};
    }
    Ok(match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            collect(rows, |row| passes(test, Scalar::Text(texts.value(row))))
        }
        DataType::LargeUtf8 | DataType::Utf8View => return test_values(&cast(array, &DataType::Utf8)?, test, rows),
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        DataType::UInt8 => integers!(UInt8Type),
        DataType::UInt32 => integers!(UInt32Type),
        DataType::UInt64 => integers!(UInt64Type),
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            collect(rows, |row| passes(test, Scalar::Number(Number::Double(values[row]))))
        }
        DataType::Boolean => {
            let values = array.as_boolean().values();
            collect(rows, |row| passes(test, Scalar::Bool(values.value(row))))
        }
        DataType::Binary => {
            let values = array.as_binary::<i32>();
            collect(rows, |row| passes(test, Scalar::Bytes(values.value(row))))
        }
        DataType::LargeBinary | DataType::BinaryView => {
            return test_values(&cast(array, &DataType::Binary)?, test, rows);
        }
        other => return Err(ArrowError::SchemaError(format!("no filter can look into a column of type {other}"))),
    })
}

// A whole id is compared as bytes; only prefixes and expressions need its digits.
fn test_ids(array: &ArrayRef, test: &Test, rows: &BooleanBuffer) -> Result<BooleanBuffer, ArrowError> {
    let ids = array.as_fixed_size_binary();
    let whole = match test {
        Test::Exists => return Ok(rows.clone()),
        Test::Words(phrase) if phrase.words.len() == 1 => Some(phrase.words[0].as_str()),
        Test::Text(text) => Some(text.as_str()),
        Test::OneOf(texts) => {
            let wanted: HashSet<Vec<u8>> = texts.iter().filter_map(|text| unhex(text)).collect();
            return Ok(collect(rows, |row| wanted.contains(ids.value(row))));
        }
        _ => None,
    };
    Ok(match whole {
        Some(text) => match unhex(text) {
            Some(wanted) => collect(rows, |row| ids.value(row) == wanted.as_slice()),
            None => BooleanBuffer::new_unset(rows.len()),
        },
        None => collect(rows, |row| passes(test, Scalar::Text(&hex(ids.value(row))))),
    })
}

// Applies `test` to each distinct number of a small set once.
fn by_number(array: &ArrayRef, rows: &BooleanBuffer, test: impl Fn(i32) -> bool) -> Result<BooleanBuffer, ArrowError> {
    let numbers = cast(array, &DataType::Int32)?;
    let numbers = numbers.as_primitive::<Int32Type>().values();
    let mut known: Vec<(i32, bool)> = Vec::new();
    Ok(collect(rows, |row| {
        let number = numbers[row];
        match known.iter().find(|(seen, _)| *seen == number) {
            Some((_, passed)) => *passed,
            None => {
                let passed = test(number);
                // A sender of ever different numbers gets no memory for them.
                if known.len() < 64 {
                    known.push((number, passed));
                }
                passed
            }
        }
    }))
}

/// The word of an enumeration's number; `None` where the number means that there is no value.
pub(super) fn word(look: Look, number: i32) -> Option<String> {
    match look {
        Look::Severity => severity_word(number).map(String::from),
        Look::Word(Words::SpanKind) => Some(kind_word(number)),
        Look::Word(Words::SpanStatus) => Some(status_word(number)),
        Look::Word(Words::MetricType) => u8::try_from(number).ok().map(|number| metric_type::word(number).to_owned()),
        Look::Word(Words::Temporality) => temporality_word(number),
        _ => None,
    }
}

/// The word of OTLP's temporality; `None` for 0, which gauges and summaries have; the number itself if it is unknown.
pub fn temporality_word(number: i32) -> Option<String> {
    match number {
        0 => None,
        1 => Some("delta".to_owned()),
        2 => Some("cumulative".to_owned()),
        other => Some(other.to_string()),
    }
}

/// The OTLP/JSON of the entry with this key in a row.
pub(super) fn entry<'a>(map: &'a MapArray, key: &str, row: usize) -> Option<&'a str> {
    let offsets = map.value_offsets();
    let keys = map.keys().as_string::<i32>();
    let range = offsets[row] as usize..offsets[row + 1] as usize;
    let position = range.into_iter().find(|position| keys.value(*position) == key)?;
    Some(map.values().as_string::<i32>().value(position))
}

fn collect(rows: &BooleanBuffer, mut test: impl FnMut(usize) -> bool) -> BooleanBuffer {
    BooleanBuffer::collect_bool(rows.len(), |row| rows.value(row) && test(row))
}
