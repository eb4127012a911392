//! The walk over a YAML file that lets no key pass unnoticed: who reads it says which keys there are, and complaints name file and line.

use std::cell::RefCell;

use thiserror::Error;

use super::{Bounds, Content, Key, Node, Place};
use crate::duration::parse_duration;

/// A mistake in a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
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

/// A file that is being read.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// How complaints call it.
    pub path: &'a str,
    /// What it says.
    pub text: &'a str,
}

impl Source<'_> {
    /// The complaint that something at `line` is wrong.
    pub fn error(&self, line: u64, message: impl Into<String>, hint: impl Into<String>) -> ConfigError {
        ConfigError { path: self.path.to_owned(), line, message: message.into(), hint: hint.into() }
    }

    /// The file's one document; a node of nothing if there is none.
    pub fn parse(&self, bounds: Bounds) -> Result<Node, ConfigError> {
        match super::parse(self.text, bounds) {
            Ok(node) => Ok(node.unwrap_or(Node { content: Content::Null, place: Place { line: 1, column: 1 } })),
            Err(error) => Err(self.error(error.place.line, error.message, "")),
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
    pub fn text(&self, source: Source<'_>, what: &str) -> Result<String, ConfigError> {
        match &self.content {
            Content::Scalar(text) => Ok(text.clone()),
            _ => Err(source.error(self.place.line, format!("{what} is {}, not a text", self.kind()), "")),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self, source: Source<'_>, what: &str) -> Result<bool, ConfigError> {
        match self.text(source, what)?.as_str() {
            "true" | "True" | "TRUE" | "yes" | "on" => Ok(true),
            "false" | "False" | "FALSE" | "no" | "off" => Ok(false),
            _ => Err(source.error(self.place.line, format!("{what} is neither true nor false"), "")),
        }
    }

    /// A number from 0.
    pub fn number(&self, source: Source<'_>, what: &str) -> Result<u64, ConfigError> {
        let text = self.text(source, what)?;
        let wrong = |_| source.error(self.place.line, format!("{what} is no whole number"), "write it like 1000");
        text.parse().map_err(wrong)
    }

    /// Milliseconds of a duration as Prometheus writes it.
    pub fn duration(&self, source: Source<'_>, what: &str) -> Result<i64, ConfigError> {
        let text = self.text(source, what)?;
        let wrong =
            |_| source.error(self.place.line, format!("{what} is no duration: {text:?}"), "write it like 15s or 1m30s");
        parse_duration(&text).map_err(wrong)
    }

    /// The items of a list; none if nothing is written.
    pub fn list(&self, source: Source<'_>, what: &str) -> Result<&[Node], ConfigError> {
        match &self.content {
            Content::List(items) => Ok(items),
            Content::Null => Ok(&[]),
            _ => {
                let message = format!("{what} is {}, not a list", self.kind());
                Err(source.error(self.place.line, message, "begin each item on a line of its own with `- `"))
            }
        }
    }

    /// A list of texts.
    pub fn texts(&self, source: Source<'_>, what: &str) -> Result<Vec<(String, u64)>, ConfigError> {
        self.list(source, what)?.iter().map(|item| Ok((item.text(source, what)?, item.place.line))).collect()
    }

    /// The keys of a map; `what` is how complaints call it.
    pub fn map<'n>(&'n self, source: Source<'n>, what: &str) -> Result<Map<'n>, ConfigError> {
        let pairs: &[_] = match &self.content {
            Content::Map(pairs) => pairs,
            Content::Null => &[],
            _ => {
                let message = format!("{what} is {}, not keys with values", self.kind());
                return Err(source.error(self.place.line, message, ""));
            }
        };
        for (at, (key, _)) in pairs.iter().enumerate() {
            if pairs[..at].iter().any(|(other, _)| other.text == key.text) {
                let message = format!("the key {:?} is there twice", key.text);
                return Err(source.error(key.place.line, message, "keep one of them"));
            }
        }
        Ok(Map { source, what: what.to_owned(), line: self.place.line, pairs, asked: RefCell::default() })
    }
}

/// The keys of a map. Remembers which were asked for, so that [`Map::end`] can name the others.
pub struct Map<'n> {
    source: Source<'n>,
    what: String,
    /// Where it begins.
    pub line: u64,
    pairs: &'n [(Key, Node)],
    asked: RefCell<Vec<&'static str>>,
}

impl<'n> Map<'n> {
    /// The value of `key`, unless it is left out or empty.
    pub fn get(&self, key: &'static str) -> Option<&'n Node> {
        self.asked.borrow_mut().push(key);
        let found = self.pairs.iter().find(|(name, _)| name.text == key).map(|(_, value)| value);
        found.filter(|value| value.content != Content::Null)
    }

    /// How complaints call the value of `key`.
    pub fn name(&self, key: &str) -> String {
        if self.what.is_empty() { key.to_owned() } else { format!("{}.{key}", self.what) }
    }

    /// The line of a key that was written, else of the map.
    pub fn line_of(&self, key: &str) -> u64 {
        self.pairs.iter().find(|(name, _)| name.text == key).map_or(self.line, |(name, _)| name.place.line)
    }

    /// A complaint about the value of `key`.
    pub fn error(&self, key: &str, message: impl Into<String>, hint: impl Into<String>) -> ConfigError {
        self.source.error(self.line_of(key), message, hint)
    }

    /// The text below `key`; none if it is left out or empty. So are the others.
    pub fn text(&self, key: &'static str) -> Result<Option<String>, ConfigError> {
        self.get(key).map(|node| node.text(self.source, &self.name(key))).transpose()
    }

    /// `true` or `false`.
    pub fn boolean(&self, key: &'static str) -> Result<Option<bool>, ConfigError> {
        self.get(key).map(|node| node.boolean(self.source, &self.name(key))).transpose()
    }

    /// A number from 0.
    pub fn number(&self, key: &'static str) -> Result<Option<u64>, ConfigError> {
        self.get(key).map(|node| node.number(self.source, &self.name(key))).transpose()
    }

    /// Milliseconds.
    pub fn duration(&self, key: &'static str) -> Result<Option<i64>, ConfigError> {
        self.get(key).map(|node| node.duration(self.source, &self.name(key))).transpose()
    }

    /// A list of texts; empty if it is left out.
    pub fn texts(&self, key: &'static str) -> Result<Vec<(String, u64)>, ConfigError> {
        self.get(key).map_or(Ok(Vec::new()), |node| node.texts(self.source, &self.name(key)))
    }

    /// The nodes of a list; none if it is left out.
    pub fn list(&self, key: &'static str) -> Result<&'n [Node], ConfigError> {
        self.get(key).map_or(Ok(&[]), |node| node.list(self.source, &self.name(key)))
    }

    /// The map below `key`.
    pub fn map(&self, key: &'static str) -> Result<Option<Map<'n>>, ConfigError> {
        self.get(key).map(|node| node.map(self.source, &self.name(key))).transpose()
    }

    /// Every key and its value, of a map whose keys may be any.
    pub fn pairs(&self) -> impl Iterator<Item = (&'n str, u64, &'n Node)> {
        self.pairs.iter().map(|(key, node)| (key.text.as_str(), key.place.line, node))
    }

    /// Names, texts and lines of a map whose keys may be any. Nothing is an empty text.
    pub fn text_pairs(&self) -> Result<Vec<(String, String, u64)>, ConfigError> {
        let texts = self.pairs().map(|(key, line, node)| match &node.content {
            Content::Null => Ok((key.to_owned(), String::new(), line)),
            _ => Ok((key.to_owned(), node.text(self.source, &self.name(key))?, line)),
        });
        texts.collect()
    }

    /// Refuses keys that others know and Sextant does not take.
    pub fn refuse(&self, keys: &[(&'static str, &str)]) -> Result<(), ConfigError> {
        for (key, hint) in keys {
            self.asked.borrow_mut().push(key);
            if let Some((found, _)) = self.pairs.iter().find(|(name, _)| name.text == *key) {
                return Err(self.source.error(found.place.line, format!("{} is not supported", self.name(key)), *hint));
            }
        }
        Ok(())
    }

    /// The lines of those of these keys that are there: they are known, and nothing is done about them.
    pub fn pass(&self, keys: &[&'static str]) -> Vec<(&'static str, u64)> {
        self.asked.borrow_mut().extend(keys);
        let there = |key: &&'static str| self.pairs.iter().find(|(name, _)| name.text == **key);
        keys.iter().filter_map(|key| there(key).map(|(name, _)| (*key, name.place.line))).collect()
    }

    /// A complaint unless every key was asked for.
    pub fn end(&self) -> Result<(), ConfigError> {
        let asked = self.asked.borrow();
        let Some((key, _)) = self.pairs.iter().find(|(name, _)| !asked.contains(&name.text.as_str())) else {
            return Ok(());
        };
        let nearest = asked.iter().min_by_key(|known| strsim::damerau_levenshtein(known, &key.text));
        let hint = nearest.map_or_else(String::new, |known| format!("the nearest key is {known:?}"));
        let place = if self.what.is_empty() { String::new() } else { format!(" in {}", self.what) };
        Err(self.source.error(key.place.line, format!("unknown key {:?}{place}", key.text), hint))
    }
}
