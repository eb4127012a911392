//! The mistakes of a file, and the keys of one of its maps: each is known, and comes at most once.

use std::collections::BTreeMap;

use super::{FileError, FileErrorKind, RulePlace, parse_duration};
use model::yaml::{Content, Node, Place, SyntaxError};

// Below this likeness a guess is more puzzling than none.
const LIKENESS_MIN: f64 = 0.75;

/// The mistakes found so far.
pub(in crate::rules) struct Errors {
    path: String,
    /// The rule that is being read.
    pub(in crate::rules) rule: Option<RulePlace>,
    found: Vec<FileError>,
}

impl Errors {
    pub(in crate::rules) fn new(path: &str) -> Self {
        Self { path: path.to_owned(), rule: None, found: Vec::new() }
    }

    pub(in crate::rules) fn into_found(self) -> Vec<FileError> {
        self.found
    }

    pub(in crate::rules) fn add(&mut self, place: Place, message: impl Into<String>) {
        self.add_with_hint(place, message, None);
    }

    pub(in crate::rules) fn add_with_hint(&mut self, place: Place, message: impl Into<String>, hint: Option<String>) {
        self.push(FileErrorKind::Invalid, place, message.into(), hint);
    }

    pub(in crate::rules) fn unsupported(&mut self, place: Place, message: String) {
        self.push(FileErrorKind::Unsupported, place, message, None);
    }

    pub(in crate::rules) fn syntax(&mut self, error: SyntaxError) {
        self.push(FileErrorKind::Syntax, error.place, error.message, None);
    }

    fn push(&mut self, kind: FileErrorKind, place: Place, message: String, hint: Option<String>) {
        let (path, rule) = (self.path.clone(), self.rule.clone());
        self.found.push(FileError { path, place, rule, kind, message, hint });
    }
}

/// The values of a map by their keys.
pub(in crate::rules) struct Fields<'a> {
    place: Place,
    values: BTreeMap<&'a str, &'a Node>,
}

impl<'a> Fields<'a> {
    /// The keys of `node`, which is called `what` in messages. Unknown and repeated keys are told.
    pub(in crate::rules) fn of(node: &'a Node, what: &str, known: &[&str], errors: &mut Errors) -> Option<Fields<'a>> {
        let pairs = match &node.content {
            Content::Map(pairs) => pairs.as_slice(),
            Content::Null => &[],
            Content::Scalar(_) | Content::List(_) => {
                errors.add(node.place, format!("{what} has to be a map of keys and values"));
                return None;
            }
        };
        let mut values = BTreeMap::new();
        for (key, value) in pairs {
            let name = key.text.as_str();
            if !known.contains(&name) {
                let hint = match nearest(name, known) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("known keys: {}", known.join(", ")),
                };
                errors.add_with_hint(key.place, format!("unknown key {name:?} in {what}"), Some(hint));
            } else if values.insert(name, value).is_some() {
                errors.add(key.place, format!("key {name:?} is repeated in {what}"));
            }
        }
        Some(Fields { place: node.place, values })
    }

    /// The value of a key, if it has one.
    pub(in crate::rules) fn get(&self, key: &str) -> Option<&'a Node> {
        self.values.get(key).copied().filter(|node| node.content != Content::Null)
    }

    /// Where the value of a key is, or the map.
    pub(in crate::rules) fn place(&self, key: &str) -> Place {
        self.values.get(key).map_or(self.place, |node| node.place)
    }

    /// A text; empty if it is not there.
    pub(in crate::rules) fn text(&self, key: &str, errors: &mut Errors) -> String {
        match self.get(key).map(|node| (&node.content, node.place)) {
            None => String::new(),
            Some((Content::Scalar(text), _)) => text.clone(),
            Some((_, place)) => {
                errors.add(place, format!("{key} has to be a text"));
                String::new()
            }
        }
    }

    /// A duration in milliseconds, if it is there.
    pub(in crate::rules) fn duration(&self, key: &str, errors: &mut Errors) -> Option<i64> {
        self.get(key)?;
        let text = self.text(key, errors);
        match parse_duration(&text) {
            Ok(millis) => Some(millis),
            Err(message) => {
                let hint = "write a duration such as 90s, 5m or 1h30m".to_owned();
                errors.add_with_hint(self.place(key), format!("{key}: {message}"), Some(hint));
                None
            }
        }
    }

    /// A whole number, 0 if it is not there.
    pub(in crate::rules) fn number(&self, key: &str, errors: &mut Errors) -> usize {
        if self.get(key).is_none() {
            return 0;
        }
        let text = self.text(key, errors);
        text.parse().unwrap_or_else(|_| {
            errors.add(self.place(key), format!("{key} has to be a whole number, not {text:?}"));
            0
        })
    }

    /// Texts by their names, with the place of each name; empty if they are not there.
    pub(in crate::rules) fn texts(&self, key: &str, errors: &mut Errors) -> BTreeMap<String, (String, Place)> {
        let mut texts = BTreeMap::new();
        let Some(node) = self.get(key) else { return texts };
        let Content::Map(pairs) = &node.content else {
            errors.add(node.place, format!("{key} has to be a map of names and texts"));
            return texts;
        };
        for (name, value) in pairs {
            let text = match &value.content {
                Content::Scalar(text) => text.clone(),
                Content::Null => String::new(),
                Content::List(_) | Content::Map(_) => {
                    errors.add(value.place, format!("{key}: the value of {:?} has to be a text", name.text));
                    continue;
                }
            };
            if texts.insert(name.text.clone(), (text, name.place)).is_some() {
                errors.add(name.place, format!("{:?} is repeated in {key}", name.text));
            }
        }
        texts
    }

    /// The nodes of a list; empty if it is not there.
    pub(in crate::rules) fn list(&self, key: &str, errors: &mut Errors) -> &'a [Node] {
        match self.get(key).map(|node| (&node.content, node.place)) {
            None => &[],
            Some((Content::List(list), _)) => list,
            Some((_, place)) => {
                errors.add(place, format!("{key} has to be a list"));
                &[]
            }
        }
    }
}

fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let scored = known.iter().map(|known| (strsim::jaro_winkler(name, known), *known));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(likeness, _)| *likeness >= LIKENESS_MIN).map(|(_, known)| known)
}
