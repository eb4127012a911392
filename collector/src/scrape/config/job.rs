//! A job: what one entry of `scrape_configs` says.

use std::path::Path;

use model::duration::format_duration;

use super::discovery::{FileDiscovery, Group, HttpDiscovery};
use super::http::HttpConfig;
use super::{ConfigError, Defaults, FAILURE_LOG, Passed, discovery, http, relabel};
use crate::limits::SCRAPE_INTERVAL_MIN_MS;
use crate::scrape::exposition::Format;
use crate::scrape::relabel::Rule;
use crate::scrape::size;
use model::yaml::{Map, Node, Source};

/// Targets that are scraped alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its name, and the label `job` of its targets unless they say otherwise.
    pub name: String,
    /// Between two scrapes.
    pub interval_ms: i64,
    /// How long one may take.
    pub timeout_ms: i64,
    /// Where metrics are.
    pub metrics_path: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Parameters of the URL.
    pub params: Vec<(String, Vec<String>)>,
    /// Whether labels that are scraped win over the target's.
    pub honor_labels: bool,
    /// Whether times that are scraped count.
    pub honor_timestamps: bool,
    /// Whether series end although they come with times.
    pub track_timestamps_staleness: bool,
    /// How it is asked.
    pub http: HttpConfig,
    /// Targets of the file itself.
    pub static_groups: Vec<Group>,
    /// Files of targets.
    pub file_sd: Vec<FileDiscovery>,
    /// Lists of targets.
    pub http_sd: Vec<HttpDiscovery>,
    /// What makes targets of what is discovered.
    pub relabel: Vec<Rule>,
    /// What makes series of what is scraped.
    pub metric_relabel: Vec<Rule>,
    /// Bounds.
    pub limits: Limits,
    /// What formats are asked for.
    pub protocols: Vec<Protocol>,
    /// The format of answers that do not say.
    pub fallback: Option<Format>,
}

/// Bounds of a job; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Samples of one scrape after relabelling.
    pub samples: u64,
    /// Labels of a series.
    pub labels: u64,
    /// Bytes of a label's name.
    pub label_name_bytes: u64,
    /// Bytes of a label's value.
    pub label_value_bytes: u64,
    /// Targets of the job.
    pub targets: u64,
    /// Dropped targets that are shown.
    pub kept_dropped_targets: u64,
    /// Bytes of an answer, after decompression.
    pub body_bytes: u64,
}

/// What a target may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OpenMetrics 1.0.0.
    OpenMetrics1,
    /// OpenMetrics 0.0.1.
    OpenMetrics0,
    /// Prometheus's text with UTF-8 names.
    Text1,
    /// Prometheus's text.
    Text0,
}

impl Protocol {
    const ALL: [Protocol; 4] = [Protocol::OpenMetrics1, Protocol::OpenMetrics0, Protocol::Text1, Protocol::Text0];

    fn as_str(self) -> &'static str {
        match self {
            Protocol::OpenMetrics1 => "OpenMetricsText1.0.0",
            Protocol::OpenMetrics0 => "OpenMetricsText0.0.1",
            Protocol::Text1 => "PrometheusText1.0.0",
            Protocol::Text0 => "PrometheusText0.0.4",
        }
    }

    /// What `Accept` says.
    pub fn media_type(self) -> &'static str {
        match self {
            Protocol::OpenMetrics1 => "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
            Protocol::OpenMetrics0 => "application/openmetrics-text;version=0.0.1",
            Protocol::Text1 => "text/plain;version=1.0.0;escaping=allow-utf-8",
            Protocol::Text0 => "text/plain;version=0.0.4",
        }
    }

    fn format(self) -> Format {
        match self {
            Protocol::OpenMetrics1 | Protocol::OpenMetrics0 => Format::OpenMetrics,
            Protocol::Text1 | Protocol::Text0 => Format::Text,
        }
    }
}

