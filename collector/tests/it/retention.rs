//! What is too old to be kept is refused with that reason, and a disk that is nearly full takes nothing for the moment.

use std::sync::Arc;

use collector::Config;
use model::{Clock as _, ManualClock, Timestamp};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::NumberDataPoint;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use store::Table;
use store::disk::RealDisk;
use tonic::Code;

use crate::grpc::{channel, has_retry_info};
use crate::http::export;
use crate::support::{Server, gauge, log, logs_request, metrics_request, point, span, spans_request};

const HOUR: u64 = 3_600_000_000_000;
const NOW: u64 = 1_800_000_000 * 1_000_000_000;

async fn server(of_store: &str) -> (Server, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_nanos(NOW as i64)));
    let of_store = serde_json::from_str(of_store).expect("settings");
    (Server::storing(Config::default(), of_store, clock.clone(), Arc::new(RealDisk)).await, clock)
}

fn of_service(name: &str) -> Option<Resource> {
    let value = Some(AnyValue { value: Some(Value::StringValue(name.to_owned())) });
    let attribute = KeyValue { key: "service.name".to_owned(), value, ..KeyValue::default() };
    Some(Resource { attributes: vec![attribute], ..Resource::default() })
}

const AGES: &str = r#"{"retention": {"logs": "2h", "spans": "3h", "points": "4h"},
    "retention_services": {"audit": {"logs": "none", "points": "9h"}}}"#;

#[tokio::test]
async fn what_is_older_than_its_retention_is_refused_with_that_reason() {
    let (server, clock) = server(AGES).await;
    let logs = |service: &str| {
        let records = (0..5).map(|hours| LogRecord { time_unix_nano: NOW - hours * HOUR, ..log() });
        // Without a time it is now, with a time of observation alone it is that.
        let undated = LogRecord { time_unix_nano: 0, ..log() };
        let observed = LogRecord { observed_time_unix_nano: NOW - 3 * HOUR, ..undated.clone() };
        let mut request = logs_request(records.chain([undated, observed]).collect());
        request.resource_logs[0].resource = of_service(service);
        request.encode_to_vec()
    };
    let answer = export(server.http, "/v1/logs", &logs("shop")).await;
    let partial = ExportLogsServiceResponse::decode(&answer.body[..]).expect("a response").partial_success;
    let partial = partial.expect("some are too old");
    // Of exactly two hours is kept.
    assert_eq!((answer.status, partial.rejected_log_records), (200, 3));
    let expected = "3 of 7 log records rejected: 3 because its time is older than store.retention keeps items of its signal and \
                    service (first resource_logs[0].scope_logs[0].log_records[3]): check the sender's clock and queue, or raise \
                    store.retention";
    assert_eq!(partial.error_message, expected);
    let answer = export(server.http, "/v1/logs", &logs("audit")).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0), "it keeps its logs for ever");
    assert_eq!(server.rows(Table::Logs), 4 + 7);

    let spans =
        (0..5).map(|hours| Span { start_time_unix_nano: NOW - hours * HOUR, end_time_unix_nano: NOW, ..span() });
    let answer = export(server.http, "/v1/traces", &spans_request(spans.collect()).encode_to_vec()).await;
    let partial = ExportTraceServiceResponse::decode(&answer.body[..]).expect("a response").partial_success;
    assert_eq!(partial.map(|partial| partial.rejected_spans), Some(1));
    for (service, expected) in [("shop", Some(2)), ("audit", None)] {
        let points = (0..7).map(|hours| NumberDataPoint { time_unix_nano: NOW - hours * HOUR, ..point() });
        let mut request = metrics_request(vec![gauge(points.collect())]);
        request.resource_metrics[0].resource = of_service(service);
        let answer = export(server.http, "/v1/metrics", &request.encode_to_vec()).await;
        let partial = ExportMetricsServiceResponse::decode(&answer.body[..]).expect("a response").partial_success;
        assert_eq!(partial.map(|partial| partial.rejected_data_points), expected, "{service}");
    }
    assert_eq!((server.rows(Table::Spans), server.rows(Table::Points)), (4, 5 + 7));
    let reason = ("reason", "older_than_retention");
    let receipts = "sextant_receipts_rejected_items_total";
    for (service, signal, count) in
        [("shop", "logs", 3), ("audit", "logs", 0), ("(unnamed)", "spans", 1), ("shop", "points", 2)]
    {
        assert_eq!(
            server.count(receipts, &[reason, ("service", service), ("signal", signal)]),
            count,
            "{service} {signal}"
        );
    }
    // What was taken expires, and what is sent from now on is held against the new time.
    clock.advance(std::time::Duration::from_secs(3_600));
    assert!(clock.now() > Timestamp::from_nanos(NOW as i64));
    assert_eq!(server.rows(Table::Logs), 3 + 7);
    let answer = export(server.http, "/v1/logs", &logs("shop")).await;
    let partial = ExportLogsServiceResponse::decode(&answer.body[..]).expect("a response").partial_success;
    assert_eq!(partial.map(|partial| partial.rejected_log_records), Some(4));
}

#[tokio::test]
async fn a_disk_that_is_nearly_full_says_come_again() {
    let (server, _) = server(&format!(r#"{{"free_bytes_min": {}}}"#, u64::MAX)).await;
    for (path, body) in [
        ("/v1/logs", logs_request(vec![log()]).encode_to_vec()),
        ("/v1/traces", spans_request(vec![span()]).encode_to_vec()),
        ("/v1/metrics", metrics_request(vec![gauge(vec![point()])]).encode_to_vec()),
    ] {
        let answer = export(server.http, path, &body).await;
        assert_eq!((answer.status, answer.rpc_status().0), (503, 14), "{}", answer.head);
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert!(
            !answer.rpc_status().1.contains("bytes"),
            "what is free is not the sender's: {}",
            answer.rpc_status().1
        );
    }
    let status = LogsServiceClient::new(channel(&server).await)
        .export(logs_request(vec![log()]))
        .await
        .expect_err("it is refused");
    assert_eq!(status.code(), Code::Unavailable);
    assert!(has_retry_info(&status), "{status:?}");
    assert_eq!(server.count("sextant_receipts_shed_requests_total", &[("reason", "disk_full")]), 4);
    assert_eq!(Table::ALL.map(|table| server.rows(table)), [0; 4]);
}
