//! The commands: what they say when they cannot do what they were told, and that a service ends with its parent or by a signal.

use std::process::{Output, Stdio};

use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::shop::{PATIENCE, shop_command};

async fn run(args: &[&str]) -> Output {
    let output = shop_command().args(args).stdin(Stdio::null()).output();
    timeout(PATIENCE, output).await.expect("ends in time").expect("runs")
}

#[tokio::test]
async fn wrong_use_is_said_with_the_remedy() {
    for (args, code, said) in [
        (&["service", "cart"][..], 2, "[possible values: gateway, catalog, orders"),
        (&["service", "orders"], 1, "does not know its internal address: --registry http://127.0.0.1:PORT"),
        (&["service", "loadgen"], 1, "--gateway http://127.0.0.1:PORT"),
        (&["fault", "fire"], 1, "there is no fault `fire`; there are payments-error, slow-database"),
        (&["fault", "slow-database", "an hour"], 1, "like slow-database:400ms"),
        (&["fault", "queue-stall", "--shop", "127.0.0.1:1"], 1, "no shop answers at 127.0.0.1:1"),
        (&["faults", "--shop", "nowhere at all"], 1, "`nowhere at all` is no address"),
    ] {
        let output = run(args).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{args:?}: {stderr}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[tokio::test]
async fn a_taken_port_is_one_clear_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let files = tempfile::tempdir().expect("a directory");
    let directory = files.path().to_str().expect("plain");
    let arguments = ["service", "payments", "--registry", "http://127.0.0.1:1", "--otlp", "http://127.0.0.1:1"];
    let output = run(&[&arguments[..], &["--listen", &address, "--data-dir", directory]].concat()).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&format!("payments could not serve: cannot listen on {address}: ")), "{said}");
}
