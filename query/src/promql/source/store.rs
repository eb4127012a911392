//! Series of the store as Prometheus sees them.
//!
//! The stored truth is OTLP's: one row per point, one series per identity. Here names and labels are translated, histograms
//! and summaries fall apart into the series Prometheus has for them, and OTLP series that become one label set are one.

mod bounds;
mod collect;
mod decode;
mod exemplars;
mod index;
mod target;
mod translate;

pub use exemplars::StoredExemplar;
pub use translate::Translator;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use arrow::error::ArrowError;
use model::{Labels, TimeRange, Timestamp};
use store::{Projection, SeriesRows, Snapshot, StoreError, Table};

use super::{MillisRange, Samples, Selection, SeriesSource, StoredSeries};
use crate::promql::error::PromqlError;
use crate::promql::eval::Budget;
use crate::promql::matcher::{Matcher, all_accept};
use crate::search::budget::Partial;
use collect::{Collected, Group, NumberSeries, Ordered};
use decode::Unfit;
use index::SeriesIndex;
use translate::Translated;

/// One snapshot of the store, with the translation that all queries share.
pub struct StoreSource {
    snapshot: Snapshot,
    translator: Arc<Translator>,
}

/// What is known of a metric, for Prometheus's `metadata`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricFacts {
    /// The Prometheus name without a series' suffix.
    pub name: String,
    /// `counter`, `gauge`, `histogram`, `summary`.
    pub kind: &'static str,
    /// OTLP's description.
    pub help: String,
    /// The unit's words.
    pub unit: String,
}

