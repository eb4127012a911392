//! The tail of logs.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use query::Config;
use query::api::Mode;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{Api, log, span};
use crate::world::{log_batch, span_batch};

#[tokio::test]
async fn a_tail_sends_what_is_committed_from_now_on() {
    let api = Api::new(Config::default());
    api.append(log_batch(&[log("before match", 5)])).await;
    let mut tail = Tail::open(&api, "/api/v1/logs/tail?query=match", None).await;
    let first = api.append(log_batch(&[log("no", 1), log("a match", 900_000)])).await;
    // Spans take numbers, too, and are none of its business.
    api.append(span_batch(&[span(1, 1, None, 1)])).await;
    let (id, body) = tail.next_row(&api).await;
    assert_eq!((id, body.as_str()), (first + 1, "a match"));
    api.append(log_batch(&[log("match two", 1), log("match three", 2)])).await;
    assert_eq!(tail.next_row(&api).await.1, "match two", "in the order of their numbers, not of their times");
    let (id, body) = tail.next_row(&api).await;
    assert_eq!(body, "match three");
    drop(tail);
    // Come back where it ended, with and without the header.
    api.append(log_batch(&[log("match four", 1)])).await;
    let mut again = Tail::open(&api, "/api/v1/logs/tail?query=match", Some(id)).await;
    assert_eq!(again.next_row(&api).await.1, "match four");
    let mut again = Tail::open(&api, &format!("/api/v1/logs/tail?query=match&cursor={id}"), None).await;
    assert_eq!(again.next_row(&api).await.1, "match four");
    api.clock.advance(Duration::from_secs(1));
    tokio::task::yield_now().await;
    api.clock.advance(Duration::from_secs(15));
    assert_eq!(again.next(&api).await.as_deref(), Some(": alive"));
    api.server.set_mode(Mode::Stopping);
    assert_eq!(again.next(&api).await, None);
}

#[tokio::test]
async fn a_cursor_that_is_ahead_of_the_store_is_told_and_goes_on_with_what_comes() {
    let api = Api::new(Config::default());
    let first = api.append(log_batch(&[log("match old", 5)])).await;
    let mut tail = Tail::open(&api, "/api/v1/logs/tail?query=match", Some(first + 1000)).await;
    let event = tail.next(&api).await.expect("an event");
    let start = format!("event: lag\nid: {first}\ndata: ");
    let notice: Value = serde_json::from_str(event.strip_prefix(&start).expect("a lag")).expect("JSON");
    assert_eq!((notice["first"].as_u64(), notice["last"].as_u64()), (Some(first + 1), Some(first + 1000)));
    assert!(notice["message"].as_str().is_some_and(|message| message.contains("ahead")), "{notice}");
    api.append(log_batch(&[log("match new", 1)])).await;
    assert_eq!(tail.next_row(&api).await, (first + 1, "match new".to_owned()));
}

struct Tail {
    body: Body,
    text: String,
}

impl Tail {
    async fn open(api: &Api, address: &str, last: Option<u64>) -> Self {
        let mut request = Request::get(address);
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let request = request.body(Body::empty()).expect("a request");
        let response = api.router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut tail = Self { body: response.into_body(), text: String::new() };
        assert_eq!(tail.next(api).await.as_deref(), Some(": tail"));
        tail
    }

    // The next event or comment. Time goes on while it is waited for.
    async fn next(&mut self, api: &Api) -> Option<String> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(event);
            }
            tokio::select! {
                frame = self.body.frame() => {
                    let bytes = frame?.expect("no error").into_data().expect("data");
                    self.text.push_str(std::str::from_utf8(&bytes).expect("text"));
                }
                () = tokio::time::sleep(Duration::from_millis(5)) => api.clock.advance(Duration::from_millis(20)),
            }
        }
    }

    async fn next_row(&mut self, api: &Api) -> (u64, String) {
        loop {
            let event = self.next(api).await.expect("an event");
            if let Some((id, data)) = event.strip_prefix("id: ").and_then(|event| event.split_once("\ndata: ")) {
                let row: Value = serde_json::from_str(data).expect("JSON");
                assert_eq!(row["ingest_seq"].to_string(), id);
                return (id.parse().expect("a number"), row["body"].as_str().expect("a body").to_owned());
            }
            assert_eq!(event, ": alive");
        }
    }
}
