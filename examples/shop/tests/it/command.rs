//! The thin binary: what it says when it cannot start, and that it ends with its parent or by a signal.

use std::process::{Output, Stdio};

use shop::{ServiceConfig, ServiceName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::timeout;

use crate::shop::{PATIENCE, Service, shop_service};

async fn run(args: &[&str]) -> Output {
    let output = shop_service().args(args).stdin(Stdio::null()).output();
    timeout(PATIENCE, output).await.expect("ends in time").expect("runs")
}

#[tokio::test]
async fn wrong_use_is_exit_2_with_a_hint() {
    let output = run(&["cart"]).await;
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, "error: the shop has no service `cart`\nhint: the services are gateway, orders and payments\n");
    assert!(output.stdout.is_empty());
}

#[tokio::test]
async fn a_taken_port_is_one_clear_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let output = run(&["payments", "--listen", &address]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with(&format!("error: payments cannot listen on {address}: ")), "{said}");
}

#[tokio::test]
async fn a_wrong_upstream_is_said() {
    let output = run(&["orders", "--upstream", "ftp://127.0.0.1:1", "--otlp", "http://127.0.0.1:1"]).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("`ftp://127.0.0.1:1` is not the URL of a service: write http://HOST:PORT"), "{said}");
    assert!(output.stdout.is_empty(), "it never listened");
}

#[tokio::test]
async fn a_signal_drains_even_with_a_connection_open() {
    let config =
        ServiceConfig { otlp_endpoint: "http://127.0.0.1:1".to_owned(), ..ServiceConfig::new(ServiceName::Payments) };
    let payments = Service::start(config).await;
    let address = payments.url.trim_start_matches("http://").to_owned();
    // Half a request: the service waits for the rest, but not for ever. `100 Continue` says that it has begun to wait.
    let mut half = TcpStream::connect(&address).await.expect("it listens");
    let head = [
        "POST /payments HTTP/1.1",
        "host: shop",
        "content-type: application/json",
        "content-length: 10",
        "expect: 100-continue",
        "\r\n",
    ];
    half.write_all(head.join("\r\n").as_bytes()).await.expect("sent");
    let mut begun = [0; 12];
    timeout(PATIENCE, half.read_exact(&mut begun)).await.expect("in time").expect("an answer");
    assert_eq!(&begun, b"HTTP/1.1 100");
    let kill = Command::new("kill").args(["-TERM", &payments.id().to_string()]).status().await.expect("kill runs");
    assert!(kill.success());
    payments.ended().await;
    drop(half);
}
