//! Where the correlation id comes from, and what becomes of it when strangers choose it.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::child::Service;
use crate::receiver::{Receiver, attribute};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test]
async fn the_id_is_the_headers_or_the_baggages_or_made() {
    let receiver = Receiver::start().await;
    let service = Service::start("busy", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint)]).await;
    let huge = format!("correlation.id={}", "x".repeat(7_000));
    let many = (0..300).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join(",");
    let cases = [
        (vec![("x-correlation-id", "from-header")], Some("from-header")),
        (vec![("baggage", "a=1,correlation.id=from-baggage")], Some("from-baggage")),
        (vec![("x-correlation-id", "from-header"), ("baggage", "correlation.id=from-baggage")], Some("from-header")),
        (vec![], None),
        (vec![("x-correlation-id", "two words")], None),
        (vec![("baggage", "correlation.id=%1B%5B2J")], None),
        (vec![("baggage", &huge)], None),
        (vec![("baggage", &many)], None),
    ];
    let mut ids = Vec::new();
    for (headers, expected) in cases {
        let (status, answered, id) =
            service.request("GET", "/work", &[headers, vec![("traceparent", PARENT)]].concat()).await;
        assert!(status.is_success());
        assert_eq!(answered.get("x-correlation-id").and_then(|id| id.to_str().ok()), Some(id.as_str()));
        match expected {
            Some(expected) => assert_eq!(id, expected),
            None => assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}"),
        }
        ids.push(id);
    }
    service.stop().await;

    let received = receiver.received();
    let of_requests = |attributes: &[_]| attribute(attributes, "correlation.id").map(str::to_owned);
    let spans: Vec<_> =
        received.spans.iter().filter(|(_, span)| span.kind() == SpanKind::Server).map(|(_, span)| span).collect();
    let of_spans: Vec<_> = spans.iter().filter_map(|span| of_requests(&span.attributes)).collect();
    let of_logs: Vec<_> = received
        .logs
        .iter()
        .filter(|(_, log)| log.event_name == "work.done")
        .filter_map(|(_, log)| of_requests(&log.attributes))
        .collect();
    assert_eq!(of_spans, ids, "every span bears its request's id");
    assert_eq!(of_logs, ids, "and so does every record");
    for span in spans {
        assert_eq!(span.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes(), "the caller's trace goes on");
    }
    let exemplars = received.exemplars("busy.size");
    assert!(!exemplars.is_empty());
    for exemplar in exemplars {
        let id = of_requests(&exemplar.filtered_attributes).expect("an id");
        assert!(ids.contains(&id), "{id}");
    }
}
