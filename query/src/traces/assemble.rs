//! Spans to a tree, written as a list in depth-first order. Pure: knows ids and times only, and loses no span whatever their
//! senders say: missing parents are marked, spans that were sent twice stay two, and cycles are cut at their first span.

use std::collections::HashMap;

/// What the tree is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The span's own id.
    pub span_id: Vec<u8>,
    /// The id it names as its parent's.
    pub parent_span_id: Option<Vec<u8>>,
    /// Nanoseconds since the Unix epoch.
    pub start: i64,
    /// Nanoseconds since the Unix epoch.
    pub end: i64,
    /// The number the span got when it was committed; it orders spans that start together.
    pub seq: u64,
}

/// A span at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Position in the list of nodes.
    pub node: usize,
    /// 0 for spans without a parent.
    pub depth: usize,
    /// Whether the span names a parent that is not there.
    pub missing_parent: bool,
}

/// The nodes, parents before their children, siblings by start. Each node is there exactly once.
pub fn assemble(nodes: &[Node]) -> Vec<Place> {
    let mut by_start: Vec<usize> = (0..nodes.len()).collect();
    by_start.sort_by_key(|node| (nodes[*node].start, nodes[*node].seq));
    // Of spans with one id the first is the parent of those that name it.
    let mut by_id: HashMap<&[u8], usize> = HashMap::new();
    for node in &by_start {
        by_id.entry(&nodes[*node].span_id).or_insert(*node);
    }
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut roots = Vec::new();
    for node in &by_start {
        let parent = nodes[*node].parent_span_id.as_deref();
        match parent.map(|parent| by_id.get(parent)) {
            Some(Some(parent)) => children[*parent].push(*node),
            Some(None) => roots.push(Place { node: *node, depth: 0, missing_parent: true }),
            None => roots.push(Place { node: *node, depth: 0, missing_parent: false }),
        }
    }
    let mut walk = Walk { children, placed: vec![false; nodes.len()], places: Vec::with_capacity(nodes.len()) };
    for root in roots {
        walk.down_from(root);
    }
    // What no root leads to goes in a circle. The first span of it becomes its root.
    for node in by_start {
        if !walk.placed[node] {
            walk.down_from(Place { node, depth: 0, missing_parent: false });
        }
    }
    walk.places
}

struct Walk {
    children: Vec<Vec<usize>>,
    placed: Vec<bool>,
    places: Vec<Place>,
}

impl Walk {
    // With a stack of its own: a trace may be as deep as it has spans.
    fn down_from(&mut self, root: Place) {
        let mut stack = vec![root];
        while let Some(place) = stack.pop() {
            if std::mem::replace(&mut self.placed[place.node], true) {
                continue;
            }
            self.places.push(place);
            let child = |node: &usize| Place { node: *node, depth: place.depth + 1, missing_parent: false };
            stack.extend(self.children[place.node].iter().rev().map(child));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Spans as `id<parent@start`; the answer as `id:depth`, with `?` where the parent is missing.
    fn check(spans: &str, expected: &str) {
        let number = |text: &str| text.parse().expect("a number");
        let nodes: Vec<Node> = spans
            .split_whitespace()
            .zip(1..)
            .map(|(text, seq)| {
                let (ids, start) = text.split_once('@').expect("a start");
                let (id, parent) = ids.split_once('<').map_or((ids, None), |(id, parent)| (id, Some(parent)));
                let parent_span_id = parent.map(|parent| parent.as_bytes().to_vec());
                Node { span_id: id.as_bytes().to_vec(), parent_span_id, start: number(start), end: 0, seq }
            })
            .collect();
        let places = assemble(&nodes);
        let text = |place: &Place| {
            let id = String::from_utf8_lossy(&nodes[place.node].span_id).into_owned();
            format!("{id}:{}{}", place.depth, if place.missing_parent { "?" } else { "" })
        };
        assert_eq!(places.iter().map(text).collect::<Vec<_>>().join(" "), expected, "{spans}");
        assert_eq!(places.len(), nodes.len(), "{spans}");
    }

    #[test]
    fn builds_trees_and_loses_nothing() {
        check("", "");
        check("c<b@3 b<a@2 d<a@4 a@1", "a:0 b:1 c:2 d:1");
        check("b<a@5 c<a@3 a@9", "a:0 c:1 b:1");
        check("a@2 b@1", "b:0 a:0");
        check("b<x@2 a@1 c<b@3", "a:0 b:0? c:1");
        // Sent twice: both stay, the children follow the first.
        check("a@1 a@1 b<a@2", "a:0 b:1 a:0");
        check("a@1 b<a@2 b<a@2 c<b@3", "a:0 b:1 c:2 b:1");
        // Circles of one, of two, and a tail that hangs on one.
        check("a<a@1 b@2", "b:0 a:0");
        check("a<b@2 b<a@1 c<a@3", "b:0 a:1 c:2");
    }

    #[test]
    fn depth_needs_no_stack() {
        let spans: Vec<String> = (0..100_000).map(|n| format!("{}<{n}@{n}", n + 1)).collect();
        let nodes: Vec<Node> = spans
            .iter()
            .zip(0..)
            .map(|(text, start)| {
                let (id, rest) = text.split_once('<').expect("an id");
                let (parent, _) = rest.split_once('@').expect("a parent");
                let parent_span_id = Some(parent.as_bytes().to_vec());
                Node { span_id: id.as_bytes().to_vec(), parent_span_id, start, end: 0, seq: 0 }
            })
            .collect();
        assert_eq!(assemble(&nodes).last().map(|place| place.depth), Some(99_999));
    }
}
