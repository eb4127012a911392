//! Bounds of the write path, each with its reason.

use std::time::Duration;

use model::yaml::Bounds;

/// Default of the greatest size of a request, after decompression: what OTLP recommends. SDKs and collectors are built for
/// it; a smaller one refuses what they send, a larger one costs memory per request.
pub const REQUEST_BYTES_MAX: u64 = 64 << 20;

/// The most that `request_bytes_max` can be set to. Offsets inside a batch are 32-bit numbers.
pub const REQUEST_BYTES_CEILING: u64 = 1 << 30;

/// Default of the bytes that all requests in flight hold together, compressed and decompressed. Conversion takes a few
/// times as much memory again for as long as it runs.
pub const IN_FLIGHT_BYTES_MAX: u64 = 256 << 20;

/// How deep arrays and key-value lists of one attribute value may be nested. A level of OTLP/JSON takes up to four levels of
/// JSON, and common readers of JSON (serde_json among them) stop at 128: deeper values could be kept but not read again.
pub const VALUE_DEPTH_MAX: usize = 24;

/// How deep objects and lists of a JSON request may be nested, unknown keys included. The deepest value that is kept takes
/// about 110; the reader's stack grows with each, so that an unbounded one would be an attack.
pub const JSON_DEPTH_MAX: usize = 256;

/// Bytes of the path that an answer gives for a place in a JSON request; senders choose some of its words.
pub const PLACE_BYTES_MAX: usize = 400;

/// Bytes that the resources, scopes and metric descriptions of one request may take once every item carries its own copy,
/// as parts and queries see them. Without it a request of some MiB, one huge resource over many small items, would ask for
/// terabytes later, when nobody can refuse it any more. Below what one record of the WAL may take.
pub const EXPANDED_BYTES_MAX: u64 = 512 << 20;

/// Memory that one request may take while it is converted, by a generous estimate made beforehand. Requests of common shape
/// and the greatest size stay below it; what exceeds it is made of tiny parts, and would take the memory of everyone.
pub const DECODED_BYTES_MAX: u64 = 2 << 30;

/// Requests larger than this are converted on a thread of their own: at about 100 MB/s, more would keep an async thread
/// busy for longer than other connections should notice.
pub const INLINE_BYTES_MAX: usize = 128 << 10;

/// The same for gzip, which commonly grows tenfold and at most a thousandfold. (A few bytes of zstd can be 128 KiB, so
/// that it always goes aside.)
pub const INLINE_COMPRESSED_BYTES_MAX: usize = 12 << 10;

/// Bytes for which room is made because a sender announces them. Common requests are smaller; a larger one grows as it comes.
pub const ANNOUNCED_BYTES_MAX: usize = 512 << 10;

/// Bytes that decompression adds at a time, and so the most by which it overshoots before it looks at a bound.
pub const INFLATE_STEP_BYTES: usize = 64 << 10;

/// Largest window of a zstd frame, as a power of two: 8 MiB, what RFC 9659 allows to content codings. It is memory that one
/// decompression takes whatever comes out; a frame that wants more is refused.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Bytes of a refused request that are read and thrown away before it is answered over HTTP/1.1, where a client that is
/// still writing would find the connection reset and never see the answer.
pub const DRAIN_BYTES_MAX: u64 = 64 << 20;

/// How fast all of them together are read: a small part of a core. It is work for nothing, and must not keep others waiting.
pub const DRAIN_BYTES_PER_S: u64 = 256 << 20;

/// What is read early by less than this is not waited for: timers are no finer, and a common body is through.
pub const DRAIN_AHEAD: Duration = Duration::from_millis(4);

/// How many reasons an answer names; the rest is a number.
pub const REASONS_NAMED_MAX: usize = 5;

/// Characters of a sender's name (of a span, of a metric) that an answer repeats.
pub const NAME_ECHO_CHARS_MAX: usize = 80;

/// Bytes of the text by which an answer says what is wrong with some items. Reasons and names are bounded one by one; this
/// holds whatever is added to them. OTLP allows answers of 4 MiB.
pub const PARTIAL_TEXT_BYTES_MAX: usize = 16 << 10;

