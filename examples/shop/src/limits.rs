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

/// How long a consumer has for the messages that it leases at once: [`MESSAGE_BATCH`] times [`MESSAGE_TIMEOUT`], and as much again.
pub(crate) const LEASE: Duration = Duration::from_secs(24);

/// Messages a worker leases at once: asking costs about as much as working on one.
pub(crate) const MESSAGE_BATCH: usize = 4;

/// How long the work on one message may take. Within [`DRAIN_MAX`] with time to spare, so that a stopping service finishes it.
pub(crate) const MESSAGE_TIMEOUT: Duration = Duration::from_millis(2_500);

/// How long an id is remembered, so that a message that is published twice is there once: a relay that has crashed is back long before.
pub(crate) const DEDUPLICATION_WINDOW: Duration = Duration::from_secs(120);

/// How often a worker looks into the embedded queue while that is empty: one cheap read, and soon enough for people.
pub(crate) const QUEUE_POLL: Duration = Duration::from_millis(50);

/// How long a worker waits for a message before it looks whether it is to stop; well within [`DRAIN_MAX`].
pub(crate) const QUEUE_PATIENCE: Duration = Duration::from_millis(500);

/// Workers of a consumer group in one process, and the messages that have to wait for each before there is another.
pub(crate) const WORKERS_MAX: usize = 8;
pub(crate) const READY_PER_WORKER: u64 = 20;

/// A worker too many is kept so long after the last time that it was needed.
pub(crate) const WORKER_IDLE_MAX: Duration = Duration::from_secs(5);

/// How often a queue is asked what is in it: for its workers, and for metrics, which leave half as often.
pub(crate) const QUEUE_LOOK: Duration = Duration::from_secs(1);

/// Attempts at a message before it is dead: with [`ATTEMPT_PAUSE`] doubled each time they span some seconds, and a mail server that is busy is not for longer.
pub(crate) const ATTEMPTS_MAX: u32 = 5;
pub(crate) const ATTEMPT_PAUSE: Duration = Duration::from_millis(250);
pub(crate) const ATTEMPT_PAUSE_MAX: Duration = Duration::from_secs(30);

/// Dead letters that are listed at once.
pub(crate) const DEAD_LETTERS_LISTED: usize = 100;

/// A stalled queue says so again after this time.
pub(crate) const STALLED_AGAIN: Duration = Duration::from_secs(30);

/// A line about something that is away or full comes again after this time at the earliest.
pub(crate) const COMPLAINT_PAUSE: Duration = Duration::from_secs(5);

/// Messages that the relay of an outbox reads at once.
pub(crate) const OUTBOX_BATCH: usize = 64;

/// How often the relay looks for more: soon enough for a customer who waits for a letter, and one cheap read.
pub(crate) const OUTBOX_POLL: Duration = Duration::from_millis(50);

/// How often a relay counts what waits, and one that has not its turn asks for it.
pub(crate) const OUTBOX_LOOK: Duration = Duration::from_secs(1);

/// How long one relay publishes without saying that it is there yet. Another one's wait when it crashes, and longer than a slow question takes.
pub(crate) const OUTBOX_TURN: Duration = Duration::from_secs(6);

/// What was published is kept so long, for whoever wants to know.
pub(crate) const OUTBOX_KEPT: Duration = Duration::from_secs(600);

/// The letters volume: far more letters than anybody reads, and nothing on somebody's disk.
pub(crate) const LETTERS_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Above this share of it the oldest letters go.
pub(crate) const LETTERS_CLEAN_ABOVE_PERCENT: u64 = 80;

/// How often the volume is looked after: less than a MiB of letters comes in between.
pub(crate) const LETTERS_LOOK: Duration = Duration::from_millis(250);

/// How long a broker may take to be reached.
#[cfg(feature = "nats")]
pub(crate) const BROKER_CONNECT_MAX: Duration = Duration::from_secs(5);

/// Messages that a broker hands out before it wants to hear of some: those of many workers, and those that wait for their next attempt.
#[cfg(feature = "nats")]
pub(crate) const BROKER_UNACKNOWLEDGED_MAX: i64 = 10_000;

