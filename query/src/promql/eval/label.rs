//! `label_replace` and `label_join`: series under other labels.

use model::Labels;
use model::labels::METRIC_NAME;

use super::{Evaluator, Result, SeriesStream};
use crate::promql::plan::{LabelJoin, LabelReplace};
use crate::promql::value::Series;

impl<'a> Evaluator<'a> {
    pub(super) fn label_replace(self, node: &'a LabelReplace) -> Result<SeriesStream<'a>> {
        let changes_name = node.destination == METRIC_NAME;
        self.relabelled(self.vector(&node.vector)?, move |labels| Some((replaced(node, labels)?, changes_name)))
    }

    pub(super) fn label_join(self, node: &'a LabelJoin) -> Result<SeriesStream<'a>> {
        self.relabelled(self.vector(&node.vector)?, |labels| {
            let values: Vec<&str> = node.sources.iter().map(|source| labels.get(source).unwrap_or("")).collect();
            let labels = labels.with(&node.destination, &values.join(&node.separator));
            Some((labels, node.destination == METRIC_NAME))
        })
    }

    // What the change gives are other labels, if there are any, and whether the name is among what it says: then it stays.
    fn relabelled(
        self,
        stream: SeriesStream<'a>,
        change: impl Fn(&Labels) -> Option<(Labels, bool)> + 'a,
    ) -> Result<SeriesStream<'a>> {
        let stream = stream.map(move |series| {
            let Series { labels, column, name_goes } = series?;
            Ok(match change(&labels) {
                Some((labels, names)) => Series { labels, column, name_goes: name_goes && !names },
                None => Series { labels, column, name_goes },
            })
        });
        self.unique(Box::new(stream), false)
    }
}

fn replaced(node: &LabelReplace, labels: &Labels) -> Option<Labels> {
    let source = labels.get(&node.source).unwrap_or("");
    let captures = node.regex.captures(source)?;
    let mut value = String::new();
    captures.expand(&node.replacement, &mut value);
    Some(labels.with(&node.destination, &value))
}
