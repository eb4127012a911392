//! Wrong endpoints, wrong variables, and collectors that are none: one clear line, and the service runs on.

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::child::Service;
use crate::receiver::{Receiver, attribute};

#[tokio::test]
async fn what_cannot_be_used_is_one_line_and_the_service_runs_on() {
    for (environment, line) in [
        (
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://somewhere")],
            "OTEL_EXPORTER_OTLP_ENDPOINT cannot be \"ftp://somewhere\"",
        ),
        (
            vec![
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1"),
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem"),
            ],
            "cannot read /nowhere.pem",
        ),
        (
            vec![
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier-pigeon"),
                ("OTEL_TRACES_EXPORTER", "none"),
                ("OTEL_METRICS_EXPORTER", "none"),
                ("OTEL_LOGS_EXPORTER", "none"),
            ],
            "",
        ),
        (
            vec![("OTEL_BSP_MAX_QUEUE_SIZE", "plenty"), ("OTEL_SDK_DISABLED", "true")],
            "OTEL_BSP_MAX_QUEUE_SIZE cannot be \"plenty\"",
        ),
    ] {
        let service = Service::start("orders", &environment).await;
        let (status, ..) = service.request("GET", "/orders/7", &[]).await;
        assert_eq!(status, StatusCode::OK, "{environment:?}");
        let said = service.stop().await;
        if line.is_empty() {
            assert_eq!(said, Vec::<String>::new(), "nobody is told of what is not used");
        } else {
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].starts_with("sextant-sdk: orders: ") && said[0].contains(line), "{said:?}");
        }
    }
}

#[tokio::test]
async fn tls_that_is_refused_is_told_and_the_service_runs_on() {
    let receiver = Receiver::start().await;
    let https = receiver.endpoint.replace("http:", "https:");
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", https.as_str()), ("OTEL_SERVICE_NAME", "blue")];
    let service = Service::start("busy", &environment).await;
    assert!(service.request("GET", "/work", &[]).await.0.is_success());
    let said = service.stop().await;
    assert!(said[0].starts_with("sextant-sdk: blue: no telemetry gets to https://127.0.0.1:"), "{said:?}");
}

#[tokio::test]
async fn a_disabled_sdk_does_nothing_but_hand_on() {
    let receiver = Receiver::start().await;
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.as_str()), ("OTEL_SDK_DISABLED", "TRUE")];
    let service = Service::start("busy", &environment).await;
    let (status, _, id) = service.request("GET", "/work", &[("x-correlation-id", "order-1")]).await;
    assert_eq!((status, id.as_str()), (StatusCode::OK, "order-1"));
    assert_eq!(service.stop().await, Vec::<String>::new());
    let received = receiver.received();
    assert!(received.spans.is_empty() && received.logs.is_empty() && received.metrics.is_empty());
}

#[tokio::test]
async fn a_second_start_is_an_error_and_the_first_goes_on() {
    let mut service = Service::spawn("twice", &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")]);
    assert_eq!(service.line().await, "the telemetry of this process was set up before, as first");
    service.ended().await;
}

/// What somebody who is no collector says to whoever connects, over and over.
async fn nonsense(head: &'static [u8], body: &'static [u8], times: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 1024];
                let _ = connection.read(&mut request).await;
                let _ = connection.write_all(head).await;
                for _ in 0..times {
                    if connection.write_all(body).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    endpoint
}

#[tokio::test]
async fn answers_of_garbage_and_without_end_harm_nothing() {
    let garbage = nonsense(b"\x00\xff\x17nonsense\r\n\r\n", &[0xfe; 4096], 100).await;
    let endless = nonsense(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1000\r\n", 0).await;
    let large = nonsense(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n", &[b'x'; 65_536], usize::MAX).await;
    let heads = nonsense(
        b"HTTP/1.1 200 OK\r\n",
        b"x-header: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
        usize::MAX,
    )
    .await;
    for endpoint in [garbage, endless, large, heads] {
        for protocol in ["http/protobuf", "grpc"] {
            let environment =
                [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)];
            let service = Service::start("busy", &environment).await;
            let before = service.memory();
            for _ in 0..20 {
                assert!(service.request("GET", "/work", &[]).await.0.is_success());
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            assert!(service.memory().saturating_sub(before) < 32 << 20);
            let said = service.stop().await;
            assert!(said.len() <= 4, "{said:?}");
        }
    }
}

#[tokio::test]
async fn secrets_do_not_leave_and_panics_are_records() {
    let receiver = Receiver::start().await;
    let service = Service::start("busy", &[("OTEL_EXPORTER_OTLP_ENDPOINT", &receiver.endpoint)]).await;
    assert!(service.request("GET", "/work?token=hunter2&bytes=10", &[]).await.0.is_success());
    service.expect_broken("POST", "/panic", &[("x-correlation-id", "order-13")]).await;
    service.stop().await;
    let received = receiver.received();
    let everything = format!("{received:?}");
    assert!(!everything.contains("hunter2"));
    assert!(everything.contains("token=[redacted]&bytes=10"));
    let panic = received.log("busy", "exception");
    assert_eq!(attribute(&panic.attributes, "correlation.id"), Some("order-13"));
    assert_eq!(attribute(&panic.attributes, "exception.message"), Some("as asked"));
    assert!(attribute(&panic.attributes, "code.file.path").is_some_and(|path| path.ends_with("services.rs")));
    let span =
        received.spans.iter().find(|(_, span)| span.span_id == panic.span_id).expect("the panic's span arrived too");
    assert_eq!(attribute(&span.1.attributes, "error.type"), Some("panic"));
}
