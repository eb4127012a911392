//! `/api/v1/logs`, `/api/v1/spans`, `/api/v1/points`: stored records of a signal.
//!
//! One blocking thread does the whole of an answer: it finds the rows, says what the head of the answer will be, and then
//! writes the body as fast as the client takes it.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use model::wire::Meta;
use model::{Signal, TimeRange, Timestamp};
use serde_json::json;
use store::{Snapshot, StoreError, Table};
use tokio::sync::oneshot;

use crate::admission::{Cancel, Refused};
use crate::api::ApiState;
use crate::api::error::{ApiError, log_chain};
use crate::api::params::{Format, Limit, Params};
use crate::api::stream::{self, BodyWriter, Gone};
use crate::limits::WINDOW_ROWS;
use crate::rows::otlp::Request;
use crate::rows::reader::{RowReader, write_json};
use crate::search;
use crate::search::cursor::{Cursor, fingerprint};
use crate::search::execute::{Found, Order, Place, Search};

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
    let guard = admission.start(move |cancel, permit| {
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

// Why an answer was not written to its end.
enum Stopped {
    Gone,
    Unreadable,
}

impl From<Gone> for Stopped {
    fn from(_: Gone) -> Self {
        Stopped::Gone
    }
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
        let found = match self.search.run(&snapshot, &mut budget) {
            Ok(found) => found,
            Err(error) => {
                // A client that has gone does not hear the error either.
                let _ = head.send(Err(error.into()));
                return;
            }
        };
        // Writing is the client's time, not the query's.
        drop(budget);
        let meta = self.meta(&found);
        let headers = if self.format == Format::Otlp { otlp_headers(&meta) } else { HeaderMap::new() };
        if head.send(Ok(headers)).is_err() {
            return;
        }
        let written = match self.format {
            Format::Ndjson => self.write_ndjson(&snapshot, &found, meta, &mut writer),
            Format::Json => self.write_json(&snapshot, &found, meta, &mut writer),
            Format::Otlp => self.write_otlp(&snapshot, &found, &mut writer),
        };
        match written {
            // A client that is gone at the last piece misses nothing that could still be told.
            Ok(()) => drop(writer.flush()),
            Err(Stopped::Gone) => {}
            Err(Stopped::Unreadable) => writer.abort(),
        }
    }

    fn meta(&self, found: &Found) -> Meta {
        let mut meta = Meta { warnings: found.warnings.clone(), ..Meta::default() };
        if let Some(partial) = &found.partial {
            meta.partial = true;
            meta.reason = Some(partial.reason.clone());
            meta.hint = Some(partial.hint.clone());
            if partial.is_cut {
                return meta;
            }
        }
        if let Some(last) = found.hits.last().filter(|_| found.more) {
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

    fn write_ndjson(
        &self,
        snapshot: &Snapshot,
        found: &Found,
        mut meta: Meta,
        writer: &mut BodyWriter,
    ) -> Result<(), Stopped> {
        let read = self.each_row(snapshot, found, |reader, place| {
            reader.write(place, writer.buffer());
            writer.buffer().push(b'\n');
            writer.flush_if_large()
        })?;
        note_failure(&mut meta, read);
        write_json(&json!({ "_meta": meta }), writer.buffer());
        writer.buffer().push(b'\n');
        Ok(())
    }

    fn write_json(
        &self,
        snapshot: &Snapshot,
        found: &Found,
        mut meta: Meta,
        writer: &mut BodyWriter,
    ) -> Result<(), Stopped> {
        writer.buffer().extend_from_slice(b"{\"rows\":[");
        let mut first = true;
        let read = self.each_row(snapshot, found, |reader, place| {
            if !std::mem::take(&mut first) {
                writer.buffer().push(b',');
            }
            reader.write(place, writer.buffer());
            writer.flush_if_large()
        })?;
        note_failure(&mut meta, read);
        let mut keys = Vec::new();
        write_json(&meta, &mut keys);
        writer.buffer().extend_from_slice(b"],");
        // The object's keys without its opening brace.
        writer.buffer().extend_from_slice(keys.get(1..).unwrap_or_default());
        writer.buffer().push(b'\n');
        Ok(())
    }

    // A page is one request; a stream is one request a line, each of one window.
    fn write_otlp(&self, snapshot: &Snapshot, found: &Found, writer: &mut BodyWriter) -> Result<(), Stopped> {
        let mut request = Request::new(self.signal);
        let mut rows = 0;
        let read = self.each_row(snapshot, found, |reader, place| {
            if self.limit == Limit::None && rows == WINDOW_ROWS {
                let full = std::mem::replace(&mut request, Request::new(self.signal));
                rows = 0;
                write_line(full, writer);
                writer.flush_if_large()?;
            }
            rows += 1;
            reader.add_to(place, &mut request);
            Ok(())
        })?;
        if rows > 0 || self.limit != Limit::None {
            write_line(request, writer);
        }
        // A request has no place to say that rows are missing.
        read.map_err(|_| Stopped::Unreadable)
    }

    // The inner result tells whether all rows could be read.
    fn each_row(
        &self,
        snapshot: &Snapshot,
        found: &Found,
        mut write: impl FnMut(&RowReader, Place) -> Result<(), Gone>,
    ) -> Result<Result<(), StoreError>, Gone> {
        for window in found.hits.chunks(WINDOW_ROWS) {
            let read = found
                .read(window)
                .and_then(|rows| Ok((RowReader::new(self.signal, snapshot, &rows.batches)?, rows.places)));
            let (reader, places) = match read {
                Ok(read) => read,
                Err(error) => {
                    log_chain(&error);
                    return Ok(Err(error));
                }
            };
            for place in places {
                write(&reader, place)?;
            }
        }
        Ok(Ok(()))
    }
}

fn note_failure(meta: &mut Meta, read: Result<(), StoreError>) {
    if read.is_err() {
        meta.cursor = None;
        meta.partial = true;
        meta.reason = Some("the store could not be read".to_owned());
        meta.hint = Some("the server's log names the file".to_owned());
    }
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
