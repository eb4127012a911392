//! From OTLP's names to Prometheus's: metric names with unit and type suffixes, label names, and the labels of a series.
//!
//! The rules are those of OpenTelemetry's "Prometheus and OpenMetrics compatibility", with the four strategies that Prometheus
//! offers for its OTLP endpoint. What was born in Prometheus (rules, scrapes) never passes through here. The PromQL source
//! over the store is the caller.

use std::borrow::Cow;
use std::str::FromStr;

use crate::attributes::AttributeValue;
use crate::labels::{Labels, METRIC_NAME};

/// How much of OTLP's names is kept. The words are Prometheus's (`otlp.translation_strategy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Odd characters become underscores; unit and type are appended: `http_server_request_duration_seconds`.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// Odd characters become underscores, nothing is appended: `http_server_request_duration`.
    UnderscoreEscapingWithoutSuffixes,
    /// Characters stay; unit and type are appended: `http.server.request.duration_seconds`.
    NoUtf8EscapingWithSuffixes,
    /// Names stay as they are: `http.server.request.duration`.
    NoTranslation,
}

impl Strategy {
    const ALL: [Strategy; 4] = [
        Strategy::UnderscoreEscapingWithSuffixes,
        Strategy::UnderscoreEscapingWithoutSuffixes,
        Strategy::NoUtf8EscapingWithSuffixes,
        Strategy::NoTranslation,
    ];

    /// Prometheus's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Strategy::UnderscoreEscapingWithSuffixes => "UnderscoreEscapingWithSuffixes",
            Strategy::UnderscoreEscapingWithoutSuffixes => "UnderscoreEscapingWithoutSuffixes",
            Strategy::NoUtf8EscapingWithSuffixes => "NoUTF8EscapingWithSuffixes",
            Strategy::NoTranslation => "NoTranslation",
        }
    }

    fn escapes(self) -> bool {
        matches!(self, Strategy::UnderscoreEscapingWithSuffixes | Strategy::UnderscoreEscapingWithoutSuffixes)
    }
}

/// A word is no strategy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no naming strategy {0:?}: write UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes, \
     NoUTF8EscapingWithSuffixes or NoTranslation"
)]
pub struct NoSuchStrategy(String);

impl FromStr for Strategy {
    type Err = NoSuchStrategy;

    fn from_str(word: &str) -> Result<Self, NoSuchStrategy> {
        let found = Strategy::ALL.into_iter().find(|strategy| strategy.as_str() == word);
        found.ok_or_else(|| NoSuchStrategy(word.to_owned()))
    }
}

/// What the suffix of a metric's name depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// A gauge.
    Gauge,
    /// A sum that may fall: a gauge to Prometheus, but of things even where its unit is 1.
    UpDownCounter,
    /// A sum that only grows.
    Counter,
    /// A histogram, explicit or exponential.
    Histogram,
    /// A summary.
    Summary,
    /// Anything else: no type suffix.
    Unknown,
}

impl MetricKind {
    /// The word Prometheus's metadata uses.
    pub fn prometheus_type(self) -> &'static str {
        match self {
            MetricKind::Gauge | MetricKind::UpDownCounter => "gauge",
            MetricKind::Counter => "counter",
            MetricKind::Histogram => "histogram",
            MetricKind::Summary => "summary",
            MetricKind::Unknown => "unknown",
        }
    }
}

/// How names and labels are made. [`Policy::default`] is what the specification asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Put in front of every metric name, with an underscore; nothing if empty.
    pub namespace: String,
    /// Whether series carry `otel_scope_name`, `otel_scope_version`, `otel_scope_schema_url` and `otel_scope_<attribute>`.
    pub scope_labels: bool,
    /// How much of OTLP's names is kept.
    pub strategy: Strategy,
    /// Resource attributes that every series of the resource carries as labels.
    pub promoted: Vec<String>,
    /// Whether units are spelled as Prometheus does where it differs from the specification: `tibibytes` for TiBy, and `kBy`
    /// as it is.
    pub prometheus_spelling: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            namespace: String::new(),
            scope_labels: true,
            strategy: Strategy::default(),
            promoted: Vec::new(),
            prometheus_spelling: false,
        }
    }
}

