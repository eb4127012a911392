//! The short forms of the campaigns, with the binary cargo has built for the tests.

use std::time::Duration;

use campaign::binary::Subject;
use campaign::r07;

use crate::harness::BINARY;
use crate::python;

// Whose parts DuckDB reads as well.
fn read_by_duckdb() -> Subject {
    Subject::new(BINARY).read_by(python::interpreter())
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let seed = fastrand::u64(..);
    let report = campaign::r01::run(&read_by_duckdb(), 3, seed, |_| {}).await.expect("trials");
    assert_eq!(report.failures, 0, "{}", report.to_table());
    assert!(report.acknowledged > 0, "nothing was acknowledged: {}", report.to_table());
    assert!(report.rows_in_parts > 0, "{}", report.to_table());
}

#[tokio::test]
async fn alerts_and_their_clocks_survive_kill_9() {
    let report = campaign::a01::run(&Subject::new(BINARY), 2, fastrand::u64(..), |_| {}).await.expect("trials");
    assert_eq!(report.failures, 0, "{}", report.to_table());
}

#[tokio::test]
async fn receivers_that_were_away_hear_every_transition() {
    let outage = Duration::from_secs(6);
    let report =
        campaign::r17::run(&Subject::new(BINARY), 1, fastrand::u64(..), outage, |_| {}).await.expect("a trial");
    assert_eq!(report.failures, 0, "{}", report.to_table());
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill_at_any_place() {
    let report = campaign::r02::run(&read_by_duckdb(), 3, fastrand::u64(..), |_| {}).await.expect("trials");
    assert_eq!(report.failures, 0, "{}", report.to_table());
}

#[tokio::test]
async fn disks_that_fail_lose_nothing_and_answers_go_on() {
    for row in [r07::Row::Full, r07::Row::Failing, r07::Row::ReadOnly] {
        let report = r07::run(row, &Subject::new(BINARY), 2, fastrand::u64(..), |_| {}).await.expect("trials");
        assert_eq!(report.failures, 0, "{}", report.to_table());
    }
}

#[tokio::test]
async fn clocks_that_jump_lose_nothing() {
    if campaign::r10::library().is_none() {
        eprintln!("libfaketime is not installed: no clock jumps");
        return;
    }
    let report = campaign::r10::run(&Subject::new(BINARY), 1, fastrand::u64(..), |_| {}).await.expect("trials");
    assert_eq!(report.failures, 0, "{}", report.to_table());
}

#[tokio::test]
async fn taken_ports_are_said_and_lost_files_are_survived() {
    let report = campaign::r16::run(&Subject::new(BINARY), 2, fastrand::u64(..), |_| {}).await.expect("trials");
    assert_eq!(report.failures, 0, "{}", report.to_table());
}

#[tokio::test]
async fn a_directory_has_one_owner_and_sigterm_loses_nothing() {
    for report in [
        campaign::r18::run(&Subject::new(BINARY), 2, fastrand::u64(..), |_| {}).await.expect("trials"),
        campaign::r19::run(&Subject::new(BINARY), 2, fastrand::u64(..), |_| {}).await.expect("trials"),
    ] {
        assert_eq!(report.failures, 0, "{}", report.to_table());
    }
}

#[tokio::test]
async fn under_overload_what_is_accepted_is_what_is_stored() {
    // How fast it is, and what fits, is the machine's affair: other tests run beside this one.
    let plan = campaign::r14::Plan {
        seconds: Duration::from_secs(6),
        recovery_max: Duration::from_secs(60),
        judges_times: false,
        ..campaign::r14::Plan::default()
    };
    let figures = campaign::r14::run(&Subject::new(BINARY), &plan, fastrand::u64(..)).await.expect("a campaign");
    assert!(figures.wrong.is_empty(), "{}", figures.to_table());
}

#[tokio::test]
async fn half_of_what_can_be_taken_is_taken_on_and_on() {
    let plan = campaign::r22::Plan {
        soak: Duration::from_secs(4),
        trial: Duration::from_secs(1),
        flush_interval_s: 1,
        judges_growth: false,
    };
    let figures = campaign::r22::run(&read_by_duckdb(), &plan, fastrand::u64(1..1_000), |_| {}).await;
    let figures = figures.expect("a campaign");
    assert!(figures.wrong.is_empty(), "{}", figures.to_table());
}
