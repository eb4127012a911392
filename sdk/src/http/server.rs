//! The server's side as a layer for axum and tower.
//!
//! The span and the duration end with the head of the answer: a body that is streamed for an hour is not a slow request.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context as TaskContext, Poll, ready};

use http::header::{HOST, HeaderValue, USER_AGENT};
use http::{Request, Response};
use opentelemetry::metrics::UpDownCounter;
use opentelemetry::trace::SpanKind;
use opentelemetry::{Context, KeyValue};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::exchange::{Exchange, Failure, method, status_kind, version};
use crate::correlation::CorrelationId;
use crate::export::encode::cut_to;
use crate::guard::Guard;
use crate::init::{Global, global};
use crate::limits::HTTP_TEXT_BYTES_MAX;
use crate::metrics::{DURATION_BOUNDS_S, Histogram, histogram};
use crate::propagate;

/// What servers measure. Made when the first request comes, by which time `init` has been called or nothing is measured.
struct Instruments {
    duration: Histogram,
    active: UpDownCounter<i64>,
}

fn instruments(global: &Global) -> &'static Instruments {
    static INSTRUMENTS: OnceLock<Instruments> = OnceLock::new();
    INSTRUMENTS.get_or_init(|| {
        let meter = &global.meter;
        let duration = histogram(meter, "http.server.request.duration")
            .with_unit("s")
            .with_description("Duration of HTTP server requests");
        let active = meter
            .i64_up_down_counter("http.server.active_requests")
            .with_unit("{request}")
            .with_description("Requests under way");
        Instruments { duration: duration.with_boundaries(DURATION_BOUNDS_S).build(), active: active.build() }
    })
}

/// Observes every request of the service inside. In axum, [`axum::Router::layer`](https://docs.rs/axum/latest/axum/struct.Router.html#method.layer) puts it around a router, and
/// `route_layer` around the routes only, so that paths that strangers try are not observed.
///
/// Handlers find the [`CorrelationId`] among the request's extensions, and everything else by the current context. Without [`crate::init()`] it does nothing.
#[derive(Clone, Debug, Default)]
pub struct ServerLayer {
    guard: Option<Arc<Guard>>,
}

impl ServerLayer {
    /// The layer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the guard for as long as the service inside lives.
    pub fn holding(mut self, guard: Guard) -> Self {
        self.guard = Some(Arc::new(guard));
        self
    }
}

impl<S> Layer<S> for ServerLayer {
    type Service = ServerService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ServerService { inner, _guard: self.guard.clone() }
    }
}

/// The service that [`ServerLayer`] makes.
#[derive(Clone, Debug)]
pub struct ServerService<S> {
    // In the order in which they end: the service, and then what it was observed by.
    inner: S,
    _guard: Option<Arc<Guard>>,
}

impl<S, B, R> Service<Request<B>> for ServerService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ServerFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(global) = global() else { return ServerFuture { inner: self.inner.call(request), served: None } };
        let (exchange, correlation) = begin(global, &request);
        request.extensions_mut().insert(correlation.clone());
        let inner = {
            let _inside = exchange.context.clone().attach();
            self.inner.call(request)
        };
        ServerFuture { inner, served: Some((exchange, correlation)) }
    }
}

fn begin<B>(global: &'static Global, request: &Request<B>) -> (Exchange, CorrelationId) {
    let parent = propagate::extract(request.headers());
    let (parent, correlation) = match CorrelationId::of(&parent) {
        Some(id) => (id.in_context(&parent), id),
        None => {
            let made = CorrelationId::make();
            (made.in_context(&parent), made)
        }
    };
    let method = method(request.method());
    let scheme = if request.uri().scheme_str() == Some("https") { "https" } else { "http" };
    let route = route(request);
    let name = route.as_ref().map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    let under_way = vec![KeyValue::new("http.request.method", method), KeyValue::new("url.scheme", scheme)];
    let mut attributes = Vec::with_capacity(6);
    attributes.extend(under_way.iter().cloned());
    attributes.push(KeyValue::new("network.protocol.version", version(request.version())));
    if let Some(route) = route {
        attributes.push(KeyValue::new("http.route", route));
    }
    let mut span = Vec::with_capacity(12);
    span.extend(attributes.iter().cloned());
    describe(request, method, &mut span);
    let instruments = instruments(global);
    let exchange = Exchange::begin(name, SpanKind::Server, parent, span, attributes, &instruments.duration);
    (exchange.active(&instruments.active, under_way), correlation)
}

/// What a span has and metrics have not, since strangers choose it.
fn describe<B>(request: &Request<B>, known: &'static str, span: &mut Vec<KeyValue>) {
    let own = |text: &str| cut_to(text, HTTP_TEXT_BYTES_MAX).to_owned();
    span.push(KeyValue::new("url.path", own(request.uri().path())));
    if let Some(query) = request.uri().query().filter(|query| !query.is_empty()) {
        span.push(KeyValue::new("url.query", own(query)));
    }
    if known == "_OTHER" {
        span.push(KeyValue::new("http.request.method_original", own(request.method().as_str())));
    }
    let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if let Some(host) = header(HOST).or_else(|| request.uri().authority().map(|authority| authority.as_str())) {
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port.parse::<u16>().ok()),
            _ => (host, None),
        };
        span.push(KeyValue::new("server.address", own(host)));
        span.extend(port.map(|port| KeyValue::new("server.port", i64::from(port))));
    }
    if let Some(agent) = header(USER_AGENT) {
        span.push(KeyValue::new("user_agent.original", own(agent)));
    }
}

/// The template of the route that was taken.
#[cfg(feature = "axum")]
fn route<B>(request: &Request<B>) -> Option<Arc<str>> {
    request.extensions().get::<axum::extract::MatchedPath>().map(|path| path.as_str().into())
}

/// Only axum says it.
#[cfg(not(feature = "axum"))]
fn route<B>(_: &Request<B>) -> Option<Arc<str>> {
    None
}

pin_project! {
    /// The answer to come, polled in the request's context.
    pub struct ServerFuture<F> {
        #[pin]
        inner: F,
        served: Option<(Exchange, CorrelationId)>,
    }
}

impl<F> std::fmt::Debug for ServerFuture<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerFuture").finish_non_exhaustive()
    }
}

impl<F, R, E> Future for ServerFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some((exchange, correlation)) = this.served.as_mut() else { return this.inner.poll(task) };
        let mut answer = {
            let _inside: opentelemetry::ContextGuard = Context::attach(exchange.context.clone());
            ready!(this.inner.poll(task))
        };
        match &mut answer {
            Ok(response) => {
                let status = response.status();
                // By the conventions a server's span is an error from 500 on: a refused order is the customer's trouble, not the server's.
                let error = status.is_server_error().then(|| Failure { kind: status_kind(status), description: "" });
                exchange.end([KeyValue::new("http.response.status_code", i64::from(status.as_u16()))], error);
                // Who calls can name the request when something is wrong with it.
                if let (Some(name), Ok(value)) = (
                    global().and_then(|global| global.correlation_headers.first()),
                    HeaderValue::from_str(correlation.as_str()),
                ) {
                    response.headers_mut().entry(name).or_insert(value);
                }
            }
            Err(_) => exchange.end(
                [],
                Some(Failure { kind: "service_error".into(), description: "the service failed without an answer" }),
            ),
        }
        Poll::Ready(answer)
    }
}
