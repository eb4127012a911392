//! Bounds on one test file, each with its reason. Tests are people's own, so these guard against slips, not against attackers.

/// Evaluations of one test: its last `eval_time` divided by `evaluation_interval`. A year by the minute is 525,600 and takes
/// minutes; a time with one zero too many would take hours.
pub const EVALUATIONS_MAX: i64 = 1_000_000;

/// Seconds that one query of a test may take.
pub const QUERY_SECONDS_MAX: u64 = 60;

/// Log records and spans of one test, which are kept in memory. A count with two zeros too many would fill it.
pub const RECORDS_MAX: usize = 500_000;

/// Records that are appended at once: far below what the store's queue takes.
pub const BATCH_RECORDS: usize = 10_000;
