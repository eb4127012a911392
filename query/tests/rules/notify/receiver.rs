//! A receiver on this machine that behaves as it is told, request by request.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// What is done with a request.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Answers with a status, headers and a body.
    Answer(u16, &'static str, &'static str),
    /// Reads everything and never answers.
    Hang,
    /// Reads a little of the request and breaks the connection.
    Reset,
    /// Begins to answer and breaks the connection.
    Cut,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub text: String,
}

impl Received {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }

    pub fn key(&self) -> &str {
        &self.headers["x-sextant-idempotency-key"]
    }

    /// Each alert's labels and status, in the order of the body.
    pub fn alerts(&self) -> Vec<(String, String)> {
        let body = self.json();
        let alerts = body["alerts"].as_array().expect("alerts").clone();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        alerts.iter().map(|alert| (text(&alert["labels"]["alertname"]), text(&alert["status"]))).collect()
    }
}

/// The receiver. When its script is at its end it answers 200.
pub struct Receiver {
    pub address: std::net::SocketAddr,
    pub received: mpsc::UnboundedReceiver<Received>,
    script: Arc<Mutex<VecDeque<Behaviour>>>,
}

impl Receiver {
    pub async fn new(script: Vec<Behaviour>) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (told, received) = mpsc::unbounded_channel();
        let script = Arc::new(Mutex::new(VecDeque::from(script)));
        let shared = Arc::clone(&script);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let next = shared.lock().expect("a script").pop_front();
                let behaviour = next.unwrap_or(Behaviour::Answer(200, "", ""));
                tokio::spawn(serve(stream, behaviour, told.clone()));
            }
        });
        Receiver { address, received, script }
    }

    pub fn url(&self) -> String {
        format!("http://{}/hook?token=topsecret", self.address)
    }

    /// What is done with the next requests.
    pub fn script(&self, script: Vec<Behaviour>) {
        *self.script.lock().expect("a script") = script.into();
    }

    pub async fn next(&mut self) -> Received {
        let next = tokio::time::timeout(super::world::PATIENCE, self.received.recv()).await;
        next.expect("a request comes in time").expect("the receiver lives")
    }

    /// What has come and was not looked at.
    pub fn rest(&mut self) -> Vec<Received> {
        std::iter::from_fn(|| self.received.try_recv().ok()).collect()
    }
}

async fn serve(mut stream: TcpStream, behaviour: Behaviour, told: mpsc::UnboundedSender<Received>) -> Option<()> {
    if matches!(behaviour, Behaviour::Reset) {
        // What is unread when a connection is closed makes it a reset.
        stream.read_exact(&mut [0; 20]).await.ok()?;
        return None;
    }
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length")?.parse().ok()?;
    while bytes.len() < end + 4 + length {
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    }
    let text = String::from_utf8(bytes[end + 4..].to_vec()).ok()?;
    told.send(Received { path, headers, text }).ok()?;
    let (status, extra, body) = match behaviour {
        Behaviour::Answer(status, extra, body) => (status, extra, body),
        Behaviour::Cut => (200, "", "this is cut"),
        Behaviour::Hang | Behaviour::Reset => return std::future::pending().await,
    };
    let mut answer = format!("HTTP/1.1 {status} Word\r\n{extra}Content-Length: {}\r\n\r\n{body}", body.len());
    if matches!(behaviour, Behaviour::Cut) {
        answer.truncate(answer.len() - 40);
    }
    stream.write_all(answer.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}
