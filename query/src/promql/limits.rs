//! Bounds on one PromQL query, each with its reason.

/// Points per series of a range query. Prometheus's own limit: clients (Grafana) choose their steps to stay below it. Raised,
/// a mistyped step fills memory with columns of points nobody can draw.
pub const STEPS_MAX: i64 = 11_000;

/// Samples one query may read and points it may produce, counted together; Prometheus's default. At 8 bytes a point this
/// bounds what one query holds in memory at 400 MB, and with it the time a query can take between two looks at its deadline.
pub const SAMPLES_MAX: u64 = 50_000_000;

/// How far a vector selector looks back for the newest sample unless the asker says otherwise: Prometheus's default.
pub const LOOKBACK_MS: i64 = 5 * 60 * 1000;

/// The distance of a subquery's steps where neither it nor the asker says: Prometheus's evaluation interval by default.
pub const SUBQUERY_STEP_MS: i64 = 60 * 1000;

/// Samples the windows of a function may hold together before the query's deadline is looked at: about a millisecond's work.
/// Overlapping windows look at one sample again and again, and the budget counts it once.
pub const WINDOW_SAMPLES_UNCHECKED: usize = 100_000;

/// Bytes of a query's text. Real ones have hundreds; the parser's time grows with the text.
pub const QUERY_BYTES_MAX: usize = 64 * 1024;

/// Operators and opening brackets of a query, an upper bound of how deep its syntax tree can be. Parsing, planning and
/// evaluating recurse over the tree: this is what keeps a query of ten thousand parentheses from overflowing a 2 MiB stack.
pub const OPERATORS_MAX: usize = 250;

/// The longest range or offset, in seconds (about 300 years), so that times in milliseconds never overflow.
pub const DURATION_SECONDS_MAX: f64 = 1e10;

/// Bytes of one compiled regular expression of a matcher: a bound on memory against `(a{1000}){1000}`.
pub const REGEX_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Regular expressions of one query. Each may take the parser milliseconds, and a query's deadline begins behind the parser.
pub const REGEX_MATCHERS_MAX: usize = 100;

/// Messages of each kind in an answer's warnings and infos; how many more there are is said, as Prometheus says it. Each names a metric;
/// more than this is read by nobody.
pub const NOTES_MAX: usize = 10;

/// Messages that are told apart in order to say how many there are, some hundred bytes each.
pub const NOTES_COUNTED_MAX: usize = 1_000;

/// Series whose Prometheus names and labels are remembered, some hundred bytes each. Beyond it everything is forgotten and
/// translated again: slower, never wrong.
pub const TRANSLATIONS_MAX: usize = 200_000;

/// Series that stand in the indexes of tables which are kept from one query to the next, a series once for each table that it is in: about a
/// hundred bytes each. Tables beyond it are read and translated again.
pub const INDEXED_SERIES_MAX: usize = 1_000_000;

/// Characters of a line of `format_query`: as many as the parser puts into one.
pub const LINE_MAX: usize = 100;

/// Values of one series in the notation of tests. At one a second these are four months; `1x99999999999` is a slip.
pub const NOTATION_CELLS_MAX: usize = 10_000_000;