/// The scope attribute that says where series were born. Those of [`ORIGIN_PROMETHEUS`] have Prometheus's names and labels
/// already: they are never translated.
pub const ORIGIN: &str = "sextant.origin";

/// See [`ORIGIN`].
pub const ORIGIN_PROMETHEUS: &str = "prometheus";

/// The scope of overflow series: points of series beyond a metric's limit, added up by Sextant. So they are told from those that an SDK has
/// added up, which have one sender each and are points like any other.
pub const OVERFLOW_SCOPE: &str = "sextant.overflow";

/// The attribute that OpenTelemetry's SDKs give to such series.
pub const OVERFLOW: &str = "otel.metric.overflow";

/// A metric whose name has not one character that Prometheus accepts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("metric name {name:?} has no character that can stand in a Prometheus name")]
pub struct NameError {
    name: String,
}

impl Policy {
    /// The Prometheus name of a metric, without the suffixes of single series (`_bucket`, `_sum`, `_count`).
    pub fn metric_name(&self, name: &str, unit: &str, kind: MetricKind) -> Result<String, NameError> {
        match self.strategy {
            Strategy::UnderscoreEscapingWithSuffixes => self.tokens_with_suffixes(name, unit, kind),
            Strategy::UnderscoreEscapingWithoutSuffixes => self.escaped(name),
            Strategy::NoUtf8EscapingWithSuffixes => self.kept_with_suffixes(name, unit, kind),
            Strategy::NoTranslation => self.kept(name),
        }
    }

    fn tokens_with_suffixes(&self, name: &str, unit: &str, kind: MetricKind) -> Result<String, NameError> {
        let mut tokens: Vec<String> = metric_tokens(name).map(str::to_owned).collect();
        if tokens.is_empty() {
            return Err(NameError { name: name.to_owned() });
        }
        self.add_unit(&mut tokens, unit);
        match kind {
            MetricKind::Counter => move_last(&mut tokens, "total"),
            // Counters of things often bear the unit 1, but are no ratios: only gauges get the suffix.
            MetricKind::Gauge if unit.trim() == "1" => move_last(&mut tokens, "ratio"),
            _ => {}
        }
        if !self.namespace.is_empty() {
            tokens.splice(0..0, metric_tokens(&self.namespace).map(str::to_owned));
        }
        Ok(with_a_letter_first(tokens.join("_")))
    }

    // Runs of odd characters become one underscore; those that were there stay as many as they are.
    fn escaped(&self, name: &str) -> Result<String, NameError> {
        let escape = |text: &str| {
            let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == ':' || c == '_';
            let pieces: Vec<&str> = text.split(|c| !is_of_name(c)).filter(|piece| !piece.is_empty()).collect();
            pieces.join("_")
        };
        let escaped = escape(name);
        if escaped.is_empty() {
            return Err(NameError { name: name.to_owned() });
        }
        let namespace = escape(&self.namespace);
        Ok(with_a_letter_first(if namespace.is_empty() { escaped } else { format!("{namespace}_{escaped}") }))
    }

    fn kept(&self, name: &str) -> Result<String, NameError> {
        if name.is_empty() {
            return Err(NameError { name: name.to_owned() });
        }
        Ok(if self.namespace.is_empty() { name.to_owned() } else { format!("{}_{name}", self.namespace) })
    }

    fn kept_with_suffixes(&self, name: &str, unit: &str, kind: MetricKind) -> Result<String, NameError> {
        let mut name = self.kept(name)?;
        let (main, per) = self.unit_suffixes(unit);
        let per = if per.is_empty() { per } else { format!("per_{per}") };
        let last = match kind {
            MetricKind::Counter => "total",
            MetricKind::Gauge if unit.trim() == "1" => "ratio",
            _ => "",
        };
        // What is to stand last is cut off where it stands already.
        for suffix in [last, &per] {
            cut_suffix(&mut name, suffix);
        }
        if !name.ends_with(&main) {
            name = format!("{name}_{main}");
        }
        for suffix in [&per, last].into_iter().filter(|suffix| !suffix.is_empty()) {
            name = format!("{name}_{suffix}");
        }
        Ok(name)
    }

