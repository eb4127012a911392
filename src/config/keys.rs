//! The list of known keys: what `default.toml` holds, with the names of the variables that set them.

use std::sync::LazyLock;

use toml::{Table, Value};

/// The compiled-in defaults with their comments.
pub const DEFAULTS: &str = include_str!("default.toml");

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// `data_dir`, `store.segment_bytes`.
    pub path: String,
    /// `SEXTANT_DATA_DIR`.
    pub variable: String,
    /// What holds if nobody says otherwise; its type is the setting's type.
    pub default: Value,
}

/// Every setting.
pub static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let table: Table = DEFAULTS.parse().expect("default.toml is compiled in and read by a test");
    let mut keys = Vec::new();
    collect(&table, "", &mut keys);
    keys
});

/// Settings that are tables of anybody's own names: nothing in them is unknown.
const OPEN: [&str; 2] = ["rules.external_labels", "store.retention_services"];

/// What a path means.
#[derive(Debug, PartialEq, Eq)]
pub enum Known {
    /// A section with settings below it.
    Section,
    /// A setting.
    Setting,
    /// Nothing.
    Unknown,
}

/// What `path` means.
pub fn lookup(path: &str) -> Known {
    let below = |key: &Key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    if KEYS.iter().any(|key| key.path == path) {
        Known::Setting
    } else if KEYS.iter().any(below) {
        Known::Section
    } else {
        Known::Unknown
    }
}

/// The known key or section that `path` was probably meant to be.
pub fn nearest(path: &str) -> Option<String> {
    let sections = KEYS.iter().filter_map(|key| key.path.rsplit_once('.').map(|(section, _)| section));
    let candidates = KEYS.iter().map(|key| key.path.as_str()).chain(sections);
    best(path, candidates).or_else(|| {
        // The right key in the wrong section.
        let name = last(path);
        let mut same = KEYS.iter().map(|key| key.path.as_str()).filter(|known| last(known) == name);
        same.next().map(str::to_owned)
    })
}

/// The known variable that `name` was probably meant to be.
pub fn nearest_variable(name: &str) -> Option<String> {
    best(name, KEYS.iter().map(|key| key.variable.as_str()))
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

// Below this likeness a guess is more puzzling than none.
const LIKENESS_MIN: f64 = 0.75;

fn best<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let scored = candidates.map(|candidate| (strsim::jaro_winkler(text, candidate), candidate));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(likeness, _)| *likeness >= LIKENESS_MIN).map(|(_, candidate)| candidate.to_owned())
}

fn collect(table: &Table, prefix: &str, keys: &mut Vec<Key>) {
    for (name, value) in table {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(section) if !OPEN.contains(&path.as_str()) => collect(section, &path, keys),
            value => {
                let variable = format!("SEXTANT_{}", path.replace('.', "_").to_ascii_uppercase());
                keys.push(Key { path, variable, default: value.clone() });
            }
        }
    }
}
