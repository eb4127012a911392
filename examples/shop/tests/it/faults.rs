//! Faults: each reaches the instances it is for, is told of in their logs, does what it says, and ends.

use std::time::Duration;

use axum::http::Method;
use shop::FaultKind;

use crate::receiver::{Received, Receiver, attribute};
use crate::shop::{Open, ask, shop_command};

fn told(received: &Received, event: &str, service: &str) -> usize {
    received.logs.iter().filter(|(of, log)| of == service && log.event_name == event).count()
}

#[tokio::test]
async fn the_command_starts_lists_and_stops_a_fault() {
    let receiver = Receiver::start().await;
    let open = Open::embedded(&receiver.endpoint, 0.0).await;
    let run = async |args: &[&str]| {
        let output = shop_command().args(args).args(["--shop", &open.internal]).output().await.expect("runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (ok, said, _) = run(&["fault", "payments-error", "30%", "--for", "600"]).await;
    assert!(ok && said.starts_with("started payments-error:30%: the bank"), "{said}");
    let (ok, said, _) = run(&["faults"]).await;
    assert!(ok && said.lines().count() == FaultKind::ALL.len() + 1, "{said}");
    let line = said.lines().find(|line| line.starts_with("payments-error")).expect("listed");
    assert!(line.starts_with("payments-error:30%") && line.contains(" s "), "{line}");
    receiver.wait_for("both instances' lines", |received| told(received, "fault.started", "payments") == 2).await;
    let (ok, said, _) = run(&["fault", "payments-error", "--stop"]).await;
    assert!(ok && said == "stopped payments-error\n", "{said}");
    receiver.wait_for("both instances' lines", |received| told(received, "fault.stopped", "payments") == 2).await;
    let (ok, _, said) = run(&["fault", "payments-error", "--stop"]).await;
    assert!(!ok && said.contains("payments-error is not active"), "{said}");
    open.close().await;
}

#[tokio::test]
async fn an_instance_that_crashes_comes_back_and_a_bad_version_goes_again() {
    let receiver = Receiver::start().await;
    let open = Open::embedded(&receiver.endpoint, 2.0).await;
    let process = |open: &Open, name: &str| {
        open.shop.processes().into_iter().find(|(of, _)| of == name).map(|(_, process)| process)
    };
    let first = process(&open, "orders-3").expect("it runs");
    open.fault("instance-crash:0.1s").await;
    let crashed = |received: &Received| told(received, "service.crash", "orders") >= 1;
    receiver.wait_for("its last line", crashed).await;
    wait_until(async || process(&open, "orders-3").is_some_and(|now| now != first)).await;
    shop::cli::stop_fault(&open.internal, FaultKind::InstanceCrash).await.expect("it is active");

    open.fault("bad-deploy:100%").await;
    let version = |open: &Open| {
        let url = format!("http://{}/registry/orders", open.internal);
        async move { ask(Method::GET, &url, None, &[]).await.1.to_string() }
    };
    wait_until(async || version(&open).await.contains("0.2.0-bad")).await;
    let failed = |received: &Received| {
        let of_bad = |log: &opentelemetry_proto::tonic::logs::v1::LogRecord| {
            log.event_name == "order.failed" && attribute(&log.attributes, "service.version") == Some("0.2.0-bad")
        };
        received.logs.iter().any(|(_, log)| of_bad(log))
    };
    receiver.wait_for("an order that the bad version failed", failed).await;
    shop::cli::stop_fault(&open.internal, FaultKind::BadDeploy).await.expect("it is active");
    wait_until(async || {
        let versions = version(&open).await;
        !versions.contains("0.2.0-bad") && versions.contains("orders-3")
    })
    .await;
    open.close().await;
    assert!(told(&receiver.received(), "service.redeployed", "orders") >= 2, "there and back");
}

async fn wait_until(holds: impl AsyncFn() -> bool) {
    for _ in 0..300 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("it does not happen within a minute");
}
