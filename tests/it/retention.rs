//! What becomes of rows that are too old, of parts that are damaged, and of a disk that is nearly full, as senders and askers see it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use campaign::binary::Server;
use campaign::load::{Answer, Door};
use campaign::otlp::{Request, text};
use model::Signal;
use model::clock::{Clock as _, SystemClock};
use model::wire::status::Status;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::Value;

use crate::harness::{Place, until};

fn now_nanos() -> u64 {
    u64::try_from(SystemClock::new().now().as_nanos()).expect("after 1970")
}

fn logs(service: &str, count: u64, age: Duration) -> Request {
    let time_unix_nano = now_nanos() - age.as_nanos() as u64;
    let log_records = (0..count).map(|_| LogRecord { time_unix_nano, ..LogRecord::default() }).collect();
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource = Some(Resource { attributes: vec![text("service.name", service)], ..Resource::default() });
    let resource_logs = vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }];
    Request::Logs(ExportLogsServiceRequest { resource_logs })
}

async fn status(server: &Server) -> Status {
    server.client().status().await.expect("a status")
}

// The rows of an answer, and whether it is partial.
fn ask(place: &Place, server: &Server, query: &str) -> (usize, Value) {
    let url = server.url("http");
    let arguments = ["logs", query, "--limit", "none", "--since", "30d", "--json", "--url", url.as_str()];
    let answer = place.run(&arguments);
    let rows = answer.stdout.lines().count();
    (rows, Value::String(answer.stderr))
}

// Accepted is queryable, or expired: of all log records, by the receipts and by the tables.
fn accounts(status: &Status) -> (u64, u64, u64) {
    let accepted = status.receipts.iter().filter(|of| of.signal == "logs").map(|of| of.accepted).sum();
    let table = &status.tables["logs"];
    (accepted, table.head_rows + table.part_rows + status.quarantined.rows, table.expired_rows)
}

#[tokio::test]
async fn what_is_accepted_is_there_or_expired_and_what_is_too_old_is_refused() {
    let place = Place::configured(
        "log = \"warn\"\n[store]\nflush_interval_s = 1\nretention_services = { audit = { logs = \"none\" } }\n\
         [store.retention]\nlogs = \"8s\"\n",
    );
    let server = place.serve().await;
    let mut doors = [
        Door::http(&server.url("otlp_http")).expect("an address"),
        Door::grpc(&server.url("otlp_grpc")).expect("an address"),
    ];
    let day = Duration::from_secs(86_400);
    for door in &mut doors {
        assert_eq!(door.send(logs("shop", 10, Duration::ZERO)).await.expect("valid"), Answer::Stored);
        assert_eq!(door.send(logs("audit", 7, day)).await.expect("valid"), Answer::Stored);
        let refused = door.send(logs("shop", 5, day)).await.expect_err("they are too old").to_string();
        assert!(refused.starts_with("5 valid records were rejected"), "{refused}");
    }
    let all = status(&server).await;
    assert_eq!(accounts(&all).0, 2 * 17);
    for of in all.receipts.iter().filter(|of| of.service == "shop") {
        assert_eq!((of.accepted, of.rejected["older_than_retention"]), (10, 5), "{of:?}");
    }
    // They go, one after the other: from answers, then from the disk. At no time is the sum another.
    until("answer without what is expired", Duration::from_secs(60), async || {
        (ask(&place, &server, "service:shop").0 == 0).then_some(())
    })
    .await;
    assert_eq!(ask(&place, &server, "").0, 14);
    until("deletion of what is expired", Duration::from_secs(60), async || {
        let (accepted, kept, expired) = accounts(&status(&server).await);
        assert_eq!(accepted, kept + expired);
        (expired == 20).then_some(())
    })
    .await;
    assert_eq!(ask(&place, &server, "").0, 14);
    let shown = place.run(&["status", "--url", &server.url("http")]).succeeded();
    assert!(shown.contains("EXPIRED ROWS") && shown.contains("\ndisk         ok, "), "{shown}");
    let metrics = server.client().status().await.expect("a status").counters;
    assert_eq!(metrics.get("sextant_store_expired_rows_total{table=\"logs\"}"), Some(&20), "{metrics:?}");
}

fn parquet_of(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            parquet_of(&entry, found);
        } else if entry.ends_with("rows.parquet") {
            found.push(entry);
        }
    }
}

