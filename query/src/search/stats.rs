//! Counting by a query: `FILTER | stats count() as n by (service, x) | where n > 5`. What log and trace rules evaluate.
//!
//! The filter has the search's grammar, meaning and evaluation; only the columns it needs and those of `by` are read.

mod samples;

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use arrow::array::RecordBatch;
use arrow::buffer::BooleanBuffer;
use model::wire::alerts::AlertSample;
use model::{TimeRange, Timestamp};
use store::{Snapshot, Table};

use crate::error::QueryError;
use crate::limits::{STATS_GROUPS_BYTES_MAX, STATS_GROUPS_MAX};
use crate::search::budget::{Budget, Partial};
use crate::search::execute::{Order, SearchError};
use crate::search::grammar::Namespace;
use crate::search::grammar::pipe::{self, Grouping};
use crate::search::meaning;
use crate::search::plan::{Field, Place, Plan};
use crate::search::scan::{Collect, Scan, unreadable};
use crate::search::values::{Texts, texts};

pub use crate::search::grammar::pipe::Comparison;

/// A count of the rows of a table, split by fields, and what it must be.
#[derive(Clone, Debug, PartialEq)]
pub struct CountQuery {
    table: Table,
    filter_text: String,
    plan: Plan,
    name: String,
    fields: Vec<Field>,
    labels: Vec<String>,
    condition: Option<(Comparison, f64)>,
}

/// A label's name and value.
pub type Label = (String, String);

/// What a count came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The groups that meet the condition, sorted by their values, each with its count. A record without the field, or with an
    /// empty text in it, has no such label. Without `by` there is one group without labels, counted or not.
    pub groups: Vec<(Vec<Label>, u64)>,
    /// Set if the count ended before it had looked everywhere: counts are then too low and groups may be missing.
    pub partial: Option<Partial>,
    /// What the asker may want to know.
    pub warnings: Vec<String>,
}

impl CountQuery {
    /// Reads a count and gives it its meaning for `table`; times in it are relative to `now`.
    pub fn parse(text: &str, table: Table, now: Timestamp) -> Result<Self, QueryError> {
        let count = pipe::parse(text)?;
        let mut labels: Vec<String> = Vec::new();
        for grouping in &count.by {
            let label = label_name(grouping);
            if let Some(before) = labels.iter().position(|known| *known == label) {
                let message = match count.by[before].field == grouping.field {
                    true => format!("the field `{}` is named twice", grouping.field.name),
                    false => format!("two fields become the label `{label}`"),
                };
                return Err(QueryError::new(grouping.position, message, "remove one of them"));
            }
            labels.push(label);
        }
        Ok(Self {
            table,
            plan: meaning::plan(&count.filter, table, now)?,
            filter_text: count.filter_text,
            name: count.name,
            fields: count.by.iter().map(|grouping| meaning::field_named(table, &grouping.field)).collect(),
            labels,
            condition: count.condition,
        })
    }

    /// The filter's text, without white space around it: what a search for the counted records asks.
    pub fn filter_text(&self) -> &str {
        &self.filter_text
    }

    /// The names of the groups' labels, in the order of the fields in `by`: each field's name as it was written, without
    /// quotes, with `_` for what no label's name may have.
    pub fn by(&self) -> &[String] {
        &self.labels
    }

    /// A filter for the records of a group (as [`Counted::groups`] has it).
    pub fn filter_of(&self, group: &[Label]) -> String {
        let mut filter = match self.filter_text.is_empty() || self.filter_text == "*" {
            true => String::new(),
            false => format!("({})", self.filter_text),
        };
        for (field, label) in self.fields.iter().zip(&self.labels) {
            let value = group.iter().find(|(name, _)| name == label).map_or("", |(_, value)| value.as_str());
            let (prefix, name) = match field {
                Field::Column(column) => ("", column.name),
                Field::Attribute(Place::RecordOrResource, key) => ("", key.as_str()),
                Field::Attribute(Place::Record, key) => ("attr.", key.as_str()),
                Field::Attribute(Place::Resource, key) => ("res.", key.as_str()),
                Field::Attribute(Place::Scope, key) => ("scope.", key.as_str()),
            };
            let field = format!("{prefix}{}", if is_plain(name) { name.to_owned() } else { quoted(name) });
            filter.push_str(if filter.is_empty() { "" } else { " " });
            filter.push_str(&match value {
                "" => format!("({field}:=\"\" OR NOT {field}:*)"),
                value => format!("{field}:={}", quoted(value)),
            });
        }
        if filter.is_empty() { "*".to_owned() } else { filter }
    }

    /// What a count must be.
    pub fn condition(&self) -> Option<(Comparison, f64)> {
        self.condition
    }

    /// Counts.
    pub fn run(&self, snapshot: &Snapshot, range: TimeRange, budget: &mut Budget) -> Result<Counted, SearchError> {
        let scan = Scan::new(self.table, &self.plan, range, (0, u64::MAX));
        let scan = self.fields.iter().fold(scan, Scan::reading_field);
        let granules = scan.newest_first(snapshot)?;
        let mut groups = Groups::new(self);
        let scanned = scan.run(snapshot, &granules, &mut groups, budget)?;
        let warnings = scan.warnings(&scanned, Order::Descending, snapshot, budget)?;
        let meets = |count: u64| self.condition.is_none_or(|(comparison, with)| comparison.holds(count, with));
        let groups = groups.counts.into_iter().filter(|(_, count)| meets(*count));
        let groups = groups.map(|(values, count)| (self.labels_of(values), count)).collect();
        Ok(Counted { groups, partial: scanned.partial, warnings })
    }

