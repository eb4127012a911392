//! Binary operators on two numbers, and on numbers and histograms.

use std::sync::Arc;

use super::Evaluator;
use crate::promql::function::{During, Remarks};
use crate::promql::histogram::{Histogram, Kept};
use crate::promql::plan::{Arithmetic, Comparison, Operator};
use crate::promql::value::{Column, Element};

/// What stands on one side of an operator.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operand<'a> {
    Number(f64),
    Histogram(&'a Arc<Histogram>),
}

impl<'a> Operand<'a> {
    /// What a column has at a step.
    pub(super) fn of(column: &'a Column, index: usize) -> Option<Self> {
        match column.histogram(index) {
            Some(histogram) => Some(Operand::Histogram(histogram)),
            None => column.get(index).map(Operand::Number),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Operand::Number(_) => "float",
            Operand::Histogram(_) => "histogram",
        }
    }
}

impl Evaluator<'_> {
    /// An operator between whatever two elements. A comparison without `bool` keeps the left one, or nothing.
    pub(super) fn elements(
        self,
        operator: Operator,
        return_bool: bool,
        position: Option<usize>,
        left: Operand<'_>,
        right: Operand<'_>,
    ) -> Option<Element> {
        let made = |histogram: Histogram| Some(Element::Histogram(Arc::new(histogram)));
        match (left, operator, right) {
            (Operand::Number(one), Operator::Arithmetic(_) | Operator::Compare(_), Operand::Number(other)) => {
                vector_element(operator, return_bool, one, other, one).map(Element::Number)
            }
            (
                Operand::Histogram(one),
                Operator::Arithmetic(sum @ (Arithmetic::Add | Arithmetic::Subtract)),
                Operand::Histogram(other),
            ) => self.sum_or_difference(sum, position, one, other),
            (
                Operand::Histogram(one),
                Operator::Compare(comparison @ (Comparison::Equal | Comparison::NotEqual)),
                Operand::Histogram(other),
            ) => {
                let holds = one.same(other) == (comparison == Comparison::Equal);
                if return_bool {
                    return Some(Element::Number(f64::from(u8::from(holds))));
                }
                holds.then(|| Element::Histogram(Arc::clone(one)))
            }
            (Operand::Histogram(one), Operator::Arithmetic(Arithmetic::Multiply), Operand::Number(factor))
            | (Operand::Number(factor), Operator::Arithmetic(Arithmetic::Multiply), Operand::Histogram(one)) => {
                made(one.times(factor))
            }
            (Operand::Histogram(one), Operator::Arithmetic(Arithmetic::Divide), Operand::Number(divisor)) => {
                made(one.over(divisor))
            }
            // Nothing lies on either side of NaN.
            (Operand::Histogram(_), Operator::Trim(_), Operand::Number(cut)) if cut.is_nan() => None,
            (Operand::Histogram(one), Operator::Trim(kept), Operand::Number(cut)) => made(one.trimmed(kept, cut)),
            _ => {
                self.inform_of_types(operator, position, [left.kind(), right.kind()]);
                None
            }
        }
    }

    fn sum_or_difference(
        self,
        operator: Arithmetic,
        position: Option<usize>,
        left: &Histogram,
        right: &Histogram,
    ) -> Option<Element> {
        let mut remarks = Remarks::default();
        let histogram = match operator {
            Arithmetic::Subtract => remarks.combined(left.minus(right), During::Subtraction).map(Histogram::into_gauge),
            _ => remarks.combined(left.plus(right), During::Addition),
        };
        self.remark(remarks.take(), "", position);
        if histogram.is_err() {
            let word = word(Operator::Arithmetic(operator));
            let text = format!("PromQL warning: incompatible bucket layout encountered for binary operator {word}");
            self.warn(position, text);
        }
        histogram.ok().map(|histogram| Element::Histogram(Arc::new(histogram)))
    }

    /// Says that an operator is not made for these kinds.
    pub(super) fn inform_of_types(self, operator: Operator, position: Option<usize>, [left, right]: [&str; 2]) {
        let word = word(operator);
        let text = format!(
            "PromQL info: incompatible sample types encountered for binary operator {word:?}: {left} {word} {right}"
        );
        self.inform(position, text);
    }

    /// The operator at each step where both columns have something.
    pub(super) fn columns(
        self,
        operator: Operator,
        return_bool: bool,
        position: Option<usize>,
        left: Column,
        right: &Column,
    ) -> Column {
        let of_numbers = !matches!(operator, Operator::Trim(_));
        if of_numbers && !left.has_histograms() && !right.has_histograms() {
            return left.map(|index, left| vector_element(operator, return_bool, left, right.get(index)?, left));
        }
        let mut column = left.clone();
        for index in left.occupied() {
            let pair = Operand::of(&left, index).zip(Operand::of(right, index));
            let element = pair.and_then(|(left, right)| self.elements(operator, return_bool, position, left, right));
            column.put(index, element);
        }
        column
    }
}

