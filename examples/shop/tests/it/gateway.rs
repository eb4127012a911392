//! The front door: what it hands on and what it refuses, sessions, rate limits, breakers, retries and TLS, each with the signals that show it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::http::{Method, Request};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::metrics::v1::metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::fakes::{Customer, Fake, Gateway, order, told, until, value, write};
use crate::receiver::{Received, Receiver, attribute};

fn placed() -> Value {
    json!({"outcome": "placed"})
}

#[tokio::test]
async fn an_order_is_handed_on_measured_and_told() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::start(&receiver, &[]).await;
    let orders = Fake::start(&gateway, "orders", "orders-1").await;
    let customer = Customer::new();
    let url = format!("{}/orders", gateway.url);
    for (status, answer) in [
        (201, placed()),
        (402, json!({"outcome": "card_declined"})),
        (500, json!({"error": "bad version"})),
        (422, json!({"error": "no such shard"})),
    ] {
        orders.answers(status, answer.clone());
        let headers = [("idempotency-key", "key-1"), ("x-secret", "no"), ("x-shop-customer", "ada")];
        let reply = customer.ask(Method::POST, &url, order(), &headers).await;
        assert_eq!((reply.status.as_u16(), &reply.body), (status, &answer));
        let seen = orders.behaviour.headers.lock().expect("nobody panics").clone();
        let id = reply.headers.get("x-correlation-id").expect("everybody hears the id");
        assert_eq!(seen.get("x-correlation-id"), Some(id));
        assert_eq!(seen["idempotency-key"], "key-1");
        assert_eq!(seen["x-forwarded-for"], "127.0.0.1");
        assert!(seen.contains_key("traceparent") && !seen.contains_key("x-secret"), "{seen:?}");
    }
    gateway.stop().await;
    let received = receiver.received();
    for (outcome, severity) in
        [("placed", "INFO"), ("card_declined", "WARN"), ("unavailable", "WARN"), ("invalid", "WARN")]
    {
        let is_it = |log: &opentelemetry_proto::tonic::logs::v1::LogRecord| {
            log.event_name == "order.answered" && attribute(&log.attributes, "shop.outcome") == Some(outcome)
        };
        let logs: Vec<_> = received.logs.iter().filter(|(_, log)| is_it(log)).collect();
        assert_eq!(logs.len(), 1, "{outcome}");
        assert_eq!(logs[0].1.severity_text, severity);
    }
    assert_eq!(told(&received, "order.received", ("shop.item", "kettle")), 4);
    let exemplars = received.exemplars("shop.order.duration");
    assert!(!exemplars.is_empty() && exemplars.iter().all(|exemplar| exemplar.trace_id.len() == 16));
    let Some(metric::Data::Histogram(durations)) =
        received.metric("gateway", "shop.order.duration").and_then(|metric| metric.data.clone())
    else {
        panic!("a histogram")
    };
    assert_eq!(durations.data_points.iter().map(|point| point.count).sum::<u64>(), 4);
}

#[tokio::test]
async fn the_route_table_reaches_the_catalog_and_nothing_else() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::start(&receiver, &[]).await;
    let catalog = Fake::start(&gateway, "catalog", "catalog-1").await;
    let customer = Customer::new();
    for (method, path) in [
        (Method::GET, "/products"),
        (Method::GET, "/products/kettle?full=1"),
        (Method::GET, "/products/kettle/reviews"),
        (Method::POST, "/products/kettle/reviews"),
        (Method::POST, "/products/kettle/views"),
    ] {
        let reply = customer.ask(method, &format!("{}{path}", gateway.url), json!({}), &[]).await;
        assert_eq!((reply.status.as_u16(), reply.body["path"].as_str()), (200, Some(path)));
    }
    assert_eq!(catalog.asked(), 5);
    let long = format!("/products/{}", "x".repeat(2_000));
    for (method, path, status) in [
        (Method::GET, "/", 404),
        (Method::GET, "/registry", 404),
        (Method::GET, "/faults", 404),
        (Method::POST, "/products/kettle/reservations", 404),
        (Method::PUT, "/products/kettle/price", 404),
        (Method::DELETE, "/products/kettle", 405),
        (Method::GET, "/orders", 405),
        (Method::GET, &long, 414),
    ] {
        let reply = customer.ask(method.clone(), &format!("{}{path}", gateway.url), Value::Null, &[]).await;
        assert_eq!(reply.status.as_u16(), status, "{method} {path}");
        assert!(reply.body["error"].is_string(), "{method} {path}: {}", reply.body);
    }
    let url = format!("{}/orders", gateway.url);
    for (body, headers, status) in [
        (json!({"item": "kettle"}), &[][..], 422),
        (json!({"x": "x".repeat(70_000)}), &[], 413),
        (order(), &[("idempotency-key", "two words")], 400),
        (order(), &[("x-shop-customer", "")], 400),
    ] {
        let reply = customer.ask(Method::POST, &url, body, headers).await;
        assert_eq!((reply.status.as_u16(), reply.body["error"].is_string()), (status, true), "{}", reply.body);
    }
    assert_eq!(catalog.asked(), 5);
    gateway.stop().await;
}