impl Job {
    /// A job of this name with Prometheus's defaults and no targets.
    pub fn named(name: &str) -> Self {
        let defaults = Defaults::default();
        Self {
            name: name.to_owned(),
            interval_ms: defaults.interval_ms,
            timeout_ms: defaults.timeout_ms,
            metrics_path: "/metrics".to_owned(),
            scheme: "http".to_owned(),
            params: Vec::new(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            http: HttpConfig::default(),
            static_groups: Vec::new(),
            file_sd: Vec::new(),
            http_sd: Vec::new(),
            relabel: Vec::new(),
            metric_relabel: Vec::new(),
            limits: Limits::default(),
            protocols: Protocol::ALL.to_vec(),
            fallback: None,
        }
    }

    /// Whether the same lines of a target come to the same series.
    pub(in crate::scrape) fn reads_like(&self, other: &Self) -> bool {
        (self.honor_labels, self.limits) == (other.honor_labels, other.limits)
            && self.metric_relabel == other.metric_relabel
    }
}

const PROTOBUF: &str = "the text formats are read; remove it";

/// A job; what it says that is not about scraping is told in `passed`.
pub(super) fn read(
    source: Source<'_>,
    node: &Node,
    defaults: &Defaults,
    folder: &Path,
    passed: &mut Vec<Passed>,
) -> Result<Job, ConfigError> {
    let map = node.map(source, "scrape_configs")?;
    Passed::add(passed, &map, &[FAILURE_LOG]);
    let name = map.text("job_name")?.unwrap_or_default();
    if name.is_empty() {
        return Err(source.error(map.line, "a job has no job_name", "write `job_name:`"));
    }
    discovery::refuse_others(&map)?;
    refuse(&map)?;
    let (interval_ms, timeout_ms) = times(&map, defaults)?;
    let scheme = map.text("scheme")?.unwrap_or_else(|| "http".to_owned());
    if !matches!(scheme.as_str(), "http" | "https") {
        return Err(map.error("scheme", format!("scheme is {scheme:?}"), "write http or https"));
    }
    let mut params = Vec::new();
    if let Some(named) = map.map("params")? {
        for (key, _, node) in named.pairs() {
            let texts = node.texts(source, &named.name(key))?;
            params.push((key.to_owned(), texts.into_iter().map(|(text, _)| text).collect()));
        }
    }
    let base = Job::named(&name);
    let job = Job {
        interval_ms,
        timeout_ms,
        scheme,
        params,
        metrics_path: map.text("metrics_path")?.unwrap_or(base.metrics_path),
        honor_labels: map.boolean("honor_labels")?.unwrap_or(false),
        honor_timestamps: map.boolean("honor_timestamps")?.unwrap_or(true),
        track_timestamps_staleness: map.boolean("track_timestamps_staleness")?.unwrap_or(false),
        http: http::read(source, &map, folder)?,
        static_groups: discovery::groups(source, map.list("static_configs")?, "static_configs")?,
        file_sd: each(&map, "file_sd_configs", |node| discovery::files(source, node, folder))?,
        http_sd: each(&map, "http_sd_configs", |node| discovery::over_http(source, node, folder))?,
        relabel: relabel::rules(source, &map, "relabel_configs")?,
        metric_relabel: relabel::rules(source, &map, "metric_relabel_configs")?,
        limits: defaults.limits.read(&map)?,
        protocols: protocols(&map)?.or_else(|| defaults.accept.clone()).unwrap_or(base.protocols),
        fallback: fallback(&map)?,
        name,
    };
    map.end()?;
    Ok(job)
}

fn each<T>(
    map: &Map<'_>,
    key: &'static str,
    read: impl Fn(&Node) -> Result<T, ConfigError>,
) -> Result<Vec<T>, ConfigError> {
    map.list(key)?.iter().map(read).collect()
}

/// Refuses what is about native histograms, which the text formats do not have.
pub(super) fn refuse(map: &Map<'_>) -> Result<(), ConfigError> {
    const NATIVE: &str =
        "native histograms come with protobuf alone, which is not read; let the program send OTLP or remote write";
    for (key, hint) in [
        ("scrape_native_histograms", NATIVE),
        ("convert_classic_histograms_to_nhcb", "they are stored as they are scraped; remove it"),
    ] {
        if map.boolean(key)? == Some(true) {
            return Err(map.error(key, format!("{} is not supported", map.name(key)), hint));
        }
    }
    map.refuse(&[
        ("native_histogram_bucket_limit", NATIVE),
        ("native_histogram_min_bucket_factor", NATIVE),
        ("metric_name_escaping_scheme", "names are asked for as they are; remove it"),
    ])?;
    // What Sextant does anyway.
    map.boolean("always_scrape_classic_histograms")?;
    match map.text("metric_name_validation_scheme")?.as_deref() {
        None | Some("utf8") => Ok(()),
        Some(other) => {
            let message = format!("metric_name_validation_scheme is {other:?}");
            Err(map.error("metric_name_validation_scheme", message, "names may have any characters; remove it"))
        }
    }
}

fn times(map: &Map<'_>, defaults: &Defaults) -> Result<(i64, i64), ConfigError> {
    let interval_ms = interval(map)?.unwrap_or(defaults.interval_ms);
    let timeout_ms = map.duration("scrape_timeout")?.unwrap_or(defaults.timeout_ms.min(interval_ms));
    check_timeout(map, interval_ms, timeout_ms)?;
    Ok((interval_ms, timeout_ms))
}

pub(super) fn interval(map: &Map<'_>) -> Result<Option<i64>, ConfigError> {
    let interval_ms = map.duration("scrape_interval")?;
    if interval_ms.is_some_and(|interval_ms| interval_ms < SCRAPE_INTERVAL_MIN_MS) {
        let message = format!("{} is shorter than {SCRAPE_INTERVAL_MIN_MS} ms", map.name("scrape_interval"));
        return Err(map.error("scrape_interval", message, "write a longer one, such as 15s"));
    }
    Ok(interval_ms)
}

pub(super) fn check_timeout(map: &Map<'_>, interval_ms: i64, timeout_ms: i64) -> Result<(), ConfigError> {
    if (1..=interval_ms).contains(&timeout_ms) {
        return Ok(());
    }
    let (timeout, interval) = (format_duration(timeout_ms), format_duration(interval_ms));
    let message = format!("scrape_timeout is {timeout}, and scrape_interval {interval}");
    Err(map.error("scrape_timeout", message, "write a timeout that is at most the interval, and more than 0"))
}

impl Limits {
    /// The same with what is said here.
    pub(super) fn read(self, map: &Map<'_>) -> Result<Self, ConfigError> {
        let body_bytes = match map.text("body_size_limit")? {
            None => self.body_bytes,
            Some(text) => size::parse_bytes(&text).ok_or_else(|| {
                map.error("body_size_limit", format!("body_size_limit is no size: {text:?}"), "write it like 10MB")
            })?,
        };
        Ok(Self {
            samples: map.number("sample_limit")?.unwrap_or(self.samples),
            labels: map.number("label_limit")?.unwrap_or(self.labels),
            label_name_bytes: map.number("label_name_length_limit")?.unwrap_or(self.label_name_bytes),
            label_value_bytes: map.number("label_value_length_limit")?.unwrap_or(self.label_value_bytes),
            targets: map.number("target_limit")?.unwrap_or(self.targets),
            kept_dropped_targets: map.number("keep_dropped_targets")?.unwrap_or(self.kept_dropped_targets),
            body_bytes,
        })
    }
}

/// The list `scrape_protocols`, if it is there.
pub(super) fn protocols(map: &Map<'_>) -> Result<Option<Vec<Protocol>>, ConfigError> {
    let named = map.texts("scrape_protocols")?;
    let mut found = Vec::new();
    for (name, _) in &named {
        found.push(protocol(map, "scrape_protocols", name)?);
    }
    Ok((!found.is_empty()).then_some(found))
}

fn protocol(map: &Map<'_>, key: &'static str, name: &str) -> Result<Protocol, ConfigError> {
    let known = Protocol::ALL.into_iter().find(|protocol| protocol.as_str() == name);
    known.ok_or_else(|| match name {
        "PrometheusProto" => map.error(key, format!("{key}: {name} is not supported"), PROTOBUF),
        _ => {
            let names = Protocol::ALL.map(Protocol::as_str).join(", ");
            map.error(key, format!("{key}: there is no {name:?}"), format!("write some of {names}"))
        }
    })
}

fn fallback(map: &Map<'_>) -> Result<Option<Format>, ConfigError> {
    let name = map.text("fallback_scrape_protocol")?;
    name.map(|name| protocol(map, "fallback_scrape_protocol", &name).map(Protocol::format)).transpose()
}
