//! From a row of the store's series to Prometheus's name and labels, done once per series and kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch};
use arrow::datatypes::{Int32Type, UInt8Type, UInt64Type};
use arrow::error::ArrowError;
use model::Labels;
use model::attributes::AttributeValue;
use model::labels::{LabelTexts, METRIC_NAME};
use model::names::{Identity, MetricKind, ORIGIN, ORIGIN_PROMETHEUS, Policy, unit_words};
use store::schema::{column, metric_type};

use super::MetricFacts;
use super::index::Indexes;
use crate::promql::limits;
use crate::promql::matcher::Matcher;
use crate::rows::columns::{AttributeReader, Numbers, Texts};

/// The label of a histogram's bucket.
pub(super) const BUCKET_LABEL: &str = "le";
/// The label of a summary's quantile.
pub(super) const QUANTILE_LABEL: &str = "quantile";

const TEMPORALITY_DELTA: i32 = 1;
const TEMPORALITY_CUMULATIVE: i32 = 2;

/// Translates series and remembers them. Shared by all queries of a server.
#[derive(Debug, Default)]
pub struct Translator {
    policy: Policy,
    target_info: bool,
    // Held for as long as it takes to look up or put in one table's rows.
    known: Mutex<Known>,
    indexes: Mutex<Indexes>,
}

#[derive(Debug, Default)]
struct Known {
    // By `series_id` and `series_check`.
    series: HashMap<(u64, u64), Arc<Translated>>,
    texts: LabelTexts,
}

/// How the points of a series become samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One sample per point.
    Number,
    /// `_bucket`, `_sum`, `_count`.
    Histogram,
    /// Quantiles, `_sum`, `_count`.
    Summary,
    /// One native histogram per point, with exponential buckets.
    Native,
    /// One native histogram per point, with the bounds that it lists: what Prometheus has under this name, and no more than one series.
    Custom,
}

/// One OTLP series in Prometheus's terms.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) id: u64,
    pub(super) shape: Shape,
    /// Whether it was Prometheus's before it was stored, and is taken as it is.
    pub(super) exact: bool,
    /// The Prometheus name without a series' suffix.
    pub(super) name: String,
    /// The labels with that name; of histograms and summaries without `le` and `quantile`.
    pub(super) labels: Labels,
    /// Series with different groups can never have one label set.
    pub(super) group: Labels,
    /// The labels of its resource's `target_info`, if there is one.
    pub(super) target: Option<Labels>,
    /// Whether its points are deltas: their totals are its samples.
    pub(super) is_delta: bool,
    /// Why PromQL cannot have it.
    pub(super) left_out: Option<String>,
    kind: MetricKind,
    help: String,
    unit: String,
}

impl Translator {
    /// Translates by this policy, with or without the series `target_info`.
    pub fn new(policy: Policy, target_info: bool) -> Self {
        Self { policy, target_info, known: Mutex::default(), indexes: Mutex::default() }
    }

    /// Forgets what was translated: it is translated again when it is asked for.
    pub fn forget(&self) {
        // Dropped without the lock.
        let indexes = std::mem::take(&mut *self.indexes());
        let known = std::mem::take(&mut *self.known.lock().unwrap_or_else(PoisonError::into_inner));
        drop((indexes, known));
    }

    pub(super) fn indexes(&self) -> MutexGuard<'_, Indexes> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The series in these rows of a series table; `rows` are pairs of row and series id. Rows without a usable name are left
    /// out.
    pub(super) fn translate(
        &self,
        table: &RecordBatch,
        rows: &[(usize, u64)],
    ) -> Result<Vec<Arc<Translated>>, ArrowError> {
        let checks = Numbers::<UInt64Type>::of(table, column::SERIES_CHECK)?;
        let mut found = Vec::with_capacity(rows.len());
        // Most tables hold nothing new: then their columns are not even looked at.
        let mut reader = None;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for (row, id) in rows {
            let key = (*id, checks.number(*row));
            if let Some(series) = known.series.get(&key) {
                found.push(Arc::clone(series));
                continue;
            }
            let reader = match &mut reader {
                Some(reader) => reader,
                none => none.insert(SeriesReader::new(table)?),
            };
            if known.series.len() >= limits::TRANSLATIONS_MAX {
                *known = Known::default();
            }
            let series = Arc::new(reader.read(&self.policy, self.target_info, *row, *id, &mut known.texts));
            known.series.insert(key, Arc::clone(&series));
            found.push(series);
        }
        Ok(found)
    }
}

impl Translated {
    /// Whether one point becomes several samples.
    pub(super) fn is_compound(&self) -> bool {
        matches!(self.shape, Shape::Histogram | Shape::Summary)
    }

