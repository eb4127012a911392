//! The series selectors of an expression, wherever they stand in it: what `query_exemplars` asks with.

use std::convert::Infallible;

use promql_parser::parser::{Expr, VectorSelector};
use promql_parser::util::{ExprVisitor, walk_expr};

use super::PromqlError;
use super::matcher::Matcher;
use super::plan::matchers_of;

/// The matchers of each selector in `query`, whatever is done with what it selects. Offsets and times are not looked at.
pub fn selectors(query: &str) -> Result<Vec<Vec<Matcher>>, PromqlError> {
    let tree = super::parse::parse(query)?.tree;
    let mut found = Found::default();
    // Nothing in it fails.
    let Ok(_) = walk_expr(&mut found, &tree);
    found.selectors.iter().map(|selector| matchers_of(query, selector)).collect()
}

#[derive(Default)]
struct Found {
    selectors: Vec<VectorSelector>,
}

impl ExprVisitor for Found {
    type Error = Infallible;

    fn pre_visit(&mut self, tree: &Expr) -> Result<bool, Infallible> {
        match tree {
            Expr::VectorSelector(selector) => self.selectors.push(selector.clone()),
            Expr::MatrixSelector(range) => self.selectors.push(range.vs.clone()),
            _ => {}
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_found_everywhere() {
        let query = "sum(rate(a{b=\"c\"}[5m] offset 1m)) / on() group_left max_over_time(d[1h:1m]) + e @ 3 > -(f or g)";
        let found = selectors(query).expect("valid");
        let names: Vec<Option<&str>> = found.iter().map(|matchers| super::super::only_name(matchers)).collect();
        assert_eq!(names, [Some("a"), Some("d"), Some("e"), Some("f"), Some("g")]);
        assert_eq!(found[0].len(), 2);
        assert_eq!(selectors("1 + 2").expect("valid").len(), 0);
        assert!(selectors("sum(").is_err());
    }
}
