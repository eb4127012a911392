//! The front door: what it hands on and what it refuses, sessions, and rate limits, each with the signals that show it.

use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::http::Method;
use opentelemetry_proto::tonic::metrics::v1::metric;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fakes::{Customer, Fake, Gateway, PATIENCE, order, placed, told, until, value};
use crate::receiver::{Receiver, attribute};

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

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::start(&receiver, &[]).await;
    let mut stream = TcpStream::connect(gateway.url.trim_start_matches("http://")).await.expect("it listens");
    let head = b"POST /orders HTTP/1.1\r\nhost: shop\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head).await.expect("sent");
    let mut said = vec![0; 1_024];
    let read = timeout(PATIENCE, stream.read(&mut said)).await.expect("in time").expect("an answer");
    let said = String::from_utf8_lossy(&said[..read]).into_owned();
    assert!(said.starts_with("HTTP/1.1 408 "), "{said}");
    gateway.stop().await;
}
