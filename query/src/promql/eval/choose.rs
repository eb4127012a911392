//! Aggregations that need all series of a group at once: `quantile`, `topk`, `bottomk`, `count_values`.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::Labels;

use super::{Evaluator, Result, SeriesStream, in_order};
use crate::promql::error::PromqlError;
use crate::promql::function::quantile;
use crate::promql::plan::{Choice, CountValues, GroupQuantile, Grouping, Side, Vector};
use crate::promql::value::{Column, Series};

impl<'a> Evaluator<'a> {
    pub(super) fn group_quantile(self, node: &'a GroupQuantile) -> Result<SeriesStream<'a>> {
        let quantiles = self.scalar(&node.quantile)?;
        // Of those of all steps the least, the greatest, and what is none.
        let present = || quantiles.present().map(|(_, quantile)| quantile);
        let none = present().find(|quantile| quantile.is_nan());
        for quantile in [present().reduce(f64::min), present().reduce(f64::max), none].into_iter().flatten() {
            self.check_quantile(&Column::constant(quantile, 1), node.position);
        }
        let groups = self.groups(&node.vector, &node.by)?;
        if groups.values().flatten().any(|series| series.column.has_histograms()) {
            self.inform_of_ignored("quantile", node.series_position);
        }
        Ok(Box::new(groups.into_iter().map(move |(labels, members)| {
            self.charge(self.steps.count())?;
            let mut column = Column::holes(self.steps.count());
            let mut values = Vec::with_capacity(members.len());
            for index in 0..self.steps.count() {
                // A step of a large group is work enough to ask whether there is time for it.
                self.charge(0)?;
                values.clear();
                values.extend(members.iter().filter_map(|series| series.column.get(index)));
                if let (false, Some(share)) = (values.is_empty(), quantiles.get(index)) {
                    column.set(index, Some(quantile(share, &mut values)));
                }
            }
            let name_goes = members.iter().any(|series| series.name_goes);
            Ok(Series { labels, column, name_goes })
        })))
    }

    pub(super) fn choice(self, node: &'a Choice) -> Result<SeriesStream<'a>> {
        let counts = self.scalar(&node.count)?;
        let counts = (0..self.steps.count()).map(|index| count(counts.get(index))).collect::<Result<Vec<usize>>>()?;
        if counts.iter().all(|count| *count == 0) {
            // What is remarkable about it is said all the same.
            self.vector(&node.vector)?.try_for_each(|series| series.map(drop))?;
            return Ok(Box::new(std::iter::empty()));
        }
        let groups = self.groups(&node.vector, &node.by)?;
        let mut series = Vec::new();
        for mut members in groups.into_values() {
            for member in members.iter_mut().filter(|member| member.column.has_histograms()) {
                self.inform_of_ignored(node.side.word(), node.position);
                member.column = member.column.clone().map(|_, value| Some(value));
            }
            series.extend(self.first_of(members, &counts, node.side)?);
        }
        Ok(Box::new(series.into_iter().map(Ok)))
    }

    pub(super) fn count_values(self, node: &'a CountValues) -> Result<SeriesStream<'a>> {
        let mut counts: HashMap<Labels, Column> = HashMap::new();
        let mut going: HashSet<Labels> = HashSet::new();
        for series in self.vector(&node.vector)? {
            let Series { labels, column, name_goes } = series?;
            // Values mostly repeat: labels are made once for each.
            let mut of_value: HashMap<u64, Labels> = HashMap::new();
            for (index, value) in column.present() {
                let key = of_value
                    .entry(value.to_bits())
                    .or_insert_with(|| node.by.of(&labels.with(&node.label, &plain_number(value))));
                self.count_one(&mut counts, key, index)?;
            }
            for (index, histogram) in column.histograms() {
                let key = node.by.of(&labels.with(&node.label, &histogram.to_string()));
                self.count_one(&mut counts, &key, index)?;
                going.extend(name_goes.then_some(key));
            }
            going.extend(of_value.into_values().filter(|_| name_goes));
        }
        Ok(Box::new(in_order(counts).into_iter().map(move |(labels, column)| {
            let name_goes = going.contains(&labels);
            Ok(Series { labels, column, name_goes })
        })))
    }

    fn count_one(self, counts: &mut HashMap<Labels, Column>, key: &Labels, index: usize) -> Result<()> {
        if !counts.contains_key(key) {
            self.charge(self.steps.count())?;
            counts.insert(key.clone(), Column::holes(self.steps.count()));
        }
        if let Some(column) = counts.get_mut(key) {
            column.set(index, Some(column.get(index).unwrap_or(0.0) + 1.0));
        }
        Ok(())
    }

    // The members of a group come in the order of their labels, so that ties are always decided alike.
    pub(super) fn groups(self, vector: &'a Vector, by: &Grouping) -> Result<BTreeMap<Labels, Vec<Series>>> {
        let mut groups: BTreeMap<Labels, Vec<Series>> = BTreeMap::new();
        for series in self.vector(vector)? {
            let series = series?;
            groups.entry(by.of(&series.labels)).or_default().push(series);
        }
        for members in groups.values_mut() {
            members.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        Ok(groups)
    }

    // Of each step the first `count` members; the others lose their number there.
    fn first_of(self, mut members: Vec<Series>, counts: &[usize], side: Side) -> Result<Vec<Series>> {
        let mut order: Vec<(usize, f64)> = Vec::with_capacity(members.len());
        for (index, count) in counts.iter().enumerate() {
            self.charge(0)?;
            order.clear();
            let present = |(member, series): (usize, &Series)| series.column.get(index).map(|value| (member, value));
            order.extend(members.iter().enumerate().filter_map(present));
            if order.len() <= *count {
                continue;
            }
            order.sort_by(|a, b| side.compare(a.1, b.1));
            for (member, _) in &order[*count..] {
                members[*member].column.set(index, None);
            }
        }
        members.retain(|series| !series.column.is_empty());
        Ok(members)
    }
}

pub(super) fn count(parameter: Option<f64>) -> Result<usize> {
    let refuse = |message: String| Err(PromqlError::Execution(message));
    match parameter {
        None => refuse("Parameter value is NaN".to_owned()),
        Some(count) if count.is_nan() => refuse("Parameter value is NaN".to_owned()),
        Some(count) if count >= i64::MAX as f64 => refuse(format!("Scalar value {count} overflows int64")),
        Some(count) if count <= i64::MIN as f64 => refuse(format!("Scalar value {count} underflows int64")),
        Some(count) => Ok(count.max(0.0) as usize),
    }
}

// Never with an exponent.
fn plain_number(value: f64) -> String {
    if value.is_infinite() { if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned() } else { value.to_string() }
}
