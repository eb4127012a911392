//! Variables and what comes of them, and what is said about those that make no sense.

use super::*;

fn read(program: &Builder, variables: &[(&str, &str)]) -> (Settings, Vec<String>) {
    settings(program, |name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
}

fn uris(program: &Builder, variables: &[(&str, &str)]) -> [String; 3] {
    let (settings, said) = read(program, variables);
    assert_eq!(said, Vec::<String>::new(), "{variables:?}");
    settings.endpoints.map(|endpoint| endpoint.map_or("none".to_owned(), |endpoint| endpoint.uri.to_string()))
}

const GRPC: [&str; 3] = [
    "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
];
const HTTP: [&str; 3] = ["/v1/traces", "/v1/metrics", "/v1/logs"];

#[test]
fn where_telemetry_goes() {
    let plain = Builder::new("s");
    let program = Builder::new("s").endpoint(Protocol::Grpc, "http://p:9");
    let fixed = Builder::new("s").endpoint_always(Protocol::Grpc, "http://p:9/");
    for (builder, variables, base, paths) in [
        (&plain, vec![], "http://localhost:4318", HTTP),
        (&plain, vec![("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], "http://localhost:4317", GRPC),
        (&plain, vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317")], "http://c:4317", GRPC),
        (
            &plain,
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
            "http://c:4317",
            HTTP,
        ),
        (&plain, vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c/base/")], "https://c/base", HTTP),
        (&plain, vec![("OTEL_EXPORTER_OTLP_ENDPOINT", " ")], "http://localhost:4318", HTTP),
        (&plain, vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317")], "http://c:4317", GRPC),
        (&program, vec![], "http://p:9", GRPC),
        (&program, vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1")], "http://c:1", HTTP),
        (&program, vec![("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")], "http://p:9", HTTP),
        (
            &fixed,
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:1"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
            "http://p:9",
            GRPC,
        ),
    ] {
        assert_eq!(uris(builder, &variables), paths.map(|path| format!("{base}{path}")), "{variables:?}");
    }
    let some =
        uris(&plain, &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:1/in"), ("OTEL_METRICS_EXPORTER", "none")]);
    assert_eq!(some, ["http://t:1/in", "none", "http://localhost:4318/v1/logs"]);
}

#[test]
fn the_other_variables() {
    let program = Builder::new("s")
        .header("tenant", "a")
        .header("x", "program")
        .timeout(Duration::from_secs(1))
        .metric_interval(Duration::from_secs(2));
    let (settings, said) = read(
        &program,
        &[
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_SERVICE_NAME", "billing"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20a%2Cb%3D%25, x = environment"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "70"),
            ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "9"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "500"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
            ("OTEL_PROPAGATORS", "tracecontext"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
        ],
    );
    assert_eq!(said, Vec::<String>::new());
    assert!(settings.disabled && settings.service_name.as_deref() == Some("billing"));
    let [Some(traces), Some(metrics), Some(logs)] = &settings.endpoints else { panic!("{settings:?}") };
    assert_eq!(traces.timeout, Duration::from_millis(250));
    assert_eq!((metrics.timeout, logs.gzip), (Duration::from_secs(1), true));
    assert_eq!(logs.tls.authority.as_deref(), Some("ca.pem"));
    for (name, value) in [("authorization", "Bearer a,b=%"), ("x", "environment"), ("tenant", "a")] {
        assert_eq!(logs.headers.get(name).and_then(|value| value.to_str().ok()), Some(value));
    }
    assert_eq!((settings.spans.items_max, settings.spans.batch_items), (100, 100));
    assert_eq!(
        (settings.logs.items_max, settings.logs.batch_items, settings.logs.delay),
        (usize::MAX, 9, Duration::from_millis(70))
    );
    assert_eq!((settings.metric_interval, settings.temporality), (Duration::from_millis(500), Temporality::Delta));
    assert_eq!(settings.propagators, Propagators { trace_context: true, baggage: false });
}

#[test]
fn what_makes_no_sense_is_one_line_and_the_default() {
    let (default, _) = read(&Builder::new("s"), &[]);
    for (name, value, part) in [
        ("OTEL_SDK_DISABLED", "yes", "write true or false"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "write grpc or http/protobuf"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "ten", "write a whole number"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0", "above 0"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1", "write a whole number"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip", "write gzip or none"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret-without-name", "no NAME=VALUE"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "above 0"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "1e3", "write a whole number"),
        ("OTEL_BSP_SCHEDULE_DELAY", "1s", "write a whole number"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "", ""),
        ("OTEL_METRIC_EXPORT_INTERVAL", "99999999999999999999999", "write a whole number"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "both", "write cumulative"),
        ("OTEL_PROPAGATORS", "tracecontext,baggage,b3", "speaks tracecontext and baggage"),
        ("OTEL_LOGS_EXPORTER", "console", "knows otlp and none"),
        ("OTEL_TRACES_SAMPLER", "sometimes", "write always_on"),
        ("OTEL_TRACES_SAMPLER", "traceidratio", "write a number from 0 to 1"),
    ] {
        let (settings, said) = read(&Builder::new("s"), &[(name, value)]);
        assert_eq!(settings, default, "{name}={value}");
        if part.is_empty() {
            assert_eq!(said, Vec::<String>::new(), "{name}={value}");
        } else {
            assert_eq!(said.len(), 1, "{name}={value}: {said:?}");
            assert!(said[0].starts_with("OTEL_") && said[0].contains(part) && !said[0].contains("secret"), "{said:?}");
        }
    }
}

#[test]
fn an_endpoint_that_is_none_is_told_without_its_password() {
    for url in ["http://", "ftp://user:hunter2@c", "http://c:99999", "http://c:0", "http://a b", "::", "http://\u{7}"] {
        let (settings, said) = read(&Builder::new("s"), &[("OTEL_EXPORTER_OTLP_ENDPOINT", url)]);
        assert_eq!(settings.endpoints, [None, None, None], "{url}");
        assert_eq!(said.len(), 1, "{url}: {said:?}");
        assert!(
            said[0].contains("OTEL_EXPORTER_OTLP_ENDPOINT")
                && said[0].contains("no telemetry")
                && !said[0].contains("hunter2"),
            "{said:?}"
        );
        assert!(!said[0].chars().any(char::is_control));
    }
}
