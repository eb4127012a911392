//! One client for every way to send OTLP: the same questions to a server over gRPC, and over HTTP in both encodings, and its
//! answers in one form.

use axum::http::{HeaderMap, Request as HttpRequest};
use bytes::Bytes;
use collector::convert::Encoding;
use collector::{Config, Outcome};
use http_body_util::{BodyExt as _, Full};
use model::Signal;
use prost::Message;
use store::{Batch, Table};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::{Service as _, ServiceExt as _};

use crate::equivalence::Request;
use crate::http;
use crate::json::Writer;
use crate::support::{Server, context, correlation_keys};

pub const PROTOBUF: &str = "application/x-protobuf";
pub const JSON: &str = "application/json";

/// A way to send OTLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Grpc,
    Protobuf,
    Json,
}

impl Transport {
    pub fn name(self) -> &'static str {
        match self {
            Transport::Grpc => "gRPC",
            Transport::Protobuf => "HTTP, protobuf",
            Transport::Json => "HTTP, JSON",
        }
    }

    pub fn encode<R: Request>(self, request: &R) -> Vec<u8> {
        match self {
            Transport::Grpc | Transport::Protobuf => request.encode_to_vec(),
            Transport::Json => request.json(&mut Writer::plain()).into_bytes(),
        }
    }

    /// What becomes of a request that comes this way: the outcome and the rows.
    pub fn convert<R: Request>(self, request: &R) -> (Outcome, Batch) {
        let encoding = if self == Transport::Json { Encoding::Json } else { Encoding::Protobuf };
        let converted = R::convert(&self.encode(request), encoding, &context(&correlation_keys()));
        converted.expect("the request is sound")
    }

    /// The content type that says how a request is encoded.
    pub fn content_type(self) -> &'static str {
        if self == Transport::Json { JSON } else { PROTOBUF }
    }
}

/// What a server said, whichever way.
#[derive(Debug, Default)]
pub struct Answer {
    /// gRPC's code, of the call or of the Status in the body; 0 for success.
    pub code: i32,
    /// HTTP's status; 200 over gRPC.
    pub http: u16,
    /// How many items were rejected; `None` if partial_success is unset.
    pub rejected: Option<i64>,
    /// What is said about them, or about the refusal.
    pub message: String,
    /// Seconds after which to come again: RetryInfo, over HTTP also Retry-After.
    pub retry: Option<i64>,
    /// The field that BadRequest names.
    pub field: Option<String>,
    /// The body as it was sent; over gRPC the message.
    pub body: Vec<u8>,
    /// The headers as they were sent, one a line.
    pub head: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Nothing was wrong, and nothing is said.
    pub fn is_full_success(&self) -> bool {
        self.code == 0 && self.http == 200 && self.rejected.is_none() && self.message.is_empty()
    }

    /// Everything was stored, or some of it; either way the call succeeded.
    pub fn assert_ok(&self) -> &Self {
        assert_eq!((self.code, self.http), (0, 200), "{self:?}");
        self
    }

    pub fn assert_full_success(&self) -> &Self {
        assert!(self.is_full_success(), "{self:?}");
        self
    }

    /// Refused for ever: no word about coming again.
    pub fn assert_permanent(&self, code: i32, http: u16) -> &Self {
        assert_eq!((self.code, self.http), (code, http), "{self:?}");
        assert_eq!(self.retry, None, "{self:?}");
        assert!(!self.message.is_empty(), "{self:?}");
        self
    }

    /// Refused for now, with the time to come again.
    pub fn assert_transient(&self) -> &Self {
        let http = if self.head.starts_with("HTTP/1.1") { 503 } else { 200 };
        assert_eq!((self.code, self.http), (14, http), "{self:?}");
        assert!(self.retry.is_some_and(|seconds| seconds > 0), "{self:?}");
        self
    }
}

/// A server and the way to it.
pub struct Wire {
    pub server: Server,
    pub transport: Transport,
}

impl Wire {
    pub async fn start(transport: Transport) -> Self {
        Self::with(transport, Config::default()).await
    }

    pub async fn with(transport: Transport, config: Config) -> Self {
        Self { server: Server::start(config).await, transport }
    }

    /// With a small limit of the size of requests.
    pub async fn limited(transport: Transport, bytes: u64) -> Self {
        Self::with(transport, Config { request_bytes_max: bytes, ..Config::default() }).await
    }

