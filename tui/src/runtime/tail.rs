//! Followed rows on their way to the screen. What comes faster than frames are drawn is kept as it came, the newest only, and only
//! what a frame takes is parsed: a flood costs memory for one frame's rows and a count of the others.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::wire::logs::LogRow;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::client::{Client, ClientError, Event as StreamEvent, Events};
use crate::effect::{Ask, Rows, Ticket, Trouble, TroubleKind};
use crate::event::News;
use crate::limits::{TAIL_WAITING_BYTES_MAX, TAIL_WAITING_ROWS_MAX};
use crate::sanitize::Safe;

/// The tail that runs, if one does.
#[derive(Debug)]
pub(super) struct Tail {
    client: Client,
    running: Option<Stream>,
    news: Arc<Notify>,
}

#[derive(Debug)]
struct Stream {
    ticket: Ticket,
    task: AbortHandle,
    waiting: Arc<Mutex<Waiting>>,
}

/// What has come and was not taken.
#[derive(Debug, Default)]
struct Waiting {
    rows: VecDeque<String>,
    bytes: usize,
    not_shown: u64,
    notice: Option<Safe>,
    ended: Option<Trouble>,
    // The connection stands: that alone is news, once.
    opened: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.not_shown == 0 && self.notice.is_none() && self.ended.is_none() && !self.opened
    }

    fn add(&mut self, row: String) {
        self.bytes += row.len();
        self.rows.push_back(row);
        while self.rows.len() > TAIL_WAITING_ROWS_MAX || (self.bytes > TAIL_WAITING_BYTES_MAX && self.rows.len() > 1) {
            let oldest = self.rows.pop_front().unwrap_or_default();
            self.bytes -= oldest.len();
            self.not_shown += 1;
        }
    }
}

impl Tail {
    /// None runs.
    pub(super) fn new(client: Client) -> Self {
        Self { client, running: None, news: Arc::new(Notify::new()) }
    }

    /// Follows; a tail that runs is stopped first.
    pub(super) fn begin(&mut self, ticket: Ticket, query: String, cursor: Option<u64>) {
        self.end();
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let (client, news, shared) = (self.client.clone(), Arc::clone(&self.news), Arc::clone(&waiting));
        let task = tokio::spawn(async move {
            let trouble = follow(&client, &query, cursor, &shared, &news).await;
            lock(&shared).ended = Some(trouble);
            news.notify_one();
        });
        self.running = Some(Stream { ticket, task: task.abort_handle(), waiting });
    }

    /// Follows no more, if it is this one that runs.
    pub(super) fn stop(&mut self, ticket: Ticket) {
        if self.running.as_ref().is_some_and(|running| running.ticket == ticket) {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some(running) = self.running.take() {
            running.task.abort();
        }
    }

    /// Whether something has come.
    pub(super) fn is_waiting(&self) -> bool {
        self.running.as_ref().is_some_and(|running| !lock(&running.waiting).is_empty())
    }

    /// Resolves when something has come.
    pub(super) async fn has_news(&self) {
        self.news.notified().await;
    }

    /// What has come.
    pub(super) fn take(&mut self) -> Option<News> {
        let running = self.running.as_ref()?;
        let waiting = {
            let mut waiting = lock(&running.waiting);
            if waiting.is_empty() {
                return None;
            }
            std::mem::take(&mut *waiting)
        };
        let mut news = News {
            ticket: running.ticket,
            rows: Vec::with_capacity(waiting.rows.len()),
            not_shown: waiting.not_shown,
            notice: waiting.notice,
            ended: waiting.ended,
        };
        for text in waiting.rows {
            match serde_json::from_str::<LogRow>(&text) {
                Ok(row) => news.rows.push(row),
                Err(error) => news.notice = Some(Safe::of(format_args!("a followed row makes no sense: {error}"))),
            }
        }
        if news.ended.is_some() {
            self.running = None;
        }
        Some(news)
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

// Follows until the stream ends; why it did.
async fn follow(client: &Client, query: &str, cursor: Option<u64>, waiting: &Mutex<Waiting>, news: &Notify) -> Trouble {
    match client.tail_from(query, cursor).await {
        Ok(mut events) => {
            lock(waiting).opened = true;
            news.notify_one();
            match read(&mut events, waiting, news).await {
                Ok(trouble) => trouble,
                Err(error) => trouble_of(&error),
            }
        }
        Err(error) => trouble_of(&error),
    }
}

async fn read(events: &mut Events, waiting: &Mutex<Waiting>, news: &Notify) -> Result<Trouble, ClientError> {
    while let Some(StreamEvent { name, data, .. }) = events.next().await? {
        match name.as_str() {
            "message" | "row" => lock(waiting).add(data),
            "error" => return Ok(Trouble::new(TroubleKind::Refused, message(&data))),
            _ => lock(waiting).notice = Some(message(&data)),
        }
        news.notify_one();
    }
    Ok(Trouble::new(TroubleKind::Slow, "the server ended the stream"))
}

// What an event that is no row says: its `message`, or all of it.
fn message(data: &str) -> Safe {
    let parsed: Option<serde_json::Value> = serde_json::from_str(data).ok();
    let said = parsed.as_ref().and_then(|value| value.get("message").or_else(|| value.pointer("/error/message")));
    said.and_then(|said| said.as_str()).map_or_else(|| Safe::line(data), Safe::line)
}

fn trouble_of(error: &ClientError) -> Trouble {
    // A tail is a question for logs, as far as its troubles go.
    let range = model::TimeRange::ALL;
    Trouble::of(&Ask::Logs(Rows { query: String::new(), range, limit: 0, ascending: true, cursor: None }), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_and_counts_the_others() {
        let mut waiting = Waiting::default();
        for number in 0..10_000 {
            waiting.add(format!("{number}"));
        }
        assert_eq!(waiting.rows.len(), TAIL_WAITING_ROWS_MAX);
        assert_eq!(waiting.rows.back().map(String::as_str), Some("9999"));
        assert_eq!(waiting.not_shown as usize, 10_000 - TAIL_WAITING_ROWS_MAX);
        for _ in 0..10 {
            waiting.add("x".repeat(TAIL_WAITING_BYTES_MAX / 2));
        }
        assert!(waiting.bytes <= TAIL_WAITING_BYTES_MAX && waiting.rows.len() == 2);
    }
}
