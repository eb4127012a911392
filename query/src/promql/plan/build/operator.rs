//! Binary operators and aggregations.

use promql_parser::parser::token as t;
use promql_parser::parser::{AggregateExpr, BinModifier, BinaryExpr, Expr, VectorMatchCardinality};

use super::{Builder, Result, Typed, grouping};
use crate::promql::features::Feature;
use crate::promql::histogram::Kept;
use crate::promql::plan::{
    Aggregate, Aggregation, Arithmetic, Choice, Comparison, CountValues, Fill, GroupQuantile, Grouping, Limit,
    ManySide, Match, Operator, Portion, Scalar, SetMatch, SetOperator, Side, Vector, WithScalar,
};

// Where the left side and the operator stand, and whether it is one that trims.
struct Places {
    start: Option<usize>,
    position: Option<usize>,
    trims: bool,
}

// Either kind of operator.
enum Binary {
    Number(Operator),
    Set(SetOperator),
}

const PLACE: &str = "aggregation expression";

impl Builder<'_> {
    // Operators are nested as deep as the limit allows: what is done once both sides are planned takes up no room on the stack while
    // they are.
    pub(super) fn binary(&mut self, binary: &BinaryExpr) -> Result<Typed> {
        let start = self.locator.upcoming();
        let left = self.typed(&binary.lhs)?;
        let (position, trims) = self.locator.operator_or_trim(&binary.op.to_string());
        let right = self.typed(&binary.rhs)?;
        self.joined(binary, Places { start, position, trims }, left, right)
    }

    fn joined(&self, binary: &BinaryExpr, places: Places, left: Typed, right: Typed) -> Result<Typed> {
        let Places { start, position, trims } = places;
        let operator = operator(binary.op.id(), trims)
            .ok_or_else(|| self.unsupported(position, &format!("operator \"{}\"", binary.op)))?;
        let modifier = binary.modifier.clone().unwrap_or_default();
        let fill = Fill { left: modifier.fill_values.lhs, right: modifier.fill_values.rhs };
        if !fill.is_none() {
            self.need(Feature::Fill, position, "binop fill modifiers are experimental and not enabled")?;
        }
        let (operator, left, right) = match (operator, left, right) {
            (Binary::Set(_), ..) if !fill.is_none() => {
                return Err(self.refuse(position, "filling in missing series not allowed for set operators"));
            }
            (Binary::Number(operator), left, right) => (operator, left, right),
            (Binary::Set(operator), Typed::Vector(left), Typed::Vector(right)) => {
                let on = matching(&modifier);
                return Ok(Typed::Vector(Vector::Set(Box::new(SetMatch { operator, left, right, on }))));
            }
            (Binary::Set(_), ..) => {
                let message =
                    format!("set operator {:?} not allowed in binary scalar expression", binary.op.to_string());
                return Err(self.refuse(position, &message));
            }
        };
        if !fill.is_none() && !matches!((&left, &right), (Typed::Vector(_), Typed::Vector(_))) {
            return Err(self.refuse(position, "filling in missing series only allowed between instant vectors"));
        }
        if trims && matches!(left, Typed::Scalar(_)) {
            let message = format!("the left side of \"{}/\" must be an instant vector", binary.op);
            return Err(self.refuse(position, &message));
        }
        let return_bool = modifier.return_bool;
        let with_scalar = |vector, scalar, scalar_first| {
            Vector::WithScalar(Box::new(WithScalar {
                operator,
                vector,
                scalar,
                scalar_first,
                return_bool,
                position: start,
            }))
        };
        Ok(match (left, right) {
            (Typed::Scalar(left), Typed::Scalar(right)) => {
                Typed::Scalar(Scalar::Binary(operator, Box::new(left), Box::new(right)))
            }
            (Typed::Vector(vector), Typed::Scalar(scalar)) => Typed::Vector(with_scalar(vector, scalar, false)),
            (Typed::Scalar(scalar), Typed::Vector(vector)) => Typed::Vector(with_scalar(vector, scalar, true)),
            (Typed::Vector(left), Typed::Vector(right)) => {
                let (on, many) = (matching(&modifier), many_side(&modifier));
                let matched = Match { operator, left, right, on, return_bool, many, fill, position: start };
                Typed::Vector(Vector::Match(Box::new(matched)))
            }
        })
    }

    pub(super) fn aggregate(&mut self, aggregate: &AggregateExpr) -> Result<Vector> {
        let name = aggregate.op.to_string();
        let start = self.locator.call(&name);
        let position = self.locator.first_argument();
        let by = grouping(aggregate.modifier.as_ref()).unwrap_or(Grouping::Only(Vec::new()));
        let operation = match (aggregate.op.id(), aggregate.param.as_deref()) {
            (t::T_SUM, None) => Aggregation::Sum,
            (t::T_AVG, None) => Aggregation::Avg,
            (t::T_MIN, None) => Aggregation::Min,
            (t::T_MAX, None) => Aggregation::Max,
            (t::T_COUNT, None) => Aggregation::Count,
            (t::T_GROUP, None) => Aggregation::Group,
            (t::T_STDDEV, None) => Aggregation::Stddev,
            (t::T_STDVAR, None) => Aggregation::Stdvar,
            (_, Some(parameter)) => return self.parametrized(aggregate, parameter, by, start, position),
            _ => return Err(self.unsupported(start, &format!("aggregation \"{name}\""))),
        };
        let vector = self.vector(&aggregate.expr, PLACE)?;
        Ok(Vector::Aggregate(Box::new(Aggregate { operation, vector, by, position })))
    }

    fn parametrized(
        &mut self,
        aggregate: &AggregateExpr,
        parameter: &Expr,
        by: Grouping,
        start: Option<usize>,
        position: Option<usize>,
    ) -> Result<Vector> {
        self.check_experimental(&aggregate.op.to_string(), start)?;
        match aggregate.op.id() {
            t::T_QUANTILE => {
                let quantile = self.scalar(parameter, PLACE)?;
                let (vector, series_position) = self.aggregated(&aggregate.expr)?;
                let node = GroupQuantile { quantile, vector, by, position, series_position };
                Ok(Vector::GroupQuantile(Box::new(node)))
            }
            op @ (t::T_TOPK | t::T_BOTTOMK) => {
                let side = if op == t::T_TOPK { Side::Greatest } else { Side::Least };
                let count = self.scalar(parameter, PLACE)?;
                let (vector, _) = self.aggregated(&aggregate.expr)?;
                Ok(Vector::Choice(Box::new(Choice { side, count, vector, by, position: start })))
            }
            op @ (t::T_LIMITK | t::T_LIMIT_RATIO) => {
                let number = self.scalar(parameter, PLACE)?;
                let portion = if op == t::T_LIMITK { Portion::Count(number) } else { Portion::Share(number) };
                let (vector, _) = self.aggregated(&aggregate.expr)?;
                Ok(Vector::Limit(Box::new(Limit { portion, vector, by, position })))
            }
            t::T_COUNT_VALUES => {
                let label = self.label(parameter, "invalid label name")?;
                let (vector, _) = self.aggregated(&aggregate.expr)?;
                let by = match by {
                    Grouping::Only(labels) => Grouping::Only(labels.into_iter().chain([label.clone()]).collect()),
                    without => without,
                };
                Ok(Vector::CountValues(Box::new(CountValues { label, vector, by })))
            }
            _ => Err(self.unsupported(start, &format!("aggregation \"{}\"", aggregate.op))),
        }
    }

    // What is aggregated, behind a parameter.
    fn aggregated(&mut self, tree: &Expr) -> Result<(Vector, Option<usize>)> {
        let position = self.locator.next_argument();
        Ok((self.vector(tree, PLACE)?, position))
    }
}