    fn label_name<'a>(&self, key: &'a str) -> Cow<'a, str> {
        if self.strategy.escapes() { Cow::Owned(label_name(key)) } else { Cow::Borrowed(key) }
    }

    /// The labels of the series `metric` (a finished Prometheus name) with this identity.
    pub fn labels(&self, metric: &str, identity: &Identity<'_>) -> Labels {
        let mut named: Vec<(&str, String, String)> = Vec::new();
        let mut add = |key, label: String, value: String| named.push((key, label, value));
        for (key, value) in identity.attributes {
            add(key, self.label_name(key).into_owned(), value.to_text());
        }
        for key in &self.promoted {
            if let Some((key, value)) = identity.resource.iter().rev().find(|(name, _)| name == key) {
                add(key, self.label_name(key).into_owned(), value.to_text());
            }
        }
        if self.scope_labels {
            add(SCOPE_NAME, SCOPE_NAME.to_owned(), identity.scope_name.to_owned());
            add(SCOPE_VERSION, SCOPE_VERSION.to_owned(), identity.scope_version.to_owned());
            add(SCOPE_SCHEMA_URL, SCOPE_SCHEMA_URL.to_owned(), identity.scope_schema_url.to_owned());
            for (key, value) in identity.scope_attributes {
                let label = self.label_name(&format!("otel_scope_{key}")).into_owned();
                // The specification drops scope attributes that would pass for the scope's own name, version or schema.
                if ![SCOPE_NAME, SCOPE_VERSION, SCOPE_SCHEMA_URL].contains(&label.as_str()) {
                    add(key, label, value.to_text());
                }
            }
        }
        let mut pairs = join_collisions(named);
        // The resource's identity and the name stand last: they win over attributes that happen to be called the same.
        pairs.extend(self.target(identity.resource));
        pairs.push((METRIC_NAME.to_owned(), metric.to_owned()));
        Labels::new(pairs)
    }

    /// The labels of the series `target_info` of a resource: what a resource says beyond who it is. `None` if it says nothing,
    /// or not who it is.
    pub fn target_info(&self, resource: &[(String, AttributeValue)]) -> Option<Labels> {
        let target = self.target(resource);
        let rest: Vec<_> = resource.iter().filter(|(key, _)| !IDENTIFYING.contains(&key.as_str())).collect();
        if target.is_empty() || rest.is_empty() {
            return None;
        }
        let named = rest.iter().map(|(key, value)| (key.as_str(), self.label_name(key).into_owned(), value.to_text()));
        let mut pairs = join_collisions(named.collect());
        pairs.extend(target);
        pairs.push((METRIC_NAME.to_owned(), TARGET_INFO.to_owned()));
        Some(Labels::new(pairs))
    }

    /// `job` and `instance`, from `service.namespace`, `service.name` and `service.instance.id`.
    fn target(&self, resource: &[(String, AttributeValue)]) -> Vec<(String, String)> {
        let text = |key: &str| {
            let (_, value) = resource.iter().rev().find(|(name, _)| name == key)?;
            Some(value.to_text()).filter(|text| !text.is_empty())
        };
        let job = match (text("service.namespace"), text("service.name")) {
            (Some(namespace), Some(name)) => Some(format!("{namespace}/{name}")),
            (_, name) => name,
        };
        let pair = |label: &str, value: Option<String>| value.map(|value| (label.to_owned(), value));
        pair("job", job).into_iter().chain(pair("instance", text("service.instance.id"))).collect()
    }

    fn add_unit(&self, tokens: &mut Vec<String>, unit: &str) {
        let (main, per) = self.unit_suffixes(unit);
        let missing = |word: &str| !word.is_empty() && !tokens.iter().any(|token| token == word);
        let (add_main, add_per) = (missing(&main), missing(&per));
        if add_main {
            tokens.push(main);
        }
        if add_per {
            tokens.push("per".to_owned());
            tokens.push(per);
        }
    }

    // The words of the unit and of what it is per; empty if there is none.
    fn unit_suffixes(&self, unit: &str) -> (String, String) {
        let unit = without_annotations(unit);
        let (main, per) = unit.split_once('/').unwrap_or((&unit, ""));
        let main = main.trim();
        let of_prometheus = PROMETHEUS_UNITS.iter().find(|(code, _)| self.prometheus_spelling && *code == main);
        let main = of_prometheus.map_or_else(|| unit_suffix(main, &UNITS), |(_, word)| (*word).to_owned());
        (main, unit_suffix(per.trim(), &PER_UNITS))
    }
}

