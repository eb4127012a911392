//! Stored records as a stream: one line of ndjson each, and what the server says of the whole at the end.

use std::marker::PhantomData;

use bytes::Bytes;
use model::wire::Meta;
use model::wire::logs::LogRow;
use model::wire::points::PointRow;
use model::wire::spans::SpanRow;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::lines::Lines;
use super::{ClientError, Params};

/// A kind of record that can be asked for.
pub trait Row: DeserializeOwned {
    /// The path that answers with rows of this kind.
    const PATH: &'static str;
}

impl Row for LogRow {
    const PATH: &'static str = "/api/v1/logs";
}

impl Row for SpanRow {
    const PATH: &'static str = "/api/v1/spans";
}

impl Row for PointRow {
    const PATH: &'static str = "/api/v1/points";
}

/// What to ask for. Empty fields are left to the server's defaults.
#[derive(Clone, Debug, Default)]
pub struct RowsRequest {
    /// In the filter language; empty for everything.
    pub query: String,
    /// RFC 3339, Unix seconds, `now`, `-15m`.
    pub start: Option<String>,
    /// As `start`; not part of the range.
    pub end: Option<String>,
    /// A number, or `none` for everything the server is willing to stream.
    pub limit: Option<String>,
    /// Oldest first.
    pub ascending: bool,
    /// Where a previous page ended.
    pub cursor: Option<String>,
}

impl RowsRequest {
    pub(super) fn params(&self) -> Params {
        let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Params::new()
            .with_some("query", filled(&self.query))
            .with_some("start", self.start.clone())
            .with_some("end", self.end.clone())
            .with_some("limit", self.limit.clone())
            .with_some("order", self.ascending.then_some("asc"))
            .with_some("cursor", self.cursor.clone())
    }
}

/// Rows as they arrive.
#[derive(Debug)]
pub struct Rows<R> {
    lines: Lines,
    meta: Option<Meta>,
    row: PhantomData<R>,
}

impl<R: Row> Rows<R> {
    pub(super) fn new(lines: Lines) -> Self {
        Self { lines, meta: None, row: PhantomData }
    }

    /// The next row as the line of JSON it came in; `None` after the last.
    pub async fn next_line(&mut self) -> Result<Option<Bytes>, ClientError> {
        if self.meta.is_some() {
            return Ok(None);
        }
        loop {
            let Some(line) = self.lines.next().await? else {
                // Without the last line nobody knows whether these were all rows.
                return Err(ClientError::CutOff { path: self.lines.path().to_owned(), source: None });
            };
            if line.is_empty() {
                continue;
            }
            if !line.starts_with(b"{\"_meta\"") {
                return Ok(Some(line));
            }
            let last: LastLine = self.parse(&line)?;
            self.meta = Some(last.meta);
            return Ok(None);
        }
    }

    /// The next row; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<R>, ClientError> {
        match self.next_line().await? {
            Some(line) => self.parse(&line).map(Some),
            None => Ok(None),
        }
    }

    /// All rows that are left.
    pub async fn collect(mut self) -> Result<(Vec<R>, Meta), ClientError> {
        let mut rows = Vec::new();
        while let Some(row) = self.next().await? {
            rows.push(row);
        }
        Ok((rows, self.meta.unwrap_or_default()))
    }

    /// What the server said of the answer; known after the last row.
    pub fn meta(&self) -> Option<&Meta> {
        self.meta.as_ref()
    }

    fn parse<T: DeserializeOwned>(&self, line: &[u8]) -> Result<T, ClientError> {
        serde_json::from_slice(line)
            .map_err(|source| ClientError::BadAnswer { path: self.lines.path().to_owned(), source })
    }
}

#[derive(Deserialize)]
struct LastLine {
    #[serde(rename = "_meta")]
    meta: Meta,
}
