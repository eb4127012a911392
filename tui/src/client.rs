//! The one HTTP client: asks a Sextant server and gives its answers as the types of `model::wire`.
//!
//! HTTP/1.1 without TLS, connections are kept and reused. Every wait and every body has a bound; what streams (rows,
//! events) is read as it comes. Used by the command line's readers, the end-to-end tests, the campaigns, and the
//! dashboard.

mod error;
mod events;
mod lines;
mod rows;
mod url;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use model::wire::alerts::{Alerts, Notifications, Rules};
use model::wire::correlate::Correlation;
use model::wire::counts::{Histogram, Services};
use model::wire::error::ErrorBody;
use model::wire::prom;
use model::wire::status::Status;
use model::wire::traces::Trace;
use serde::de::DeserializeOwned;

pub use error::{ClientError, Kind, Refusal};
pub use events::{Event, Events};
pub use rows::{Row, Rows, RowsRequest};
pub use url::{BaseUrl, Params, segment};

use lines::Lines;

/// An answer that is taken as a whole. A trace of 10,000 spans is some 10 MiB; more than this would only fill memory.
pub const BODY_BYTES_MAX: usize = 256 << 20;

/// One line of a streamed answer: a record may be as large as the receivers let in, and JSON escapes make it longer.
pub const LINE_BYTES_MAX: usize = 64 << 20;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How the client behaves; the default suits a person who waits.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Sent as `Authorization: Bearer`.
    pub token: Option<String>,
    /// How long the server may be silent: until the answer begins, and between its pieces.
    pub silence_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { token: None, silence_max: Duration::from_secs(60) }
    }
}

/// A server's client. Cheap to clone: clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: HyperClient<HttpConnector, Full<Bytes>>,
    base: BaseUrl,
    authorization: Option<HeaderValue>,
    silence_max: Duration,
}

/// An answer as it came, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The media type; empty if the server named none.
    pub content_type: String,
    /// The whole body.
    pub body: Bytes,
}

impl Client {
    /// A client for the server at `url`. Connects when something is asked.
    pub fn new(url: &str, settings: Settings) -> Result<Self, ClientError> {
        let base = BaseUrl::parse(url)?;
        let authorization = settings.token.as_deref().map(bearer).transpose()?;
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_nodelay(true);
        let http = HyperClient::builder(TokioExecutor::new()).build(connector);
        Ok(Self { http, base, authorization, silence_max: settings.silence_max })
    }

    /// The server's address.
    pub fn url(&self) -> &BaseUrl {
        &self.base
    }

    /// Stored records.
    pub async fn rows<R: Row>(&self, request: &RowsRequest) -> Result<Rows<R>, ClientError> {
        let lines = self.lines(R::PATH, &request.params(), "application/x-ndjson", Some(self.silence_max)).await?;
        Ok(Rows::new(lines))
    }

    /// Log records that match `query`, as they are committed. The stream may be silent for as long as there are none.
    pub async fn tail(&self, query: &str) -> Result<Events, ClientError> {
        self.tail_from(query, None).await
    }

    /// [`Client::tail`], from behind the record that was committed as number `cursor`.
    pub async fn tail_from(&self, query: &str, cursor: Option<u64>) -> Result<Events, ClientError> {
        let params = Params::new()
            .with_some("query", (!query.is_empty()).then_some(query))
            .with_some("cursor", cursor.map(|cursor| cursor.to_string()));
        let lines = self.lines("/api/v1/logs/tail", &params, "text/event-stream", None).await?;
        Ok(Events::new(lines))
    }

    /// Records over time: `path` is `/api/v1/logs/histogram` or `/api/v1/spans/histogram`.
    pub async fn histogram(
        &self,
        path: &str,
        query: &str,
        start: &str,
        end: &str,
        buckets: usize,
    ) -> Result<Histogram, ClientError> {
        let params = Params::new()
            .with_some("query", (!query.is_empty()).then_some(query))
            .with("start", start)
            .with("end", end)
            .with("buckets", buckets.to_string());
        self.get(path, &params).await
    }

    /// Every service with rate, errors and durations; rates in `steps` steps.
    pub async fn services(&self, start: &str, end: &str, steps: usize) -> Result<Services, ClientError> {
        let params = Params::new().with("start", start).with("end", end).with("steps", steps.to_string());
        self.get("/api/v1/services", &params).await
    }

    /// Rules by group, in Prometheus's envelope.
    pub async fn rules(&self) -> Result<prom::Response<Rules>, ClientError> {
        self.get("/api/v1/rules", &Params::new()).await
    }

    /// Pending and firing alerts, in Prometheus's envelope.
    pub async fn alerts(&self) -> Result<prom::Response<Alerts>, ClientError> {
        self.get("/api/v1/alerts", &Params::new()).await
    }

    /// What waits to be delivered.
    pub async fn notifications(&self) -> Result<Notifications, ClientError> {
        self.get("/api/v1/notifications", &Params::new()).await
    }

    /// One trace, assembled.
    pub async fn trace(&self, id: &str) -> Result<Trace, ClientError> {
        self.get(&format!("/api/v1/traces/{}", segment(id)), &Params::new()).await
    }

    /// Everything about a trace id or correlation id.
    pub async fn correlate(&self, id: &str) -> Result<Correlation, ClientError> {
        self.get(&format!("/api/v1/correlate/{}", segment(id)), &Params::new()).await
    }

