//! Labels while they are being made, and as they are kept: a target's before and after relabelling, and those of a series.
//!
//! Not [`model::Labels`], which PromQL compares: a scraper remembers every series of every target and wants them small.

use std::borrow::Cow;

/// The label that holds a series' name.
pub(super) const NAME: &str = "__name__";

/// Labels that can still change. A label without a value is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels<'a> {
    // A handful to some dozens: looking through them is faster than a map.
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Labels<'a> {
    /// These pairs; of several with one name the last counts.
    pub fn of<N: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut labels = Self::default();
        for (name, value) in pairs {
            labels.set(name, value);
        }
        labels
    }

    /// The value of a label; empty if there is none.
    pub fn get(&self, name: &str) -> &str {
        self.pairs.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Whether the label was named, be it without a value.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.pairs.iter().any(|(known, _)| known == name)
    }

    /// Gives a label this value.
    pub fn set(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let (name, value) = (name.into(), value.into());
        match self.pairs.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.pairs.push((name, value)),
        }
    }

    /// The same for a name that is known to be new, be the value empty.
    pub(super) fn push(&mut self, name: Cow<'a, str>, value: Cow<'a, str>) {
        self.pairs.push((name, value));
    }

    /// Takes a label away.
    pub fn remove(&mut self, name: &str) {
        self.pairs.retain(|(known, _)| known != name);
    }

    /// Keeps the labels whose names are wanted.
    pub(super) fn retain(&mut self, mut wanted: impl FnMut(&str) -> bool) {
        self.pairs.retain(|(name, _)| wanted(name));
    }

    /// Names and values of all that have one, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (&**name, &**value))
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The labels as they stay.
    pub fn finish(&self) -> LabelSet {
        let mut pairs: Vec<(&str, &str)> = self.iter().collect();
        pairs.sort_unstable();
        LabelSet::of_sorted(&pairs)
    }
}

/// Labels that stay as they are, sorted by name, in two allocations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LabelSet {
    text: Box<str>,
    // Where each name and each value ends in the text.
    ends: Box<[u32]>,
}

impl LabelSet {
    fn of_sorted(pairs: &[(&str, &str)]) -> Self {
        let (mut text, mut ends) = (String::new(), Vec::with_capacity(2 * pairs.len()));
        for part in pairs.iter().flat_map(|(name, value)| [name, value]) {
            text.push_str(part);
            // A body has at most 1 GiB, and so have its labels.
            ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        Self { text: text.into(), ends: ends.into() }
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let start = |at: usize| if at == 0 { 0 } else { self.ends[at - 1] as usize };
        let part = move |at: usize| self.text.get(start(at)..self.ends[at] as usize).unwrap_or_default();
        (0..self.ends.len() / 2).map(move |pair| (part(2 * pair), part(2 * pair + 1)))
    }

    /// The value of a label; empty if there is none.
    pub fn get(&self, name: &str) -> &str {
        self.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// Labels that begin with these.
    pub fn edit(&self) -> Labels<'_> {
        Labels { pairs: self.iter().map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value))).collect() }
    }
}

/// Whether the byte may stand in a metric's name without quotes.
pub(super) fn is_metric_byte(byte: u8, first: bool) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b'_' | b':') || !first && byte.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_kept_sorted_and_without_empty_ones() {
        let mut labels = Labels::of([("job", "a"), ("empty", ""), ("instance", "b"), ("job", "c")]);
        assert!(labels.is_named("empty") && labels.get("empty").is_empty());
        labels.set("zone", "ü");
        labels.remove("instance");
        let kept = labels.finish();
        assert_eq!(kept.iter().collect::<Vec<_>>(), [("job", "c"), ("zone", "ü")]);
        assert_eq!((kept.get("zone"), kept.get("none")), ("ü", ""));
        assert_eq!(kept.edit().finish(), kept);
        assert_eq!(Labels::default().finish().iter().count(), 0);
        // The border between a name and its value counts.
        assert_ne!(Labels::of([("ab", "c")]).finish(), Labels::of([("a", "bc")]).finish());
    }
}
