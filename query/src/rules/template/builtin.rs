//! The functions that every Go template has.

use std::cmp::Ordering;
use std::rc::Rc;

use super::function::Context;
use super::print;
use super::quote::is_print;
use super::value::Value;

type Returned = Result<Value, String>;

/// Stands for `and` and `or` where a function is asked for.
pub fn first(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Ok(values[0].clone())
}

pub fn not(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Ok(Value::Bool(!values[0].is_true()))
}

/// No value of these templates is a function.
pub fn call(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Err(match &values[0] {
        Value::Nothing => "call of nil".to_owned(),
        value => format!("non-function of type {}", value.type_name()),
    })
}

pub fn len(_: &mut Context<'_>, values: &[Value]) -> Returned {
    match (&values[0], values[0].len()) {
        (_, Some(length)) => Ok(Value::Int(length as i64)),
        (Value::Nothing, _) => Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
        (Value::Sample(None), _) => Err("len of nil pointer".to_owned()),
        (value, _) => Err(format!("len of type {}", value.type_name().trim_start_matches('*'))),
    }
}

pub fn index(_: &mut Context<'_>, values: &[Value]) -> Returned {
    let mut item = values[0].clone();
    if matches!(item, Value::Nothing) {
        return Err("index of untyped nil".to_owned());
    }
    for index in &values[1..] {
        item = match (&item, index) {
            (Value::Sample(None), _) => return Err("index of nil pointer".to_owned()),
            (Value::Map(_) | Value::Args(_), Value::Nothing) => {
                return Err("value is nil; should be of type string".to_owned());
            }
            (Value::Map(map), Value::Text(key)) => Value::text(map.get(&**key).map_or("", String::as_str)),
            (Value::Args(args), Value::Text(key)) => args.entries.get(&**key).cloned().unwrap_or(Value::Nothing),
            (Value::Map(_) | Value::Args(_), key) => {
                return Err(format!("value has type {}; should be string", key.type_name()));
            }
            (Value::Nothing, _) => return Err("index of nil pointer".to_owned()),
            _ => at(&item, index)?,
        };
    }
    Ok(item)
}

fn at(item: &Value, index: &Value) -> Returned {
    let Some(length) = item.len() else {
        return Err(format!("can't index item of type {}", item.type_name().trim_start_matches('*')));
    };
    let place = place(index, length)?;
    let found = match item {
        Value::Text(text) | Value::Html(text) => text.as_bytes().get(place).map(|byte| Value::Byte(*byte)),
        Value::Vector(samples) => samples.get(place).map(|sample| Value::Sample(Some(sample.clone()))),
        Value::Records(records) => records.get(place).map(|record| Value::Map(Rc::clone(record))),
        _ => None,
    };
    let kind = if item.is_textual() { "string" } else { "slice" };
    found.ok_or_else(|| format!("reflect: {kind} index out of range"))
}

fn place(index: &Value, length: usize) -> Result<usize, String> {
    let number = match index {
        Value::Int(number) => *number,
        Value::Byte(number) => i64::from(*number),
        Value::Nothing => return Err("cannot index slice/array with nil".to_owned()),
        other => return Err(format!("cannot index slice/array with type {}", other.type_name())),
    };
    let place = usize::try_from(number).ok().filter(|place| *place <= length);
    place.ok_or_else(|| format!("index out of range: {number}"))
}

pub fn slice(_: &mut Context<'_>, values: &[Value]) -> Returned {
    let (item, indices) = (&values[0], &values[1..]);
    if matches!(item, Value::Nothing) {
        return Err("slice of untyped nil".to_owned());
    }
    if indices.len() > 3 {
        return Err(format!("too many slice indexes: {}", indices.len()));
    }
    let length = match item {
        Value::Text(_) | Value::Html(_) if indices.len() == 3 => {
            return Err("cannot 3-index slice a string".to_owned());
        }
        Value::Text(text) | Value::Html(text) => text.len(),
        Value::Vector(samples) => samples.len(),
        Value::Records(records) => records.len(),
        _ => return Err(format!("can't slice item of type {}", item.type_name())),
    };
    let mut places = [0, length, length];
    for (index, value) in indices.iter().enumerate() {
        places[index] = place(value, length)?;
    }
    let [from, to, most] = places;
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    if indices.len() == 3 && to > most {
        return Err(format!("invalid slice index: {to} > {most}"));
    }
    Ok(match item {
        // Go cuts characters apart; what leaves this server is text.
        Value::Text(text) => Value::text(String::from_utf8_lossy(&text.as_bytes()[from..to])),
        Value::Html(text) => Value::Html(String::from_utf8_lossy(&text.as_bytes()[from..to]).into()),
        Value::Vector(samples) => Value::Vector(samples[from..to].into()),
        Value::Records(records) => Value::Records(records[from..to].into()),
        other => other.clone(),
    })
}

pub fn print(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Ok(Value::text(print::sprint(values)))
}

pub fn printf(_: &mut Context<'_>, values: &[Value]) -> Returned {
    match &values[0] {
        Value::Text(format) => Ok(Value::text(print::sprintf(format, &values[1..]))),
        other => Err(format!("no format in {}", other.type_name())),
    }
}

