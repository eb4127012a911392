//! Send, ask, kill, start again, ask again: what the command line answers, in every form, from memory and from the files.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use campaign::binary::Server;
use campaign::ledger::Ledger;
use campaign::load::{Load, Plan};
use model::Signal;
use serde_json::Value;

use crate::harness::{BINARY, Place};

// Sends some hundred records of each signal and gives the sender's book.
async fn send(server: &Server) -> Arc<Ledger> {
    let ledger = Arc::new(Ledger::default());
    let plan = Plan { connections: 2, records_max: 20, requests_max: 60, seed: 7, pause: None };
    Load::start(server, &ledger, plan).expect("senders").wait().await.expect("sent");
    assert!(ledger.entries().iter().all(|entry| entry.acknowledged), "the server refused something");
    ledger
}

fn records(ledger: &Ledger, signal: Signal) -> usize {
    let entries = ledger.entries();
    let counts = entries.iter().filter(|entry| entry.signal == signal).map(|entry| entry.count as usize);
    counts.sum()
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

#[tokio::test]
async fn what_was_sent_is_found_before_and_after_kill_9() {
    let place = Place::new();
    let mut server = place.serve().await;
    let ledger = send(&server).await;
    let before = ask_everything(&place, &server, &ledger);
    server.kill().await.expect("killed");

    let mut server = place.serve().await;
    assert_eq!(ask_everything(&place, &server, &ledger), before, "after kill -9");

    server.stop(Duration::from_secs(60)).await.expect("it stops");
    let inspected = json_lines(&place.run(&["inspect", "--data-dir", "data", "--json"]).succeeded());
    for signal in Signal::ALL {
        let parts = inspected.iter().filter(|line| line["table"] == signal.as_str());
        let rows: u64 = parts.filter_map(|part| part["rows"].as_u64()).sum();
        assert_eq!(rows, records(&ledger, signal) as u64, "rows of {signal} in parts");
    }
    let server = place.serve().await;
    assert_eq!(ask_everything(&place, &server, &ledger), before, "from the files");
}

// The rows of every signal as the command line gives them.
fn ask_everything(place: &Place, server: &Server, ledger: &Ledger) -> Vec<String> {
    let url = server.url("http");
    let ask = |signal: Signal| {
        let answer = place.run(&[signal.as_str(), "--limit", "none", "--oldest-first", "--json", "--url", &url]);
        assert_eq!(answer.stderr, "");
        let rows = answer.succeeded();
        assert_eq!(rows.lines().count(), records(ledger, signal), "{signal}");
        rows
    };
    Signal::ALL.into_iter().map(ask).collect()
}

#[tokio::test]
async fn answers_for_people_are_tables_and_say_what_is_missing() {
    let place = Place::new();
    let server = place.serve().await;
    let url = server.url("http");
    let nothing = place.run(&["logs", "--url", &url]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (0, ""));
    assert_eq!(nothing.stderr, "note: no logs match in this time range\n");

    let ledger = send(&server).await;
    let logs = place.run(&["logs", "service:service-1", "--limit", "3", "--url", &url]);
    assert_eq!(logs.stderr, "note: there are more: raise --limit (now 3)\n");
    let lines: Vec<&str> = logs.stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{}", logs.stdout);
    assert!(lines[0].starts_with("TIME ") && lines[0].contains("LEVEL") && lines[0].ends_with("MESSAGE"));
    assert!(lines[1..].iter().all(|line| line.contains("service-1")), "{}", logs.stdout);

    let spans = place.run(&["spans", "duration:>0s", "--limit", "10000", "--url", &url]).succeeded();
    assert_eq!(spans.lines().count(), records(&ledger, Signal::Spans) + 1);
    let status = place.run(&["status", "--url", &url]).succeeded();
    assert!(status.contains("\ningest_seq ") && status.contains("\nwal "), "{status}");
}

#[tokio::test]
async fn a_bad_query_is_shown_with_the_place_of_the_mistake() {
    let place = Place::new();
    let server = place.serve().await;
    let ran = place.run(&["logs", "--url", &server.url("http"), "service:gateway \"not closed"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert!(lines[0].starts_with("error: the server refused /api/v1/logs: "), "{}", ran.stderr);
    assert_eq!(lines[1..3], ["  service:gateway \"not closed", "                  ^"]);
    assert!(lines[3].starts_with("hint: "), "{}", ran.stderr);
}

#[tokio::test]
async fn a_follower_sees_records_as_they_come() {
    let place = Place::new();
    let server = place.serve().await;
    for signal in Signal::ALL {
        let mut child = Command::new(BINARY)
            .args([signal.as_str(), "-f", "--url", &server.url("http")])
            .env_clear()
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        // The heading is printed once the server has begun to answer.
        let heading = lines.next().expect("a heading").expect("readable");
        assert!(heading.starts_with("TIME"), "{heading}");
        send(&server).await;
        let row = lines.next().expect("a row").expect("readable");
        assert!(row.contains("service-"), "{row}");
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
}

#[tokio::test]
async fn what_a_stranger_wrote_cannot_move_the_cursor() {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
    use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

    let place = Place::new();
    let server = place.serve().await;
    let body = AnyValue { value: Some(Value::StringValue("\x1b[2J\u{9b}31m\u{202e}evil\r\n".to_owned())) };
    let log_records = vec![LogRecord { body: Some(body), ..LogRecord::default() }];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    let request = campaign::otlp::Request::Logs(ExportLogsServiceRequest { resource_logs });
    let mut door = campaign::load::Door::http(&server.url("otlp_http")).expect("an address");
    assert_eq!(door.send(request).await.expect("valid"), campaign::load::Answer::Stored);
    let shown = place.run(&["logs", "--url", &server.url("http")]).succeeded();
    assert!(shown.contains("\\x1b[2J\\u{9b}31m\\u{202e}evil\\r\\n"), "{shown}");
    assert!(!shown.trim_end().contains(|c: char| c != '\n' && tui::sanitize::is_hostile(c)), "{shown:?}");
}