fn matching(modifier: &BinModifier) -> Grouping {
    grouping(modifier.matching.as_ref()).unwrap_or(Grouping::Without(Vec::new()))
}

fn many_side(modifier: &BinModifier) -> Option<ManySide> {
    let (is_left, labels) = match &modifier.card {
        VectorMatchCardinality::ManyToOne(labels) => (true, labels),
        VectorMatchCardinality::OneToMany(labels) => (false, labels),
        VectorMatchCardinality::OneToOne | VectorMatchCardinality::ManyToMany => return None,
    };
    Some(ManySide { is_left, include: labels.labels.clone() })
}

fn operator(token: t::TokenId, trims: bool) -> Option<Binary> {
    Some(match token {
        t::T_LSS if trims => Binary::Number(Operator::Trim(Kept::Below)),
        t::T_GTR if trims => Binary::Number(Operator::Trim(Kept::Above)),
        t::T_LAND => Binary::Set(SetOperator::And),
        t::T_LOR => Binary::Set(SetOperator::Or),
        t::T_LUNLESS => Binary::Set(SetOperator::Unless),
        token => Binary::Number(match token {
            t::T_ADD => Operator::Arithmetic(Arithmetic::Add),
            t::T_SUB => Operator::Arithmetic(Arithmetic::Subtract),
            t::T_MUL => Operator::Arithmetic(Arithmetic::Multiply),
            t::T_DIV => Operator::Arithmetic(Arithmetic::Divide),
            t::T_MOD => Operator::Arithmetic(Arithmetic::Modulo),
            t::T_POW => Operator::Arithmetic(Arithmetic::Power),
            t::T_ATAN2 => Operator::Arithmetic(Arithmetic::Atan2),
            t::T_EQLC => Operator::Compare(Comparison::Equal),
            t::T_NEQ => Operator::Compare(Comparison::NotEqual),
            t::T_LSS => Operator::Compare(Comparison::Less),
            t::T_LTE => Operator::Compare(Comparison::LessOrEqual),
            t::T_GTR => Operator::Compare(Comparison::Greater),
            t::T_GTE => Operator::Compare(Comparison::GreaterOrEqual),
            _ => return None,
        }),
    })
}
