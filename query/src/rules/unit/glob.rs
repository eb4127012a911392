//! Patterns of file names as Go's `filepath.Glob` reads them: `*`, `?` and `[a-z]` within one part of a path.

use std::path::{Component, Path, PathBuf};

/// The files that a pattern stands for, sorted. A part without a pattern is itself, if it is there.
pub fn glob(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in pattern.components() {
        found = match component {
            Component::Normal(part) if is_pattern(&part.to_string_lossy()) => {
                let part: Vec<char> = part.to_string_lossy().chars().collect();
                found.iter().flat_map(|folder| entries(folder, &part)).collect()
            }
            component => found.into_iter().map(|path| path.join(component)).collect(),
        };
    }
    found.retain(|path| path.exists());
    found
}

fn is_pattern(part: &str) -> bool {
    part.contains(['*', '?', '[', '\\'])
}

// What cannot be read holds nothing that could be found.
fn entries(folder: &Path, pattern: &[char]) -> Vec<PathBuf> {
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = std::fs::read_dir(here) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok().map(|entry| entry.file_name()));
    let mut names: Vec<_> =
        names.filter(|name| matches(pattern, &name.to_string_lossy().chars().collect::<Vec<char>>())).collect();
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

// A star is tried from the shortest on; only the last one has to be taken back, as in any such pattern.
fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut rest) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while rest < name.len() {
        let step = match pattern.get(at) {
            Some('*') => {
                retry = Some((at + 1, rest));
                at += 1;
                continue;
            }
            Some(_) => one(&pattern[at..], name[rest]),
            None => None,
        };
        match (step, retry) {
            (Some(length), _) => {
                at += length;
                rest += 1;
            }
            (None, Some((after, from))) => {
                retry = Some((after, from + 1));
                (at, rest) = (after, from + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

// How much of the pattern one character takes, if it fits.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', escaped, ..] => (*escaped == c).then_some(2),
        ['[', class @ ..] => {
            let end = class.iter().skip(1).position(|c| *c == ']')? + 1;
            let (negated, members) = match class[..end].split_first() {
                Some(('^', members)) => (true, members),
                _ => (false, &class[..end]),
            };
            (in_class(members, c) != negated).then_some(end + 2)
        }
        [literal, ..] => (*literal == c).then_some(1),
        [] => None,
    }
}

fn in_class(members: &[char], c: char) -> bool {
    match members {
        [from, '-', to, rest @ ..] => (*from..=*to).contains(&c) || in_class(rest, c),
        [one, rest @ ..] => *one == c || in_class(rest, c),
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_names() {
        for (pattern, name, expected) in [
            ("*.yml", "a.yml", true),
            ("*.yml", "a.yaml", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYcZ", false),
            ("r?les.yml", "rules.yml", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[xyz]*", "yes", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("*", "", true),
            ("", "a", false),
        ] {
            let chars = |text: &str| text.chars().collect::<Vec<char>>();
            assert_eq!(matches(&chars(pattern), &chars(name)), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn patterns_of_paths() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["a", "b"] {
            let inner = folder.path().join(name);
            std::fs::create_dir(&inner).expect("a folder");
            std::fs::write(inner.join("x.yml"), "").expect("a file");
        }
        let found = |pattern: &str| {
            let found = glob(&folder.path().join(pattern));
            let relative = found.iter().filter_map(|path| path.strip_prefix(folder.path()).ok());
            relative.map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found("*/x.yml"), "a/x.yml b/x.yml");
        assert_eq!(found("a/../b/*.yml"), "a/../b/x.yml");
        assert_eq!(found("c/x.yml"), "");
        assert_eq!(found("a/x.yml"), "a/x.yml");
    }
}
