//! Finding the correlation id among attributes.

use std::borrow::Cow;

use store::schema::ValueRef;

/// The correlation id in one list of attributes: the value of the first of `keys` that is present with a text that is not
/// empty. Of attributes with one key the last counts.
pub fn find<'a>(keys: &[String], attributes: &[(&str, ValueRef<'a>)]) -> Option<Cow<'a, str>> {
    keys.iter().find_map(|key| {
        let (_, value) = attributes.iter().rev().find(|(name, _)| name == key)?;
        let text = match *value {
            ValueRef::String(text) => Cow::Borrowed(text),
            other => Cow::Owned(other.to_owned().to_text()),
        };
        (!text.is_empty()).then_some(text)
    })
}
