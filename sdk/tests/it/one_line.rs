//! The twenty lines of the README: what arrives of a service that says one line about telemetry.

use http::StatusCode;
use opentelemetry_proto::tonic::metrics::v1::metric;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::child::Service;
use crate::receiver::{Receiver, attribute};

#[test]
fn the_service_has_twenty_lines_and_one_of_them_is_about_telemetry() {
    let service = include_str!("../../examples/orders.rs");
    assert!(service.lines().count() <= 20, "{}", service.lines().count());
    assert_eq!(service.lines().filter(|line| line.contains("sextant_sdk") && !line.starts_with("//!")).count(), 1);
}

#[tokio::test]
async fn spans_logs_metrics_exemplars_and_the_correlation_id_arrive() {
    for (protocol, compression) in [("grpc", "none"), ("grpc", "gzip"), ("http/protobuf", "none")] {
        let receiver = Receiver::start().await;
        let environment = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ];
        let service = Service::start("orders", &environment).await;
        let (status, headers, body) =
            service.request("GET", "/orders/7?page=2", &[("x-correlation-id", "order-7")]).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "7"));
        assert_eq!(headers.get("x-correlation-id").and_then(|id| id.to_str().ok()), Some("order-7"));
        let said = service.stop().await;
        assert_eq!(said, Vec::<String>::new(), "nothing to complain of");

        let received = receiver.received();
        let span = received.span("orders", "GET /orders/{id}", SpanKind::Server);
        for (key, value) in [
            ("http.route", "/orders/{id}"),
            ("http.request.method", "GET"),
            ("url.path", "/orders/7"),
            ("url.query", "page=2"),
            ("url.scheme", "http"),
            ("server.address", "127.0.0.1"),
            ("correlation.id", "order-7"),
        ] {
            assert_eq!(attribute(&span.attributes, key), Some(value), "{key}");
        }
        let (_, log) = received.logs.iter().find(|(_, log)| log.severity_text == "INFO").expect("the event");
        assert_eq!((&log.trace_id, &log.span_id), (&span.trace_id, &span.span_id));
        assert_eq!(attribute(&log.attributes, "correlation.id"), Some("order-7"));
        let exemplars = received.exemplars("http.server.request.duration");
        assert_eq!(exemplars.len(), 1, "each is sent once");
        assert_eq!((&exemplars[0].trace_id, &exemplars[0].span_id), (&span.trace_id, &span.span_id));
        assert_eq!(attribute(&exemplars[0].filtered_attributes, "correlation.id"), Some("order-7"));
        let duration = received.metric("orders", "http.server.request.duration").expect("a duration");
        let Some(metric::Data::Histogram(duration)) = &duration.data else { panic!("a histogram") };
        assert_eq!(attribute(&duration.data_points[0].attributes, "http.route"), Some("/orders/{id}"));
        for name in [
            "http.server.active_requests",
            "process.cpu.time",
            "process.memory.usage",
            "process.uptime",
            "tokio.alive_tasks",
            "otel.sdk.exporter.span.exported",
        ] {
            assert!(received.metric("orders", name).is_some(), "{name}");
        }
        let resource = &received.resources["orders"].attributes;
        for (key, value) in [("deployment.environment.name", "test"), ("telemetry.sdk.language", "rust")] {
            assert_eq!(attribute(resource, key), Some(value));
        }
        assert_eq!(attribute(resource, "service.instance.id").map(str::len), Some(36));
    }
}
