//! `/api/v1/logs`, `/api/v1/spans`, `/api/v1/points`: stored records of a signal.
//!
//! One blocking thread does the whole of an answer: it finds the rows, says what the head of the answer will be, and then
//! writes the body as fast as the client takes it. An endless answer is written while its rows are found.

use std::ops::ControlFlow;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use model::wire::Meta;
use model::{Signal, TimeRange, Timestamp};
use serde_json::json;
use store::{Granule, Snapshot, StoreError, Table};
use tokio::sync::oneshot;

use crate::admission::{Cancel, Extent, Refused};
use crate::api::ApiState;
use crate::api::error::{ApiError, log_chain};
use crate::api::params::{Format, Limit, Params};
use crate::api::stream::{self, BodyWriter, Gone};
use crate::limits::WINDOW_ROWS;
use crate::rows::otlp::Request;
use crate::rows::reader::{RowReader, write_json};
use crate::search;
use crate::search::budget::Budget;
use crate::search::cursor::{Cursor, fingerprint};
use crate::search::execute::{self, End, Hit, Order, Place, Search, SearchError};

/// Rows that are written in one go, a fraction of a millisecond.
const YIELD_ROWS: usize = 128;

const KNOWN: [&str; 7] = ["query", "start", "end", "limit", "order", "cursor", "format"];

/// Where the next page begins, of answers whose body has no place for it.
pub const CURSOR_HEADER: HeaderName = HeaderName::from_static("x-sextant-cursor");
/// Why the answer is not whole, of answers whose body has no place for it.
pub const PARTIAL_HEADER: HeaderName = HeaderName::from_static("x-sextant-partial");

/// `GET /api/v1/logs`
pub async fn logs(state: State<ApiState>, uri: Uri) -> Result<Response, ApiError> {
    answer(state.0, Table::Logs, &uri).await
}

/// `GET /api/v1/spans`
pub async fn spans(state: State<ApiState>, uri: Uri) -> Result<Response, ApiError> {
    answer(state.0, Table::Spans, &uri).await
}

/// `GET /api/v1/points`
pub async fn points(state: State<ApiState>, uri: Uri) -> Result<Response, ApiError> {
    answer(state.0, Table::Points, &uri).await
}

// What a request asks for.
struct Asked {
    signal: Signal,
    search: Search,
    format: Format,
    limit: Limit,
    now: Timestamp,
    fingerprint: u64,
}

async fn answer(state: ApiState, table: Table, uri: &Uri) -> Result<Response, ApiError> {
    let asked = Asked::read(&state, table, &Params::read(uri, &KNOWN)?)?;
    let content_type = asked.content_type();
    let (head, headed) = oneshot::channel();
    let (mut writer, body) = stream::body(state.clock.clone());
    let admission = state.admission.clone();
    let extent = if asked.limit == Limit::None { Extent::Stream } else { Extent::Page };
    let guard = admission.start(extent, move |cancel, permit| {
        writer.hold(permit);
        asked.answer(&state, cancel, head, writer);
    });
    let guard = guard.await?;
    let mut headers: HeaderMap = headed.await.map_err(|_| Refused::Died)??;
    // From now on the body's channel tells whether the client is there.
    guard.release();
    headers.insert(header::CONTENT_TYPE, content_type);
    Ok((headers, body).into_response())
}

// The answer cannot be written to its end: its client has gone, or rows are missing and there is no place to say so.
struct Unfinished;

impl From<Gone> for Unfinished {
    fn from(_: Gone) -> Self {
        Unfinished
    }
}

// Rows of an answer, and where they are.
#[derive(Clone, Copy)]
struct Located<'a> {
    snapshot: &'a Snapshot,
    granules: &'a [Granule],
    hits: &'a [Hit],
}

type Head = oneshot::Sender<Result<HeaderMap, ApiError>>;

impl Asked {
    fn read(state: &ApiState, table: Table, params: &Params) -> Result<Self, ApiError> {
        let (order, format, limit) = (params.order()?, params.format()?, params.limit()?);
        if (format, limit) == (Format::Json, Limit::None) {
            return Err(ApiError::bad_parameter("`limit=none` streams", "use format=ndjson or format=otlp"));
        }
        let query = params.get("query").unwrap_or_default();
        let direction = if order == Order::Ascending { "asc" } else { "desc" };
        let fingerprint = fingerprint(&[table.as_str(), query, direction]);
        let cursor = params.get("cursor").map(|text| Cursor::parse(text, fingerprint)).transpose();
        let cursor = cursor.map_err(|error| {
            ApiError::bad_parameter(error.to_string(), "ask for the first page again, without a cursor")
        })?;
        let now = cursor.as_ref().map_or_else(|| state.clock.now(), Cursor::now);
        let range: TimeRange = match &cursor {
            Some(cursor) => cursor.range(),
            None => params.range(now)?,
        };
        let search = Search {
            table,
            plan: search::parse(query, table, now)?,
            range,
            order,
            limit: match limit {
                Limit::Rows(rows) => rows,
                Limit::None => state.config.answer_rows_max,
            },
            after: cursor.as_ref().map(|cursor| (cursor.last_time, cursor.last_seq)),
            seqs: (0, cursor.as_ref().map_or(u64::MAX, |cursor| cursor.seq_max)),
        };
        Ok(Self { signal: table.signal(), search, format, limit, now, fingerprint })
    }

