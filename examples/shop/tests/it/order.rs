//! One order, and everything that is known about it afterwards.

use axum::http::StatusCode;
use opentelemetry_proto::tonic::metrics::v1::{exemplar, metric};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;

use crate::receiver::{Received, Receiver, attribute};
use crate::shop::{Shop, place, post};

const SERVICES: [&str; 3] = ["gateway", "orders", "payments"];
const ID: (&str, &str) = ("x-correlation-id", "order-000001-test");

/// Opens the shop, places one order with [`ID`], closes the shop.
async fn after_one_order(item: &str, card: &str) -> (StatusCode, serde_json::Value, Received) {
    let receiver = Receiver::start().await;
    let shop = Shop::open(&receiver.endpoint, 0.0).await;
    let (status, body) = place(&shop.gateway.url, item, card, &[ID]).await;
    shop.close().await;
    (status, body, receiver.received())
}

#[tokio::test]
async fn an_order_is_one_trace_through_three_services() {
    let (status, body, received) = after_one_order("kettle", "424242424242").await;
    assert_eq!((status, body), (StatusCode::CREATED, serde_json::json!({"outcome": "placed"})));

    // Each span's parent is the one before it, but for `reserve stock`, which is a sister of the call to payments.
    let gateway = received.span("gateway", "POST /orders", SpanKind::Server);
    let to_orders = received.span("gateway", "POST /orders", SpanKind::Client);
    let orders = received.span("orders", "POST /orders", SpanKind::Server);
    let reserve = received.span("orders", "reserve stock", SpanKind::Internal);
    let to_payments = received.span("orders", "POST /payments", SpanKind::Client);
    let payments = received.span("payments", "POST /payments", SpanKind::Server);
    let charge = received.span("payments", "charge card", SpanKind::Internal);
    assert_eq!(gateway.parent_span_id, Vec::<u8>::new());
    for (child, parent) in [
        (to_orders, gateway),
        (orders, to_orders),
        (reserve, orders),
        (to_payments, orders),
        (payments, to_payments),
        (charge, payments),
    ] {
        assert_eq!(child.parent_span_id, parent.span_id, "{} under {}", child.name, parent.name);
        assert!(child.start_time_unix_nano >= parent.start_time_unix_nano, "{}", child.name);
    }
    assert_eq!(received.spans.len(), 7, "{:?}", received.span_names());
    for (_, span) in &received.spans {
        assert_eq!(span.trace_id, gateway.trace_id, "{}", span.name);
        assert_eq!(attribute(&span.attributes, "correlation.id"), Some(ID.1), "{}", span.name);
        assert_eq!(status_of(span), SpanStatus::Unset, "{}", span.name);
    }
    assert_eq!(charge.events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["card charged"]);
}

#[tokio::test]
async fn logs_and_exemplars_of_an_order_carry_its_trace_and_its_id() {
    let (_, _, received) = after_one_order("sextant", "424242424242").await;
    let gateway = received.span("gateway", "POST /orders", SpanKind::Server);

    for (service, event, span, severity) in [
        ("gateway", "order.received", "POST /orders", "INFO"),
        ("gateway", "order.answered", "POST /orders", "INFO"),
        ("orders", "stock.slow", "reserve stock", "WARN"),
        ("orders", "stock.reserved", "reserve stock", "INFO"),
        ("orders", "order.placed", "POST /orders", "INFO"),
        ("payments", "payment.charged", "charge card", "INFO"),
    ] {
        let log = received.log(service, event);
        let kind = if span.starts_with("POST") { SpanKind::Server } else { SpanKind::Internal };
        assert_eq!(log.trace_id, gateway.trace_id, "{event}");
        assert_eq!(log.span_id, received.span(service, span, kind).span_id, "{event}");
        assert_eq!(log.severity_text, severity, "{event}");
        assert_eq!(attribute(&log.attributes, "correlation.id"), Some(ID.1), "{event}");
        assert!(log.body.is_some(), "{event}");
    }
    for (service, log) in &received.logs {
        let about_the_service = log.event_name.starts_with("service.");
        assert_eq!(log.trace_id == gateway.trace_id, !about_the_service, "{service}: {log:?}");
    }

    let exemplars = received.exemplars("shop.order.duration");
    assert_eq!(exemplars.len(), 1, "each is sent once: {exemplars:#?}");
    assert_eq!(exemplars[0].trace_id, gateway.trace_id);
    assert_eq!(exemplars[0].span_id, gateway.span_id);
    assert_eq!(attribute(&exemplars[0].filtered_attributes, "correlation.id"), Some(ID.1));
    let Some(exemplar::Value::AsDouble(seconds)) = exemplars[0].value else { panic!("{:?}", exemplars[0]) };
    let span_seconds = (gateway.end_time_unix_nano - gateway.start_time_unix_nano) as f64 / 1e9;
    assert!(seconds >= 0.25 && seconds <= span_seconds, "{seconds} of {span_seconds}, and the far warehouse is slow");
}

