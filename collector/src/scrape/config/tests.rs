//! What a `prometheus.yml` may say, and what each mistake is told like.

use super::*;
use crate::scrape::exposition::Format;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse("prometheus.yml", text, Path::new("/nonexistent"))
}

const WHOLE: &str = r#"
global:
  scrape_interval: 30s
  scrape_timeout: 5s
  evaluation_interval: 15s
  external_labels: {replica: a}
  sample_limit: 1000
rule_files: ["*.rules.yml"]
alerting: {alertmanagers: [{static_configs: [{targets: ["a:9093"]}]}]}
remote_write: [{url: "http://elsewhere/"}]
scrape_configs:
- job_name: node
  static_configs:
  - targets: [a:9100, "b:9100"]
    labels: {zone: 1, env: "prod"}
  - targets: ["[::1]:9100"]
- job_name: everything
  scrape_interval: 4s
  metrics_path: /probe
  scheme: https
  params: {module: [http_2xx], target: [a, b]}
  honor_labels: true
  honor_timestamps: false
  track_timestamps_staleness: true
  basic_auth: {username: me, password: secret}
  tls_config: {insecure_skip_verify: true, server_name: other}
  file_sd_configs:
  - files: [targets/*.json, one.yml]
    refresh_interval: 1m
  http_sd_configs:
  - url: http://127.0.0.1:1/list
    authorization: {credentials: token}
  relabel_configs:
  - source_labels: [__address__, zone]
    separator: "@"
    regex: (.+):\d+@.*
    target_label: host
    replacement: ${1}
  - {action: LabelDrop, regex: tmp_.*}
  - {action: hashmod, source_labels: [__address__], modulus: 8, target_label: shard}
  metric_relabel_configs:
  - {action: drop, source_labels: [__name__], regex: go_.*}
  sample_limit: 5
  label_limit: 6
  label_name_length_limit: 7
  label_value_length_limit: 8
  target_limit: 9
  body_size_limit: 10MB
  scrape_protocols: [PrometheusText0.0.4]
  fallback_scrape_protocol: OpenMetricsText1.0.0
  enable_http2: false
  scrape_native_histograms: false
  scrape_failure_log_file: failures.log
  follow_redirects: false
"#;

#[test]
fn everything_about_scraping_is_taken() {
    let config = parse(WHOLE).expect("it is right");
    let [node, all] = &config.jobs[..] else { panic!("{config:?}") };
    assert_eq!((node.interval_ms, node.timeout_ms, node.limits.samples), (30_000, 5_000, 1000));
    assert_eq!(node.static_groups[0].targets, ["a:9100", "b:9100"]);
    let labels = [("zone".to_owned(), "1".to_owned()), ("env".to_owned(), "prod".to_owned())];
    assert_eq!(node.static_groups[0].labels, labels);
    // The timeout gives way to a shorter interval.
    assert_eq!((all.interval_ms, all.timeout_ms), (4_000, 4_000));
    assert_eq!(all.params[1], ("target".to_owned(), vec!["a".to_owned(), "b".to_owned()]));
    assert!(all.honor_labels && !all.honor_timestamps && all.track_timestamps_staleness);
    let basic = Authorization::Basic(Secret::Text("me".to_owned()), Secret::Text("secret".to_owned()));
    assert_eq!(all.http.authorization, basic);
    assert!(all.http.tls.config.is_some() && !all.http.follow_redirects);
    assert_eq!(all.file_sd[0].patterns, ["/nonexistent/targets/*.json", "/nonexistent/one.yml"]);
    assert_eq!((all.file_sd[0].refresh_ms, all.http_sd[0].refresh_ms), (60_000, 60_000));
    assert_eq!((all.relabel.len(), all.metric_relabel.len()), (3, 1));
    let limits = all.limits;
    let numbers = [limits.samples, limits.labels, limits.label_name_bytes, limits.label_value_bytes, limits.targets];
    assert_eq!((numbers, limits.body_bytes), ([5, 6, 7, 8, 9], 10 << 20));
    assert_eq!((&all.protocols[..], all.fallback), (&[job::Protocol::Text0][..], Some(Format::OpenMetrics)));
    assert!(!format!("{all:?}").contains("secret\""), "secrets are not shown");
    let passed: Vec<_> = config.passed.iter().map(|passed| (passed.key.as_str(), passed.line)).collect();
    let expected = [
        ("global.evaluation_interval", 5),
        ("global.external_labels", 6),
        ("rule_files", 8),
        ("alerting", 9),
        ("remote_write", 10),
        ("scrape_configs.scrape_failure_log_file", 53),
    ];
    assert_eq!(passed, expected);
    assert_eq!(parse(WHOLE), Ok(config), "the same text is the same configuration");
}

#[test]
fn little_is_enough() {
    for text in ["", "global:", "scrape_configs:", "scrape_configs: []"] {
        assert_eq!(parse(text).map(|config| config.jobs.len()), Ok(0), "{text:?}");
    }
    let job = &parse("scrape_configs:\n- job_name: a\n").expect("it is right").jobs[0];
    assert_eq!(*job, Job::named("a"));
}

#[test]
fn parts_of_the_file_may_be_used_again() {
    let text = "scrape_configs:\n- &first\n  job_name: a\n  scheme: https\n  relabel_configs: &rules [{target_label: x, replacement: y}]\n\
                - <<: *first\n  job_name: b\n- job_name: c\n  metric_relabel_configs: *rules\n";
    let config = parse(text).expect("it is right");
    let [a, b, c] = &config.jobs[..] else { panic!("{config:?}") };
    assert_eq!((b.name.as_str(), &b.scheme, &b.relabel), ("b", &a.scheme, &a.relabel));
    assert_eq!(c.metric_relabel, a.relabel);
}

// The text below `scrape_configs:` after a job's name, and what is said of it.
#[test]
fn mistakes_are_told_with_their_line_and_a_remedy() {
    for (text, line, message, hint) in [
        (
            "  scrape_intervall: 15s",
            3,
            "unknown key \"scrape_intervall\" in scrape_configs",
            "the nearest key is \"scrape_interval\"",
        ),
        (
            "  kubernetes_sd_configs: []",
            3,
            "scrape_configs.kubernetes_sd_configs is not supported",
            "file_sd_configs or http_sd_configs",
        ),
        ("  vultr_sd_configs: []", 3, "vultr_sd_configs is not supported", "static_configs"),
        ("  oauth2: {}", 3, "oauth2 is not supported", "credentials_file"),
        ("  proxy_url: http://a", 3, "proxy_url is not supported", "directly"),
        ("  scrape_interval: 15", 3, "scrape_configs.scrape_interval is no duration: \"15\"", "15s"),
        ("  scrape_interval: 0s", 3, "scrape_interval is shorter than 100 ms", "longer"),
        ("  scrape_timeout: 2m", 3, "scrape_timeout is 2m, and scrape_interval 1m", "at most the interval"),
        ("  scheme: ftp", 3, "scheme is \"ftp\"", "http or https"),
        ("  honor_labels: maybe", 3, "honor_labels is neither true nor false", ""),
        ("  sample_limit: many", 3, "sample_limit is no whole number", "1000"),
        ("  body_size_limit: 10", 3, "body_size_limit is no size: \"10\"", "10MB"),
        ("  params: {a: b}", 3, "params.a is a text, not a list", "- "),
        ("  static_configs:\n  - targets: [http://a/]", 4, "\"http://a/\" is no address", "metrics_path"),
        ("  static_configs:\n  - target: [a]", 4, "unknown key \"target\" in static_configs", "\"targets\""),
        ("  static_configs: {targets: [a]}", 3, "static_configs is keys with values, not a list", "- "),
        ("  file_sd_configs: [{files: [targets]}]", 3, "\"targets\" names no files of targets", ".json"),
        ("  file_sd_configs: [{files: [\"*/a.json\"]}]", 3, "names no files of targets", "last part"),
        ("  file_sd_configs: [{}]", 3, "file_sd_configs names no files", "files:"),
        ("  http_sd_configs: [{url: nowhere}]", 3, "http_sd_configs.url is no address: \"nowhere\"", "http://"),
        (
            "  relabel_configs:\n  - action: replaces",
            4,
            "there is no action \"replaces\"",
            "write one of replace, keep",
        ),
        ("  relabel_configs:\n  - regex: \"(\"", 4, "relabel_configs.regex cannot be read: unclosed group", ""),
        ("  relabel_configs:\n  - source_labels: [a]", 4, "replace needs a target_label", "the label that is set"),
        ("  relabel_configs:\n  - {action: hashmod, target_label: a}", 4, "hashmod needs a modulus", "modulus: 8"),
        (
            "  relabel_configs:\n  - {action: labeldrop, regex: a, target_label: b}",
            4,
            "labeldrop takes regex alone",
            "remove",
        ),
        (
            "  relabel_configs:\n  - {action: keepequal, target_label: b, regex: a}",
            4,
            "keepequal takes neither",
            "remove",
        ),
        ("  scrape_protocols: [PrometheusProto]", 3, "PrometheusProto is not supported", "text formats"),
        ("  scrape_protocols: [Text]", 3, "there is no \"Text\"", "PrometheusText0.0.4"),
        ("  scrape_native_histograms: true", 3, "scrape_native_histograms is not supported", "remote write"),
        ("  basic_auth: {username: a}\n  bearer_token: b", 2, "more than one way to authorize", "keep one"),
        ("  authorization: {type: Basic, credentials: a}", 3, "authorization.type is basic", "basic_auth"),
        ("  authorization: {}", 3, "authorization has no credentials", "credentials_file"),
        ("  basic_auth: {password_file: none}", 3, "basic_auth.password_file cannot be read", ""),
        ("  basic_auth: {password: a, password_file: b}", 3, "at the same time", "keep one"),
        ("  tls_config: {ca_file: none.pem}", 3, "ca_file cannot be read", ""),
        ("  tls_config: {ca: nothing}", 3, "tls_config: the authority has no certificate", ""),
        ("  tls_config: {cert: a}", 3, "a certificate without its key", "cert_file and key_file"),
        ("  http_headers: {Host: {values: [a]}}", 3, "the header \"Host\" cannot be set", "remove"),
        ("  scheme: http\n  scheme: https", 4, "the key \"scheme\" is there twice", "keep one"),
        ("- job_name: a", 3, "there are two jobs named \"a\"", "job_name of its own"),
        ("- scheme: http", 3, "a job has no job_name", "job_name"),
        ("global: {scrape_interval: 1ms}", 3, "global.scrape_interval is shorter", ""),
        ("scrape_config_files: [none.yml]", 1, "the file cannot be read", ""),
        ("everything: else", 3, "unknown key \"everything\"", ""),
        ("  scheme: [", 3, "", ""),
    ] {
        let error = parse(&format!("scrape_configs:\n- job_name: a\n{text}\n")).expect_err(text);
        assert!(error.message.contains(message), "{text}: {error}");
        assert!(error.hint.contains(hint), "{text}: {error}: {}", error.hint);
        assert!(error.line == line || message.is_empty(), "{text}: {error}");
    }
}
