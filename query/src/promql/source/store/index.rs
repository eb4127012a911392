//! The series of one table, translated once and found by their labels. Tables never change: what is known of one is kept for the
//! queries that come, and a query looks only at the series that a matcher leaves over.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::UInt64Type;
use model::Labels;
use model::labels::METRIC_NAME;
use store::schema::column;
use store::{SeriesTable, SeriesTableKey};

use super::StoreSourceError;
use super::translate::{BUCKET_LABEL, QUANTILE_LABEL, Translated, Translator};
use crate::promql::limits;
use crate::promql::matcher::Matcher;
use crate::rows::columns::Numbers;

/// The series of a table.
#[derive(Debug)]
pub(super) struct SeriesIndex {
    /// All of them.
    pub(super) series: Vec<Arc<Translated>>,
    /// The label sets of their resources' `target_info`.
    pub(super) targets: Vec<Labels>,
    // Places of those that PromQL has, and of those that it cannot have.
    usable: Vec<u32>,
    left_out: Vec<u32>,
    // By label and value the places of the usable series that have it; of a histogram, by the names of all that it becomes.
    postings: HashMap<String, HashMap<String, Vec<u32>>>,
    // Whether points add a label of their own.
    has_buckets: bool,
    has_quantiles: bool,
}

impl SeriesIndex {
    fn new(series: Vec<Arc<Translated>>) -> Self {
        let mut index = Self {
            targets: Vec::new(),
            usable: Vec::new(),
            left_out: Vec::new(),
            postings: HashMap::new(),
            has_buckets: false,
            has_quantiles: false,
            series: Vec::new(),
        };
        let mut targets: HashSet<&Labels> = HashSet::new();
        for (place, of) in (0..).zip(&series) {
            targets.extend(&of.target);
            if of.name.is_empty() {
                continue;
            }
            if of.left_out.is_some() {
                index.left_out.push(place);
                continue;
            }
            index.usable.push(place);
            of.names().for_each(|name| index.post(METRIC_NAME, &name, place));
            for (name, value) in of.labels.iter().filter(|(name, _)| *name != METRIC_NAME) {
                index.post(name, value, place);
            }
            index.has_buckets |= of.point_label() == Some(BUCKET_LABEL);
            index.has_quantiles |= of.point_label() == Some(QUANTILE_LABEL);
        }
        index.targets = targets.into_iter().cloned().collect();
        index.series = series;
        index
    }

    fn post(&mut self, name: &str, value: &str, place: u32) {
        if !self.postings.contains_key(name) {
            self.postings.insert(name.to_owned(), HashMap::new());
        }
        let Some(values) = self.postings.get_mut(name) else { return };
        match values.get_mut(value) {
            Some(places) => places.push(place),
            None => _ = values.insert(value.to_owned(), vec![place]),
        }
    }

    /// The series that PromQL has and that may become one which all matchers accept. One may come more than once.
    pub(super) fn matching<'a>(&'a self, matchers: &'a [Matcher]) -> impl Iterator<Item = &'a Arc<Translated>> {
        let found: Box<dyn Iterator<Item = &u32>> = match self.fewest(matchers) {
            Some(places) => Box::new(places.into_iter().flatten()),
            None => Box::new(self.usable.iter()),
        };
        found.map(|place| &self.series[*place as usize]).filter(|series| series.may_have(matchers))
    }

    /// The series that PromQL cannot have though all matchers may accept them.
    pub(super) fn left_out<'a>(&'a self, matchers: &'a [Matcher]) -> impl Iterator<Item = &'a Arc<Translated>> {
        self.left_out.iter().map(|place| &self.series[*place as usize]).filter(|series| series.may_have(matchers))
    }

    // The places that the most choosing of the matchers leaves over; `None` if none of them asks for a label.
    fn fewest(&self, matchers: &[Matcher]) -> Option<Vec<&Vec<u32>>> {
        let chosen = matchers.iter().filter_map(|matcher| self.places(matcher));
        chosen.min_by_key(|places| places.iter().map(|places| places.len()).sum::<usize>())
    }

