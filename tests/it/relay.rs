//! Stands between an exporter and the server, passes every request on as it is, and records those that were acknowledged, in
//! the form of `tests/clients/record.py`: what the exporter sent is known without asking the exporter.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::Response;
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;

/// How a client sends: OTLP's word for the protocol, and `none` or `gzip`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// `grpc`, `http/protobuf` or `http/json`.
    pub protocol: &'static str,
    /// `none` or `gzip`.
    pub compression: &'static str,
}

/// Every way to send OTLP that official SDKs have.
pub const WAYS: [Way; 6] = [
    Way { protocol: "grpc", compression: "none" },
    Way { protocol: "grpc", compression: "gzip" },
    Way { protocol: "http/protobuf", compression: "none" },
    Way { protocol: "http/protobuf", compression: "gzip" },
    Way { protocol: "http/json", compression: "none" },
    Way { protocol: "http/json", compression: "gzip" },
];

impl Way {
    /// The name of the door that it goes in by.
    pub fn door(self) -> &'static str {
        if self.protocol == "grpc" { "otlp_grpc" } else { "otlp_http" }
    }

    /// A word for file names.
    pub fn word(self) -> String {
        format!("{}-{}", self.protocol.replace('/', "-"), self.compression)
    }

    fn content_type(self) -> &'static str {
        match self.protocol {
            "grpc" => "application/grpc",
            "http/protobuf" => "application/x-protobuf",
            _ => "application/json",
        }
    }

    // Whether a request is really sent this way.
    fn is_of(self, headers: &HeaderMap, body: &[u8]) -> bool {
        let header = |name| headers.get(name).map(|value: &header::HeaderValue| value.as_bytes()).unwrap_or_default();
        let zipped = if self.protocol == "grpc" {
            body.first() == Some(&1)
        } else {
            header(header::CONTENT_ENCODING) == b"gzip"
        };
        header(header::CONTENT_TYPE).starts_with(self.content_type().as_bytes())
            && zipped == (self.compression == "gzip")
    }

    // The request itself: over gRPC it stands behind the flag and the length of its one frame.
    fn payload(self, body: &Bytes) -> Bytes {
        if self.protocol == "grpc" { body.slice(5..) } else { body.clone() }
    }

    // Whether everything in the request was accepted: a test whose exporter sends valid items expects no partial success.
    fn is_full_success(self, status: StatusCode, body: &[u8], trailers: &HeaderMap) -> bool {
        let message: &[u8] = match self.protocol {
            "grpc" => &[0; 5],
            "http/protobuf" => b"",
            _ => b"{}",
        };
        let fine = self.protocol != "grpc" || trailers.get("grpc-status").is_some_and(|status| status == "0");
        status == StatusCode::OK && body == message && fine
    }
}

#[derive(Clone)]
struct Relay {
    way: Way,
    target: Uri,
    client: Client<HttpConnector, Full<Bytes>>,
    recording: Arc<Mutex<File>>,
}

/// Relays to the door `target` for as long as the test's runtime, and records in `file`. Gives the address to send to. What
/// is sent in another way than this one is refused.
pub async fn start(way: Way, target: String, file: &Path) -> String {
    let recording = Arc::new(Mutex::new(File::create(file).expect("a file")));
    let client = Client::builder(TokioExecutor::new()).http2_only(way.protocol == "grpc").build_http();
    let relay = Relay { way, target: target.parse().expect("an address"), client, recording };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let router = Router::new().fallback(pass).with_state(relay);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

async fn pass(State(relay): State<Relay>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.expect("a whole request").to_bytes();
    let signal = signal(parts.uri.path());
    if !relay.way.is_of(&parts.headers, &body) {
        eprintln!("not {:?}: {:?}", relay.way, parts.headers);
        return refusal();
    }
    let mut uri = relay.target.clone().into_parts();
    uri.path_and_query = parts.uri.path_and_query().cloned();
    parts.uri = Uri::from_parts(uri).expect("an address with a path");
    parts.headers.remove(header::HOST);
    let request = Request::from_parts(parts, Full::new(body.clone()));
    let (parts, answer) = relay.client.request(request).await.expect("the server answers").into_parts();
    let answer = answer.collect().await.expect("a whole answer");
    let trailers = answer.trailers().cloned();
    let answer = answer.to_bytes();
    // A gRPC answer without a message has its status among the headers.
    if !relay.way.is_full_success(parts.status, &answer, trailers.as_ref().unwrap_or(&parts.headers)) {
        eprintln!("{:?} was not accepted whole: {parts:?} {:?} {trailers:?}", relay.way, answer.escape_ascii());
        return refusal();
    }
    relay.record(signal, &relay.way.payload(&body));
    let trailers = std::future::ready(trailers.map(Ok));
    Response::from_parts(parts, Body::new(Full::new(answer).with_trailers(trailers)))
}

// Nothing that an exporter sends again.
fn refusal() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

fn signal(path: &str) -> u8 {
    match path.rsplit_once(['/']).map_or(path, |(before, last)| if last == "Export" { before } else { last }) {
        path if path.ends_with("LogsService") || path == "logs" => b'L',
        path if path.ends_with("TraceService") || path == "traces" => b'S',
        path if path.ends_with("MetricsService") || path == "metrics" => b'P',
        path => panic!("{path} is no signal's"),
    }
}

impl Relay {
    // Small letters stand for JSON.
    fn record(&self, signal: u8, payload: &[u8]) {
        let signal = if self.way.protocol == "http/json" { signal.to_ascii_lowercase() } else { signal };
        let mut frame = vec![signal];
        frame.extend(u32::try_from(payload.len()).expect("a request of sane size").to_le_bytes());
        frame.extend(payload);
        self.recording.lock().expect("no panic while recording").write_all(&frame).expect("a writable file");
    }
}
