//! Random expressions over the series of [`super::world`]: everything that Prometheus 3.5 has, most of it where it means something,
//! some of it where it does not.

use fastrand::Rng;
use promqltest::When;

use super::world::{BEGIN, LENGTH};

/// An expression and when it is asked.
#[derive(Clone, Debug)]
pub struct Question {
    pub query: String,
    pub when: When,
    pub order: Order,
}

/// Which order of the answer the expression itself asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    None,
    /// By the values.
    Values,
    /// By these labels, which is an order only among series that have them.
    Labels(Vec<String>),
}

/// The `number`th question of a seed.
pub fn question(seed: u64, number: u64) -> Question {
    let mut rng = Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number);
    let when = when(&mut rng);
    let depth = [1, 2, 2, 3][rng.usize(0..4)];
    let mut maker = Maker { rng, order: Order::None };
    let query = match maker.rng.u8(0..40) {
        0 => maker.scalar(depth),
        1 => maker.range(depth),
        2..6 => maker.native(depth),
        6..9 => maker.sorted(depth),
        _ => maker.vector(depth),
    };
    Question { query, when, order: maker.order }
}

fn when(rng: &mut Rng) -> When {
    let moment = |rng: &mut Rng| {
        let time = BEGIN + rng.i64(-60_000..LENGTH + 360_000);
        if rng.bool() { time / 1_000 * 1_000 } else { time }
    };
    if rng.bool() {
        return When::Instant(moment(rng));
    }
    let start = moment(rng);
    let step = [10_000, 15_000, 30_000, 60_000, 61_500, 300_000][rng.usize(0..6)];
    When::Range(start, start + step * rng.i64(0..25) + rng.i64(0..step), step)
}

struct Maker {
    rng: Rng,
    order: Order,
}