    /// Up to `n` of the newest records of a group (as [`Counted::groups`] has it), newest first. If the budget ends, those
    /// that were found until then.
    pub fn samples(
        &self,
        group: &[Label],
        snapshot: &Snapshot,
        range: TimeRange,
        n: usize,
        budget: &mut Budget,
    ) -> Result<Vec<AlertSample>, SearchError> {
        let values = self.labels.iter().map(|label| group.iter().find(|(name, _)| name == label));
        let values = values.map(|pair| pair.map_or("", |(_, value)| value.as_str()));
        let of_group = self.fields.iter().zip(values).map(|(field, value)| samples::has_value(field, value));
        let plan = Plan::and(std::iter::once(self.plan.clone()).chain(of_group));
        samples::newest(self.table, plan, snapshot, range, n, budget)
    }

    fn labels_of(&self, values: Vec<String>) -> Vec<Label> {
        self.labels.iter().cloned().zip(values).filter(|(_, value)| !value.is_empty()).collect()
    }
}

impl fmt::Display for CountQuery {
    /// The count as an expression in parentheses, like that of the plan.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(count {} {}", self.name, self.plan)?;
        for (field, label) in self.fields.iter().zip(&self.labels) {
            write!(f, " by {field} as {label}")?;
        }
        if let Some((comparison, with)) = self.condition {
            write!(f, " where {} {with}", comparison.as_str())?;
        }
        f.write_str(")")
    }
}

// Whether a field's name needs no quotes and is not taken for a prefix.
fn is_plain(name: &str) -> bool {
    let prefixed = ["attr.", "res.", "scope."].iter().any(|prefix| name.starts_with(prefix));
    !prefixed && !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn label_name(grouping: &Grouping) -> String {
    let prefix = match grouping.field.namespace {
        Namespace::Any => "",
        Namespace::Record => "attr_",
        Namespace::Resource => "res_",
        Namespace::Scope => "scope_",
    };
    let name = grouping.field.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    let label: String = prefix.chars().chain(name).collect();
    // No label's name begins with a digit.
    if label.starts_with(|c: char| c.is_ascii_digit()) { format!("_{label}") } else { label }
}

// Counts by the texts of fields, in the order of `by`.
struct Groups<'a> {
    query: &'a CountQuery,
    counts: BTreeMap<Vec<String>, u64>,
    bytes: usize,
}

impl<'a> Groups<'a> {
    fn new(query: &'a CountQuery) -> Self {
        let mut counts = BTreeMap::new();
        if query.fields.is_empty() {
            counts.insert(Vec::new(), 0);
        }
        Self { query, counts, bytes: 0 }
    }

    fn add(&mut self, values: Vec<String>, count: u64) -> Result<(), SearchError> {
        if let Some(known) = self.counts.get_mut(&values) {
            *known += count;
            return Ok(());
        }
        self.bytes += values.iter().map(String::len).sum::<usize>();
        if self.counts.len() == STATS_GROUPS_MAX || self.bytes > STATS_GROUPS_BYTES_MAX {
            return Err(SearchError::TooManyGroups);
        }
        self.counts.insert(values, count);
        Ok(())
    }
}

impl Collect for Groups<'_> {
    fn take(&mut self, _granule: usize, batch: &RecordBatch, rows: &BooleanBuffer) -> Result<(), SearchError> {
        let table = self.query.table;
        let columns = self.query.fields.iter().map(|field| texts(table, field, batch, rows));
        let columns = columns.collect::<Result<Vec<Texts>, _>>().map_err(unreadable(table, "count by fields"))?;
        for (codes, count) in tally(&columns, rows) {
            let values = codes.iter().zip(&columns).map(|(code, texts)| texts.text(*code).to_owned()).collect();
            self.add(values, count)?;
        }
        Ok(())
    }
}

// How often each combination of texts is there. Column by column, so that no row needs a list of its own.
fn tally(columns: &[Texts], rows: &BooleanBuffer) -> Vec<(Vec<u32>, u64)> {
    let mut places = vec![0_u32; rows.len()];
    let mut combinations: Vec<Vec<u32>> = vec![Vec::new()];
    for column in columns {
        let mut known: HashMap<(u32, u32), u32> = HashMap::new();
        let mut longer: Vec<Vec<u32>> = Vec::new();
        for row in rows.set_indices() {
            let (place, code) = (places[row], column.code(row));
            places[row] = *known.entry((place, code)).or_insert_with(|| {
                let shorter = combinations[place as usize].iter().copied();
                longer.push(shorter.chain([code]).collect());
                longer.len() as u32 - 1
            });
        }
        combinations = longer;
    }
    let mut counts = vec![0; combinations.len()];
    for row in rows.set_indices() {
        counts[places[row] as usize] += 1;
    }
    combinations.into_iter().zip(counts).collect()
}
