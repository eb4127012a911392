//! One order through all services and the queue, and everything that is known about it afterwards.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use serde_json::json;

use crate::receiver::{Received, Receiver, attribute};
use crate::shop::{DECLINED_CARD, GOOD_CARD, Open};

const SERVICES: [&str; 5] = ["catalog", "gateway", "notifications", "orders", "payments"];
const ID: (&str, &str) = ("x-correlation-id", "order-000001-test");

fn of_order<'a>(received: &'a Received, id: &'a str) -> impl Iterator<Item = &'a (String, Span)> {
    received.spans.iter().filter(move |(_, span)| attribute(&span.attributes, "correlation.id") == Some(id))
}

/// One order, and all of its telemetry.
async fn after_one_order(open: Open, receiver: &Receiver) -> Received {
    let (status, body) = open.place("ada", "kettle", GOOD_CARD, &[ID]).await;
    assert_eq!((status, body), (StatusCode::CREATED, json!({"outcome": "placed"})));
    let told = |received: &Received| {
        of_order(received, ID.1).any(|(service, span)| service == "notifications" && span.kind() == SpanKind::Consumer)
    };
    receiver.wait_for("the letter about the order", told).await;
    open.close().await;
    receiver.received()
}

/// What has to be true of an order on whatever components.
fn check_one_order(received: &Received) {
    let root = received.span("gateway", "POST /orders", SpanKind::Server);
    assert!(root.parent_span_id.is_empty());
    let spans: BTreeMap<&[u8], &Span> =
        of_order(received, ID.1).map(|(_, span)| (span.span_id.as_slice(), span)).collect();
    for span in spans.values() {
        assert_eq!(span.trace_id, root.trace_id, "{} is of another trace", span.name);
        let parent = spans.get(span.parent_span_id.as_slice());
        assert!(parent.is_some() || span.span_id == root.span_id, "{} is an orphan", span.name);
    }
    for (service, span) in &received.spans {
        let is_of_trace = span.trace_id == root.trace_id;
        let has_id = attribute(&span.attributes, "correlation.id") == Some(ID.1);
        assert_eq!(is_of_trace, has_id, "{service}: {} has one of trace and id", span.name);
    }
    let services: BTreeSet<&str> = of_order(received, ID.1).map(|(service, _)| service.as_str()).collect();
    assert_eq!(services, BTreeSet::from(SERVICES));
    let kind = |service: &str, kind: SpanKind| {
        of_order(received, ID.1).filter(|(of, span)| of == service && span.kind() == kind).count()
    };
    assert_eq!(kind("orders", SpanKind::Producer), 1, "one message");
    // More than once if the mail server was busy.
    assert!(kind("notifications", SpanKind::Consumer) >= 1, "which is received");
    assert!(kind("orders", SpanKind::Client) >= 5, "calls and questions to the database");

    let mut told = BTreeSet::new();
    for (service, log) in &received.logs {
        let id = attribute(&log.attributes, "correlation.id");
        assert_eq!(id == Some(ID.1), log.trace_id == root.trace_id, "{service}: {log:?}");
        if id == Some(ID.1) {
            assert!(spans.contains_key(log.span_id.as_slice()), "{service}: {log:?} is in no span of the order");
            told.insert(service.as_str());
        }
    }
    assert_eq!(told, BTreeSet::from(SERVICES), "each service says something about the order");

    let exemplars = received.exemplars("shop.order.duration");
    assert!(!exemplars.is_empty());
    for exemplar in exemplars {
        assert_eq!((&exemplar.trace_id, &exemplar.span_id), (&root.trace_id, &root.span_id));
        assert_eq!(attribute(&exemplar.filtered_attributes, "correlation.id"), Some(ID.1));
    }
    let of_requests = received.exemplars("http.server.request.duration");
    assert!(of_requests.iter().any(|exemplar| exemplar.trace_id == root.trace_id));
}

#[tokio::test]
async fn an_order_is_one_trace_over_five_services_and_the_queue() {
    let receiver = Receiver::start().await;
    let open = Open::embedded(&receiver.endpoint, 0.0).await;
    check_one_order(&after_one_order(open, &receiver).await);
}

