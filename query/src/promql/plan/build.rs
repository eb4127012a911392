//! From the syntax tree to the plan. Walks in the order of the text, because the [`Locator`] does.

mod call;
mod operator;
mod select;

use promql_parser::parser::{Expr, LabelModifier, VectorSelector};

use super::{Duration, Extension, Grouping, Range, Root, Scalar, Vector};
use crate::promql::dialect::Entry;
use crate::promql::error::PromqlError;
use crate::promql::features::{Feature, Features};
use crate::promql::matcher::Matcher;
use crate::promql::tokens::Locator;

type Result<T> = std::result::Result<T, PromqlError>;

/// Builds the plan of one query.
pub(super) struct Builder<'q> {
    query: &'q str,
    locator: Locator<'q>,
    // What durations of impossible length stand for.
    entries: Vec<Entry>,
    durations: Vec<Duration>,
    features: &'q Features,
}

// An expression whose type is not yet known to the caller.
enum Typed {
    Scalar(Scalar),
    Vector(Vector),
}

impl<'q> Builder<'q> {
    pub(super) fn new(query: &'q str, entries: Vec<Entry>, features: &'q Features) -> Self {
        Self { query, locator: Locator::new(query), entries, durations: Vec::new(), features }
    }

    /// The durations that are computed when the query's times are known.
    pub(super) fn into_durations(self) -> Vec<Duration> {
        self.durations
    }

