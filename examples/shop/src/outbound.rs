//! Calls to the next service: observed by the SDK, which hands the trace and the correlation id on, with a bound on time.

use anyhow::{Context, bail};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use sextant_sdk::correlation;
use sextant_sdk::http::Call;

use crate::limits::{BODY_BYTES_MAX, UPSTREAM_TIMEOUT};
use crate::order::Outcome;

/// One service as seen by its caller.
#[derive(Clone)]
pub(crate) struct Upstream {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
}

impl Upstream {
    /// The service at `http://HOST:PORT`. Does not connect yet: the services may start in any order.
    pub(crate) fn new(base: &str) -> anyhow::Result<Self> {
        let uri: Uri = base.parse().with_context(|| format!("`{base}` is not a URL"))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            bail!("`{base}` is not the URL of a service: write http://HOST:PORT");
        }
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            base: base.trim_end_matches('/').to_owned(),
        })
    }

    /// Calls the service inside the current trace. `path` is one of few.
    pub(crate) async fn call(&self, path: &'static str, body: &impl Serialize) -> anyhow::Result<Outcome> {
        let mut request = self.request(path, body)?;
        let call = Call::to(path, request.method(), &request.uri().to_string());
        call.inject(request.headers_mut());
        let exchange = async { self.send(request).await.map_err(Whole) };
        let answer = call.run(exchange, |(status, _)| *status).await;
        answer.map(|(_, outcome)| outcome).map_err(|Whole(error)| error)
    }

    /// Calls the service from outside, as a customer's browser would: with a correlation id, without a trace.
    pub(crate) async fn knock(&self, path: &str, id: &str, body: &impl Serialize) -> anyhow::Result<Outcome> {
        let mut request = self.request(path, body)?;
        let id = HeaderValue::from_str(id).context("the id is no header")?;
        request.headers_mut().insert(correlation::HEADER, id);
        self.send(request).await.map(|(_, outcome)| outcome)
    }

    fn request(&self, path: &str, body: &impl Serialize) -> anyhow::Result<Request<Full<Bytes>>> {
        let body = serde_json::to_vec(body).context("cannot write the request")?;
        Request::post(format!("{}{path}", self.base))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Full::from(body))
            .context("cannot build the request")
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Outcome)> {
        let uri = request.uri().clone();
        let exchange = async {
            let response = self.client.request(request).await.with_context(|| format!("no answer from {uri}"))?;
            let status = response.status();
            let body = Limited::new(response.into_body(), BODY_BYTES_MAX).collect().await;
            let body = body.map_err(anyhow::Error::from_boxed).with_context(|| format!("half an answer from {uri}"))?;
            let outcome = serde_json::from_slice(&body.to_bytes())
                .with_context(|| format!("{uri} answered {status}, and no outcome"))?;
            Ok((status, outcome))
        };
        let answer = tokio::time::timeout(UPSTREAM_TIMEOUT, exchange).await;
        answer.unwrap_or_else(|_| bail!("{uri} did not answer within {UPSTREAM_TIMEOUT:?}"))
    }
}

/// An error that says its causes too: the span has one line for it.
struct Whole(anyhow::Error);

impl std::fmt::Display for Whole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}
