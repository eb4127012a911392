//! An alert as it goes from the rules to the notifications: what a receiver is told.

use std::collections::BTreeMap;

use model::Timestamp;
use model::wire::alerts::AlertSample;
use serde::{Deserialize, Serialize};

/// A firing or resolved alert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// `alertname` among them. They are the alert's identity.
    pub labels: BTreeMap<String, String>,
    /// Expanded.
    pub annotations: BTreeMap<String, String>,
    /// When it began to fire, in nanoseconds since the Unix epoch.
    pub starts_at: i64,
    /// When it was resolved; `None` while it fires.
    pub ends_at: Option<i64>,
    /// The expression's value at the last evaluation.
    pub value: f64,
    /// Where the rule can be looked at.
    pub generator_url: String,
    /// Where to look further, by what is found there.
    pub links: BTreeMap<String, String>,
    /// Records that made it.
    pub samples: Vec<AlertSample>,
}

impl Alert {
    /// Whether it had been resolved at `now`.
    pub fn is_resolved(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|end| end <= now.as_nanos())
    }

    /// Prometheus's fingerprint of the labels: 64-bit FNV-1a over names and values, each followed by the byte 255.
    /// <https://github.com/prometheus/common/blob/main/model/signature.go>
    pub fn fingerprint(&self) -> u64 {
        fingerprint(&self.labels)
    }
}

/// The fingerprint of a label set; see [`Alert::fingerprint`].
pub fn fingerprint(labels: &BTreeMap<String, String>) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    const SEPARATOR: u8 = 255;
    let add = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    labels.iter().fold(OFFSET, |hash, (name, value)| {
        let hash = name.bytes().fold(hash, add);
        let hash = add(hash, SEPARATOR);
        let hash = value.bytes().fold(hash, add);
        add(hash, SEPARATOR)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_prometheus() {
        // The offset basis of FNV-1a is the fingerprint of the empty set.
        assert_eq!(fingerprint(&BTreeMap::new()), 14_695_981_039_346_656_037);
        let labels = |pairs: &[(&str, &str)]| {
            fingerprint(&pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
        };
        assert_ne!(labels(&[("a", "bc")]), labels(&[("ab", "c")]));
    }
}