#[tokio::test]
async fn a_damaged_part_costs_its_rows_and_answers_say_so_until_it_is_put_back() {
    let place = Place::new();
    let mut server = place.serve().await;
    let mut door = Door::http(&server.url("otlp_http")).expect("an address");
    let old = Duration::from_secs(3 * 86_400);
    for (service, count, age) in [("old", 30, old), ("new", 20, Duration::ZERO)] {
        assert_eq!(door.send(logs(service, count, age)).await.expect("valid"), Answer::Stored);
    }
    server.stop(Duration::from_secs(60)).await.expect("it stops");
    let mut parts = Vec::new();
    parquet_of(&place.data_dir().join("parts/logs"), &mut parts);
    parts.sort();
    assert_eq!(parts.len(), 2, "one for each day");
    let whole = std::fs::read(&parts[0]).expect("a part");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 4;
    std::fs::write(&parts[0], damaged).expect("written");

    let mut server = place.serve().await;
    // Whether it was found by a query or before.
    let (rows, said) = ask(&place, &server, "");
    assert_eq!(rows, 20);
    assert!(said.as_str().is_some_and(|said| said.contains("up to 30 rows of this time are damaged")), "{said}");
    let quarantined = until("quarantine", Duration::from_secs(30), async || {
        let status = status(&server).await;
        (status.quarantined.parts > 0).then_some(status.quarantined)
    })
    .await;
    assert_eq!((quarantined.parts, quarantined.rows), (1, 30));
    let (rows, said) = ask(&place, &server, "service:old");
    assert_eq!(rows, 0);
    assert!(said.as_str().is_some_and(|said| said.contains("up to 30 rows of this time are damaged")), "{said}");
    let shown = place.run(&["status", "--url", &server.url("http")]).succeeded();
    assert!(shown.contains("\ndamaged      1 part with 30 rows"), "{shown}");

    server.stop(Duration::from_secs(60)).await.expect("it stops");
    let inspected = place.run(&["inspect", "--data-dir", "data"]).succeeded();
    assert!(inspected.contains("damaged      1 part, 30 rows"), "{inspected}");
    std::fs::write(&parts[0], whole).expect("written");
    let server = place.serve().await;
    assert_eq!(ask(&place, &server, ""), (50, Value::String(String::new())));
    assert_eq!(status(&server).await.quarantined.parts, 0);
}

// A file system of its own, as long as it is held.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: &Path, mebibytes: u64) -> Option<SmallDisk> {
        std::fs::create_dir_all(path).expect("a folder");
        let size = format!("size={mebibytes}m,mode=700");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).output();
        mounted.is_ok_and(|ran| ran.status.success()).then(|| SmallDisk(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_small_disk_is_never_full() {
    let place = Place::configured(
        "log = \"warn\"\n[store]\nfree_bytes_min = 16777216\nreserve_bytes = 2097152\nwal_segment_bytes = 4194304\n",
    );
    let Some(_disk) = SmallDisk::mount(&place.data_dir(), 64) else {
        eprintln!("skipped: only root can mount a small file system");
        return;
    };
    // A neighbour.
    let ballast = place.data_dir().join("ballast");
    std::fs::write(&ballast, vec![1; 36 << 20]).expect("there is room");
    let mut server = place.serve().await;
    let mut random = fastrand::Rng::with_seed(1);
    let mut acknowledged = 0;
    let mut fill = async |server: &Server, requests: u64| {
        let mut door = Door::http(&server.url("otlp_http")).expect("an address");
        for _ in 0..requests {
            let request = Request::numbered(Signal::Logs, acknowledged, 1_000, now_nanos(), &mut random);
            match door.send(request).await.expect("valid") {
                Answer::Stored => acknowledged += 1_000,
                Answer::TryAgain => return acknowledged,
                Answer::Gone => panic!("the server is gone"),
            }
        }
        panic!("{requests} requests were taken");
    };
    let stored = fill(&server, 500).await;
    assert!(stored > 0);
    let full = status(&server).await;
    assert_eq!(full.disk.state, "full");
    assert!(full.disk.free_bytes > 8 << 20 && full.disk.free_bytes < 16 << 20, "{:?}", full.disk);
    let rows = |server: &Server| ask(&place, server, "").0 as u64;
    assert_eq!(rows(&server), stored, "answers go on");

    // The neighbour takes the rest, too; nothing that was acknowledged is lost by a kill then.
    let more = vec![1; full.disk.free_bytes as usize];
    let _ = std::fs::write(place.data_dir().join("more"), more);
    server.kill().await.expect("killed");
    let server = place.serve().await;
    assert_eq!(rows(&server), stored, "after kill -9 on a full disk");
    assert_eq!(fill(&server, 1).await, stored, "it is refused");

    // There is room again, and it goes on without a restart.
    std::fs::remove_file(&ballast).expect("it is there");
    std::fs::remove_file(place.data_dir().join("more")).expect("it is there");
    until("room", Duration::from_secs(30), async || (status(&server).await.disk.state == "ok").then_some(())).await;
    let mut door = Door::http(&server.url("otlp_http")).expect("an address");
    let request = Request::numbered(Signal::Logs, stored, 10, now_nanos(), &mut fastrand::Rng::with_seed(2));
    assert_eq!(door.send(request).await.expect("valid"), Answer::Stored);
    assert_eq!(rows(&server), stored + 10);
}
