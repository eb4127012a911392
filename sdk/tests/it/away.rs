//! The collector goes away under load and comes back: no request fails, memory is bounded, and what was lost is told.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric;

use crate::child::Service;
use crate::receiver::{Received, Receiver, attribute};

/// Each request leaves a log record of so many bytes.
const BYTES: usize = 16_000;
/// So many of them are more than may wait.
const REQUESTS: usize = 2_600;

#[tokio::test]
async fn a_collector_that_is_killed_under_load_costs_a_bound_and_is_told_afterwards() {
    let receiver = Receiver::start().await;
    let service = Service::start("busy", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint)]).await;
    let path = format!("/work?bytes={BYTES}");
    for _ in 0..50 {
        assert!(service.request("GET", &path, &[]).await.0.is_success());
    }
    receiver.wait_for("the first records", |received| received.logs.len() >= 50).await;
    let before = service.memory();

    let address = receiver.address;
    drop(receiver);
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    for number in 0..REQUESTS {
        let asked = Instant::now();
        let (status, ..) = service.request("GET", &path, &[]).await;
        assert!(status.is_success(), "request {number}");
        slowest = slowest.max(asked.elapsed());
    }
    let grown = service.memory().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    // What waits is most of what may wait: the bound is one, and it is used.
    assert!(grown > 16 << 20, "{grown} bytes more");
    assert!(slowest < Duration::from_secs(5), "{slowest:?} of {:?}: nobody waits for the collector", begun.elapsed());
    assert!(service.said().iter().any(|line| line.contains("no telemetry gets to")), "{:?}", service.said());

    let receiver = Receiver::start_at(address).await;
    // Whatever was not lost arrives, also what waited longest, and the rest is told: in one record, or in several if a busy machine makes the collector slow again.
    let accounted = |received: &Received| arrived(received) + told(received) >= REQUESTS;
    let received = receiver.wait_for("what waited, and the report", accounted).await;
    let (arrived, told) = (arrived(&received), told(&received));
    assert!(told > 0 && arrived + told <= REQUESTS + 50, "{arrived} arrived, {told} lost");
    let counted = receiver.wait_for("the count", |received| lost_by_metric(received) as usize >= told).await;
    assert!(lost_by_metric(&counted) as usize <= REQUESTS);
    assert!(service.request("GET", &path, &[]).await.0.is_success());
    let said = service.stop().await;
    assert!(
        said.iter().any(|line| line.contains("again; lost meanwhile: ") && line.contains("log records")),
        "{said:?}"
    );
    assert!(said.len() <= 3, "{said:?}");
}

/// Requests whose records have arrived; one that was sent again, because its answer came late, counts once.
fn arrived(received: &Received) -> usize {
    let done = received.logs.iter().filter(|(_, log)| log.event_name == "work.done");
    done.filter_map(|(_, log)| attribute(&log.attributes, "correlation.id")).collect::<BTreeSet<_>>().len()
}

/// Records that were lost, by the reports.
fn told(received: &Received) -> usize {
    let reports: Vec<_> = received.logs.iter().filter(|(_, log)| log.event_name == "sextant_sdk.lost").collect();
    assert!(reports.iter().all(|(_, report)| report.severity_text == "WARN"));
    let counts = reports.iter().flat_map(|(_, report)| &report.attributes).filter(|of| of.key == "lost.log_records");
    let count = |value: &AnyValue| match value.value {
        Some(any_value::Value::IntValue(count)) => usize::try_from(count).expect("a count"),
        _ => panic!("a whole number"),
    };
    counts.filter_map(|attribute| attribute.value.as_ref()).map(count).sum()
}

fn lost_by_metric(received: &Received) -> i64 {
    use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
    let Some(metric) = received.metric("busy", "otel.sdk.exporter.log.exported") else { return 0 };
    let Some(metric::Data::Sum(sum)) = &metric.data else { panic!("a counter") };
    let lost = sum.data_points.iter().find(|point| attribute(&point.attributes, "error.type") == Some("queue_full"));
    lost.map_or(0, |point| match point.value {
        Some(Value::AsInt(count)) => count,
        _ => panic!("a whole number"),
    })
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_the_end_by_a_bound() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", silent.local_addr().expect("bound"));
    for (protocol, endpoint) in
        [("grpc", endpoint.as_str()), ("http/protobuf", &endpoint), ("grpc", "http://127.0.0.1:1")]
    {
        let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
        let mut service = Service::spawn("plain", &environment);
        let started: u64 = service.line().await.parse().expect("milliseconds");
        assert!(started < 2_000, "{started} ms: a start waits for nobody");
        service.close_stdin();
        let ended: u64 = service.line().await.parse().expect("milliseconds");
        assert!(ended < 6_000, "{ended} ms");
        let said = service.ended().await;
        assert!(said.iter().any(|line| line.contains("the service ends and telemetry is lost: ")), "{said:?}");
    }
}
