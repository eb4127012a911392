//! Calls over gRPC, as a layer around the channel of a tonic client: spans and durations by the conventions for RPC, the trace, baggage and correlation id in the metadata. It
//! knows no more of tonic than that its channel is a tower service of `http`.
//!
//! The status of a call stands behind the answer's messages, so a call ends with its answer's body.

use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Buf;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use opentelemetry::trace::SpanKind;
use opentelemetry::{Context, KeyValue};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use crate::export::answer::percent_decoded;
use crate::export::encode::cut_to;
use crate::http::exchange::{Exchange, Failure, status_kind};
use crate::init::global;
use crate::limits::HTTP_TEXT_BYTES_MAX;
use crate::metrics::{DURATION_BOUNDS_S, Histogram, histogram};
use crate::propagate;

fn duration() -> Option<&'static Histogram> {
    static DURATION: OnceLock<Histogram> = OnceLock::new();
    let global = global()?;
    Some(DURATION.get_or_init(|| {
        let duration = histogram(&global.meter, "rpc.client.call.duration").with_unit("s");
        duration.with_description("Duration of outgoing calls").with_boundaries(DURATION_BOUNDS_S).build()
    }))
}

/// Observes every call that goes through the channel inside: `OrdersClient::new(GrpcLayer.layer(channel))`.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrpcLayer;

impl<S> Layer<S> for GrpcLayer {
    type Service = GrpcService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        GrpcService { inner }
    }
}

/// The channel that [`GrpcLayer`] makes.
#[derive(Clone, Debug)]
pub struct GrpcService<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for GrpcService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: std::fmt::Display,
{
    type Response = Response<GrpcBody<R>>;
    type Error = S::Error;
    type Future = GrpcFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let exchange = begin(&request);
        match &exchange {
            Some(exchange) => propagate::inject(&exchange.context, request.headers_mut()),
            None => Context::map_current(|context| propagate::inject(context, request.headers_mut())),
        }
        GrpcFuture { inner: self.inner.call(request), exchange }
    }
}

fn begin<B>(request: &Request<B>) -> Option<Exchange> {
    let duration = duration()?;
    // `/package.Service/Method`, which the generated client knows: nobody's invention.
    let method = cut_to(request.uri().path().trim_start_matches('/'), HTTP_TEXT_BYTES_MAX).to_owned();
    let mut attributes = vec![KeyValue::new("rpc.system.name", "grpc"), KeyValue::new("rpc.method", method.clone())];
    if let Some(authority) = request.uri().authority() {
        attributes.push(KeyValue::new("server.address", authority.host().to_owned()));
        attributes.extend(authority.port_u16().map(|port| KeyValue::new("server.port", i64::from(port))));
    }
    let span = attributes.clone();
    Some(Exchange::begin(method, SpanKind::Client, Context::current(), span, attributes, duration))
}

/// Ends the call if these headers have its status.
fn end_by(exchange: &mut Option<Exchange>, headers: &HeaderMap) {
    let Some(code) = headers.get("grpc-status").and_then(|code| code.to_str().ok()?.parse::<u8>().ok()) else { return };
    let Some(mut exchange) = exchange.take() else { return };
    let message =
        headers.get("grpc-message").and_then(|message| message.to_str().ok()).map(percent_decoded).unwrap_or_default();
    let name = code_name(code);
    let error = (code != 0).then(|| Failure { kind: name.into(), description: &message });
    exchange.end([KeyValue::new("rpc.response.status_code", name)], error);
}

fn code_name(code: u8) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    NAMES.get(usize::from(code)).copied().unwrap_or("UNKNOWN")
}

pin_project! {
    /// The head of the answer to come.
    pub struct GrpcFuture<F> {
        #[pin]
        inner: F,
        exchange: Option<Exchange>,
    }
}

impl<F, R, E: std::fmt::Display> Future for GrpcFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<GrpcBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = {
            let _inside = this.exchange.as_ref().map(|exchange| exchange.context.clone().attach());
            ready!(this.inner.poll(task))
        };
        Poll::Ready(match answer {
            Ok(answer) => {
                // Without messages the status stands in the head.
                end_by(this.exchange, answer.headers());
                if !answer.status().is_success()
                    && let Some(mut exchange) = this.exchange.take()
                {
                    // No gRPC at all, but a proxy or another server.
                    exchange.end([], Some(Failure { kind: status_kind(answer.status()), description: "" }));
                }
                let exchange = this.exchange.take();
                Ok(answer.map(|inner| GrpcBody { inner, exchange }))
            }
            Err(error) => {
                if let Some(mut exchange) = this.exchange.take() {
                    exchange.end([], Some(Failure { kind: "no_answer".into(), description: &error.to_string() }));
                }
                Err(error)
            }
        })
    }
}

pin_project! {
    /// The messages of an answer, and the status behind them.
    pub struct GrpcBody<B> {
        #[pin]
        inner: B,
        exchange: Option<Exchange>,
    }
}

impl<B: Body> Body for GrpcBody<B>
where
    B::Data: Buf,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(task));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    end_by(this.exchange, trailers);
                }
            }
            Some(Err(_)) | None => {
                if let Some(mut exchange) = this.exchange.take() {
                    exchange.end([], Some(Failure { kind: "no_answer".into(), description: "the answer broke off" }));
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_names() {
        for (code, name) in [(0, "OK"), (14, "UNAVAILABLE"), (16, "UNAUTHENTICATED"), (17, "UNKNOWN"), (255, "UNKNOWN")]
        {
            assert_eq!(code_name(code), name);
        }
    }
}
