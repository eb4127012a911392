//! What a collector's answer means for a batch: it arrived, it is to be sent again, or it never will be taken. Reads bytes from a stranger.

use std::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message;

use super::encode::cut_to;
use crate::limits::{REASON_CHARS_MAX, RETRY_MAX};

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// Taken, but for so many items.
    Taken { rejected: usize, why: String },
    /// Nobody answered.
    Away { why: String },
    /// Not now; perhaps after a time that the collector names.
    Later { after: Option<Duration>, why: String },
    /// Never.
    Refused { why: String },
}

/// Reads the answer of OTLP over HTTP.
pub(crate) fn of_http(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer {
    if status.is_success() {
        return taken(body);
    }
    let why = format!("it answered {status}");
    match status.as_u16() {
        429 | 502 | 503 | 504 => {
            let seconds =
                headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
            Answer::Later { after: seconds.map(|seconds| Duration::from_secs(seconds).min(RETRY_MAX)), why }
        }
        _ => Answer::Refused { why },
    }
}

/// Reads the answer of OTLP over gRPC: the status stands in the trailers, or in the head if there is no message.
pub(crate) fn of_grpc(status: StatusCode, head: &HeaderMap, trailers: Option<&HeaderMap>, body: &[u8]) -> Answer {
    let field = |name: &str| {
        trailers
            .and_then(|trailers| trailers.get(name))
            .or_else(|| head.get(name))
            .and_then(|value| value.to_str().ok())
    };
    let Some(code) = field("grpc-status").and_then(|code| code.parse::<u32>().ok()) else {
        // No gRPC at all: a proxy that has lost its server, or something else altogether.
        let why = format!("it answered {status}, and not in gRPC");
        return match status.as_u16() {
            429 | 502 | 503 | 504 => Answer::Later { after: None, why },
            _ => Answer::Refused { why },
        };
    };
    if code == 0 {
        // Five bytes before the message: whether it is compressed, which was not asked for, and its length.
        return taken(body.get(5..).unwrap_or_default());
    }
    let message = field("grpc-message").map(percent_decoded).unwrap_or_default();
    let why = if message.is_empty() {
        format!("it answered with status {code}")
    } else {
        format!("it answered: {}", cut_to(&message, REASON_CHARS_MAX))
    };
    let after = field("grpc-status-details-bin").and_then(retry_delay);
    match code {
        // Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
        1 | 4 | 10 | 11 | 14 | 15 => Answer::Later { after, why },
        // Exhausted: only who says when to come again means that it may be otherwise then.
        8 if after.is_some() => Answer::Later { after, why },
        _ => Answer::Refused { why },
    }
}

// The three signals' responses have the same shape. What is no response is taken for an empty one: the status said yes.
fn taken(body: &[u8]) -> Answer {
    let partial = ExportMetricsServiceResponse::decode(body).unwrap_or_default().partial_success.unwrap_or_default();
    let rejected = usize::try_from(partial.rejected_data_points).unwrap_or_default();
    Answer::Taken { rejected, why: cut_to(&partial.error_message, REASON_CHARS_MAX).to_owned() }
}

#[derive(Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

#[derive(Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

#[derive(Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

fn retry_delay(details: &str) -> Option<Duration> {
    let engine = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let status = RpcStatus::decode(engine.decode(details).ok()?.as_slice()).ok()?;
    let info = status.details.iter().find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.delay.unwrap_or_default();
    let delay = Duration::new(u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?.min(999_999_999));
    Some(delay.min(RETRY_MAX))
}

/// A text in which bytes may stand as `%` and two hexadecimal digits; what is none stays as it is.
pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let hex = hex.filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let escaped = hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        rest = if escaped.is_some() { &after[2..] } else { after };
        bytes.push(escaped.unwrap_or(*first));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsPartialSuccess;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().expect("a value")))
            .collect()
    }

    fn partial(rejected: i64) -> Vec<u8> {
        let partial =
            ExportMetricsPartialSuccess { rejected_data_points: rejected, error_message: "too old".to_owned() };
        ExportMetricsServiceResponse { partial_success: Some(partial) }.encode_to_vec()
    }

    #[test]
    fn http_answers() {
        let taken = |rejected, why: &str| Answer::Taken { rejected, why: why.to_owned() };
        let later = |after: Option<u64>, status| Answer::Later {
            after: after.map(Duration::from_secs),
            why: format!("it answered {status}"),
        };
        for (status, after, body, answer) in [
            (200, None, vec![], taken(0, "")),
            (200, None, partial(3), taken(3, "too old")),
            (200, None, partial(-3), taken(0, "too old")),
            (200, None, b"<html>hello</html>".to_vec(), taken(0, "")),
            (503, Some("7"), vec![], later(Some(7), "503 Service Unavailable")),
            (429, Some("99999999999"), vec![], later(Some(300), "429 Too Many Requests")),
            (429, Some("soon"), vec![], later(None, "429 Too Many Requests")),
            (400, None, vec![], Answer::Refused { why: "it answered 400 Bad Request".to_owned() }),
            (302, None, vec![], Answer::Refused { why: "it answered 302 Found".to_owned() }),
        ] {
            let headers = after.map(|after| headers(&[("retry-after", after)])).unwrap_or_default();
            assert_eq!(of_http(StatusCode::from_u16(status).expect("a status"), &headers, &body), answer, "{status}");
        }
    }

    #[test]
    fn grpc_answers() {
        let in_seven = {
            let value = RetryInfo { delay: Some(Delay { seconds: 7, nanos: 0 }) }.encode_to_vec();
            let detail = Detail { type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(), value };
            base64::engine::general_purpose::STANDARD_NO_PAD.encode(RpcStatus { details: vec![detail] }.encode_to_vec())
        };
        let framed = [vec![0; 5], partial(2)].concat();
        let kind = |answer: &Answer| match answer {
            Answer::Taken { rejected, .. } => format!("taken {rejected}"),
            Answer::Away { .. } => "away".to_owned(),
            Answer::Later { after, .. } => format!("later {after:?}"),
            Answer::Refused { why } => format!("refused: {why}"),
        };
        for (pairs, body, expected) in [
            (vec![("grpc-status", "0")], framed.as_slice(), "taken 2"),
            (vec![("grpc-status", "0")], b"xx", "taken 0"),
            (vec![("grpc-status", "14")], b"", "later None"),
            (vec![("grpc-status", "14"), ("grpc-status-details-bin", &in_seven)], b"", "later Some(7s)"),
            (vec![("grpc-status", "8"), ("grpc-status-details-bin", &in_seven)], b"", "later Some(7s)"),
            (vec![("grpc-status", "8")], b"", "refused: it answered with status 8"),
            (vec![("grpc-status", "16"), ("grpc-message", "no%20token%")], b"", "refused: it answered: no token%"),
            (vec![("grpc-status", "8"), ("grpc-status-details-bin", "%%%")], b"", "refused: it answered with status 8"),
            (vec![("grpc-status", "ok")], b"", "refused: it answered 200 OK, and not in gRPC"),
            (vec![], b"", "refused: it answered 200 OK, and not in gRPC"),
        ] {
            let trailers = headers(&pairs);
            for (head, trailers) in [(&HeaderMap::new(), Some(&trailers)), (&trailers, None)] {
                assert_eq!(kind(&of_grpc(StatusCode::OK, head, trailers, body)), expected, "{pairs:?}");
            }
        }
        assert_eq!(kind(&of_grpc(StatusCode::BAD_GATEWAY, &HeaderMap::new(), None, b"")), "later None");
    }
}
