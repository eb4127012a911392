//! The official Node SDK sends in every way it has; what comes back is what was sent.
//!
//! Its packages are installed once ([`kept`]) from the lock file; needs `node` with `npm`, and
//! npm's registry the first time. Where there is no node the test says so and passes, except in CI.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::Place;
use crate::kept;
use crate::python::{compare_recordings, succeed};
use crate::relay::{self, WAYS};

/// Of each signal, each way.
const ITEMS: &str = "400";

/// The program and its packages.
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/node");

/// What decides on what is installed.
const PINNED: [&str; 2] = ["package.json", "package-lock.json"];

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_sdk_sends_comes_back_equal() {
    if !there_is_node() {
        assert!(std::env::var_os("CI").is_none(), "there is no node, and CI wants this tested");
        return eprintln!("skipped: no node");
    }
    let place = Place::new();
    let folder = place.path().to_owned();
    let program = tokio::task::spawn_blocking(move || program(&folder)).await.expect("the packages are there");
    let server = place.serve().await;
    let mut recordings = Vec::new();
    for way in WAYS {
        let recording = place.path().join(format!("{}.otlp", way.word()));
        let endpoint = relay::start(way, server.url(way.door()), &recording).await;
        let mut command = Command::new("node");
        command.arg(&program).args([&endpoint, way.protocol, way.compression, ITEMS]);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_setting(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        blocking(move || succeed(&mut command)).await;
        recordings.push(recording);
    }
    let url = server.url("http");
    let said = blocking(move || compare_recordings(&recordings, &url)).await;
    let least = ITEMS.parse::<usize>().expect("a number") * WAYS.len();
    for signal in ["logs", "spans", "points"] {
        let line = said.lines().find(|line| line.starts_with(&format!("{signal}: sent="))).expect(signal);
        let sent = line.split(['=', ' ']).nth(2).and_then(|count| count.parse::<usize>().ok()).expect(line);
        assert!(sent >= least, "{line}");
    }
}

// What the machine sets for SDKs or node is none of the test's business.
pub fn is_setting(name: &str) -> bool {
    name.starts_with("OTEL_") || name == "NODE_OPTIONS" || name.to_ascii_lowercase().ends_with("_proxy")
}

// The relays live in this runtime, so waiting for another process must not block it.
async fn blocking(work: impl FnOnce() -> String + Send + 'static) -> String {
    tokio::task::spawn_blocking(work).await.expect("it works")
}

pub fn there_is_node() -> bool {
    ["node", "npm"].iter().all(|name| Command::new(name).arg("--version").output().is_ok_and(|it| it.status.success()))
}

// The program in the test's place, beside the packages as the lock file wants them: node looks for them there.
fn program(place: &Path) -> PathBuf {
    symlink(packages().join("node_modules"), place.join("node_modules")).expect("a link to the packages");
    let program = place.join("send.mjs");
    fs::copy(Path::new(SOURCES).join("send.mjs"), &program).expect("the program can be copied");
    program
}

/// The folder with the packages of `tests/clients/node`, which has them installed as its lock file says.
pub fn packages() -> PathBuf {
    let recipe: String = PINNED.map(|name| fs::read_to_string(Path::new(SOURCES).join(name)).expect(name)).concat();
    kept::folder("node", &recipe, |folder| {
        for name in PINNED {
            fs::copy(Path::new(SOURCES).join(name), folder.join(name)).expect(name);
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--fetch-timeout=60000"]);
        succeed(npm.current_dir(folder));
    })
}