    pub async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.server.grpc)).expect("it is an address");
        endpoint.connect().await.expect("the door is open")
    }

    pub async fn export<R: Request>(&self, request: &R) -> Answer {
        self.send(R::SIGNAL, &self.transport.encode(request)).await
    }

    /// Bytes as they are, uncompressed.
    pub async fn send(&self, signal: Signal, body: &[u8]) -> Answer {
        self.send_coded(signal, None, body).await
    }

    /// Bytes that are said to be compressed in some way.
    pub async fn send_coded(&self, signal: Signal, coding: Option<&str>, body: &[u8]) -> Answer {
        if self.transport == Transport::Grpc {
            let headers: Vec<(&str, &str)> = coding.map(|coding| ("grpc-encoding", coding)).into_iter().collect();
            return call(&self.channel().await, &method(signal), &headers, frame(coding.is_some(), body)).await;
        }
        let mut headers = vec![("content-type", self.transport.content_type())];
        headers.extend(coding.map(|coding| ("content-encoding", coding)));
        self.http("POST", path(signal), &headers, body).await
    }

    /// A call over HTTP/1.1 with any method, path and headers.
    pub async fn http(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        of_http(http::call(self.server.http, method, path, headers, body).await)
    }

    pub fn rows(&self, signal: Signal) -> usize {
        self.server.rows(match signal {
            Signal::Logs => Table::Logs,
            Signal::Spans => Table::Spans,
            Signal::Points => Table::Points,
        })
    }
}

pub fn path(signal: Signal) -> &'static str {
    match signal {
        Signal::Logs => "/v1/logs",
        Signal::Spans => "/v1/traces",
        Signal::Points => "/v1/metrics",
    }
}

pub fn method(signal: Signal) -> String {
    let (package, service) = match signal {
        Signal::Logs => ("logs", "LogsService"),
        Signal::Spans => ("trace", "TraceService"),
        Signal::Points => ("metrics", "MetricsService"),
    };
    format!("/opentelemetry.proto.collector.{package}.v1.{service}/Export")
}

/// A message in its frame.
pub fn frame(compressed: bool, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("short");
    [&[u8::from(compressed)], &length.to_be_bytes()[..], message].concat()
}

/// A gRPC call made by hand: any headers, any bytes.
pub async fn call(channel: &Channel, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    call_with(channel, path, headers, Body::new(Full::from(body))).await
}

/// The same with any body.
pub async fn call_with(channel: &Channel, path: &str, headers: &[(&str, &str)], body: Body) -> Answer {
    let uri = format!("http://test{path}");
    let mut request = HttpRequest::post(uri).header("te", "trailers").header("content-type", "application/grpc");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body).expect("the request is sound");
    let mut channel = channel.clone();
    let response = channel.ready().await.expect("connected").call(request).await.expect("the call is answered");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("the answer ends");
    let trailers = body.trailers().cloned().unwrap_or_default();
    of_grpc(parts.status.as_u16(), &parts.headers, &trailers, body.to_bytes())
}

fn of_grpc(http: u16, headers: &HeaderMap, trailers: &HeaderMap, framed: Bytes) -> Answer {
    let head: String =
        headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap_or(""))).collect();
    let body = framed.get(5..).unwrap_or_default().to_vec();
    let status = Status::from_header_map(headers).or_else(|| Status::from_header_map(trailers));
    let status = status.expect("every answer has a status");
    if status.code() == tonic::Code::Ok {
        assert!(framed.len() >= 5, "a success has a message");
        return success(Answer { http, head, body, ..Answer::default() }, PROTOBUF);
    }
    let details = RpcStatus::decode(status.details()).expect("the details are a Status");
    let said = (i32::from(status.code()), status.message());
    // Where nothing can be done, tonic's own status goes without details.
    if !status.details().is_empty() {
        assert_eq!((details.code, details.message.as_str()), said, "the details repeat the status");
    }
    let answer = Answer { http, head, body, code: said.0, message: said.1.to_owned(), ..Answer::default() };
    with_details(answer, &details)
}

