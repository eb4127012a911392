//! The runtime against a server of the test's own, with a clock that the test moves.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::{Clock, ManualClock, Timestamp};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tui::Client;
use tui::app::Start;
use tui::client::Settings;
use tui::event::{Event, Key};
use tui::runtime::{Figures, Input, moment, run};
use tui::sanitize::Safe;
use tui::screen::{self, Args};
use tui::session::Range;
use tui::terminal::Surface;
use tui::theme::Theme;

/// Keeps the newest frame as text, and counts them.
#[derive(Clone, Default)]
struct Recorder {
    frames: Arc<AtomicU64>,
    text: Arc<Mutex<String>>,
    copied: Arc<Mutex<Vec<String>>>,
}

impl Surface for Recorder {
    fn size(&self) -> std::io::Result<(u16, u16)> {
        Ok((100, 30))
    }

    fn draw(&mut self, paint: &mut dyn FnMut(&mut Buffer)) -> std::io::Result<()> {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 100, 30));
        paint(&mut buffer);
        self.frames.fetch_add(1, Ordering::Relaxed);
        *self.text.lock().expect("no panic") = tui::runtime::once::text_of(&buffer);
        Ok(())
    }

    fn copy(&mut self, text: &Safe) -> std::io::Result<()> {
        self.copied.lock().expect("no panic").push(text.to_string());
        Ok(())
    }
}

impl Recorder {
    fn text(&self) -> String {
        self.text.lock().expect("no panic").clone()
    }

    fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }
}

/// Answers each request by its path: a status, a type, a body. What is not known is 404.
async fn serve(listener: TcpListener, answer: fn(&str) -> Option<(&'static str, String)>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut request = Vec::new();
            while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                let mut buffer = [0; 4096];
                match stream.read(&mut buffer).await {
                    Ok(read) if read > 0 => request.extend_from_slice(&buffer[..read]),
                    _ => return,
                }
            }
            let request = String::from_utf8_lossy(&request).into_owned();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let text = match answer(path) {
                Some((kind, body)) => {
                    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n{body}")
                }
                None => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
            };
            let _ = stream.write_all(text.as_bytes()).await;
        });
    }
}

struct Stage {
    clock: Arc<ManualClock>,
    recorder: Recorder,
    keys: mpsc::Sender<Input>,
}

impl Stage {
    /// Lets time pass until the frame says `text`.
    async fn until(&self, text: &str) {
        for _ in 0..20_000 {
            if self.recorder.text().contains(text) {
                return;
            }
            self.pass(Duration::from_millis(40)).await;
        }
        panic!("never said {text:?}:\n{}", self.recorder.text());
    }

    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        // Sockets are looked at between two polls; this is no wait.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    async fn press(&self, key: char) {
        self.keys.send(Input::Event(Event::Key(Key::Char(key)))).await.expect("it runs");
    }
}

/// Runs the dashboard with `script` beside it, which ends it.
async fn play<F: Future<Output = ()>>(url: &str, screen: &str, script: impl FnOnce(Stage) -> F) -> Figures {
    let clock = Arc::new(ManualClock::new(Timestamp::parse(super::driver::NOW, Timestamp::default()).expect("a time")));
    let client = Client::new(url, Settings::default()).expect("an address");
    let recorder = Recorder::default();
    let (keys, inputs) = mpsc::channel(16);
    let start = Start {
        now: moment(clock.as_ref()),
        size: (100, 30),
        theme: Theme::default(),
        url: "http://test".to_owned(),
        seed: 1,
        range: Range::default(),
        screen: screen::spec(screen).expect(screen),
        args: Args::default(),
    };
    let mut surface = recorder.clone();
    let stage = Stage { clock: Arc::clone(&clock), recorder, keys };
    let running = run(client, clock as Arc<dyn Clock>, start, &mut surface, inputs, std::future::pending());
    let (figures, ()) = tokio::join!(running, script(stage));
    figures.expect("it ends in order")
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    (listener, url)
}

#[tokio::test]
async fn draws_only_what_is_new() {
    let (listener, url) = listen().await;
    tokio::spawn(serve(listener, |path| {
        path.starts_with("/api/v1/status").then(|| ("application/json", r#"{"mode":"serving"}"#.to_owned()))
    }));
    play(&url, "overview", async |stage| {
        stage.until("NOT OFFERED").await;
        stage.until("serving").await;
        let before = stage.recorder.frames();
        // Less than a refresh later: ticks alone draw nothing.
        for _ in 0..8 {
            stage.pass(Duration::from_millis(250)).await;
        }
        assert_eq!(stage.recorder.frames(), before);
        stage.press('?').await;
        stage.until("Everywhere").await;
        assert_eq!(stage.recorder.frames(), before + 1);
        stage.press('q').await;
        stage.press('q').await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_gone_is_asked_again_until_it_is_back() {
    let (listener, url) = listen().await;
    let address = listener.local_addr().expect("bound");
    drop(listener);
    play(&url, "overview", async |stage| {
        stage.until("DISCONNECTED 00:07").await;
        let listener = TcpListener::bind(address).await.expect("the port is still free");
        tokio::spawn(serve(listener, |path| {
            path.starts_with("/api/v1/status").then(|| ("application/json", r#"{"mode":"serving"}"#.to_owned()))
        }));
        stage.until("the server is back").await;
        stage.until("serving").await;
        assert!(!stage.recorder.text().contains("DISCONNECTED"));
        stage.press('q').await;
    })
    .await;
}

#[tokio::test]
async fn a_flood_is_shown_in_part_and_counted_whole() {
    const ROWS: u64 = 20_000;
    let (listener, url) = listen().await;
    tokio::spawn(serve(listener, |path| match path {
        path if path.starts_with("/api/v1/logs/tail") => {
            let event = |seq: u64| format!("id: {seq}\ndata: {{\"ingest_seq\":{seq},\"body\":\"row {seq}.\"}}\n\n");
            Some(("text/event-stream", (1..=ROWS).map(event).collect()))
        }
        path if path.starts_with("/api/v1/logs?") => Some(("application/x-ndjson", "{\"_meta\":{}}\n".to_owned())),
        _ => None,
    }));
    let figures = play(&url, "logs", async |stage| {
        stage.until("row 20000.").await;
        stage.until("not following: the server ended the stream").await;
        stage.press('y').await;
        stage.until("copied").await;
        assert!(stage.recorder.copied.lock().expect("no panic")[0].ends_with("row 20000."));
        stage.press('q').await;
    })
    .await;
    assert!(figures.rows_shown + figures.rows_not_shown >= ROWS, "{figures:?}");
    assert!(figures.rows_shown >= 400, "{figures:?}");
}

#[tokio::test]
async fn answers_that_make_no_sense_are_states() {
    let (listener, url) = listen().await;
    tokio::spawn(serve(listener, |path| match path {
        path if path.starts_with("/api/v1/services") => {
            Some(("application/json", "{\"services\":[{\"requests\":".to_owned()))
        }
        path if path.starts_with("/api/v1/alerts") => {
            let body = r#"{"status":"error","errorType":"unavailable","error":"rules are loading"}"#;
            Some(("application/json", body.to_owned()))
        }
        _ => Some(("text/html", "<html>".to_owned())),
    }));
    play(&url, "overview", async |stage| {
        stage.until("BAD ANSWER").await;
        stage.until("rules are loading").await;
        stage.press('q').await;
    })
    .await;
}
