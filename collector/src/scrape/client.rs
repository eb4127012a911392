//! One question over HTTP/1.1: connect or take the connection of the last time, ask, follow redirects, read the answer within
//! bounds. Says of secrets nothing. Knows of no clock: who calls it decides how long it may take.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderValue, LOCATION, USER_AGENT,
};
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use model::tls;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::config::{Authorization, HttpConfig, Secret};
use crate::limits::SCRAPE_REDIRECTS_MAX;
use crate::pipeline::Reservation;
use crate::receiver::decode::{self, Compression};
use crate::{Refusal, limits};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The word of the counters.
    pub(super) reason: &'static str,
    /// What happened, without secrets.
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// Why nothing came of a question.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The other side's fault, or the way there.
    Failed(Failure),
    /// Our own: there is no room for the answer.
    Refused(Refusal),
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Unanswered::Failed(failure)
    }
}

/// What is asked.
pub(super) struct Question<'q> {
    pub(super) url: &'q Uri,
    pub(super) http: &'q HttpConfig,
    /// Headers besides those of [`HttpConfig`].
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) user_agent: &'q str,
    /// The answer may have so many bytes after decompression, and what names that limit.
    pub(super) bytes_max: u64,
    pub(super) limit: &'static str,
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) content_type: String,
    pub(super) body: Bytes,
}

/// A connection that may be used again.
pub(super) struct Connection {
    to: String,
    sender: SendRequest<Empty<Bytes>>,
    // Drives it, and ends with it.
    _task: JoinSet<()>,
}

/// Asks. `kept` is the connection of the last time, and afterwards that for the next.
pub(super) async fn ask(
    question: &Question<'_>,
    kept: &mut Option<Connection>,
    reservation: Option<&mut Reservation>,
) -> Result<Answer, Unanswered> {
    let secrets = reveal(question.http).await?;
    let (mut url, mut hops) = (question.url.clone(), 0);
    loop {
        // Who we are is told to nobody that an answer names.
        let is_first = url.authority() == question.url.authority() && url.scheme() == question.url.scheme();
        let request = |url: &Uri| request(question, url, secrets.as_ref().filter(|_| is_first));
        let (connection, response) = send(question.http, &url, request, kept.take()).await?;
        let status = response.status();
        if let Some(next) = redirect(&response, &url).filter(|_| question.http.follow_redirects) {
            hops += 1;
            if hops > SCRAPE_REDIRECTS_MAX {
                return Err(Failure::new("redirect", format!("it was redirected {hops} times")).into());
            }
            url = next;
            continue;
        }
        if status.as_u16() != 200 {
            return Err(Failure::new("status", format!("server returned HTTP status {status}")).into());
        }
        let answer = read(question, response, reservation).await?;
        *kept = Some(connection);
        return Ok(answer);
    }
}

// The headers that hold secrets.
struct Revealed {
    authorization: Option<HeaderValue>,
    others: Vec<(String, HeaderValue)>,
}

async fn reveal(http: &HttpConfig) -> Result<Option<Revealed>, Failure> {
    if http.authorization == Authorization::Absent && http.headers.is_empty() {
        return Ok(None);
    }
    let (authorization, headers) = (http.authorization.clone(), http.headers.clone());
    let work = move || -> Result<Revealed, Failure> {
        let read = |secret: &Secret| {
            secret
                .reveal()
                .map_err(|error| Failure::new("secret", format!("the file of a secret cannot be read: {error}")))
        };
        let text = match &authorization {
            Authorization::Absent => None,
            Authorization::Basic(user, password) => {
                Some(format!("Basic {}", STANDARD.encode(format!("{}:{}", read(user)?, read(password)?))))
            }
            Authorization::Scheme(scheme, credentials) => Some(format!("{scheme} {}", read(credentials)?)),
        };
        let value = |text: String| {
            let value = HeaderValue::try_from(text);
            value.map_err(|_| Failure::new("secret", "a secret does not fit into a header"))
        };
        let mut others = Vec::new();
        for (name, secrets) in &headers {
            for secret in secrets {
                others.push((name.clone(), value(read(secret)?)?));
            }
        }
        Ok(Revealed { authorization: text.map(value).transpose()?, others })
    };
    let revealed = tokio::task::spawn_blocking(work).await;
    revealed.unwrap_or_else(|_| Err(Failure::new("secret", "secrets cannot be read"))).map(Some)
}

fn request(question: &Question<'_>, url: &Uri, own: Option<&Revealed>) -> Result<Request<Empty<Bytes>>, Failure> {
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::get(path)
        .header(HOST, url.authority().map_or("", |authority| authority.as_str()))
        .header(USER_AGENT, question.user_agent)
        .header(ACCEPT_ENCODING, if question.http.compression { "gzip" } else { "identity" });
    for (name, value) in &question.headers {
        request = request.header(*name, value);
    }
    if let Some(own) = own {
        if let Some(authorization) = &own.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        for (name, value) in &own.others {
            request = request.header(name, value);
        }
    }
    request.body(Empty::new()).map_err(|_| Failure::new("secret", "the request cannot be put together"))
}

