//! Bounds on the expansion of one template, each with its reason. Rule files come from people, but label values come from
//! whoever sends telemetry, and a template may loop over them.

/// Bytes of a template's text. Real ones have some hundreds; parsing takes time and memory in proportion.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;

/// Bytes of an expanded template. It becomes a label or an annotation of every notification of the alert; receivers cut off
/// far shorter ones. It also bounds each text that a function makes on the way, such as `printf "%9999999d"`.
pub const OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of all texts that functions make during one expansion, whether or not they reach the output.
pub const TEXT_BYTES_TOTAL_MAX: usize = 16 * 1024 * 1024;

/// Nodes that one expansion may visit. Three nested loops over thirty labels are 27,000; a million take about a second, which
/// is what an evaluation that waits for its annotations can bear.
pub const STEPS_MAX: usize = 1_000_000;

/// How deep templates, blocks and parentheses may stand in each other, while parsing and while executing. Both recurse: this
/// is what keeps a template that calls itself from overflowing a 2 MiB stack. Go allows 100,000, as its stacks grow.
pub const DEPTH_MAX: usize = 100;

/// Queries of one expansion. Each is bounded by its own budget; a loop over series could still ask without end.
pub const QUERIES_MAX: usize = 100;

/// Samples that a `query` may hand to the template. More can only be looped over, and steps end that.
pub const QUERY_SAMPLES_MAX: usize = 100_000;

/// Bytes of one compiled regular expression: a bound on memory against `(a{1000}){1000}`.
pub const REGEX_BYTES_MAX: usize = 1024 * 1024;
