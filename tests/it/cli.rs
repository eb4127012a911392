//! The command line's manners: exit codes, one clear sentence, hints, and where each of them goes.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{BINARY, Place};

// All doors anywhere, for commands that are expected to fail before or after they bind.
const ANYWHERE: [&str; 6] = ["--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0", "--http", "127.0.0.1:0"];

fn serve<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["serve"];
    arguments.extend(ANYWHERE);
    arguments.extend(more);
    arguments
}

#[test]
fn bad_configuration_names_file_line_and_nearest_key() {
    let place = Place::configured("# one\nlog = \"warn\"\n\n[store]\nflush_byte = 5\n");
    let ran = place.run(&serve(&[]));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert_eq!(
        ran.stderr,
        "error: sextant.toml:5: unknown key `store.flush_byte`\nhint: did you mean `store.flush_bytes`?\n"
    );
    assert_eq!(ran.stdout, "");
}

#[test]
fn a_bad_variable_is_named() {
    let place = Place::new();
    let mut command = Command::new(BINARY);
    command.args(serve(&[])).current_dir(place.path()).env_clear().env("SEXTANT_STORE_FLUSH_BYTES", "many");
    let output = command.output().expect("the binary runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.starts_with("error: SEXTANT_STORE_FLUSH_BYTES: \"many\" is no integer\nhint: "), "{stderr}");
}

#[test]
fn a_taken_port_is_one_clear_sentence() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let ran = place.run(&["serve", "--otlp-grpc", &address, "--otlp-http", "off", "--http", "off"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let sentence = format!("error: cannot listen on {address} for otlp_grpc: Address already in use");
    assert!(ran.stderr.starts_with(&sentence), "{}", ran.stderr);
    assert!(ran.stderr.contains("\nhint: another process listens there"), "{}", ran.stderr);
}

#[test]
fn the_network_is_let_in_only_by_somebody_who_says_so() {
    let place = Place::new();
    let ran = place.run(&["serve", "--http", "0.0.0.0:0", "--otlp-grpc", "off", "--otlp-http", "off"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.starts_with("error: http = 0.0.0.0:0 would let the network in"), "{}", ran.stderr);
    assert!(ran.stderr.contains("\nhint: ") && ran.stderr.contains("--insecure"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_locked_directory_is_one_clear_sentence() {
    let place = Place::new();
    let server = place.serve().await;
    let data_dir = place.data_dir();
    let ran = place.run(&serve(&["--data-dir", data_dir.to_str().expect("a plain path")]));
    assert_eq!(ran.code, 2, "{ran:?}");
    let sentence = format!("error: the data directory {} is in use by process ", data_dir.display());
    assert!(ran.stderr.contains(&sentence), "{}", ran.stderr);
    drop(server);
}

#[test]
fn a_disk_that_cannot_be_written_is_one_clear_sentence() {
    let place = Place::new();
    // A folder without write permission stops everybody but root; a file where a folder should be stops root too.
    let parent = place.path().join("read-only");
    std::fs::create_dir(&parent).expect("a directory");
    std::fs::set_permissions(&parent, std::fs::Permissions::from_mode(0o555)).expect("my own directory");
    let file = place.path().join("file");
    std::fs::write(&file, "").expect("a file");
    for blocked in [parent.join("data"), file.join("data")] {
        if std::fs::create_dir(&blocked).is_ok() {
            // This user may write everywhere.
            std::fs::remove_dir(&blocked).expect("just made");
            continue;
        }
        let ran = place.run(&serve(&["--data-dir", blocked.to_str().expect("a plain path")]));
        assert_eq!(ran.code, 2, "{ran:?}");
        let errors: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{}", ran.stderr);
        assert!(errors[0].contains(blocked.to_str().expect("a plain path")), "{}", ran.stderr);
    }
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let place = Place::new();
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", free.local_addr().expect("bound"));
    drop(free);
    for command in [&["logs"][..], &["trace", "0af7651916cd43dd8448eb211c80319c"], &["metrics", "names"], &["status"]] {
        let mut arguments = command.to_vec();
        arguments.extend(["--url", &url]);
        let ran = place.run(&arguments);
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.stderr.starts_with(&format!("error: cannot reach the server at {url}: ")), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn wrong_use_is_exit_code_2() {
    let place = Place::new();
    for arguments in [
        &["logs", "--limit", "0"][..],
        &["logs", "--since", "yesterday"],
        &["logs", "--since", "5m", "--start", "0"],
        &["serve", "--http", "3300"],
        &["serve", "--http", "off", "--otlp-grpc", "off", "--otlp-http", "off"],
        &["serve", "--config", "missing.toml"],
        &["metrics", "query", "up", "--range", "soon"],
        &["status", "--url", "https://localhost"],
        &["status", "--token-file", "missing"],
        &["nonsense"],
        &[],
    ] {
        let ran = place.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}: {ran:?}");
        assert!(!ran.stderr.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_signal_stops_the_server_with_exit_code_0() {
    let place = Place::new();
    let mut server = place.serve().await;
    let status = server.stop(Duration::from_secs(20)).await.expect("it stops");
    assert_eq!(status.code(), Some(0));
    // The directory is free again.
    let mut server = place.serve().await;
    server.kill().await.expect("killed");
}

#[tokio::test]
async fn connections_on_which_nobody_asks_do_not_hold_a_server_up() {
    let place = Place::new();
    let mut server = place.serve().await;
    let open = |door: &str| {
        let url = server.url(door);
        TcpStream::connect(url.strip_prefix("http://").expect("a URL")).expect("an open door")
    };
    let idle = [open("otlp_grpc"), open("otlp_http"), open("http")];
    // Well below the ten seconds that requests in flight would be given.
    let status = server.stop(Duration::from_secs(8)).await.expect("it stops");
    assert_eq!(status.code(), Some(0));
    drop(idle);
}

#[tokio::test]
async fn nobody_minds_a_reader_who_has_seen_enough() {
    let place = Place::new();
    let server = place.serve().await;
    let mut child = Command::new(BINARY)
        .args(["status", "--counters", "--url", &server.url("http")])
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    // As `| head -0` does: the pipe is closed before anything is written to it.
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    std::io::stderr().write_all(&output.stderr).expect("stderr");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
