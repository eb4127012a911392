//! Every bound of the SDK, with its reason. It is a guest in somebody's service: whatever happens outside, it costs that service a known amount.

use std::time::Duration;

/// Most bytes of one signal (spans, or log records) that wait for the collector. Both together with what is under way (a batch as it was queued, as a request and
/// compressed, of both signals) and a request of metrics stay within 64 MiB; more than that and a service in a small container dies of its telemetry.
pub(crate) const QUEUE_BYTES_MAX: usize = 26 << 20;

/// Bytes after which a batch is sent whatever its number of items. Collectors refuse messages above 4 MiB unless they are told otherwise.
pub(crate) const BATCH_BYTES: usize = 1 << 20;

/// Largest span or log record. A larger one is dropped and counted: it would not fit a batch beside others.
pub(crate) const ITEM_BYTES_MAX: usize = 512 << 10;

/// Longest text or run of bytes in an attribute or body; the rest is cut off. A megabyte of somebody's request in a log line helps nobody.
pub(crate) const VALUE_BYTES_MAX: usize = 16 << 10;

/// How deep lists and maps in attributes nest before what is deeper is left out. Keeps the walk off the end of the stack.
pub(crate) const VALUE_DEPTH_MAX: usize = 16;

/// Largest request of metrics; what does not fit is sent in further ones. Half of what collectors take.
pub(crate) const METRICS_BYTES_MAX: usize = 2 << 20;

/// What of a collector's answer is read. A partial success is a few hundred bytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Longest head of a collector's answer.
pub(crate) const ANSWER_HEAD_BYTES_MAX: usize = 16 << 10;

/// What of a collector's own words is repeated on stderr.
pub(crate) const REASON_CHARS_MAX: usize = 200;

/// One export request whole, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise; the specification's value.
pub(crate) const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// Spans and log records wait this long for company, unless `OTEL_BSP_SCHEDULE_DELAY` and its like say otherwise. Shorter than the specification's five
/// seconds for spans: who looks wants to see what has just happened.
pub(crate) const BATCH_DELAY: Duration = Duration::from_secs(1);

/// Items of a batch, unless the environment says otherwise; the specification's value.
pub(crate) const BATCH_ITEMS: usize = 512;

/// Time between two exports of metrics, unless `OTEL_METRIC_EXPORT_INTERVAL` says otherwise; the specification's value.
pub(crate) const METRIC_INTERVAL: Duration = Duration::from_secs(60);

/// The first and the longest pause between two attempts. The longest is how late a service notices that the collector is back.
pub(crate) const RETRY_FIRST: Duration = Duration::from_millis(500);
/// See [`RETRY_FIRST`].
pub(crate) const RETRY_LONGEST: Duration = Duration::from_secs(5);

/// How long a batch is tried. After that it is dropped and counted, so that one that a collector never takes does not hold up the others for ever.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(300);

/// How long the guard's drop waits for the last flush. A service that is told to end has other things to finish in the usual ten seconds.
pub(crate) const SHUTDOWN_MAX: Duration = Duration::from_secs(3);

/// Shortest time between two lines on stderr about the same trouble with the collector; it may come and go, or refuse everything, all day.
pub(crate) const TELL_AGAIN: Duration = Duration::from_secs(600);

/// Shortest time between two log records about losses while the collector is there: the queues may stay full for seconds after it has come back.
pub(crate) const REPORT_AGAIN: Duration = Duration::from_secs(5);

/// Longest that a caller can have a flush or the end wait: more is a mistake, and moments beyond what the clock can hold would be a panic.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(3_600);

/// Longest correlation id that is taken from a caller; a longer one is replaced by one of ours. It is on every span and record.
pub(crate) const CORRELATION_ID_BYTES_MAX: usize = 128;

/// Most baggage that is taken from a caller and handed on: entries, and bytes of the header. W3C asks for 64 and 8,192 at least; hyper's usual limit for all headers is 16 KiB.
pub(crate) const BAGGAGE_ENTRIES_MAX: usize = 64;
/// See [`BAGGAGE_ENTRIES_MAX`].
pub(crate) const BAGGAGE_BYTES_MAX: usize = 8_192;

/// Longest `tracestate` that is taken from a caller; W3C asks for 512 at least.
pub(crate) const TRACESTATE_BYTES_MAX: usize = 512;

/// Most attribute sets of one histogram that have exemplars at a time. The SDK's own limit of sets is 2,000; each has up to as many exemplars as it has buckets.
pub(crate) const EXEMPLAR_SETS_MAX: usize = 256;

/// Keys whose redaction is remembered by each thread; those beyond are looked at each time.
pub(crate) const REDACTION_CACHE_MAX: usize = 1_024;

/// Longest user agent, path and the like that a span of a request repeats.
pub(crate) const HTTP_TEXT_BYTES_MAX: usize = 512;

/// Largest file below `/proc` that is read.
pub(crate) const PROC_BYTES_MAX: u64 = 256 << 10;

/// Most disks, network interfaces and file systems each that are reported. A host with thousands of containers has thousands of virtual ones.
pub(crate) const DEVICES_MAX: usize = 32;
