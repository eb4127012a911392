//! Templates against Prometheus: `templates.jsonl` holds what `promtool` made of each. Where promtool is installed it is asked
//! again, so that nothing in that file is invented.
//!
//! A line has the template, the labels and the value of the alert, and either `out`, the annotation, or `refused`, the parser's
//! complaint. The alert's name stands as `X` in complaints.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use model::wire::alerts::AlertSample;
use model::{Labels, ManualClock, Timestamp};
use query::admission::Cancel;
use query::promql::{self, Budget, Element, MemorySource, Options, Value};
use query::rules::template::{self, Data, Query, Template, TemplateError};
use serde::Deserialize;

use crate::promtool::promtool;

const CASES: &str = include_str!("templates.jsonl");

/// Series that every case may query.
const OTHERS: [(&str, &str); 2] =
    [(r#"other{instance="a:9090",job="x"}"#, "1500"), (r#"other{instance="b:9090",job="y"}"#, "2.5")];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    template: String,
    value: String,
    labels: BTreeMap<String, String>,
    out: Option<String>,
    refused: Option<String>,
}

fn cases() -> Vec<Case> {
    let read = |line| serde_json::from_str(line).expect("a line is a case");
    CASES.lines().map(read).collect()
}

struct Others(MemorySource);

impl Others {
    fn new() -> Self {
        let mut source = MemorySource::new();
        for (series, values) in OTHERS {
            source.load(series, values, 0, 60_000).expect("a series");
        }
        Self(source)
    }
}

fn options() -> Options {
    let clock = Arc::new(ManualClock::new(Timestamp::default()));
    Options::new(Budget::new(promql::limits::SAMPLES_MAX, Duration::from_secs(60), clock, Cancel::default()))
}

impl Query for Others {
    fn query(&self, expr: &str, at_ms: i64) -> Result<Vec<(Labels, f64)>, String> {
        let options = options();
        let answer = promql::instant(&self.0, expr, at_ms, &options).map_err(|error| error.to_string())?;
        match answer.value {
            Value::Vector(points) => Ok(points
                .into_iter()
                .filter_map(|(labels, point)| match point.element {
                    Element::Number(value) => Some((labels, value)),
                    Element::Histogram(_) => None,
                })
                .collect()),
            Value::Scalar(sample) => Ok(vec![(Labels::empty(), sample.value)]),
            _ => Err("rule result is not a vector or scalar".to_owned()),
        }
    }
}

fn expand(name: &str, text: &str, labels: &BTreeMap<String, String>, value: f64) -> Result<String, TemplateError> {
    let external = BTreeMap::from([("region".to_owned(), "eu".to_owned()), ("zone".to_owned(), "1".to_owned())]);
    let samples = [
        AlertSample {
            timestamp: "2026-01-02T03:04:05Z".to_owned(),
            text: "card declined".to_owned(),
            trace_id: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
            ..AlertSample::default()
        },
        AlertSample { text: "timeout".to_owned(), ..AlertSample::default() },
    ];
    let data = Data {
        labels,
        external_labels: &external,
        external_url: "http://prom.example/base",
        value,
        at_ms: 0,
        samples: &samples,
        trace_url: "http://s/trace",
        logs_url: "http://s/logs",
    };
    Template::parse(name, text)?.expand(&data, &Others::new())
}

#[test]
fn templates_give_what_prometheus_gives() {
    let mut wrong = Vec::new();
    let cases = cases();
    for case in &cases {
        let value = promql::notation::number(&case.value).expect("a number");
        let ours = match expand("__alert_X", &case.template, &case.labels, value) {
            Ok(text) => text,
            Err(error @ TemplateError::Execute { .. }) => format!("<error expanding template: {error}>"),
            Err(TemplateError::Parse { message, .. }) => format!("refused: {message}"),
        };
        let theirs = match (&case.out, &case.refused) {
            (Some(out), None) => out.clone(),
            (None, Some(refused)) => format!("refused: {refused}"),
            _ => panic!("{:?} has to have either out or refused", case.template),
        };
        if ours != theirs {
            wrong.push(format!("{:?} of {}\n  theirs: {theirs:?}\n  ours:   {ours:?}", case.template, case.value));
        }
    }
    println!("templates: {} of {} as Prometheus expands them", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(cases.len() >= 300);
}

#[test]
fn promtool_agrees_with_the_recorded_cases() {
    let Some(promtool) = promtool() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let cases: Vec<(usize, Case)> = cases().into_iter().enumerate().collect();
    let refused: Vec<&(usize, Case)> = cases.iter().filter(|(_, case)| case.refused.is_some()).collect();
    let expanded: Vec<&(usize, Case)> = cases.iter().filter(|(_, case)| case.out.is_some()).collect();
    let said = refusals(&promtool, directory.path(), &refused);
    for (number, case) in &refused {
        let expected = named(case.refused.as_deref().unwrap_or_default(), *number);
        assert!(said.contains(&expected), "{:?}: {expected:?} is not in\n{said}", case.template);
    }
    let (success, said) = unit_test(&promtool, directory.path(), &expanded);
    assert!(success, "promtool disagrees:\n{said}");
    println!("promtool agrees: {} expanded, {} refused", expanded.len(), refused.len());
}

// Complaints name the alert.
fn named(text: &str, number: usize) -> String {
    text.replace("__alert_X", &format!("__alert_case{number}"))
}

fn write_rules(path: &Path, cases: &[&(usize, Case)]) {
    let rule = |(number, case): &&(usize, Case)| {
        serde_json::json!({
            "alert": format!("case{number}"),
            "expr": format!("sum without (case) (m{{case=\"{number}\"}})"),
            "annotations": {"out": case.template},
        })
    };
    let rules: Vec<_> = cases.iter().map(rule).collect();
    // JSON is YAML.
    let text = serde_json::json!({"groups": [{"name": "g", "rules": rules}]}).to_string();
    std::fs::write(path, text).expect("a file is written");
}

fn refusals(promtool: &Path, directory: &Path, cases: &[&(usize, Case)]) -> String {
    let file = directory.join("refused.yml");
    write_rules(&file, cases);
    let run = Command::new(promtool).args(["check", "rules"]).arg(&file).output().expect("promtool runs");
    String::from_utf8_lossy(&run.stderr).into_owned() + &String::from_utf8_lossy(&run.stdout)
}

fn unit_test(promtool: &Path, directory: &Path, cases: &[&(usize, Case)]) -> (bool, String) {
    write_rules(&directory.join("rules.yml"), cases);
    let series = cases.iter().map(|(number, case)| {
        let labels = case.labels.iter().map(|(name, value)| format!(",{name}={value:?}")).collect::<String>();
        serde_json::json!({"series": format!("m{{case=\"{number}\"{labels}}}"), "values": case.value})
    });
    let others = OTHERS.iter().map(|(series, values)| serde_json::json!({"series": series, "values": values}));
    let series: Vec<_> = series.chain(others).collect();
    let test = |(number, case): &&(usize, Case)| {
        let out = named(case.out.as_deref().unwrap_or_default(), *number);
        serde_json::json!({
            "eval_time": "0m",
            "alertname": format!("case{number}"),
            "exp_alerts": [{"exp_labels": case.labels, "exp_annotations": {"out": out}}],
        })
    };
    let tests: Vec<_> = cases.iter().map(test).collect();
    let text = serde_json::json!({
        "rule_files": ["rules.yml"],
        "tests": [{
            "interval": "1m",
            "input_series": series,
            "alert_rule_test": tests,
            "external_labels": {"region": "eu", "zone": "1"},
            "external_url": "http://prom.example/base",
        }],
    });
    let file = directory.join("test.yml");
    std::fs::write(&file, text.to_string()).expect("a file is written");
    let run = Command::new(promtool).args(["test", "rules"]).arg(&file).output().expect("promtool runs");
    (run.status.success(), String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr))
}

/// What promtool cannot show: Sextant's variables, functions newer than the promtool of distributions, and those that need a
/// server.
#[test]
fn own_variables_and_newer_functions() {
    let none = BTreeMap::new();
    for (text, expected) in [
        (
            "{{ range $samples }}{{ .text }} {{ .trace_id }};{{ end }}",
            "card declined 0af7651916cd43dd8448eb211c80319c;timeout ;",
        ),
        (
            "{{ len $samples }} {{ (index $samples 0).time }} {{ (index $samples 1).service }}|",
            "2 2026-01-02T03:04:05Z |",
        ),
        ("{{ $traceURL }} {{ $logsURL }}", "http://s/trace http://s/logs"),
        ("{{ externalURL }} {{ pathPrefix }}", "http://prom.example/base /base"),
        ("{{ now }} {{ (now | toTime).Year }}", "0 1970"),
        ("{{ toDuration 90.5 }} {{ (toDuration 7200).Hours }} {{ toDuration \"0.0015\" }}", "1m30.5s 2 1.5ms"),
        ("{{ ((toTime 100).Add (toDuration 60)).Unix }} {{ (toTime 100).Sub (toTime 40) }}", "160 1m0s"),
        ("{{ urlQueryEscape \"a b&c\" }}", "a+b%26c"),
        ("{{ with \"\" }}a{{ else with \"x\" }}{{ . }}{{ else }}c{{ end }}", "x"),
        ("{{ range 3 }}{{ . }}{{ end }}{{ range $i := 2 }}{{ $i }}{{ end }}", "01201"),
        ("{{ toUpper \"ß\" }} {{ toLower \"İ\" }}", "ß i"),
    ] {
        assert_eq!(expand("t", text, &none, 1.0).as_deref(), Ok(expected), "{text}");
    }
}

/// Nothing that a template can say takes the server's memory, stack or time; on a stack as small as those it runs on.
#[test]
fn hostile_templates_end() {
    let deep = template::limits::DEPTH_MAX;
    let many: BTreeMap<String, String> = (0..100).map(|n| (format!("l{n}"), "x".repeat(100))).collect();
    let nested = "{{ range $labels }}".repeat(5) + "x" + &"{{ end }}".repeat(5);
    let hostile = [
        ("{{ define \"a\" }}{{ template \"a\" . }}{{ end }}{{ template \"a\" . }}".to_owned(), "template depth"),
        (nested, "steps"),
        ("{{ printf \"%9999999d\" 1 }}".to_owned(), "bytes"),
        (
            "{{ $x := \"aaaaaaaa\" }}{{ range $labels }}{{ $x = print $x $x }}{{ end }}{{ $x }}".to_owned(),
            "bytes",
        ),
        (
            "{{ $x := args 1 }}{{ range $labels }}{{ $x = args $x $x }}{{ end }}{{ $x = args $x $x }}{{ $x }}".to_owned(),
            "deep",
        ),
        (
            "{{ $x := args 1 }}{{ range $i, $e := $labels }}{{ if ne $i \"l1\" }}{{ $x = args $x $x }}{{ end }}{{ end }}{{ print $x }}".to_owned(),
            "bytes",
        ),
        ("{{ range $labels }}{{ range $labels }}{{ query \"other\" }}{{ end }}{{ end }}".to_owned(), "queries"),
        ("{{ range $labels }}{{ range $labels }}{{ match \"(a{10}){10}\" . }}{{ end }}{{ end }}".to_owned(), "steps"),
        ("{{ match \"((a{100}){100}){100}\" \"a\" }}".to_owned(), "too large"),
        (format!("{}1{}", "{{".to_owned() + &"(".repeat(100_000), ")".repeat(100_000) + "}}"), "deep"),
        (format!("{}{}", "{{ if 1 }}".repeat(10_000), "{{ end }}".repeat(10_000)), "deep"),
        (format!("{{{{ if 1 }}}}{}{{{{ end }}}}", "{{ else if 1 }}".repeat(10_000)), "deep"),
        ("x".repeat(template::limits::TEXT_BYTES_MAX + 1), "bytes"),
    ];
    let work = move || {
        for (text, reason) in hostile {
            let beginning: String = text.chars().take(80).collect();
            match expand("t", &text, &many, 1.0) {
                Err(error) => assert!(error.to_string().contains(reason), "{beginning}: {error}"),
                Ok(text) => panic!("{beginning} gave {} bytes", text.len()),
            }
        }
        // As deep as is allowed, in each direction.
        let parentheses = deep - 1;
        for text in [
            format!("{{{{ {}1{} }}}}", "(".repeat(parentheses), ")".repeat(parentheses)),
            format!("{}x{}", "{{ if 1 }}".repeat(deep - 1), "{{ end }}".repeat(deep - 1)),
            format!(
                "{{{{ define \"a\" }}}}{{{{ if . }}}}{{{{ template \"a\" (slice . 1) }}}}{{{{ end }}}}{{{{ end }}}}{{{{ template \"a\" {:?} }}}}",
                "x".repeat(deep / 2 - 2)
            ),
        ] {
            let expanded = expand("t", &text, &many, 1.0);
            assert!(expanded.is_ok(), "{text}: {expanded:?}");
        }
    };
    let thread = std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(work).expect("a thread");
    thread.join().expect("no template fails or overflows");
}

#[test]
fn broken_templates_never_panic() {
    let text = "{{ if gt $value 1.5e3 -}} x {{- printf \"%5.2f|%[1]*d\" $value | toUpper }}{{ range $i, $l := .Labels }}{{ $l.x }}{{ end }}{{ (query `up`) }}é{{/* c */}}{{ end }}";
    let labels = BTreeMap::from([("é".to_owned(), "ü".to_owned())]);
    for (at, _) in text.char_indices() {
        let _ = expand("t", &text[..at], &labels, 1.0);
        let _ = expand("t", &text[at..], &labels, 1.0);
        let _ = expand("t", &format!("{{{{{}", &text[at..]), &labels, 1.0);
        let mut without = text.to_owned();
        without.remove(at);
        let _ = expand("t", &without, &labels, 1.0);
    }
}
