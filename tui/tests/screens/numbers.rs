//! The numbers of the test's server: metrics, series over time, rules, notifications. The same question has the same answer.

use std::collections::BTreeMap;

use model::wire::alerts::{Alert, AlertingRule, Notification, Notifications, RecordingRule, Rule, RuleGroup, Rules};
use model::wire::prom::{Labels, MatrixSeries, Metadata, QueryData, VectorSeries};
use model::{TimeRange, Timestamp};
use tui::effect::Names;

use super::fixture::at;

/// Every metric of the shop.
pub fn names() -> Names {
    let of = |(name, kind, unit, help): (&str, &str, &str, &str)| {
        let metadata = Metadata { kind: kind.to_owned(), help: help.to_owned(), unit: unit.to_owned() };
        (name.to_owned(), vec![metadata])
    };
    let all = [
        ("http_server_active_requests", "gauge", "{request}", "Requests in flight"),
        ("http_server_request_duration_seconds", "histogram", "s", "Duration of requests"),
        ("process_uptime_seconds", "gauge", "s", "Seconds since the start"),
        ("shop_orders_total", "counter", "{order}", "Orders by outcome"),
        ("shop_payments_total", "counter", "{payment}", "Charges by outcome"),
        ("shop_stock_level", "gauge", "{item}", "Items on the shelves"),
    ];
    Names(all.map(of).into())
}

/// A query's answer over time.
pub fn over_time(expression: &str, range: TimeRange, step_ns: i64, services: [&str; 3]) -> QueryData {
    let series = series(expression, services).into_iter().enumerate().map(|(at, labels)| {
        let moments =
            (range.start.as_nanos()..=range.end.as_nanos()).step_by(usize::try_from(step_ns).expect("a step"));
        let count = (range.end.as_nanos() - range.start.as_nanos()) / step_ns;
        // The second series was away for a while.
        let is_there = |index: &(usize, i64)| at != 1 || !(3..4).contains(&(index.0 as i64 * 10 / count.max(1)));
        let values = moments
            .enumerate()
            .filter(is_there)
            .map(|(index, nanos)| (nanos as f64 / 1e9, value(expression, at, index).to_string()));
        MatrixSeries { metric: labels, values: values.collect(), histograms: Vec::new() }
    });
    QueryData::Matrix(series.collect())
}

/// A query's answer at one moment.
pub fn instant(expression: &str, moment: Timestamp, services: [&str; 3]) -> QueryData {
    let series = series(expression, services).into_iter().enumerate().map(|(at, metric)| {
        let value = (moment.as_nanos() as f64 / 1e9, value(expression, at, 180).to_string());
        VectorSeries { metric, value: Some(value), histogram: None }
    });
    QueryData::Vector(series.collect())
}

fn value(expression: &str, series: usize, index: usize) -> f64 {
    let wave = ((index as f64 / 17.0 + series as f64).sin() + (index as f64 / 5.0).cos() * 0.2 + 1.3) / 2.5;
    let level = (series + 1) as f64;
    match expression {
        _ if expression.contains("histogram_quantile") => 0.04 * level + 0.2 * wave,
        _ if expression.contains("\"5..\"") => 0.02 * wave * level,
        _ if expression.contains("placed") => 0.91,
        _ if expression.contains("stock") => (17.0 * level).floor(),
        _ => (12.0 * level + 30.0 * wave * 1000.0).round() / 1000.0,
    }
}

fn series(expression: &str, services: [&str; 3]) -> Vec<Labels> {
    let labels = |pairs: &[(&str, &str)]| -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let by = |name: &str, values: &[&str]| values.iter().map(|value| labels(&[(name, value)])).collect::<Vec<_>>();
    let jobs = services.map(|service| format!("shop/{service}"));
    let jobs = jobs.each_ref().map(String::as_str);
    match expression {
        _ if expression.contains("by (job, http_route") => vec![
            labels(&[("job", jobs[0]), ("http_route", "/checkout"), ("http_response_status_code", "200")]),
            labels(&[("job", jobs[1]), ("http_route", "/orders/{id}"), ("http_response_status_code", "201")]),
            labels(&[("job", jobs[2]), ("http_route", "/charge"), ("http_response_status_code", "502")]),
        ],
        _ if expression.contains("by (job") => by("job", &jobs),
        _ if expression.contains("shop_outcome)") => by("shop_outcome", &["card_declined", "placed", "unavailable"]),
        _ if expression.contains("shop_item)") => by("shop_item", &["anchor", "compass", "lantern", "rope", "sextant"]),
        _ if expression.starts_with("sum(") || expression.contains("le) (") || expression.contains("min(") => {
            vec![labels(&[])]
        }
        _ if expression.starts_with('(') => vec![labels(&[])],
        _ => services.iter().map(|service| labels(&[("__name__", expression), ("job", service)])).collect(),
    }
}

