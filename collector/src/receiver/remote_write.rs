//! Prometheus's remote write, versions 1 and 2: `POST /api/v1/write`, snappy.
//!
//! Success is 204. If samples are refused the answer is 400 with the reasons, and everything else is stored: who sends does not
//! repeat it. What can be sent again later is 503 with `Retry-After`.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, post};
use model::Signal;

use super::Door;
use super::decode::Compression;
use super::http::{gathered, http_status, media_type, wrong_method};
use super::status::{self, RpcStatus};
use crate::convert::{Form, Version};
use crate::intake::Arrival;
use crate::outcome::Written;
use crate::{Intake, Outcome, Refusal};

/// Where it is taken: Prometheus's own path.
pub(super) const PATH: &str = "/api/v1/write";

const PROTOBUF: &str = "application/x-protobuf";

const SAMPLES_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// What answers there.
pub(super) fn door() -> MethodRouter<Intake> {
    let write = |State(intake): State<Intake>, request: Request| async move {
        let result = receive(&intake, request).await;
        intake.counters().answered(Door::RemoteWrite, Signal::Points, &result);
        match result {
            Ok(outcome) => answer(&outcome),
            Err(refusal) => refuse(&refusal),
        }
    };
    post(write).fallback(wrong_method)
}

async fn receive(intake: &Intake, request: Request) -> Result<Outcome, Refusal> {
    let (version, body, reservation) = gathered(intake, request, version).await?;
    let (door, signal, compression) = (Door::RemoteWrite, Signal::Points, Compression::Snappy);
    intake.accept(Arrival { door, signal, form: Form::RemoteWrite(version), compression, body, reservation }).await
}

// By the parameter `proto` of the media type; without one it is version 1. Snappy is the only compression that there is, and senders
// of version 1 may leave its name out.
fn version(headers: &HeaderMap) -> Result<Version, Refusal> {
    let text = |name: HeaderName| {
        headers.get(name).map_or(String::new(), |value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let content_type = text(header::CONTENT_TYPE);
    let proto = content_type.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("proto="));
    let named = proto.map(|name| name.trim().trim_matches('"'));
    let known = [Version::One, Version::Two].into_iter().find(|version| Some(version.message()) == named);
    let version = match (media_type(headers).as_str(), named, known) {
        (PROTOBUF, None, _) => Version::One,
        (PROTOBUF, Some(_), Some(version)) => version,
        _ => return Err(Refusal::ContentType { content_type }),
    };
    let encoding = text(header::CONTENT_ENCODING);
    if encoding.is_empty() || encoding.trim().eq_ignore_ascii_case("snappy") {
        return Ok(version);
    }
    Err(Refusal::ContentEncoding { encoding })
}

fn answer(outcome: &Outcome) -> Response {
    let Written { samples, histograms, exemplars } = outcome.written;
    let written = [(SAMPLES_WRITTEN, samples), (HISTOGRAMS_WRITTEN, histograms), (EXEMPLARS_WRITTEN, exemplars)];
    let written = written.map(|(name, count)| (name, HeaderValue::from(count)));
    if outcome.rejected.is_empty() {
        return (StatusCode::NO_CONTENT, written).into_response();
    }
    let (rejected, all) = (outcome.rejected.total(), outcome.accepted + outcome.rejected.total());
    let body = format!("{rejected} of {all} samples rejected, the others are stored: {}", outcome.rejection());
    (StatusCode::BAD_REQUEST, written, body).into_response()
}

fn refuse(refusal: &Refusal) -> Response {
    super::log_refusal(Door::RemoteWrite, refusal);
    let RpcStatus { message, retry_after, .. } = RpcStatus::of(refusal);
    let mut response = Response::new(Body::from(message));
    *response.status_mut() = http_status(refusal.kind());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    // Version 2 asks for them in every answer.
    for name in [SAMPLES_WRITTEN, HISTOGRAMS_WRITTEN, EXEMPLARS_WRITTEN] {
        headers.insert(name, HeaderValue::from(0));
    }
    if let Some(after) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(status::seconds(after)));
    }
    match refusal {
        Refusal::ContentType { .. } => {
            let both = "application/x-protobuf;proto=io.prometheus.write.v2.Request, application/x-protobuf;proto=prometheus.WriteRequest";
            headers.insert(header::ACCEPT, HeaderValue::from_static(both));
        }
        Refusal::ContentEncoding { .. } => {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("snappy"));
        }
        _ => {}
    }
    response
}
