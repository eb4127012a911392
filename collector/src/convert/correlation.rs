//! Finding the correlation id among attributes.

use std::borrow::Cow;

use store::schema::ValueRef;

/// The correlation id in one list of attributes: the value of the first of `keys` that is present with a text that is not
/// empty. Of attributes with one key the last counts.
pub(super) fn find<'a>(keys: &[String], attributes: &[(&str, ValueRef<'a>)]) -> Option<Cow<'a, str>> {
    keys.iter().find_map(|key| {
        let (_, value) = attributes.iter().rev().find(|(name, _)| name == key)?;
        let text = match *value {
            ValueRef::String(text) => Cow::Borrowed(text),
            other => Cow::Owned(other.to_owned().to_text()),
        };
        (!text.is_empty()).then_some(text)
    })
}

#[cfg(test)]
mod tests {
    use model::attributes::AttributeValue;

    use super::*;

    #[test]
    fn takes_the_first_key_with_text() {
        let keys = ["a", "b", "c"].map(str::to_owned);
        let list = AttributeValue::Array(vec![AttributeValue::Int(1)]);
        type Case<'a> = (&'a [(&'a str, ValueRef<'a>)], Option<&'a str>);
        let cases: [Case<'_>; 7] = [
            (&[], None),
            (&[("x", ValueRef::String("no"))], None),
            (&[("c", ValueRef::String("three")), ("a", ValueRef::String("one"))], Some("one")),
            (&[("a", ValueRef::String("")), ("b", ValueRef::Int(-7))], Some("-7")),
            (&[("a", ValueRef::Nested(&AttributeValue::Empty)), ("c", ValueRef::Bool(true))], Some("true")),
            (&[("b", ValueRef::Nested(&list))], Some("[1]")),
            (&[("b", ValueRef::String("first")), ("b", ValueRef::String("last"))], Some("last")),
        ];
        for (attributes, expected) in cases {
            assert_eq!(find(&keys, attributes).as_deref(), expected, "{attributes:?}");
        }
    }
}