#[cfg(feature = "real")]
#[tokio::test]
async fn an_order_is_one_trace_on_real_components_too() {
    use crate::real::{Nats, Postgres, Redis};

    let (postgres, redis, nats) = (Postgres::start().await, Redis::start().await, Nats::start().await);
    postgres.create("shop");
    let replica = postgres.replica().await;
    let components = shop::Components {
        postgres: Some(postgres.url("shop")),
        postgres_replica: Some(replica.url("shop")),
        redis: Some(redis.url()),
        nats: Some(nats.url()),
        ..shop::Components::default()
    };
    let receiver = Receiver::start().await;
    let open = Open::on(components, &receiver.endpoint, 0.0).await;
    let received = after_one_order(open, &receiver).await;
    check_one_order(&received);
    let systems: BTreeSet<&str> = of_order(&received, ID.1)
        .filter_map(|(_, span)| {
            let of = |key| attribute(&span.attributes, key);
            of("db.system.name").or_else(|| of("messaging.system"))
        })
        .collect();
    assert!(systems.contains("nats") && systems.contains("postgresql") && !systems.contains("sqlite"), "{systems:?}");
}

#[tokio::test]
async fn a_declined_card_shows_as_an_error_where_it_happened_and_gives_the_stock_back() {
    let receiver = Receiver::start().await;
    let open = Open::embedded(&receiver.endpoint, 0.0).await;
    let stock = |open: &Open| {
        let url = format!("{}/products/kettle", open.door);
        async move { crate::shop::ask(axum::http::Method::GET, &url, None, &[]).await.1["stock"].clone() }
    };
    let before = stock(&open).await;
    let answer = open.place("ada", "kettle", DECLINED_CARD, &[ID]).await;
    assert_eq!(answer, (StatusCode::PAYMENT_REQUIRED, json!({"outcome": "card_declined"})));
    let again = open.place("ada", "kettle", DECLINED_CARD, &[ID]).await;
    assert_eq!(again, answer, "and stays so");
    assert_eq!(stock(&open).await, before);
    open.close().await;
    let received = receiver.received();
    let charge = received.span("payments", "charge card", SpanKind::Internal);
    assert_eq!(charge.status.as_ref().map(|status| status.message.as_str()), Some("card declined"));
    assert_eq!(received.log("payments", "payment.declined").severity_text, "WARN");
    assert_eq!(received.log("orders", "order.refused").trace_id, charge.trace_id);
    received.log("orders", "order.repeated");
}

#[tokio::test]
async fn the_same_request_twice_is_one_order_and_another_with_its_key_is_none() {
    let receiver = Receiver::start().await;
    let open = Open::embedded(&receiver.endpoint, 0.0).await;
    let key = ("idempotency-key", "key-1");
    let first = ("x-correlation-id", "order-a");
    let placed = (StatusCode::CREATED, json!({"outcome": "placed"}));
    let headers = [first, key];
    let at_once = [0; 6].map(|_| open.place("ada", "kettle", GOOD_CARD, &headers));
    let mut outcomes = BTreeMap::<String, usize>::new();
    for (_, body) in futures(at_once).await {
        *outcomes.entry(body["outcome"].to_string()).or_default() += 1;
    }
    assert!(outcomes.contains_key("\"placed\""), "{outcomes:?}");
    assert!(outcomes.keys().all(|outcome| outcome == "\"placed\"" || outcome == "\"in_progress\""), "{outcomes:?}");
    assert_eq!(open.place("ada", "kettle", GOOD_CARD, &[("x-correlation-id", "order-b"), key]).await, placed);
    let another = open.place("ada", "lantern", GOOD_CARD, &[first, key]).await;
    assert_eq!(another, (StatusCode::UNPROCESSABLE_ENTITY, json!({"outcome": "key_reused"})));
    let url = format!("{}/products/kettle", open.door);
    let left = crate::shop::ask(axum::http::Method::GET, &url, None, &[]).await.1["stock"].clone();
    assert_eq!(left, json!(58), "two of sixty are gone, once");
    open.close().await;
    let received = receiver.received();
    let placed = received.logs.iter().filter(|(_, log)| log.event_name == "order.placed").count();
    // The mail server may have been busy, but a letter is sent once.
    let letters = received.logs.iter().filter(|(_, log)| log.event_name == "letter.sent").count();
    assert!(placed == 1 && letters <= 1, "{placed} placed, {letters} letters");
    let known = received.metrics.iter().filter(|(_, metric)| metric.name == "shop.idempotency");
    let known: BTreeSet<String> = known.flat_map(|(_, metric)| words(metric, "shop.idempotency")).collect();
    assert!(known.contains("first") && known.contains("replayed") && known.contains("reused"), "{known:?}");
}