/// Rules of every state.
pub fn rules(services: [&str; 3]) -> Rules {
    let query = "severity:>=error | stats count() as n by (service) | where n > 5";
    let ran = || (at(4, 0), "ok".to_owned());
    let alerting = |name: &str, state: &str, query: &str, pends: f64| AlertingRule {
        state: state.to_owned(),
        name: name.to_owned(),
        query: query.to_owned(),
        duration: pends,
        labels: [("severity".to_owned(), "page".to_owned())].into(),
        annotations: [("summary".to_owned(), "{{ $labels.service }} fails".to_owned())].into(),
        last_evaluation: ran().0,
        health: ran().1,
        evaluation_time: 0.0013,
        ..AlertingRule::default()
    };
    let firing = AlertingRule {
        range: Some(300.0),
        alerts: vec![Alert { state: "firing".to_owned(), value: "1.2e+01".to_owned(), ..Alert::default() }],
        ..alerting("PaymentErrors", "firing", query, 60.0)
    };
    let broken = AlertingRule {
        health: "err".to_owned(),
        last_error: Some("found duplicate series for the match group {job=\"shop\"} on the right side".to_owned()),
        ..alerting("ErrorBudgetBurn", "inactive", "a / on (job) b > 0.1", 300.0)
    };
    let recording = RecordingRule {
        name: "job:requests:rate5m".to_owned(),
        query: "sum by (job) (rate(http_server_request_duration_seconds_count[5m]))".to_owned(),
        last_evaluation: ran().0,
        health: ran().1,
        evaluation_time: 0.004,
        ..RecordingRule::default()
    };
    let silent = format!("absent(up{{job=\"{}\"}})", services[0]);
    let group = |name: &str, kind: &str, rules: Vec<Rule>| RuleGroup {
        name: name.to_owned(),
        file: "/etc/sextant/rules/shop.yml".to_owned(),
        kind: kind.to_owned(),
        rules,
        interval: 15.0,
        evaluation_time: 0.006,
        last_evaluation: at(4, 0),
        ..RuleGroup::default()
    };
    Rules {
        groups: vec![
            group("shop logs", "logs", vec![Rule::Alerting(firing)]),
            group(
                "shop",
                "",
                vec![
                    Rule::Recording(recording),
                    Rule::Alerting(alerting("SlowCheckout", "pending", "histogram_quantile(0.95, x) > 0.5", 120.0)),
                    Rule::Alerting(broken),
                    Rule::Alerting(alerting("ServiceSilent", "inactive", &silent, 300.0)),
                ],
            ),
        ],
        group_next_token: None,
    }
}

/// One that waits, one that was given up.
pub fn notifications() -> Notifications {
    let one = |status: &str, created: u64, attempts: u64, error: &str| Notification {
        idempotency_key: "f00d".to_owned(),
        receiver: "on-call".to_owned(),
        group_key: "{}:{alertname=\"PaymentErrors\"}".to_owned(),
        status: status.to_owned(),
        alerts: 2,
        created: at(created, 0),
        attempts,
        last_error: Some(error.to_owned()),
        ..Notification::default()
    };
    let waiting = one("firing", 40, 3, "the receiver answered 503");
    let soon = model::Timestamp::parse(&at(0, 0), Timestamp::default()).expect("a time").saturating_add(20_000_000_000);
    Notifications {
        queued: vec![Notification { next_attempt: Some(soon.to_string()), ..waiting }],
        dead: vec![one("resolved", 90_000, 28, "the receiver refuses for good: 410 Gone")],
    }
}

/// What the server counts, `asked` seconds after the start.
pub fn counters(asked: u64) -> BTreeMap<String, u64> {
    let door = "door=\"otlp_grpc\"";
    let of = |name: &str, labels: String, value: u64| (format!("{name}{{{labels}}}"), value);
    let plain = |name: &str, value: u64| (name.to_owned(), value);
    let mut all = vec![
        of(
            "sextant_ingest_refused_requests_total",
            format!("{door},signal=\"logs\",reason=\"overloaded\""),
            12 + asked / 7,
        ),
        of("sextant_ingest_rejected_items_total", format!("{door},signal=\"spans\",reason=\"bad_trace_id\""), 41),
        plain("sextant_ingest_in_flight_bytes", 18_400 + asked * 311 % 7_000),
        plain("sextant_store_queue_bytes", 2_048),
        plain("sextant_wal_records_total", 8_120 + asked * 9),
        plain("sextant_wal_commits_total", 7_900 + asked * 8),
        plain("sextant_wal_bytes_total", 610_000_000 + asked * 96_000),
        plain("sextant_flush_parts_total", 9),
        plain("sextant_flush_bytes_total", 131_000_000 + asked / 5 * 200_000),
        plain("sextant_store_series_collisions_total", 0),
    ];
    for (signal, rate) in [("logs", 1_200), ("spans", 640), ("metrics", 210)] {
        let labels = format!("{door},signal=\"{signal}\"");
        all.push(of("sextant_ingest_accepted_items_total", labels.clone(), 900_000 + rate * asked + sway(asked)));
        all.push(of("sextant_ingest_requests_total", labels.clone(), 4_000 + asked));
        all.push(of("sextant_ingest_bytes_total", labels, 88_000_000 + rate * asked * 150));
    }
    for (kind, rate) in [("logs", 9_000), ("spans", 2_100), ("trace", 60)] {
        all.push(of("sextant_query_scanned_rows_total", format!("kind=\"{kind}\""), rate * asked));
    }
    all.into_iter().collect()
}

// Something that grows now faster, now slower.
fn sway(asked: u64) -> u64 {
    ((asked as f64 / 40.0 + (asked as f64 / 40.0).sin()) * 9_000.0) as u64
}