/// The series that says what is known of a target beyond its labels `job` and `instance`.
pub const TARGET_INFO: &str = "target_info";

// What becomes `job` and `instance`.
const IDENTIFYING: [&str; 3] = ["service.namespace", "service.name", "service.instance.id"];

/// What the labels of a series are made of.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Attributes of the resource.
    pub resource: &'a [(String, AttributeValue)],
    /// Name of the instrumentation scope, empty if unknown.
    pub scope_name: &'a str,
    /// Version of the instrumentation scope.
    pub scope_version: &'a str,
    /// Schema URL of the instrumentation scope.
    pub scope_schema_url: &'a str,
    /// Attributes of the instrumentation scope.
    pub scope_attributes: &'a [(String, AttributeValue)],
    /// Attributes of the point.
    pub attributes: &'a [(String, AttributeValue)],
}

const SCOPE_NAME: &str = "otel_scope_name";
const SCOPE_VERSION: &str = "otel_scope_version";
const SCOPE_SCHEMA_URL: &str = "otel_scope_schema_url";

/// The label name for an attribute's key: odd characters become `_`, runs of `_` one, a leading digit gets `key_` before it.
pub fn label_name(key: &str) -> String {
    // Names in double underscores are Prometheus's own (`__name__`): such a key stays as it is.
    if key.len() > 4 && key.starts_with("__") && key.ends_with("__") && key.bytes().all(is_label_byte) {
        return key.to_owned();
    }
    let mut label = String::with_capacity(key.len() + 4);
    if key.starts_with(|first: char| first.is_ascii_digit()) {
        label.push_str("key_");
    }
    for c in key.chars() {
        let c = if c.is_ascii() && is_label_byte(c as u8) { c } else { '_' };
        if c != '_' || !label.ends_with('_') {
            label.push(c);
        }
    }
    if label.is_empty() { "_".to_owned() } else { label }
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

// Several keys may become one label: then the values stand in the order of the original keys, joined by semicolons.
fn join_collisions(mut named: Vec<(&str, String, String)>) -> Vec<(String, String)> {
    named.sort_by(|a, b| (&a.1, a.0).cmp(&(&b.1, b.0)));
    let mut pairs: Vec<(String, String)> = Vec::with_capacity(named.len() + 3);
    for (_, label, value) in named {
        match pairs.last_mut() {
            // An absent scope name or an empty attribute is no value to be joined.
            Some((last, joined)) if *last == label => {
                if !joined.is_empty() && !value.is_empty() {
                    joined.push(';');
                }
                joined.push_str(&value);
            }
            _ => pairs.push((label, value)),
        }
    }
    pairs
}

// Underscores separate tokens like any other character that is none of a name: runs of them collapse, ends are cut.
fn metric_tokens(name: &str) -> impl Iterator<Item = &str> {
    name.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':')).filter(|token| !token.is_empty())
}

fn move_last(tokens: &mut Vec<String>, word: &str) {
    tokens.retain(|token| token != word);
    tokens.push(word.to_owned());
}

fn with_a_letter_first(name: String) -> String {
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}

// Cuts off a suffix together with the character before it, unless nothing would be left.
fn cut_suffix(name: &mut String, suffix: &str) {
    if suffix.is_empty() || name.len() <= suffix.len() + 1 || !name.ends_with(suffix) {
        return;
    }
    name.truncate(name.len() - suffix.len());
    name.pop();
}

// UCUM annotations, `{request}`, say what is counted; they are not part of the unit.
fn without_annotations(unit: &str) -> String {
    let mut kept = String::with_capacity(unit.len());
    let mut depth = 0u32;
    for c in unit.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 => kept.push(c),
            _ => {}
        }
    }
    kept
}

