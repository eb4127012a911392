//! A board's file as YAML gives it: every key there is, nothing checked beyond the types. `file` makes a board of it.

use serde::Deserialize;
use serde_saphyr::Spanned;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBoard {
    pub title: Spanned<String>,
    pub description: Option<String>,
    pub refresh: Option<Spanned<String>>,
    pub range: Option<Spanned<String>>,
    pub interval: Option<Spanned<String>>,
    #[serde(default)]
    pub variables: Vec<Spanned<RawVariable>>,
    pub panels: Spanned<Vec<Spanned<RawPanel>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawVariable {
    pub name: Spanned<String>,
    pub label: Option<String>,
    pub values_of: Option<RawValuesOf>,
    pub list: Option<Spanned<Vec<String>>>,
    pub text: Option<String>,
    pub default: Option<Spanned<String>>,
    pub multi: Option<Spanned<bool>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawValuesOf {
    pub label: Spanned<String>,
    #[serde(rename = "in")]
    pub selector: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawKind {
    Timeseries,
    Stat,
    Gauge,
    Bar,
    Table,
    Logs,
    Alertlist,
    Text,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPanel {
    pub title: Spanned<String>,
    #[serde(rename = "type")]
    pub kind: Spanned<RawKind>,
    pub width: Option<Spanned<u16>>,
    pub height: Option<Spanned<u16>>,
    #[serde(default)]
    pub queries: Vec<Spanned<RawQuery>>,
    pub unit: Option<Spanned<String>>,
    pub decimals: Option<Spanned<u8>>,
    pub min: Option<Spanned<f64>>,
    pub max: Option<Spanned<f64>>,
    #[serde(default)]
    pub thresholds: Vec<Spanned<RawThreshold>>,
    pub text: Option<Spanned<String>>,
    pub state: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawQuery {
    pub promql: Option<Spanned<String>>,
    pub logs: Option<Spanned<String>>,
    pub counter: Option<Spanned<String>>,
    #[serde(rename = "as")]
    pub read_as: Option<Spanned<String>>,
    pub by: Option<Spanned<Vec<String>>>,
    pub legend: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawThreshold {
    pub above: Option<f64>,
    pub below: Option<f64>,
    pub level: Spanned<String>,
}
