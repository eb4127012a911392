//! Instances that fail: breakers that open and close, and requests that are tried again, with the signals that show it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::Method;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::fakes::{Customer, Fake, Gateway, order, placed, told, until, value};
use crate::receiver::{Received, Receiver, attribute};

fn breaker(received: &Received, instance: &str, state: &str) -> Option<f64> {
    value(received, "shop.breaker.state", &[("shop.backend.instance", instance), ("shop.breaker.state", state)])
}

#[tokio::test]
async fn a_breaker_opens_for_an_instance_that_fails_and_closes_when_it_works() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::start(&receiver, &["--balance", "round-robin"]).await;
    let good = Fake::start(&gateway, "catalog", "catalog-1").await;
    let bad = Fake::start(&gateway, "catalog", "catalog-2").await;
    bad.answers(500, json!({"error": "bad version"}));
    let url = format!("{}/products", gateway.url);
    let customer = Customer::new();
    let mut failed = 0;
    for _ in 0..30 {
        failed += u32::from(customer.get(&url).await.status == 500);
    }
    assert_eq!((failed, bad.asked(), good.asked()), (10, 10, 20), "ten are enough to judge");
    receiver.wait_for("it shows", |received| breaker(received, "catalog-2", "open") == Some(1.0)).await;

    // The other one fails as well: nobody is left.
    good.answers(500, json!({"error": "it too"}));
    let last = async || customer.get(&url).await;
    until("both are open", async || last().await.status == 503).await;
    let reply = last().await;
    assert_eq!((&reply.body["reason"], &reply.body["service"]), (&json!("breaker_open"), &json!("catalog")));

    good.answers(200, Value::Null);
    bad.answers(200, Value::Null);
    let both_closed = |received: &Received| {
        ["catalog-1", "catalog-2"]
            .iter()
            .all(|name| told(received, "breaker.closed", ("shop.backend.instance", name)) > 0)
    };
    until("both answer again", async || {
        customer.get(&url).await;
        both_closed(&receiver.received())
    })
    .await;
    receiver.wait_for("it shows", |received| breaker(received, "catalog-2", "closed") == Some(1.0)).await;
    gateway.stop().await;
    let received = receiver.received();
    let of_bad = ("shop.backend.instance", "catalog-2");
    assert!(told(&received, "breaker.opened", of_bad) >= 1);
    for to in ["open", "half_open", "closed"] {
        assert!(value(&received, "shop.breaker.transitions", &[of_bad, ("to", to)]) >= Some(1.0), "{to}");
    }
    assert!(value(&received, "shop.breaker.rejections", &[("shop.backend.service", "catalog")]) >= Some(1.0));
    assert!(value(&received, "shop.backend.requests", &[of_bad, ("shop.outcome", "error")]) >= Some(10.0));
    assert_eq!(value(&received, "shop.retries", &[]), None, "an answer is an answer");
}

#[tokio::test]
async fn what_never_arrived_is_tried_at_another_instance_in_the_same_trace() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::start(&receiver, &["--balance", "round-robin"]).await;
    let mut away = Fake::start(&gateway, "orders", "orders-1").await;
    let there = Fake::start(&gateway, "orders", "orders-2").await;
    there.answers(201, placed());
    away.close().await;
    let customer = Customer::new();
    let id = ("x-correlation-id", "order-retried");
    let reply = customer.ask(Method::POST, &format!("{}/orders", gateway.url), order(), &[id]).await;
    assert_eq!((reply.status.as_u16(), reply.body), (201, placed()));
    gateway.stop().await;
    let received = receiver.received();
    let root = received.span("gateway", "POST /orders", SpanKind::Server);
    let is_try = |span: &&Span| span.kind() == SpanKind::Client && span.parent_span_id == root.span_id;
    let mut tries: Vec<&Span> = received.spans.iter().map(|(_, span)| span).filter(is_try).collect();
    tries.sort_by_key(|span| span.start_time_unix_nano);
    let of = |span: &Span, key: &str| attribute(&span.attributes, key).unwrap_or_default().to_owned();
    let instances: Vec<String> = tries.iter().map(|span| of(span, "shop.backend.instance")).collect();
    assert_eq!(instances, ["orders-1", "orders-2"]);
    for span in tries {
        assert_eq!(span.name, "POST /orders");
        assert_eq!(of(span, "shop.balance.algorithm"), "round_robin");
        assert_eq!(of(span, "correlation.id"), "order-retried");
    }
    let retried = [("shop.backend.service", "orders"), ("shop.retry.reason", "unreachable")];
    assert_eq!(value(&received, "shop.retries", &retried), Some(1.0));
    assert_eq!(told(&received, "request.retried", ("shop.backend.instance", "orders-1")), 1);
}

/// Reads a request, and hangs up; it says how often it was asked.
async fn hangs_up() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let (address, asked) = (listener.local_addr().expect("bound"), Arc::default());
    let counting: Arc<AtomicUsize> = Arc::clone(&asked);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("accepts");
            let mut buffer = [0; 4_096];
            let read = stream.read(&mut buffer).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
            if text.starts_with("GET /healthz") {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            } else if read > 0 {
                counting.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    (address, asked)
}

#[tokio::test]
async fn what_may_have_arrived_is_tried_again_only_where_that_is_safe() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::start(&receiver, &[]).await;
    let (address, asked) = hangs_up().await;
    let told = json!({"address": address, "version": "1", "weight": 1});
    for path in ["/registry/orders/orders-1", "/registry/catalog/catalog-1"] {
        assert_eq!(gateway.registry(Method::PUT, path, told.clone()).await.0, 200);
    }
    let customer = Customer::new();
    for (method, path, headers, tries) in [
        (Method::POST, "/orders", &[][..], 1),
        (Method::POST, "/orders", &[("idempotency-key", "k")], 3),
        (Method::GET, "/products", &[], 3),
        (Method::POST, "/products/kettle/views", &[], 1),
    ] {
        let before = asked.load(Ordering::SeqCst);
        let reply = customer.ask(method.clone(), &format!("{}{path}", gateway.url), order(), headers).await;
        assert_eq!((reply.status.as_u16(), &reply.body["reason"]), (502, &json!("broken")));
        assert_eq!(asked.load(Ordering::SeqCst) - before, tries, "{method} {path} {headers:?}");
    }
    gateway.stop().await;
    assert_eq!(value(&receiver.received(), "shop.retries", &[("shop.retry.reason", "broken")]), Some(4.0));
}
