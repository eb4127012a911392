//! YAML as a tree that knows where each of its nodes stands, so that all mistakes of a file can be told at once, each with
//! its line and column. Scalars stay the text they were written as: what a value means is decided by who reads it.

mod walk;

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::DuplicateKeyPolicy;
use serde_saphyr::{NonFiniteFloatPolicy, Spanned};

pub use walk::{ConfigError, Map, Source};

/// A line and a column, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// From 1.
    pub line: u64,
    /// In characters, from 1.
    pub column: u64,
}

/// A node and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub content: Content,
    /// Where it begins.
    pub place: Place,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing: `~`, `null`, or an empty place.
    Null,
    /// A text, a number or a boolean, as it was written.
    Scalar(String),
    /// `- a`
    List(Vec<Node>),
    /// `key: value`, in the order of the file; a key may come twice.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its text.
    pub text: String,
    /// Where it begins.
    pub place: Place,
}

/// Why a text is no YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Where.
    pub place: Place,
    /// Why.
    pub message: String,
}

/// What a text may be at most.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of the text.
    pub bytes: usize,
    /// Lists and maps in each other. Reading recurses this deep.
    pub depth: usize,
    /// Texts, lists and maps.
    pub nodes: usize,
}

/// Reads one document. `None` if there is nothing in it.
pub fn parse(text: &str, bounds: Bounds) -> Result<Option<Node>, SyntaxError> {
    if text.len() > bounds.bytes {
        let message = format!("the file has {} bytes, more than {}: split or shorten it", text.len(), bounds.bytes);
        return Err(SyntaxError { place: Place { line: 1, column: 1 }, message });
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: bounds.depth, max_nodes: bounds.nodes },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
    };
    let read: Result<Option<Spanned<Raw>>, _> = serde_saphyr::from_str_with_options(text, options);
    match read {
        Ok(raw) => Ok(raw.map(|raw| node(raw, text)).filter(|node| node.content != Content::Null)),
        Err(error) => {
            let error = error.without_snippet();
            let place = error.location().map_or(Place { line: 1, column: 1 }, place);
            // The message of the parser ends with the place that is told apart.
            let message = error.to_string();
            let message = message.lines().next().unwrap_or_default();
            let message = message.rfind(" at line ").map_or(message, |end| &message[..end]);
            Err(SyntaxError { place, message: message.to_owned() })
        }
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
        Raw::Plain => Content::Scalar(source(raw.defined, text)),
        Raw::List(list) => Content::List(list.into_iter().map(|raw| node(raw, text)).collect()),
        Raw::Map(pairs) => Content::Map(pairs.into_iter().map(|(key, value)| pair(key, value, text)).collect()),
    };
    Node { content, place: place(raw.referenced) }
}

fn pair(key: Spanned<Raw>, value: Spanned<Raw>, text: &str) -> (Key, Node) {
    let key = node(key, text);
    let name = match key.content {
        Content::Scalar(name) => name,
        Content::Null => String::new(),
        // No file that is read here has such keys: it is refused as an unknown one.
        Content::List(_) | Content::Map(_) => "?".to_owned(),
    };
    (Key { text: name, place: key.place }, node(value, text))
}

fn source(location: serde_saphyr::Location, text: &str) -> String {
    let span = location.span();
    let cut = || {
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let len = usize::try_from(span.byte_len()?).ok()?;
        text.get(start..start.checked_add(len)?)
    };
    cut().unwrap_or_default().trim().to_owned()
}

fn place(location: serde_saphyr::Location) -> Place {
    Place { line: location.line(), column: location.column() }
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
