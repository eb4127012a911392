//! `sextant rules`: exit codes, what stands on stdout, and the shipped rules with their unit tests.

use std::path::{Path, PathBuf};

use query::rules::file::RuleFile;
use query::rules::unit::TestFile;

use crate::harness::Place;

fn write(place: &Place, name: &str, text: &str) {
    std::fs::write(place.path().join(name), text).expect("written");
}

const GOOD: &str = "groups:\n- name: g\n  rules:\n  - {alert: Down, expr: up == 0, for: 1m}\n";

#[test]
fn rule_files_are_accepted_or_refused() {
    let place = Place::new();
    write(&place, "good.yml", GOOD);
    write(&place, "bad.yml", "groups:\n- name: g\n  rules:\n  - {alert: A, expr: 'sum(', forr: 1m}\n");
    let ran = place.run(&["rules", "check", "good.yml"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "good.yml: ok, 1 rule in 1 group\n"), "{ran:?}");
    let ran = place.run(&["rules", "check", "good.yml", "bad.yml"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for line in [
        "error: bad.yml:4:30: group \"g\", rule 1, \"A\": unknown key \"forr\" in a rule\n  hint: did you mean \"for\"?\n",
        "could not parse expression: 1:5: parse error: unclosed left parenthesis\n",
        "bad.yml: refused, 1 rule in 1 group; 2 errors\n",
        "1 of 2 files ok, 2 rules; 2 errors\n",
    ] {
        assert!(ran.stdout.contains(line), "{line} is not in\n{}", ran.stdout);
    }
    let ran = place.run(&["rules", "check", "--json", "bad.yml"]);
    let values: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    assert_eq!((values.len(), &values[2]["errors"], &values[2]["accepted"]), (3, &2.into(), &false.into()));
    let ran = place.run(&["rules", "check", "none.yml"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.starts_with("error: cannot read the rule file none.yml: No such file"), "{}", ran.stderr);
}

#[test]
fn unit_tests_have_promtools_verdicts() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("tests")).expect("a folder");
    write(&place, "good.yml", GOOD);
    let test = |expected: &str| {
        format!(
            "rule_files: [../*.yml]\ntests:\n- input_series:\n  - {{series: 'up{{job=\"a\"}}', values: '0 0 0'}}\n  alert_rule_test:\n  - {{eval_time: 1m, alertname: Down, exp_alerts: [{{exp_labels: {{job: {expected}}}}}]}}\n"
        )
    };
    write(&place, "tests/good.yml", &test("a"));
    write(&place, "tests/bad.yml", &test("b"));
    let ran = place.run(&["rules", "test", "tests/good.yml"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "Unit Testing:  tests/good.yml\n  SUCCESS\n\n"), "{ran:?}");
    let ran = place.run(&["rules", "test", "tests/good.yml", "tests/bad.yml"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("  FAILED:\n    alertname: Down, time: 1m, \n        exp:[\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("Labels:{alertname=\"Down\", job=\"b\"}"), "{}", ran.stdout);
    let ran = place.run(&["rules", "test", "--json", "tests/bad.yml"]);
    let value: serde_json::Value = serde_json::from_str(ran.stdout.trim()).expect("JSON");
    assert_eq!(value["failures"][0]["got"][0]["labels"]["job"], "a");
    let ran = place.run(&["rules", "test", "none.yml"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

fn shipped(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(&folder).expect("a folder can be read");
    let paths = entries.map(|entry| entry.expect("an entry can be read").path());
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "yml")).collect();
    files.sort();
    files
}

fn words<'a>(first: [&'a str; 2], files: &'a [PathBuf]) -> Vec<&'a str> {
    first.into_iter().chain(files.iter().map(|file| file.to_str().expect("UTF-8"))).collect()
}

#[test]
fn the_shipped_rules_are_right() {
    let place = Place::new();
    let (rules, tests) = (shipped("dashboards/rules"), shipped("dashboards/rules/tests"));
    assert!(rules.len() >= 3 && tests.len() >= 3, "{rules:?} {tests:?}");
    let ran = place.run(&words(["rules", "check"], &rules));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.stdout.contains("warning"), "{}", ran.stdout);
    let ran = place.run(&words(["rules", "test"], &tests));
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
}

/// An alert of whose firing nobody has ever seen an example may never fire.
#[test]
fn every_shipped_alert_fires_in_a_test_and_is_quiet_in_one() {
    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("it can be read");
    let tests: Vec<(PathBuf, TestFile)> = shipped("dashboards/rules/tests")
        .into_iter()
        .map(|path| {
            let file = TestFile::parse(&path.display().to_string(), &read(&path)).expect("a test file");
            (path, file)
        })
        .collect();
    let mut missing = Vec::new();
    for path in shipped("dashboards/rules") {
        let file = RuleFile::parse(&path.display().to_string(), &read(&path)).expect("a rule file");
        let here = path.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        // By name: no shipped test file uses patterns.
        let about = tests.iter().filter(|(_, test)| test.rule_files.iter().any(|named| *named == format!("../{here}")));
        let about: Vec<_> = about.flat_map(|(_, file)| &file.tests).flat_map(|test| &test.alert_rule_tests).collect();
        let alerts = file.groups.iter().flat_map(|group| &group.rules).filter(|rule| rule.alert().is_some());
        for alert in alerts {
            let mut of_alert = about.iter().filter(|test| test.alertname == alert.name);
            let fires = of_alert.clone().any(|test| !test.exp_alerts.is_empty());
            let is_quiet = of_alert.any(|test| test.exp_alerts.is_empty());
            if !fires || !is_quiet {
                missing.push(format!("{here}: {}: fires {fires}, is quiet {is_quiet}", alert.name));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}
