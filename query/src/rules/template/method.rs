//! The methods that values of a template have: those of Go's times and durations that only read.

use super::function::Type;
use super::moment::{Moment, print_duration};
use super::value::Value;

/// What a method does with its receiver and its arguments.
pub type Run = fn(&[Value]) -> Result<Value, String>;

/// The types of the arguments of `receiver`'s method, and what it does.
pub fn find(receiver: &Value, name: &str) -> Option<(&'static [Type], Run)> {
    match receiver {
        Value::Moment(_) => moment_method(name),
        Value::Duration(_) => duration_method(name),
        _ => None,
    }
}

fn moment_method(name: &str) -> Option<(&'static [Type], Run)> {
    Some(match name {
        "Format" => (&[Type::Text], |values| match values {
            [Value::Moment(moment), Value::Text(layout)] => Ok(Value::text(moment.format(layout))),
            _ => Err(mismatch()),
        }),
        "Add" => (&[Type::Duration], |values| match values {
            [Value::Moment(Moment(millis)), Value::Duration(nanos)] => {
                Ok(Value::Moment(Moment(millis.saturating_add(nanos / 1_000_000))))
            }
            _ => Err(mismatch()),
        }),
        "Sub" => (&[Type::Moment], |values| {
            pair(values).map(|(a, b)| Value::Duration(a.saturating_sub(b).saturating_mul(1_000_000)))
        }),
        "Before" => (&[Type::Moment], |values| pair(values).map(|(a, b)| Value::Bool(a < b))),
        "After" => (&[Type::Moment], |values| pair(values).map(|(a, b)| Value::Bool(a > b))),
        "Equal" => (&[Type::Moment], |values| pair(values).map(|(a, b)| Value::Bool(a == b))),
        "Year" => (&[], |values| part(values, "Year")),
        "Month" => (&[], |values| part(values, "Month")),
        "Day" => (&[], |values| part(values, "Day")),
        "Weekday" => (&[], |values| part(values, "Weekday")),
        "YearDay" => (&[], |values| part(values, "YearDay")),
        "Hour" => (&[], |values| part(values, "Hour")),
        "Minute" => (&[], |values| part(values, "Minute")),
        "Second" => (&[], |values| part(values, "Second")),
        "Nanosecond" => (&[], |values| part(values, "Nanosecond")),
        "Unix" => (&[], |values| part(values, "Unix")),
        "UnixMilli" => (&[], |values| part(values, "UnixMilli")),
        "UTC" => (&[], |values| part(values, "UTC")),
        "String" => (&[], |values| part(values, "String")),
        _ => return None,
    })
}

fn duration_method(name: &str) -> Option<(&'static [Type], Run)> {
    Some(match name {
        "Hours" => (&[], |values| nanos(values).map(|n| Value::Float(n as f64 / 3.6e12))),
        "Minutes" => (&[], |values| nanos(values).map(|n| Value::Float(n as f64 / 6e10))),
        "Seconds" => (&[], |values| nanos(values).map(|n| Value::Float(n as f64 / 1e9))),
        "Milliseconds" => (&[], |values| nanos(values).map(|n| Value::Int(n / 1_000_000))),
        "Microseconds" => (&[], |values| nanos(values).map(|n| Value::Int(n / 1_000))),
        "Nanoseconds" => (&[], |values| nanos(values).map(Value::Int)),
        "String" => (&[], |values| nanos(values).map(|n| Value::text(print_duration(n)))),
        _ => return None,
    })
}

fn part(values: &[Value], name: &str) -> Result<Value, String> {
    match values {
        [Value::Moment(moment)] => moment.part(name).ok_or_else(mismatch),
        _ => Err(mismatch()),
    }
}

fn pair(values: &[Value]) -> Result<(i64, i64), String> {
    match values {
        [Value::Moment(a), Value::Moment(b)] => Ok((a.0, b.0)),
        _ => Err(mismatch()),
    }
}

fn nanos(values: &[Value]) -> Result<i64, String> {
    match values {
        [Value::Duration(nanos)] => Ok(*nanos),
        _ => Err(mismatch()),
    }
}

fn mismatch() -> String {
    "arguments of the wrong types".to_owned()
}
