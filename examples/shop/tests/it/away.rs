//! The collector is away: orders go on, and the services still end cleanly and soon.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use tokio::net::TcpListener;

use crate::shop::{GOOD_CARD, Open};

/// Opens the shop with a collector that is not there, and sells.
async fn sells_without_a_collector(otlp: &str) {
    let open = Open::embedded(otlp, 4.0).await;
    let started = Instant::now();
    for order in 0..20 {
        let id = format!("order-{order}");
        let (status, body) = open.place("ada", "kettle", GOOD_CARD, &[("x-correlation-id", &id)]).await;
        assert_eq!(status, StatusCode::CREATED, "order {order}: {body}");
    }
    assert!(started.elapsed() < Duration::from_secs(20), "no order waits for an export: {:?}", started.elapsed());
    let closing = Instant::now();
    open.close().await;
    // Six services one after the other, each within its bounds for the drain and the last flush.
    assert!(closing.elapsed() < Duration::from_secs(50), "{:?}", closing.elapsed());
}

#[tokio::test]
async fn a_collector_that_refuses_connections_disturbs_nobody() {
    let port = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound").port();
    sells_without_a_collector(&format!("http://127.0.0.1:{port}")).await;
}

#[tokio::test]
async fn a_collector_that_never_answers_disturbs_nobody() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    sells_without_a_collector(&format!("http://{}", silent.local_addr().expect("bound"))).await;
}
