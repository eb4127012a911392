//! The client's side: a layer for clients that are tower services of `http` (hyper's, and tonic's channels as far as HTTP goes), and the same by hand for those that are not, as
//! reqwest's.

use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context as TaskContext, Poll, ready};

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use opentelemetry::trace::SpanKind;
use opentelemetry::{Context, KeyValue};
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::exchange::{Exchange, Failure, method, status_kind, version};
use crate::export::encode::cut_to;
use crate::init::global;
use crate::limits::HTTP_TEXT_BYTES_MAX;
use crate::metrics::{DURATION_BOUNDS_S, Histogram, histogram};
use crate::propagate;

fn duration() -> Option<&'static Histogram> {
    static DURATION: OnceLock<Histogram> = OnceLock::new();
    let global = global()?;
    Some(DURATION.get_or_init(|| {
        let duration = histogram(&global.meter, "http.client.request.duration").with_unit("s");
        duration.with_description("Duration of HTTP client requests").with_boundaries(DURATION_BOUNDS_S).build()
    }))
}

/// One call under way, for clients that no layer fits around. With reqwest:
///
/// ```no_run
/// # async fn example(client: reqwest::Client) -> Result<(), reqwest::Error> {
/// use sextant_sdk::http::Call;
///
/// let mut request = client.get("http://stock/items").build()?;
/// let call = Call::begin(request.method(), request.url().as_str());
/// call.inject(request.headers_mut());
/// let answer = call.run(client.execute(request), |answer| answer.status()).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a call that is not run counts as cancelled"]
pub struct Call(Option<Exchange>);

impl Call {
    /// Begins a call inside the current context.
    pub fn begin(method: &Method, url: &str) -> Self {
        Self::begin_as(None, method, url)
    }

    /// Begins a call to a URL that was made of a template, like `/orders/{id}`, which then is in the name of the span and in the metrics.
    pub fn to(template: &'static str, method: &Method, url: &str) -> Self {
        Self::begin_as(Some(template), method, url)
    }

    fn begin_as(template: Option<&'static str>, of: &Method, url: &str) -> Self {
        let Some(duration) = duration() else { return Self(None) };
        let known = method(of);
        let name = template.map_or_else(|| known.to_owned(), |template| format!("{known} {template}"));
        let mut attributes = Vec::with_capacity(7);
        attributes.push(KeyValue::new("http.request.method", known));
        if let Ok(uri) = url.parse::<Uri>() {
            let https = uri.scheme_str() == Some("https");
            attributes.push(KeyValue::new("server.address", uri.host().unwrap_or_default().to_owned()));
            attributes
                .push(KeyValue::new("server.port", i64::from(uri.port_u16().unwrap_or(if https { 443 } else { 80 }))));
            attributes.push(KeyValue::new("url.scheme", if https { "https" } else { "http" }));
        }
        attributes.extend(template.map(|template| KeyValue::new("url.template", template)));
        let mut span = attributes.clone();
        // Its password and sensitive parameters are hidden when the span is written.
        span.push(KeyValue::new("url.full", cut_to(url, 4 * HTTP_TEXT_BYTES_MAX).to_owned()));
        Self(Some(Exchange::begin(name, SpanKind::Client, Context::current(), span, attributes, duration)))
    }

    /// Tells the callee where it is called from.
    pub fn inject(&self, headers: &mut HeaderMap) {
        match &self.0 {
            Some(exchange) => propagate::inject(&exchange.context, headers),
            None => Context::map_current(|context| propagate::inject(context, headers)),
        }
    }

    /// Makes the call inside its span. `status` reads the answer's. An error of the client is one, and so is a status from 400 on.
    pub async fn run<T, E: std::fmt::Display>(
        self,
        call: impl Future<Output = Result<T, E>>,
        status: impl FnOnce(&T) -> StatusCode,
    ) -> Result<T, E> {
        let Some(mut exchange) = self.0 else { return call.await };
        let answer = opentelemetry::trace::FutureExt::with_context(call, exchange.context.clone()).await;
        match &answer {
            Ok(answer) => end(&mut exchange, status(answer), None),
            Err(error) => fail(&mut exchange, &error.to_string()),
        }
        answer
    }
}

fn end(exchange: &mut Exchange, status: StatusCode, version: Option<&'static str>) {
    let error = (status.is_client_error() || status.is_server_error())
        .then(|| Failure { kind: status_kind(status), description: "" });
    let status = KeyValue::new("http.response.status_code", i64::from(status.as_u16()));
    let version = version.map(|version| KeyValue::new("network.protocol.version", version));
    exchange.end([Some(status), version].into_iter().flatten(), error);
}

fn fail(exchange: &mut Exchange, why: &str) {
    exchange.end([], Some(Failure { kind: "no_answer".into(), description: why }));
}

/// Observes every call of the client inside.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientLayer;

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ClientService { inner }
    }
}

/// The client that [`ClientLayer`] makes.
#[derive(Clone, Debug)]
pub struct ClientService<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for ClientService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: std::fmt::Display,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ClientFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let call = Call::begin(request.method(), &request.uri().to_string());
        call.inject(request.headers_mut());
        ClientFuture { inner: self.inner.call(request), exchange: call.0 }
    }
}

pin_project! {
    /// The answer to come.
    pub struct ClientFuture<F> {
        #[pin]
        inner: F,
        exchange: Option<Exchange>,
    }
}

impl<F, R, E: std::fmt::Display> Future for ClientFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(exchange) = this.exchange else { return this.inner.poll(task) };
        let answer = {
            let _inside = exchange.context.clone().attach();
            ready!(this.inner.poll(task))
        };
        match &answer {
            Ok(answer) => end(exchange, answer.status(), Some(version(answer.version()))),
            Err(error) => fail(exchange, &error.to_string()),
        }
        Poll::Ready(answer)
    }
}