/// A fault that nobody stops ends after a day: who forgot it shall not wonder for a week.
pub(crate) const FAULT_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A leak on purpose is a leak that one can see, and no more: the machine is somebody's.
pub(crate) const LEAK_BYTES_MAX: usize = 192 * 1024 * 1024;

/// From the start of a process until it listens. Longer than a database takes to be made on a busy machine.
pub(crate) const START_MAX: Duration = Duration::from_secs(30);

/// A process that does not drain and flush within this time is ended.
pub(crate) const STOP_MAX: Duration = Duration::from_secs(10);

/// Between the end of a process and the one that takes its place: long enough to be seen as absent.
pub(crate) const RESTART_PAUSE: Duration = Duration::from_secs(2);

/// A process that lived shorter could not even serve.
pub(crate) const TOO_SHORT_A_LIFE: Duration = Duration::from_secs(3);

/// So many short lives in a row, and starting it again will not help.
pub(crate) const TOO_SHORT_LIVES_MAX: u32 = 5;

/// A customer who has waited so long goes away. Longer than all timeouts inside together.
pub(crate) const CUSTOMER_PATIENCE: Duration = Duration::from_secs(10);

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

/// An idempotency key, as long as anybody needs.
pub(crate) const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;

/// A request that has claimed its key and has not ended within this time is one of a process that crashed.
pub(crate) const CLAIM_MAX: Duration = Duration::from_secs(30);

/// One try at the bank, which mostly takes less than a tenth of a second.
pub(crate) const BANK_TRY_MAX: Duration = Duration::from_millis(500);

/// Decisions of the bank that are remembered, the latest: whoever asks again does so within minutes.
pub(crate) const SETTLED_PAYMENTS_MAX: u64 = 20_000;

/// A process looks at itself so often.
pub(crate) const WATCH_PERIOD: Duration = Duration::from_secs(5);

/// Cores of one process that are worth a line: a service of the shop needs a tenth of one.
pub(crate) const BUSY_CORES: f64 = 0.8;

/// Growth within a period that is worth a line; a start takes less.
pub(crate) const GROWTH_BYTES: u64 = 24 * 1024 * 1024;

/// A task that waited so long for a thread is worth a line.
pub(crate) const LATE: Duration = Duration::from_millis(500);

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

/// Instances that the registry knows at most: the shop has nine, and whoever can reach the internal door shall not fill its memory.
pub(crate) const INSTANCES_MAX: usize = 64;

/// An instance that has not been heard of for so long, five heartbeats, is gone.
pub(crate) const INSTANCE_AGE_MAX: Duration = Duration::from_secs(5);

/// Names and versions of instances stand in metrics, cookies and on terminals.
pub(crate) const INSTANCE_NAME_BYTES_MAX: usize = 64;

/// How many times as much as another one an instance may take.
pub(crate) const WEIGHT_MAX: u32 = 1_000;

/// By then everybody's heartbeat has reached a registry that was started anew.
pub(crate) const REGISTRY_SETTLED: Duration = Duration::from_secs(3);

/// How long a heartbeat or a look at the registry may take: the next one is due.
pub(crate) const HEARTBEAT_MAX: Duration = Duration::from_secs(1);

/// Between an instance's farewell and its end. By then every caller has looked at the registry again, which it does each second.
pub(crate) const FAREWELL_PAUSE: Duration = Duration::from_millis(1_200);

/// How long an instance may take to say that it is healthy, which costs it nothing.
pub(crate) const HEALTH_CHECK_MAX: Duration = Duration::from_secs(1);

/// Health checks in a row that make an instance unhealthy: a single one may be bad luck.
pub(crate) const BAD_CHECKS: u32 = 2;

/// Health checks in a row that make it healthy again.
pub(crate) const GOOD_CHECKS: u32 = 2;

/// How long a connection may take to come about. Everybody is near.
pub(crate) const CONNECT_MAX: Duration = Duration::from_millis(500);