    // The places of the series that the matcher may accept; `None` if it accepts those without the label too, or if only the points know.
    fn places(&self, matcher: &Matcher) -> Option<Vec<&Vec<u32>>> {
        if matcher.accepts("") || [BUCKET_LABEL, QUANTILE_LABEL].contains(&matcher.name.as_str()) {
            return None;
        }
        let Some(values) = self.postings.get(&matcher.name) else { return Some(Vec::new()) };
        Some(match matcher.equal_to() {
            Some(value) => values.get(value).into_iter().collect(),
            None => values.iter().filter(|(value, _)| matcher.accepts(value)).map(|(_, places)| places).collect(),
        })
    }

    /// The names of all labels that the series have, as far as that is known without their points.
    pub(super) fn label_names(&self) -> impl Iterator<Item = &str> {
        let of_points = [(self.has_buckets, BUCKET_LABEL), (self.has_quantiles, QUANTILE_LABEL)];
        let of_points = of_points.into_iter().filter(|(has, _)| *has).map(|(_, name)| name);
        let of_targets = self.targets.iter().flat_map(|labels| labels.iter().map(|(name, _)| name));
        self.postings.keys().map(String::as_str).chain(of_points).chain(of_targets)
    }

    /// The values of a label that is not the points' own.
    pub(super) fn values<'a>(&'a self, label: &'a str) -> impl Iterator<Item = &'a str> {
        let of_targets = self.targets.iter().filter_map(move |labels| labels.get(label));
        let of_series = self.postings.get(label).into_iter().flat_map(|values| values.keys().map(String::as_str));
        of_series.chain(of_targets)
    }
}

/// What is known of tables.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    // With the moment of their last use, counted in uses.
    known: HashMap<SeriesTableKey, (u64, Arc<SeriesIndex>)>,
    series: usize,
    uses: u64,
}

impl Indexes {
    fn get(&mut self, key: SeriesTableKey) -> Option<Arc<SeriesIndex>> {
        self.uses += 1;
        let (used, index) = self.known.get_mut(&key)?;
        *used = self.uses;
        Some(Arc::clone(index))
    }

    // Forgets those that were not used for the longest time, if there are too many.
    fn put(&mut self, key: SeriesTableKey, index: &Arc<SeriesIndex>) {
        self.series += index.series.len();
        if let Some((_, before)) = self.known.insert(key, (self.uses, Arc::clone(index))) {
            self.series -= before.series.len();
        }
        if self.series <= limits::INDEXED_SERIES_MAX {
            return;
        }
        let mut by_use: Vec<(u64, SeriesTableKey)> = self.known.iter().map(|(key, (used, _))| (*used, *key)).collect();
        by_use.sort_unstable_by_key(|(used, _)| *used);
        for (_, key) in by_use {
            // Somewhat fewer, so that this is not done for each new table.
            if self.series <= limits::INDEXED_SERIES_MAX / 8 * 7 {
                break;
            }
            if let Some((_, index)) = self.known.remove(&key) {
                self.series -= index.series.len();
            }
        }
    }
}

impl Translator {
    /// The series of a table.
    pub(super) fn index(&self, table: &SeriesTable) -> Result<Arc<SeriesIndex>, StoreSourceError> {
        let key = table.key();
        if let Some(index) = self.indexes().get(key) {
            return Ok(index);
        }
        let rows = table.read()?;
        let ids = Numbers::<UInt64Type>::of(&rows, column::SERIES_ID)?;
        let rows_of: Vec<(usize, u64)> =
            (0..rows.num_rows()).filter_map(|row| ids.get(row).map(|id| (row, id))).collect();
        let index = Arc::new(SeriesIndex::new(self.translate(&rows, &rows_of)?));
        self.indexes().put(key, &index);
        Ok(index)
    }
}