#[tokio::test]
async fn every_service_sends_every_instrument_and_says_who_it_is() {
    let (_, _, received) = after_one_order("kettle", "424242424242").await;
    for service in SERVICES {
        for name in ["http.server.active_requests", "http.server.request.duration", "process.uptime"] {
            assert!(received.metric(service, name).is_some(), "{name} of {service}");
        }
        let resource = &received.resources[service].attributes;
        assert_eq!(attribute(resource, "service.namespace"), Some("shop"));
        assert_eq!(attribute(resource, "service.version"), Some(env!("CARGO_PKG_VERSION")));
        assert_eq!(attribute(resource, "service.instance.id").map(str::len), Some(36));
    }
    let metric = |service, name| received.metric(service, name).unwrap_or_else(|| panic!("{name} of {service}"));
    let Some(metric::Data::Sum(orders)) = &metric("orders", "shop.orders").data else { panic!("a counter is a sum") };
    assert!(orders.is_monotonic);
    assert_eq!(attribute(&orders.data_points[0].attributes, "shop.outcome"), Some("placed"));
    let Some(metric::Data::Sum(active)) = &metric("payments", "http.server.active_requests").data else {
        panic!("an up-down counter is a sum")
    };
    assert!(!active.is_monotonic);
    let Some(metric::Data::Gauge(stock)) = &metric("orders", "shop.stock.level").data else { panic!("a gauge") };
    assert_eq!(stock.data_points.len(), 5);
    let Some(metric::Data::Histogram(durations)) = &metric("gateway", "shop.order.duration").data else {
        panic!("a histogram")
    };
    let point = &durations.data_points[0];
    assert_eq!((point.count, point.bucket_counts.iter().sum(), point.bucket_counts.len()), (1, 1, 15));
    assert_eq!((point.sum, point.sum), (point.min, point.max));
}

#[tokio::test]
async fn a_declined_card_shows_as_an_error_where_it_happened() {
    let (status, body, received) = after_one_order("kettle", "424242420002").await;
    assert_eq!((status, body), (StatusCode::PAYMENT_REQUIRED, serde_json::json!({"outcome": "card_declined"})));

    let charge = received.span("payments", "charge card", SpanKind::Internal);
    assert_eq!(charge.status.as_ref().map(|status| status.message.as_str()), Some("card declined"));
    for (service, name, kind, expected) in [
        ("payments", "charge card", SpanKind::Internal, SpanStatus::Error),
        ("payments", "POST /payments", SpanKind::Server, SpanStatus::Unset),
        ("orders", "POST /payments", SpanKind::Client, SpanStatus::Error),
        ("gateway", "POST /orders", SpanKind::Server, SpanStatus::Unset),
    ] {
        assert_eq!(status_of(received.span(service, name, kind)), expected, "{service}: {name}");
    }
    for (service, event, severity) in [
        ("payments", "payment.declined", "WARN"),
        ("orders", "order.refused", "WARN"),
        ("gateway", "order.answered", "WARN"),
    ] {
        let log = received.log(service, event);
        assert_eq!((log.severity_text.as_str(), &log.trace_id), (severity, &charge.trace_id), "{event}");
        assert_eq!(attribute(&log.attributes, "correlation.id"), Some(ID.1), "{event}");
    }
    assert_eq!(received.exemplars("shop.order.duration").len(), 1);
}