/// The words of a unit as metric names bear them: `By/s` is `bytes_per_second`. Empty for `1` and for no unit.
pub fn unit_words(unit: &str) -> String {
    let mut tokens = Vec::new();
    Policy::default().add_unit(&mut tokens, unit);
    tokens.join("_")
}

fn unit_suffix(unit: &str, words: &[(&str, &str)]) -> String {
    match words.iter().find(|(code, _)| *code == unit) {
        Some((_, word)) => (*word).to_owned(),
        None => metric_tokens(unit).collect::<Vec<_>>().join("_"),
    }
}

// UCUM codes and the words OpenMetrics likes. `KBy` is not UCUM's, but is sent.
const UNITS: [(&str, &str); 30] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tebibytes"),
    ("kBy", "kilobytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
    ("1", ""),
    ("", ""),
    ("µs", "microseconds"),
    ("μs", "microseconds"),
];

// Where Prometheus's translator spells otherwise than the specification.
const PROMETHEUS_UNITS: [(&str, &str); 2] = [("TiBy", "tibibytes"), ("kBy", "kBy")];

const PER_UNITS: [(&str, &str); 8] = [
    ("s", "second"),
    ("m", "minute"),
    ("min", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names() {
        use MetricKind::{Counter, Gauge, Histogram, Summary, Unknown, UpDownCounter};
        for (name, unit, kind, expected) in [
            ("http.server.request.duration", "s", Histogram, "http_server_request_duration_seconds"),
            ("requests.count", "1", Counter, "requests_count_total"),
            ("memory.usage", "By", Gauge, "memory_usage_bytes"),
            ("cpu.utilization", "1", Gauge, "cpu_utilization_ratio"),
            ("response_time", "ms", Gauge, "response_time_milliseconds"),
            ("requests", "1/s", Gauge, "requests_per_second"),
            ("throughput", "By/s", Gauge, "throughput_bytes_per_second"),
            ("custom_metric", "{custom}", Gauge, "custom_metric"),
            ("custom_metric", "By/{custom}", Gauge, "custom_metric_bytes"),
            ("requests_total", "", Counter, "requests_total"),
            ("response_time_seconds", "s", Gauge, "response_time_seconds"),
            ("otelcol_process_cpu_seconds", "s", Counter, "otelcol_process_cpu_seconds_total"),
            ("123metric", "", Gauge, "_123metric"),
            ("metric@@##$$name", "", Gauge, "metric_name"),
            // Not in the golden table, but of the same rules.
            ("total.requests", "", Counter, "requests_total"),
            ("seconds.since.start", "s", Counter, "seconds_since_start_total"),
            ("ratio.of.hits", "1", Gauge, "of_hits_ratio"),
            ("queue.length", "1", UpDownCounter, "queue_length"),
            ("pool.memory", "By", UpDownCounter, "pool_memory_bytes"),
            ("packets", "{packet}/s", Gauge, "packets_per_second"),
            ("packets", "{packet}", Counter, "packets_total"),
            ("queue__depth_", "", Unknown, "queue_depth"),
            ("node:cpu:rate5m", "", Gauge, "node:cpu:rate5m"),
            ("speed", "km/h", Gauge, "speed_km_per_hour"),
            ("flow", "m/min", Gauge, "flow_meters_per_minute"),
            ("disk.io", "KBy", Counter, "disk_io_kilobytes_total"),
            ("disk.size", "TiBy", Gauge, "disk_size_tebibytes"),
            ("humidity", "%", Gauge, "humidity_percent"),
            ("latency", "µs", Summary, "latency_microseconds"),
            ("weight", "odd unit!", Gauge, "weight_odd_unit"),
            ("größe", "By", Gauge, "gr_e_bytes"),
        ] {
            assert_eq!(Policy::default().metric_name(name, unit, kind).as_deref(), Ok(expected), "{name} in {unit}");
        }
    }

    #[test]
    fn strategies() {
        use MetricKind::{Counter, Gauge, Histogram};
        for (name, unit, kind, plain, kept_with, kept) in [
            (
                "http.server.request.duration",
                "s",
                Histogram,
                "http_server_request_duration",
                "http.server.request.duration_seconds",
                "http.server.request.duration",
            ),
            ("requests.count", "1", Counter, "requests_count", "requests.count_total", "requests.count"),
            ("memory.usage", "By", Gauge, "memory_usage", "memory.usage_bytes", "memory.usage"),
            ("cpu.utilization", "1", Gauge, "cpu_utilization", "cpu.utilization_ratio", "cpu.utilization"),
            ("throughput", "By/s", Gauge, "throughput", "throughput_bytes_per_second", "throughput"),
            ("requests", "1/s", Counter, "requests", "requests_per_second_total", "requests"),
            ("requests_total", "", Counter, "requests_total", "requests_total", "requests_total"),
            ("wait.seconds", "s", Gauge, "wait_seconds", "wait.seconds", "wait.seconds"),
            ("123metric", "", Gauge, "_123metric", "123metric", "123metric"),
            ("metric@@##$$name", "", Gauge, "metric_name", "metric@@##$$name", "metric@@##$$name"),
            ("queue__depth_", "", Gauge, "queue__depth_", "queue__depth_", "queue__depth_"),
            ("größe", "By", Gauge, "gr_e", "größe_bytes", "größe"),
            ("total", "", Counter, "total", "total_total", "total"),
        ] {
            for (strategy, expected) in [
                (Strategy::UnderscoreEscapingWithoutSuffixes, plain),
                (Strategy::NoUtf8EscapingWithSuffixes, kept_with),
                (Strategy::NoTranslation, kept),
            ] {
                let policy = Policy { strategy, ..Policy::default() };
                assert_eq!(policy.metric_name(name, unit, kind).as_deref(), Ok(expected), "{name} in {unit}");
            }
        }
        for strategy in Strategy::ALL {
            assert_eq!(strategy.as_str().parse(), Ok(strategy));
            let policy = Policy { strategy, ..Policy::default() };
            assert_eq!(policy.metric_name("@#$%", "", Gauge).is_err(), strategy.escapes());
            assert!(policy.metric_name("", "", Gauge).is_err());
        }
        assert!("underscores".parse::<Strategy>().is_err());
    }

    #[test]
    fn prometheus_spells_two_units_its_own_way() {
        let policy = Policy { prometheus_spelling: true, ..Policy::default() };
        for (unit, expected) in [("TiBy", "size_tibibytes"), ("kBy", "size_kBy"), ("KBy", "size_kilobytes")] {
            assert_eq!(policy.metric_name("size", unit, MetricKind::Gauge).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn kept_names_make_kept_labels_and_resources_can_be_promoted() {
        let policy = Policy {
            strategy: Strategy::NoTranslation,
            promoted: vec!["host.name".to_owned(), "absent".to_owned()],
            ..Policy::default()
        };
        check_labels(
            &policy,
            &[("service.name", "a"), ("host.name", "h")],
            &[("http.route", "/")],
            r#"{__name__="up", "host.name"="h", "http.route"="/", job="a", otel_scope_name="shop", "otel_scope_team.name"="core", otel_scope_version="1.2"}"#,
        );
    }

    #[test]
    fn target_info_says_what_a_resource_says_beyond_who_it_is() {
        let info = |resource: &[(&str, &str)]| {
            let resource: Vec<_> = resource.iter().map(|(key, value)| text(key, value)).collect();
            Policy::default().target_info(&resource).map(|labels| labels.to_string())
        };
        assert_eq!(
            info(&[("service.name", "a"), ("service.instance.id", "i"), ("host.name", "h")]).as_deref(),
            Some(r#"{__name__="target_info", host_name="h", instance="i", job="a"}"#)
        );
        assert_eq!(info(&[("service.name", "a")]), None);
        assert_eq!(info(&[("host.name", "h")]), None);
    }

    #[test]
    fn units_as_words() {
        for (unit, expected) in [
            ("By/s", "bytes_per_second"),
            ("1", ""),
            ("", ""),
            ("{request}", ""),
            ("1/s", "per_second"),
            ("s", "seconds"),
        ] {
            assert_eq!(unit_words(unit), expected, "{unit}");
        }
    }

    #[test]
    fn namespace_stands_first() {
        let policy = Policy { namespace: "app".to_owned(), ..Policy::default() };
        let name = policy.metric_name("requests", "1/s", MetricKind::Counter);
        assert_eq!(name.as_deref(), Ok("app_requests_per_second_total"));
    }

    #[test]
    fn refuses_names_without_a_letter() {
        for name in ["@#$%", "", "___", "…"] {
            assert!(Policy::default().metric_name(name, "", MetricKind::Gauge).is_err(), "{name}");
        }
    }

    #[test]
    fn label_names() {
        for (key, expected) in [
            ("http.request.method", "http_request_method"),
            ("a__b..c", "a_b_c"),
            ("0day", "key_0day"),
            ("_private", "_private"),
            ("__name__", "__name__"),
            ("__", "_"),
            ("ключ", "_"),
            ("", "_"),
            ("a-b:c", "a_b_c"),
        ] {
            assert_eq!(label_name(key), expected, "{key}");
        }
    }

    fn text(key: &str, value: &str) -> (String, AttributeValue) {
        (key.to_owned(), AttributeValue::String(value.to_owned()))
    }

    fn check_labels(policy: &Policy, resource: &[(&str, &str)], attributes: &[(&str, &str)], expected: &str) {
        let own = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| text(k, v)).collect::<Vec<_>>();
        let (resource, attributes) = (own(resource), own(attributes));
        let scope_attributes = [text("team.name", "core"), text("version", "hidden")];
        let identity = Identity {
            resource: &resource,
            scope_name: "shop",
            scope_version: "1.2",
            scope_schema_url: "",
            scope_attributes: &scope_attributes,
            attributes: &attributes,
        };
        assert_eq!(policy.labels("up", &identity).to_string(), expected);
    }

    #[test]
    fn series_labels() {
        let bare = Policy { scope_labels: false, ..Policy::default() };
        let full = Policy::default();
        check_labels(&bare, &[], &[], r#"{__name__="up"}"#);
        check_labels(&bare, &[("service.name", "a")], &[], r#"{__name__="up", job="a"}"#);
        check_labels(&bare, &[("service.namespace", "n")], &[], r#"{__name__="up"}"#);
        check_labels(
            &bare,
            &[("service.name", "a"), ("service.namespace", "n"), ("service.instance.id", "i"), ("host.name", "h")],
            &[("job", "mine"), ("http.route", "/"), ("__name__", "x")],
            r#"{__name__="up", http_route="/", instance="i", job="n/a"}"#,
        );
        check_labels(
            &bare,
            &[],
            &[("a_b", "3"), ("a.b", "2"), ("a-b", "1"), ("empty", "")],
            r#"{__name__="up", a_b="1;2;3"}"#,
        );
        check_labels(
            &full,
            &[],
            &[],
            r#"{__name__="up", otel_scope_name="shop", otel_scope_team_name="core", otel_scope_version="1.2"}"#,
        );
        check_labels(
            &full,
            &[],
            &[("otel.scope.name", "point"), ("otel.scope.schema.url", "u")],
            r#"{__name__="up", otel_scope_name="point;shop", otel_scope_schema_url="u", otel_scope_team_name="core", otel_scope_version="1.2"}"#,
        );
    }

    #[test]
    fn values_become_text() {
        let attributes = [
            ("i".to_owned(), AttributeValue::Int(-5)),
            ("b".to_owned(), AttributeValue::Bool(true)),
            ("d".to_owned(), AttributeValue::Double(0.5)),
            ("a".to_owned(), AttributeValue::Array(vec![AttributeValue::Int(1), AttributeValue::Empty])),
        ];
        let identity = Identity {
            resource: &[],
            scope_name: "",
            scope_version: "",
            scope_schema_url: "",
            scope_attributes: &[],
            attributes: &attributes,
        };
        assert_eq!(
            Policy::default().labels("up", &identity).to_string(),
            r#"{__name__="up", a="[1,null]", b="true", d="0.5", i="-5"}"#
        );
    }
}
