//! OTLP/HTTP: `POST /v1/{logs,traces,metrics}`, binary protobuf or JSON; plain, gzip or zstd. The other ways in over HTTP stand beside it
//! under paths of their own.
//!
//! Every answer that is not a success is a `google.rpc.Status`, in the encoding of the request; in JSON where the request
//! has none that is known.

use std::io::Write as _;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, post};
use flate2::write::GzEncoder;
use model::Signal;

use super::Door;
use super::decode::{self, Compression};
use super::remote_write;
use super::status::{self, RpcStatus};
use crate::convert::{Encoding, Form};
use crate::intake::Arrival;
use crate::pipeline::Reservation;
use crate::{Intake, Outcome, Refusal, RefusalKind, limits};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// The door for OTLP/HTTP. It answers every path, those it does not know with 404.
pub fn http_router(intake: Intake) -> Router {
    Router::new()
        .route("/v1/logs", door(Signal::Logs))
        .route("/v1/traces", door(Signal::Spans))
        .route("/v1/metrics", door(Signal::Points))
        .route(remote_write::PATH, remote_write::door())
        .fallback(unknown_path)
        .with_state(intake)
}

fn door(signal: Signal) -> MethodRouter<Intake> {
    let export = move |State(intake): State<Intake>, request: Request| async move {
        let answer_in = AnswerEncoding::of(request.headers());
        let zipped = accepts_gzip(request.headers());
        let result = receive(&intake, signal, request).await;
        intake.counters().answered(Door::Http, signal, &result);
        answer(signal, result, answer_in, zipped)
    };
    post(export).fallback(wrong_method)
}

pub(super) async fn wrong_method(State(intake): State<Intake>, request: Request) -> Response {
    let refusal = Refusal::Method { method: request.method().to_string() };
    astray(&intake, request, &refusal).await
}

async fn unknown_path(State(intake): State<Intake>, request: Request) -> Response {
    let refusal = Refusal::UnknownPath { path: request.uri().path().to_owned() };
    astray(&intake, request, &refusal).await
}

async fn astray(intake: &Intake, request: Request, refusal: &Refusal) -> Response {
    intake.counters().astray(Door::Http, refusal);
    let response = refuse(refusal, AnswerEncoding::of(request.headers()));
    dismiss(intake, request).await;
    response
}

async fn receive(intake: &Intake, signal: Signal, request: Request) -> Result<Outcome, Refusal> {
    let form = |headers: &HeaderMap| Ok((encoding(headers)?, compression(headers)?));
    let ((encoding, compression), body, reservation) = gathered(intake, request, form).await?;
    let door = Door::Http;
    let form = Form::Otlp(encoding);
    intake.accept(Arrival { door, signal, form, compression, body, reservation }).await
}

/// The body of a request, and what its heads say of its form.
pub(super) async fn gathered<F>(
    intake: &Intake,
    request: Request,
    form: impl Fn(&HeaderMap) -> Result<F, Refusal>,
) -> Result<(F, Bytes, Reservation), Refusal> {
    let (form, mut reservation) = match admit(intake, request.headers(), form) {
        Ok(admitted) => admitted,
        Err(refusal) => {
            dismiss(intake, request).await;
            return Err(refusal);
        }
    };
    reservation.within(request.extensions().get());
    let bytes_max = intake.config().request_bytes_max;
    let drain = if asks_first(request.headers()) { 0 } else { limits::DRAIN_BYTES_MAX };
    let body = decode::gather(intake, request.into_body(), bytes_max, drain, &mut reservation).await?;
    Ok((form, body.into(), reservation))
}

// Whatever can be said before the body is asked for.
fn admit<F>(
    intake: &Intake,
    headers: &HeaderMap,
    form: impl Fn(&HeaderMap) -> Result<F, Refusal>,
) -> Result<(F, Reservation), Refusal> {
    let form = form(headers)?;
    let reservation = intake.reserve()?;
    let bytes_max = intake.config().request_bytes_max;
    if asks_first(headers) && declared_length(headers) > bytes_max {
        return Err(Refusal::TooLarge { bytes_max });
    }
    Ok((form, reservation))
}

// Who asks before sending is told at once; who just sends is read a while, or would not see the answer.
async fn dismiss(intake: &Intake, request: Request) {
    if !asks_first(request.headers()) {
        decode::discard(intake, request.into_body()).await;
    }
}

fn asks_first(headers: &HeaderMap) -> bool {
    headers.contains_key(header::EXPECT)
}

fn declared_length(headers: &HeaderMap) -> u64 {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The media type in lower case, without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let text = String::from_utf8_lossy(value);
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    match media_type(headers) {
        media_type if media_type == PROTOBUF => Ok(Encoding::Protobuf),
        media_type if media_type == JSON => Ok(Encoding::Json),
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

    fn content_type(self) -> &'static str {
        match self {
            AnswerEncoding::Protobuf => PROTOBUF,
            AnswerEncoding::Json => JSON,
        }
    }
}