    /// Whether a point is one native histogram.
    pub(super) fn is_native(&self) -> bool {
        matches!(self.shape, Shape::Native | Shape::Custom)
    }

    /// Whether a series that the points may become is accepted, as far as that can be told without the points.
    pub(super) fn may_have(&self, matchers: &[Matcher]) -> bool {
        if self.name.is_empty() {
            return false;
        }
        let accepted = |suffix: &str, point_label: Option<&str>| {
            matchers.iter().all(|matcher| match matcher.name.as_str() {
                METRIC_NAME if suffix.is_empty() => matcher.accepts(&self.name),
                METRIC_NAME => matcher.accepts(&[self.name.as_str(), suffix].concat()),
                name => Some(name) == point_label || matcher.accepts(self.labels.get(name).unwrap_or("")),
            })
        };
        let sum_or_count = || accepted("_sum", None) || accepted("_count", None);
        match self.shape {
            Shape::Number | Shape::Native | Shape::Custom => accepted("", None),
            Shape::Histogram => accepted("_bucket", Some(BUCKET_LABEL)) || sum_or_count(),
            Shape::Summary => accepted("", Some(QUANTILE_LABEL)) || sum_or_count(),
        }
    }

    /// The names of the series that the points become.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let suffixes: &[&str] = match self.shape {
            Shape::Number | Shape::Native | Shape::Custom => &[""],
            Shape::Histogram => &["_bucket", "_sum", "_count"],
            Shape::Summary => &["", "_sum", "_count"],
        };
        suffixes.iter().map(|suffix| [self.name.as_str(), suffix].concat())
    }

    /// The label that only the points have.
    pub(super) fn point_label(&self) -> Option<&'static str> {
        match self.shape {
            Shape::Number | Shape::Native | Shape::Custom => None,
            Shape::Histogram => Some(BUCKET_LABEL),
            Shape::Summary => Some(QUANTILE_LABEL),
        }
    }

    /// The labels of the series `name` + `suffix`.
    pub(super) fn with_suffix(&self, suffix: &str) -> Labels {
        self.labels.with(METRIC_NAME, &[self.name.as_str(), suffix].concat())
    }

    /// The label sets the points become, with a stand-in for the labels that only they know.
    pub(super) fn outline(&self) -> Vec<Labels> {
        let sum_and_count = || [self.with_suffix("_sum"), self.with_suffix("_count")];
        match self.shape {
            Shape::Number | Shape::Native | Shape::Custom => vec![self.labels.clone()],
            Shape::Histogram => {
                let bucket = self.with_suffix("_bucket").with(BUCKET_LABEL, "+Inf");
                sum_and_count().into_iter().chain([bucket]).collect()
            }
            Shape::Summary => {
                let quantile = self.labels.with(QUANTILE_LABEL, "0.5");
                sum_and_count().into_iter().chain([quantile]).collect()
            }
        }
    }

    /// What `metadata` shows; nothing for a series that PromQL does not have.
    pub(super) fn facts(&self) -> Option<MetricFacts> {
        if self.name.is_empty() || self.left_out.is_some() {
            return None;
        }
        Some(MetricFacts {
            name: self.name.clone(),
            kind: self.kind.prometheus_type(),
            help: self.help.clone(),
            unit: self.unit.clone(),
        })
    }
}

// Whether the series has Prometheus's names already, as those of rules have.
fn is_prometheus(scope: &[(String, AttributeValue)]) -> bool {
    scope.iter().any(|(key, value)| {
        key == ORIGIN && matches!(value, AttributeValue::String(origin) if origin == ORIGIN_PROMETHEUS)
    })
}

fn own_labels(name: &str, attributes: &[(String, AttributeValue)]) -> Labels {
    let own = attributes.iter().map(|(key, value)| (key.clone(), value.to_text()));
    Labels::new(own.chain([(METRIC_NAME.to_owned(), name.to_owned())]))
}

// The columns of a series table.
struct SeriesReader {
    service: Texts,
    resource: AttributeReader,
    scope_name: Texts,
    scope_version: Texts,
    scope_schema_url: Texts,
    scope: AttributeReader,
    attributes: AttributeReader,
    metric: Texts,
    description: Texts,
    unit: Texts,
    metric_type: Numbers<UInt8Type>,
    temporality: Numbers<Int32Type>,
    monotonic: Option<BooleanArray>,
}