#[tokio::test]
async fn other_failures_have_their_own_answers() {
    let receiver = Receiver::start().await;
    let shop = Shop::open(&receiver.endpoint, 0.0).await;
    for (item, card, status, outcome) in [
        ("unicorn", "424242424242", StatusCode::CONFLICT, "out_of_stock"),
        ("kettle", "424242420119", StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    ] {
        let answer = place(&shop.gateway.url, item, card, &[]).await;
        assert_eq!(answer, (status, serde_json::json!({"outcome": outcome})));
    }
    shop.payments.stop().await;
    let answer = place(&shop.gateway.url, "kettle", "424242424242", &[ID]).await;
    assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, serde_json::json!({"outcome": "unavailable"})));
    shop.gateway.stop().await;
    shop.orders.stop().await;
    let log = receiver.received().log("orders", "payments.unreachable").clone();
    assert_eq!(attribute(&log.attributes, "correlation.id"), Some(ID.1));
    assert!(
        attribute(&log.attributes, "error").is_some_and(|error| error.contains("no answer from http://127.0.0.1:"))
    );
}

#[tokio::test]
async fn a_fault_breaks_the_service_it_is_for_and_says_so() {
    let receiver = Receiver::start().await;
    let fault = "payments-error:100%".parse().expect("a fault");
    let shop = Shop::open_with(&receiver.endpoint, 0.0, Some(fault)).await;
    let answer = place(&shop.gateway.url, "kettle", "424242424242", &[ID]).await;
    assert_eq!(answer, (StatusCode::SERVICE_UNAVAILABLE, serde_json::json!({"outcome": "unavailable"})));
    shop.close().await;
    let received = receiver.received();
    let charge = received.span("payments", "charge card", SpanKind::Internal);
    assert_eq!(charge.status.as_ref().map(|s| s.message.as_str()), Some("the bank refused the connection"));
    for (service, name) in [("payments", "POST /payments"), ("orders", "POST /orders"), ("gateway", "POST /orders")] {
        assert_eq!(status_of(received.span(service, name, SpanKind::Server)), SpanStatus::Error, "{service}: {name}");
    }
    for (service, event) in [("payments", "payment.failed"), ("orders", "order.failed")] {
        let log = received.log(service, event);
        assert_eq!((log.severity_text.as_str(), &log.trace_id), ("ERROR", &charge.trace_id), "{event}");
        assert_eq!(attribute(&log.attributes, "correlation.id"), Some(ID.1), "{event}");
    }
    let started: Vec<&str> =
        received.logs.iter().filter(|(_, log)| log.event_name == "fault.started").map(|(s, _)| s.as_str()).collect();
    assert_eq!(started, ["payments"]);
}

#[tokio::test]
async fn a_callers_trace_goes_on_and_a_missing_id_is_made() {
    let receiver = Receiver::start().await;
    let shop = Shop::open(&receiver.endpoint, 0.0).await;
    let caller = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    place(&shop.gateway.url, "kettle", "424242424242", &[caller, ("x-correlation-id", "not usable")]).await;
    shop.close().await;
    let received = receiver.received();
    let gateway = received.span("gateway", "POST /orders", SpanKind::Server);
    assert_eq!(gateway.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    let made = attribute(&gateway.attributes, "correlation.id").expect("an id");
    assert!(made.starts_with("order-000001-") && made.len() == 21, "{made}");
    for (_, span) in &received.spans {
        assert_eq!(span.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
        assert_eq!(attribute(&span.attributes, "correlation.id"), Some(made));
    }
}

#[tokio::test]
async fn what_is_no_order_is_refused_and_observed_only_on_a_route() {
    let receiver = Receiver::start().await;
    let shop = Shop::open(&receiver.endpoint, 0.0).await;
    let large = serde_json::json!({"item": "x".repeat(20_000)});
    for (path, body, status) in [
        ("/baskets", serde_json::json!({}), StatusCode::NOT_FOUND),
        ("/orders", serde_json::json!({"item": "kettle"}), StatusCode::UNPROCESSABLE_ENTITY),
        ("/orders", large, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let (answered, _) = post(&format!("{}{path}", shop.gateway.url), body, &[ID]).await;
        assert_eq!(answered, status);
    }
    shop.close().await;
    let received = receiver.received();
    assert_eq!(received.span_names(), [("gateway", "POST /orders"); 2], "scanners' paths make no spans");
}

fn status_of(span: &opentelemetry_proto::tonic::trace::v1::Span) -> SpanStatus {
    span.status.as_ref().map_or(SpanStatus::Unset, |status| status.code())
}
