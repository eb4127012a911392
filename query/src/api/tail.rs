//! `GET /api/v1/logs/tail`: log records as they are committed, as server-sent events.
//!
//! Each event's id is the `ingest_seq` of its record: sent back as `Last-Event-ID`, or as `cursor`, it goes on after it. A
//! slow client is waited for; one that falls far behind, or is ahead of what is stored, is told so in an event `lag`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use model::Signal;
use serde_json::json;
use store::Table;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::api::ApiState;
use crate::api::error::ApiError;
use crate::api::params::Params;
use crate::limits::{CHUNKS_WAITING_MAX, TAIL_HEARTBEAT_S, TAIL_INTERVAL_MS, WINDOW_ROWS};
use crate::rows::reader::RowReader;
use crate::search::budget::Budget;
use crate::search::execute::SearchError;
use crate::search::plan::Plan;
use crate::search::{self, tail};

/// `GET /api/v1/logs/tail`
pub async fn logs(State(state): State<ApiState>, headers: HeaderMap, uri: Uri) -> Result<Response, ApiError> {
    let params = Params::read(&uri, &["query", "cursor"])?;
    let query = params.get("query").unwrap_or_default();
    let plan = search::parse(query, Table::Logs, state.clock.now())?;
    let reconnected = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let seen = match reconnected.or(params.get("cursor")) {
        Some(text) => text.parse().map_err(|_| {
            ApiError::bad_parameter(format!("`{text}` is no cursor of a tail"), "send back the id of the last event")
        })?,
        None => state.store.snapshot().last_seq(),
    };
    let place = Arc::clone(&state.tails).try_acquire_owned();
    let place = place.map_err(|_| ApiError::unavailable("too many tails are running"))?;
    let (sender, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
    let tail = Tail { state, plan, seen, sender };
    tokio::spawn(async move {
        let _place = place;
        tail.run().await;
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    Ok((headers, Body::from_stream(ReceiverStream::new(receiver))).into_response())
}

struct Tail {
    state: ApiState,
    plan: Plan,
    seen: u64,
    sender: mpsc::Sender<io::Result<Bytes>>,
}

// The client has gone, or the tail cannot go on.
struct Ended;

impl Tail {
    async fn run(self) {
        let server = Arc::clone(&self.state.server);
        tokio::select! {
            () = self.follow() => {}
            () = server.stopping() => {}
        }
    }

    async fn follow(mut self) {
        let mut committed = self.state.store.committed();
        let clock = Arc::clone(&self.state.clock);
        // The head of the answer goes out with the first piece of its body.
        let mut alive = self.send(b": tail\n\n".to_vec()).await;
        if alive.is_ok() {
            alive = self.step_back().await;
        }
        while alive.is_ok() {
            alive = self.catch_up().await;
            if alive.is_err() {
                break;
            }
            let now = clock.monotonic();
            clock.sleep_until(now + Duration::from_millis(TAIL_INTERVAL_MS)).await;
            let newest = *committed.borrow_and_update();
            if newest > self.seen {
                continue;
            }
            alive = tokio::select! {
                changed = committed.changed() => changed.map_err(|_| Ended),
                () = clock.sleep_until(now + Duration::from_secs(TAIL_HEARTBEAT_S)) => {
                    self.send(b": alive\n\n".to_vec()).await
                }
                () = self.sender.closed() => Err(Ended),
            };
        }
    }

    // A cursor of another data directory, or of one that was restored, names records that are not there. Waiting for them
    // would be silence, refusing it would make a browser come back with the same number for ever.
    async fn step_back(&mut self) -> Result<(), Ended> {
        let last = self.state.store.snapshot().last_seq();
        if self.seen <= last {
            return Ok(());
        }
        let message = format!(
            "the cursor is ahead of the newest record, {last}: the data is another or was restored; the tail goes on from there"
        );
        let notice = json!({ "first": last.saturating_add(1), "last": self.seen, "message": message });
        self.seen = last;
        self.send(format!("event: lag\nid: {last}\ndata: {notice}\n\n").into_bytes()).await
    }

    // Sends everything that is committed now.
    async fn catch_up(&mut self) -> Result<(), Ended> {
        loop {
            let step = tail::step(self.seen, self.state.store.snapshot().last_seq());
            if let Some((first, last)) = step.skipped {
                let notice = json!({
                    "first": first,
                    "last": last,
                    "message": format!("{} records were skipped, because this tail is too far behind", last - first + 1),
                });
                self.seen = last;
                self.send(format!("event: lag\nid: {last}\ndata: {notice}\n\n").into_bytes()).await?;
            }
            let Some(seqs) = step.look else {
                return Ok(());
            };
            for chunk in self.look(seqs).await? {
                self.send(chunk).await?;
            }
            self.seen = seqs.1;
        }
    }

    async fn look(&self, seqs: (u64, u64)) -> Result<Vec<Vec<u8>>, Ended> {
        let (state, plan) = (self.state.clone(), self.plan.clone());
        let events = self.state.admission.run(move |cancel| {
            let mut budget = state.budget("tail", cancel);
            events(&state, &plan, seqs, &mut budget)
        });
        match events.await {
            Ok(Ok(events)) => Ok(events),
            Ok(Err(SearchError::Cancelled)) => Err(Ended),
            Ok(Err(error)) => {
                crate::api::error::log_chain(&error);
                self.say_error("the store could not be read").await
            }
            Err(refused) => self.say_error(&refused.to_string()).await,
        }
    }

    // Says why the stream ends; the client may come back with its last id.
    async fn say_error(&self, message: &str) -> Result<Vec<Vec<u8>>, Ended> {
        let notice = json!({ "message": message });
        self.send(format!("event: error\ndata: {notice}\n\n").into_bytes()).await?;
        Err(Ended)
    }

    async fn send(&self, chunk: Vec<u8>) -> Result<(), Ended> {
        self.sender.send(Ok(chunk.into())).await.map_err(|_| Ended)
    }
}

// The events of the rows with these numbers, in pieces of one window each.
fn events(state: &ApiState, plan: &Plan, seqs: (u64, u64), budget: &mut Budget) -> Result<Vec<Vec<u8>>, SearchError> {
    let table = Table::Logs;
    let failed = |source| SearchError::Store { table, source };
    let snapshot = state.store.snapshot();
    let found = tail::look(table, plan, seqs, &snapshot, budget)?;
    let mut chunks = Vec::new();
    if let Some(partial) = &found.partial {
        let notice = json!({ "first": seqs.0, "last": seqs.1, "message": partial.reason });
        chunks.push(format!("event: lag\ndata: {notice}\n\n").into_bytes());
    }
    for window in found.hits.chunks(WINDOW_ROWS) {
        let rows = found.read(window).map_err(failed)?;
        let reader = RowReader::new(Signal::Logs, &snapshot, &rows.batches).map_err(failed)?;
        let mut chunk = Vec::new();
        for (hit, place) in window.iter().zip(rows.places) {
            chunk.extend_from_slice(format!("id: {}\ndata: ", hit.seq).as_bytes());
            reader.write(place, &mut chunk);
            chunk.extend_from_slice(b"\n\n");
        }
        chunks.push(chunk);
    }
    Ok(chunks)
}