    fn content_type(&self) -> HeaderValue {
        HeaderValue::from_static(match (self.format, self.limit) {
            (Format::Json, _) | (Format::Otlp, Limit::Rows(_)) => "application/json",
            (Format::Ndjson, _) | (Format::Otlp, Limit::None) => "application/x-ndjson",
        })
    }

    // Runs on a blocking thread.
    fn answer(mut self, state: &ApiState, cancel: &Cancel, head: Head, mut writer: BodyWriter) {
        let snapshot = state.store.snapshot();
        // What is committed from now on stays out of later pages, too.
        self.search.seqs.1 = self.search.seqs.1.min(snapshot.last_seq());
        let mut budget = state.budget(self.signal.as_str(), cancel);
        let written = if (self.format, self.limit) == (Format::Ndjson, Limit::None) {
            self.stream(&snapshot, &mut budget, head, &mut writer)
        } else {
            self.write(&snapshot, budget, head, &mut writer)
        };
        match written {
            // A client that is gone at the last piece misses nothing that could still be told.
            Ok(()) => drop(writer.finish()),
            // Cut, so that nobody takes what was sent for the whole answer.
            Err(Unfinished) => drop(writer),
        }
    }

    // First all rows are found, then they are written.
    fn write(
        &self,
        snapshot: &Snapshot,
        mut budget: Budget,
        head: Head,
        writer: &mut BodyWriter,
    ) -> Result<(), Unfinished> {
        let found = match self.search.run(snapshot, &mut budget) {
            Ok(found) => found,
            Err(error) => return Err(refuse(head, error)),
        };
        // Writing is the client's time, not the query's.
        drop(budget);
        let (last, more) = (found.hits.last().copied(), found.more);
        let meta = self.meta(End { last, more, partial: found.partial, warnings: found.warnings });
        let headers = if self.format == Format::Otlp { otlp_headers(&meta) } else { HeaderMap::new() };
        head.send(Ok(headers)).map_err(|_| Unfinished)?;
        let rows = Located { snapshot, granules: &found.granules, hits: &found.hits };
        match self.format {
            Format::Ndjson => self.write_ndjson(rows, meta, writer),
            Format::Json => self.write_json(rows, meta, writer),
            Format::Otlp => self.write_otlp(rows, writer),
        }
    }

