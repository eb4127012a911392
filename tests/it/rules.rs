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
}
