//! Calls to the next service: a client span, the trace context and the correlation id in the headers, a bound on time.

use anyhow::{Context, bail};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Request, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use tracing::Instrument;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::correlation::CorrelationId;
use crate::limits::{BODY_BYTES_MAX, UPSTREAM_TIMEOUT};
use crate::order::Outcome;
use crate::propagate;

/// One service as seen by its caller.
#[derive(Clone)]
pub(crate) struct Upstream {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    host: String,
    port: i64,
}

impl Upstream {
    /// The service at `http://HOST:PORT`. Does not connect yet: the services may start in any order.
    pub(crate) fn new(base: &str) -> anyhow::Result<Self> {
        let uri: Uri = base.parse().with_context(|| format!("`{base}` is not a URL"))?;
        let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            bail!("`{base}` is not the URL of a service: write http://HOST:PORT");
        };
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            base: base.trim_end_matches('/').to_owned(),
            host: host.to_owned(),
            port: i64::from(uri.port_u16().unwrap_or(80)),
        })
    }

    /// Calls the service inside the current trace. A client span is an error from 400 on, and when nobody answers.
    pub(crate) async fn call(
        &self,
        path: &str,
        correlation: &CorrelationId,
        body: &impl Serialize,
    ) -> anyhow::Result<Outcome> {
        let span = tracing::info_span!(
            "call",
            otel.name = format!("POST {path}"),
            otel.kind = "client",
            otel.status_code = Empty,
            otel.status_description = Empty,
            http.request.method = "POST",
            http.response.status_code = Empty,
            server.address = self.host,
            server.port = self.port,
            url.full = format!("{}{path}", self.base),
            correlation.id = correlation.as_str(),
        );
        let answer = async {
            let mut request = self.request(path, correlation, body)?;
            propagate::inject(&tracing::Span::current().context(), request.headers_mut());
            self.send(request).await
        };
        let answer = answer.instrument(span.clone()).await;
        match &answer {
            Ok((status, _)) => {
                span.record("http.response.status_code", i64::from(status.as_u16()));
                if status.is_client_error() || status.is_server_error() {
                    span.record("otel.status_code", "ERROR");
                }
            }
            Err(error) => {
                span.record("otel.status_code", "ERROR");
                span.record("otel.status_description", format!("{error:#}"));
            }
        }
        answer.map(|(_, outcome)| outcome)
    }

    /// Calls the service from outside, as a customer's browser would: with a correlation id, without a trace.
    pub(crate) async fn knock(
        &self,
        path: &str,
        correlation: &CorrelationId,
        body: &impl Serialize,
    ) -> anyhow::Result<Outcome> {
        let request = self.request(path, correlation, body)?;
        self.send(request).await.map(|(_, outcome)| outcome)
    }

    fn request(
        &self,
        path: &str,
        correlation: &CorrelationId,
        body: &impl Serialize,
    ) -> anyhow::Result<Request<Full<Bytes>>> {
        let body = serde_json::to_vec(body).context("cannot write the request")?;
        Request::post(format!("{}{path}", self.base))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(CorrelationId::HEADER, correlation.as_str())
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
