//! The registry: who comes, goes, falls silent or ill; what it refuses; and that it hands out faults.

use std::sync::atomic::Ordering;

use axum::http::Method;
use serde_json::{Value, json};

use crate::fakes::{Customer, Fake, Gateway, Process, told, told_by, until, value};
use crate::receiver::{Received, Receiver};

fn known(received: &Received, state: &str) -> Option<f64> {
    let of = [("shop.backend.service", "catalog"), ("shop.instance.state", state)];
    value(received, "shop.registry.instances", &of)
}

async fn names(gateway: &Gateway) -> Vec<String> {
    let (_, listed) = gateway.registry(Method::GET, "/registry/catalog", Value::Null).await;
    let name = |listed: &Value| listed["instance"].as_str().unwrap_or_default().to_owned();
    listed.as_array().map(|all| all.iter().map(name).collect()).unwrap_or_default()
}

#[tokio::test]
async fn instances_come_and_go_with_and_without_a_farewell() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::start(&receiver, &[]).await;
    let load = json!({"cpu": 0.25, "active": 3});
    let one = Fake::with(&gateway, "catalog", "catalog-1", 4, load.clone()).await;
    let two = Fake::start(&gateway, "catalog", "catalog-2").await;
    let _three = Fake::start(&gateway, "catalog", "catalog-3").await;
    let (status, listed) = gateway.registry(Method::GET, "/registry/catalog", Value::Null).await;
    assert_eq!((status.as_u16(), listed.as_array().map(Vec::len)), (200, Some(3)));
    let first = &listed[0];
    assert_eq!(first["address"], json!(one.address));
    assert_eq!((&first["weight"], &first["version"]), (&json!(4), &json!("1.0.0")));
    assert_eq!((&first["load"], &first["health"]), (&load, &json!("up")));
    assert!(first["age_s"].as_f64().is_some_and(|age| age < 5.0), "{first}");
    let (_, all) = gateway.registry(Method::GET, "/registry", Value::Null).await;
    assert_eq!(all["catalog"].as_array().map(Vec::len), Some(3));
    receiver.wait_for("three", |received| known(received, "up") == Some(3.0)).await;

    one.leave(&gateway).await;
    assert_eq!(names(&gateway).await, ["catalog-2", "catalog-3"]);
    two.fall_silent();
    until("the silent one is gone", async || names(&gateway).await == ["catalog-3"]).await;
    receiver.wait_for("one", |received| known(received, "up") == Some(1.0)).await;
    gateway.stop().await;
    let received = receiver.received();
    for name in ["catalog-1", "catalog-2", "catalog-3"] {
        let joined = told(&received, "instance.joined", ("shop.backend.instance", name));
        let left = told(&received, "instance.left", ("shop.backend.instance", name));
        assert_eq!((joined, left), (1, usize::from(name != "catalog-3")), "{name}: no line for each heartbeat");
    }
}

#[tokio::test]
async fn an_instance_that_is_ill_gets_no_requests_unless_all_are() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::start(&receiver, &["--balance", "round-robin"]).await;
    let one = Fake::start(&gateway, "catalog", "catalog-1").await;
    let two = Fake::start(&gateway, "catalog", "catalog-2").await;
    let health = async || {
        let (_, listed) = gateway.registry(Method::GET, "/registry/catalog", Value::Null).await;
        [listed[0]["health"].clone(), listed[1]["health"].clone()]
    };
    let customer = Customer::new();
    let ask = async || assert_eq!(customer.get(&format!("{}/products", gateway.url)).await.status, 200);
    let (up, unhealthy) = (json!("up"), json!("unhealthy"));

    two.behaviour.health.store(503, Ordering::SeqCst);
    until("it is found ill", async || health().await == [up.clone(), unhealthy.clone()]).await;
    let before = two.asked();
    for _ in 0..10 {
        ask().await;
    }
    assert_eq!((one.asked(), two.asked()), (10, before));
    receiver
        .wait_for("it shows", |received| {
            let of = [("shop.backend.instance", "catalog-2")];
            known(received, "unhealthy") == Some(1.0) && value(received, "shop.backend.healthy", &of) == Some(0.0)
        })
        .await;

    one.behaviour.health.store(500, Ordering::SeqCst);
    until("both are ill", async || health().await == [unhealthy.clone(), unhealthy.clone()]).await;
    for _ in 0..10 {
        ask().await;
    }
    assert_eq!((one.asked(), two.asked()), (15, before + 5), "better an ill one than none");

    one.behaviour.health.store(200, Ordering::SeqCst);
    two.behaviour.health.store(200, Ordering::SeqCst);
    until("both are well", async || health().await == [up.clone(), up.clone()]).await;
    receiver.wait_for("it shows", |received| known(received, "up") == Some(2.0)).await;
    gateway.stop().await;
    let received = receiver.received();
    for event in ["instance.unhealthy", "instance.healthy"] {
        assert_eq!(told(&received, event, ("shop.backend.instance", "catalog-2")), 1, "{event}");
    }
}

