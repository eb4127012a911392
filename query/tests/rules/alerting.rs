//! The state machine of alerts, as scripts: what holds at which second, and what comes of it.

use std::collections::BTreeMap;

use model::Labels;
use query::rules::alerting::{AlertState, Alerts, Step, Timing, Wanted, step, withdraw};

fn wanted(name: &str) -> Wanted {
    let labels = Labels::new([("alertname", "A"), ("job", name)]);
    Wanted { labels, annotations: BTreeMap::new(), value: 1.0, samples: Vec::new() }
}

// `a:firing b:pending | +a:firing | >a`: the alerts, the transitions, and what is told.
fn show(step: &Step) -> String {
    let name = |labels: &Labels| labels.get("job").unwrap_or_default().to_owned();
    let mut words: Vec<String> =
        step.alerts.values().map(|alert| format!("{}:{}", name(&alert.labels), alert.state.as_str())).collect();
    words.extend(step.transitions.iter().map(|t| format!("+{}:{}", name(&t.alert.labels), t.to.as_str())));
    words.extend(step.send.iter().map(|alert| format!(">{}", name(&alert.labels))));
    words.join(" ")
}

// A script's lines are `SECOND NAMES => EXPECTED`.
fn run(timing: Timing, script: &str) -> Alerts {
    let mut alerts = Alerts::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (input, expected) = line.split_once("=>").expect("a line has =>");
        let mut words = input.split_whitespace();
        let second: i64 = words.next().and_then(|word| word.parse().ok()).expect("a line begins with a second");
        let now = step(&timing, &alerts, words.map(wanted).collect(), second * 1000).expect("no two are equal");
        assert_eq!(show(&now), expected.trim(), "{line}");
        alerts = now.alerts;
    }
    alerts
}

#[test]
fn without_for_an_alert_fires_at_once_and_is_told_again_after_a_minute() {
    run(
        Timing::default(),
        "0  a   => a:firing +a:firing >a
         30 a b => a:firing b:firing +b:firing >b
         60 a b => a:firing b:firing
         61 a b => a:firing b:firing >a
         90 b   => a:resolved b:firing +a:resolved >a
         91 b   => a:resolved b:firing >b
         151    => a:resolved b:resolved +b:resolved >a >b
         990    => a:resolved b:resolved >a >b
         991    => b:resolved
         1052   => ",
    );
}

#[test]
fn for_is_counted_from_the_first_time_the_condition_holds() {
    let alerts = run(
        Timing { for_ms: 60_000, ..Timing::default() },
        "0  a => a:pending +a:pending
         30   => +a:resolved
         60 a => a:pending +a:pending
         90 a => a:pending
        120 a => a:firing +a:firing >a",
    );
    let alert = alerts.values().next().expect("it fires");
    assert_eq!((alert.active_at, alert.fired_at), (60_000, Some(120_000)));
}

#[test]
fn keep_firing_for_is_counted_from_the_last_time_it_held() {
    run(
        Timing { keep_firing_for_ms: 60_000, ..Timing::default() },
        "0  a => a:firing +a:firing >a
         30   => a:firing
         60 a => a:firing
         90   => a:firing >a
        120   => a:firing
        149   => a:firing
        150   => a:resolved +a:resolved >a",
    );
}

#[test]
fn an_alert_that_comes_back_is_a_new_one() {
    run(
        Timing { for_ms: 10_000, ..Timing::default() },
        "0  a => a:pending +a:pending
         10 a => a:firing +a:firing >a
         20   => a:resolved +a:resolved >a
         30 a => a:pending +a:pending
         40 a => a:firing +a:firing >a",
    );
}

#[test]
fn too_many_alerts_are_all_withdrawn() {
    let timing = Timing { limit: 1, ..Timing::default() };
    let alerts = run(timing, "0 a => a:firing +a:firing >a");
    let now = step(&timing, &alerts, vec![wanted("a"), wanted("b")], 1000).expect("no two are equal");
    assert_eq!(now.error.as_deref(), Some("exceeded limit of 1 with 2 alerts"));
    assert_eq!(show(&now), "+a:resolved >a");
    assert!(now.series.is_empty());
    assert_eq!(now.send[0].resolved_at, Some(1000));
}

#[test]
fn two_elements_with_one_label_set_are_an_error() {
    let error = step(&Timing::default(), &Alerts::new(), vec![wanted("a"), wanted("a")], 0).expect_err("equal");
    assert_eq!(error, "vector contains metrics with the same labelset after applying alert labels");
}

#[test]
fn alerts_are_series_too() {
    let timing = Timing { for_ms: 60_000, ..Timing::default() };
    let first = step(&timing, &Alerts::new(), vec![wanted("a")], 5_500).expect("it is right");
    let shown = |step: &Step| step.series.iter().map(|(l, v)| format!("{l} {v}")).collect::<Vec<_>>();
    assert_eq!(
        shown(&first),
        [
            "{__name__=\"ALERTS\", alertname=\"A\", alertstate=\"pending\", job=\"a\"} 1",
            "{__name__=\"ALERTS_FOR_STATE\", alertname=\"A\", job=\"a\"} 5"
        ]
    );
    let second = step(&timing, &first.alerts, vec![wanted("a")], 65_500).expect("it is right");
    assert!(shown(&second)[0].contains("alertstate=\"firing\""));
    let third = step(&timing, &second.alerts, Vec::new(), 66_000).expect("it is right");
    assert!(third.series.is_empty());
}

#[test]
fn a_rule_that_goes_takes_its_alerts_along() {
    let timing = Timing { for_ms: 10_000, ..Timing::default() };
    let alerts = run(
        timing,
        "0  a   => a:pending +a:pending
         10 a b => a:firing b:pending +a:firing +b:pending >a",
    );
    let gone = withdraw(&alerts, 20_000);
    assert_eq!(show(&gone), "+a:resolved +b:resolved >a");
    let from: Vec<_> = gone.transitions.iter().map(|transition| transition.from).collect();
    assert_eq!(from, [Some(AlertState::Firing), Some(AlertState::Pending)]);
}