    /// What runs and how far it is.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("/api/v1/status", &Params::new()).await
    }

    /// Prometheus's `query`: an expression at one moment, now by default.
    pub async fn query(
        &self,
        expression: &str,
        time: Option<&str>,
    ) -> Result<prom::Response<prom::QueryData>, ClientError> {
        self.get("/api/v1/query", &Params::new().with("query", expression).with_some("time", time)).await
    }

    /// Prometheus's `query_range`: an expression over time.
    pub async fn query_range(
        &self,
        expression: &str,
        start: &str,
        end: &str,
        step: &str,
    ) -> Result<prom::Response<prom::QueryData>, ClientError> {
        let params = Params::new().with("query", expression).with("start", start).with("end", end).with("step", step);
        self.get("/api/v1/query_range", &params).await
    }

    /// Prometheus's values of a label.
    pub async fn label_values(&self, label: &str) -> Result<prom::Response<Vec<String>>, ClientError> {
        self.get(&format!("/api/v1/label/{}/values", segment(label)), &Params::new()).await
    }

    /// Asks any path for JSON.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, params: &Params) -> Result<T, ClientError> {
        let response = self.send(Method::GET, path, params, ("application/json", None), Bytes::new()).await?;
        let body = self.whole(accepted(response, path).await?, path).await?;
        serde_json::from_slice(&body).map_err(|source| ClientError::BadAnswer { path: path.to_owned(), source })
    }

    /// Asks any path and gives the answer as it came, errors too.
    pub async fn fetch(&self, path: &str, params: &Params) -> Result<Answer, ClientError> {
        let response = self.send(Method::GET, path, params, ("*/*", None), Bytes::new()).await?;
        self.answer(response, path).await
    }

    /// Posts `body` to any path and gives the answer as it came, errors too.
    pub async fn post(&self, path: &str, content_type: &str, body: Bytes) -> Result<Answer, ClientError> {
        let response = self.send(Method::POST, path, &Params::new(), ("*/*", Some(content_type)), body).await?;
        self.answer(response, path).await
    }

    async fn lines(
        &self,
        path: &str,
        params: &Params,
        accept: &str,
        silence_max: Option<Duration>,
    ) -> Result<Lines, ClientError> {
        let response = self.send(Method::GET, path, params, (accept, None), Bytes::new()).await?;
        let body = accepted(response, path).await?;
        Ok(Lines::new(body, path.to_owned(), self.base.to_string(), silence_max))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        params: &Params,
        (accept, content_type): (&str, Option<&str>),
        body: Bytes,
    ) -> Result<Response<Incoming>, ClientError> {
        let bad_url = |_| ClientError::BadUrl { url: self.base.to_string(), reason: "it cannot be read" };
        let mut request = Request::builder().method(method).uri(self.base.join(path, params)).header(ACCEPT, accept);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::new(body)).map_err(bad_url)?;
        match tokio::time::timeout(self.silence_max, self.http.request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(source)) => Err(ClientError::Unreachable { url: self.base.to_string(), source }),
            Err(_) => Err(ClientError::Timeout { url: self.base.to_string(), waited: self.silence_max }),
        }
    }

    async fn answer(&self, response: Response<Incoming>, path: &str) -> Result<Answer, ClientError> {
        let status = response.status().as_u16();
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let body = self.whole(response.into_body(), path).await?;
        Ok(Answer { status, content_type, body })
    }

    async fn whole(&self, body: Incoming, path: &str) -> Result<Bytes, ClientError> {
        // The bound on silence holds for the whole here: an answer that is taken as one piece is not long.
        match tokio::time::timeout(self.silence_max, read_bounded(body, path, BODY_BYTES_MAX)).await {
            Ok(read) => read,
            Err(_) => Err(ClientError::Timeout { url: self.base.to_string(), waited: self.silence_max }),
        }
    }
}

fn bearer(token: &str) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| ClientError::BadToken)?;
    value.set_sensitive(true);
    Ok(value)
}

async fn read_bounded(body: Incoming, path: &str, limit: usize) -> Result<Bytes, ClientError> {
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ClientError::TooLarge { path: path.to_owned(), limit }),
        Err(error) => Err(ClientError::CutOff { path: path.to_owned(), source: error.downcast().ok().map(|e| *e) }),
    }
}

// The body of a successful answer; a refusal's is read and becomes the error.
async fn accepted(response: Response<Incoming>, path: &str) -> Result<Incoming, ClientError> {
    if response.status().is_success() {
        return Ok(response.into_body());
    }
    const REFUSAL_BYTES_MAX: usize = 64 << 10;
    let status = response.status();
    // A refusal whose body cannot be read is still a refusal.
    let body = read_bounded(response.into_body(), path, REFUSAL_BYTES_MAX).await.unwrap_or_default();
    let mut refusal = refusal_of(&body);
    refusal.status = status.as_u16();
    if refusal.message.is_empty() {
        refusal.message = status.to_string();
    }
    Err(ClientError::Refused { path: path.to_owned(), refusal: Box::new(refusal) })
}

// Sextant's own form first, then Prometheus's, then whatever text there is.
fn refusal_of(body: &[u8]) -> Refusal {
    if let Ok(ErrorBody { error }) = serde_json::from_slice(body) {
        let model::wire::error::ErrorDetail { code, message, position, hint } = error;
        return Refusal { status: 0, code, message, position, hint };
    }
    if let Ok(response) = serde_json::from_slice::<prom::Response<serde_json::Value>>(body) {
        let (code, message) = (response.error_type.unwrap_or_default(), response.error.unwrap_or_default());
        return Refusal { code, message, ..Refusal::default() };
    }
    let text = String::from_utf8_lossy(body);
    let message = text.lines().next().unwrap_or_default().chars().take(300).collect();
    Refusal { message, ..Refusal::default() }
}

#[cfg(test)]
mod tests;
