//! Functions of single numbers: rounding, logarithms, trigonometry, the calendar.

use super::calendar;

/// A function from a number to a number; the numbers behind it are its other arguments.
#[derive(Clone, Copy, Debug)]
pub struct ElementFunction(fn(f64, &[f64]) -> Option<f64>);

impl ElementFunction {
    /// The number for one number, `None` if there is none.
    pub fn apply(self, value: f64, arguments: &[f64]) -> Option<f64> {
        (self.0)(value, arguments)
    }

    /// The function with this name, if it exists here.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(Self(match name {
            "abs" => |x, _| Some(x.abs()),
            "ceil" => |x, _| Some(x.ceil()),
            "floor" => |x, _| Some(x.floor()),
            "round" => round,
            "exp" => |x, _| Some(x.exp()),
            "ln" => |x, _| Some(x.ln()),
            "log2" => |x, _| Some(x.log2()),
            "log10" => |x, _| Some(x.log10()),
            "sqrt" => |x, _| Some(x.sqrt()),
            "sgn" => sign,
            "clamp" => clamp,
            "clamp_min" => |x, least| Some(greater(x, *least.first()?)),
            "clamp_max" => |x, most| Some(lesser(x, *most.first()?)),
            "deg" => |x, _| Some(x * 180.0 / std::f64::consts::PI),
            "rad" => |x, _| Some(x * std::f64::consts::PI / 180.0),
            "sin" => |x, _| Some(x.sin()),
            "cos" => |x, _| Some(x.cos()),
            "tan" => |x, _| Some(x.tan()),
            "asin" => |x, _| Some(x.asin()),
            "acos" => |x, _| Some(x.acos()),
            "atan" => |x, _| Some(x.atan()),
            "sinh" => |x, _| Some(x.sinh()),
            "cosh" => |x, _| Some(x.cosh()),
            "tanh" => |x, _| Some(x.tanh()),
            "asinh" => |x, _| Some(x.asinh()),
            "acosh" => |x, _| Some(x.acosh()),
            "atanh" => |x, _| Some(x.atanh()),
            "year" => |x, _| Some(calendar::year(x)),
            "month" => |x, _| Some(calendar::month(x)),
            "day_of_month" => |x, _| Some(calendar::day_of_month(x)),
            "day_of_year" => |x, _| Some(calendar::day_of_year(x)),
            "day_of_week" => |x, _| Some(calendar::day_of_week(x)),
            "days_in_month" => |x, _| Some(calendar::days_in_month(x)),
            "hour" => |x, _| Some(calendar::hour(x)),
            "minute" => |x, _| Some(calendar::minute(x)),
            _ => return None,
        }))
    }
}

// Halves go up. The inverse is computed first, so that the last bits come out as Prometheus's do.
fn round(value: f64, to: &[f64]) -> Option<f64> {
    let inverse = 1.0 / to.first().copied().unwrap_or(1.0);
    Some((value * inverse + 0.5).floor() / inverse)
}

// Of NaN and the zeros their own selves.
fn sign(value: f64, _: &[f64]) -> Option<f64> {
    Some(if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    })
}

fn clamp(value: f64, bounds: &[f64]) -> Option<f64> {
    let [least, most] = bounds else { return None };
    if most < least {
        return None;
    }
    Some(greater(*least, lesser(*most, value)))
}

/// The greater of two numbers as in Go: an infinity wins over everything, then NaN. Rust's own `max` prefers numbers to NaN.
pub fn greater(left: f64, right: f64) -> f64 {
    if left == f64::INFINITY || right == f64::INFINITY {
        f64::INFINITY
    } else if left.is_nan() || right.is_nan() {
        f64::NAN
    } else {
        left.max(right)
    }
}

/// The lesser, in the same way.
pub fn lesser(left: f64, right: f64) -> f64 {
    -greater(-left, -right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        for (name, value, arguments, expected) in [
            ("abs", -2.5, &[][..], Some(2.5)),
            ("round", 2.5, &[], Some(3.0)),
            ("round", -2.5, &[], Some(-2.0)),
            ("round", 13.4, &[5.0], Some(15.0)),
            ("round", 0.26, &[0.1], Some(0.3)),
            ("round", 3.0, &[0.0], Some(nan)),
            ("sgn", -inf, &[], Some(-1.0)),
            ("sgn", nan, &[], Some(nan)),
            ("clamp", 5.0, &[0.0, 2.0], Some(2.0)),
            ("clamp", 5.0, &[2.0, 0.0], None),
            ("clamp", 5.0, &[nan, 2.0], Some(nan)),
            ("clamp_min", nan, &[inf], Some(inf)),
            ("clamp_min", 1.0, &[nan], Some(nan)),
            ("clamp_max", -inf, &[nan], Some(-inf)),
            ("clamp_max", 3.0, &[2.0], Some(2.0)),
            ("ln", 0.0, &[], Some(-inf)),
            ("log2", 8.0, &[], Some(3.0)),
            ("acosh", 0.5, &[], Some(nan)),
            ("deg", std::f64::consts::PI, &[], Some(180.0)),
        ] {
            let function = ElementFunction::from_name(name).unwrap_or_else(|| panic!("{name} exists"));
            let got = function.apply(value, arguments);
            let same = match (got, expected) {
                (Some(got), Some(expected)) => {
                    (got - expected).abs() < 1e-12 || got == expected || (got.is_nan() && expected.is_nan())
                }
                (got, expected) => got == expected,
            };
            assert!(same, "{name}({value}, {arguments:?}) is {got:?}");
        }
        assert!(ElementFunction::from_name("nothing").is_none());
    }
}