#[tokio::test]
async fn when_there_is_no_answer_it_says_why() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::start(&receiver, &[]).await;
    let customer = Customer::new();
    let (orders, products) = (format!("{}/orders", gateway.url), format!("{}/products", gateway.url));
    let reply = customer.ask(Method::POST, &orders, order(), &[]).await;
    assert_eq!(reply.status, 503);
    let said = (&reply.body["service"], &reply.body["reason"], &reply.body["outcome"]);
    assert_eq!(said, (&json!("orders"), &json!("no_instance"), &json!("unavailable")));

    let mut catalog = Fake::start(&gateway, "catalog", "catalog-1").await;
    catalog.answers(200, json!("x".repeat(100_000)));
    let reply = customer.get(&products).await;
    assert_eq!((reply.status.as_u16(), &reply.body["reason"]), (502, &json!("too_large")));
    catalog.close().await;
    let reply = customer.get(&products).await;
    assert_eq!((reply.status.as_u16(), &reply.body["reason"]), (502, &json!("unreachable")));
    assert_eq!(reply.body["service"], "catalog");
    gateway.stop().await;
    let received = receiver.received();
    for (reason, service) in [("no_instance", "orders"), ("too_large", "catalog"), ("unreachable", "catalog")] {
        assert_eq!(told(&received, "request.unanswered", ("shop.reason", reason)), 1, "{service}");
    }
    assert_eq!(
        value(&received, "shop.backend.requests", &[("shop.outcome", "unreachable")]),
        Some(3.0),
        "tried thrice"
    );
}

