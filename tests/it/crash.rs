//! The short forms of the campaigns, with the binary cargo has built for the tests.

use std::path::Path;
use std::time::Duration;

use crate::harness::BINARY;

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let seed = fastrand::u64(..);
    let report = campaign::r01::run(Path::new(BINARY), 3, seed, |_| {}).await.expect("trials");
    assert_eq!(report.failures, 0, "{}", report.to_table());
    assert!(report.acknowledged > 0, "nothing was acknowledged: {}", report.to_table());
}

#[tokio::test]
async fn alerts_and_their_clocks_survive_kill_9() {
    let report = campaign::a01::run(Path::new(BINARY), 2, fastrand::u64(..), |_| {}).await.expect("trials");
    assert_eq!(report.failures, 0, "{}", report.to_table());
}

#[tokio::test]
async fn receivers_that_were_away_hear_every_transition() {
    let outage = Duration::from_secs(6);
    let report = campaign::r17::run(Path::new(BINARY), 1, fastrand::u64(..), outage, |_| {}).await.expect("a trial");
    assert_eq!(report.failures, 0, "{}", report.to_table());
}

#[tokio::test]
async fn slow_connections_are_closed_and_keep_nobody_waiting() {
    let seconds = Duration::from_secs(13);
    // Other tests run beside this one; the campaign itself allows twice the time.
    let plan = campaign::r11::Plan { connections: 120, seconds, records: 2_000, factor: 50 };
    let figures = campaign::r11::run(Path::new(BINARY), &plan).await.expect("a campaign");
    assert!(figures.wrong.is_empty(), "{}", figures.to_table());
}
