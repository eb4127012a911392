//! Kill -9 and start again: the short form of the campaign R01, with the binary cargo has built for the tests.

use std::path::Path;

use crate::harness::BINARY;

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    let seed = fastrand::u64(..);
    let report = campaign::r01::run(Path::new(BINARY), 3, seed, |_| {}).await.expect("trials");
    assert_eq!(report.failures, 0, "{}", report.to_table());
    assert!(report.acknowledged > 0, "nothing was acknowledged: {}", report.to_table());
}
