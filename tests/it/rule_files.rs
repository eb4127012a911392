//! `sextant rules`: exit codes, and what stands on stdout.

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
