//! The read path's settings, the table `[query]` of `sextant.toml`.

use model::names::{Policy, Strategy};
use serde::{Deserialize, Serialize};

use crate::promql::{Features, Translator};

/// See `src/default.toml` for what each setting means to its user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Queries that run at the same time, each on a thread of its own.
    pub concurrent_queries: usize,
    /// Queries that wait for one of those; the next one is refused.
    pub waiting_queries: usize,
    /// Milliseconds after which a query ends with what it has found.
    pub time_budget_ms: u64,
    /// Rows a query may look at.
    pub scanned_rows_max: u64,
    /// Bytes of columns a query may look at.
    pub scanned_bytes_max: u64,
    /// Rows of one answer without a limit.
    pub answer_rows_max: usize,
    /// Whether the series of PromQL carry their instrumentation scope.
    pub scope_labels: bool,
    /// How much of OTLP's names PromQL keeps.
    #[serde(with = "strategy")]
    pub name_strategy: Strategy,
    /// Whether units are spelled as Prometheus does where it differs from the specification.
    pub prometheus_spelling: bool,
    /// Resource attributes that every series carries as labels.
    pub promote_resource_attributes: Vec<String>,
    /// Whether there is a series `target_info` for each resource.
    pub target_info: bool,
    /// What of PromQL's experiments queries may use.
    pub features: Features,
}

impl Config {
    /// How series are named.
    pub fn translator(&self) -> Translator {
        let policy = Policy {
            namespace: String::new(),
            scope_labels: self.scope_labels,
            strategy: self.name_strategy,
            promoted: self.promote_resource_attributes.clone(),
            prometheus_spelling: self.prometheus_spelling,
        };
        Translator::new(policy, self.target_info)
    }
}

// A strategy is written as Prometheus writes it.
mod strategy {
    use model::names::Strategy;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(strategy: &Strategy, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(strategy.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Strategy, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            concurrent_queries: 4,
            waiting_queries: 64,
            time_budget_ms: 30_000,
            scanned_rows_max: 1_000_000_000,
            scanned_bytes_max: 64 << 30,
            answer_rows_max: 1_000_000,
            scope_labels: true,
            name_strategy: Strategy::default(),
            prometheus_spelling: false,
            promote_resource_attributes: Vec::new(),
            target_info: true,
            features: Features::default(),
        }
    }
}