/// The store could not be read, or its columns are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum StoreSourceError {
    /// From the store.
    #[error("cannot read points of the store")]
    Store(#[from] StoreError),
    /// From its columns.
    #[error("cannot read the columns of points")]
    Columns(#[from] ArrowError),
}

impl From<StoreError> for PromqlError {
    fn from(error: StoreError) -> Self {
        StoreSourceError::Store(error).into()
    }
}

impl From<StoreSourceError> for PromqlError {
    fn from(error: StoreSourceError) -> Self {
        PromqlError::Source(Box::new(error))
    }
}

impl StoreSource {
    /// The series of this snapshot.
    pub fn new(snapshot: Snapshot, translator: Arc<Translator>) -> Self {
        Self { snapshot, translator }
    }

    /// What is known of every metric that may have a point in `range`, sorted.
    pub fn metrics(&self, range: MillisRange) -> Result<Vec<MetricFacts>, StoreSourceError> {
        let series = self.series(range)?;
        let mut facts: Vec<MetricFacts> = series.iter().filter_map(|series| series.facts()).collect();
        if series.iter().any(|series| series.target.is_some()) {
            facts.push(target::facts());
        }
        facts.sort();
        facts.dedup();
        Ok(facts)
    }

    /// The label sets of the series that all `matchers` accept, without reading a point: of histograms and summaries there
    /// may be some too many, and the values of `le` and `quantile` are not all there. Only [`StoreSource::needs_points`] says
    /// whether that is enough.
    pub fn outline(&self, matchers: &[Matcher], range: MillisRange) -> Result<Vec<Labels>, StoreSourceError> {
        let mut labels: HashSet<Labels> = HashSet::new();
        for series in self.chosen(matchers, range)?.series {
            labels.extend(series.outline().into_iter().filter(|labels| all_accept(matchers, labels)));
        }
        labels.extend(target::accepted(&self.indexes(range)?, matchers));
        Ok(labels.into_iter().collect())
    }

    /// The names of the labels that the series in `range` have.
    pub fn label_names(&self, range: MillisRange) -> Result<BTreeSet<String>, StoreSourceError> {
        let indexes = self.indexes(range)?;
        Ok(distinct(indexes.iter().flat_map(|index| index.label_names())))
    }

    /// The values of a label that the series in `range` have; not of one that only the points know.
    pub fn label_values(&self, label: &str, range: MillisRange) -> Result<BTreeSet<String>, StoreSourceError> {
        let indexes = self.indexes(range)?;
        Ok(distinct(indexes.iter().flat_map(|index| index.values(label))))
    }

    // The series `target_info` that all matchers accept. Each has a sample where its resource sent points.
    fn targets(
        &self,
        matchers: &[Matcher],
        range: MillisRange,
        budget: &Budget,
    ) -> Result<Vec<StoredSeries>, PromqlError> {
        let accepted = target::accepted(&self.indexes(range)?, matchers);
        if accepted.is_empty() {
            return Ok(Vec::new());
        }
        // Of a target that several resources describe one is right at a time: all of them have to be looked at.
        let described = target::described(&self.series(range)?, &accepted);
        let ids: HashSet<u64> = described.keys().copied().collect();
        let mut seen = target::Seen::default();
        self.snapshot.samples_while(&ids, nanos(range), &Projection::Columns(Vec::new()), |piece| {
            budget.charge(piece.rows.num_rows())?;
            seen.add(&piece, &described).map_err(StoreSourceError::Columns)?;
            Ok::<(), PromqlError>(())
        })?;
        let series = seen.series().into_iter().filter(|series| all_accept(matchers, &series.labels));
        Ok(series.collect())
    }

    /// Whether the label or a matcher is about what only the points know.
    pub fn needs_points(label: &str, matchers: &[Matcher]) -> bool {
        let of_points = |name: &str| [translate::BUCKET_LABEL, translate::QUANTILE_LABEL].contains(&name);
        of_points(label) || matchers.iter().any(|matcher| of_points(&matcher.name))
    }

    // What there is in the range, table by table.
    fn indexes(&self, range: MillisRange) -> Result<Vec<Arc<SeriesIndex>>, StoreSourceError> {
        self.snapshot.series(nanos(range)).iter().map(|table| self.translator.index(table)).collect()
    }

    // Each series that may have a point in the range, once.
    fn series(&self, range: MillisRange) -> Result<Vec<Arc<Translated>>, StoreSourceError> {
        let mut seen = HashSet::new();
        let indexes = self.indexes(range)?;
        let all = indexes.iter().flat_map(|index| &index.series);
        Ok(all.filter(|series| seen.insert(series.id)).cloned().collect())
    }

    fn chosen(&self, matchers: &[Matcher], range: MillisRange) -> Result<Chosen, StoreSourceError> {
        let mut chosen = Chosen::default();
        let mut seen = HashSet::new();
        for index in self.indexes(range)? {
            let new = index.matching(matchers).filter(|series| seen.insert(series.id));
            chosen.series.extend(new.cloned());
            chosen.warnings.extend(index.left_out(matchers).filter_map(|series| series.left_out.clone()));
        }
        let missing: u64 = self.snapshot.missing(Table::Points, nanos(range)).map(|part| part.rows).sum();
        if missing > 0 {
            chosen.warnings.push(Partial::damaged(missing).reason);
        }
        chosen.warnings.sort();
        chosen.warnings.dedup();
        Ok(chosen)
    }

    // The points of these series, in groups of series whose label sets may meet. Groups are decoded as they are asked for.
    fn decoded(
        &self,
        series: Vec<Arc<Translated>>,
        matchers: &[Matcher],
        range: MillisRange,
        budget: &Budget,
    ) -> Result<(impl Iterator<Item = StoredSeries> + use<>, Vec<String>), PromqlError> {
        let groups = collect::groups(series);
        let mut numbers = NumberSeries::default();
        let simple = groups.iter().filter(|group| collect::is_simple(group)).flatten();
        self.read(simple, Ordered::ByTime, range, budget, |piece| numbers.add(&piece))?;
        let mut samples = |group: &[Arc<Translated>]| match group {
            [series] if collect::is_simple(group) => numbers.take(series.id),
            _ => None,
        };
        let mut found: Vec<Found> = groups.into_iter().map(|group| Found::new(samples(&group), group)).collect();

        let mut points = Collected::default();
        let others = found.iter().filter_map(Found::undecoded).flatten().map(|(series, _)| series);
        self.read(others, Ordered::BySeq, range, budget, |piece| points.add(piece))?;
        let mut unfit: BTreeMap<(String, Unfit), u64> = BTreeMap::new();
        for (series, runs) in found.iter_mut().filter_map(Found::undecoded_mut).flatten() {
            *runs = points.take(series, |why| *unfit.entry((series.name.clone(), why)).or_default() += 1);
        }
        let (matchers, batches) = (matchers.to_vec(), points.batches);
        let decoded = found.into_iter().flat_map(move |found| match found {
            Found::Series(series) => vec![series],
            Found::Undecoded(group) => decode::group(&batches, group, &matchers),
        });
        Ok((decoded, unfit.into_iter().map(left_out).collect()))
    }

    // The points of these series, charged as they are read: no query may fill the memory before it is asked for a sample.
    fn read<'s>(
        &self,
        series: impl Iterator<Item = &'s Arc<Translated>> + Clone,
        ordered: Ordered,
        range: MillisRange,
        budget: &Budget,
        mut add: impl FnMut(SeriesRows) -> Result<(), ArrowError>,
    ) -> Result<(), PromqlError> {
        let ids: HashSet<u64> = series.clone().map(|series| series.id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let columns = Projection::Columns(collect::columns_of(series, ordered));
        self.snapshot.samples_while(&ids, nanos(range), &columns, |piece| {
            budget.charge(piece.rows.num_rows())?;
            if piece.runs.is_empty() {
                return Ok(());
            }
            Ok::<(), PromqlError>(add(piece).map_err(StoreSourceError::Columns)?)
        })
    }
}

// Series whose label sets may meet, decoded where that is little work.
enum Found {
    Series(StoredSeries),
    Undecoded(Group),
}

impl Found {
    fn new(samples: Option<Samples>, group: Vec<Arc<Translated>>) -> Self {
        match (samples, &group[..]) {
            (Some(samples), [series]) => Self::Series(StoredSeries { labels: series.labels.clone(), samples }),
            _ => Self::Undecoded(group.into_iter().map(|series| (series, Vec::new())).collect()),
        }
    }

    fn undecoded(&self) -> Option<&Group> {
        match self {
            Self::Series(_) => None,
            Self::Undecoded(group) => Some(group),
        }
    }

    fn undecoded_mut(&mut self) -> Option<&mut Group> {
        match self {
            Self::Series(_) => None,
            Self::Undecoded(group) => Some(group),
        }
    }
}

fn left_out(((name, why), points): ((String, Unfit), u64)) -> String {
    let why = match why {
        Unfit::Scale => "native histograms have no schema below -4",
        Unfit::Sum => "they have no sum",
    };
    format!("{points} exponential histograms of metric {name:?} are left out: {why}")
}

#[derive(Default)]
struct Chosen {
    series: Vec<Arc<Translated>>,
    warnings: Vec<String>,
}

impl SeriesSource for StoreSource {
    fn select<'a>(
        &'a self,
        matchers: &[Matcher],
        range: MillisRange,
        budget: &Budget,
    ) -> Result<Selection<'a>, PromqlError> {
        let Chosen { series, mut warnings } = self.chosen(matchers, range)?;
        let targets = self.targets(matchers, range, budget)?;
        let (decoded, left_out) = self.decoded(series, matchers, range, budget)?;
        warnings.extend(left_out);
        Ok(Selection { series: Box::new(decoded.chain(targets).map(Ok)), warnings })
    }

    fn labels(&self, matchers: &[Matcher], range: MillisRange, budget: &Budget) -> Result<Vec<Labels>, PromqlError> {
        let (simple, compound): (Vec<_>, Vec<_>) =
            self.chosen(matchers, range)?.series.into_iter().partition(|series| !series.is_compound());
        let mut labels: HashSet<Labels> = simple.iter().map(|series| series.labels.clone()).collect();
        // Which buckets and quantiles there are, only the points know.
        labels.extend(self.decoded(compound, matchers, range, budget)?.0.map(|series| series.labels));
        labels.extend(target::accepted(&self.indexes(range)?, matchers));
        Ok(labels.into_iter().collect())
    }
}

fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let texts: HashSet<&str> = texts.collect();
    texts.into_iter().map(str::to_owned).collect()
}

fn nanos(range: MillisRange) -> TimeRange {
    let end = Timestamp::from_millis(range.last.saturating_add(1));
    TimeRange { start: Timestamp::from_millis(range.first), end }
}
