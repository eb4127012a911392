//! The layers, the complaints, and that `default.toml` says what the types say.

use std::collections::BTreeSet;

use toml::{Table, Value};

use super::keys::{DEFAULTS, KEYS};
use super::layers::check_text;
use super::*;

fn check(text: &str) -> Result<Table, ConfigError> {
    check_text(Path::new("sextant.toml"), text)
}

fn paths(table: &Table, prefix: &str, found: &mut BTreeSet<String>) {
    for (name, value) in table {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match value {
            // Without keys of its own it is a setting: a table of anybody's names.
            Value::Table(section) if !section.is_empty() => paths(section, &path, found),
            _ => {
                found.insert(path);
            }
        }
    }
}

#[test]
fn default_toml_says_what_the_types_say() {
    let read: Config = toml::from_str(DEFAULTS).expect("default.toml");
    assert_eq!(read, Config::default());
}

#[test]
fn default_toml_has_every_key() {
    let mut of_types = BTreeSet::new();
    paths(&Table::try_from(Config::default()).expect("serialisable"), "", &mut of_types);
    let of_file: BTreeSet<String> = KEYS.iter().map(|key| key.path.clone()).collect();
    assert_eq!(of_file, of_types);
}

#[test]
fn external_labels_may_have_any_name() {
    let text = "[rules.external_labels]\ncluster = \"eu-1\"\n\"a b\" = \"\"\n";
    super::layers::check_text(Path::new("sextant.toml"), text).expect("they are known");
    let inline = "[rules]\nexternal_labels = { cluster = 5 }\n";
    assert!(super::layers::check_text(Path::new("sextant.toml"), inline).is_err());
}

#[test]
fn every_variable_means_one_key() {
    let variables: BTreeSet<&str> = KEYS.iter().map(|key| key.variable.as_str()).collect();
    assert_eq!(variables.len(), KEYS.len());
    let skipped: Vec<_> = variables.iter().filter(|name| super::layers::is_of_kubernetes(name)).collect();
    assert!(skipped.is_empty(), "settings that Kubernetes' own variables would hide: {skipped:?}");
}

#[test]
fn complaints_name_line_and_remedy() {
    for (text, place, message, hint) in [
        ("\ndata_dri = \"x\"\n", "sextant.toml:2", "unknown key `data_dri`", Some("did you mean `data_dir`?")),
        ("zzz = 1\naaa = 2\n", "sextant.toml:1", "unknown key `zzz`", None),
        ("# a\n\nqqqqqq = 1\n", "sextant.toml:3", "unknown key `qqqqqq`", None),
        (
            "http = \"off\"\n[store]\n\nwal_segment_byte = 1\n",
            "sextant.toml:4",
            "unknown key `store.wal_segment_byte`",
            Some("did you mean `store.wal_segment_bytes`?"),
        ),
        ("[sotre]\n", "sextant.toml:1", "unknown key `sotre`", Some("did you mean `store`?")),
        ("flush_bytes = 1\n", "sextant.toml:1", "unknown key `flush_bytes`", Some("did you mean `store.flush_bytes`?")),
        ("store = 1\n", "sextant.toml:1", "`store` is a section", Some("write [store] and its keys below")),
        ("http = 3300", "sextant.toml:1", "invalid type: integer `3300`, expected a string", None),
        (
            "insecure = true\nhttp = \"3300\"",
            "sextant.toml:2",
            "\"3300\" is no address: write IP:PORT, such as 127.0.0.1:4317, or off",
            None,
        ),
    ] {
        let error = check(text).expect_err(text);
        assert_eq!((error.place.as_str(), error.message.as_str(), error.hint.as_deref()), (place, message, hint));
    }
    let error = check("a = 1\nb = = 2\n").expect_err("no TOML");
    assert_eq!(error.place, "sextant.toml:2");
}

#[test]
fn every_default_can_be_written_in_a_file() {
    assert_eq!(check(DEFAULTS), Ok(DEFAULTS.parse().expect("default.toml")));
}

#[test]
fn variables_win_over_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("own.toml");
    std::fs::write(&file, "data_dir = \"from-file\"\nhttp = \"off\"\n").expect("written");
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let variables = [variable("SEXTANT_DATA_DIR", "from-variable"), variable("SEXTANT_INSECURE", "true")];
    let foreign = [
        variable("PATH", "/bin"),
        variable("SEXTANT_URL", "http://elsewhere"),
        variable("SEXTANT_SERVICE_HOST", "10.0.0.1"),
        variable("SEXTANT_PORT_4317_TCP_ADDR", "10.0.0.1"),
    ];
    let config = load(Some(&file), variables.into_iter().chain(foreign)).expect("good layers");
    assert_eq!(config.data_dir, PathBuf::from("from-variable"));
    assert_eq!((config.http, config.insecure), (Door::Off, true));
    assert_eq!(config.otlp_grpc, Config::default().otlp_grpc);
}

#[test]
fn a_bad_variable_is_named() {
    for (name, value, message, hint) in [
        ("SEXTANT_DATA_DRI", "x", "unknown variable", Some("did you mean SEXTANT_DATA_DIR?")),
        ("SEXTANT_INSECURE", "yes", "\"yes\" is no boolean", Some("write it like false")),
        ("SEXTANT_DRAIN_TIMEOUT_MS", "1\nx = 2", "\"1\\nx = 2\" is no integer", Some("write it like 10000")),
        ("SEXTANT_HTTP", "here", "\"here\" is no address: write IP:PORT, such as 127.0.0.1:4317, or off", None),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("empty.toml");
        std::fs::write(&file, "").expect("written");
        let variables = std::iter::once((name.to_owned(), value.to_owned()));
        let error = load(Some(&file), variables).expect_err(name);
        assert_eq!((error.place.as_str(), error.message.as_str(), error.hint.as_deref()), (name, message, hint));
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = load(Some(Path::new("/nowhere/own.toml")), std::iter::empty()).expect_err("no such file");
    assert_eq!(error.place, "/nowhere/own.toml");
}
