//! Bounds on one test file, each with its reason. Tests are people's own, so these guard against slips, not against attackers.

/// Evaluations of one test: its last `eval_time` divided by `evaluation_interval`. A year by the minute is 525,600 and takes
/// minutes; a time with one zero too many would take hours.
pub const EVALUATIONS_MAX: i64 = 1_000_000;

/// Seconds that one query of a test may take.
pub const QUERY_SECONDS_MAX: u64 = 60;
