//! `sextant demo`, as a newcomer runs it: it prints an id, everything of that order can be found by it, and Ctrl-C ends it all.

use std::process::Stdio;
use std::time::Duration;

use campaign::binary::hermetic;
use model::wire::correlate::Correlation;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::harness::{BINARY, Place, until};

const SERVICES: [&str; 5] = ["gateway", "catalog", "orders", "payments", "notifications"];
// Instances of these, and the customers.
const PROCESSES: usize = 10;

// The promise: everything is there within a minute after the build.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Demo {
    pub child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Demo {
    pub fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut command = hermetic(BINARY.as_ref(), place.path());
        let any = "127.0.0.1:0";
        command.args(["demo", "--otlp-grpc", any, "--otlp-http", any, "--http", any, "--shop", any]);
        command.args(arguments);
        // Where the demo's own directory is made, so that it can be seen that it is removed.
        command.env("TMPDIR", place.path());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the binary runs");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    // The rest of the first line that begins so.
    pub async fn said(&mut self, beginning: &str) -> String {
        let wait = async {
            while let Some(line) = self.lines.next_line().await.expect("readable") {
                if let Some(rest) = line.strip_prefix(beginning) {
                    return rest.to_owned();
                }
            }
            panic!("the demo ended without saying {beginning:?}")
        };
        timeout(PATIENCE, wait).await.expect("said within a minute")
    }

    // Everything up to the line that begins so.
    pub async fn said_until(&mut self, beginning: &str) -> String {
        let wait = async {
            let mut said = String::new();
            while let Some(line) = self.lines.next_line().await.expect("readable") {
                said.push_str(&line);
                said.push('\n');
                if line.starts_with(beginning) {
                    return said;
                }
            }
            panic!("the demo ended without saying {beginning:?}")
        };
        timeout(PATIENCE, wait).await.expect("said within a minute")
    }

    pub async fn interrupt(&mut self) {
        let id = self.child.id().expect("running").to_string();
        let sent = Command::new("kill").args(["-INT", &id]).status().await.expect("kill runs");
        assert!(sent.success());
    }
}

#[tokio::test]
async fn the_printed_id_finds_spans_and_logs_of_all_services_and_an_exemplar() {
    let place = Place::new();
    let mut demo = Demo::start(&place, &[]);
    let url = format!("http://{}", demo.said("http ").await);
    let id = demo.said("correlation_id=").await;

    let found = place.run(&["correlate", &id, "--json", "--url", &url]).succeeded();
    let found: Correlation = serde_json::from_str(&found).expect("one line of JSON");
    assert_eq!((found.id.as_str(), found.kind.as_str(), found.partial), (id.as_str(), "correlation", false));
    for service in SERVICES {
        assert!(found.spans.iter().any(|span| span.service.as_deref() == Some(service)), "no span of {service}");
        assert!(found.logs.iter().any(|log| log.service.as_deref() == Some(service)), "no log of {service}");
    }
    assert!(!found.exemplars.is_empty(), "no exemplar");
    check_what_people_see(&place, &url, &id, &found.spans[0].trace_id);

    demo.interrupt().await;
    let status = timeout(PATIENCE, demo.child.wait()).await.expect("it stops").expect("it ran");
    assert_eq!(status.code(), Some(0));
    let left: Vec<_> =
        std::fs::read_dir(place.path()).expect("readable").map(|entry| entry.expect("entry").path()).collect();
    assert_eq!(left, [place.path().join("sextant.toml")], "the demo leaves something behind");
}

#[tokio::test]
async fn a_demo_with_a_token_shows_it_and_tells_nobody() {
    // Characters that mean something where the services read it.
    const TOKEN: &str = "a-token,with=odd;characters%20and-more";
    let place = Place::new();
    std::fs::write(place.path().join("token"), format!("{TOKEN}\n")).expect("a file");
    let mut demo = Demo::start(&place, &["--token-file", "token"]);
    let url = format!("http://{}", demo.said("http ").await);
    let id = demo.said("correlation_id=").await;
    for service in children_of(demo.child.id().expect("running")) {
        let arguments = std::fs::read_to_string(format!("/proc/{service}/cmdline")).expect("running");
        assert!(arguments.contains("shop\0service") && !arguments.contains(TOKEN), "{arguments}");
    }
    let told = demo.said("  ").await;
    assert!(told.ends_with(&format!("--url {url} --token-file token")), "{told}");
    assert_ne!(place.run(&["correlate", &id, "--url", &url]).code, 0, "a stranger");
    let found = place.run(&["correlate", &id, "--json", "--url", &url, "--token-file", "token"]).succeeded();
    let found: Correlation = serde_json::from_str(&found).expect("one line of JSON");
    assert!(!found.spans.is_empty() && !found.logs.is_empty() && !found.exemplars.is_empty());
    demo.interrupt().await;
    let status = timeout(PATIENCE, demo.child.wait()).await.expect("it stops").expect("it ran");
    assert_eq!(status.code(), Some(0));
}

fn check_what_people_see(place: &Place, url: &str, id: &str, trace_id: &str) {
    let time_line = place.run(&["correlate", id, "--url", url]).succeeded();
    let trace = place.run(&["trace", trace_id, "--url", url]).succeeded();
    let logs = place.run(&["logs", &format!("correlation_id:{id}"), "--url", url]).succeeded();
    for service in SERVICES {
        for seen in [&time_line, &trace, &logs] {
            assert!(seen.contains(service), "no {service} in\n{seen}");
        }
    }
    assert!(trace.contains(['█', '▌', '▐']) && time_line.contains("exemplar"), "{trace}\n{time_line}");
    // Piped, so without colour or any other escape.
    assert!(![time_line, trace, logs].iter().any(|seen| seen.contains('\x1b')));
    let services = place.run(&["services", "--since", "5m", "--url", url]).succeeded();
    let as_json = place.run(&["services", "--json", "--url", url]).succeeded();
    assert_eq!(as_json.lines().count(), services.lines().count() - 1, "one service a line, below the heading");
    for service in SERVICES {
        assert!(services.contains(service) && as_json.contains(service), "no {service} in\n{services}");
    }
    let nothing = place.run(&["correlate", "nobody-has-this-id", "--url", url]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (1, ""), "{nothing:?}");
}

#[tokio::test]
async fn no_service_outlives_a_demo_that_was_killed() {
    let place = Place::new();
    let data_dir = place.path().join("kept");
    let mut demo = Demo::start(&place, &["--data-dir", data_dir.to_str().expect("plain")]);
    let _ = demo.said("correlation_id=").await;
    let parent = demo.child.id().expect("running");
    let services = children_of(parent);
    assert_eq!(services.len(), PROCESSES, "{services:?}");
    demo.child.kill().await.expect("killed");
    until("end of the services", PATIENCE, async || services.iter().all(|id| !is_running(*id)).then_some(())).await;
    assert!(data_dir.join("manifest.json").exists(), "the named directory is kept");
}

// /proc/ID/stat: the id, the name in parentheses, the state, the parent's id.
fn stat(id: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn children_of(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("a proc file system");
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id| stat(*id).is_some_and(|(_, of)| of == parent)).collect()
}

// A process that nobody has waited for yet is no longer running.
fn is_running(id: u32) -> bool {
    stat(id).is_some_and(|(state, _)| state != 'Z')
}
