//! OTLP/HTTP: `POST /v1/{logs,traces,metrics}`, binary protobuf, plain or gzip.
//!
//! Every answer that is not a success is a `google.rpc.Status`, in the encoding of the request; in JSON where the request
//! has none that is known.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, post};
use model::Signal;

use super::Door;
use super::decode::{self, Compression};
use super::status::{self, RpcStatus};
use crate::convert::Encoding;
use crate::intake::Arrival;
use crate::{Intake, Outcome, Refusal, RefusalKind, limits};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// The door for OTLP/HTTP. It answers every path, those it does not know with 404.
pub fn http_router(intake: Intake) -> Router {
    Router::new()
        .route("/v1/logs", door(Signal::Logs))
        .route("/v1/traces", door(Signal::Spans))
        .route("/v1/metrics", door(Signal::Points))
        .fallback(unknown_path)
        .with_state(intake)
}

fn door(signal: Signal) -> MethodRouter<Intake> {
    let export = move |State(intake): State<Intake>, request: Request| async move {
        let answer_in = AnswerEncoding::of(request.headers());
        let result = receive(&intake, signal, request).await;
        intake.counters().answered(Door::Http, signal, &result);
        answer(signal, result, answer_in)
    };
    post(export).fallback(wrong_method)
}

async fn wrong_method(State(intake): State<Intake>, request: Request) -> Response {
    astray(&intake, &request, &Refusal::Method { method: request.method().to_string() })
}

async fn unknown_path(State(intake): State<Intake>, request: Request) -> Response {
    astray(&intake, &request, &Refusal::UnknownPath { path: request.uri().path().to_owned() })
}

fn astray(intake: &Intake, request: &Request, refusal: &Refusal) -> Response {
    intake.counters().astray(Door::Http, refusal);
    refuse(refusal, AnswerEncoding::of(request.headers()))
}

async fn receive(intake: &Intake, signal: Signal, request: Request) -> Result<Outcome, Refusal> {
    let encoding = encoding(request.headers())?;
    let compression = compression(request.headers())?;
    let mut reservation = intake.reserve()?;
    let bytes_max = intake.config().request_bytes_max;
    // Who asks before sending is told at once; who just sends is read a while, or would not see the answer.
    let asks_first = request.headers().contains_key(header::EXPECT);
    let drain = if asks_first { 0 } else { limits::DRAIN_BYTES_MAX };
    if asks_first && declared_length(request.headers()) > bytes_max {
        return Err(Refusal::TooLarge { bytes_max });
    }
    let body = decode::gather(intake, request.into_body(), bytes_max, drain, &mut reservation).await?.into();
    let door = Door::Http;
    intake.accept(Arrival { door, signal, encoding, compression, body, reservation }).await
}

fn declared_length(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|text| text.parse().ok()).unwrap_or(0)
}

// The media type in lower case, without its parameters.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let text = String::from_utf8_lossy(value);
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    match media_type(headers) {
        media_type if media_type == PROTOBUF => Ok(Encoding::Protobuf),
        content_type => Err(Refusal::ContentType { content_type }),
    }
}

