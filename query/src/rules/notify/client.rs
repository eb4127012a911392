//! One attempt to hand a notification to its webhook: look up, judge, connect to the very address that was judged, send once,
//! read the answer. Follows no redirect, keeps no connection, and says of secrets nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{HeaderMap, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use model::{Clock, Timestamp, tls};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::guard::{Guard, Refused};
use super::limits::{ANSWER_BYTES_MAX, ANSWER_CHARACTERS_TOLD, ATTEMPT_TIMEOUT, CONNECT_TIMEOUT};
use super::receiver::{Authorization, HttpConfig, Secret, Webhook, parse_url, port};
use super::webhook::signature;

/// The header with the key that is the same in every attempt.
pub const KEY_HEADER: &str = "x-sextant-idempotency-key";
/// The header that proves who sent a body.
pub const SIGNATURE_HEADER: &str = "x-sextant-signature";

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A word for counters.
    pub kind: &'static str,
    /// What happened, without secrets.
    pub message: String,
    /// Whether trying again is useless.
    pub permanent: bool,
    /// How long the receiver asks us to wait.
    pub retry_after: Option<Duration>,
}

impl Failure {
    fn new(kind: &'static str, message: impl Into<String>) -> Failure {
        Failure { kind, message: message.into(), permanent: false, retry_after: None }
    }
}

/// Makes attempts. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    /// Who may be called.
    pub guard: Guard,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The header `User-Agent`.
    pub user_agent: String,
}

// What a webhook's configuration comes to when its files are read.
struct Revealed {
    url: Uri,
    authorization: Option<HeaderValue>,
    hmac: Option<String>,
    // Texts that must not be told.
    secrets: Vec<String>,
}

impl Client {
    /// Hands a body over. `Ok` means that the receiver said it has it.
    pub async fn deliver(&self, webhook: &Arc<Webhook>, body: &Arc<str>, key: &str) -> Result<(), Failure> {
        let limit = webhook.timeout.unwrap_or(ATTEMPT_TIMEOUT);
        let late = self.clock.sleep_until(self.clock.monotonic() + limit);
        tokio::select! {
            result = self.attempt(webhook, body, key) => result,
            () = late => Err(Failure::new("timeout", format!("no answer within {} s", limit.as_secs_f64()))),
        }
    }

    async fn attempt(&self, webhook: &Arc<Webhook>, body: &Arc<str>, key: &str) -> Result<(), Failure> {
        let revealed = {
            let webhook = Arc::clone(webhook);
            let read = tokio::task::spawn_blocking(move || reveal(&webhook)).await;
            read.unwrap_or_else(|_| Err(Failure::new("secret", "the receiver's secrets cannot be read")))?
        };
        let request = self.request(&revealed, body, key)?;
        let answer = {
            let late = self.clock.sleep_until(self.clock.monotonic() + CONNECT_TIMEOUT);
            let connection = tokio::select! {
                connection = self.connect(&revealed.url, &webhook.http) => connection?,
                () = late => {
                    let message = format!("no connection within {} s", CONNECT_TIMEOUT.as_secs());
                    return Err(Failure::new("timeout", message));
                }
            };
            exchange(connection, request).await?
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        if status.is_success() {
            // It has what it needs; what it says about it does not matter, but closing on it would look like an error.
            let _ = beginning(answer).await;
            return Ok(());
        }
        let said = beginning(answer).await.unwrap_or_default();
        Err(self.refusal(status, &headers, &said, &revealed.secrets))
    }

    fn request(&self, revealed: &Revealed, body: &Arc<str>, key: &str) -> Result<Request<Full<Bytes>>, Failure> {
        let path = revealed.url.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::post(path)
            .header(HOST, revealed.url.authority().map_or("", |authority| authority.as_str()))
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, &self.user_agent)
            .header(KEY_HEADER, key);
        if let Some(authorization) = &revealed.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(secret) = &revealed.hmac {
            request = request.header(SIGNATURE_HEADER, signature(secret, body.as_bytes()));
        }
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        request.body(body).map_err(|_| Failure::new("secret", "the request cannot be put together"))
    }

    async fn connect(&self, url: &Uri, http: &HttpConfig) -> Result<Box<dyn Stream>, Failure> {
        let host = url.host().unwrap_or_default();
        let addresses = self.guard.addresses(host, port(url)).await.map_err(|refused| {
            let kind =
                if matches!(refused, Refused::Address { .. } | Refused::Host { .. }) { "refused" } else { "lookup" };
            let hint = if kind == "refused" { "; rules.allowed_receivers can allow it" } else { "" };
            Failure::new(kind, format!("{}{hint}", chain(&refused)))
        })?;
        let stream = connect_any(host, &addresses).await?;
        if url.scheme_str() != Some("https") {
            return Ok(Box::new(stream));
        }
        let failed = |reason: String| Failure::new("tls", format!("no TLS with {host}: {reason}"));
        let config = match &http.tls {
            Some(config) => Arc::clone(config),
            None => {
                let read = tokio::task::spawn_blocking(tls::default_config).await;
                read.unwrap_or_else(|error| Err(error.to_string())).map_err(failed)?
            }
        };
        let name = http.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.trim_start_matches('[').trim_end_matches(']').to_owned());
        let name = name.map_err(|error| failed(error.to_string()))?;
        let connector = tokio_rustls::TlsConnector::from(config);
        Ok(Box::new(connector.connect(name, stream).await.map_err(|error| failed(error.to_string()))?))
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap, said: &[u8], secrets: &[String]) -> Failure {
        let mut message = format!("the receiver answered {status}");
        if status.is_redirection() {
            message.push_str(", and redirects are not followed");
        }
        let said = told(said, secrets);
        if !said.is_empty() {
            message.push_str(": ");
            message.push_str(&said);
        }
        let waits = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let asked = headers.get(RETRY_AFTER).filter(|_| waits).and_then(|value| value.to_str().ok());
        Failure {
            kind: kind_of(status),
            message,
            permanent: is_permanent(status),
            retry_after: asked.and_then(|value| retry_after(value, self.clock.now())),
        }
    }
}

