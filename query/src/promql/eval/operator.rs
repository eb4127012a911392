//! The arithmetic of binary operators on two numbers.

use crate::promql::plan::{Arithmetic, Comparison, Operator};

/// Between two scalars: a comparison gives 1 or 0.
pub(super) fn number(operator: Operator, left: f64, right: f64) -> f64 {
    match operator {
        Operator::Arithmetic(operator) => arithmetic(operator, left, right),
        Operator::Compare(operator) => f64::from(u8::from(compare(operator, left, right))),
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
