//! From the syntax tree to the plan. Walks in the order of the text, because the [`Locator`] does.

use std::time::{Duration, SystemTime};

use promql_parser::label::{MatchOp, Matcher as ParsedMatcher};
use promql_parser::parser::token as t;
use promql_parser::parser::{
    AggregateExpr, AtModifier, BinModifier, BinaryExpr, Call, Expr, LabelModifier, MatrixSelector, Offset,
    VectorMatchCardinality, VectorMatchFillValues, VectorSelector,
};

use super::{
    Aggregate, Aggregation, Arithmetic, At, Comparison, Grouping, Match, Operator, RangeSelect, Root, Scalar, Select,
    Vector, WithScalar,
};
use crate::promql::error::PromqlError;
use crate::promql::function::RangeFunction;
use crate::promql::limits;
use crate::promql::matcher::{Condition, Matcher, anchored};
use crate::promql::tokens::Locator;

type Result<T> = std::result::Result<T, PromqlError>;

/// Builds the plan of one query.
pub(super) struct Builder<'q> {
    query: &'q str,
    locator: Locator<'q>,
}

// An expression whose type is not yet known to the caller.
enum Typed {
    Scalar(Scalar),
    Vector(Vector),
}

impl<'q> Builder<'q> {
    pub(super) fn new(query: &'q str) -> Self {
        Self { query, locator: Locator::new(query) }
    }

    pub(super) fn plan(&mut self, tree: &Expr) -> Result<Root> {
        match without_parentheses(tree) {
            Expr::StringLiteral(text) => Ok(Root::Text(text.val.clone())),
            Expr::MatrixSelector(selector) => self.range_select(selector).map(Root::Range),
            tree => Ok(match self.typed(tree)? {
                Typed::Scalar(scalar) => Root::Scalar(scalar),
                Typed::Vector(vector) => Root::Vector(vector),
            }),
        }
    }

    pub(super) fn series_selector(&mut self, tree: &Expr) -> Result<Vec<Matcher>> {
        match tree {
            Expr::VectorSelector(selector) if selector.offset.is_none() && selector.at.is_none() => {
                Ok(self.select(selector)?.matchers)
            }
            _ => Err(self.refuse(Some(0), "expected a series selector such as up{job=\"shop\"}")),
        }
    }

