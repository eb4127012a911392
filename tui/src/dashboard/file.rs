//! A board, and how it is read from its file: strictly. Unknown keys and words, keys that a kind of panel does not have,
//! and variables nobody defined are errors with their place; a board that was read can be shown.
//!
//! Whether a query means something is the server's to say: its complaint stands in the panel.

mod check;

use super::counters::CounterQuery;
use super::error::FileError;
use super::limits;
use super::raw::RawBoard;
use super::unit::Unit;

/// A board that can be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Board {
    /// What it is called.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// Milliseconds between two refreshes.
    pub refresh_ms: u64,
    /// Milliseconds of the time range it opens with; `None` leaves the terminal's as it is.
    pub range_ms: Option<u64>,
    /// How often its sources send, in milliseconds: `$__rate_interval` holds at least four of these.
    pub interval_ms: u64,
    /// In the order of the file.
    pub variables: Vec<Variable>,
    /// In the order of the file.
    pub panels: Vec<Panel>,
}

/// What queries name `$name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name behind the dollar.
    pub name: String,
    /// What stands before it on the screen.
    pub label: String,
    /// Where its values come from.
    pub kind: VariableKind,
    /// Chosen when the board is opened; `None` is everything (`multi`) or the first value.
    pub default: Option<String>,
    /// Whether several values, or all, can be chosen.
    pub multi: bool,
}

/// Where a variable's values come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariableKind {
    /// The values of a label, of series that a selector finds.
    ValuesOf {
        /// The label's name.
        label: String,
        /// A PromQL selector; every series if there is none.
        selector: Option<String>,
    },
    /// These.
    List(Vec<String>),
    /// Whatever somebody writes; this at first.
    Text(String),
}

/// One panel.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    /// What stands in its frame.
    pub title: String,
    /// What it draws.
    pub kind: PanelKind,
    /// Of 24 columns.
    pub width: u16,
    /// Lines, frame included, at least.
    pub height: u16,
    /// What it asks.
    pub queries: Vec<Query>,
    /// What its numbers are.
    pub unit: Unit,
    /// Digits behind the point; as many as suit if absent.
    pub decimals: Option<u8>,
    /// Where the axis or the gauge begins.
    pub min: Option<f64>,
    /// Where it ends.
    pub max: Option<f64>,
    /// Where numbers become worrying.
    pub thresholds: Vec<Threshold>,
}

/// What a panel draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PanelKind {
    /// Lines over time.
    Timeseries,
    /// The newest number, large, with its course.
    Stat,
    /// The newest number between two ends.
    Gauge,
    /// The newest number of each series, as bars.
    Bar,
    /// The newest number of each series, as a table.
    Table,
    /// Log records.
    Logs,
    /// Alerts; of one state, if one is named.
    AlertList(Option<String>),
    /// Fixed text.
    Text(String),
}

/// One question of a panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Who is asked what.
    pub source: Source,
    /// A series' name, with `{{label}}`; empty for all its labels.
    pub legend: String,
}

/// Who is asked what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The store's series.
    Promql(String),
    /// The store's log records, by the filter language.
    Logs(String),
    /// The server's own counters, as `/api/v1/status` tells them.
    Counter(CounterQuery),
}

/// Where numbers become worrying.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// The number.
    pub value: f64,
    /// Whether numbers below are meant, and not those above.
    pub below: bool,
    /// How worrying.
    pub level: Level,
}

/// How worrying a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Good,
    /// Somebody should look.
    Warn,
    /// Somebody must act.
    Bad,
}

impl Board {
    /// Reads a board from the text of its file. `file` is what errors call it.
    pub fn parse(file: &str, text: &str) -> Result<Self, FileError> {
        if text.len() as u64 > limits::FILE_BYTES_MAX {
            let message =
                format!("the file has {} bytes, and a board has at most {}", text.len(), limits::FILE_BYTES_MAX);
            return Err(FileError::whole(file, message, Some("split the board".to_owned())));
        }
        let options = serde_saphyr::options! {
            with_snippet: false,
            strict_booleans: true,
            reject_unsupported_tags: true,
            budget: serde_saphyr::budget! { max_depth: 16, max_nodes: 20_000, max_documents: 2 },
        };
        let raw: RawBoard =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| FileError::of_yaml(file, &error))?;
        check::board(file, raw)
    }
}

impl Panel {
    /// How worrying `value` is here; `None` if no threshold says.
    pub fn level(&self, value: f64) -> Option<Level> {
        let passed = |threshold: &&Threshold| match threshold.below {
            true => value < threshold.value,
            false => value >= threshold.value,
        };
        self.thresholds.iter().filter(passed).map(|threshold| threshold.level).max()
    }
}

/// Milliseconds of `250ms`, `10s`, `15m`, `1h`, `1h30m`, `7d`.
pub fn duration_ms(text: &str) -> Option<u64> {
    let (mut rest, mut sum) = (text.trim(), 0_u64);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let factor = match &rest[..unit_end] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        rest = &rest[unit_end..];
        sum = sum.checked_add(number.checked_mul(factor)?)?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests;
