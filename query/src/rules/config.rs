//! The rules' settings, the table `[rules]` of `sextant.toml`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// See `src/config/default.toml` for what each setting means to its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Rule files; `*` stands for any part of a file's name.
    pub files: Vec<String>,
    /// Seconds between evaluations of groups that do not say.
    pub evaluation_interval_s: u64,
    /// The `alertmanager.yml` with routes and receivers; empty for none.
    pub alertmanager: String,
    /// Where people reach this server: the beginning of links in notifications. Empty for the bound address.
    pub external_url: String,
    /// Labels that every alert leaves with, unless it has them itself; `$externalLabels` in templates.
    pub external_labels: BTreeMap<String, String>,
    /// Hosts, addresses or networks of receivers that are private or on this machine and yet may be called.
    pub allowed_receivers: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            evaluation_interval_s: 60,
            alertmanager: String::new(),
            external_url: String::new(),
            external_labels: BTreeMap::new(),
            allowed_receivers: Vec::new(),
        }
    }
}