    pub(super) fn plan(&mut self, tree: &Expr) -> Result<Root> {
        match without_parentheses(tree) {
            Expr::StringLiteral(text) => Ok(Root::Text(text.val.clone())),
            tree @ (Expr::MatrixSelector(_) | Expr::Subquery(_)) => {
                let range = self.range(tree)?;
                if let Some(extension) = range.extension() {
                    let (word, functions) = (extension.word(), extension.functions().join(", "));
                    return Err(self.refuse(Some(0), &format!("{word} modifier needs a function: {functions}")));
                }
                Ok(Root::Range(range))
            }
            _ => Ok(match self.typed(tree)? {
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
            Expr::Paren(inner) => {
                self.locator.open();
                self.typed(&inner.expr)
            }
            Expr::NumberLiteral(number) => {
                self.locator.number();
                Ok(Typed::Scalar(Scalar::Number(number.val)))
            }
            Expr::VectorSelector(selector) => self.instant(selector).map(Typed::Vector),
            Expr::Unary(unary) => {
                self.locator.operator("-");
                Ok(match self.typed(&unary.expr)? {
                    Typed::Scalar(scalar) => Typed::Scalar(Scalar::Negate(Box::new(scalar))),
                    Typed::Vector(vector) => Typed::Vector(Vector::Negate(Box::new(vector))),
                })
            }
            Expr::Binary(binary) => self.binary(binary),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate).map(Typed::Vector),
            Expr::Call(call) => self.call(call),
            Expr::MatrixSelector(_) | Expr::Subquery(_) => {
                let position = self.range(tree)?.position();
                Err(self.refuse(position, "a range of samples cannot stand here: only a function takes one"))
            }
            Expr::StringLiteral(_) => {
                let position = self.locator.text().map(|text| text.at);
                Err(self.refuse(position, "a text cannot stand here"))
            }
            Expr::Extension(_) => Err(self.unsupported(None, "an extension")),
        }
    }

    fn instant(&mut self, selector: &VectorSelector) -> Result<Vector> {
        let select = self.select(selector)?;
        if select.extension == Some(Extension::Anchored) {
            return Err(self.refuse(select.position, "anchored modifier can only be used with range selectors"));
        }
        Ok(Vector::Select(select))
    }

    fn vector(&mut self, tree: &Expr, place: &str) -> Result<Vector> {
        match self.typed(tree)? {
            Typed::Vector(vector) => Ok(vector),
            Typed::Scalar(_) => Err(self.refuse(None, &format!("expected type vector in {place}, got scalar"))),
        }
    }

    fn scalar(&mut self, tree: &Expr, place: &str) -> Result<Scalar> {
        match self.typed(tree)? {
            Typed::Scalar(scalar) => Ok(scalar),
            Typed::Vector(_) => Err(self.refuse(None, &format!("expected type scalar in {place}, got vector"))),
        }
    }

    fn range(&mut self, tree: &Expr) -> Result<Range> {
        match without_parentheses(tree) {
            Expr::MatrixSelector(selector) => self.range_select(selector).map(Range::Select),
            Expr::Subquery(subquery) => self.subquery(subquery).map(|subquery| Range::Subquery(Box::new(subquery))),
            _ => Err(self.refuse(self.locator.upcoming(), "expected a range of samples such as up[5m]")),
        }
    }

    fn text(&mut self, tree: &Expr) -> Result<String> {
        match without_parentheses(tree) {
            Expr::StringLiteral(text) => {
                self.locator.text();
                Ok(text.val.clone())
            }
            _ => Err(self.refuse(self.locator.upcoming(), "expected a text in quotes")),
        }
    }

    /// A text that names a label.
    fn label(&mut self, tree: &Expr, role: &str) -> Result<String> {
        let Expr::StringLiteral(literal) = without_parentheses(tree) else { return self.text(tree) };
        let token = self.locator.text();
        // Any text may name a label but the empty one, and bytes that make no text: the parser reads `\xff` as a character.
        let written = token.map_or("", |token| token.text);
        let is_text = written.starts_with('`')
            || !written.split("\\x").skip(1).any(|escape| escape.starts_with(['8', '9', 'a', 'b', 'c', 'd', 'e', 'f']));
        if literal.val.is_empty() || !is_text {
            return Err(self.refuse(token.map(|token| token.at), &format!("{role} {written}")));
        }
        Ok(literal.val.clone())
    }

    // Unless the feature is on.
    fn need(&self, feature: Feature, position: Option<usize>, message: &str) -> Result<()> {
        if self.features.has(feature) { Ok(()) } else { Err(self.refuse(position, message)) }
    }

    fn refuse(&self, position: Option<usize>, message: &str) -> PromqlError {
        PromqlError::Parse { query: self.query.to_owned(), position, message: message.to_owned() }
    }

    fn unsupported(&self, position: Option<usize>, construct: &str) -> PromqlError {
        PromqlError::Unsupported { query: self.query.to_owned(), position, construct: construct.to_owned() }
    }
}

// How many brackets stand around an expression.
fn parentheses(mut tree: &Expr) -> usize {
    let mut count = 0;
    while let Expr::Paren(inner) = tree {
        (tree, count) = (&inner.expr, count + 1);
    }
    count
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::plan::{At, Plan, Span, When};

    #[test]
    fn names_what_is_not_supported_and_where() {
        for (query, expected) in [
            ("rate(up[5m:1m]) > integral(up[1m])", "1:19: function \"integral\" is not supported yet"),
            ("up + up{a=\"1\" or b=\"2\"}", "1:6: \"or\" between matchers is not supported yet"),
            ("-a offset -5m - b + start_timestamp(c)", "1:21: function \"start_timestamp\" is not supported yet"),
            ("a and fill(1) b", "1:3: parse error: filling in missing series not allowed for set operators"),
            ("a + fill(1) 2", "1:3: parse error: filling in missing series only allowed between instant vectors"),
            ("info(a, b)", "1:9: parse error: expected label selectors only, got vector selector instead"),
            (
                "label_replace(a, \"\", \"b\", \"c\", \"d\")",
                "1:18: parse error: invalid destination label name in label_replace(): \"\"",
            ),
            (
                "label_replace(a, \"a\", \"b\", \"c\", \"(\")",
                "1:33: parse error: invalid regular expression in label_replace(): (",
            ),
            ("exp(1)", "1:5: parse error: expected type vector in call to function 'exp', got scalar"),
            ("up[5m:0.0001]", "1:3: parse error: the step of a subquery is less than a millisecond"),
            ("up[5m - 5m]", "1:1: parse error: duration must be greater than 0"),
            ("up[5m / 0]", "1:1: parse error: division by zero"),
            ("up[200y * 2]", "1:1: parse error: a range, offset or time of more than 300 years"),
            (
                "deriv(up[5m] smoothed)",
                "1:1: parse error: smoothed modifier can only be used with: delta, increase, rate - not with deriv",
            ),
            (
                "sum_over_time(up[5m] anchored)",
                "1:1: parse error: anchored modifier can only be used with: changes, delta, increase, rate, resets - not \
                 with sum_over_time",
            ),
            ("up anchored", "1:1: parse error: anchored modifier can only be used with range selectors"),
            ("up[5m] smoothed", "1:1: parse error: smoothed modifier needs a function: delta, increase, rate"),
            ("rate(up[5m:1m] smoothed)", "1:6: parse error: smoothed modifier cannot be used with subqueries"),
            ("1 </ up", "1:3: parse error: the left side of \"</\" must be an instant vector"),
        ] {
            match Plan::new(query) {
                Err(error) => assert_eq!(error.to_string(), expected, "{query}"),
                Ok(plan) => panic!("{query} planned as {plan:?}"),
            }
        }
    }

    #[test]
    fn features_can_be_switched_off() {
        let none: Features = serde_json::from_str("[]").expect("no feature is a list");
        for (query, expected) in [
            (
                "1 + limitk(3, up)",
                "1:5: parse error: limitk() is experimental and must be enabled with the feature \
                 promql-experimental-functions",
            ),
            (
                "info(up)",
                "1:1: parse error: info() is experimental and must be enabled with the feature \
                 promql-experimental-functions",
            ),
            ("up[5m * 2]", "1:1: parse error: experimental duration expression is not enabled"),
            ("up offset step()", "1:1: parse error: experimental duration expression is not enabled"),
            ("rate(up[5m] anchored)", "1:6: parse error: anchored modifier is experimental and not enabled"),
            ("up smoothed", "1:1: parse error: smoothed modifier is experimental and not enabled"),
            ("up + fill(0) up", "1:4: parse error: binop fill modifiers are experimental and not enabled"),
        ] {
            match Plan::with_features(query, &none) {
                Err(error) => assert_eq!(error.to_string(), expected, "{query}"),
                Ok(plan) => panic!("{query} planned as {plan:?}"),
            }
            assert!(Plan::new(query).is_ok(), "{query}");
        }
        assert!(Plan::with_features("sum(rate(up[5m] offset 1m))", &none).is_ok());
        assert!(serde_json::from_str::<Features>("[\"promql-at-modifier\"]").is_err());
    }

    #[test]
    fn selectors_keep_their_places() {
        let plan = Plan::new("sum(\n  rate(x_total[5m])\n) by (x_total) + x_total offset -1m @ 10").expect("valid");
        let Root::Vector(Vector::Match(node)) = plan.root else { panic!("{plan:?}") };
        let Vector::Aggregate(aggregate) = &node.left else { panic!("{node:?}") };
        let Vector::OverRange(call) = &aggregate.vector else { panic!("{aggregate:?}") };
        let Range::Select(range) = &call.range else { panic!("{call:?}") };
        assert_eq!((range.select.position, range.range), (Some(12), Span::Millis(300_000)));
        let Vector::Select(select) = &node.right else { panic!("{node:?}") };
        let when = When { offset: Span::Millis(-60_000), at: Some(At::Time(10_000)) };
        assert_eq!((select.position, select.when), (Some(42), when));
    }

    #[test]
    fn plans_are_shared_between_threads() {
        fn shared<T: Send + Sync>(_: &T) {}
        shared(&Plan::new("sum(rate(x_total{a=~\"b\"}[5m]))").expect("valid"));
    }

    #[test]
    fn never_panics_on_broken_queries() {
        for query in [
            "topk by (a) (3, label_replace(x, \"é\", '$1', `a`, \"(.*)\")) and on (b) max_over_time((x offset -5m)[1h:1m] @ end())",
            "histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m]))) > bool scalar(quantile_over_time(.5, y[1m])) atan2 hour()",
            "count_values(\"\\xff\", x * on () group_left (a, \"b.c\") y) unless absent({\"x\", a!~\"b\"}) or vector(-0x1f)",
        ] {
            for (end, _) in query.char_indices() {
                let _ = Plan::new(&query[..end]);
                let _ = Plan::new(&query[end..]);
            }
        }
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
