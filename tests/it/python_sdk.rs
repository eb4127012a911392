//! The official Python SDK sends in every way it has, plain and compressed; what comes back is what was sent, from memory, after
//! kill -9, and from the files; and other readers of the files see the same rows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use campaign::binary::Server;
use model::Timestamp;
use model::wire::Attributes;
use model::wire::logs::LogRow;
use model::wire::points::PointRow;
use model::wire::spans::SpanRow;
use serde_json::{Value, json};
use tui::client::{Row, RowsRequest};

use crate::harness::Place;
use crate::python::{compare_recordings, program, succeed};
use crate::relay::{WAYS, Way};

/// Of each signal, each way.
const ITEMS: &str = "700";

// Sends everything in every way and gives the recordings of what was acknowledged.
fn send_all(place: &Place, server: &Server) -> Vec<PathBuf> {
    let send = |way: Way| {
        let recording = place.path().join(format!("{}.otlp", way.word()));
        let endpoint = server.url(way.door());
        let mut command = program("send.py");
        command.args(["--endpoint", &endpoint, "--protocol", way.protocol, "--compression", way.compression]);
        command.args(["--items", ITEMS, "--record"]).arg(&recording);
        succeed(&mut command);
        recording
    };
    WAYS.into_iter().map(send).collect()
}

// Asks the server for everything as OTLP and compares it with the recordings.
fn compare(recordings: &[PathBuf], server: &Server) {
    compare_recordings(recordings, &server.url("http"));
}

#[tokio::test]
async fn what_the_python_sdk_sends_comes_back_equal() {
    let place = Place::new();
    let mut server = place.serve().await;
    let recordings = send_all(&place, &server);
    compare(&recordings, &server);

    server.kill().await.expect("killed");
    let mut server = place.serve().await;
    compare(&recordings, &server);

    // A clean stop writes everything into parts.
    server.stop(Duration::from_secs(60)).await.expect("it stops");
    let server = place.serve().await;
    compare(&recordings, &server);
    other_readers_see_the_same_rows(&place, &server).await;
}

async fn other_readers_see_the_same_rows(place: &Place, server: &Server) {
    let logs = rows::<LogRow>(server).await;
    assert_eq!(logs.len(), 4_200);
    let names = "ingest_seq timestamp observed_timestamp trace_id span_id correlation_id severity_number severity_text \
                 event_name flags service dropped_attributes_count";
    let expected = logs.iter().map(|row| {
        json!([
            row.ingest_seq,
            nanos(&row.timestamp),
            nanos(&row.observed_timestamp),
            row.trace_id,
            row.span_id,
            row.correlation_id,
            row.severity_number,
            row.severity_text,
            row.event_name,
            row.flags,
            row.service,
            row.dropped_attributes_count,
        ])
    });
    compare_columns(place, "logs", names, expected.collect());
    compare_attributes(place, "logs", logs.iter().map(|row| (row.ingest_seq, &row.attributes)));

    let spans = rows::<SpanRow>(server).await;
    assert_eq!(spans.len(), 4_200);
    let names = "ingest_seq timestamp end_timestamp duration_ns trace_id span_id parent_span_id correlation_id name \
                 status_message service trace_state flags dropped_links_count";
    let expected = spans.iter().map(|row| {
        json!([
            row.ingest_seq,
            nanos(&row.timestamp),
            nanos(&row.end_timestamp),
            row.duration_ns,
            row.trace_id,
            row.span_id,
            row.parent_span_id,
            row.correlation_id,
            row.name,
            row.status_message,
            row.service,
            row.trace_state,
            row.flags,
            row.dropped_links_count,
        ])
    });
    compare_columns(place, "spans", names, expected.collect());
    compare_attributes(place, "spans", spans.iter().map(|row| (row.ingest_seq, &row.attributes)));

    let points = rows::<PointRow>(server).await;
    assert!(points.len() >= 4_200, "{} points", points.len());
    let names = "ingest_seq timestamp start_timestamp count bucket_counts flags scale zero_count";
    let expected = points.iter().map(|row| {
        json!([
            row.ingest_seq,
            nanos(&row.timestamp),
            row.start_timestamp.as_deref().map(nanos),
            row.count,
            row.bucket_counts,
            row.flags,
            row.scale,
            row.zero_count,
        ])
    });
    compare_columns(place, "points", names, expected.collect());
    compare_values(place, &points);
}

