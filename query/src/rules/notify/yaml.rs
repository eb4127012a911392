//! The walk over a YAML file that lets no key pass unnoticed.
//!
//! Errors name file and line. Knows nothing of Alertmanager; `config` says which keys there are.

use std::cell::RefCell;

use super::error::ConfigError;
use super::limits::CONFIG_BYTES_MAX;
pub use crate::rules::yaml::Node;
use crate::rules::yaml::{self, Content, Key};

/// A file that is being read.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// How errors call it.
    pub path: &'a str,
    /// What it says.
    pub text: &'a str,
}

impl<'a> Source<'a> {
    /// The error that something at `line` is wrong.
    pub fn error(&self, line: u64, message: impl Into<String>, hint: impl Into<String>) -> ConfigError {
        ConfigError { path: self.path.to_owned(), line, message: message.into(), hint: hint.into() }
    }

    /// The file's one document.
    pub fn parse(&self) -> Result<Node, ConfigError> {
        if self.text.len() > CONFIG_BYTES_MAX {
            let message = format!("the file has {} bytes, more than {CONFIG_BYTES_MAX}", self.text.len());
            return Err(self.error(1, message, "split or shorten it"));
        }
        yaml::tree(self.text).map_err(|error| {
            let line = error.location().map_or(1, |location| location.line());
            // The first line only: the rest is a picture of the place, which may show a secret.
            let message = error.without_snippet().to_string();
            self.error(line, message.lines().next().unwrap_or("it is no YAML"), "")
        })
    }
}

// What a reader of the configuration asks of a node.
impl Node {
    /// Whether nothing is written here.
    pub fn is_null(&self) -> bool {
        self.content == Content::Null
    }

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
        text.parse()
            .map_err(|_| source.error(self.place.line, format!("{what} is no whole number"), "write it like 20"))
    }

    /// Nanoseconds of a duration as Prometheus writes it.
    pub fn duration(&self, source: Source<'_>, what: &str) -> Result<i64, ConfigError> {
        let text = self.text(source, what)?;
        duration(&text).ok_or_else(|| {
            source.error(self.place.line, format!("{what} is no duration: {text:?}"), "write it like 30s or 1h30m")
        })
    }

    /// The items of a list; none if nothing is written.
    pub fn sequence(&self, source: Source<'_>, what: &str) -> Result<&[Node], ConfigError> {
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
        self.sequence(source, what)?.iter().map(|item| Ok((item.text(source, what)?, item.place.line))).collect()
    }

    /// The keys of a mapping; `what` is how errors call it.
    pub fn mapping<'n>(&'n self, source: Source<'n>, what: &str) -> Result<Mapping<'n>, ConfigError> {
        let pairs: &[_] = match &self.content {
            Content::Map(pairs) => pairs,
            Content::Null => &[],
            _ => {
                return Err(source.error(
                    self.place.line,
                    format!("{what} is {}, not keys with values", self.kind()),
                    "",
                ));
            }
        };
        Ok(Mapping { source, what: what.to_owned(), line: self.place.line, pairs, asked: RefCell::default() })
    }

    /// Every key and text of a mapping whose keys may be any.
    pub fn pairs(&self, source: Source<'_>, what: &str) -> Result<Vec<(String, String, u64)>, ConfigError> {
        let mapping = self.mapping(source, what)?;
        let pairs = mapping.pairs.iter();
        pairs
            .map(|(key, value)| {
                Ok((key.text.clone(), value.text(source, &format!("{what}.{}", key.text))?, key.place.line))
            })
            .collect()
    }
}

/// The keys of a mapping. Remembers which were asked for, so that [`Mapping::end`] can name the others.
pub struct Mapping<'n> {
    source: Source<'n>,
    what: String,
    /// Where it begins.
    pub line: u64,
    pairs: &'n [(Key, Node)],
    asked: RefCell<Vec<&'static str>>,
}

impl<'n> Mapping<'n> {
    /// The value of `key`, unless it is left out or empty.
    pub fn get(&self, key: &'static str) -> Option<&'n Node> {
        self.asked.borrow_mut().push(key);
        self.pairs.iter().find(|(name, _)| name.text == key).map(|(_, value)| value).filter(|value| !value.is_null())
    }

    /// How errors call the value of `key`.
    pub fn name(&self, key: &str) -> String {
        if self.what.is_empty() { key.to_owned() } else { format!("{}.{key}", self.what) }
    }

    /// A text.
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

    /// Nanoseconds.
    pub fn duration(&self, key: &'static str) -> Result<Option<i64>, ConfigError> {
        self.get(key).map(|node| node.duration(self.source, &self.name(key))).transpose()
    }

    /// The mapping below `key`.
    pub fn mapping(&self, key: &'static str) -> Result<Option<Mapping<'n>>, ConfigError> {
        self.get(key).map(|node| node.mapping(self.source, &self.name(key))).transpose()
    }

    /// Refuses keys that Alertmanager knows and Sextant does not take.
    pub fn refuse(&self, keys: &[(&'static str, &str)]) -> Result<(), ConfigError> {
        for (key, hint) in keys {
            self.asked.borrow_mut().push(key);
            if let Some((found, _)) = self.pairs.iter().find(|(name, _)| name.text == *key) {
                return Err(self.source.error(found.place.line, format!("{} is not supported", self.name(key)), *hint));
            }
        }
        Ok(())
    }

    /// An error unless every key was asked for.
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

/// Nanoseconds of a duration of Prometheus: whole numbers of y, w, d, h, m, s, ms in this order, or 0.
pub fn duration(text: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    if text == "0" {
        return Some(0);
    }
    let (mut rest, mut from, mut millis) = (text, 0, 0i64);
    while from == 0 || !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()));
        let position = UNITS[from..].iter().position(|(name, _)| *name == unit)?;
        millis = millis.checked_add(number.parse::<i64>().ok()?.checked_mul(UNITS[from + position].1)?)?;
        (rest, from) = (tail, from + position + 1);
    }
    millis.checked_mul(1_000_000)
}