/// An answer over HTTP: its body read in the encoding that it says it has.
pub fn of_http(answer: http::Answer) -> Answer {
    let content_type = answer.header("content-type").unwrap_or_default().to_owned();
    let http = answer.status;
    let retry_after = answer.header("retry-after").map(|text| text.parse::<i64>().expect("seconds"));
    let gzipped = answer.header("content-encoding") == Some("gzip");
    let mut read = Answer { http, head: answer.head, body: answer.body, ..Answer::default() };
    if gzipped {
        let mut plain = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(&read.body[..]);
        std::io::Read::read_to_end(&mut decoder, &mut plain).expect("the answer is gzip");
        read.body = plain;
    }
    if http == 200 {
        return success(read, &content_type);
    }
    let status = match content_type.as_str() {
        PROTOBUF => RpcStatus::decode(&read.body[..]).expect("the body is a Status"),
        JSON => RpcStatus::of_json(&read.body),
        other => panic!("an answer of type {other:?}: {}", read.head),
    };
    (read.code, read.message) = (status.code, status.message.clone());
    let read = with_details(read, &status);
    assert_eq!(read.retry, retry_after, "Retry-After says what RetryInfo says: {}", read.head);
    read
}

fn success(mut answer: Answer, content_type: &str) -> Answer {
    let partial = match content_type {
        PROTOBUF => ExportResponse::decode(&answer.body[..]).expect("the body is a response").partial_success,
        JSON => ExportResponse::of_json(&answer.body).partial_success,
        other => panic!("an answer of type {other:?}: {}", answer.head),
    };
    if let Some(partial) = partial {
        (answer.rejected, answer.message) = (Some(partial.rejected), partial.error_message);
    }
    answer
}

fn with_details(mut answer: Answer, status: &RpcStatus) -> Answer {
    for detail in &status.details {
        match detail.type_url.as_str() {
            "type.googleapis.com/google.rpc.RetryInfo" => {
                let info = RetryInfo::decode(&detail.value[..]).expect("it is what it says");
                answer.retry = info.retry_delay.map(|delay| delay.seconds);
            }
            "type.googleapis.com/google.rpc.BadRequest" => {
                let bad = BadRequest::decode(&detail.value[..]).expect("it is what it says");
                answer.field = bad.field_violations.first().map(|violation| violation.field.clone());
            }
            other => panic!("a detail of type {other}"),
        }
    }
    answer
}

#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<Partial>,
}

#[derive(Clone, PartialEq, Message)]
struct Partial {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<Violation>,
}

#[derive(Clone, PartialEq, Message)]
struct Violation {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    description: String,
}

impl ExportResponse {
    fn of_json(body: &[u8]) -> Self {
        let json: serde_json::Value = serde_json::from_slice(body).expect("the body is JSON");
        let partial_success = json.get("partialSuccess").map(|partial| {
            let keys = ["rejectedLogRecords", "rejectedSpans", "rejectedDataPoints"];
            // 64-bit numbers are text in protobuf's JSON.
            let rejected =
                keys.iter().find_map(|key| partial.get(*key)).map_or("0", |value| value.as_str().expect("text"));
            Partial {
                rejected: rejected.parse().expect("a number"),
                error_message: partial["errorMessage"].as_str().unwrap_or_default().to_owned(),
            }
        });
        Self { partial_success }
    }
}

impl RpcStatus {
    fn of_json(body: &[u8]) -> Self {
        let json: serde_json::Value = serde_json::from_slice(body).expect("the body is JSON");
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        let details = json.get("details").and_then(|details| details.as_array()).cloned().unwrap_or_default();
        let detail = |detail: &serde_json::Value| {
            let type_url = text(&detail["@type"]);
            let value = if let Some(delay) = detail.get("retryDelay") {
                let seconds = text(delay).trim_end_matches('s').parse().expect("whole seconds");
                RetryInfo { retry_delay: Some(Delay { seconds }) }.encode_to_vec()
            } else {
                let violation = &detail["fieldViolations"][0];
                let violation =
                    Violation { field: text(&violation["field"]), description: text(&violation["description"]) };
                BadRequest { field_violations: vec![violation] }.encode_to_vec()
            };
            Detail { type_url, value }
        };
        Self {
            code: json["code"].as_i64().and_then(|code| i32::try_from(code).ok()).expect("a code"),
            message: text(&json["message"]),
            details: details.iter().map(detail).collect(),
        }
    }
}