// A connection that was kept may have ended meanwhile: then there is a second attempt with a new one.
async fn send(
    http: &HttpConfig,
    url: &Uri,
    request: impl Fn(&Uri) -> Result<Request<Empty<Bytes>>, Failure>,
    kept: Option<Connection>,
) -> Result<(Connection, Response<Incoming>), Failure> {
    let to = format!("{}://{}", url.scheme_str().unwrap_or("http"), url.authority().map_or("", |to| to.as_str()));
    if let Some(mut connection) = kept.filter(|connection| connection.to == to)
        && connection.sender.ready().await.is_ok()
        && let Ok(response) = connection.sender.send_request(request(url)?).await
    {
        return Ok((connection, response));
    }
    let stream = connect(http, url).await?;
    let broke = |error: hyper::Error| Failure::new("reset", format!("the connection broke: {}", chain(&error)));
    let (sender, driver) = handshake(TokioIo::new(stream)).await.map_err(broke)?;
    let mut task = JoinSet::new();
    task.spawn(async move {
        let _ = driver.await;
    });
    let mut connection = Connection { to, sender, _task: task };
    let response = connection.sender.send_request(request(url)?).await.map_err(broke)?;
    Ok((connection, response))
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(http: &HttpConfig, url: &Uri) -> Result<Box<dyn Stream>, Failure> {
    let is_tls = url.scheme_str() == Some("https");
    let host = url.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await;
    let stream =
        stream.map_err(|error| Failure::new("connect", format!("cannot connect to {host}:{port}: {error}")))?;
    // A request is one write; without this its end waits for an acknowledgement.
    let _ = stream.set_nodelay(true);
    if !is_tls {
        return Ok(Box::new(stream));
    }
    let failed = |reason: String| Failure::new("tls", format!("no TLS with {host}: {reason}"));
    let config = match &http.tls.config {
        Some(config) => config.clone(),
        None => {
            let read = tokio::task::spawn_blocking(tls::default_config).await;
            read.unwrap_or_else(|error| Err(error.to_string())).map_err(failed)?
        }
    };
    let name = http.tls.server_name.as_deref().unwrap_or(host).to_owned();
    let name = ServerName::try_from(name).map_err(|error| failed(error.to_string()))?;
    let connector = tokio_rustls::TlsConnector::from(config);
    Ok(Box::new(connector.connect(name, stream).await.map_err(|error| failed(error.to_string()))?))
}

// Where an answer leads, if it does.
fn redirect(response: &Response<Incoming>, from: &Uri) -> Option<Uri> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    resolve(from, response.headers().get(LOCATION)?.to_str().ok()?)
}

fn resolve(from: &Uri, location: &str) -> Option<Uri> {
    let (scheme, authority) = (from.scheme_str()?, from.authority()?.as_str());
    let text = if location.contains("://") {
        location.to_owned()
    } else if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    };
    text.parse().ok().filter(|uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
}

async fn read(
    question: &Question<'_>,
    response: Response<Incoming>,
    reservation: Option<&mut Reservation>,
) -> Result<Answer, Unanswered> {
    let text = |name| {
        let value = response.headers().get(name);
        value.map_or(String::new(), |value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let (content_type, encoding) = (text(CONTENT_TYPE), text(CONTENT_ENCODING));
    let compression = Compression::of_header(&encoding);
    let compression =
        compression.filter(|compression| matches!(compression, Compression::Identity | Compression::Gzip));
    let unknown =
        || Failure::new("encoding", format!("the answer's encoding is {encoding:?}, which was not asked for"));
    let compression = compression.ok_or_else(unknown)?;
    let (bytes_max, limit) = (question.bytes_max, question.limit);
    let too_large = || Failure::new("body_size_limit", format!("the answer has more than {bytes_max} bytes: {limit}"));
    let mut reservation = reservation;
    let mut reserve = |more: usize| reservation.as_mut().map_or(Ok(()), |reservation| reservation.grow(more));
    let (mut body, mut bytes) = (response.into_body(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Failure::new("reset", format!("the answer ended early: {}", chain(&error))))?;
        let Some(data) = frame.data_ref() else { continue };
        if (bytes.len() + data.len()) as u64 > bytes_max {
            return Err(too_large().into());
        }
        reserve(data.len()).map_err(Unanswered::Refused)?;
        bytes.extend_from_slice(data);
    }
    let bytes = Bytes::from(bytes);
    if compression == Compression::Identity {
        return Ok(Answer { content_type, body: bytes });
    }
    let inflate = |bytes, reserve: &mut dyn FnMut(usize) -> Result<(), Refusal>| {
        decode::decompress(compression, bytes, bytes_max, reserve)
    };
    let body = match bytes.len() {
        short if short <= limits::INLINE_COMPRESSED_BYTES_MAX => inflate(bytes, &mut reserve),
        // Whoever decompresses much keeps others waiting: the runtime moves them to another thread where it can.
        _ => aside(|| inflate(bytes, &mut reserve)),
    };
    match body {
        Ok(body) => Ok(Answer { content_type, body }),
        Err(Refusal::TooLarge { .. }) => Err(too_large().into()),
        Err(Refusal::Compression(error)) => {
            Err(Failure::new("encoding", format!("the answer cannot be decompressed: {error}")).into())
        }
        Err(refusal) => Err(Unanswered::Refused(refusal)),
    }
}

/// Does what takes a core for a while.
pub(super) fn aside<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    let is_multi = Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if is_multi { tokio::task::block_in_place(work) } else { work() }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_somewhere() {
        let from: Uri = "http://a:1/b/metrics?c=d".parse().expect("an address");
        for (location, expected) in [
            ("/x?y=z", Some("http://a:1/x?y=z")),
            ("x", Some("http://a:1/b/x")),
            ("https://other/x", Some("https://other/x")),
            ("//other/x", Some("http://other/x")),
            ("ftp://other/x", None),
            ("http:///x", None),
        ] {
            assert_eq!(resolve(&from, location).map(|uri| uri.to_string()).as_deref(), expected, "{location}");
        }
    }
}
