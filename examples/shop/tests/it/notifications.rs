//! Letters for placed orders, and everything that is known about them afterwards.

use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;

use crate::office::{Place, SENDER, TRACE, told, until, value};
use crate::receiver::{Received, attribute};

fn logs<'a>(received: &'a Received, event: &str) -> Vec<&'a LogRecord> {
    received.logs.iter().filter(|(_, log)| log.event_name == event).map(|(_, log)| log).collect()
}

fn has(span: &Span, attributes: &[(&str, &str)]) {
    for (key, value) in attributes {
        assert_eq!(attribute(&span.attributes, key), Some(*value), "{key} of {}", span.name);
    }
}

#[tokio::test]
async fn a_letter_is_part_of_the_trace_of_its_order() {
    for place in Place::all().await {
        let office = place.open().await;
        place.publish(&["order-1".to_owned()], "ada").await;
        office.has_sent("order-1").await;
        assert_eq!(office.get("/letters/order-2").await.0, 404);
        assert_eq!(office.get("/dead-letters").await.1, json!([]));
        office.close().await;

        let received = place.receiver.received();
        // The mail server may have been busy: then there was more than one attempt.
        let attempts: Vec<&Span> =
            received.spans.iter().map(|(_, span)| span).filter(|span| span.name == "process orders-placed").collect();
        let Some(process) = attempts.last() else { panic!("{:?}", received.span_names()) };
        assert_eq!((process.kind(), process.trace_id.as_slice()), (SpanKind::Consumer, &TRACE.to_be_bytes()[..]));
        assert_eq!(process.parent_span_id, SENDER.to_be_bytes());
        has(
            process,
            &[
                ("messaging.system", place.system()),
                ("messaging.destination.name", "orders-placed"),
                ("messaging.consumer.group.name", "notifications"),
                ("messaging.operation.type", "process"),
                ("correlation.id", "order-1"),
            ],
        );
        let below: Vec<&Span> =
            received.spans.iter().map(|(_, span)| span).filter(|span| span.parent_span_id == process.span_id).collect();
        let mut names: Vec<&str> = below.iter().map(|span| span.name.as_str()).collect();
        names.sort_unstable();
        let expected: &[&str] = if place.system() == "sqlite" {
            // The message is acknowledged in the database.
            &["UPDATE messages", "deliver letter"]
        } else {
            &["deliver letter"]
        };
        assert_eq!(names, expected, "{}", place.system());
        for span in below {
            assert_eq!((attribute(&span.attributes, "correlation.id")), Some("order-1"), "{}", span.name);
        }
        let sent = received.log("notifications", "letter.sent");
        assert_eq!((&sent.trace_id, &sent.span_id), (&process.trace_id, &process.span_id));
        assert_eq!(attribute(&sent.attributes, "correlation.id"), Some("order-1"));
        assert_eq!(attribute(&sent.attributes, "shop.order"), Some("order-1"));
        let exemplars = received.exemplars("messaging.process.duration");
        assert!(
            exemplars
                .iter()
                .any(|exemplar| attribute(&exemplar.filtered_attributes, "correlation.id") == Some("order-1")),
            "{exemplars:?}"
        );
        // Looking for messages is nobody's trace.
        let roots = received.spans.iter().filter(|(_, span)| span.parent_span_id.is_empty());
        let roots: Vec<&str> = roots.map(|(_, span)| span.name.as_str()).collect();
        assert!(roots.iter().all(|name| name.starts_with("GET /")), "{roots:?}");
    }
}

