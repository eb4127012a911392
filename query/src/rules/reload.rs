//! From the configured patterns to rule files: which files there are, whether they changed, and what stands in them.
//!
//! Rule files are no part of the data directory; they belong to people and are only read here.

use std::fmt;
use std::path::Path;

use model::file_patterns::{self, paths};
use model::small_file;
use model::yaml::Place;

use super::file::{FileError, FileErrorKind, RuleFile};
use super::limits;

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

/// The files as they are now. Of a pattern whose folder cannot be looked at there are none; reading it will tell why.
pub fn signature(patterns: &[String]) -> file_patterns::Signature {
    let paths: Vec<_> = patterns.iter().flat_map(|pattern| paths(pattern).unwrap_or_default()).collect();
    file_patterns::signature(&paths)
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

#[cfg(test)]
mod tests {
    use super::*;

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