    fn typed(&mut self, tree: &Expr) -> Result<Typed> {
        match tree {
            Expr::Paren(inner) => self.typed(&inner.expr),
            Expr::NumberLiteral(number) => {
                self.locator.number();
                Ok(Typed::Scalar(Scalar::Number(number.val)))
            }
            Expr::VectorSelector(selector) => self.select(selector).map(|select| Typed::Vector(Vector::Select(select))),
            Expr::Unary(unary) => {
                self.locator.operator("-");
                Ok(match self.typed(&unary.expr)? {
                    Typed::Scalar(scalar) => Typed::Scalar(Scalar::Negate(Box::new(scalar))),
                    Typed::Vector(vector) => Typed::Vector(Vector::Negate(Box::new(vector))),
                })
            }
            Expr::Binary(binary) => self.binary(binary),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate).map(Typed::Vector),
            Expr::Call(call) => self.call(call).map(Typed::Vector),
            // The inner expression comes first in the text.
            Expr::Subquery(subquery) => {
                self.typed(&subquery.expr)?;
                Err(self.unsupported(self.locator.modifier("["), "a subquery"))
            }
            Expr::MatrixSelector(selector) => {
                let position = self.range_select(selector)?.select.position;
                Err(self.refuse(position, "a range of samples cannot stand here: only a function takes one"))
            }
            Expr::StringLiteral(_) => {
                let position = self.locator.text();
                Err(self.refuse(position, "a text cannot stand here"))
            }
            Expr::Extension(_) => Err(self.unsupported(None, "an extension")),
        }
    }

    fn vector(&mut self, tree: &Expr, place: &str) -> Result<Vector> {
        match self.typed(tree)? {
            Typed::Vector(vector) => Ok(vector),
            Typed::Scalar(_) => Err(self.refuse(None, &format!("expected type vector in {place}, got scalar"))),
        }
    }

    fn binary(&mut self, binary: &BinaryExpr) -> Result<Typed> {
        let left = self.typed(&binary.lhs)?;
        let position = self.locator.operator(&binary.op.to_string());
        let operator = operator(binary.op.id())
            .ok_or_else(|| self.unsupported(position, &format!("operator \"{}\"", binary.op)))?;
        let modifier = binary.modifier.clone().unwrap_or_default();
        self.check_modifier(position, &modifier)?;
        let right = self.typed(&binary.rhs)?;
        let return_bool = modifier.return_bool;
        let with_scalar = |vector, scalar, scalar_first| {
            Vector::WithScalar(Box::new(WithScalar { operator, vector, scalar, scalar_first, return_bool }))
        };
        Ok(match (left, right) {
            (Typed::Scalar(left), Typed::Scalar(right)) => {
                Typed::Scalar(Scalar::Binary(operator, Box::new(left), Box::new(right)))
            }
            (Typed::Vector(vector), Typed::Scalar(scalar)) => Typed::Vector(with_scalar(vector, scalar, false)),
            (Typed::Scalar(scalar), Typed::Vector(vector)) => Typed::Vector(with_scalar(vector, scalar, true)),
            (Typed::Vector(left), Typed::Vector(right)) => {
                let on = grouping(modifier.matching.as_ref()).unwrap_or(Grouping::Without(Vec::new()));
                Typed::Vector(Vector::Match(Box::new(Match { operator, left, right, on, return_bool })))
            }
        })
    }

    fn check_modifier(&self, position: Option<usize>, modifier: &BinModifier) -> Result<()> {
        match modifier.card {
            VectorMatchCardinality::ManyToOne(_) => return Err(self.unsupported(position, "\"group_left\"")),
            VectorMatchCardinality::OneToMany(_) => return Err(self.unsupported(position, "\"group_right\"")),
            VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => {}
        }
        if modifier.fill_values != VectorMatchFillValues::default() {
            return Err(self.unsupported(position, "\"fill\""));
        }
        Ok(())
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr) -> Result<Vector> {
        let name = aggregate.op.to_string();
        let position = self.locator.call(&name);
        let operation = match aggregate.op.id() {
            t::T_SUM => Aggregation::Sum,
            t::T_AVG => Aggregation::Avg,
            t::T_MIN => Aggregation::Min,
            t::T_MAX => Aggregation::Max,
            t::T_COUNT => Aggregation::Count,
            _ => return Err(self.unsupported(position, &format!("aggregation \"{name}\""))),
        };
        let by = grouping(aggregate.modifier.as_ref()).unwrap_or(Grouping::Only(Vec::new()));
        let vector = self.vector(&aggregate.expr, "aggregation expression")?;
        Ok(Vector::Aggregate(Box::new(Aggregate { operation, vector, by })))
    }

    fn call(&mut self, call: &Call) -> Result<Vector> {
        let name = call.func.name;
        let position = self.locator.call(name);
        let function = RangeFunction::from_name(name)
            .ok_or_else(|| self.unsupported(position, &format!("function \"{name}\"")))?;
        match call.args.args.first().map(|argument| without_parentheses(argument)) {
            Some(Expr::MatrixSelector(selector)) => Ok(Vector::OverRange(function, self.range_select(selector)?)),
            Some(Expr::Subquery(_)) => Err(self.unsupported(self.locator.modifier("["), "a subquery")),
            _ => Err(self.refuse(position, &format!("function \"{name}\" takes a range of samples"))),
        }
    }

    fn range_select(&mut self, selector: &MatrixSelector) -> Result<RangeSelect> {
        let select = self.select(&selector.vs)?;
        let range_ms = self.millis(select.position, selector.range)?;
        Ok(RangeSelect { select, range_ms })
    }

    fn select(&mut self, selector: &VectorSelector) -> Result<Select> {
        // A quoted name stands within the braces: `{"http.requests"}`.
        let name = selector.name.as_deref();
        let position = self.locator.selector(name);
        if !selector.matchers.or_matchers.is_empty() {
            return Err(self.unsupported(position, "\"or\" between matchers"));
        }
        let mut matchers: Vec<Matcher> =
            name.map(|name| Matcher::equal(model::labels::METRIC_NAME, name)).into_iter().collect();
        for parsed in &selector.matchers.matchers {
            matchers.push(self.matcher(position, parsed)?);
        }
        let offset_ms = match &selector.offset {
            None => 0,
            Some(Offset::Pos(offset)) => self.millis(position, *offset)?,
            Some(Offset::Neg(offset)) => -self.millis(position, *offset)?,
        };
        let at = selector.at.as_ref().map(|at| self.at(position, at)).transpose()?;
        Ok(Select { matchers, offset_ms, at, position })
    }

    fn matcher(&self, position: Option<usize>, parsed: &ParsedMatcher) -> Result<Matcher> {
        let regex = || {
            anchored(&parsed.value).map_err(|error| {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.refuse(position, &format!("illegal regex {:?}: {reason}", parsed.value))
            })
        };
        let condition = match parsed.op {
            MatchOp::Equal => Condition::Equal(parsed.value.clone()),
            MatchOp::NotEqual => Condition::NotEqual(parsed.value.clone()),
            MatchOp::Re(_) => Condition::Matches(regex()?),
            MatchOp::NotRe(_) => Condition::NotMatches(regex()?),
        };
        Ok(Matcher { name: parsed.name.clone(), condition })
    }

    fn at(&self, position: Option<usize>, at: &AtModifier) -> Result<At> {
        let time = match at {
            AtModifier::Start => return Ok(At::Start),
            AtModifier::End => return Ok(At::End),
            AtModifier::At(time) => *time,
        };
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => self.millis(position, after).map(At::Time),
            Err(before) => self.millis(position, before.duration()).map(|millis| At::Time(-millis)),
        }
    }

    fn millis(&self, position: Option<usize>, duration: Duration) -> Result<i64> {
        if duration.as_secs_f64() > limits::DURATION_SECONDS_MAX {
            return Err(self.refuse(position, "a range, offset or time of more than 300 years"));
        }
        Ok(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
    }

    fn refuse(&self, position: Option<usize>, message: &str) -> PromqlError {
        PromqlError::Parse { query: self.query.to_owned(), position, message: message.to_owned() }
    }

    fn unsupported(&self, position: Option<usize>, construct: &str) -> PromqlError {
        PromqlError::Unsupported { query: self.query.to_owned(), position, construct: construct.to_owned() }
    }
}