fn compression(headers: &HeaderMap) -> Result<Compression, Refusal> {
    let mut compression = Compression::Identity;
    for (position, value) in headers.get_all(header::CONTENT_ENCODING).iter().enumerate() {
        let encoding = String::from_utf8_lossy(value.as_bytes()).into_owned();
        match Compression::of_header(&encoding) {
            Some(found) if position == 0 => compression = found,
            _ => return Err(Refusal::ContentEncoding { encoding }),
        }
    }
    Ok(compression)
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AnswerEncoding {
    Protobuf,
    Json,
}

impl AnswerEncoding {
    fn of(headers: &HeaderMap) -> Self {
        if media_type(headers) == PROTOBUF { AnswerEncoding::Protobuf } else { AnswerEncoding::Json }
    }
}

fn answer(signal: Signal, result: Result<Outcome, Refusal>, answer_in: AnswerEncoding) -> Response {
    match result {
        Ok(outcome) => {
            let body = status::export_response(outcome.partial_success(signal));
            ([(header::CONTENT_TYPE, PROTOBUF)], body).into_response()
        }
        Err(refusal) => refuse(&refusal, answer_in),
    }
}

fn refuse(refusal: &Refusal, answer_in: AnswerEncoding) -> Response {
    super::log_refusal(Door::Http, refusal);
    let status = RpcStatus::of(refusal);
    let (content_type, body) = match answer_in {
        AnswerEncoding::Protobuf => (PROTOBUF, status.to_protobuf()),
        AnswerEncoding::Json => (JSON, status.to_json()),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = http_status(refusal.kind());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(after) = status.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(status::seconds(after)));
    }
    match refusal {
        Refusal::ContentEncoding { .. } => {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, identity"));
        }
        Refusal::ContentType { .. } => {
            headers.insert(header::ACCEPT, HeaderValue::from_static(PROTOBUF));
        }
        Refusal::Method { .. } => {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        _ => {}
    }
    response
}

// 429, 502, 503 and 504 are what clients retry; only what is transient may get one of them.
fn http_status(kind: RefusalKind) -> StatusCode {
    match kind {
        RefusalKind::Invalid => StatusCode::BAD_REQUEST,
        RefusalKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        RefusalKind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        RefusalKind::NotFound => StatusCode::NOT_FOUND,
        RefusalKind::Method => StatusCode::METHOD_NOT_ALLOWED,
        RefusalKind::Transient { .. } => StatusCode::SERVICE_UNAVAILABLE,
        RefusalKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;

    use store::StoreError;

    use super::*;
    use crate::DecodeError;
    use crate::receiver::status::code;

    // What clients retry: over HTTP four statuses, over gRPC, of those used here, one code.
    const RETRIED: [u16; 4] = [429, 502, 503, 504];

    #[test]
    fn what_is_retried_is_transient_and_nothing_else() {
        let text = String::new;
        let io = || io::Error::other("full");
        let disk = StoreError::Disk { operation: "sync", path: PathBuf::new(), source: io() };
        let damaged = StoreError::Damaged { path: PathBuf::new(), what: text() };
        // Cut short after its tag.
        let source = <() as prost::Message>::decode(&[0x0a][..]).expect_err("it is no message");
        let protobuf = DecodeError::Protobuf { message: "Message", source };
        for (refusal, status, code) in [
            (Refusal::Undecodable(protobuf), 400, code::INVALID_ARGUMENT),
            (Refusal::Undecodable(DecodeError::TooManyParts { bytes_max: 1 }), 413, code::RESOURCE_EXHAUSTED),
            (Refusal::Compression(io()), 400, code::INVALID_ARGUMENT),
            (Refusal::Broken { what: text() }, 400, code::INVALID_ARGUMENT),
            (Refusal::TooLarge { bytes_max: 1 }, 413, code::RESOURCE_EXHAUSTED),
            (Refusal::ContentType { content_type: text() }, 415, code::UNIMPLEMENTED),
            (Refusal::ContentEncoding { encoding: text() }, 415, code::UNIMPLEMENTED),
            (Refusal::UnknownPath { path: text() }, 404, code::NOT_FOUND),
            (Refusal::Method { method: text() }, 405, code::UNIMPLEMENTED),
            (Refusal::Overloaded, 503, code::UNAVAILABLE),
            (Refusal::Slow { seconds: 1 }, 503, code::UNAVAILABLE),
            (Refusal::Closed, 503, code::UNAVAILABLE),
            (Refusal::Store(disk), 503, code::UNAVAILABLE),
            (Refusal::Store(StoreError::Closed { reason: text() }), 503, code::UNAVAILABLE),
            (Refusal::Store(StoreError::TooLarge { bytes: 2, limit: 1 }), 413, code::RESOURCE_EXHAUSTED),
            (Refusal::Store(StoreError::SeriesCollision { id: 1, metric: text() }), 500, code::INTERNAL),
            (Refusal::Store(damaged), 500, code::INTERNAL),
            (Refusal::Defect, 500, code::INTERNAL),
        ] {
            let rpc = RpcStatus::of(&refusal);
            let http = http_status(refusal.kind()).as_u16();
            assert_eq!((http, rpc.code), (status, code), "{refusal:?}");
            let transient = matches!(refusal.kind(), RefusalKind::Transient { .. });
            assert_eq!(RETRIED.contains(&http), transient, "{refusal:?}");
            assert_eq!(rpc.code == code::UNAVAILABLE, transient, "{refusal:?}");
            assert_eq!(rpc.retry_after.is_some(), transient, "{refusal:?}");
            let json = String::from_utf8(rpc.to_json()).expect("JSON is text");
            assert_eq!(json.contains("google.rpc.RetryInfo"), transient, "{json}");
            assert_eq!(json.contains("google.rpc.BadRequest"), rpc.code == code::INVALID_ARGUMENT, "{json}");
        }
    }
}
