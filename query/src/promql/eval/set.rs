//! `and`, `or`, `unless`: of one side or both those series that have, or have not, a counterpart at the same step.

use std::collections::HashMap;

use model::Labels;

use super::{Evaluator, Result, SeriesStream};
use crate::promql::plan::{Grouping, SetMatch, SetOperator, Vector};
use crate::promql::value::{Column, Series, StepSet};

/// At which steps there is a series with these labels.
type Presence = HashMap<Labels, StepSet>;

impl<'a> Evaluator<'a> {
    pub(super) fn set(self, node: &'a SetMatch) -> Result<SeriesStream<'a>> {
        match node.operator {
            SetOperator::And => self.chosen(node, true),
            SetOperator::Unless => self.chosen(node, false),
            SetOperator::Or => self.either(node),
        }
    }

    // The left side where the right side has a counterpart, or has none.
    fn chosen(self, node: &'a SetMatch, wanted: bool) -> Result<SeriesStream<'a>> {
        let mut right = Presence::new();
        for series in self.vector(&node.right)? {
            self.note_presence(&mut right, &node.on, &series?)?;
        }
        let stream = self.vector(&node.left)?.filter_map(move |series| {
            let Series { labels, column, name_goes } = match series {
                Ok(series) => series,
                Err(error) => return Some(Err(error)),
            };
            let column = kept(column, right.get(&node.on.of(&labels)), wanted);
            (!column.is_empty()).then_some(Ok(Series { labels, column, name_goes }))
        });
        Ok(Box::new(stream))
    }

    // The left side, and of the right side what has no counterpart there.
    fn either(self, node: &'a SetMatch) -> Result<SeriesStream<'a>> {
        let mut presence = Presence::new();
        let mut both = self.collected(&node.left)?;
        for series in &both {
            self.note_presence(&mut presence, &node.on, series)?;
        }
        for series in self.vector(&node.right)? {
            let Series { labels, column, name_goes } = series?;
            let column = kept(column, presence.get(&node.on.of(&labels)), false);
            if !column.is_empty() {
                both.push(Series { labels, column, name_goes });
            }
        }
        // One series may stand left at one step and right at another.
        self.unique(Box::new(both.into_iter().map(Ok)), false)
    }

    fn collected(self, vector: &'a Vector) -> Result<Vec<Series>> {
        self.vector(vector)?.collect()
    }

    fn note_presence(self, presence: &mut Presence, on: &Grouping, series: &Series) -> Result<()> {
        let key = on.of(&series.labels);
        if !presence.contains_key(&key) {
            self.charge(StepSet::words(self.steps.count()))?;
        }
        let steps = presence.entry(key).or_insert_with(|| StepSet::none(self.steps.count()));
        for index in series.column.occupied() {
            steps.insert(index);
        }
        Ok(())
    }
}

fn kept(column: Column, counterpart: Option<&StepSet>, wanted: bool) -> Column {
    column.filter(|index| counterpart.is_some_and(|steps| steps.contains(index)) == wanted)
}
