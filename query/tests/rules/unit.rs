//! Unit tests of rules: the verdicts on files in promtool's format, and promtool's own on the same files where it is installed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use model::{Clock, ManualClock, Timestamp};
use query::rules::unit::{self, Verdict};

use crate::promtool::{cases, promtool};

fn verdict(path: &Path) -> Verdict {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp::default()));
    unit::run(path, &clock)
}

fn text(verdict: &Verdict) -> String {
    verdict.failures.iter().map(|failure| format!("{failure}\n")).collect()
}

// What promtool says of a file: whether all is well, and its complaints.
fn verdict_of_promtool(promtool: &Path, path: &Path) -> (bool, String) {
    let run = Command::new(promtool).args(["test", "rules"]).arg(path).output().expect("promtool runs");
    let said = String::from_utf8_lossy(&run.stderr).into_owned();
    let failures = said.split_once("  FAILED:\n").map_or("", |(_, failures)| failures);
    (run.status.success(), failures.to_owned())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder can be read");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "yml")).collect();
    files.sort();
    files
}

#[test]
fn verdicts_of_own_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules/unit");
    let promtool = promtool();
    let mut seen = 0;
    for path in files(&folder) {
        let ours = verdict(&path);
        // What is not there has nothing to complain about.
        let expected = std::fs::read_to_string(path.with_extension("expected")).unwrap_or_default();
        assert_eq!(text(&ours), expected, "{}", path.display());
        if let Some(promtool) = &promtool {
            let (success, failures) = verdict_of_promtool(promtool, &path);
            assert_eq!((success, failures), (ours.is_success(), expected), "promtool on {}", path.display());
        }
        seen += 1;
    }
    assert!(seen >= 5);
}

/// Log records and spans, which promtool does not have.
#[test]
fn verdicts_on_rules_that_count() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules/unit/records");
    for (name, tests) in [("passes.yml", 3), ("fails.yml", 3)] {
        let verdict = verdict(&folder.join(name));
        let expected = std::fs::read_to_string(folder.join(name).with_extension("expected")).unwrap_or_default();
        assert_eq!(text(&verdict), expected, "{name}");
        assert_eq!((verdict.tests, verdict.warnings), (tests, Vec::new()), "{name}");
    }
}

/// Files of Prometheus's own: the verdict has to be the same. Those for which the installed promtool is too old are told.
#[test]
fn verdicts_of_prometheus_cases() {
    let Some(folder) = cases("promtool") else {
        println!("skipped: no cases");
        return;
    };
    let promtool = promtool();
    let (mut same, mut lacking) = (0, Vec::new());
    for path in files(&folder) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if std::fs::read_to_string(&path).expect("it can be read").lines().all(|line| !line.starts_with("tests:")) {
            continue;
        }
        let ours = verdict(&path);
        println!("{name}: {}", if ours.is_success() { "SUCCESS" } else { "FAILED" });
        // What this version lacks says nothing about the rest, and that has to be right.
        let (unsupported, wrong): (Vec<_>, Vec<_>) = ours.failures.iter().partition(|failure| failure.is_unsupported());
        if !unsupported.is_empty() {
            assert!(wrong.is_empty(), "{name}: {wrong:?}");
            let unsupported: Vec<String> = unsupported.iter().map(ToString::to_string).collect();
            lacking.push(format!("{name}: {}", unsupported.join("; ")));
            continue;
        }
        let Some(promtool) = &promtool else { continue };
        let (success, failures) = verdict_of_promtool(promtool, &path);
        if failures.contains("not found in type") {
            lacking.push(format!("{name}: newer than the installed promtool"));
            continue;
        }
        assert_eq!(ours.is_success(), success, "{name}: ours\n{}theirs\n{failures}", text(&ours));
        same += 1;
    }
    println!("verdicts as promtool's: {same}; not compared: {lacking:?}");
}