// Every row of a signal, by ingest_seq.
async fn rows<R: Row>(server: &Server) -> Vec<R> {
    let request = RowsRequest {
        start: Some("0".to_owned()),
        end: Some("+1d".to_owned()),
        limit: Some("none".to_owned()),
        ..RowsRequest::default()
    };
    let rows = server.client().rows::<R>(&request).await.expect("an answer");
    let (rows, meta) = rows.collect().await.expect("a whole answer");
    assert!(!meta.partial, "{meta:?}");
    rows
}

fn nanos(timestamp: &str) -> i64 {
    Timestamp::parse(timestamp, Timestamp::default()).expect("a time").as_nanos()
}

// What DuckDB and pyarrow, who have to agree, find in these columns.
fn read(place: &Place, table: &str, columns: &[&str]) -> Vec<Value> {
    let mut command = program("parts.py");
    command.arg(place.data_dir()).arg(table).args(columns);
    let lines = succeed(&mut command);
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

// An absent text is null in the files and may be empty in an answer.
fn plain(value: &Value) -> Value {
    match value {
        Value::String(text) if text.is_empty() => Value::Null,
        Value::Number(number) if number.as_u64() == Some(0) => Value::Null,
        other => other.clone(),
    }
}

fn compare_columns(place: &Place, table: &str, names: &str, mut expected: Vec<Value>) {
    expected.sort_by_key(|row| row[0].as_u64());
    let names: Vec<&str> = names.split_whitespace().collect();
    let found = read(place, table, &names);
    assert_eq!(found.len(), expected.len(), "rows of {table}");
    for (found, expected) in found.iter().zip(&expected) {
        for (place, name) in names.iter().enumerate() {
            assert_eq!(plain(&found[name]), plain(&expected[place]), "{table}.{name} of {found}");
        }
    }
}

// Each attribute is a column of its own or stands in the overflow; where it is a column, it has the value of the answer.
fn compare_attributes<'r>(place: &Place, table: &str, answers: impl Iterator<Item = (u64, &'r Attributes)>) {
    let mut answers: Vec<(u64, &Attributes)> = answers.collect();
    answers.sort_by_key(|(seq, _)| *seq);
    let keys: BTreeSet<&String> = answers.iter().flat_map(|(_, attributes)| attributes.keys()).collect();
    let columns: Vec<String> = keys.iter().map(|key| format!("attr:{key}")).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut compared = 0;
    for (found, (seq, answered)) in read(place, table, &columns).iter().zip(&answers) {
        for (key, column) in keys.iter().zip(&columns) {
            let (stored, answered) = (&found[column], answered.get(*key));
            match answered {
                Some(answered) if !stored.is_null() => {
                    assert_eq!(comparable(stored), comparable(answered), "{table} {seq}: {key}");
                    compared += 1;
                }
                // In the overflow.
                Some(_) => {}
                None => assert!(stored.is_null(), "{table} {seq}: {key} is in the file only"),
            }
        }
    }
    assert!(compared > answers.len(), "{table}: hardly any attribute is a column: {compared}");
}

// The API writes integers beyond 2^53 as text; a whole double may be written with or without a point.
fn comparable(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            number.as_f64().map(|number| number.to_string()).unwrap_or_default()
        }
        other => other.to_string(),
    }
}

fn compare_values(place: &Place, points: &[PointRow]) {
    let columns = ["ingest_seq", "value_int", "value_double", "value_units", "value_scale", "sum"];
    let found = read(place, "points", &columns);
    let by_seq: BTreeMap<u64, &PointRow> = points.iter().map(|row| (row.ingest_seq, row)).collect();
    for stored in found {
        let row = by_seq[&stored["ingest_seq"].as_u64().expect("a number")];
        let decimal = stored["value_units"].as_f64().zip(stored["value_scale"].as_i64());
        let decimal = decimal.map_or(Value::Null, |(units, scale)| (units / 10f64.powi(scale as i32)).into());
        let value =
            [&stored["value_int"], &stored["value_double"], &decimal].into_iter().find(|value| !value.is_null());
        let value = value.unwrap_or(&Value::Null);
        for (stored, answered) in [(value, row.value.as_ref()), (&stored["sum"], row.sum.as_ref())] {
            let answered = answered.unwrap_or(&Value::Null);
            assert_eq!(number(stored), number(answered), "{row:?}");
        }
    }
}

// NaN and infinities are texts on both sides, spelled differently.
fn number(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Number(number) => number.as_f64().map(|number| number.to_string()),
        Value::String(text) => Some(text.parse::<f64>().expect("a number").to_string()),
        other => panic!("{other} is no number"),
    }
}
