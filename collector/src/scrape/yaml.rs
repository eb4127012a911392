//! YAML as a tree that knows the line of each of its nodes, and a walk over it that lets no key pass unnoticed. Scalars stay the text
//! they were written as: what a value means is decided by who reads it.
//!
//! Knows nothing of scraping; `config` says which keys there are.

use std::cell::RefCell;
use std::fmt;

use model::duration::parse_duration;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{NonFiniteFloatPolicy, Spanned};

use crate::limits::{SCRAPE_FILE_BYTES_MAX, SCRAPE_FILE_DEPTH_MAX, SCRAPE_FILE_NODES_MAX};

/// A mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {message}")]
pub struct ConfigError {
    /// The file.
    pub path: String,
    /// From 1.
    pub line: u64,
    /// What is wrong.
    pub message: String,
    /// What to write instead; empty if the message says it all.
    pub hint: String,
}

/// A node and the line on which it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) line: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Null,
    // A text, a number or a boolean, as it was written.
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    text: String,
    line: u64,
}

/// A file that is being read.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    /// How complaints call it.
    pub(super) path: &'a str,
    /// What it says.
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// The complaint that something at `line` is wrong.
    pub(super) fn error(&self, line: u64, message: impl Into<String>, hint: impl Into<String>) -> ConfigError {
        ConfigError { path: self.path.to_owned(), line, message: message.into(), hint: hint.into() }
    }

    /// The file's one document.
    pub(super) fn parse(&self) -> Result<Node, ConfigError> {
        if self.text.len() > SCRAPE_FILE_BYTES_MAX {
            let message = format!("the file has {} bytes, more than {SCRAPE_FILE_BYTES_MAX}", self.text.len());
            return Err(self.error(1, message, "split or shorten it"));
        }
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! { max_depth: SCRAPE_FILE_DEPTH_MAX, max_nodes: SCRAPE_FILE_NODES_MAX },
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
            non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        };
        let read: Result<Option<Spanned<Raw>>, _> = serde_saphyr::from_str_with_options(self.text, options);
        match read {
            Ok(Some(raw)) => Ok(node(raw, self.text)),
            Ok(None) => Ok(Node { content: Content::Null, line: 1 }),
            Err(error) => {
                let line = error.location().map_or(1, |location| location.line());
                // The first line only: the rest is a picture of the place, which may show a secret.
                let message = error.without_snippet().to_string();
                Err(self.error(line, message.lines().next().unwrap_or("it is no YAML"), ""))
            }
        }
    }
}

impl Node {
    fn kind(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Scalar(_) => "a text",
            Content::List(_) => "a list",
            Content::Map(_) => "keys with values",
        }
    }

    /// The text of a scalar.
    pub(super) fn text(&self, source: Source<'_>, what: &str) -> Result<String, ConfigError> {
        match &self.content {
            Content::Scalar(text) => Ok(text.clone()),
            _ => Err(source.error(self.line, format!("{what} is {}, not a text", self.kind()), "")),
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self, source: Source<'_>, what: &str) -> Result<bool, ConfigError> {
        match self.text(source, what)?.as_str() {
            "true" | "True" | "TRUE" | "yes" | "on" => Ok(true),
            "false" | "False" | "FALSE" | "no" | "off" => Ok(false),
            _ => Err(source.error(self.line, format!("{what} is neither true nor false"), "")),
        }
    }

    /// A number from 0.
    pub(super) fn number(&self, source: Source<'_>, what: &str) -> Result<u64, ConfigError> {
        let text = self.text(source, what)?;
        let wrong = |_| source.error(self.line, format!("{what} is no whole number: {text:?}"), "write it like 1000");
        text.parse().map_err(wrong)
    }

    /// Milliseconds of a duration as Prometheus writes it.
    pub(super) fn duration(&self, source: Source<'_>, what: &str) -> Result<i64, ConfigError> {
        let text = self.text(source, what)?;
        let wrong =
            |_| source.error(self.line, format!("{what} is no duration: {text:?}"), "write it like 15s or 1m30s");
        parse_duration(&text).map_err(wrong)
    }

    /// The items of a list; none if nothing is written.
    pub(super) fn list(&self, source: Source<'_>, what: &str) -> Result<&[Node], ConfigError> {
        match &self.content {
            Content::List(items) => Ok(items),
            Content::Null => Ok(&[]),
            _ => {
                let message = format!("{what} is {}, not a list", self.kind());
                Err(source.error(self.line, message, "begin each item on a line of its own with `- `"))
            }
        }
    }

    /// A list of texts.
    pub(super) fn texts(&self, source: Source<'_>, what: &str) -> Result<Vec<(String, u64)>, ConfigError> {
        self.list(source, what)?.iter().map(|item| Ok((item.text(source, what)?, item.line))).collect()
    }

    /// The keys of a map; `what` is how complaints call it.
    pub(super) fn map<'n>(&'n self, source: Source<'n>, what: &str) -> Result<Map<'n>, ConfigError> {
        let pairs: &[_] = match &self.content {
            Content::Map(pairs) => pairs,
            Content::Null => &[],
            _ => {
                let message = format!("{what} is {}, not keys with values", self.kind());
                return Err(source.error(self.line, message, ""));
            }
        };
        for (at, (key, _)) in pairs.iter().enumerate() {
            if pairs[..at].iter().any(|(other, _)| other.text == key.text) {
                let message = format!("the key {:?} is there twice", key.text);
                return Err(source.error(key.line, message, "keep one of them"));
            }
        }
        Ok(Map { source, what: what.to_owned(), line: self.line, pairs, asked: RefCell::default() })
    }
}

