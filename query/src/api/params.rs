//! Parameters of Sextant's own paths. A parameter that a path does not know is an error that names the nearest it knows: a
//! typing error must not be answered with everything.

use axum::extract::Query;
use axum::http::Uri;
use model::{TimeRange, Timestamp};

use crate::api::error::ApiError;
use crate::limits::PAGE_ROWS_MAX;
use crate::search::execute::Order;

/// The parameters of one request.
#[derive(Debug)]
pub struct Params(Vec<(String, String)>);

/// How many rows are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// A page of at most so many.
    Rows(usize),
    /// As many as the budget allows, streamed.
    None,
}

/// In which form rows are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One row a line.
    Ndjson,
    /// One object.
    Json,
    /// An OTLP/JSON export request.
    Otlp,
}

const DEFAULT_RANGE_NANOS: i64 = 3_600_000_000_000;
const DEFAULT_LIMIT: usize = 100;

impl Params {
    /// Reads the parameters of `uri`, of which each must be one of `known` and none may be there twice.
    pub fn read(uri: &Uri, known: &[&str]) -> Result<Self, ApiError> {
        let pairs: Query<Vec<(String, String)>> = Query::try_from_uri(uri).map_err(|error| {
            ApiError::bad_parameter(error.body_text(), "write name=value&name=value, percent-encoded")
        })?;
        for (position, (name, _)) in pairs.0.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let hint = match nearest(name, known) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.is_empty() => "this path takes no parameters".to_owned(),
                    None => format!("this path takes {}", known.join(", ")),
                };
                return Err(ApiError::bad_parameter(format!("unknown parameter `{name}`"), hint));
            }
            if pairs.0[..position].iter().any(|(before, _)| before == name) {
                let message = format!("the parameter `{name}` is given twice");
                return Err(ApiError::bad_parameter(message, "give it once"));
            }
        }
        Ok(Self(pairs.0))
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `start` and `end`; without `end` up to this moment, without `start` the hour before `end`.
    pub fn range(&self, now: Timestamp) -> Result<TimeRange, ApiError> {
        // What happened at this very moment has happened.
        let end = self.time("end", now)?.unwrap_or(now.saturating_add(1));
        let start = self.time("start", now)?.unwrap_or_else(|| end.saturating_add(-DEFAULT_RANGE_NANOS));
        ordered(TimeRange { start, end })
    }

    /// `start` and `end`; all time where they are missing.
    pub fn range_or_all(&self, now: Timestamp) -> Result<TimeRange, ApiError> {
        let start = self.time("start", now)?.unwrap_or(TimeRange::ALL.start);
        let end = self.time("end", now)?.unwrap_or(TimeRange::ALL.end);
        ordered(TimeRange { start, end })
    }

    /// `limit`.
    pub fn limit(&self) -> Result<Limit, ApiError> {
        match self.get("limit") {
            None => Ok(Limit::Rows(DEFAULT_LIMIT)),
            Some("none") => Ok(Limit::None),
            Some(text) => match text.parse() {
                Ok(rows @ 1..=PAGE_ROWS_MAX) => Ok(Limit::Rows(rows)),
                _ => Err(ApiError::bad_parameter(
                    format!("`limit={text}` is no number from 1 to {PAGE_ROWS_MAX}"),
                    "limit=none streams everything as ndjson",
                )),
            },
        }
    }

    /// A whole number from 1 to `most`.
    pub fn number(&self, name: &str, most: usize) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.parse() {
            Ok(number) if (1..=most).contains(&number) => Ok(Some(number)),
            _ => {
                let message = format!("`{name}={text}` is no number from 1 to {most}");
                Err(ApiError::bad_parameter(message, format!("leave `{name}` out for the usual number")))
            }
        }
    }

    /// `order`.
    pub fn order(&self) -> Result<Order, ApiError> {
        match self.get("order") {
            None | Some("desc") => Ok(Order::Descending),
            Some("asc") => Ok(Order::Ascending),
            Some(text) => {
                let message = format!("`order={text}` is no order");
                Err(ApiError::bad_parameter(message, "write desc for newest first, asc for oldest first"))
            }
        }
    }

    /// `format`.
    pub fn format(&self) -> Result<Format, ApiError> {
        match self.get("format") {
            None | Some("ndjson") => Ok(Format::Ndjson),
            Some("json") => Ok(Format::Json),
            Some("otlp") => Ok(Format::Otlp),
            Some(text) => {
                Err(ApiError::bad_parameter(format!("`format={text}` is no format"), "write ndjson, json or otlp"))
            }
        }
    }

    fn time(&self, name: &str, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        Timestamp::parse(text, now).map(Some).map_err(|_| {
            let hint = "write 2026-01-31T12:00:00Z, unix seconds, now or -15m; a `+` in an address is %2B";
            ApiError::bad_parameter(format!("`{name}={text}` is no time"), hint)
        })
    }
}

fn ordered(range: TimeRange) -> Result<TimeRange, ApiError> {
    if range.start > range.end {
        return Err(ApiError::bad_parameter("`start` lies after `end`", "exchange them"));
    }
    Ok(range)
}

/// The known name that `name` was probably meant to be.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distances = known.iter().map(|candidate| (distance(name, candidate), *candidate));
    // More than half of the letters wrong is another word.
    distances.filter(|(distance, candidate)| *distance * 2 <= candidate.len()).min().map(|(_, candidate)| candidate)
}

// How many letters must be added, removed or changed to make one word the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    // A name longer than any of ours is none of them; its letters are not worth counting.
    for (i, l) in left.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let changed = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_nearest_known_parameter() {
        let known = ["query", "start", "end", "limit", "order", "cursor", "format"];
        for (name, expected) in [
            ("qeury", Some("query")),
            ("formt", Some("format")),
            ("limits", Some("limit")),
            ("service", None),
            ("", None),
        ] {
            assert_eq!(nearest(name, &known), expected, "{name}");
        }
    }
}