#[tokio::test]
async fn what_bounces_is_tried_five_times_and_is_a_dead_letter_that_can_be_driven_again() {
    for place in Place::all().await {
        let office = place.open().await;
        place.publish(&["order-1".to_owned()], "ada-bounce").await;
        place.publish_bytes("order-2", b"<order/>").await;
        until("both are dead", async || office.dead().await == 2).await;
        let mut letters = office.get("/dead-letters").await.1.as_array().expect("a list").clone();
        letters.sort_by_key(|letter| letter["id"].to_string());
        assert_eq!(letters[0]["attempts"], 5);
        assert_eq!(letters[0]["id"], "order-1");
        assert!(letters[0]["payload"].as_str().expect("a text").contains("ada-bounce"), "{letters:?}");
        assert_eq!((&letters[1]["attempts"], &letters[1]["payload"]), (&json!(1), &json!("<order/>")));

        let name = [("messaging.destination.name", "orders-placed")];
        let counted = |received: &Received| {
            value(received, "shop.queue.dead_letters", &name) == Some(2.0)
                && value(received, "shop.queue.retries", &name) == Some(4.0)
                && value(received, "shop.queue.depth", &[name[0], ("shop.queue.state", "dead")]) == Some(2.0)
        };
        let received = place.receiver.wait_for("the dead letters' metrics", counted).await;
        let retried = logs(&received, "message.retried");
        assert_eq!(retried.len(), 4);
        let given_up = logs(&received, "message.dead_lettered");
        assert_eq!(given_up.len(), 2);
        for log in retried.iter().chain(&given_up) {
            assert_eq!(log.trace_id, TRACE.to_be_bytes());
            let id = attribute(&log.attributes, "correlation.id").expect("an id");
            assert!(["order-1", "order-2"].contains(&id), "{id}");
            let error = attribute(&log.attributes, "error").expect("a reason");
            assert!(id == "order-2" || error.contains("mail"), "{error}");
        }
        assert_eq!((retried[0].severity_text.as_str(), given_up[0].severity_text.as_str()), ("WARN", "ERROR"));

        assert_eq!(office.post("/dead-letters/redrive").await.1, json!({"redriven": 2}));
        until("they have died again", async || office.dead().await == 2).await;
        office.close().await;
        let received = place.receiver.received();
        assert_eq!(value(&received, "shop.queue.dead_letters", &name), Some(4.0));
        assert_eq!(told(&received, "dead_letters.redriven"), 1);
    }
}

#[tokio::test]
async fn a_full_volume_keeps_letters_back_and_names_itself() {
    let place = Place::embedded().await;
    place.breaks(&["disk-fill:64MiB/s"]);
    let office = place.open().await;
    let full = |received: &Received| {
        let usage = value(received, "shop.letters.usage", &[]);
        usage.is_some() && usage == value(received, "shop.letters.limit", &[])
    };
    place.receiver.wait_for("a full volume", full).await;
    let orders: Vec<String> = (0..10).map(|number| format!("order-{number}")).collect();
    place.publish(&orders, "ada").await;
    let said = place.receiver.wait_for("the cause", |received| told(received, "letters.full") > 0).await;
    let log = logs(&said, "letters.full")[0];
    assert_eq!(log.severity_text, "ERROR");
    assert_eq!(log.trace_id, TRACE.to_be_bytes());
    assert!(attribute(&log.attributes, "correlation.id").is_some_and(|id| id.starts_with("order-")));
    let error = attribute(&log.attributes, "error").expect("an error");
    assert!(error.contains("no space left on the letters volume: 67108864 of 67108864 bytes"), "{error}");
    until("they are dead", async || office.dead().await == 10).await;
    place.breaks(&[]);
    let room = |received: &Received| value(received, "shop.letters.usage", &[]) == Some(0.0);
    let said = place.receiver.wait_for("an empty volume", room).await;
    // Fifty attempts within some seconds, and a line every five.
    assert!((1..=5).contains(&told(&said, "letters.full")), "{}", told(&said, "letters.full"));
    office.post("/dead-letters/redrive").await;
    for order in &orders {
        office.has_sent(order).await;
    }
    office.close().await;
}

#[tokio::test]
async fn what_is_under_way_when_the_service_stops_is_sent_once() {
    for place in Place::all().await {
        let office = place.open().await;
        let orders: Vec<String> = (0..60).map(|number| format!("order-{number:02}")).collect();
        place.publish(&orders, "ada").await;
        office.has_sent("order-00").await;
        office.close().await;
        let office = place.open().await;
        for order in &orders {
            office.has_sent(order).await;
        }
        let idle = |received: &Received| {
            let state = |state| value(received, "shop.queue.depth", &[("shop.queue.state", state)]);
            (state("ready"), state("in_flight"), state("dead")) == (Some(0.0), Some(0.0), Some(0.0))
        };
        place.receiver.wait_for("an empty queue", idle).await;
        office.close().await;
        let received = place.receiver.received();
        assert_eq!(told(&received, "letter.sent"), orders.len(), "{}", place.system());
        let left = std::fs::read_dir(place.letters()).expect("a directory").count();
        assert_eq!(left, orders.len(), "no drafts");
    }
}