impl SeriesReader {
    fn new(table: &RecordBatch) -> Result<Self, ArrowError> {
        Ok(Self {
            service: Texts::of(table, column::SERVICE)?,
            resource: AttributeReader::of(table, column::RES_PREFIX, column::ENVELOPE_OVERFLOW)?,
            scope_name: Texts::of(table, column::SCOPE_NAME)?,
            scope_version: Texts::of(table, column::SCOPE_VERSION)?,
            scope_schema_url: Texts::of(table, column::SCOPE_SCHEMA_URL)?,
            scope: AttributeReader::of(table, column::SCOPE_PREFIX, column::ENVELOPE_OVERFLOW)?,
            attributes: AttributeReader::of(table, column::ATTR_PREFIX, column::OVERFLOW)?,
            metric: Texts::of(table, column::METRIC)?,
            description: Texts::of(table, column::DESCRIPTION)?,
            unit: Texts::of(table, column::UNIT)?,
            metric_type: Numbers::of(table, column::TYPE)?,
            temporality: Numbers::of(table, column::TEMPORALITY)?,
            monotonic: table.column_by_name(column::MONOTONIC).and_then(|array| array.as_boolean_opt().cloned()),
        })
    }

    fn read(&self, policy: &Policy, target_info: bool, row: usize, id: u64, texts: &mut LabelTexts) -> Translated {
        let metric = self.metric.text(row);
        let unit = self.unit.text(row);
        let left_out = self.left_out(row, &metric);
        let is_delta = self.counts(row) && self.temporality.number(row) == TEMPORALITY_DELTA;
        let mut resource = self.resource.read(row);
        // The service's name has a column of its own.
        if let Some(service) = self.service.get(row) {
            resource.push(("service.name".to_owned(), AttributeValue::String(service.to_owned())));
        }
        let (scope_attributes, attributes) = (self.scope.read(row), self.attributes.read(row));
        let exact = is_prometheus(&scope_attributes);
        let (shape, kind) = self.shape(row, exact);
        let name = if exact { metric } else { policy.metric_name(&metric, &unit, kind).unwrap_or_default() };
        let identity = Identity {
            resource: &resource,
            scope_name: self.scope_name.get(row).unwrap_or_default(),
            scope_version: self.scope_version.get(row).unwrap_or_default(),
            scope_schema_url: self.scope_schema_url.get(row).unwrap_or_default(),
            scope_attributes: &scope_attributes,
            attributes: &attributes,
        };
        let all = if exact { own_labels(&name, &attributes) } else { policy.labels(&name, &identity) };
        let all = all.sharing(texts);
        let group = all.filter(|label| ![METRIC_NAME, BUCKET_LABEL, QUANTILE_LABEL].contains(&label));
        let labels = match shape {
            Shape::Number | Shape::Native | Shape::Custom => all,
            Shape::Histogram => all.with(BUCKET_LABEL, ""),
            Shape::Summary => all.with(QUANTILE_LABEL, ""),
        };
        let help = self.description.text(row);
        let target = if target_info { policy.target_info(&resource) } else { None };
        let target = target.map(|labels| labels.sharing(texts));
        Translated {
            id,
            shape,
            exact,
            name,
            labels,
            group,
            target,
            is_delta,
            left_out,
            kind,
            help,
            unit: unit_words(&unit),
        }
    }

    fn shape(&self, row: usize, exact: bool) -> (Shape, MetricKind) {
        let monotonic = self.monotonic.as_ref().is_some_and(|array| array.is_valid(row) && array.value(row));
        match self.metric_type.number(row) {
            metric_type::SUM if monotonic => (Shape::Number, MetricKind::Counter),
            metric_type::SUM => (Shape::Number, MetricKind::UpDownCounter),
            metric_type::GAUGE => (Shape::Number, MetricKind::Gauge),
            metric_type::HISTOGRAM if exact => (Shape::Custom, MetricKind::Histogram),
            metric_type::HISTOGRAM => (Shape::Histogram, MetricKind::Histogram),
            metric_type::EXPONENTIAL_HISTOGRAM => (Shape::Native, MetricKind::Histogram),
            metric_type::SUMMARY => (Shape::Summary, MetricKind::Summary),
            _ => (Shape::Number, MetricKind::Unknown),
        }
    }

    // Whether its temporality matters.
    fn counts(&self, row: usize) -> bool {
        let kind = self.metric_type.number(row);
        [metric_type::SUM, metric_type::HISTOGRAM, metric_type::EXPONENTIAL_HISTOGRAM].contains(&kind)
    }

    fn left_out(&self, row: usize, metric: &str) -> Option<String> {
        let is_known = [TEMPORALITY_CUMULATIVE, TEMPORALITY_DELTA].contains(&self.temporality.number(row));
        (self.counts(row) && !is_known)
            .then(|| format!("metric {metric:?} is left out: it says neither delta nor cumulative temporality"))
    }
}
