//! The bodies of answers: `google.rpc.Status` with its details, and the export response, which has one form for all signals.
//!
//! The messages are written down here because they are few and small; their numbers are those of `google/rpc/status.proto`,
//! `google/rpc/error_details.proto` and `opentelemetry/proto/collector/*/v1/*_service.proto`.

use std::time::Duration;

use model::Signal;
use prost::Message;
use serde_json::{Value, json};

use crate::outcome::{self, PartialSuccess};
use crate::{Refusal, RefusalKind, limits};

/// gRPC's status codes, as far as they are used.
pub mod code {
    #![allow(missing_docs, reason = "the constants are gRPC's own words")]
    pub const INVALID_ARGUMENT: i32 = 3;
    pub const NOT_FOUND: i32 = 5;
    pub const RESOURCE_EXHAUSTED: i32 = 8;
    pub const UNIMPLEMENTED: i32 = 12;
    pub const INTERNAL: i32 = 13;
    pub const UNAVAILABLE: i32 = 14;
    pub const UNAUTHENTICATED: i32 = 16;
}

#[derive(Clone, PartialEq, Message)]
struct StatusMessage {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<AnyMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyMessage {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<DurationMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct DurationMessage {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

#[derive(Clone, PartialEq, Message)]
struct FieldViolation {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    description: String,
}

#[derive(Clone, PartialEq, Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccessMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccessMessage {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// A `google.rpc.Status`, in whichever encoding it will be wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcStatus {
    /// gRPC's code.
    pub code: i32,
    /// What is wrong and what to do.
    pub message: String,
    /// Which field of the request is wrong, if the request is: its body, or a path into it.
    pub field: String,
    /// When to come again.
    pub retry_after: Option<Duration>,
}

impl RpcStatus {
    /// What a refusal is in gRPC's words.
    pub fn of(refusal: &Refusal) -> Self {
        let (code, retry_after) = match refusal.kind() {
            RefusalKind::Invalid => (code::INVALID_ARGUMENT, None),
            // Without a RetryInfo this one means "never again".
            RefusalKind::TooLarge => (code::RESOURCE_EXHAUSTED, None),
            RefusalKind::Unsupported | RefusalKind::Method => (code::UNIMPLEMENTED, None),
            RefusalKind::Unauthenticated => (code::UNAUTHENTICATED, None),
            RefusalKind::NotFound => (code::NOT_FOUND, None),
            RefusalKind::Transient { retry_after } => (code::UNAVAILABLE, Some(retry_after)),
            RefusalKind::Internal => (code::INTERNAL, None),
        };
        let mut message = refusal.public_message();
        outcome::truncate(&mut message, limits::REFUSAL_TEXT_BYTES_MAX);
        Self { code, message, field: refusal.place().unwrap_or("body").to_owned(), retry_after }
    }

    /// As protobuf.
    pub fn to_protobuf(&self) -> Vec<u8> {
        let mut details = Vec::new();
        if let Some(after) = self.retry_after {
            let retry_delay = DurationMessage { seconds: seconds(after), nanos: 0 };
            details.push(any("google.rpc.RetryInfo", &RetryInfo { retry_delay: Some(retry_delay) }));
        }
        if self.code == code::INVALID_ARGUMENT {
            let violation = FieldViolation { field: self.field.clone(), description: self.message.clone() };
            details.push(any("google.rpc.BadRequest", &BadRequest { field_violations: vec![violation] }));
        }
        StatusMessage { code: self.code, message: self.message.clone(), details }.encode_to_vec()
    }

    /// As protobuf's JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let mut details: Vec<Value> = Vec::new();
        if let Some(after) = self.retry_after {
            let delay = format!("{}s", seconds(after));
            details.push(json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay }));
        }
        if self.code == code::INVALID_ARGUMENT {
            let violation = json!({ "field": self.field, "description": self.message });
            let bad_request = "type.googleapis.com/google.rpc.BadRequest";
            details.push(json!({ "@type": bad_request, "fieldViolations": [violation] }));
        }
        let mut status = json!({ "code": self.code, "message": self.message });
        if !details.is_empty() {
            status["details"] = Value::Array(details);
        }
        status.to_string().into_bytes()
    }
}

/// Whole seconds, rounded up, at least one.
pub fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis().div_ceil(1000)).unwrap_or(i64::MAX).max(1)
}

/// An `Export*ServiceResponse` as protobuf: no bytes on full success.
pub fn export_response(partial: Option<PartialSuccess>) -> Vec<u8> {
    let partial_success = partial.map(|partial| PartialSuccessMessage {
        rejected: i64::try_from(partial.rejected).unwrap_or(i64::MAX),
        error_message: partial.message,
    });
    ExportResponse { partial_success }.encode_to_vec()
}

/// The same as OTLP/JSON: `{}` on full success.
pub fn export_response_json(signal: Signal, partial: Option<PartialSuccess>) -> Vec<u8> {
    let Some(partial) = partial else { return b"{}".to_vec() };
    let mut partial_success = json!({ "errorMessage": partial.message });
    if partial.rejected > 0 {
        let rejected = match signal {
            Signal::Logs => "rejectedLogRecords",
            Signal::Spans => "rejectedSpans",
            Signal::Points => "rejectedDataPoints",
        };
        partial_success[rejected] = Value::String(partial.rejected.to_string());
    }
    json!({ "partialSuccess": partial_success }).to_string().into_bytes()
}

fn any(name: &str, message: &impl Message) -> AnyMessage {
    AnyMessage { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}