fn answer(signal: Signal, result: Result<Outcome, Refusal>, answer_in: AnswerEncoding, accepts_gzip: bool) -> Response {
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(refusal) => return refuse(&refusal, answer_in),
    };
    let partial = outcome.partial_success(signal);
    let body = match answer_in {
        AnswerEncoding::Protobuf => status::export_response(partial),
        AnswerEncoding::Json => status::export_response_json(signal, partial),
    };
    let typed = [(header::CONTENT_TYPE, answer_in.content_type())];
    if accepts_gzip && body.len() >= limits::ANSWER_GZIP_BYTES_MIN {
        let coded = [(header::CONTENT_ENCODING, "gzip"), (header::VARY, "accept-encoding")];
        return (typed, coded, gzip(&body)).into_response();
    }
    (typed, body).into_response()
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        // A weight of zero forbids it.
        named && !parts.any(|part| part.strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0)))
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing into memory cannot fail")
}

/// A refusal in the encoding of the request with these headers.
pub(super) fn refuse_as_asked(refusal: &Refusal, headers: &HeaderMap) -> Response {
    refuse(refusal, AnswerEncoding::of(headers))
}

fn refuse(refusal: &Refusal, answer_in: AnswerEncoding) -> Response {
    super::log_refusal(Door::Http, refusal);
    let status = RpcStatus::of(refusal);
    let body = match answer_in {
        AnswerEncoding::Protobuf => status.to_protobuf(),
        AnswerEncoding::Json => status.to_json(),
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = http_status(refusal.kind());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer_in.content_type()));
    if let Some(after) = status.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(status::seconds(after)));
    }
    match refusal {
        Refusal::ContentEncoding { .. } => {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd, identity"));
        }
        Refusal::ContentType { .. } => {
            let both = "application/x-protobuf, application/json";
            headers.insert(header::ACCEPT, HeaderValue::from_static(both));
        }
        Refusal::Unauthenticated => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Refusal::Method { .. } => {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        _ => {}
    }
    response
}

/// 429, 502, 503 and 504 are what clients retry; only what is transient may get one of them.
pub(super) fn http_status(kind: RefusalKind) -> StatusCode {
    match kind {
        RefusalKind::Invalid => StatusCode::BAD_REQUEST,
        RefusalKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        RefusalKind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        RefusalKind::Unauthenticated => StatusCode::UNAUTHORIZED,
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
    use crate::convert::Malformed;
    use crate::receiver::status::code;

    // What clients retry: over HTTP four statuses, over gRPC, of those used here, one code.
    const RETRIED: [u16; 4] = [429, 502, 503, 504];

    #[test]
    fn what_is_retried_is_transient_and_nothing_else() {
        let text = String::new;
        let io = || io::Error::other("full");
        let disk = StoreError::Disk { operation: "sync", path: PathBuf::new(), source: io() };
        let damaged = StoreError::Damaged { path: PathBuf::new(), what: text() };
        let protobuf = DecodeError::Protobuf { message: "Message", source: Malformed::default() };
        let json = DecodeError::Json { message: "Message", place: text(), offset: 1, what: text() };
        for (refusal, status, code) in [
            (Refusal::Undecodable(protobuf), 400, code::INVALID_ARGUMENT),
            (Refusal::Undecodable(json), 400, code::INVALID_ARGUMENT),
            (Refusal::Undecodable(DecodeError::TooManyParts { bytes_max: 1 }), 413, code::RESOURCE_EXHAUSTED),
            (Refusal::Compression(io()), 400, code::INVALID_ARGUMENT),
            (Refusal::Broken { what: text() }, 400, code::INVALID_ARGUMENT),
            (Refusal::TooLarge { bytes_max: 1 }, 413, code::RESOURCE_EXHAUSTED),
            (Refusal::ContentType { content_type: text() }, 415, code::UNIMPLEMENTED),
            (Refusal::ContentEncoding { encoding: text() }, 415, code::UNIMPLEMENTED),
            (Refusal::UnknownPath { path: text() }, 404, code::NOT_FOUND),
            (Refusal::Method { method: text() }, 405, code::UNIMPLEMENTED),
            (Refusal::Overloaded, 503, code::UNAVAILABLE),
            (Refusal::ConnectionFull, 503, code::UNAVAILABLE),
            (Refusal::Memory, 503, code::UNAVAILABLE),
            (Refusal::Drips { bytes_per_s: 1 }, 503, code::UNAVAILABLE),
            (Refusal::Unauthenticated, 401, code::UNAUTHENTICATED),
            (Refusal::Slow { seconds: 1 }, 503, code::UNAVAILABLE),
            (Refusal::Starting, 503, code::UNAVAILABLE),
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
