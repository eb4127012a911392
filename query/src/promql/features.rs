//! What Prometheus has behind feature flags, under the names of its flags. What is only more is on unless the configuration says otherwise, and
//! rules have it always; what makes other answers of the same queries is off, for rules too, unless it is asked for.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// A feature that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Feature {
    /// Functions and aggregations whose names may still change.
    #[serde(rename = "promql-experimental-functions")]
    Functions,
    /// Durations that are computed.
    #[serde(rename = "promql-duration-expr")]
    Durations,
    /// `anchored` and `smoothed`.
    #[serde(rename = "promql-extended-range-selectors")]
    ExtendedRanges,
    /// `fill`, `fill_left`, `fill_right`.
    #[serde(rename = "promql-binop-fill-modifiers")]
    Fill,
    /// Names that functions drop are there until the query is answered, so that `label_replace` and `by (__name__)` still find them.
    #[serde(rename = "promql-delayed-name-removal")]
    DelayedNames,
}

/// The features that are on: all but [`Feature::DelayedNames`], if nothing is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Features(BTreeSet<Feature>);

impl Default for Features {
    fn default() -> Self {
        Self([Feature::Functions, Feature::Durations, Feature::ExtendedRanges, Feature::Fill].into())
    }
}

impl Features {
    /// Whether it is on.
    pub fn has(&self, feature: Feature) -> bool {
        self.0.contains(&feature)
    }
}

/// The functions that are a matter of [`Feature::Functions`].
pub(super) const EXPERIMENTAL: [&str; 18] = [
    "double_exponential_smoothing",
    "end",
    "histogram_quantiles",
    "info",
    "limit_ratio",
    "limitk",
    "mad_over_time",
    "max_of",
    "min_of",
    "range",
    "sort_by_label",
    "sort_by_label_desc",
    "start",
    "step",
    "ts_of_first_over_time",
    "ts_of_last_over_time",
    "ts_of_max_over_time",
    "ts_of_min_over_time",
];