#[tokio::test]
async fn a_session_stays_with_its_instance_while_that_is_healthy() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::start(&receiver, &[]).await;
    let mut fakes = Vec::new();
    for (service, name) in
        [("catalog", "catalog-1"), ("catalog", "catalog-2"), ("orders", "orders-1"), ("orders", "orders-2")]
    {
        fakes.push(Fake::start(&gateway, service, name).await);
    }
    let customer = Customer::new();
    let (orders, products) = (format!("{}/orders", gateway.url), format!("{}/products", gateway.url));
    let first = customer.get(&products).await;
    let set = first.headers["set-cookie"].to_str().expect("text");
    assert!(set.starts_with("shop_session=") && set.contains("; HttpOnly") && !set.contains("Secure"), "{set}");
    let cookie = first.cookie().expect("a cookie").to_owned();
    let bought = customer.ask(Method::POST, &orders, order(), &[("cookie", &cookie)]).await;
    let cookie = bought.cookie().expect("one that knows both services").to_owned();
    for _ in 0..10 {
        let looked = customer.ask(Method::GET, &products, Value::Null, &[("cookie", &cookie)]).await;
        assert_eq!((looked.instance(), looked.cookie()), (first.instance(), None));
        let bought_again = customer.ask(Method::POST, &orders, order(), &[("cookie", &cookie)]).await;
        assert_eq!((bought_again.instance(), bought_again.cookie()), (bought.instance(), None));
    }

    let home = fakes.iter().find(|fake| fake.name() == first.instance()).expect("one of them");
    home.behaviour.health.store(503, Ordering::SeqCst);
    let away = async || customer.ask(Method::GET, &products, Value::Null, &[("cookie", &cookie)]).await;
    until("the session moves", async || away().await.instance() != first.instance()).await;
    let moved = away().await;
    let cookie = moved.cookie().expect("a new home").to_owned();
    let looked = customer.ask(Method::GET, &products, Value::Null, &[("cookie", &cookie)]).await;
    assert_eq!((looked.instance(), looked.cookie()), (moved.instance(), None));
    let hostile =
        customer.ask(Method::GET, &products, Value::Null, &[("cookie", "shop_session=catalog:nowhere")]).await;
    assert_eq!(hostile.status, 200);
    gateway.stop().await;
    let received = receiver.received();
    let became = |what| value(&received, "shop.sessions", &[("shop.session", what)]).unwrap_or_default();
    assert_eq!(became("new"), 2.0);
    assert!(became("kept") >= 21.0, "{}", became("kept"));
    assert_eq!(became("moved"), 3.0, "twice with the old cookie, and once with the forged one");
    assert!(value(&received, "shop.backend.choices", &[("shop.balance.algorithm", "sticky")]) >= Some(21.0));
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_when_to_come_back() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::start(&receiver, &["--client-rate", "2"]).await;
    let _catalog = Fake::start(&gateway, "catalog", "catalog-1").await;
    let url = format!("{}/products", gateway.url);
    let customer = Customer::new();
    let begun = Instant::now();
    let mut limited = 0;
    for _ in 0..50 {
        let reply = customer.get(&url).await;
        if reply.status == 429 {
            limited += 1;
            let seconds: u64 = reply.headers["retry-after"].to_str().expect("text").parse().expect("seconds");
            assert_eq!(seconds, 1);
            assert!(reply.body["error"].is_string());
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    let through = f64::from(50 - limited);
    assert!((4.0..=5.0 + 2.0 * seconds).contains(&through), "{through} in {seconds} s");
    assert_eq!(Customer::at(Ipv4Addr::new(127, 0, 0, 7)).get(&url).await.status, 200, "another address");
    let named = customer.ask(Method::GET, &url, Value::Null, &[("x-shop-customer", "ada")]).await;
    assert_eq!(named.status, 200, "another customer");
    gateway.stop().await;
    let received = receiver.received();
    assert_eq!(value(&received, "shop.rate_limit.rejections", &[]), Some(f64::from(limited)));
    let lines = told(&received, "request.limited", ("shop.client", "127.0.0.1"));
    assert!((1..=1 + seconds as usize / 10).contains(&lines), "{lines}, and not a line for each of {limited}");
}

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
async fn hangs_up() -> (SocketAddr, Arc<std::sync::atomic::AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let (address, asked) = (listener.local_addr().expect("bound"), Arc::default());
    let counting: Arc<std::sync::atomic::AtomicUsize> = Arc::clone(&asked);
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

#[tokio::test]
async fn tls_ends_at_the_gateway() {
    let directory = tempfile::tempdir().expect("a directory");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = write(directory.path(), "cert.pem", &made.cert.pem());
    let key = write(directory.path(), "key.pem", &made.signing_key.serialize_pem());
    let receiver = Receiver::start().await;
    let gateway = Gateway::start(&receiver, &["--tls-certificate", &certificate, "--tls-key", &key]).await;
    let catalog = Fake::start(&gateway, "catalog", "catalog-1").await;
    let address: SocketAddr = gateway.url.trim_start_matches("http://").parse().expect("an address");

    let plain = Customer::new().try_ask(Method::GET, &format!("{}/products", gateway.url), Value::Null, &[]).await;
    assert!(plain.is_none(), "{plain:?}");
    // Whoever connects and says nothing keeps nobody out.
    let _silent = TcpStream::connect(address).await.expect("it listens");

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a certificate");
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("TLS");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
    tokio::spawn(connection);
    let request = Request::get("/products").header("host", "localhost").body(Full::<Bytes>::default()).expect("one");
    let response = sender.send_request(request).await.expect("an answer");
    assert_eq!(response.status(), 200);
    assert!(response.headers()["set-cookie"].to_str().expect("text").ends_with("; Secure"));
    let body: Value =
        serde_json::from_slice(&response.into_body().collect().await.expect("whole").to_bytes()).expect("JSON");
    assert_eq!(body["instance"], catalog.name());
    assert_eq!(catalog.behaviour.headers.lock().expect("nobody panics")["x-forwarded-for"], "127.0.0.1");
    drop(sender);
    let begun = Instant::now();
    gateway.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    receiver.received().span("gateway", "GET /products", SpanKind::Server);
}

#[tokio::test]
async fn a_certificate_that_is_none_is_said_at_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = write(directory.path(), "empty.pem", "");
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_shop"))
        .env_clear()
        .args(["service", "gateway", "--otlp", "http://127.0.0.1:1", "--tls-certificate", &file, "--tls-key", &file])
        .output()
        .await
        .expect("it runs");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("empty.pem"), "{said}");
}