/// The keys of a map. Remembers which were asked for, so that [`Map::end`] can name the others.
pub(super) struct Map<'n> {
    source: Source<'n>,
    what: String,
    /// Where it begins.
    pub(super) line: u64,
    pairs: &'n [(Key, Node)],
    asked: RefCell<Vec<&'static str>>,
}

impl<'n> Map<'n> {
    /// The value of `key`, unless it is left out or empty.
    pub(super) fn get(&self, key: &'static str) -> Option<&'n Node> {
        self.asked.borrow_mut().push(key);
        let found = self.pairs.iter().find(|(name, _)| name.text == key).map(|(_, value)| value);
        found.filter(|value| value.content != Content::Null)
    }

    /// How complaints call the value of `key`.
    pub(super) fn name(&self, key: &str) -> String {
        if self.what.is_empty() { key.to_owned() } else { format!("{}.{key}", self.what) }
    }

    /// The line of a key that was written, else of the map.
    pub(super) fn line_of(&self, key: &str) -> u64 {
        self.pairs.iter().find(|(name, _)| name.text == key).map_or(self.line, |(name, _)| name.line)
    }

    /// A complaint about the value of `key`.
    pub(super) fn error(&self, key: &str, message: impl Into<String>, hint: impl Into<String>) -> ConfigError {
        self.source.error(self.line_of(key), message, hint)
    }

    pub(super) fn text(&self, key: &'static str) -> Result<Option<String>, ConfigError> {
        self.get(key).map(|node| node.text(self.source, &self.name(key))).transpose()
    }

    pub(super) fn boolean(&self, key: &'static str) -> Result<Option<bool>, ConfigError> {
        self.get(key).map(|node| node.boolean(self.source, &self.name(key))).transpose()
    }

    pub(super) fn number(&self, key: &'static str) -> Result<Option<u64>, ConfigError> {
        self.get(key).map(|node| node.number(self.source, &self.name(key))).transpose()
    }

    pub(super) fn duration(&self, key: &'static str) -> Result<Option<i64>, ConfigError> {
        self.get(key).map(|node| node.duration(self.source, &self.name(key))).transpose()
    }

    /// A list of texts; empty if it is left out.
    pub(super) fn texts(&self, key: &'static str) -> Result<Vec<(String, u64)>, ConfigError> {
        self.get(key).map_or(Ok(Vec::new()), |node| node.texts(self.source, &self.name(key)))
    }

    /// The nodes of a list; none if it is left out.
    pub(super) fn list(&self, key: &'static str) -> Result<&'n [Node], ConfigError> {
        self.get(key).map_or(Ok(&[]), |node| node.list(self.source, &self.name(key)))
    }

    /// The map below `key`.
    pub(super) fn map(&self, key: &'static str) -> Result<Option<Map<'n>>, ConfigError> {
        self.get(key).map(|node| node.map(self.source, &self.name(key))).transpose()
    }

    /// Every key and its value, of a map whose keys may be any.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&'n str, u64, &'n Node)> {
        self.pairs.iter().map(|(key, node)| (key.text.as_str(), key.line, node))
    }

    /// Names and texts of a map whose keys may be any.
    pub(super) fn text_pairs(&self) -> Result<Vec<(String, String)>, ConfigError> {
        let texts = self.pairs().map(|(key, _, node)| match &node.content {
            Content::Null => Ok((key.to_owned(), String::new())),
            _ => Ok((key.to_owned(), node.text(self.source, &self.name(key))?)),
        });
        texts.collect()
    }

    /// Refuses keys that Prometheus knows and Sextant does not take.
    pub(super) fn refuse(&self, keys: &[(&'static str, &str)]) -> Result<(), ConfigError> {
        for (key, hint) in keys {
            self.asked.borrow_mut().push(key);
            if let Some((found, _)) = self.pairs.iter().find(|(name, _)| name.text == *key) {
                return Err(self.source.error(found.line, format!("{} is not supported", self.name(key)), *hint));
            }
        }
        Ok(())
    }

    /// The lines of those of these keys that are there: they are known, and nothing is done about them.
    pub(super) fn pass(&self, keys: &[&'static str]) -> Vec<(&'static str, u64)> {
        self.asked.borrow_mut().extend(keys);
        let there = |key: &&'static str| self.pairs.iter().find(|(name, _)| name.text == **key);
        keys.iter().filter_map(|key| there(key).map(|(name, _)| (*key, name.line))).collect()
    }

    /// A complaint unless every key was asked for.
    pub(super) fn end(&self) -> Result<(), ConfigError> {
        let asked = self.asked.borrow();
        let Some((key, _)) = self.pairs.iter().find(|(name, _)| !asked.contains(&name.text.as_str())) else {
            return Ok(());
        };
        let nearest = asked.iter().min_by_key(|known| strsim::damerau_levenshtein(known, &key.text));
        let hint = nearest.map_or_else(String::new, |known| format!("the nearest key is {known:?}"));
        let place = if self.what.is_empty() { String::new() } else { format!(" in {}", self.what) };
        Err(self.source.error(key.line, format!("unknown key {:?}{place}", key.text), hint))
    }
}

// What the deserializer tells of a node. Scalars that it takes for no text are cut out of the source again.
enum Raw {
    Null,
    Text(String),
    Plain,
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

fn node(raw: Spanned<Raw>, text: &str) -> Node {
    let content = match raw.value {
        Raw::Null => Content::Null,
        Raw::Text(text) => Content::Scalar(text),
        Raw::Plain => Content::Scalar(cut(raw.defined, text)),
        Raw::List(list) => Content::List(list.into_iter().map(|raw| node(raw, text)).collect()),
        Raw::Map(pairs) => Content::Map(pairs.into_iter().map(|(key, value)| pair(key, value, text)).collect()),
    };
    Node { content, line: raw.referenced.line() }
}

fn pair(key: Spanned<Raw>, value: Spanned<Raw>, text: &str) -> (Key, Node) {
    let key = node(key, text);
    let name = match key.content {
        Content::Scalar(name) => name,
        Content::Null => String::new(),
        // No file that is read here has such keys: it is refused as an unknown one.
        Content::List(_) | Content::Map(_) => "?".to_owned(),
    };
    (Key { text: name, line: key.line }, node(value, text))
}

fn cut(location: serde_saphyr::Location, text: &str) -> String {
    let span = location.span();
    let cut = || {
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let len = usize::try_from(span.byte_len()?).ok()?;
        text.get(start..start.checked_add(len)?)
    };
    cut().unwrap_or_default().trim().to_owned()
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        Raw::deserialize(deserializer)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Text(text))
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Raw, E> {
        Err(E::custom("binary values are not used here"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key()? {
            map.push((key, entries.next_value()?));
        }
        Ok(Raw::Map(map))
    }
}
