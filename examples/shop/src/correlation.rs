//! The correlation id: one per order, made at the edge, carried in a header, and put on every span, log record and
//! exemplar of the order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderMap;

use crate::limits::CORRELATION_ID_BYTES_MAX;

/// The id of one order, like `order-000123-ab12cd34`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CorrelationId(Arc<str>);

impl CorrelationId {
    /// The header it travels in.
    pub(crate) const HEADER: &str = "x-correlation-id";
    /// The attribute it is on spans, log records and exemplars. Spelled out in the `tracing` macros too, which take no
    /// constants.
    pub(crate) const ATTRIBUTE: &str = "correlation.id";
    /// The key of the line on stdout.
    pub(crate) const ANNOUNCED_AS: &str = "correlation_id";

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The caller's id, if it sent a usable one. An id ends up in every signal and in people's terminals: printable
    /// ASCII of a sane length, or none.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let id = headers.get(Self::HEADER)?.to_str().ok()?.trim();
        let usable =
            (1..=CORRELATION_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        usable.then(|| Self(id.into()))
    }
}

/// Makes ids: a running number for people and a number drawn at start, so that no restart repeats an id.
#[derive(Debug)]
pub(crate) struct CorrelationIds {
    run: u32,
    made: AtomicU64,
}

impl CorrelationIds {
    pub(crate) fn for_this_run() -> Self {
        Self { run: fastrand::u32(..), made: AtomicU64::new(0) }
    }

    pub(crate) fn next(&self) -> CorrelationId {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        CorrelationId(format!("order-{number:06}-{:08x}", self.run).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_up_and_differ_between_runs() {
        let first = CorrelationIds { run: 0xab12_cd34, made: AtomicU64::new(122) };
        assert_eq!(first.next().as_str(), "order-000123-ab12cd34");
        assert_eq!(first.next().as_str(), "order-000124-ab12cd34");
        let second = CorrelationIds { run: 7, made: AtomicU64::new(122) };
        assert_eq!(second.next().as_str(), "order-000123-00000007");
    }

    #[test]
    fn only_usable_ids_are_taken_from_a_caller() {
        let long = "x".repeat(CORRELATION_ID_BYTES_MAX + 1);
        for (sent, taken) in [
            ("order-1", Some("order-1")),
            (" order-1 ", Some("order-1")),
            ("", None),
            ("two words", None),
            ("tab\tbed", None),
            (&long, None),
            (&long[1..], Some(&long[1..])),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CorrelationId::HEADER, sent.parse().expect("a header value"));
            assert_eq!(CorrelationId::from_headers(&headers).as_ref().map(CorrelationId::as_str), taken, "{sent:?}");
        }
        assert_eq!(CorrelationId::from_headers(&HeaderMap::new()), None);
    }
}
