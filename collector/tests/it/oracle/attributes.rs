//! OTLP's key-value lists as the borrowed pairs that the store's columns take.

use model::attributes::AttributeValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use store::schema::ValueRef;

use collector::Reason;
use collector::convert::Limits;

/// A key-value list together with what it needs to be borrowed from: nested values have another form in the store.
#[derive(Debug)]
pub struct KeyValues<'a> {
    list: &'a [KeyValue],
    // Arrays, maps and empty values, in the order of the list.
    nested: Vec<AttributeValue>,
    /// Why this list must not be used: a value is nested too deep, or something is too many or too large.
    pub fault: Option<Reason>,
    /// Whether there were string indexes, read as absent.
    pub string_index: bool,
}

impl<'a> KeyValues<'a> {
    pub fn new(list: &'a [KeyValue], limits: &Limits) -> Self {
        let mut held = Self { list, nested: Vec::new(), fault: oversized(list, limits), string_index: false };
        for entry in list {
            held.string_index |= entry.key_strindex != 0;
            if plain(entry.value.as_ref()).is_none() {
                match nested(entry.value.as_ref(), limits.value_depth_max, &mut held.string_index) {
                    Some(value) => held.nested.push(value),
                    None => held.fault = Some(Reason::Depth),
                }
            }
        }
        held
    }

    /// The list as it came.
    pub fn list(&self) -> &'a [KeyValue] {
        self.list
    }

    /// The pairs in the order they were sent.
    pub fn refs(&self) -> Vec<(&str, ValueRef<'_>)> {
        if self.fault.is_some() {
            return Vec::new();
        }
        let mut nested = self.nested.iter();
        let pair = |entry: &'a KeyValue| {
            let value = plain(entry.value.as_ref()).or_else(|| nested.next().map(ValueRef::Nested))?;
            Some((entry.key.as_str(), value))
        };
        self.list.iter().filter_map(pair).collect()
    }
}

// Whether a list has too many entries, or one that is too large. Nested values count as they are encoded.
fn oversized(list: &[KeyValue], limits: &Limits) -> Option<Reason> {
    if list.len() > limits.attributes_max {
        return Some(Reason::Attributes);
    }
    let oversized = |entry: &KeyValue| {
        if entry.key.len() > limits.attribute_key_bytes_max {
            return Some(Reason::AttributeKey);
        }
        let bytes = match entry.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Value::StringValue(text)) => text.len(),
            Some(Value::BytesValue(bytes)) => bytes.len(),
            Some(nested @ (Value::ArrayValue(_) | Value::KvlistValue(_))) => nested.encoded_len(),
            _ => 0,
        };
        (bytes > limits.attribute_value_bytes_max).then_some(Reason::AttributeValue)
    };
    list.iter().find_map(oversized)
}

/// One value together with what it needs to be borrowed from: the body of a log record.
#[derive(Debug)]
pub enum HeldValue<'a> {
    Absent,
    Plain(ValueRef<'a>),
    Nested(AttributeValue),
    TooDeep,
}

impl<'a> HeldValue<'a> {
    pub fn new(value: Option<&'a AnyValue>, depth_max: usize, string_index: &mut bool) -> Self {
        if value.is_none() {
            return HeldValue::Absent;
        }
        match plain(value) {
            Some(value) => HeldValue::Plain(value),
            None => nested(value, depth_max, string_index).map_or(HeldValue::TooDeep, HeldValue::Nested),
        }
    }

    pub fn as_ref(&self) -> Option<ValueRef<'_>> {
        match self {
            HeldValue::Absent | HeldValue::TooDeep => None,
            HeldValue::Plain(value) => Some(*value),
            HeldValue::Nested(value) => Some(ValueRef::Nested(value)),
        }
    }
}

/// The value where the store takes it as it is.
fn plain(value: Option<&AnyValue>) -> Option<ValueRef<'_>> {
    match value?.value.as_ref()? {
        Value::StringValue(text) => Some(ValueRef::String(text)),
        Value::BoolValue(value) => Some(ValueRef::Bool(*value)),
        Value::IntValue(value) => Some(ValueRef::Int(*value)),
        Value::DoubleValue(value) => Some(ValueRef::Double(*value)),
        Value::BytesValue(bytes) => Some(ValueRef::Bytes(bytes)),
        Value::ArrayValue(_) | Value::KvlistValue(_) | Value::StringValueStrindex(_) => None,
    }
}

// A copy of the value in the store's words; `None` if it goes deeper than `depth` levels of arrays and maps. The level is
// counted before it is entered, so that the stack is bounded whatever was sent.
fn nested(value: Option<&AnyValue>, depth: usize, string_index: &mut bool) -> Option<AttributeValue> {
    Some(match value.and_then(|value| value.value.as_ref()) {
        None => AttributeValue::Empty,
        Some(Value::StringValueStrindex(_)) => {
            *string_index = true;
            AttributeValue::Empty
        }
        Some(Value::StringValue(text)) => AttributeValue::String(text.clone()),
        Some(Value::BoolValue(value)) => AttributeValue::Bool(*value),
        Some(Value::IntValue(value)) => AttributeValue::Int(*value),
        Some(Value::DoubleValue(value)) => AttributeValue::Double(*value),
        Some(Value::BytesValue(bytes)) => AttributeValue::Bytes(bytes.clone()),
        Some(Value::ArrayValue(array)) => {
            let depth = depth.checked_sub(1)?;
            let values = array.values.iter().map(|value| nested(Some(value), depth, string_index));
            AttributeValue::Array(values.collect::<Option<_>>()?)
        }
        Some(Value::KvlistValue(map)) => {
            let depth = depth.checked_sub(1)?;
            let entries = map.values.iter().map(|entry| {
                *string_index |= entry.key_strindex != 0;
                Some((entry.key.clone(), nested(entry.value.as_ref(), depth, string_index)?))
            });
            AttributeValue::Map(entries.collect::<Option<_>>()?)
        }
    })
}