impl Maker {
    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.rng.usize(0..of.len())]
    }

    fn selector(&mut self) -> String {
        let name = self.pick(&[
            "http_requests_total",
            "http_requests_total",
            "errors_total",
            "temperature",
            "temperature",
            "memory_bytes",
            "build_info",
            "odd",
            "sparse",
            "sparse_total",
            "mixed",
            "latency_seconds_bucket",
            "latency_seconds_sum",
            "latency_seconds_count",
        ]);
        let matchers = self.matchers();
        match self.rng.u8(0..16) {
            0 => format!("{{\"http.server.requests\"{}}}", matchers.replace('{', ", ").replace('}', "")),
            1 => self.pick(&["{\"http.server.requests\", \"url.path\"=\"/a b\"}", "{\"température\"}"]).to_owned(),
            2 => format!("{{__name__=~\"{}\"}}", self.pick(&["http_.*_total", "err.*|mem.*", "temp.+", ".*_total"])),
            3 => format!(
                "{{__name__!~\"lat.*|odd|mixed|dur.*|sizes.*\", job=\"{}\", version=\"\"}}",
                self.pick(&["api", "web"])
            ),
            _ => format!("{name}{matchers}"),
        }
    }

    fn matchers(&mut self) -> &'static str {
        self.pick(&[
            "",
            "",
            "",
            "",
            "",
            "{job=\"api\"}",
            "{job!=\"api\"}",
            "{instance=~\"a.*\"}",
            "{instance!~\"a.*\", job=\"web\"}",
            "{code=~\"4..|5..\"}",
            "{code=\"\"}",
            "{kind=~\"nan|inf\"}",
        ])
    }

    fn natives(&mut self) -> String {
        let name = self.pick(&["duration_seconds", "duration_seconds", "sizes_bytes", "mixed"]);
        let matchers =
            self.pick(&["", "", "{job=\"api\"}", "{instance=~\"a.*\"}", "{job=\"web\", instance!=\"a:80\"}"]);
        format!("{name}{matchers}")
    }

    fn modifiers(&mut self) -> String {
        let at = match self.rng.u8(0..12) {
            0 => " @ start()".to_owned(),
            1 => " @ end()".to_owned(),
            2 => format!(" @ {}", BEGIN / 1000 + self.rng.i64(0..LENGTH / 1000)),
            3 => format!(" @ {}.5", BEGIN / 1000 + self.rng.i64(0..LENGTH / 1000)),
            _ => String::new(),
        };
        let offset = match self.rng.u8(0..8) {
            0 => format!(" offset {}s", self.rng.u16(1..900)),
            1 => format!(" offset -{}m", self.rng.u8(1..9)),
            2 => return at + self.pick(&[" offset (1m + 30s)", " offset (2m * 2)", " offset (-1m)"]),
            _ => String::new(),
        };
        if self.rng.bool() { at + &offset } else { offset + &at }
    }

    fn window(&mut self) -> String {
        match self.rng.u8(0..12) {
            0 => self.pick(&["2m + 30s", "10m / 3", "1h % 7m", "2m ^ 1", "5 * 20", "1m30s"]).to_owned(),
            1 => format!("{}ms", self.rng.u32(1..300_000)),
            2..5 => format!("{}s", self.rng.u16(5..900)),
            _ => self.pick(&["1m", "2m", "5m", "5m", "10m", "30m"]).to_owned(),
        }
    }

    /// A range of numbers, mostly.
    fn range(&mut self, depth: usize) -> String {
        let window = self.window();
        match self.rng.u8(0..10) {
            0..2 if depth > 0 => {
                let inner = self.vector(depth - 1);
                let step = self.pick(&["", "10s", "1m", "45s", "7s", "20s + 10s"]);
                let modifiers = self.modifiers();
                format!("({inner})[{window}:{step}]{modifiers}")
            }
            2 => {
                let (natives, modifiers) = (self.natives(), self.modifiers());
                format!("{natives}[{window}]{modifiers}")
            }
            _ => {
                let (selector, modifiers) = (self.selector(), self.modifiers());
                format!("{selector}[{window}]{modifiers}")
            }
        }
    }

    /// Something that is a native histogram, mostly.
    fn native(&mut self, depth: usize) -> String {
        let natives = self.natives();
        let modifiers = self.modifiers();
        let window = self.window();
        match self.rng.u8(0..14) {
            0..2 => format!("({natives}{modifiers})"),
            2..7 => {
                let function = self.pick(&[
                    "rate",
                    "rate",
                    "increase",
                    "delta",
                    "irate",
                    "idelta",
                    "sum_over_time",
                    "avg_over_time",
                    "last_over_time",
                    "count_over_time",
                    "present_over_time",
                    "changes",
                    "resets",
                    "min_over_time",
                    "stddev_over_time",
                    "deriv",
                    "ts_of_last_over_time",
                    "quantile_over_time",
                ]);
                let first = if function == "quantile_over_time" { "0.5, " } else { "" };
                format!("{function}({first}{natives}[{window}]{modifiers})")
            }
            7..10 if depth > 0 => {
                let inner = self.native(depth - 1);
                let aggregation =
                    self.pick(&["sum", "sum", "avg", "count", "group", "min", "max", "stddev", "limitk", "topk"]);
                let first = if aggregation.ends_with('k') { "3, " } else { "" };
                let grouping = self.grouping();
                format!("{aggregation} {grouping} ({first}{inner})")
            }
            10 if depth > 0 => {
                let (left, right) = (self.native(depth - 1), self.native(depth - 1));
                let operator = self.pick(&["+", "-", "==", "!=", "*", "/", "and", "or", "unless", "> ", "atan2"]);
                format!("({left} {operator} {right})")
            }
            11 if depth > 0 => {
                let (inner, number) = (self.native(depth - 1), self.scalar(depth - 1));
                let operator = self.pick(&["*", "/", "+", "==", "%", ">"]);
                match self.rng.bool() {
                    true => format!("({inner} {operator} {number})"),
                    false => format!("({number} {operator} {inner})"),
                }
            }
            12 if depth > 0 => format!("-({})", self.native(depth - 1)),
            _ => {
                let function = self.pick(&["rate", "increase"]);
                format!("{function}({natives}[{window}]{modifiers})")
            }
        }
    }

    // One that holds no less than nothing: of others a quantile is whatever falls out.
    fn counted(&mut self) -> String {
        let (natives, window, modifiers) = (self.natives(), self.window(), self.modifiers());
        let function = self.pick(&["rate", "increase", "sum_over_time", "avg_over_time", "last_over_time"]);
        let counted = format!("{function}({natives}[{window}]{modifiers})");
        match self.rng.u8(0..3) {
            0 => format!("({natives}{modifiers})"),
            1 => format!("sum {} ({counted})", self.grouping()),
            _ => counted,
        }
    }

    fn sorted(&mut self, depth: usize) -> String {
        let inner = self.vector(depth);
        if self.rng.bool() {
            self.order = Order::Values;
            return format!("{}({inner})", self.pick(&["sort", "sort_desc"]));
        }
        let labels: &[&str] = match self.rng.u8(0..4) {
            0 => &["zone"],
            1 => &["job", "version"],
            2 => &["code", "instance"],
            _ => &["instance"],
        };
        self.order = Order::Labels(labels.iter().map(|label| (*label).to_owned()).collect());
        let labels: Vec<String> = labels.iter().map(|label| format!("\"{label}\"")).collect();
        format!("{}({inner}, {})", self.pick(&["sort_by_label", "sort_by_label_desc"]), labels.join(", "))
    }

    fn grouping(&mut self) -> &'static str {
        self.pick(&[
            "",
            "by (job)",
            "by (job, instance)",
            "without (instance)",
            "by (code)",
            "by (le)",
            "without (code, le, zone)",
            "by (__name__)",
            "by ()",
            "by (\"url.path\", job)",
            "without ()",
        ])
    }

    fn scalar(&mut self, depth: usize) -> String {
        match self.rng.u8(0..12) {
            0 => "time()".to_owned(),
            1 if depth > 0 => format!("scalar({})", self.vector(depth - 1)),
            2 => "pi()".to_owned(),
            3 => self.pick(&["NaN", "Inf", "-Inf", "0", "-1", "0x1F", "1e3", "1_000", "5m"]).to_owned(),
            4 if depth > 0 => {
                let operator = self.pick(&["+", "-", "*", "/", "%", "^", "atan2", "== bool", "> bool", "<= bool"]);
                let (left, right) = (self.scalar(depth - 1), self.scalar(depth - 1));
                format!("({left} {operator} {right})")
            }
            5 if depth > 0 => format!("-{}", self.scalar(depth - 1)),
            6 => format!("{}", self.rng.u8(0..10)),
            _ => format!("{:.3}", self.rng.f64() * 4.0 - 1.0),
        }
    }

    // A share between 0 and 1, mostly.
    fn share(&mut self, depth: usize) -> String {
        match self.rng.u8(0..10) {
            0 => self.scalar(depth),
            _ => self.pick(&["0.5", "0.9", "0.99", "0", "1", "0.25"]).to_owned(),
        }
    }

    fn vector(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.moment();
        }
        match self.rng.u8(0..32) {
            0..2 => self.moment(),
            2..8 => self.of_range(depth),
            8..11 => self.of_numbers(depth - 1),
            11..17 => self.aggregation(depth - 1),
            17..20 => self.with_scalar(depth - 1),
            20..24 => self.matched(depth - 1),
            24..26 => self.set(depth - 1),
            26..29 => self.of_histogram(depth - 1),
            29 => self.labels(depth - 1),
            30 => self.calendar(),
            _ => self.others(depth - 1),
        }
    }

    // In brackets, because Prometheus takes an operator behind a computed offset for a part of it.
    fn moment(&mut self) -> String {
        let (selector, modifiers) = (self.selector(), self.modifiers());
        match modifiers.contains('(') {
            true => format!("({selector}{modifiers})"),
            false => selector + &modifiers,
        }
    }

    fn of_range(&mut self, depth: usize) -> String {
        let range = self.range(depth);
        match self.rng.u8(0..12) {
            0 => {
                let share = self.share(depth - 1);
                format!("quantile_over_time({share}, {range})")
            }
            1 => {
                let ahead = self.scalar(depth - 1);
                format!("predict_linear({range}, {ahead})")
            }
            // Not of NaN, which Prometheus 3.5 takes for a small number.
            2 if self.rng.bool() => {
                let (counter, window, modifiers) =
                    (self.pick(&["errors_total", "http_requests_total"]), self.window(), self.modifiers());
                format!("mad_over_time({counter}[{window}]{modifiers})")
            }
            2 => {
                let (smoothing, trend) = (self.pick(&["0.3", "0.5", "0.01"]), self.pick(&["0.1", "0.6", "0.9"]));
                format!("double_exponential_smoothing({range}, {smoothing}, {trend})")
            }
            3..7 => format!("{}({range})", self.pick(&["rate", "rate", "increase", "irate", "delta", "idelta"])),
            _ => {
                let function = self.pick(&[
                    "changes",
                    "resets",
                    "deriv",
                    "avg_over_time",
                    "min_over_time",
                    "max_over_time",
                    "sum_over_time",
                    "count_over_time",
                    "last_over_time",
                    "present_over_time",
                    "absent_over_time",
                    "stddev_over_time",
                    "stdvar_over_time",
                    "ts_of_max_over_time",
                    "ts_of_min_over_time",
                    "ts_of_last_over_time",
                ]);
                format!("{function}({range})")
            }
        }
    }

    fn of_numbers(&mut self, depth: usize) -> String {
        let inner = self.vector(depth);
        match self.rng.u8(0..10) {
            0 if self.rng.bool() => self.timestamp(),
            0 => format!("round({inner}, {})", self.scalar(depth)),
            1 => format!("clamp({inner}, {}, {})", self.scalar(depth), self.scalar(depth)),
            2 => format!("clamp_min({inner}, {})", self.scalar(depth)),
            3 => format!("clamp_max({inner}, {})", self.scalar(depth)),
            _ => {
                let function = self.pick(&[
                    "abs", "ceil", "floor", "round", "sgn", "sqrt", "exp", "ln", "log2", "log10", "sin", "cos", "tan",
                    "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "deg", "rad", "-", "+",
                ]);
                format!("{function}({inner})")
            }
        }
    }

    // With one modifier: behind `@` Prometheus 3.5 takes an offset off twice here.
    fn timestamp(&mut self) -> String {
        let selector = self.selector();
        format!("timestamp({selector}{})", self.pick(&["", " offset 77s", " @ start()", " offset -1m"]))
    }

    fn aggregation(&mut self, depth: usize) -> String {
        let inner = self.vector(depth);
        let grouping = self.grouping();
        match self.rng.u8(0..12) {
            0 => {
                let (count, function) = (self.rng.u8(0..4), self.pick(&["topk", "bottomk"]));
                format!("{function} {grouping} ({count}, {inner})")
            }
            // Which it takes is not said anywhere.
            1 if self.rng.bool() => format!("limitk {grouping} ({}, {inner})", self.pick(&["0", "1000"])),
            1 => format!("count {grouping} (limitk {grouping} ({}, {inner}))", self.rng.u8(1..4)),
            2 => format!("limit_ratio {grouping} ({}, {inner})", self.pick(&["0.5", "-0.5", "0.1", "1", "-0.9", "0"])),
            3 => {
                let share = self.share(depth);
                format!("quantile {grouping} ({share}, {inner})")
            }
            // Not of histograms: the last bits of their bounds differ, and so would labels.
            4 => {
                let label = self.pick(&["\"value\"", "\"job\"", "\"my.value\""]);
                format!("count_values {grouping} ({label}, count_over_time({}[5m]))", self.selector())
            }
            _ => {
                let function = self.pick(&["sum", "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]);
                format!("{function} {grouping} ({inner})")
            }
        }
    }

    fn with_scalar(&mut self, depth: usize) -> String {
        let (vector, scalar) = (self.vector(depth), self.scalar(depth));
        let operator = self.pick(&[
            "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "== bool", "!= bool", "> bool",
            "< bool", ">= bool", "<= bool",
        ]);
        match self.rng.bool() {
            true => format!("({vector} {operator} {scalar})"),
            false => format!("({scalar} {operator} {vector})"),
        }
    }

    fn matched(&mut self, depth: usize) -> String {
        let operator =
            self.pick(&["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<= ", "> bool", "== bool", "!= bool"]);
        let left = self.vector(depth);
        match self.rng.u8(0..6) {
            // Mostly has to fail, or has nothing.
            0 => {
                let right = self.vector(depth);
                let how = self.pick(&["", "on (job)", "ignoring (code)", "on (job, instance) group_left ()"]);
                format!("({left} {operator} {how} {right})")
            }
            1 => format!("({left} {operator} {left})"),
            2 => {
                let info = self.pick(&["build_info", "target_info"]);
                let taken = self.pick(&["version", "version, branch", "os_type", ""]);
                format!("({left} {operator} on (job, instance) group_left ({taken}) {info})")
            }
            3 => {
                let right = self.vector(depth);
                format!("({left} {operator} on (job) group_left () sum by (job) ({right}))")
            }
            4 => {
                let right = self.vector(depth);
                format!("(sum by (job) ({left}) {operator} on (job) group_right () {right})")
            }
            _ => {
                let right = self.vector(depth);
                let grouping = self.pick(&["by (job)", "by (job, instance)"]);
                format!("(max {grouping} ({left}) {operator} avg {grouping} ({right}))")
            }
        }
    }

    fn set(&mut self, depth: usize) -> String {
        let (left, right) = (self.vector(depth), self.vector(depth));
        let operator = self.pick(&["and", "or", "unless"]);
        let how = self.pick(&["", "", "on (job)", "on (job, instance)", "ignoring (code, zone)", "on ()"]);
        format!("({left} {operator} {how} {right})")
    }

    fn of_histogram(&mut self, depth: usize) -> String {
        let share = self.share(depth);
        let (window, modifiers) = (self.window(), self.modifiers());
        match self.rng.u8(0..10) {
            0..3 => {
                let grouping = self.pick(&["by (le)", "by (le, job)", "without (instance)", "by (job)"]);
                let rate = self.pick(&["rate", "increase"]);
                format!(
                    "histogram_quantile({share}, sum {grouping} ({rate}(latency_seconds_bucket[{window}]{modifiers})))"
                )
            }
            3 => {
                let buckets = self.pick(&["latency_seconds_bucket", "{__name__=~\"latency.*|dur.*\"}"]);
                format!("histogram_quantile({share}, {buckets}{modifiers})")
            }
            4..6 => {
                let counted = self.counted();
                format!("histogram_quantile({share}, {counted})")
            }
            6 => {
                let upper = self.scalar(depth);
                if self.rng.bool() {
                    let (lower, native) = (self.scalar(depth), self.counted());
                    return format!("histogram_fraction({lower}, {upper}, {native})");
                }
                // Prometheus 3.5 gives NaN where the lower end is in the first bucket.
                let lower = self.pick(&["0.2", "0.7", "1", "2.5"]);
                format!("histogram_fraction({lower}, {upper}, rate(latency_seconds_bucket[{window}]{modifiers}))")
            }
            _ => {
                let function = self.pick(&[
                    "histogram_count",
                    "histogram_sum",
                    "histogram_avg",
                    "histogram_stddev",
                    "histogram_stdvar",
                ]);
                format!("{function}({})", self.native(depth))
            }
        }
    }

    fn labels(&mut self, depth: usize) -> String {
        let inner = self.vector(depth);
        match self.rng.u8(0..5) {
            0 => format!("label_replace({inner}, \"host\", \"$1\", \"instance\", \"(.*):.*\")"),
            1 => format!("label_replace({inner}, \"job\", \"\", \"job\", \"api\")"),
            2 => format!("label_replace({inner}, \"a.b\", \"x-${{n}}\", \"code\", \"(?P<n>[0-9])..\")"),
            3 => format!("label_join({inner}, \"both\", \"-\", \"job\", \"instance\")"),
            _ => format!("label_join({inner}, \"instance\", \"\")"),
        }
    }

    fn calendar(&mut self) -> String {
        let function = self.pick(&[
            "hour",
            "minute",
            "month",
            "year",
            "day_of_month",
            "day_of_week",
            "day_of_year",
            "days_in_month",
        ]);
        match self.rng.u8(0..3) {
            0 => format!("{function}()"),
            1 => format!("{function}({})", self.timestamp()),
            // Of what no calendar has, each processor makes another number.
            _ => format!("{function}(http_requests_total{} * 1e6)", self.matchers()),
        }
    }

    fn others(&mut self, depth: usize) -> String {
        match self.rng.u8(0..6) {
            0 => format!("vector({})", self.scalar(depth)),
            1 => format!("absent({})", self.vector(depth)),
            2..4 => {
                let selector =
                    self.pick(&["", "", ", {version=~\".+\"}", ", {__name__=\"build_info\"}", ", {os_type=\"linux\"}"]);
                // One target, now: in Prometheus 3.5 series of a target that nothing describes get labels of another one, one time so
                // and another time so, and an offset is in force for the series that describe in part only.
                let name = self.pick(&["http_requests_total", "errors_total", "temperature", "latency_seconds_bucket"]);
                let target = self.pick(&["job=\"api\", instance=\"a:80\"", "job=\"web\", instance=\"c:81\""]);
                format!("info({name}{{{target}}}{selector})")
            }
            4 => format!("absent({})", self.selector()),
            _ => {
                let (scalar, operator) = (self.scalar(depth), self.pick(&["+", "or", "> bool"]));
                let inner = self.vector(depth);
                format!("(vector({scalar}) {operator} on () group_right () ({inner}))")
                    .replace("or on () group_right ()", "or on ()")
            }
        }
    }
}
