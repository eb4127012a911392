//! `label_replace` and `label_join`: series under other labels.

use model::Labels;

use super::{Evaluator, Result, SeriesStream};
use crate::promql::plan::{LabelJoin, LabelReplace};
use crate::promql::value::Series;

impl<'a> Evaluator<'a> {
    pub(super) fn label_replace(self, node: &'a LabelReplace) -> Result<SeriesStream<'a>> {
        self.relabelled(self.vector(&node.vector)?, |labels| replaced(node, labels))
    }

    pub(super) fn label_join(self, node: &'a LabelJoin) -> Result<SeriesStream<'a>> {
        self.relabelled(self.vector(&node.vector)?, |labels| {
            let values: Vec<&str> = node.sources.iter().map(|source| labels.get(source).unwrap_or("")).collect();
            labels.with(&node.destination, &values.join(&node.separator))
        })
    }

    fn relabelled(self, stream: SeriesStream<'a>, change: impl Fn(&Labels) -> Labels + 'a) -> Result<SeriesStream<'a>> {
        let stream = stream.map(move |series| {
            let Series { labels, column } = series?;
            Ok(Series { labels: change(&labels), column })
        });
        self.unique(Box::new(stream), false)
    }
}

fn replaced(node: &LabelReplace, labels: &Labels) -> Labels {
    let source = labels.get(&node.source).unwrap_or("");
    let Some(captures) = node.regex.captures(source) else { return labels.clone() };
    let mut value = String::new();
    captures.expand(&node.replacement, &mut value);
    labels.with(&node.destination, &value)
}