fn without_parentheses(mut tree: &Expr) -> &Expr {
    while let Expr::Paren(inner) = tree {
        tree = &inner.expr;
    }
    tree
}

fn grouping(modifier: Option<&LabelModifier>) -> Option<Grouping> {
    Some(match modifier? {
        LabelModifier::Include(labels) => Grouping::Only(labels.labels.clone()),
        LabelModifier::Exclude(labels) => Grouping::Without(labels.labels.clone()),
    })
}

fn operator(token: t::TokenId) -> Option<Operator> {
    Some(match token {
        t::T_ADD => Operator::Arithmetic(Arithmetic::Add),
        t::T_SUB => Operator::Arithmetic(Arithmetic::Subtract),
        t::T_MUL => Operator::Arithmetic(Arithmetic::Multiply),
        t::T_DIV => Operator::Arithmetic(Arithmetic::Divide),
        t::T_MOD => Operator::Arithmetic(Arithmetic::Modulo),
        t::T_POW => Operator::Arithmetic(Arithmetic::Power),
        t::T_EQLC => Operator::Compare(Comparison::Equal),
        t::T_NEQ => Operator::Compare(Comparison::NotEqual),
        t::T_LSS => Operator::Compare(Comparison::Less),
        t::T_LTE => Operator::Compare(Comparison::LessOrEqual),
        t::T_GTR => Operator::Compare(Comparison::Greater),
        t::T_GTE => Operator::Compare(Comparison::GreaterOrEqual),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::plan::Plan;

    #[test]
    fn names_what_is_not_supported_and_where() {
        for (query, expected) in [
            ("absent(up)", "1:1: function \"absent\" is not supported yet"),
            ("1 + topk(3, up)", "1:5: aggregation \"topk\" is not supported yet"),
            ("a and b", "1:3: operator \"and\" is not supported yet"),
            ("sum by (a) (a) * on (a) group_left (b) c", "1:16: \"group_left\" is not supported yet"),
            ("rate(up[5m:1m])", "1:8: a subquery is not supported yet"),
            ("up + up{a=\"1\" or b=\"2\"}", "1:6: \"or\" between matchers is not supported yet"),
            ("time()", "1:1: function \"time\" is not supported yet"),
            ("a + fill(1) b", "1:3: \"fill\" is not supported yet"),
            ("-a offset -5m - b atan2 a", "1:19: operator \"atan2\" is not supported yet"),
        ] {
            match Plan::new(query) {
                Err(error) => assert_eq!(error.to_string(), expected, "{query}"),
                Ok(plan) => panic!("{query} planned as {plan:?}"),
            }
        }
    }

    #[test]
    fn selectors_keep_their_places() {
        let plan = Plan::new("sum(\n  rate(x_total[5m])\n) by (x_total) + x_total offset -1m @ 10").expect("valid");
        let Root::Vector(Vector::Match(node)) = plan.root else { panic!("{plan:?}") };
        let Vector::Aggregate(aggregate) = &node.left else { panic!("{node:?}") };
        let Vector::OverRange(_, range) = &aggregate.vector else { panic!("{aggregate:?}") };
        assert_eq!((range.select.position, range.range_ms), (Some(12), 300_000));
        let Vector::Select(select) = &node.right else { panic!("{node:?}") };
        assert_eq!((select.position, select.offset_ms, select.at), (Some(42), -60_000, Some(At::Time(10_000))));
    }

    #[test]
    fn series_selectors_are_plain() {
        let matchers = super::super::series_selector("up{job=~\"a|b\"}").expect("valid");
        assert_eq!(matchers.len(), 2);
        for query in ["up[5m]", "up offset 5m", "up + up", "1", "sum(up)", "up @ 3"] {
            assert!(super::super::series_selector(query).is_err(), "{query}");
        }
    }
}
