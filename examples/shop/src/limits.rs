//! Every bound of the shop, with its reason. The shop is a guest on somebody's laptop: it stays gentle.

use std::time::Duration;

/// Most orders a second the customers place: several thousand a minute, each some twenty spans and as many log records.
pub(crate) const ORDERS_PER_SECOND_MAX: f64 = 200.0;

/// Most orders of the customers under way at once. If the services hang, further ones are skipped, not queued.
pub(crate) const ORDERS_IN_FLIGHT_MAX: usize = 128;

/// Largest request or answer a service reads. The list of products is the largest, a few KiB.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;

/// How long requests under way may take to finish once the service was asked to stop, and tasks thereafter.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(3);

/// How long the last flush may take. Together with [`DRAIN_MAX`] it bounds the time to exit.
pub(crate) const FLUSH_MAX: Duration = Duration::from_secs(2);

/// One export request to the collector, its retries included. Short, so that a collector that is away costs a batch
/// and not the patience of whoever presses Ctrl-C.
pub(crate) const EXPORT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Spans and log records wait this long for company: a person who has just started the demo wants to see data now.
pub(crate) const BATCH_DELAY: Duration = Duration::from_millis(500);

/// Time between two exports of metrics, the SDK's and the exemplars'.
pub(crate) const METRIC_INTERVAL: Duration = Duration::from_secs(2);

/// A fault that nobody stops ends after a day: who forgot it shall not wonder for a week.
pub(crate) const FAULT_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A leak on purpose is a leak that one can see, and no more: the machine is somebody's.
pub(crate) const LEAK_BYTES_MAX: usize = 192 * 1024 * 1024;

/// Connections of one process to one database: an embedded one has one writer anyway, and a server's hundred are shared by ten processes with three pools each.
pub(crate) const CONNECTIONS_MAX: u32 = 6;

/// How long a question waits for a connection. Shorter than callers' patience, so that they hear the reason.
pub(crate) const CONNECTION_WAIT_MAX: Duration = Duration::from_secs(3);

/// A connection that nobody has used for so long is closed.
pub(crate) const IDLE_CONNECTION_MAX: Duration = Duration::from_secs(60);

/// How long one writer waits for another; transactions take milliseconds, or seconds where the machine is busy.
pub(crate) const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);

/// One question to a database, more than the slowest that a fault makes (12.5 s).
pub(crate) const QUESTION_MAX: Duration = Duration::from_secs(15);

/// A question that takes longer is a line in the log.
pub(crate) const SLOW_QUESTION: Duration = Duration::from_millis(250);

/// Between two heartbeats of the primary, and two looks at what the replica has of them.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
pub(crate) const REPLICA_LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// A replica that lags more is not asked: an answer may be so old and no older.
pub(crate) const REPLICA_LAG_MAX: Duration = Duration::from_secs(2);

/// Heartbeats that are remembered while the replica does not show them: some minutes, from the oldest on.
pub(crate) const HEARTBEATS_MAX: usize = 600;

/// An embedded replica gets changes so often, and so many at once: a transaction of some milliseconds.
pub(crate) const COPY_INTERVAL: Duration = Duration::from_millis(200);
pub(crate) const COPIED_CHANGES_MAX: i64 = 500;

/// What a cache asks of a server takes less, or is a miss: the database would have answered by then.
pub(crate) const CACHE_WAIT_MAX: Duration = Duration::from_millis(250);

/// A cache's server that did not answer is not asked again for so long.
pub(crate) const CACHE_AWAY: Duration = Duration::from_secs(1);

/// One process loads what others that share a cache wait for, and looks whether it is there; then they load it too.
pub(crate) const LOAD_LOCK: Duration = Duration::from_secs(2);
pub(crate) const LOAD_LOOK_INTERVAL: Duration = Duration::from_millis(25);

/// Between two times that expired entries are thrown out and counted.
pub(crate) const CACHE_TIDY_INTERVAL: Duration = Duration::from_secs(5);

/// Keys of which a cache remembers that they were written; more are only remembered while it matters, some seconds.
pub(crate) const WRITES_REMEMBERED_MAX: usize = 1_024;

/// A write-behind cache writes so often, so many at once (one transaction), and accepts so many before: some hundred KiB.
pub(crate) const WRITE_BEHIND_INTERVAL: Duration = Duration::from_secs(1);
pub(crate) const WRITE_BATCH_MAX: usize = 100;
pub(crate) const UNWRITTEN_MAX: usize = 2_000;

/// The fault that empties caches does it so often that nobody finds anything there.
pub(crate) const CACHE_FLUSH_INTERVAL: Duration = Duration::from_millis(250);
