//! Every bound of the read path, with its reason and what breaks if it is raised.

/// Characters of one filter. Each term is kept in memory and evaluated for each row: longer filters are programs that went
/// wrong. Raised, one request may hold a server's core for long.
pub const QUERY_CHARACTERS_MAX: usize = 16_384;

/// Terms of one filter; see [`QUERY_CHARACTERS_MAX`].
pub const QUERY_TERMS_MAX: usize = 1_000;

/// Nesting of parentheses and negations. Parser and evaluation recurse this deep; raised a thousandfold, the stack ends.
pub const QUERY_DEPTH_MAX: usize = 64;

/// Regular expressions of one filter. Each may take [`REGEX_BYTES_MAX`] twice, compiled and in its cache.
pub const QUERY_REGEXES_MAX: usize = 32;

/// Compiled size of one regular expression, in bytes. Raised, a repetition such as `.{9999}` takes the memory of many rows.
pub const REGEX_BYTES_MAX: usize = 1 << 20;

/// Groups, repetitions and the like within each other in one regular expression. The compiler recurses this deep, over frames of some KiB each
/// where nothing is optimised; people nest three or four.
pub const REGEX_DEPTH_MAX: u32 = 64;

/// Granules in which a field that no row had is looked for before the asker is warned. More would make a typing error as dear
/// as a scan; fewer would warn of fields that are only rare.
pub const FIELD_LOOKUP_GRANULES_MAX: usize = 32;

/// Fields that a count is split by. Each is read for every matching row, and becomes a label of every alert.
pub const STATS_FIELDS_MAX: usize = 10;

/// Groups of one count. They are kept in memory until the count ends, and a rule makes an alert of each; raised, counting by an
/// id takes the memory of the server.
pub const STATS_GROUPS_MAX: usize = 10_000;

/// Bytes of the values of all groups of one count; see [`STATS_GROUPS_MAX`]. One value may be as long as an attribute.
pub const STATS_GROUPS_BYTES_MAX: usize = 16 << 20;

/// Buckets of a histogram. More than a screen or a chart has columns; raised, an answer grows by a number each.
pub const HISTOGRAM_BUCKETS_MAX: usize = 1_000;

/// Services of one answer. Each keeps its steps (16 bytes each) and its durations (up to 30 KiB); raised, a sender that invents
/// names takes the memory of the server.
pub const SERVICES_MAX: usize = 1_000;

/// Bytes of the names of all services of one answer; see [`SERVICES_MAX`]. One name may be as long as an attribute.
pub const SERVICES_NAMES_BYTES_MAX: usize = 1 << 20;

/// Steps of the rates of each service; see [`SERVICES_MAX`].
pub const SERVICES_STEPS_MAX: usize = 240;

/// A query that takes longer is logged: whoever waited for it may ask why.
pub const SLOW_QUERY: std::time::Duration = std::time::Duration::from_secs(1);

/// Rows of one page. A page is found with one bounded heap and may be put together in memory (format otlp); whoever wants
/// more takes the next page or a stream.
pub const PAGE_ROWS_MAX: usize = 10_000;

/// Rows whose columns are read and written at a time. Larger, an answer takes more memory; smaller, the same piece of a part
/// is read more often.
pub const WINDOW_ROWS: usize = 1_000;

/// Bytes of an answer that are sent at a time.
pub const CHUNK_BYTES: usize = 64 << 10;

/// Pieces of [`CHUNK_BYTES`] that wait for a slow client before the query does.
pub const CHUNKS_WAITING_MAX: usize = 4;

/// Rows (of all signals) that a tail looks at in one go. Larger, a burst takes more memory at once.
pub const TAIL_STEP_ROWS: u64 = 10_000;

/// Rows (of all signals) that a tail may be behind before it skips to the newest and says so. Raised, a slow client reads
/// ever older rows while the server reads them from the disk for it.
pub const TAIL_BEHIND_ROWS_MAX: u64 = 1_000_000;

/// Milliseconds between two looks of one tail: at a thousand commits a second, each look takes what a hundred of them brought.
pub const TAIL_INTERVAL_MS: u64 = 100;

/// Seconds without a row after which a tail sends a comment, so that both ends and everyone between them know it is alive.
pub const TAIL_HEARTBEAT_S: u64 = 15;

/// Tails at the same time. Each costs a look per [`TAIL_INTERVAL_MS`] while rows come in.
pub const TAILS_MAX: usize = 64;

/// Spans of one assembled trace. The tree is built in memory and nobody reads further.
pub const TRACE_SPANS_MAX: usize = 20_000;

/// Traces that `correlate` follows. An id on more of them is a customer or a host, not a request.
pub const CORRELATED_TRACES_MAX: usize = 1_000;

/// Traces whose alerts `correlate` looks for. Each is a word of its own to be found in the history of alerts.
pub const CORRELATED_ALERT_TRACES_MAX: usize = 100;

/// Rows of each list of a `correlate` answer, which is put together in memory.
pub const CORRELATED_ROWS_MAX: usize = 10_000;

/// Bytes of an id that is asked for. Longer texts in rows are no ids, whatever their attribute is called.
pub const ID_BYTES_MAX: usize = 1_024;

/// Seconds that a client may take for one piece of an answer. Such an answer no longer keeps other queries waiting, but it
/// keeps a thread.
pub const SLOW_CLIENT_S: u64 = 300;

/// Answers whose clients are slower than the disk, at a time. Each holds a blocking thread, its rows and some chunks, of large answers
/// some ten MiB; further ones are cut.
pub const SLOW_CLIENTS_MAX: usize = 16;
