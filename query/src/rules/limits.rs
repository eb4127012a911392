//! Every bound of the rules, with its reason and what breaks if it is raised.

use model::yaml::Bounds;

/// Bytes of one rule file. The largest of known collections have a few hundred KiB; raised, a file that is no rule file at all
/// fills memory with nodes.
pub const FILE_BYTES_MAX: usize = 8 << 20;

/// Of a rule file: it needs six levels, and some ten thousand rules have half a million nodes.
pub const FILE_BOUNDS: Bounds = Bounds { bytes: FILE_BYTES_MAX, depth: 32, nodes: 500_000 };

/// Mistakes of one file that are told. Behind a hundred there is one mistake that was made a hundred times.
pub const FILE_ERRORS_MAX: usize = 100;

/// Milliseconds for which a resolved alert is kept and told again: Prometheus's 15 minutes. Raised, alerts that are long over
/// fill memory and state; lowered, a condition that flaps looks like new alerts to a receiver that missed one message.
pub const RESOLVED_RETENTION_MS: i64 = 15 * 60 * 1000;

/// Milliseconds after which an alert is told again although nothing changed: Prometheus's minute. Raised, annotations in
/// repeated notifications are older; lowered, each evaluation writes state.
pub const RESEND_DELAY_MS: i64 = 60 * 1000;

/// Records that an alert of a log or trace rule carries. A receiver shows a few; all of them are a search away.
pub const ALERT_SAMPLES_MAX: usize = 3;

/// Alerts of one rule whose records are looked up in one evaluation, each with a search of its own. Behind twenty alerts of one
/// rule there is one cause.
pub const SAMPLED_ALERTS_MAX: usize = 20;

/// Rules that are evaluated at the same time, each on a thread of its own: Prometheus's default. Raised, a minute's rules take
/// the cores from receiving and from people's queries.
pub const CONCURRENT_EVALUATIONS: usize = 4;

/// Seconds between two looks at the files' times and lengths.
pub const FILES_POLL_S: u64 = 5;

/// The shortest time between two evaluations of a group, in milliseconds. Each costs commits of the store.
pub const INTERVAL_MIN_MS: i64 = 100;

/// Transitions that are written to the log in one request. A record holds an alert's labels, annotations and samples: this keeps a
/// request at a few MiB when everything fires at once.
pub const HISTORY_BATCH_MAX: usize = 1_000;
