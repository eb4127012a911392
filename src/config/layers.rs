//! Puts the layers together: defaults, the file, variables. (Flags are applied by the command that has them.)

use std::path::Path;

use toml::de::DeTable;
use toml::{Table, Value};

use super::keys::{self, KEYS, Key, Known};
use super::{Config, ConfigError};

/// The file that is read if it is there and no other is named.
const FILE: &str = "sextant.toml";

/// Variables of the same prefix that are not settings but stand for flags.
const FLAG_VARIABLES: [&str; 3] = ["SEXTANT_CONFIG", "SEXTANT_URL", "SEXTANT_TOKEN_FILE"];

/// The configuration of the named file (or of `sextant.toml` here, if there is one) and the variables.
pub fn load(file: Option<&Path>, variables: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    let table = match file {
        Some(file) => read(file)?,
        None if Path::new(FILE).exists() => read(Path::new(FILE))?,
        None => Table::new(),
    };
    with_variables(table, variables)
}

/// The defaults and the variables alone.
pub fn without_file(variables: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    with_variables(Table::new(), variables)
}

// What Kubernetes puts into every container of a namespace that has a service called `sextant`: `SEXTANT_SERVICE_HOST`,
// `SEXTANT_PORT_4317_TCP_ADDR` and the like. No setting is called so, which a test holds.
pub(super) fn is_of_kubernetes(name: &str) -> bool {
    name == "SEXTANT_PORT" || name.starts_with("SEXTANT_PORT_") || name.starts_with("SEXTANT_SERVICE_")
}

fn with_variables(mut table: Table, variables: impl Iterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    for (name, value) in variables.filter(|(name, _)| name.starts_with("SEXTANT_")) {
        if FLAG_VARIABLES.contains(&name.as_str()) || is_of_kubernetes(&name) {
            continue;
        }
        apply_variable(&mut table, &name, &value)?;
    }
    table.try_into().map_err(|error: toml::de::Error| ConfigError {
        place: "configuration".to_owned(),
        message: error.message().to_owned(),
        hint: None,
    })
}

/// This process's variables, those that are text.
pub fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn read(file: &Path) -> Result<Table, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|error| ConfigError {
        place: file.display().to_string(),
        message: format!("the configuration cannot be read: {error}"),
        hint: None,
    })?;
    check_text(file, &text)
}

/// The settings of a file's text, checked one by one.
pub fn check_text(file: &Path, text: &str) -> Result<Table, ConfigError> {
    let locate = |error: toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start);
        ConfigError::in_file(file, text, offset, error.message().to_owned(), None)
    };
    let spanned = DeTable::parse(text).map_err(locate)?;
    check_keys(file, text, spanned.get_ref(), "")?;
    toml::from_str::<Config>(text).map_err(locate)?;
    text.parse().map_err(locate)
}

fn check_keys(file: &Path, text: &str, table: &DeTable<'_>, prefix: &str) -> Result<(), ConfigError> {
    // In the order of the file, so that the first mistake is the one that is named.
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let name = key.get_ref();
        let path = if prefix.is_empty() { name.to_string() } else { format!("{prefix}.{name}") };
        let refuse = |message: String, hint| Err(ConfigError::in_file(file, text, key.span().start, message, hint));
        match (keys::lookup(&path), value.get_ref().as_table()) {
            (Known::Setting, _) => {}
            (Known::Section, Some(section)) => check_keys(file, text, section, &path)?,
            (Known::Section, None) => {
                return refuse(format!("`{path}` is a section"), Some(format!("write [{path}] and its keys below")));
            }
            (Known::Unknown, _) => {
                let hint = keys::nearest(&path).map(|known| format!("did you mean `{known}`?"));
                return refuse(format!("unknown key `{path}`"), hint);
            }
        }
    }
    Ok(())
}

fn apply_variable(table: &mut Table, name: &str, text: &str) -> Result<(), ConfigError> {
    let refuse = |message: String, hint| Err(ConfigError { place: name.to_owned(), message, hint });
    let Some(key) = KEYS.iter().find(|key| key.variable == name) else {
        let hint = keys::nearest_variable(name).map(|known| format!("did you mean {known}?"));
        return refuse("unknown variable".to_owned(), hint);
    };
    let Some(value) = value_of(key, text) else {
        return refuse(
            format!("{text:?} is no {}", key.default.type_str()),
            Some(format!("write it like {}", key.default)),
        );
    };
    let (section, last) = match key.path.rsplit_once('.') {
        Some((section, last)) => (section_of(table, section), last),
        None => (table as &mut Table, key.path.as_str()),
    };
    section.insert(last.to_owned(), value);
    // Read at once, so that the variable whose value makes no sense is the one that is named.
    match table.clone().try_into::<Config>() {
        Ok(_) => Ok(()),
        Err(error) => refuse(error.message().to_owned(), None),
    }
}

// A variable holds a string as it is, everything else as TOML writes it.
fn value_of(key: &Key, text: &str) -> Option<Value> {
    if key.default.is_str() {
        return Some(Value::String(text.to_owned()));
    }
    let table: Table = format!("value = {text}").parse().ok()?;
    let value = table.get("value")?.clone();
    (table.len() == 1 && value.same_type(&key.default)).then_some(value)
}

fn section_of<'t>(table: &'t mut Table, path: &str) -> &'t mut Table {
    let mut section = table;
    for name in path.split('.') {
        let entry = section.entry(name).or_insert_with(|| Value::Table(Table::new()));
        section = entry.as_table_mut().expect("the file was checked: a section is a table");
    }
    section
}
