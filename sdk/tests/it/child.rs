//! A service as a process of its own, and requests to it.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::services::VARIABLE;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One running service; killed when dropped.
pub struct Service {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    stderr: Arc<Mutex<String>>,
    said: tokio::task::JoinHandle<()>,
    client: Client<HttpConnector, Empty<Bytes>>,
    pub address: String,
    /// Whether a signal tells it to end; the others read stdin.
    by_signal: bool,
}

impl Service {
    /// Starts a service that does not listen.
    pub fn spawn(name: &str, environment: &[(&str, &str)]) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args(["--exact", "services::run", "--nocapture", "--quiet", "127.0.0.1:0"])
            .env_clear()
            .env(VARIABLE, name)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut from = child.stderr.take().expect("piped");
        let stderr = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&stderr);
        let said = tokio::spawn(async move {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut bytes).await {
                heard.lock().expect("whole").push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        });
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { child, lines, stderr, said, client, address: String::new(), by_signal: name == "orders" }
    }

    /// Starts a service and waits until it listens.
    pub async fn start(name: &str, environment: &[(&str, &str)]) -> Self {
        let mut service = Self::spawn(name, environment);
        service.address = service.line().await;
        service
    }

    /// The next line on stdout that is not the harness's.
    pub async fn line(&mut self) -> String {
        loop {
            let line = timeout(PATIENCE, self.lines.next_line()).await.expect("in time").expect("readable");
            let line = line.unwrap_or_else(|| panic!("it has ended: {:?}", self.said()));
            if !line.is_empty() && !line.starts_with("running ") && !line.starts_with("test ") {
                return line;
            }
        }
    }

    /// What it has said on stderr about telemetry.
    pub fn said(&self) -> Vec<String> {
        let stderr = self.stderr.lock().expect("whole");
        stderr.lines().filter(|line| line.starts_with("sextant-sdk: ")).map(str::to_owned).collect()
    }

    pub async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, http::HeaderMap, String) {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::new()).expect("a request");
        let answer = timeout(PATIENCE, self.client.request(request)).await.expect("in time").expect("an answer");
        let (head, body) = answer.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        (head.status, head.headers, String::from_utf8_lossy(&body).into_owned())
    }

    /// A request whose connection ends without an answer.
    pub async fn expect_broken(&self, method: &str, path: &str, headers: &[(&str, &str)]) {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::new()).expect("a request");
        timeout(PATIENCE, self.client.request(request)).await.expect("in time").expect_err("no answer");
    }

    /// Tells a service that waits for the end of stdin to end.
    pub fn close_stdin(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Bytes of its memory that are in the machine's.
    pub fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id().expect("it runs"));
        let status = std::fs::read_to_string(path).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("linux says so");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Asks it to end, by the end of stdin and by a signal, and waits for that. What it said on stderr.
    pub async fn stop(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        if self.by_signal {
            let id = self.child.id().expect("it runs").to_string();
            Command::new("kill").args(["-INT", &id]).status().await.expect("kill runs");
        }
        self.ended().await
    }

    /// Waits for its clean end.
    pub async fn ended(mut self) -> Vec<String> {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("in time").expect("ends");
        (&mut self.said).await.expect("stderr was read");
        assert!(status.success(), "{status}: {}", self.stderr.lock().expect("whole"));
        self.said()
    }
}
