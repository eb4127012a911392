//! A webhook's other end, which misbehaves on demand and writes down every call.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The header that is the same in every attempt of one notification.
pub const IDEMPOTENCY_KEY: &str = "x-sextant-idempotency-key";

/// What a receiver does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Takes it.
    Takes,
    /// Nobody listens on the port.
    IsDown,
    /// Answers 500.
    Fails,
    /// Answers 429 with `Retry-After: 1`.
    IsBusy,
    /// Answers after so many seconds.
    IsSlow(u64),
    /// Reads some bytes and resets the connection.
    Resets,
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its idempotency key.
    pub key: String,
    /// The payload.
    pub body: serde_json::Value,
    /// Whether it was answered with 200.
    pub taken: bool,
}

/// A port and whatever listens on it. Ends when it is dropped.
pub struct Receiver {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
    listening: Option<JoinHandle<()>>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.hang_up();
    }
}

impl Receiver {
    /// Takes a free port of this machine.
    pub async fn start(behaviour: Behaviour) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for a receiver")?;
        let mut receiver = Self { address: listener.local_addr()?, calls: Arc::default(), listening: None };
        receiver.listen(listener, behaviour);
        Ok(receiver)
    }

    /// Where it is called.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// `IP:PORT`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every call so far, in the order in which they came.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Behaves otherwise from now on, on the same port.
    pub async fn turn(&mut self, behaviour: Behaviour) -> anyhow::Result<()> {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            // The port is free once the task has let go of it.
            let _ = listening.await;
        }
        let listener = TcpListener::bind(self.address).await;
        self.listen(listener.with_context(|| format!("cannot listen on {} again", self.address))?, behaviour);
        Ok(())
    }

    fn hang_up(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
        }
    }

    fn listen(&mut self, listener: TcpListener, behaviour: Behaviour) {
        let end = End { behaviour, calls: Arc::clone(&self.calls) };
        self.listening = match behaviour {
            Behaviour::IsDown => None,
            Behaviour::Resets => Some(tokio::spawn(reset(listener))),
            _ => {
                let router = Router::new().route("/", post(take)).with_state(end);
                Some(tokio::spawn(async move {
                    // Serving ends with the task; an error of the listener shows as calls that do not come.
                    let _ = axum::serve(listener, router).await;
                }))
            }
        };
    }
}

#[derive(Clone)]
struct End {
    behaviour: Behaviour,
    calls: Arc<Mutex<Vec<Call>>>,
}

async fn take(State(end): State<End>, headers: HeaderMap, body: Bytes) -> Response {
    let taken = matches!(end.behaviour, Behaviour::Takes);
    let key = headers.get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    end.calls.lock().unwrap_or_else(PoisonError::into_inner).push(Call { key, body, taken });
    match end.behaviour {
        Behaviour::Fails => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Behaviour::IsBusy => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")]).into_response(),
        Behaviour::IsSlow(seconds) => {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            StatusCode::OK.into_response()
        }
        _ => StatusCode::OK.into_response(),
    }
}

async fn reset(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let mut some = [0u8; 64];
        // Whatever was read: what follows is a reset, because the rest of the request is never read.
        let _ = stream.read(&mut some).await;
        drop(stream);
    }
}
