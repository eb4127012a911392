//! From the configured patterns to rule files: which files there are, whether they changed, and what stands in them.
//!
//! Rule files are no part of the data directory; they belong to people and are only read here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use model::small_file;

use super::file::{FileError, FileErrorKind, RuleFile};
use super::{limits, yaml::Place};

/// Every mistake of all files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError(pub Vec<FileError>);

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for LoadError {}

/// What tells whether a file was changed: its name, its time and its length.
pub type Signature = Vec<(PathBuf, Option<SystemTime>, u64)>;

/// Reads all files. If there is a mistake in one of them, all mistakes of all of them come back and no rule.
pub fn load(patterns: &[String]) -> Result<Vec<RuleFile>, LoadError> {
    let (mut files, mut errors) = (Vec::new(), Vec::new());
    let mut seen = std::collections::BTreeSet::new();
    for pattern in patterns {
        match paths(pattern) {
            Ok(paths) => {
                for path in paths.into_iter().filter(|path| seen.insert(path.clone())) {
                    match read(&path) {
                        Ok(file) => files.push(file),
                        Err(wrong) => errors.extend(wrong),
                    }
                }
            }
            Err(error) => errors.push(unreadable(pattern, error)),
        }
    }
    if errors.is_empty() { Ok(files) } else { Err(LoadError(errors)) }
}

/// The files as they are now. What cannot be looked at is left out; reading it will tell why.
pub fn signature(patterns: &[String]) -> Signature {
    let mut signature: Signature = Vec::new();
    for path in patterns.iter().flat_map(|pattern| paths(pattern).unwrap_or_default()) {
        let Ok(facts) = std::fs::metadata(&path) else { continue };
        signature.push((path, facts.modified().ok(), facts.len()));
    }
    signature
}

fn read(path: &Path) -> Result<RuleFile, Vec<FileError>> {
    let name = path.display().to_string();
    let text = small_file::read_text(path, limits::FILE_BYTES_MAX).map_err(|error| vec![unreadable(&name, error)])?;
    RuleFile::parse(&name, &text)
}

fn unreadable(path: &str, source: std::io::Error) -> FileError {
    error(path, format!("cannot read the rule file: {source}"))
}

fn error(path: &str, message: String) -> FileError {
    let place = Place { line: 1, column: 1 };
    FileError { path: path.to_owned(), place, rule: None, kind: FileErrorKind::Syntax, message, hint: None }
}

// A pattern's files, sorted. A name without `*` is itself, whether there is such a file or not.
fn paths(pattern: &str) -> std::io::Result<Vec<PathBuf>> {
    let path = Path::new(pattern);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !name.contains('*') {
        return Ok(vec![path.to_owned()]);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder.unwrap_or(Path::new(".")))? {
        let entry = entry?;
        let is_file = entry.file_type().is_ok_and(|kind| !kind.is_dir());
        if is_file && matches(&name, &entry.file_name().to_string_lossy()) {
            found
                .push(folder.map_or_else(|| PathBuf::from(entry.file_name()), |folder| folder.join(entry.file_name())));
        }
    }
    found.sort();
    Ok(found)
}

// `*` stands for any characters. The pieces between them are looked for from left to right, the last at the end.
fn matches(pattern: &str, name: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, expected) in [
            ("*.yml", "a.yml", true),
            ("*.yml", ".yml", true),
            ("*.yml", "a.yaml", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("*", "anything", true),
            ("a*a", "a", false),
            ("**.yml", "x.yml", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn files_of_a_pattern_come_sorted_and_once() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["b.yml", "a.yml", "c.txt"] {
            std::fs::write(folder.path().join(name), "groups: []").expect("written");
        }
        let pattern = |name: &str| folder.path().join(name).display().to_string();
        let files = load(&[pattern("b.yml"), pattern("*.yml")]).expect("they are right");
        let names: Vec<_> = files.iter().filter_map(|file| file.path.rsplit('/').next()).collect();
        assert_eq!(names, ["b.yml", "a.yml"]);
        assert_eq!(signature(&[pattern("*.yml")]).len(), 2);
        let missing = load(&[pattern("none.yml")]).expect_err("it is not there");
        assert!(missing.to_string().contains("none.yml:1:1: cannot read the rule file: No such file"), "{missing}");
        assert_eq!(load(&[pattern("*.none")]).map(|files| files.len()), Ok(0));
    }
}
