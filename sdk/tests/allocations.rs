//! What observing a request allocates: a span, three log records and two measurements, beside the same handler without. A program of its own, because it counts all allocations of
//! the process.

use std::alloc::System;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use sextant_sdk::http::ServerLayer;
use sextant_sdk::metrics;
use sextant_sdk::opentelemetry::KeyValue;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tower::Service;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const REQUESTS: usize = 200;

/// Allocations of a request on average, once everything that is made once is made.
fn allocations(runtime: &tokio::runtime::Runtime, app: &mut Router) -> f64 {
    let mut ask = |times: usize| {
        for number in 0..times {
            let request = Request::get(format!("/orders/{number}")).body(Body::empty()).expect("a request");
            runtime.block_on(app.call(request)).expect("an answer");
        }
    };
    ask(REQUESTS);
    let region = Region::new(GLOBAL);
    ask(REQUESTS);
    region.change().allocations as f64 / REQUESTS as f64
}

#[test]
fn an_observed_request_allocates_a_few_dozen_times_more() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let handler = async || "done";
    let mut bare = Router::new().route("/orders/{id}", get(handler));
    let of_bare = allocations(&runtime, &mut bare);

    // Nothing is sent while this counts.
    let builder = sextant_sdk::builder("orders").endpoint(sextant_sdk::Protocol::HttpProtobuf, "http://127.0.0.1:1");
    let builder = builder.batch_delay(Duration::from_secs(600)).shutdown_within(Duration::ZERO);
    let guard = builder.init().expect("first");
    let meter = metrics::meter("test");
    let sizes = metrics::histogram(&meter, "order.size").build();
    let orders = meter.u64_counter("orders").build();
    let handler = move || async move {
        tracing::info!(name: "order.received", item = "kettle", quantity = 2, "order received");
        tracing::info!(name: "stock.reserved", item = "kettle", left = 40, "stock reserved");
        tracing::info!(name: "order.placed", item = "kettle", amount_cents = 3450, "order placed");
        sizes.record(2.0, &[KeyValue::new("item", "kettle")]);
        orders.add(1, &[KeyValue::new("outcome", "placed")]);
        "done"
    };
    let mut observed = Router::new().route("/orders/{id}", get(handler)).layer(ServerLayer::new());
    let of_observed = allocations(&runtime, &mut observed);
    println!("allocations of a request: bare {of_bare}, observed {of_observed}");
    assert!(of_observed - of_bare <= 40.0, "{of_observed} and {of_bare}");
    drop(guard);
}
