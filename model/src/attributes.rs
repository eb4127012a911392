//! Attribute values as OTLP has them, and their canonical text: OTLP/JSON.
//!
//! The canonical text is what the store keeps for values that fit no typed column (arrays, key-value lists, empty values)
//! and what two values are compared by.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// A value of an attribute, or a log body: OTLP's `AnyValue`.
#[derive(Clone, Debug, PartialEq)]
pub enum AttributeValue {
    /// `AnyValue` with nothing set.
    Empty,
    /// UTF-8 text.
    String(String),
    /// `true` or `false`.
    Bool(bool),
    /// A signed 64-bit integer.
    Int(i64),
    /// An IEEE 754 double, NaN and infinities included.
    Double(f64),
    /// Any bytes.
    Bytes(Vec<u8>),
    /// Values of any kinds, mixed.
    Array(Vec<AttributeValue>),
    /// Named values; of two with one name the last counts.
    Map(Vec<(String, AttributeValue)>),
}

impl AttributeValue {
    /// The value as OTLP/JSON's `AnyValue`: `{"intValue":"5"}`; integers as strings, bytes as base64, NaN as `"NaN"`.
    pub fn to_otlp_json(&self) -> Value {
        match self {
            AttributeValue::Empty => json!({}),
            AttributeValue::String(text) => json!({ "stringValue": text }),
            AttributeValue::Bool(value) => json!({ "boolValue": value }),
            AttributeValue::Int(value) => json!({ "intValue": value.to_string() }),
            AttributeValue::Double(value) => json!({ "doubleValue": double_json(*value) }),
            AttributeValue::Bytes(bytes) => json!({ "bytesValue": base64_encode(bytes) }),
            AttributeValue::Array(values) => {
                let values: Vec<Value> = values.iter().map(AttributeValue::to_otlp_json).collect();
                json!({ "arrayValue": { "values": values } })
            }
            AttributeValue::Map(entries) => {
                let values: Vec<Value> =
                    entries.iter().map(|(key, value)| json!({ "key": key, "value": value.to_otlp_json() })).collect();
                json!({ "kvlistValue": { "values": values } })
            }
        }
    }

    /// Reads what [`AttributeValue::to_otlp_json`] wrote. `None` if it is something else.
    pub fn from_otlp_json(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let Some((kind, value)) = object.iter().next() else {
            return Some(AttributeValue::Empty);
        };
        Some(match kind.as_str() {
            "stringValue" => AttributeValue::String(value.as_str()?.to_owned()),
            "boolValue" => AttributeValue::Bool(value.as_bool()?),
            "intValue" => AttributeValue::Int(value.as_str()?.parse().ok()?),
            "doubleValue" => AttributeValue::Double(double_from_json(value)?),
            "bytesValue" => AttributeValue::Bytes(base64_decode(value.as_str()?)?),
            "arrayValue" => {
                let values = value.get("values")?.as_array()?;
                AttributeValue::Array(values.iter().map(Self::from_otlp_json).collect::<Option<_>>()?)
            }
            "kvlistValue" => {
                let entries = value.get("values")?.as_array()?;
                let entry = |entry: &Value| {
                    Some((entry.get("key")?.as_str()?.to_owned(), Self::from_otlp_json(entry.get("value")?)?))
                };
                AttributeValue::Map(entries.iter().map(entry).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    /// The value as plain JSON, the way rows show it: integers beyond 2^53 as strings, bytes as base64, an empty value as
    /// null, NaN and infinities as strings.
    pub fn to_plain_json(&self) -> Value {
        match self {
            AttributeValue::Empty => Value::Null,
            AttributeValue::String(text) => Value::String(text.clone()),
            AttributeValue::Bool(value) => Value::Bool(*value),
            AttributeValue::Int(value) => int_json(*value),
            AttributeValue::Double(value) => double_json(*value),
            AttributeValue::Bytes(bytes) => Value::String(base64_encode(bytes)),
            AttributeValue::Array(values) => Value::Array(values.iter().map(Self::to_plain_json).collect()),
            AttributeValue::Map(entries) => {
                let object: Map<String, Value> =
                    entries.iter().map(|(key, value)| (key.clone(), value.to_plain_json())).collect();
                Value::Object(object)
            }
        }
    }

    /// The value as one piece of text: what search compares words with and what a Prometheus label shows. A string is itself,
    /// arrays and maps are JSON, an empty value is the empty text.
    pub fn to_text(&self) -> String {
        match self {
            AttributeValue::Empty => String::new(),
            AttributeValue::String(text) => text.clone(),
            AttributeValue::Bool(value) => value.to_string(),
            AttributeValue::Int(value) => value.to_string(),
            AttributeValue::Double(value) => double_text(*value),
            AttributeValue::Bytes(bytes) => base64_encode(bytes),
            AttributeValue::Array(_) | AttributeValue::Map(_) => self.to_plain_json().to_string(),
        }
    }
}

/// The text of a double: the shortest that reads back equal; `NaN`, `Infinity`, `-Infinity` as OTLP/JSON writes them.
pub fn double_text(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() }
    } else {
        value.to_string()
    }
}

/// A double as JSON: a number, or a string where JSON has no number for it.
pub fn double_json(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| Value::String(double_text(value)), Value::Number)
}

/// Reads a double from a JSON number or from the strings of [`double_text`].
pub fn double_from_json(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => text.parse().ok(),
        },
        _ => None,
    }
}

/// An integer as JSON: a number up to 2^53 in size, a string beyond, where JavaScript would round it.
pub fn int_json(value: i64) -> Value {
    if value.unsigned_abs() <= 1 << 53 { Value::from(value) } else { Value::String(value.to_string()) }
}

/// [`int_json`] for unsigned integers.
pub fn uint_json(value: u64) -> Value {
    if value <= 1 << 53 { Value::from(value) } else { Value::String(value.to_string()) }
}

/// Standard base64 with padding (RFC 4648, section 4).
pub fn base64_encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads what [`base64_encode`] wrote; `None` if it is anything else.
pub fn base64_decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<AttributeValue> {
        vec![
            AttributeValue::Empty,
            AttributeValue::String("naïve \u{0}".into()),
            AttributeValue::Bool(true),
            AttributeValue::Int(i64::MIN),
            AttributeValue::Double(f64::NEG_INFINITY),
            AttributeValue::Double(1e-300),
            AttributeValue::Bytes(vec![0, 255, 7, 1]),
            AttributeValue::Array(vec![
                AttributeValue::Int(1),
                AttributeValue::String("x".into()),
                AttributeValue::Empty,
            ]),
            AttributeValue::Map(vec![
                ("k".into(), AttributeValue::Map(vec![])),
                ("b".into(), AttributeValue::Bytes(vec![])),
            ]),
        ]
    }

    #[test]
    fn otlp_json_reads_back_equal() {
        for value in samples() {
            let text = value.to_otlp_json().to_string();
            let read = serde_json::from_str(&text).ok().and_then(|json| AttributeValue::from_otlp_json(&json));
            assert_eq!(read, Some(value), "{text}");
        }
    }

    #[test]
    fn plain_json_keeps_large_integers_exact() {
        assert_eq!(AttributeValue::Int(1 << 53).to_plain_json(), json!(9_007_199_254_740_992i64));
        assert_eq!(AttributeValue::Int((1 << 53) + 1).to_plain_json(), json!("9007199254740993"));
    }
}