    // Rows are written while more are found: the first ones come soon, and little waits in memory for a slow client.
    fn stream(
        &self,
        snapshot: &Snapshot,
        budget: &mut Budget,
        head: Head,
        writer: &mut BodyWriter,
    ) -> Result<(), Unfinished> {
        let mut head = Some(head);
        let mut written: Result<Result<(), StoreError>, Unfinished> = Ok(Ok(()));
        let end = self.search.stream(snapshot, budget, |granules, hits| {
            written = match head.take().map(|head| head.send(Ok(HeaderMap::new()))) {
                Some(Err(_)) => Err(Unfinished),
                _ => self.write_lines(Located { snapshot, granules, hits }, writer).map_err(Unfinished::from),
            };
            if matches!(written, Ok(Ok(()))) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        let read = written?;
        let mut meta = match (end, head) {
            (Ok(end), None) => self.meta(end),
            (Ok(end), Some(head)) => {
                head.send(Ok(HeaderMap::new())).map_err(|_| Unfinished)?;
                self.meta(end)
            }
            (Err(error), Some(head)) => return Err(refuse(head, error)),
            // What was sent is right; that it is not all is told at its end.
            (Err(error), None) => {
                log_chain(&error);
                unread()
            }
        };
        if read.is_err() {
            meta = Meta { warnings: meta.warnings, ..unread() };
        }
        write_meta(&meta, writer);
        Ok(())
    }

    fn meta(&self, end: End) -> Meta {
        let mut meta = Meta { warnings: end.warnings, ..Meta::default() };
        if let Some(partial) = end.partial {
            meta.partial = true;
            meta.reason = Some(partial.reason);
            meta.hint = Some(partial.hint);
            if partial.is_cut {
                return meta;
            }
        }
        if let Some(last) = end.last.filter(|_| end.more) {
            let last = (last.timestamp, last.seq);
            let cursor = Cursor::new(last, self.search.seqs.1, self.now, self.search.range, self.fingerprint);
            meta.cursor = Some(cursor.to_string());
            if self.limit == Limit::None && !meta.partial {
                meta.partial = true;
                meta.reason = Some(format!("the answer has more than {} rows", self.search.limit));
                meta.hint = Some("ask again with the cursor, or for a shorter time".to_owned());
            }
        }
        meta
    }

    fn write_ndjson(&self, rows: Located<'_>, mut meta: Meta, writer: &mut BodyWriter) -> Result<(), Unfinished> {
        if self.write_lines(rows, writer)?.is_err() {
            meta = Meta { warnings: meta.warnings, ..unread() };
        }
        write_meta(&meta, writer);
        Ok(())
    }

    fn write_lines(&self, rows: Located<'_>, writer: &mut BodyWriter) -> Result<Result<(), StoreError>, Gone> {
        self.each_row(rows, |reader, place| {
            reader.write(place, writer.buffer());
            writer.buffer().push(b'\n');
            writer.flush_if_large()
        })
    }

    fn write_json(&self, rows: Located<'_>, mut meta: Meta, writer: &mut BodyWriter) -> Result<(), Unfinished> {
        writer.buffer().extend_from_slice(b"{\"rows\":[");
        let mut first = true;
        let read = self.each_row(rows, |reader, place| {
            if !std::mem::take(&mut first) {
                writer.buffer().push(b',');
            }
            reader.write(place, writer.buffer());
            writer.flush_if_large()
        })?;
        if read.is_err() {
            meta = Meta { warnings: meta.warnings, ..unread() };
        }
        let mut keys = Vec::new();
        write_json(&meta, &mut keys);
        writer.buffer().extend_from_slice(b"],");
        // The object's keys without its opening brace.
        writer.buffer().extend_from_slice(keys.get(1..).unwrap_or_default());
        writer.buffer().push(b'\n');
        Ok(())
    }

    // A page is one request; a stream is one request a line, each of one window.
    fn write_otlp(&self, rows: Located<'_>, writer: &mut BodyWriter) -> Result<(), Unfinished> {
        let mut request = Request::new(self.signal);
        let mut count = 0;
        let read = self.each_row(rows, |reader, place| {
            if self.limit == Limit::None && count == WINDOW_ROWS {
                let full = std::mem::replace(&mut request, Request::new(self.signal));
                count = 0;
                write_line(full, writer);
                writer.flush_if_large()?;
            }
            count += 1;
            reader.add_to(place, &mut request);
            Ok(())
        })?;
        if count > 0 || self.limit != Limit::None {
            write_line(request, writer);
        }
        // A request has no place to say that rows are missing.
        read.map_err(|_| Unfinished)
    }

    // The inner result tells whether all rows could be read.
    fn each_row(
        &self,
        rows: Located<'_>,
        mut write: impl FnMut(&RowReader, Place) -> Result<(), Gone>,
    ) -> Result<Result<(), StoreError>, Gone> {
        for window in rows.hits.chunks(WINDOW_ROWS) {
            let read = execute::read(rows.granules, window)
                .and_then(|read| Ok((RowReader::new(self.signal, rows.snapshot, &read.batches)?, read.places)));
            let (reader, places) = match read {
                Ok(read) => read,
                Err(error) => {
                    log_chain(&error);
                    return Ok(Err(error));
                }
            };
            // Who waits for a core meanwhile, a small request perhaps, need not wait until the system takes it away from a large answer.
            if rows.hits.len() > WINDOW_ROWS {
                std::thread::yield_now();
            }
            for (number, place) in places.into_iter().enumerate() {
                if number % YIELD_ROWS == YIELD_ROWS - 1 {
                    std::thread::yield_now();
                }
                write(&reader, place)?;
            }
        }
        Ok(Ok(()))
    }
}

// There is no answer.
fn refuse(head: Head, error: SearchError) -> Unfinished {
    // A client that has gone does not hear the error either.
    let _ = head.send(Err(error.into()));
    Unfinished
}

// What is told of an answer that ends because rows could not be read.
fn unread() -> Meta {
    Meta {
        partial: true,
        reason: Some("the store could not be read".to_owned()),
        hint: Some("the server's log names the file".to_owned()),
        ..Meta::default()
    }
}

fn write_meta(meta: &Meta, writer: &mut BodyWriter) {
    write_json(&json!({ "_meta": meta }), writer.buffer());
    writer.buffer().push(b'\n');
}

fn write_line(request: Request, writer: &mut BodyWriter) {
    write_json(&request.finish(), writer.buffer());
    writer.buffer().push(b'\n');
}

fn otlp_headers(meta: &Meta) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [(CURSOR_HEADER, &meta.cursor), (PARTIAL_HEADER, &meta.reason)] {
        if let Some(value) = value.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert(name, value);
        }
    }
    headers
}
