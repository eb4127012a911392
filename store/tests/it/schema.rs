//! Builders, flat rows and the choice of attribute columns: whatever comes in is there afterwards, once, somewhere.

use std::collections::BTreeMap;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::DataType;
use fastrand::Rng;
use model::attributes::AttributeValue;
use store::limits::ATTRIBUTE_COLUMNS_MAX;
use store::schema::{
    LogColumns, LogRow, ResourceRow, ScopeRow, ValueRef, column, expansion_bytes, flat_rows, is_attribute, joined,
};

use crate::generate::{self, attributes, distinct, refs, rows, sorted_rows};

fn log_batch(of_rows: &[Vec<(String, AttributeValue)>]) -> RecordBatch {
    let mut columns = LogColumns::default();
    let envelope = columns.envelopes.push(&ResourceRow::default(), &ScopeRow::default());
    for attributes in of_rows {
        columns.push(&LogRow { envelope, ..LogRow::default() }, &refs(attributes));
    }
    flat_rows(&columns.finish(), 1).expect("the batch is whole")
}

// The attributes of each row, read back from wherever they are.
fn read_back(batch: &RecordBatch) -> Vec<BTreeMap<String, String>> {
    let only_attributes = |row: generate::Row| {
        let entries = row.into_iter();
        entries.filter_map(|(name, json)| Some((name.strip_prefix("attr:")?.to_owned(), json))).collect()
    };
    rows(batch).into_iter().map(only_attributes).collect()
}

fn expected(of_rows: &[Vec<(String, AttributeValue)>]) -> Vec<BTreeMap<String, String>> {
    let json = |value: &AttributeValue| value.to_otlp_json().to_string();
    of_rows.iter().map(|row| distinct(row).iter().map(|(key, value)| (key.clone(), json(value))).collect()).collect()
}

#[test]
fn attributes_of_every_kind_are_kept_once_and_the_last_of_one_key_counts() {
    for seed in 0..40 {
        println!("seed {seed}");
        let mut random = Rng::with_seed(seed);
        let keys = *random.choice(&[1, 5, 40, 400]).expect("there are some");
        let of_rows: Vec<_> = (0..random.usize(1..150)).map(|_| attributes(&mut random, keys)).collect();
        assert_eq!(read_back(&log_batch(&of_rows)), expected(&of_rows));
    }
}

#[test]
fn a_large_resource_counts_once_for_each_row_that_names_it() {
    let large = "x".repeat(1_000);
    let nested = AttributeValue::Array(vec![AttributeValue::String("y".repeat(300))]);
    let attributes = [("large", ValueRef::String(&large)), ("nested", ValueRef::Nested(&nested))];
    let mut columns = LogColumns::default();
    let resource = ResourceRow { attributes: &attributes, ..ResourceRow::default() };
    let heavy = columns.envelopes.push(&resource, &ScopeRow::default());
    let light = columns.envelopes.push(&ResourceRow::default(), &ScopeRow::default());
    for row in 0..50 {
        columns.push(&LogRow { envelope: if row < 40 { heavy } else { light }, ..LogRow::default() }, &[]);
    }
    let bytes = expansion_bytes(&columns.finish(), |_| true).expect("the batch is whole");
    // Beside the values there are the nested one's key and the words of its JSON.
    assert!((40 * 1_300..40 * 1_400).contains(&bytes), "{bytes}");
}

#[test]
fn keys_beyond_the_bound_live_in_the_overflow() {
    let row: Vec<_> =
        (0..ATTRIBUTE_COLUMNS_MAX + 7).map(|n| (format!("k{n}"), AttributeValue::Int(n as i64))).collect();
    let batch = log_batch(std::slice::from_ref(&row));
    let columns = batch.schema_ref().fields().iter().filter(|field| is_attribute(field.name())).count();
    assert_eq!(columns, ATTRIBUTE_COLUMNS_MAX);
    assert_eq!(batch[column::OVERFLOW].as_map().value_length(0), 7);
    assert_eq!(read_back(&batch), expected(&[row]));
}

#[test]
fn a_body_that_is_no_text_is_shown_as_json_and_kept_whole() {
    let mut columns = LogColumns::default();
    let envelope = columns.envelopes.push(&ResourceRow::default(), &ScopeRow::default());
    let nested = AttributeValue::Map(vec![("amount".into(), AttributeValue::Int(5))]);
    for body in [None, Some(ValueRef::String("plain")), Some(ValueRef::from(&nested)), Some(ValueRef::Bool(true))] {
        columns.push(&LogRow { envelope, body, ..LogRow::default() }, &[]);
    }
    let batch = flat_rows(&columns.finish(), 1).expect("the batch is whole");
    let bodies: Vec<Option<&str>> = batch[column::BODY].as_string::<i32>().iter().collect();
    assert_eq!(bodies, [None, Some("plain"), Some(r#"{"amount":5}"#), Some("true")]);
    let overflow = batch[column::OVERFLOW].as_map();
    let lengths: Vec<i32> = (0..4).map(|row| overflow.value_length(row)).collect();
    assert_eq!(lengths, [0, 0, 1, 1]);
    assert_eq!(overflow.keys().as_string::<i32>().value(0), column::BODY_KEY);
    assert_eq!(overflow.values().as_string::<i32>().value(0), nested.to_otlp_json().to_string());
}

#[test]
fn empty_batches_are_flat_too() {
    let batch = flat_rows(&LogColumns::default().finish(), 1).expect("the batch is whole");
    assert_eq!(batch.num_rows(), 0);
}

#[test]
fn joining_loses_nothing_whatever_the_types() {
    for seed in 0..60 {
        println!("seed {seed}");
        let mut random = Rng::with_seed(seed);
        let keys = *random.choice(&[2, 30, 500]).expect("there are some");
        let batches: Vec<RecordBatch> = (0..random.u64(1..6))
            .map(|n: u64| {
                let rows = random.usize(0..120);
                flat_rows(&generate::logs(&mut random, rows, keys, generate::DAY), 1 + n * 1_000).expect("it is whole")
            })
            .collect();
        let joined = joined(&batches).expect("batches of one table join");
        let columns = joined.schema_ref().fields().iter().filter(|field| is_attribute(field.name())).count();
        assert!(columns <= ATTRIBUTE_COLUMNS_MAX);
        let apart: Vec<_> = batches.iter().flat_map(rows).collect();
        assert_eq!(rows(&joined), apart);
    }
}

#[test]
fn a_key_gets_the_type_that_most_of_its_values_have() {
    let attribute = |value: AttributeValue| vec![("k".to_owned(), value)];
    let number = || attribute(AttributeValue::Int(7));
    let text = || attribute(AttributeValue::String("x".into()));
    // In each batch the first value decides, so that texts are in the overflow of the first and numbers in the second's.
    let batches = [log_batch(&[number(), text(), text(), text()]), log_batch(&[text(), number()])];
    let joined = joined(&batches).expect("batches of one table join");
    let values = &joined["attr:k"];
    assert_eq!(values.data_type(), &DataType::Utf8);
    assert_eq!(values.len() - values.null_count(), 4);
    let lengths: Vec<i32> = (0..6).map(|row| joined[column::OVERFLOW].as_map().value_length(row)).collect();
    assert_eq!(lengths, [1, 0, 0, 0, 0, 1]);
    assert_eq!(sorted_rows([&joined]), sorted_rows(&batches));
}

#[test]
fn a_small_batch_takes_little_memory() {
    let mut random = Rng::with_seed(1);
    let bytes = generate::spans(&mut random, 1, generate::SECOND).memory_bytes();
    assert!(bytes < 20_000, "one span takes {bytes} bytes");
}