/// Connections to one instance that wait to be used again.
pub(crate) const IDLE_CONNECTIONS_MAX: usize = 32;

/// How long one try of a call from service to service may take, and the call with all its tries. A database whose every question takes half a second is slow, and not yet away.
pub(crate) const TRY_MAX: Duration = Duration::from_secs(4);
pub(crate) const CALL_MAX: Duration = Duration::from_secs(6);

/// The same of the gateway, which waits for those who wait for others.
pub(crate) const GATEWAY_TRY_MAX: Duration = Duration::from_secs(8);
pub(crate) const GATEWAY_CALL_MAX: Duration = Duration::from_secs(10);

/// How often a request is tried again. With more, those who wait have long gone.
pub(crate) const RETRIES_MAX: u32 = 2;

/// The share of a caller's requests that may be tried again, so that retries never double what a struggling callee gets.
pub(crate) const RETRIES_SHARE: f64 = 0.2;

/// Retries that are allowed beside that share within ten seconds: a caller with little to do may try again, too.
pub(crate) const RETRIES_FREE: u64 = 10;

/// The longest pause before the first retry; it doubles with each.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause before any.
pub(crate) const RETRY_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Calls within ten seconds before a breaker judges: of fewer, half may fail by chance.
pub(crate) const BREAKER_CALLS_MIN: u64 = 10;

/// The share of them that opens it.
pub(crate) const BREAKER_FAILED_MAX: f64 = 0.5;

/// How long it stays open before it lets a few through.
pub(crate) const BREAKER_OPEN: Duration = Duration::from_secs(5);

/// How many those are: they have to succeed before all others follow.
pub(crate) const BREAKER_PROBES: u32 = 3;

/// Clients whose rates the gateway keeps. Who has been quiet longest is forgotten first, and has a full bucket again.
pub(crate) const CLIENTS_MAX: usize = 4_096;

/// At most one line in so long says that a client was limited: it is limited because it asks often.
pub(crate) const LIMITED_SAID: Duration = Duration::from_secs(10);

/// Longest path and query the gateway hands on. Products and orders have short ids.
pub(crate) const PATH_BYTES_MAX: usize = 1_024;

/// Longest text that a customer chooses: an idempotency key, a name, the id of a product.
pub(crate) const CUSTOMER_TEXT_BYTES_MAX: usize = 128;

/// Most of an item in an order.
pub(crate) const QUANTITY_MAX: u32 = 1_000;

/// How long a session's instance is remembered by its client.
pub(crate) const SESSION_MAX: Duration = Duration::from_secs(1_800);

/// Longest cookie with sessions that is looked at.
pub(crate) const SESSION_BYTES_MAX: usize = 256;

/// How long a client may take to agree on TLS, and how many may be about it at once.
pub(crate) const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
pub(crate) const HANDSHAKES_MAX: usize = 128;

/// Entries of one of the catalog's caches: it has five products, and another shop that begins with this one has room.
pub(crate) const CACHED_MAX: usize = 1_000;

/// A key of the caches comes from strangers, like all these.
pub(crate) const PRODUCT_ID_BYTES_MAX: usize = 64;
pub(crate) const ORDER_ID_BYTES_MAX: usize = 128;
pub(crate) const PRICE_CENTS_MAX: i64 = 100_000_000;
pub(crate) const CUSTOMER_NAME_CHARS_MAX: usize = 64;
pub(crate) const REVIEW_CHARS_MAX: usize = 500;

/// Reviews of a product that are answered, with [`REVIEW_CHARS_MAX`] well within what a service reads, and that are kept.
pub(crate) const REVIEWS_SHOWN: i64 = 20;
pub(crate) const REVIEWS_KEPT: i64 = 200;

/// A reservation is remembered for its order's repetitions, which do not come after a day; so many are forgotten at once.
pub(crate) const RESERVATION_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);
pub(crate) const RESERVATIONS_PRUNED: i64 = 5_000;
pub(crate) const TIDY_INTERVAL: Duration = Duration::from_secs(60);
