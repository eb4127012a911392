//! Durations of a plan: ranges, offsets and steps, known at once or computed when the query's own times are known.

use super::{Arithmetic, Side};
use crate::promql::limits;
use crate::promql::value::Steps;

/// A duration as it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Duration {
    /// A number of seconds.
    Seconds(f64),
    /// `step()`: the distance of the query's steps.
    Step,
    /// `range()`: from the query's start to its end.
    Range,
    /// `-d`
    Negate(Box<Duration>),
    /// `+ - * / % ^`
    Binary(Arithmetic, Box<Duration>, Box<Duration>),
    /// `max(a, b)` and `min(a, b)`
    Extreme(Side, Box<Duration>, Box<Duration>),
}

/// A duration of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// So many milliseconds.
    Millis(i64),
    /// The plan's computed duration with this number.
    Computed(usize),
}

impl Default for Span {
    fn default() -> Self {
        Span::Millis(0)
    }
}

impl Duration {
    /// Whether it is the same for every query.
    pub fn is_constant(&self) -> bool {
        match self {
            Duration::Seconds(_) => true,
            Duration::Step | Duration::Range => false,
            Duration::Negate(inner) => inner.is_constant(),
            Duration::Binary(_, left, right) | Duration::Extreme(_, left, right) => {
                left.is_constant() && right.is_constant()
            }
        }
    }

    /// How long it is in milliseconds, for a query with these steps; or why it cannot be.
    pub fn millis(&self, steps: &Steps) -> Result<i64, String> {
        let seconds = self.seconds(steps)?;
        if seconds.is_nan() || seconds.abs() > limits::DURATION_SECONDS_MAX {
            return Err("a range, offset or time of more than 300 years".to_owned());
        }
        Ok((seconds * 1000.0).round() as i64)
    }

    fn seconds(&self, steps: &Steps) -> Result<f64, String> {
        Ok(match self {
            Duration::Seconds(seconds) => *seconds,
            Duration::Step => steps.step() as f64 / 1000.0,
            Duration::Range => (steps.end() - steps.first()) as f64 / 1000.0,
            Duration::Negate(inner) => -inner.seconds(steps)?,
            Duration::Extreme(side, left, right) => {
                let (left, right) = (left.seconds(steps)?, right.seconds(steps)?);
                if *side == Side::Greatest { left.max(right) } else { left.min(right) }
            }
            Duration::Binary(operator, left, right) => {
                let (left, right) = (left.seconds(steps)?, right.seconds(steps)?);
                match operator {
                    Arithmetic::Add => left + right,
                    Arithmetic::Subtract => left - right,
                    Arithmetic::Multiply => left * right,
                    Arithmetic::Divide if right == 0.0 => return Err("division by zero".to_owned()),
                    Arithmetic::Modulo if right == 0.0 => return Err("modulo by zero".to_owned()),
                    Arithmetic::Divide => left / right,
                    Arithmetic::Modulo => left % right,
                    Arithmetic::Power | Arithmetic::Atan2 => left.powf(right),
                }
            }
        })
    }
}
