//! A label set in Prometheus's sense: sorted names with their values, `__name__` among them.
//!
//! Not OTLP attributes: those are typed and live in [`crate::attributes`]; [`crate::names`] turns the one into the other.
//! Cloning is one counter, comparing is mostly one number: PromQL keys its hash maps by label sets.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The label that holds a series' name.
pub const METRIC_NAME: &str = "__name__";

/// An immutable label set. Names are unique and in byte order; no value is empty, because an empty label is an absent one.
#[derive(Clone)]
pub struct Labels(Arc<Inner>);

struct Inner {
    // Of the pairs below, so that equal sets have equal hashes.
    hash: u64,
    pairs: Box<[(Arc<str>, Arc<str>)]>,
}

impl Labels {
    /// The empty label set `{}`.
    pub fn empty() -> Self {
        Self::from_sorted(Vec::new())
    }

    /// The set of these pairs. Of pairs with one name the last counts; pairs with an empty value are left out.
    pub fn new<N: Into<Arc<str>>, V: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut pairs: Vec<(Arc<str>, Arc<str>)> = pairs.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
        // The sort is stable: among equal names the last given one stands last, and is the one that stays.
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let mut kept: Vec<(Arc<str>, Arc<str>)> = Vec::with_capacity(pairs.len());
        for pair in pairs {
            match kept.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => kept.push(pair),
            }
        }
        kept.retain(|(_, value)| !value.is_empty());
        Self::from_sorted(kept)
    }

    fn from_sorted(pairs: Vec<(Arc<str>, Arc<str>)>) -> Self {
        let mut hasher = std::hash::DefaultHasher::new();
        pairs.hash(&mut hasher);
        Self(Arc::new(Inner { hash: hasher.finish(), pairs: pairs.into_boxed_slice() }))
    }

    /// The value of `name`, if it is there.
    pub fn get(&self, name: &str) -> Option<&str> {
        let index = self.0.pairs.binary_search_by(|(key, _)| (**key).cmp(name)).ok()?;
        Some(&self.0.pairs[index].1)
    }

    /// The series' name, if it has one.
    pub fn metric_name(&self) -> Option<&str> {
        self.get(METRIC_NAME)
    }

    /// Names and values in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.pairs.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.pairs.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.pairs.is_empty()
    }

    /// The same set with only the labels for whose name `keep` holds.
    pub fn filter(&self, keep: impl Fn(&str) -> bool) -> Self {
        if self.0.pairs.iter().all(|(name, _)| keep(name)) {
            return self.clone();
        }
        Self::from_sorted(self.0.pairs.iter().filter(|(name, _)| keep(name)).cloned().collect())
    }

    /// The same set without the series' name.
    pub fn without_name(&self) -> Self {
        self.filter(|name| name != METRIC_NAME)
    }

    /// The same set with texts that it shares with other sets.
    pub fn sharing(&self, texts: &mut LabelTexts) -> Self {
        let pairs = self.0.pairs.iter().map(|(name, value)| (texts.shared(name), texts.shared(value)));
        Self(Arc::new(Inner { hash: self.0.hash, pairs: pairs.collect() }))
    }

    /// The same set with `name` set to `value`; an empty value takes the label away.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let pairs = self.0.pairs.iter().cloned();
        Self::new(pairs.chain(std::iter::once((Arc::from(name), Arc::from(value)))))
    }
}

/// The texts of many label sets, each once: names are few, and most values too.
#[derive(Debug, Default)]
pub struct LabelTexts(HashSet<Arc<str>>);

impl LabelTexts {
    fn shared(&mut self, text: &Arc<str>) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        self.0.insert(Arc::clone(text));
        Arc::clone(text)
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl PartialEq for Labels {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.hash == other.0.hash && self.0.pairs == other.0.pairs)
    }
}

impl Eq for Labels {}

impl Hash for Labels {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

impl PartialOrd for Labels {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Labels {
    /// Label by label, name before value; of two sets with a common beginning the shorter comes first.
    fn cmp(&self, other: &Self) -> Ordering {
        // Of texts that are shared the pointers say that they are equal.
        let compare =
            |one: &Arc<str>, two: &Arc<str>| if Arc::ptr_eq(one, two) { Ordering::Equal } else { one.cmp(two) };
        for ((name, value), (other_name, other_value)) in self.0.pairs.iter().zip(&other.0.pairs) {
            let order = compare(name, other_name).then_with(|| compare(value, other_value));
            if order.is_ne() {
                return order;
            }
        }
        self.len().cmp(&other.len())
    }
}

impl fmt::Display for Labels {
    /// `{__name__="up", job="shop"}`, as Prometheus's messages show a label set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('{')?;
        for (index, (name, value)) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            if is_plain_label_name(name) {
                write!(f, "{separator}{name}={value:?}")?;
            } else {
                write!(f, "{separator}{name:?}={value:?}")?;
            }
        }
        f.write_char('}')
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether `name` can be written in PromQL without quotes: `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_plain_label_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(plain) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_and_keeps_the_last_of_equal_names() {
        let labels = Labels::new([("b", "1"), ("a", "2"), ("b", "3"), ("empty", "")]);
        assert_eq!(labels.to_string(), r#"{a="2", b="3"}"#);
        assert_eq!(labels.get("b"), Some("3"));
        assert_eq!(labels.get("empty"), None);
        assert_eq!(labels.len(), 2);
    }

    #[test]
    fn an_empty_value_given_last_takes_the_label_away() {
        assert_eq!(Labels::new([("a", "1"), ("a", "")]), Labels::empty());
        assert_eq!(Labels::new([("a", "1")]).with("a", ""), Labels::empty());
    }

    #[test]
    fn equal_sets_are_equal_whatever_their_history() {
        let one = Labels::new([("__name__", "up"), ("job", "shop")]);
        let other = Labels::new([("job", "x")]).with("job", "shop").with("__name__", "up");
        assert_eq!(one, other);
        assert_eq!(one.without_name(), Labels::new([("job", "shop")]));
        assert_ne!(one, one.without_name());
        assert_eq!(one.metric_name(), Some("up"));
    }

    #[test]
    fn sets_that_share_texts_are_the_same() {
        let mut texts = LabelTexts::default();
        let own = ["a", "b"].map(|job| Labels::new([("__name__", "up"), ("job", job)]));
        let shared = own.clone().map(|labels| labels.sharing(&mut texts));
        assert_eq!(shared, own);
        assert_eq!(shared[0].cmp(&shared[1]), own[0].cmp(&own[1]));
        assert_eq!(shared[0].cmp(&own[0]), Ordering::Equal);
        assert_eq!(texts.0.len(), 5);
        assert!(Arc::ptr_eq(&shared[0].0.pairs[0].1, &shared[1].0.pairs[0].1));
    }

    #[test]
    fn orders_by_name_then_value_then_length() {
        let mut sets = [
            Labels::new([("b", "1")]),
            Labels::new([("a", "2")]),
            Labels::new([("a", "1"), ("b", "1")]),
            Labels::new([("a", "1")]),
            Labels::empty(),
        ];
        sets.sort();
        let texts: Vec<String> = sets.iter().map(ToString::to_string).collect();
        assert_eq!(texts, [r#"{}"#, r#"{a="1"}"#, r#"{a="1", b="1"}"#, r#"{a="2"}"#, r#"{b="1"}"#]);
    }

    #[test]
    fn quotes_names_that_need_it() {
        assert_eq!(Labels::new([("a.b", "\"")]).to_string(), r#"{"a.b"="\""}"#);
    }
}
