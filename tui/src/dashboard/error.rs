//! What is wrong with a board's file: one sentence, a place, a remedy.

use std::fmt;

use serde_saphyr::{Error as YamlError, Location};

/// Why a file is not a board. Displayed as `file:line:column: message; remedy`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FileError {
    /// The file's name, as it was given.
    pub file: String,
    /// From 1; 0 if the whole file is meant.
    pub line: u64,
    /// From 1; 0 if the whole file is meant.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub remedy: Option<String>,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl FileError {
    /// An error of the whole file.
    pub fn whole(file: &str, message: impl Into<String>, remedy: Option<String>) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0, message: message.into(), remedy }
    }

    pub(super) fn at(file: &str, place: Location, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { file: file.to_owned(), line: place.line(), column: place.column(), message: message.into(), remedy }
    }

    pub(super) fn of_yaml(file: &str, error: &YamlError) -> Self {
        let error = error.without_snippet();
        let (message, remedy) = explain(error);
        let place = error.location();
        let (line, column) = place.map_or((0, 0), |place| (place.line(), place.column()));
        Self { file: file.to_owned(), line, column, message, remedy }
    }
}

/// The known word that looks most like `word`, if one looks like it at all.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let close = |name: &&str| strsim::damerau_levenshtein(word, name) <= 1 + name.chars().count() / 3;
    known.into_iter().filter(close).min_by_key(|name| strsim::damerau_levenshtein(word, name))
}

/// `did you mean X?`, or all there are.
pub(super) fn suggest(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known are {}", known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    }
}

fn explain(error: &YamlError) -> (String, Option<String>) {
    match error {
        YamlError::SerdeUnknownField { field, expected, .. } => {
            (format!("unknown key `{field}`"), Some(suggest(field, expected)))
        }
        YamlError::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("unknown word `{variant}`"), Some(suggest(variant, expected)))
        }
        YamlError::SerdeMissingField { field, .. } => {
            (format!("the key `{field}` is missing here"), Some(format!("add `{field}: ...`")))
        }
        YamlError::DuplicateMappingKey { key, .. } => {
            let key = key.as_deref().unwrap_or_default();
            (format!("the key `{key}` stands here twice"), Some("keep one of them".to_owned()))
        }
        YamlError::NullIntoString { .. } => {
            ("there is no value here".to_owned(), Some("write one, or leave the key out".to_owned()))
        }
        YamlError::Eof { .. } => {
            let remedy = "a board has at least `title` and `panels`".to_owned();
            ("the file ends where something is due".to_owned(), Some(remedy))
        }
        YamlError::Unexpected { expected, .. } => {
            let (what, how) = match *expected {
                "mapping start" => ("keys with values", "`key: value`"),
                "sequence start" => ("a list", "`[a, b]`, or lines that begin with `- `"),
                "string scalar" => ("a text", "it in quotes if it looks like something else"),
                other => (other, "it as the reference of dashboards shows"),
            };
            (format!("{what} should stand here"), Some(format!("write {how}")))
        }
        YamlError::InvalidScalar { ty, .. } => {
            let (what, how) = match *ty {
                ty if ty.starts_with(['u', 'i']) => ("a whole number", "`12`"),
                _ => ("a number", "`0.5`"),
            };
            (format!("{what} should stand here"), Some(format!("write one like {how}")))
        }
        YamlError::InvalidBooleanStrict { .. } => {
            ("yes or no should stand here".to_owned(), Some("write `true` or `false`".to_owned()))
        }
        YamlError::MultipleDocuments { .. } => {
            let remedy = "keep one board in a file, without a second `---`".to_owned();
            ("a second document begins here".to_owned(), Some(remedy))
        }
        YamlError::Budget { .. } | YamlError::AliasReplayLimitExceeded { .. } => {
            ("the file is too large or too deeply nested for a board".to_owned(), Some("split it".to_owned()))
        }
        other => (one_sentence(other), None),
    }
}

// The library's own words without the place, which stands in front already, and without a second line.
fn one_sentence(error: &YamlError) -> String {
    let text = error.render();
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let cut = [" at line ", " (line "].iter().filter_map(|mark| line.find(mark)).min().unwrap_or(line.len());
    line[..cut].trim_end_matches([':', '.']).to_owned()
}
