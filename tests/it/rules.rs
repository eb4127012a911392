<<<<<<< HEAD
//! Rules in the real server: evaluated, kept over a kill, read again on SIGHUP, and refused at the start if they are wrong.

use std::time::Duration;

use campaign::binary::Server;
use serde_json::Value;
use tui::client::Params;

use crate::harness::{Place, until};

const CONFIG: &str = "log = \"warn\"\n[rules]\nfiles = [\"*.yml\"]\nevaluation_interval_s = 1\n";
const RULES: &str = "groups:
- name: g
  rules:
  - record: job:answer
    expr: vector(42)
  - alert: Always
    expr: vector(1)
    for: 1s
    annotations: {summary: 'it is {{ $value }}'}
";
const PATIENCE: Duration = Duration::from_secs(60);

async fn get(server: &Server, path: &str) -> Value {
    let answer = server.client().fetch(path, &Params::new()).await.expect("an answer");
    assert_eq!(answer.status, 200);
    serde_json::from_slice(&answer.body).expect("JSON")
}

// The alert once it fires.
async fn firing(server: &Server) -> Value {
    until("firing alert", PATIENCE, async || {
        let answer = get(server, "/api/v1/alerts").await;
        let alert = answer["data"]["alerts"][0].clone();
        (alert["state"] == "firing").then_some(alert)
    })
    .await
}

#[tokio::test]
async fn alerts_fire_outlive_a_kill_and_follow_their_file() {
    let place = Place::configured(CONFIG);
    std::fs::write(place.path().join("rules.yml"), RULES).expect("written");
    let mut server = place.serve().await;
    let before = firing(&server).await;
    assert_eq!(before["annotations"]["summary"], "it is 1");
    server.kill().await.expect("killed");

    let mut server = place.serve().await;
    let after = get(&server, "/api/v1/alerts").await["data"]["alerts"][0].clone();
    for key in ["state", "activeAt", "firedAt", "fingerprint"] {
        assert_eq!(after[key], before[key], "{key} after kill -9");
    }
    let url = server.url("http");
    let recorded = place.run(&["metrics", "query", "job:answer", "--url", &url]).succeeded();
    assert!(recorded.contains("42"), "{recorded}");
    let history = place.run(&["logs", "service:=sextant event_name:=alert.firing", "--url", &url]).succeeded();
    assert!(history.contains("Always firing: it is 1"), "{history}");

    std::fs::write(place.path().join("rules.yml"), RULES.replace("Always", "Renamed")).expect("written");
    server.hang_up().await.expect("a signal");
    until("the renamed rule", PATIENCE, async || {
        let answer = get(&server, "/api/v1/rules?type=alert").await;
        (answer["data"]["groups"][0]["rules"][0]["name"] == "Renamed").then_some(())
    })
    .await;
    std::fs::write(place.path().join("rules.yml"), "groups: [").expect("written");
    server.hang_up().await.expect("a signal");
    let warning = until("a warning", PATIENCE, async || {
        let answer = get(&server, "/api/v1/rules").await;
        assert_eq!(answer["data"]["groups"][0]["rules"][1]["name"], "Renamed");
        answer["warnings"][0].as_str().map(str::to_owned)
    })
    .await;
    assert!(warning.contains("rules.yml:1:"), "{warning}");
    assert!(server.stop(PATIENCE).await.expect("it stops").success());

    let refused = place.run(&["serve", "--otlp-grpc", "off", "--otlp-http", "off", "--http", "127.0.0.1:0"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.starts_with("error: the rule files have mistakes: rules.yml:1:"), "{}", refused.stderr);
=======
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
        "error: bad.yml:4:30: group \"g\", rule 1, \"\": unknown key \"forr\" in a rule\n  hint: did you mean \"for\"?\n",
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
>>>>>>> template
}