/// Bytes of the text of a refusal. Over gRPC it travels in headers, three times and in base64, and clients commonly take
/// 8 KiB of headers.
pub const REFUSAL_TEXT_BYTES_MAX: usize = 1 << 10;

/// Answers over HTTP smaller than this are not compressed: they fit a packet as they are.
pub const ANSWER_GZIP_BYTES_MIN: usize = 1 << 10;

/// When a client should come again that came while the server replays its log.
pub const RETRY_AFTER_START: Duration = Duration::from_secs(1);

/// When a client that found the server full should come again.
pub const RETRY_AFTER_OVERLOAD: Duration = Duration::from_secs(1);

/// When a client should come again after the store failed, or while the server stops.
pub const RETRY_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Bytes of an HTTP/2 stream and connection that may be on their way unread: large requests need not wait for the client
/// to hear of every 64 KiB.
pub const HTTP2_STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// See [`HTTP2_STREAM_WINDOW_BYTES`].
pub const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// Calls at a time on one connection. Exporters use a handful.
pub const HTTP2_STREAMS_MAX: u32 = 1000;

/// A connection that says nothing for so long is asked whether it is still there.
pub const HTTP2_KEEPALIVE: Duration = Duration::from_secs(60);

/// Default of the bytes that the requests of one connection hold together: one request of the greatest size, compressed and
/// decompressed, or very many of common size. The other half of what all may hold is for others.
pub const CONNECTION_BYTES_MAX: u64 = 128 << 20;

/// Default of the speed below which a body is given up. A telephone line is three times as fast.
pub const BODY_BYTES_PER_S_MIN: u64 = 1 << 10;

/// The speed of a body is judged over so long: networks pause for some seconds now and then.
pub const BODY_WINDOW: Duration = Duration::from_secs(10);

/// Bytes that are read and thrown away of a request without its token: enough for a client that sends a common request
/// before it reads the answer, too little to keep the server busy.
pub const STRANGERS_BYTES_MAX: u64 = 1 << 20;

/// Default of the attributes of an item, resource or scope. SDKs stop at 128; whoever sends documents as log records may have
/// thousands.
pub const ATTRIBUTES_MAX: u64 = 10_000;

/// Default of the bytes of an attribute's key. Keys become names of columns.
pub const ATTRIBUTE_KEY_BYTES_MAX: u64 = 1 << 10;

/// Default of the bytes of an attribute's value: a long stack trace or prompt has tens of KiB.
pub const ATTRIBUTE_VALUE_BYTES_MAX: u64 = 1 << 20;

/// Default of the attributes of a point. SDKs stop at 128; each becomes a label, which every query carries along.
pub const LABELS_MAX: u64 = 512;

/// Default of the bytes of such an attribute's value. Labels are held in memory by queries, several times, for all series that there are: a
/// few hundred values of a MiB would be all the memory of a small server. Others' limits are 2 and 4 KiB.
pub const LABEL_VALUE_BYTES_MAX: u64 = 4 << 10;

/// A block of snappy grows by this factor at most: a copy of 64 bytes takes 3, one of 4 to 11 bytes 2, and a little to be safe.
pub const SNAPPY_GROWTH_MAX: usize = 32;

/// Buckets on one side of a native histogram of remote write, from the first to the last: Prometheus has 160, and those between spans, which
/// have no count, are counted too.
pub const NATIVE_BUCKETS_MAX: usize = 10_000;

/// Default of the series that points may belong to at a time. Each takes some KiB of memory in heads and queries.
pub const SERIES_MAX: u64 = 2_000_000;

/// Default of the series of one metric: a tenth of all, so that a label with an id in it costs its own metric and no other. A histogram of a
/// large installation (a thousand instances, ten routes, fifteen buckets each) still fits.
pub const SERIES_PER_METRIC_MAX: u64 = 200_000;

/// Overflow series of one metric, which has one for each service. Senders choose the names of services.
pub const OVERFLOWS_PER_METRIC_MAX: usize = 100;

