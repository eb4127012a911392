//! What serving and calling have in common: one request with its span, from its beginning until its answer, its failure, or until nobody wants it any more.

use std::time::Instant;

use http::{Method, Version};
use opentelemetry::metrics::UpDownCounter;
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

use crate::init::global;
use crate::metrics::Histogram;

/// One request under way. Dropped before its end, it was cancelled, or whoever worked on it has panicked.
pub(crate) struct Exchange {
    /// With the span, the baggage and the correlation id: whatever happens in the request happens in it.
    pub(crate) context: Context,
    begun: Instant,
    /// Attributes of the metrics, to which the end adds its own.
    attributes: Vec<KeyValue>,
    duration: &'static Histogram,
    active: Option<(&'static UpDownCounter<i64>, Vec<KeyValue>)>,
    ended: bool,
}

impl Exchange {
    /// Begins the span below `parent`, if spans are recorded.
    pub(crate) fn begin(
        name: String,
        kind: SpanKind,
        parent: Context,
        span: Vec<KeyValue>,
        attributes: Vec<KeyValue>,
        duration: &'static Histogram,
    ) -> Self {
        let context = match global().and_then(|global| global.tracer.as_ref()) {
            None => parent,
            Some(tracer) => {
                let builder = SpanBuilder::from_name(name).with_kind(kind).with_attributes(span);
                let span = tracer.build_with_context(builder, &parent);
                parent.with_span(span)
            }
        };
        Self { context, begun: Instant::now(), attributes, duration, active: None, ended: false }
    }

    /// Counts the request as under way until its end.
    pub(crate) fn active(mut self, counter: &'static UpDownCounter<i64>, attributes: Vec<KeyValue>) -> Self {
        counter.add(1, &attributes);
        self.active = Some((counter, attributes));
        self
    }

    /// Ends with attributes of span and metrics, and an error if it was one.
    pub(crate) fn end(&mut self, outcome: impl IntoIterator<Item = KeyValue>, error: Option<Failure<'_>>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let first = self.attributes.len();
        self.attributes.extend(outcome);
        if let Some(failure) = &error {
            self.attributes.push(KeyValue::new("error.type", failure.kind.clone()));
        }
        self.duration.record_in(&self.context, self.begun.elapsed().as_secs_f64(), &self.attributes);
        if let Some((counter, attributes)) = self.active.take() {
            counter.add(-1, &attributes);
        }
        let span = self.context.span();
        if span.is_recording() {
            span.set_attributes(self.attributes.drain(first..));
            if let Some(failure) = error {
                span.set_status(Status::error(failure.description.to_owned()));
            }
        }
        if global().is_some_and(|global| global.tracer.is_some()) {
            span.end();
        }
    }
}

/// Why it is an error.
pub(crate) struct Failure<'a> {
    /// `error.type`: few different ones.
    pub(crate) kind: opentelemetry::StringValue,
    pub(crate) description: &'a str,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let kind = if std::thread::panicking() { "panic" } else { "cancelled" };
        self.end([], Some(Failure { kind: kind.into(), description: "" }));
    }
}

/// The method as the conventions want it: one of the known ones, or a word for all others, which are strangers' inventions.
pub(crate) fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        "CONNECT" => "CONNECT",
        "TRACE" => "TRACE",
        "QUERY" => "QUERY",
        _ => "_OTHER",
    }
}

/// `network.protocol.version`.
pub(crate) fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    }
}

/// `error.type` of an answer's status.
pub(crate) fn status_kind(status: http::StatusCode) -> opentelemetry::StringValue {
    match status.as_u16() {
        500 => "500".into(),
        503 => "503".into(),
        _ => status.as_str().to_owned().into(),
    }
}