#[test]
fn mistakes_in_test_files_are_named_with_their_place() {
    let folder = tempfile::tempdir().expect("a folder");
    for (text, expected) in [
        ("rule_file: []", "1:1: unknown key \"rule_file\" in a test file"),
        ("tests:\n- intervall: 1m", "2:3: unknown key \"intervall\" in a test"),
        (
            "tests:\n- alert_rule_test:\n  - {eval_time: 1m}",
            "3:5: an item under alert_rule_test misses required attribute alertname at eval_time 1m",
        ),
        ("evaluation_interval: 1x", "1:22: evaluation_interval: not a valid duration string: \"1x\""),
        (
            "tests:\n- promql_expr_test:\n  - {expr: up, exp_samples: [{value: one}]}",
            "3:38: value has to be a number, not \"one\"",
        ),
        ("fuzzy_compare: maybe", "1:16: fuzzy_compare has to be true or false, not \"maybe\""),
        ("tests:\n- start_timestamp: soon", "2:20: cannot read the start_timestamp \"soon\""),
        (
            "tests:\n- input_logs:\n  - {severity: bad}",
            "3:16: severity has to be trace, debug, info, warn, error or fatal, not \"bad\"",
        ),
        ("tests:\n- input_logs: [{name: a}]", "2:17: unknown key \"name\" in an entry of input_logs"),
        ("tests:\n- input_spans: [{body: a}]", "2:18: unknown key \"body\" in an entry of input_spans"),
        (
            "tests:\n- input_spans: [{trace_id: 0000}]",
            "2:28: trace_id has to be 32 hexadecimal digits that are not all 0, not \"0000\"",
        ),
        ("tests:\n- input_spans: [{status: good}]", "2:26: status has to be unset, ok or error, not \"good\""),
        ("tests:\n- input_logs: [{count: 1000000}]", "2:24: count is larger than 500000"),
        ("tests:\n- input_logs: [{attributes: [a]}]", "2:29: attributes has to be a map of names and texts"),
        ("tests: [", "1:8: "),
    ] {
        let path = folder.path().join("test.yml");
        std::fs::write(&path, text).expect("written");
        let verdict = verdict(&path);
        let said = verdict.failures.first().map(ToString::to_string).unwrap_or_default();
        let said = said.strip_prefix(&format!("{}:", path.display())).unwrap_or(&said);
        assert!(said.starts_with(expected), "{text}: {said}");
    }
}

/// What promtool has since its version 3: a start, and values that may differ in their last bit.
#[test]
fn newer_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let test = |fuzzy: bool| {
        format!(
            "fuzzy_compare: {fuzzy}\ntests:\n- start_timestamp: 2026-01-02T03:04:05Z\n  input_series:\n  - {{series: m, values: '0.1 0.3'}}\n  promql_expr_test:\n  - {{expr: timestamp(m), eval_time: 1m, exp_samples: [{{value: 1767323105}}]}}\n  - {{expr: 'sum(m)', eval_time: 1m, exp_samples: [{{value: 0.30000000000000004}}]}}\n"
        )
    };
    let path = folder.path().join("test.yml");
    std::fs::write(&path, test(true)).expect("written");
    assert_eq!(text(&verdict(&path)), "");
    std::fs::write(&path, test(false)).expect("written");
    let expected = "    expr: \"sum(m)\", time: 1m,\n        exp: {} 3.0000000000000004E-01\n        got: {} 3E-01\n";
    assert_eq!(text(&verdict(&path)), expected);
}

#[test]
fn missing_files_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("test.yml");
    std::fs::write(&path, "rule_files: [none*.yml]").expect("written");
    let none = verdict(&path);
    assert!(none.is_success() && none.warnings[0].starts_with("no file match pattern "), "{:?}", none.warnings);
    let absent = text(&verdict(&folder.path().join("absent.yml")));
    assert!(absent.contains("absent.yml:1:1: cannot read the file: "), "{absent}");
}
