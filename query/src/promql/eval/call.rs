//! Functions of whole vectors that need no file of their own: elements, `scalar`, `absent`.

use model::Labels;

use super::{Evaluator, Result, SeriesStream};
use crate::promql::plan::{Mapped, Vector};
use crate::promql::value::{Column, Series};

impl<'a> Evaluator<'a> {
    pub(super) fn element_function(self, node: &'a Mapped) -> Result<SeriesStream<'a>> {
        let arguments = node.arguments.iter().map(|argument| self.scalar(argument)).collect::<Result<Vec<Column>>>()?;
        self.mapped(&node.vector, move |index, value| {
            // No function has more than two beside the series.
            let mut numbers = [f64::NAN; 2];
            for (number, column) in numbers.iter_mut().zip(&arguments) {
                *number = column.get(index)?;
            }
            node.function.apply(value, &numbers[..arguments.len().min(2)])
        })
    }

    /// `scalar(v)`
    pub(super) fn only_number(self, vector: &'a Vector) -> Result<Column> {
        let count = self.steps.count();
        let mut only = Column::holes(count);
        let mut several = vec![false; count];
        for series in self.vector(vector)? {
            for (index, value) in series?.column.present() {
                several[index] |= only.get(index).is_some();
                only.set(index, Some(value));
            }
        }
        let mut column = Column::constant(f64::NAN, count);
        for (index, value) in only.present().filter(|(index, _)| !several[*index]) {
            column.set(index, Some(value));
        }
        Ok(column)
    }

    /// `absent(v)`
    pub(super) fn absent(self, labels: &'a Labels, vector: &'a Vector) -> Result<SeriesStream<'a>> {
        self.charge(self.steps.count())?;
        let mut column = Column::constant(1.0, self.steps.count());
        for series in self.vector(vector)? {
            for index in series?.column.occupied() {
                column.set(index, None);
            }
        }
        Ok(Box::new(std::iter::once(Ok(Series { labels: labels.clone(), column, name_goes: false }))))
    }
}
