//! One way to the collector: sends encoded requests over OTLP/gRPC or OTLP/HTTP and reads bounded answers. gRPC's unary call is five bytes before the message and a status
//! behind the answer, so both go through the same client. Knows nothing of queues and of trying again.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, TE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::answer::{self, Answer};
use super::connect::{Connector, TlsFiles};
use crate::limits::{ANSWER_BYTES_MAX, ANSWER_HEAD_BYTES_MAX};

/// How OTLP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC, usually port 4317.
    Grpc,
    /// OTLP over HTTP as protobuf, usually port 4318.
    HttpProtobuf,
}

/// Where one signal goes, and how.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Endpoint {
    /// With the whole path of the signal.
    pub(crate) uri: Uri,
    pub(crate) protocol: Protocol,
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
    pub(crate) gzip: bool,
    pub(crate) tls: TlsFiles,
}

impl Endpoint {
    /// For people: no path, and nothing of the headers.
    pub(crate) fn name(&self) -> String {
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit('@').next().unwrap_or_default();
        format!("{}://{host}", self.uri.scheme_str().unwrap_or("http"))
    }
}

pub(crate) struct Transport {
    client: Client<Connector, Full<Bytes>>,
    pub(crate) endpoint: Endpoint,
}

impl Transport {
    /// Does not connect yet. The error is a reason for people.
    pub(crate) fn new(endpoint: Endpoint) -> Result<Self, String> {
        let grpc = endpoint.protocol == Protocol::Grpc;
        let connector = match endpoint.uri.scheme_str() {
            Some("https") => Connector::with_tls(endpoint.timeout, &endpoint.tls, grpc)?,
            _ => Connector::plain(endpoint.timeout),
        };
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).http2_only(grpc);
        builder.http1_max_buf_size(ANSWER_HEAD_BYTES_MAX).http2_max_header_list_size(ANSWER_HEAD_BYTES_MAX as u32);
        Ok(Self { client: builder.build(connector), endpoint })
    }

    /// The request as it goes over the wire; it can be sent several times.
    pub(crate) fn body(&self, message: Vec<u8>) -> Bytes {
        let grpc = self.endpoint.protocol == Protocol::Grpc;
        let mut body = Vec::with_capacity(if self.endpoint.gzip { message.len() / 4 } else { message.len() + 5 });
        if grpc {
            body.extend_from_slice(&[u8::from(self.endpoint.gzip), 0, 0, 0, 0]);
        }
        if self.endpoint.gzip {
            let mut encoder = GzEncoder::new(body, Compression::fast());
            // Writing into memory does not fail.
            let _ = encoder.write_all(&message);
            body = encoder.finish().unwrap_or_default();
        } else {
            body.extend_from_slice(&message);
        }
        if grpc && let Some(length) = body.len().checked_sub(5).and_then(|length| u32::try_from(length).ok()) {
            body[1..5].copy_from_slice(&length.to_be_bytes());
        }
        body.into()
    }

    /// One attempt, within the endpoint's timeout.
    pub(crate) async fn send(&self, body: Bytes) -> Answer {
        let timeout = self.endpoint.timeout;
        let attempt = tokio::time::timeout(timeout, self.attempt(body)).await;
        attempt.unwrap_or_else(|_| Answer::Away { why: format!("no answer within {timeout:?}") })
    }

    async fn attempt(&self, body: Bytes) -> Answer {
        match self.client.request(self.request(body)).await {
            Ok(response) => self.read(response).await,
            Err(error) => Answer::Away { why: innermost(&error) },
        }
    }

    fn request(&self, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.endpoint.uri.clone();
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("sextant-sdk/", env!("CARGO_PKG_VERSION"))));
        headers.extend(self.endpoint.headers.clone());
        match self.endpoint.protocol {
            Protocol::Grpc => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(TE, HeaderValue::from_static("trailers"));
                if self.endpoint.gzip {
                    headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
                }
            }
            Protocol::HttpProtobuf => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
                if self.endpoint.gzip {
                    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                }
            }
        }
        request
    }

    async fn read(&self, response: Response<Incoming>) -> Answer {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        match (self.endpoint.protocol, body) {
            (Protocol::HttpProtobuf, body) => {
                // What it says beyond its status is only read for partial successes; an answer that is too long or breaks off has none.
                let body = body.map(|body| body.to_bytes()).unwrap_or_default();
                answer::of_http(head.status, &head.headers, &body)
            }
            (Protocol::Grpc, Ok(body)) => {
                let trailers = body.trailers().cloned();
                answer::of_grpc(head.status, &head.headers, trailers.as_ref(), &body.to_bytes())
            }
            (Protocol::Grpc, Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                Answer::Refused { why: format!("its answer was longer than {ANSWER_BYTES_MAX} bytes") }
            }
            (Protocol::Grpc, Err(error)) => Answer::Away { why: innermost(error.as_ref()) },
        }
    }
}

// The outer errors say that something went wrong with a request; what went wrong stands in the innermost.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    let why = error.to_string();
    super::encode::cut_to(&why, crate::limits::REASON_CHARS_MAX).to_owned()
}