#[tokio::test]
async fn customers_are_in_shards_of_their_own() {
    let receiver = Receiver::start().await;
    let open = Open::embedded(&receiver.endpoint, 0.0).await;
    for number in 0..8 {
        let customer = format!("customer-{number:03}");
        let id = format!("order-of-{number}");
        let (status, _) = open.place(&customer, "lantern", GOOD_CARD, &[("x-correlation-id", &id)]).await;
        assert_eq!(status, StatusCode::CREATED);
    }
    open.close().await;
    let received = receiver.received();
    let mut shards = BTreeMap::<&str, BTreeSet<&str>>::new();
    for (service, span) in &received.spans {
        let (id, shard) = (attribute(&span.attributes, "correlation.id"), attribute(&span.attributes, "db.namespace"));
        if let ("orders", "INSERT orders", Some(id), Some(shard)) = (service.as_str(), span.name.as_str(), id, shard) {
            shards.entry(id).or_default().insert(shard);
        }
    }
    assert_eq!(shards.len(), 8, "{shards:?}");
    assert!(shards.values().all(|of_one| of_one.len() == 1), "{shards:?}");
    let used: BTreeSet<&str> = shards.into_values().flatten().collect();
    assert_eq!(used, BTreeSet::from(["orders_0", "orders_1"]));
}

#[tokio::test]
async fn other_failures_have_their_own_answers() {
    let receiver = Receiver::start().await;
    let open = Open::embedded(&receiver.endpoint, 0.0).await;
    let unavailable = (StatusCode::SERVICE_UNAVAILABLE, json!({"outcome": "unavailable"}));
    let unicorn = open.place("ada", "unicorn", GOOD_CARD, &[]).await;
    assert_eq!(unicorn, (StatusCode::CONFLICT, json!({"outcome": "out_of_stock"})));
    assert_eq!(open.place("ada", "kettle", "424242420119", &[ID]).await, unavailable);
    open.fault("payments-error:100%").await;
    assert_eq!(open.place("ada", "kettle", GOOD_CARD, &[ID]).await, unavailable);
    let (_, stock) =
        crate::shop::ask(axum::http::Method::GET, &format!("{}/products/kettle", open.door), None, &[]).await;
    assert_eq!(stock["stock"], json!(60), "nothing is held for orders that failed");
    open.close().await;
    let received = receiver.received();
    let charge = received.spans.iter().filter(|(_, span)| span.name == "charge card");
    let why: BTreeSet<&str> = charge.filter_map(|(_, span)| Some(span.status.as_ref()?.message.as_str())).collect();
    assert_eq!(why, BTreeSet::from(["refused", "timeout"]));
    let started = received.logs.iter().filter(|(_, log)| log.event_name == "fault.started");
    let started: Vec<&str> = started.map(|(service, _)| service.as_str()).collect();
    assert_eq!(started, ["payments", "payments"], "each of its instances says so");
    let failed = received.logs.iter().filter(|(_, log)| log.event_name == "payment.failed");
    for (_, log) in failed {
        assert_eq!((log.severity_text.as_str(), attribute(&log.attributes, "correlation.id")), ("ERROR", Some(ID.1)));
    }
    for service in ["payments", "orders", "gateway"] {
        let failed = received.spans.iter().any(|(of, span)| of == service && status_of(span) == SpanStatus::Error);
        assert!(failed, "no span of {service} is an error");
    }
}

#[tokio::test]
async fn a_callers_trace_goes_on_and_a_missing_id_is_made() {
    let receiver = Receiver::start().await;
    let open = Open::embedded(&receiver.endpoint, 0.0).await;
    let caller = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    open.place("ada", "kettle", GOOD_CARD, &[caller, ("x-correlation-id", "not usable")]).await;
    open.close().await;
    let received = receiver.received();
    let gateway = received.span("gateway", "POST /orders", SpanKind::Server);
    assert_eq!(gateway.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!(gateway.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
    let made = attribute(&gateway.attributes, "correlation.id").expect("an id");
    assert!(made.starts_with("order-000001-") && made.len() == 21, "{made}");
    let orders = received.span("orders", "POST /orders", SpanKind::Server);
    assert_eq!(attribute(&orders.attributes, "correlation.id"), Some(made));
}

fn status_of(span: &Span) -> SpanStatus {
    span.status.as_ref().map_or(SpanStatus::Unset, |status| status.code())
}

/// The values of an attribute on a counter's points.
fn words(metric: &opentelemetry_proto::tonic::metrics::v1::Metric, key: &str) -> Vec<String> {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    let Some(Data::Sum(sum)) = &metric.data else { return Vec::new() };
    sum.data_points.iter().filter_map(|point| attribute(&point.attributes, key)).map(str::to_owned).collect()
}

async fn futures<T>(all: impl IntoIterator<Item = impl Future<Output = T>>) -> Vec<T> {
    futures_util::future::join_all(all).await
}
