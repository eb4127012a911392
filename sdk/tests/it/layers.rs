//! Calls to others, databases and queues: spans by the conventions, in one trace, with one correlation id.

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use crate::child::Service;
use crate::receiver::{Receiver, attribute};

#[tokio::test]
async fn every_layer_is_in_the_trace_and_measured() {
    let receiver = Receiver::start().await;
    let environment =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.as_str()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    assert_eq!(Service::spawn("calls", &environment).ended().await, Vec::<String>::new());
    let received = receiver.received();
    let work = received.span("calls", "work", SpanKind::Internal);
    for (_, span) in &received.spans {
        assert_eq!(span.trace_id, work.trace_id, "{}", span.name);
        assert_eq!(attribute(&span.attributes, "correlation.id"), Some("order-1"), "{}", span.name);
    }

    let all = |name: &str, kind: SpanKind| -> Vec<&Span> {
        received.spans.iter().map(|(_, span)| span).filter(|span| span.name == name && span.kind() == kind).collect()
    };
    let export = "opentelemetry.proto.collector.logs.v1.LogsService/Export";
    for (name, kind, errors) in [
        ("GET", SpanKind::Client, vec![None, Some("no_answer")]),
        ("GET /{place}", SpanKind::Client, vec![Some("404")]),
        (export, SpanKind::Client, vec![None, Some("404")]),
        ("SELECT orders", SpanKind::Client, vec![None]),
        ("GET", SpanKind::Server, vec![None]),
        ("send orders", SpanKind::Producer, vec![None]),
        ("process orders", SpanKind::Consumer, vec![None]),
    ] {
        let found = all(name, kind);
        let found: Vec<_> =
            found.iter().filter(|span| attribute(&span.attributes, "db.system.name") != Some("redis")).collect();
        let of: Vec<_> = found.iter().map(|span| attribute(&span.attributes, "error.type")).collect();
        assert_eq!(of, errors, "{name}");
        for span in found {
            let error = attribute(&span.attributes, "error.type").is_some();
            assert_eq!(span.status.as_ref().map(|status| status.code()) == Some(StatusCode::Error), error, "{name}");
        }
    }
    let redis = received
        .spans
        .iter()
        .map(|(_, span)| span)
        .find(|span| attribute(&span.attributes, "db.system.name") == Some("redis"));
    assert_eq!(
        redis.and_then(|span| span.status.as_ref()).map(|status| status.message.as_str()),
        Some("connection refused")
    );
    let select = all("SELECT orders", SpanKind::Client)[0];
    assert_eq!(attribute(&select.attributes, "db.query.text"), Some("SELECT * FROM orders WHERE id = $1"));

    // Each is below who called it.
    let call = all("GET", SpanKind::Client)[0];
    assert_eq!(call.parent_span_id, work.span_id);
    assert!(attribute(&call.attributes, "url.full").is_some_and(|url| url.ends_with("/stock/kettle?token=[redacted]")));
    let served = received.span("calls", "GET /stock/{item}", SpanKind::Server);
    assert_eq!(served.parent_span_id, call.span_id);
    let (sent, processed) = (all("send orders", SpanKind::Producer)[0], all("process orders", SpanKind::Consumer)[0]);
    assert_eq!((&sent.parent_span_id, &processed.parent_span_id), (&work.span_id, &sent.span_id));
    let log = received
        .logs
        .iter()
        .map(|(_, log)| log)
        .find(|log| log.span_id == processed.span_id)
        .expect("the consumer's record");
    assert_eq!(attribute(&log.attributes, "correlation.id"), Some("order-1"));

    for (name, exemplars) in [
        ("http.client.request.duration", true),
        ("http.server.request.duration", true),
        ("rpc.client.call.duration", true),
        ("db.client.operation.duration", true),
        ("messaging.process.duration", true),
        ("messaging.client.operation.duration", true),
        ("messaging.client.sent.messages", false),
        ("messaging.client.consumed.messages", false),
        ("db.client.connection.count", false),
        ("db.client.connection.max", false),
        ("cache.requests", false),
        ("cache.evictions", false),
        ("tokio.worker.busy_time", false),
    ] {
        assert!(received.metric("calls", name).is_some(), "{name}");
        for exemplar in received.exemplars(name) {
            assert_eq!(exemplar.trace_id, work.trace_id, "{name}");
        }
        assert_eq!(!received.exemplars(name).is_empty(), exemplars, "{name}");
    }
}
