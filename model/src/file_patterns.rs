//! Files that people write: which ones a pattern means, and whether they changed.

use std::fs;
use std::io::Result;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What tells whether a file was changed: its name, its time and its length.
pub type Signature = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

/// The files as they are now. One that cannot be looked at is among them: reading it will tell why.
pub fn signature(paths: &[PathBuf]) -> Signature {
    let facts = |path: &PathBuf| fs::metadata(path).ok().and_then(|facts| Some((facts.modified().ok()?, facts.len())));
    paths.iter().map(|path| (path.clone(), facts(path))).collect()
}

/// A pattern's files, sorted; `*` stands for any part of the last name. A name without it is itself, whether there is such a
/// file or not.
pub fn paths(pattern: &str) -> Result<Vec<PathBuf>> {
    let path = Path::new(pattern);
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if !name.contains('*') {
        return Ok(vec![path.to_owned()]);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let looked_at = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut found = Vec::new();
    for entry in fs::read_dir(looked_at)? {
        let entry = entry?;
        let is_file = entry.file_type().is_ok_and(|kind| !kind.is_dir());
        if is_file && matches(&name, &entry.file_name().to_string_lossy()) {
            found.push(folder.join(entry.file_name()));
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
    use std::io::ErrorKind;

    use super::*;
    use crate::small_file::read_text;

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
    fn files_are_found_by_patterns_and_read_in_bounds() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for (name, text) in [("b.json", "1234"), ("a.json", "12345"), ("c.yml", "")] {
            fs::write(at(name), text).expect("written");
        }
        let found = paths(&at("*.json").display().to_string()).expect("a folder");
        assert_eq!(found, [at("a.json"), at("b.json")]);
        assert_eq!(paths(&at("none.json").display().to_string()).expect("itself"), [at("none.json")]);
        assert_eq!(paths(&at("*.none").display().to_string()).expect("a folder"), Vec::<PathBuf>::new());
        assert!(paths(&at("nowhere/*.json").display().to_string()).is_err());
        assert_eq!(read_text(&at("b.json"), 4).expect("it fits"), "1234");
        for (path, kind) in [
            (at("a.json"), ErrorKind::FileTooLarge),
            (at("none"), ErrorKind::NotFound),
            (folder.path().to_owned(), ErrorKind::InvalidInput),
            (PathBuf::from("/dev/zero"), ErrorKind::InvalidInput),
        ] {
            assert_eq!(read_text(&path, 4).map_err(|error| error.kind()), Err(kind), "{}", path.display());
        }
        let before = signature(&[at("a.json"), at("none")]);
        fs::write(at("a.json"), "changed").expect("written");
        assert_ne!(signature(&[at("a.json"), at("none")]), before);
    }
}
