//! Files that operators write: rules, their templates, and `alertmanager.yml`.

use std::collections::BTreeMap;
use std::path::Path;

use model::Labels;
use query::rules::file::RuleFile;
use query::rules::notify::config::Config;
use query::rules::notify::guard::Allowed;
use query::rules::template::{Data, Query, Template};

use super::replay::Target;

/// The targets by the names of their corpora.
pub const TARGETS: [Target; 3] = [("rule_file", rule_file), ("alertmanager", alertmanager), ("template", template)];

fn rule_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(errors) = RuleFile::parse("fuzz.yml", text) {
        assert!(!errors.is_empty(), "what is refused has a reason");
        errors.iter().for_each(|error| drop(error.to_string()));
    }
}

fn alertmanager(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let allowed = Allowed::default();
    if let Err(error) = Config::parse("fuzz.yml", text, Path::new("/nonexistent"), &allowed) {
        drop(error.to_string());
    }
}

struct Nothing;

impl Query for Nothing {
    fn query(&self, expr: &str, _at_ms: i64) -> Result<Vec<(Labels, f64)>, String> {
        if expr.len().is_multiple_of(2) {
            Ok(vec![(Labels::empty(), expr.len() as f64)])
        } else {
            Err("no such thing".to_owned())
        }
    }
}

fn template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let template = match Template::parse("fuzz", text) {
        Ok(template) => template,
        Err(error) => return drop(error.to_string()),
    };
    let labels = BTreeMap::from([("job".to_owned(), "api".to_owned()), ("instance".to_owned(), "a:9090".to_owned())]);
    let data = Data {
        labels: &labels,
        external_labels: &BTreeMap::new(),
        external_url: "http://localhost:3300",
        value: 1234.5,
        at_ms: 1_800_000_000_000,
        samples: &[],
        trace_url: "",
        logs_url: "",
    };
    if let Err(error) = template.expand(&data, &Nothing) {
        drop(error.to_string());
    }
}