/// Buckets on one side of an exponential histogram in an overflow series, from the first to the last. SDKs send 160; what is further apart
/// would have to be written with all that lie between.
pub const OVERFLOW_BUCKETS_MAX: usize = 10_000;

/// Series from which on the gate knows a metric's name, to tell which have most: names of metrics with few would take as much memory as the
/// rest of the gate.
pub const METRIC_NAMED_FROM: usize = 100;

/// Metrics that counters of limited series name. Senders choose the names: each takes a few series of our own metrics.
pub const METRICS_NAMED_MAX: usize = 100;

/// Series that nobody has sent for one to two of these are forgotten.
pub const SERIES_PERIOD: Duration = Duration::from_secs(3_600);

/// Services that receipts name, over both doors. Senders choose the names: each takes a dozen series of our own metrics.
pub const SERVICES_NAMED_MAX: usize = 200;

/// Characters of a service's name in receipts.
pub const SERVICE_NAME_CHARS_MAX: usize = 128;

/// Stored requests that are remembered to recognise one that is sent again: an exporter gives up after some minutes, and
/// a few hundred requests a second are common. 8 bytes each, twice.
pub const REMEMBERED_REQUESTS_MAX: usize = 1 << 16;

/// Bytes that a compiled expression of relabelling may take; the longest of known configurations take some hundred KiB.
pub const RELABEL_REGEX_BYTES_MAX: usize = 10 << 20;

/// Characters of a target's line that a complaint repeats.
pub const SCRAPE_ECHO_CHARS_MAX: usize = 80;

/// Bytes of a `prometheus.yml`, of a file of targets, and of an answer with targets. Some ten thousand targets have a few MiB; raised, a
/// wrong file takes the memory of the server before it is refused.
pub const SCRAPE_FILE_BYTES_MAX: usize = 16 << 20;

/// Of such a file: it needs eight levels, and some hundred thousand targets have a million nodes.
pub const SCRAPE_FILE_BOUNDS: Bounds = Bounds { bytes: SCRAPE_FILE_BYTES_MAX, depth: 32, nodes: 1_000_000 };

/// Bytes of a file with a password, a token, a certificate or a key.
pub const SCRAPE_SECRET_BYTES_MAX: usize = 1 << 20;

/// The shortest time between two scrapes of a target, in milliseconds. Each is a connection and a commit.
pub const SCRAPE_INTERVAL_MIN_MS: i64 = 100;

/// The shortest time between two looks at a list of targets, in milliseconds.
pub const DISCOVERY_INTERVAL_MIN_MS: i64 = 100;

/// Targets of one list. Each is a task with the series that it had, some hundred KiB for a common exporter.
pub const TARGETS_MAX: usize = 100_000;

/// What a sample of a scrape takes at most of the memory that one request may take while it is converted, texts apart: its line, its
/// series, and what the conversion makes of them. A body has as many samples as fit.
pub const SCRAPE_SAMPLE_BYTES: u64 = 1 << 10;

/// Families that are remembered of a target. Exporters have some thousand; whoever has new ones all the time is remembered anew.
pub const SCRAPE_FAMILIES_MAX: usize = 100_000;

/// Milliseconds by which the times that targets give may be ahead of ours: Prometheus's ten minutes. What is further would be the newest
/// sample of its series for a long time.
pub const SCRAPE_AHEAD_MAX_MS: i64 = 600_000;

/// Redirects of one scrape that are followed, as Go does.
pub const SCRAPE_REDIRECTS_MAX: usize = 10;

/// Between two looks at the files that name targets, and at the `prometheus.yml`.
pub const SCRAPE_FILES_POLL: Duration = Duration::from_secs(2);

/// Scrapes under way at a time. Each is a connection and holds an answer; those of slow targets wait for most of their time.
pub const SCRAPES_AT_A_TIME: usize = 512;

/// Milliseconds by which the time of a sample may be put right: Prometheus's two. Regular times are smaller on disk.
pub const SCRAPE_TOLERANCE_MS: i64 = 2;

/// Targets dropped by relabelling that are shown of a job unless it says how many; the count is exact.
pub const DROPPED_TARGETS_SHOWN_MAX: usize = 10_000;