// As it is written.
fn word(operator: Operator) -> &'static str {
    match operator {
        Operator::Arithmetic(operator) => match operator {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
            Arithmetic::Modulo => "%",
            Arithmetic::Power => "^",
            Arithmetic::Atan2 => "atan2",
        },
        Operator::Compare(operator) => match operator {
            Comparison::Equal => "==",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        },
        Operator::Trim(Kept::Below) => "</",
        Operator::Trim(Kept::Above) => ">/",
    }
}

/// Between two scalars: a comparison gives 1 or 0.
pub(super) fn number(operator: Operator, left: f64, right: f64) -> f64 {
    match operator {
        Operator::Arithmetic(operator) => arithmetic(operator, left, right),
        Operator::Compare(operator) => f64::from(u8::from(compare(operator, left, right))),
        // The plan lets it stand behind histograms only.
        Operator::Trim(_) => f64::NAN,
    }
}

/// Where a vector takes part: a comparison without `bool` keeps `kept`, or nothing.
pub(super) fn vector_element(operator: Operator, return_bool: bool, left: f64, right: f64, kept: f64) -> Option<f64> {
    match operator {
        Operator::Compare(operator) if !return_bool => compare(operator, left, right).then_some(kept),
        operator => Some(number(operator, left, right)),
    }
}

fn arithmetic(operator: Arithmetic, left: f64, right: f64) -> f64 {
    match operator {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide => left / right,
        // Like C's fmod: the sign of the dividend.
        Arithmetic::Modulo => left % right,
        Arithmetic::Power => left.powf(right),
        Arithmetic::Atan2 => left.atan2(right),
    }
}

fn compare(operator: Comparison, left: f64, right: f64) -> bool {
    match operator {
        Comparison::Equal => left == right,
        Comparison::NotEqual => left != right,
        Comparison::Less => left < right,
        Comparison::LessOrEqual => left <= right,
        Comparison::Greater => left > right,
        Comparison::GreaterOrEqual => left >= right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_compares_as_in_ieee() {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
        for operator in [Equal, Less, LessOrEqual, Greater, GreaterOrEqual] {
            assert!(!compare(operator, f64::NAN, f64::NAN), "{operator:?}");
        }
        assert!(compare(NotEqual, f64::NAN, f64::NAN));
    }

    #[test]
    fn comparisons_keep_or_answer() {
        let greater = Operator::Compare(Comparison::Greater);
        assert_eq!(vector_element(greater, false, 3.0, 2.0, 3.0), Some(3.0));
        assert_eq!(vector_element(greater, false, 1.0, 2.0, 1.0), None);
        assert_eq!(vector_element(greater, true, 1.0, 2.0, 1.0), Some(0.0));
        assert_eq!(number(greater, 3.0, 2.0), 1.0);
    }
}