pub fn println(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Ok(Value::text(print::sprintln(values)))
}

pub fn html(_: &mut Context<'_>, values: &[Value]) -> Returned {
    let mut escaped = String::new();
    for c in print::printed(values).chars() {
        match c {
            '\0' => escaped.push('\u{fffd}'),
            '"' => escaped.push_str("&#34;"),
            '\'' => escaped.push_str("&#39;"),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c => escaped.push(c),
        }
    }
    Ok(Value::text(escaped))
}

pub fn js(_: &mut Context<'_>, values: &[Value]) -> Returned {
    let mut escaped = String::new();
    for c in print::printed(values).chars() {
        match c {
            '\\' | '\'' | '"' => escaped.extend(['\\', c]),
            '<' | '>' | '&' | '=' => escaped.push_str(&format!("\\u{:04X}", u32::from(c))),
            c if c.is_ascii() && c >= ' ' => escaped.push(c),
            c if !c.is_ascii() && is_print(c) => escaped.push(c),
            c => escaped.push_str(&format!("\\u{:04X}", u32::from(c))),
        }
    }
    Ok(Value::text(escaped))
}

pub fn urlquery(_: &mut Context<'_>, values: &[Value]) -> Returned {
    Ok(Value::text(query_escape(&print::printed(values))))
}

/// As Go's `url.QueryEscape` writes a text.
pub fn query_escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(char::from(byte)),
            b' ' => escaped.push('+'),
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

const BAD_TYPE: &str = "invalid type for comparison";
const BAD_PAIR: &str = "incompatible types for comparison";

pub fn eq(_: &mut Context<'_>, values: &[Value]) -> Returned {
    let (one, others) = (&values[0], &values[1..]);
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if equal(one, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

fn equal(one: &Value, other: &Value) -> Result<bool, String> {
    match (one, other) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Text(a) | Value::Html(a), Value::Text(b) | Value::Html(b)) => Ok(a == b),
        _ => match (whole(one), whole(other)) {
            (Some(a), Some(b)) => Ok(a == b),
            _ if is_basic(one) || is_basic(other) => {
                let nothing = |value: &Value| matches!(value, Value::Nothing);
                if nothing(one) || nothing(other) { Ok(false) } else { Err(BAD_PAIR.to_owned()) }
            }
            _ => same(one, other),
        },
    }
}

fn is_basic(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Int(_) | Value::Byte(_) | Value::Float(_)) || value.is_textual()
}

// Of values that are neither numbers nor texts.
fn same(one: &Value, other: &Value) -> Result<bool, String> {
    match (one, other) {
        (Value::Nothing, other) => Ok(matches!(other, Value::Nothing)),
        (_, Value::Map(_) | Value::Args(_) | Value::Vector(_) | Value::Records(_) | Value::Root(_)) => {
            let written = print::sprint(std::slice::from_ref(other));
            Err(format!("non-comparable type {written}: {}", other.type_name()))
        }
        (Value::Sample(None), Value::Sample(None)) => Ok(true),
        (Value::Sample(Some(a)), Value::Sample(Some(b))) => Ok(Rc::ptr_eq(&a.labels, &b.labels)),
        (Value::Moment(a), Value::Moment(b)) => Ok(a == b),
        (Value::Duration(a), Value::Duration(b)) => Ok(a == b),
        _ => Ok(false),
    }
}

fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Byte(number) => Some(i64::from(*number)),
        _ => None,
    }
}

// `None` where a NaN makes them neither less nor equal nor greater.
fn order(one: &Value, other: &Value) -> Result<Option<Ordering>, String> {
    if !is_basic(one) || !is_basic(other) {
        return Err(BAD_TYPE.to_owned());
    }
    match (one, other) {
        (Value::Bool(_), Value::Bool(_)) => Err(BAD_TYPE.to_owned()),
        (Value::Float(a), Value::Float(b)) => Ok(a.partial_cmp(b)),
        (Value::Text(a) | Value::Html(a), Value::Text(b) | Value::Html(b)) => Ok(Some(a.cmp(b))),
        _ => match (whole(one), whole(other)) {
            (Some(a), Some(b)) => Ok(Some(a.cmp(&b))),
            _ => Err(BAD_PAIR.to_owned()),
        },
    }
}

pub fn ne(context: &mut Context<'_>, values: &[Value]) -> Returned {
    eq(context, values).map(|equal| Value::Bool(!equal.is_true()))
}

pub fn lt(_: &mut Context<'_>, values: &[Value]) -> Returned {
    order(&values[0], &values[1]).map(|order| Value::Bool(order == Some(Ordering::Less)))
}

pub fn le(_: &mut Context<'_>, values: &[Value]) -> Returned {
    let order = order(&values[0], &values[1])?;
    Ok(Value::Bool(matches!(order, Some(Ordering::Less | Ordering::Equal))))
}

/// What is not less or equal, a NaN too.
pub fn gt(context: &mut Context<'_>, values: &[Value]) -> Returned {
    le(context, values).map(|answer| Value::Bool(!answer.is_true()))
}

/// What is not less, a NaN too.
pub fn ge(context: &mut Context<'_>, values: &[Value]) -> Returned {
    lt(context, values).map(|answer| Value::Bool(!answer.is_true()))
}
