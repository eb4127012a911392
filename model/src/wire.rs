//! The HTTP API's bodies as types, written by the server and read by every client. Serde lives here and nowhere deeper.

pub mod alerts;
pub mod correlate;
pub mod counts;
pub mod error;
pub mod logs;
pub mod points;
pub mod prom;
pub mod spans;
pub mod status;
pub mod traces;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Attributes with plain JSON values.
pub type Attributes = Map<String, Value>;

/// The last line of an ndjson answer, `{"_meta": {...}}`, and the keys beside `rows` in a json answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Meta {
    /// Where the next page begins; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Whether something that might belong to the answer is not in it.
    pub partial: bool,
    /// Why the answer is partial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What the asker may want to know: unknown fields, for instance.
    pub warnings: Vec<String>,
}

/// One page of rows as `format=json` gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<R> {
    /// The rows, in the order asked for.
    pub rows: Vec<R>,
    /// See [`Meta`].
    #[serde(flatten)]
    pub meta: Meta,
}

/// The instrumentation scope of a row.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// The scope's name; empty if unknown.
    pub name: String,
    /// The scope's version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Attributes of the scope.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub attributes: Attributes,
    /// Schema URL of the scope's telemetry.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub schema_url: String,
    /// How many attributes were dropped before sending.
    #[serde(skip_serializing_if = "is_zero")]
    pub dropped_attributes_count: u32,
}

pub(crate) fn is_zero<T: PartialEq + Default>(number: &T) -> bool {
    *number == T::default()
}
