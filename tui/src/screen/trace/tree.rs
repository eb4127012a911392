//! A trace's spans and logs as the lines of a waterfall: parents before children, and below a span its children and its logs merged
//! in time order. What is folded is left out.

use std::collections::{HashMap, HashSet};

use model::Timestamp;
use model::wire::logs::LogRow;
use model::wire::traces::Trace;

use crate::format;

/// A line of the waterfall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) what: What,
    /// How deep it is set in.
    pub(super) depth: usize,
    /// How many lines are folded into it; 0 if none are.
    pub(super) folded: usize,
    /// Whether something stands below it that can be folded.
    pub(super) has_below: bool,
}

/// What a line shows; the line's identity too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    /// The span at this place of the trace.
    Span(usize),
    /// The log record at this place of the page.
    Log(usize),
}

/// The lines. `folded` holds places of spans.
pub(super) fn lines(trace: &Trace, logs: &[LogRow], folded: &HashSet<usize>) -> Vec<Line> {
    let (roots, children) = family_of(trace);
    let (of_span, of_none) = logs_of(trace, logs);
    let start = format::moment(&trace.start).unwrap_or_default();
    let mut out = Vec::with_capacity(trace.spans.len() + logs.len());
    // Depths may be as many as spans: no recursion. What is on the stack comes later, the last first.
    let mut stack: Vec<(What, usize)> = roots.into_iter().rev().map(|root| (What::Span(root), 0)).collect();
    while let Some((what, depth)) = stack.pop() {
        let What::Span(span) = what else {
            out.push(Line { what, depth, folded: 0, has_below: false });
            continue;
        };
        let below = merged(trace, logs, &children[span], of_span.get(&span).map_or(&[][..], Vec::as_slice), start);
        let is_folded = folded.contains(&span);
        let hidden = if is_folded { count_below(span, &children, &of_span) } else { 0 };
        out.push(Line { what, depth, folded: hidden, has_below: !below.is_empty() });
        if !is_folded {
            stack.extend(below.into_iter().rev().map(|what| (what, depth + 1)));
        }
    }
    out.extend(of_none.into_iter().map(|log| Line { what: What::Log(log), depth: 0, folded: 0, has_below: false }));
    out
}

// The roots, and the children of each span. The list is in depth-first order: a span's parent is the nearest before it that is less
// deep; a span without any is a root, whatever depth it claims.
fn family_of(trace: &Trace) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut children = vec![Vec::new(); trace.spans.len()];
    let (mut roots, mut path) = (Vec::new(), Vec::<usize>::new());
    for (index, span) in trace.spans.iter().enumerate() {
        while path.last().is_some_and(|parent| trace.spans[*parent].depth >= span.depth) {
            path.pop();
        }
        match path.last() {
            Some(parent) => children[*parent].push(index),
            None => roots.push(index),
        }
        path.push(index);
    }
    (roots, children)
}

// The logs of each span, and those that belong to no span of this trace.
fn logs_of(trace: &Trace, logs: &[LogRow]) -> (HashMap<usize, Vec<usize>>, Vec<usize>) {
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (index, span) in trace.spans.iter().enumerate() {
        places.entry(&span.span.span_id).or_insert(index);
    }
    let (mut of_span, mut of_none) = (HashMap::<usize, Vec<usize>>::new(), Vec::new());
    for (index, log) in logs.iter().enumerate() {
        match log.span_id.as_deref().and_then(|id| places.get(id)) {
            Some(span) => of_span.entry(*span).or_default().push(index),
            None => of_none.push(index),
        }
    }
    (of_span, of_none)
}

fn merged(trace: &Trace, logs: &[LogRow], children: &[usize], own: &[usize], start: Timestamp) -> Vec<What> {
    let offset = |log: usize| {
        let time = format::moment(&logs[log].timestamp).unwrap_or(start);
        time.as_nanos().saturating_sub(start.as_nanos())
    };
    let mut below: Vec<(i64, What)> = Vec::with_capacity(children.len() + own.len());
    below.extend(
        children
            .iter()
            .map(|child| (i64::try_from(trace.spans[*child].offset_ns).unwrap_or(i64::MAX), What::Span(*child))),
    );
    below.extend(own.iter().map(|log| (offset(*log), What::Log(*log))));
    below.sort_by_key(|(offset, _)| *offset);
    below.into_iter().map(|(_, what)| what).collect()
}

fn count_below(span: usize, children: &[Vec<usize>], of_span: &HashMap<usize, Vec<usize>>) -> usize {
    let (mut stack, mut count) = (vec![span], 0);
    while let Some(span) = stack.pop() {
        count += children[span].len() + of_span.get(&span).map_or(0, Vec::len);
        stack.extend(&children[span]);
    }
    count
}

#[cfg(test)]
mod tests {
    use model::wire::spans::SpanRow;
    use model::wire::traces::TraceSpan;

    use super::*;

    fn trace(spans: &[(usize, &str, u64)]) -> Trace {
        let place = |(depth, id, offset_ns): &(usize, &str, u64)| TraceSpan {
            depth: *depth,
            offset_ns: *offset_ns,
            span: SpanRow { span_id: (*id).to_owned(), ..SpanRow::default() },
            ..TraceSpan::default()
        };
        let spans = spans.iter().map(place).collect();
        Trace { start: Timestamp::from_nanos(0).to_string(), spans, ..Trace::default() }
    }

    fn log(span: &str, nanos: i64) -> LogRow {
        let timestamp = Timestamp::from_nanos(nanos).to_string();
        LogRow { span_id: Some(span.to_owned()), timestamp, ..LogRow::default() }
    }

    fn drawn(lines: &[Line]) -> String {
        let one = |line: &Line| match line.what {
            What::Span(index) => format!(
                "{}s{index}{}",
                " ".repeat(line.depth),
                if line.folded > 0 { format!("+{}", line.folded) } else { String::new() }
            ),
            What::Log(index) => format!("{}l{index}", " ".repeat(line.depth)),
        };
        lines.iter().map(one).collect::<Vec<_>>().join("|")
    }

    #[test]
    fn merges_logs_and_children_by_time() {
        let trace = trace(&[(0, "a", 0), (1, "b", 10), (2, "c", 12), (1, "d", 30), (0, "e", 5)]);
        let logs = [log("a", 5), log("a", 20), log("c", 13), log("x", 1), log("d", 99)];
        let none = HashSet::new();
        assert_eq!(drawn(&lines(&trace, &logs, &none)), "s0| l0| s1|  s2|   l2| l1| s3|  l4|s4|l3");
        assert_eq!(drawn(&lines(&trace, &logs, &HashSet::from([1]))), "s0| l0| s1+2| l1| s3|  l4|s4|l3");
        assert_eq!(drawn(&lines(&trace, &logs, &HashSet::from([0]))), "s0+7|s4|l3");
        assert_eq!(drawn(&lines(&trace, &[], &none)), "s0| s1|  s2| s3|s4");
    }

    #[test]
    fn takes_any_depth() {
        let deep: Vec<(usize, &str, u64)> = (0..20_000).map(|depth| (depth, "x", 0)).collect();
        assert_eq!(lines(&trace(&deep), &[], &HashSet::new()).len(), 20_000);
        // Depths that a server should not send.
        let odd = trace(&[(3, "a", 0), (1, "b", 0), (9, "c", 0), (0, "d", 0)]);
        assert_eq!(lines(&odd, &[log("c", 0)], &HashSet::new()).len(), 5);
    }
}