#[tokio::test]
async fn a_heartbeat_brings_back_what_shall_break() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::start(&receiver, &[]).await;
    let beat = |instance: &str| {
        let told = json!({"address": "127.0.0.1:1", "version": "1", "weight": 1});
        let path = format!("/registry/{}/{instance}", instance.split('-').next().unwrap_or_default());
        let gateway = &gateway;
        async move { gateway.registry(Method::PUT, &path, told).await.1 }
    };
    assert_eq!(beat("orders-1").await, json!({"faults": []}));
    let (status, _) = gateway.registry(Method::POST, "/faults", json!({"fault": "slow-database:300ms"})).await;
    assert_eq!(status, 201);
    let (status, _) = gateway.registry(Method::POST, "/faults", json!({"fault": "bad-deploy"})).await;
    assert_eq!(status, 201);
    beat("orders-2").await;
    assert_eq!(beat("orders-2").await, json!({"faults": ["slow-database:300ms", "bad-deploy:60%"]}));
    assert_eq!(beat("orders-1").await, json!({"faults": ["slow-database:300ms"]}));
    assert_eq!(beat("payments-1").await, json!({"faults": []}));
    gateway.stop().await;
}

#[tokio::test]
async fn what_is_no_heartbeat_is_refused_in_words() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::start(&receiver, &[]).await;
    let good = || json!({"address": "127.0.0.1:1", "version": "1", "weight": 1});
    let with = |key: &str, value: Value| {
        let mut told = good();
        told[key] = value;
        told
    };
    for (method, path, body, status) in [
        (Method::PUT, "/registry/bank/bank-1", good(), 404),
        (Method::PUT, "/registry/orders/a%3Bb", good(), 400),
        (Method::PUT, "/registry/orders/orders-1", json!({}), 400),
        (Method::PUT, "/registry/orders/orders-1", with("address", json!("nowhere")), 400),
        (Method::PUT, "/registry/orders/orders-1", with("weight", json!(0)), 400),
        (Method::PUT, "/registry/orders/orders-1", with("version", json!("\u{1b}[2J")), 400),
        (Method::PUT, "/registry/orders/orders-1", with("version", json!("x".repeat(70_000))), 413),
        (Method::DELETE, "/registry/orders/orders-1", Value::Null, 404),
        (Method::GET, "/registry/bank", Value::Null, 404),
    ] {
        let (answered, said) = gateway.registry(method.clone(), path, body).await;
        assert_eq!(answered.as_u16(), status, "{method} {path}: {said}");
    }
    let (_, all) = gateway.registry(Method::GET, "/registry", Value::Null).await;
    assert_eq!(all, json!({}));
    gateway.stop().await;
}

#[tokio::test]
async fn a_service_survives_a_gateway_that_is_away_and_says_so_once() {
    let receiver = Receiver::start().await;
    let gateway = Gateway::start(&receiver, &[]).await;
    let internal = gateway.internal.trim_start_matches("http://").to_owned();
    let files = tempfile::tempdir().expect("a directory");
    let data = files.path().display().to_string();
    let args = ["--registry", &gateway.internal, "--instance", "payments-7", "--weight", "3", "--data-dir", &data];
    let mut payments = Process::start(&receiver, "payments", &args);
    let url = payments.url("listening on ").await;
    let listed = async |gateway: &Gateway| gateway.registry(Method::GET, "/registry/payments", Value::Null).await.1;
    until("it registers", async || listed(&gateway).await[0]["instance"] == "payments-7").await;
    let first = listed(&gateway).await;
    assert_eq!(json!(url.trim_start_matches("http://")), first[0]["address"]);
    assert_eq!((&first[0]["weight"], &first[0]["version"]), (&json!(3), &json!(env!("CARGO_PKG_VERSION"))));
    let (status, _) = gateway.registry(Method::POST, "/faults", json!({"fault": "payments-error:10%"})).await;
    assert_eq!(status, 201);
    let fault = ("shop.fault", "payments-error:10%");
    receiver.wait_for("the fault", |received| told_by(received, "payments", "fault.started", fault) == 1).await;

    gateway.stop().await;
    let registry = ("url.full", format!("http://{internal}/registry/payments/payments-7"));
    let registry = (registry.0, registry.1.as_str());
    receiver
        .wait_for("that it is lost", |received| told_by(received, "payments", "registry.lost", registry) == 1)
        .await;
    assert_eq!(Customer::new().get(&format!("{url}/healthz")).await.status, 200);
    // Some heartbeats more that nobody hears.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let gateway = Gateway::start(&receiver, &["--internal", &internal]).await;
    until("it is known again", async || listed(&gateway).await[0]["instance"] == "payments-7").await;
    receiver
        .wait_for("that it is back", |received| told_by(received, "payments", "registry.back", registry) == 1)
        .await;
    // The new registry knows of no fault.
    receiver.wait_for("its end", |received| told_by(received, "payments", "fault.stopped", fault) == 1).await;

    payments.stop().await;
    assert_eq!(listed(&gateway).await, json!([]), "it said farewell");
    gateway.stop().await;
    let received = receiver.received();
    assert_eq!(told_by(&received, "payments", "registry.lost", registry), 1, "one line, and not one a second");
    assert_eq!(told(&received, "instance.left", ("shop.backend.instance", "payments-7")), 1);
}