/// Whether the receiver will never take this body. Everything else may be mended where the receiver is: a proxy that is
/// being deployed says 404, a token that ran out 401.
pub fn is_permanent(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 405 | 410 | 413 | 414 | 415 | 422 | 431)
}

fn kind_of(status: StatusCode) -> &'static str {
    match status.as_u16() {
        429 => "throttled",
        300..400 => "redirect",
        400..500 => "status_4xx",
        500..600 => "status_5xx",
        _ => "status_other",
    }
}

/// The wait that `Retry-After` asks for: seconds, or a date.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    // Sun, 06 Nov 1994 08:49:37 GMT; the two older forms are no longer sent.
    let parts: Vec<&str> = value.split_ascii_whitespace().collect();
    let [weekday, day, month, year, time, "GMT"] = parts[..] else { return None };
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    if !weekday.ends_with(',') || year.len() != 4 || day.len() != 2 {
        return None;
    }
    let moment = Timestamp::parse(&format!("{year}-{month:02}-{day}T{time}Z"), now).ok()?;
    let wait = moment.as_nanos().saturating_sub(now.as_nanos()).max(0);
    Some(Duration::from_nanos(u64::try_from(wait).unwrap_or(0)))
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect_any(host: &str, addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
    let mut reason = String::new();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // A request is one write; without this its end waits for the receiver's acknowledgement.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => reason = format!("{address}: {error}"),
        }
    }
    Err(Failure::new("connect", format!("cannot connect to {host} at {reason}")))
}

// Sends the request and waits for the head of the answer. The connection ends with the answer.
async fn exchange(stream: Box<dyn Stream>, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
    let failed = |error: hyper::Error| Failure::new("reset", format!("the connection broke: {}", chain(&error)));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // Driven by a task of its own, which ends with its handle.
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        let _ = connection.await;
    });
    let response = sender.send_request(request).await.map_err(failed)?;
    Ok(Answer { response, _connection: tasks })
}

struct Answer {
    response: Response<Incoming>,
    _connection: tokio::task::JoinSet<()>,
}

impl Answer {
    fn status(&self) -> StatusCode {
        self.response.status()
    }

    fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }
}

// The beginning of an answer's body.
async fn beginning(mut answer: Answer) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(frame) = answer.response.body_mut().frame().await {
        if let Some(data) = frame.ok()?.data_ref() {
            bytes.extend_from_slice(&data[..data.len().min(ANSWER_BYTES_MAX - bytes.len())]);
        }
        if bytes.len() >= ANSWER_BYTES_MAX {
            break;
        }
    }
    Some(bytes)
}

// What of an answer may be told: its first words, harmless and without our own secrets.
fn told(said: &[u8], secrets: &[String]) -> String {
    let mut text = String::from_utf8_lossy(said).into_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret.as_str(), "<secret>");
    }
    let harmless = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let cut: String = harmless.take(ANSWER_CHARACTERS_TOLD).collect();
    cut.trim().to_owned()
}

fn reveal(webhook: &Webhook) -> Result<Revealed, Failure> {
    let read = |secret: &Secret| {
        secret.reveal().map_err(|error| Failure::new("secret", format!("a secret's file cannot be read: {error}")))
    };
    let text = read(&webhook.url)?;
    let url = parse_url(&text).map_err(|reason| Failure::new("url", reason))?;
    let hmac = webhook.hmac.as_ref().map(read).transpose()?;
    if hmac.as_ref().is_some_and(String::is_empty) {
        return Err(Failure::new("secret", "the file of hmac_secret is empty"));
    }
    let mut secrets = vec![text];
    secrets.extend(url.path_and_query().map(ToString::to_string).filter(|path| path.len() > 1));
    secrets.extend(hmac.clone());
    let header = match &webhook.http.authorization {
        Authorization::Absent => None,
        Authorization::Basic(user, password) => {
            let password = read(password)?;
            let encoded = STANDARD.encode(format!("{user}:{password}"));
            secrets.extend([password, encoded.clone()]);
            Some(format!("Basic {encoded}"))
        }
        Authorization::Scheme(scheme, credentials) => {
            let credentials = read(credentials)?;
            secrets.push(credentials.clone());
            Some(format!("{scheme} {credentials}"))
        }
    };
    let authorization = header.map(|text| {
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| Failure::new("secret", "the receiver's credentials do not fit into a header"))?;
        value.set_sensitive(true);
        Ok(value)
    });
    Ok(Revealed { url, authorization: authorization.transpose()?, hmac, secrets })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
