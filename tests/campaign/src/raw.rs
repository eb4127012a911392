//! Requests that no decent client would send: bytes on a socket, and HTTP/2 by hand.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use h2::client::SendRequest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// So long anything may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// How a request was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// HTTP's status; over gRPC 200.
    pub status: u16,
    /// gRPC's.
    pub grpc: Option<i32>,
    /// Whether it said when to come again.
    pub retry: bool,
}

/// Sends `head`, an HTTP/1.1 head without its last empty line, and `body` as it is, in pieces with a pause after each; gives
/// the answer's status.
pub async fn http1(
    address: SocketAddr,
    head: &str,
    body: &[u8],
    (piece, pause): (usize, Duration),
) -> anyhow::Result<Answered> {
    timeout(PATIENCE, async {
        let mut socket = TcpStream::connect(address).await?;
        socket.write_all(format!("{head}\r\nHost: x\r\n\r\n").as_bytes()).await?;
        let (mut reader, mut writer) = socket.split();
        // A server may answer before the body is through, and close.
        let write = async {
            for piece in body.chunks(piece) {
                if writer.write_all(piece).await.is_err() {
                    break;
                }
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = read_head(&mut reader) => answer,
            () = write => bail!("unreachable: writing waits for the answer"),
        }
    })
    .await
    .context("no answer in time")?
}

async fn read_head(reader: &mut (impl tokio::io::AsyncRead + Unpin)) -> anyhow::Result<Answered> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = reader.read(&mut piece).await?;
        anyhow::ensure!(read > 0, "the connection was closed without an answer");
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes);
        // An invitation to send the body is no answer.
        let text = text.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&text);
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).context("no status")?;
            let retry = head.to_ascii_lowercase().contains("\r\nretry-after:");
            return Ok(Answered { status, grpc: None, retry });
        }
    }
}

/// A chunked body of these bytes.
pub fn chunked(bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(bytes.len() + 1024);
    for piece in bytes.chunks(1 << 20) {
        body.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        body.extend_from_slice(piece);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    body
}

/// An HTTP/2 connection.
pub async fn http2(address: SocketAddr) -> anyhow::Result<SendRequest<Bytes>> {
    let socket = TcpStream::connect(address).await?;
    let (sender, connection) = h2::client::handshake(socket).await?;
    tokio::spawn(async move {
        // What became of it is seen by its requests.
        let _ = connection.await;
    });
    Ok(sender)
}

/// The request of a unary call.
pub fn call(address: SocketAddr, path: &str, encoding: Option<&str>) -> anyhow::Result<http::Request<()>> {
    let request = http::Request::post(format!("http://{address}{path}"))
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let request = encoding.iter().fold(request, |request, encoding| request.header("grpc-encoding", *encoding));
    Ok(request.body(())?)
}

/// A gRPC frame that says it is so long.
pub fn frame(compressed: bool, length: u32, message: &[u8]) -> Vec<u8> {
    [&[u8::from(compressed)], &length.to_be_bytes()[..], message].concat()
}

/// Sends a call with these bytes on a connection of its own, in pieces with a pause after each.
pub async fn grpc(
    address: SocketAddr,
    path: &str,
    encoding: Option<&str>,
    body: impl Into<Bytes>,
    (piece, pause): (usize, Duration),
) -> anyhow::Result<Answered> {
    let body = body.into();
    timeout(PATIENCE, async {
        let sender = http2(address).await?;
        let mut sender = sender.ready().await?;
        let (response, mut stream) = sender.send_request(call(address, path, encoding)?, false)?;
        let write = async {
            let mut from = 0;
            while from < body.len() {
                let to = (from + piece).min(body.len());
                if stream.send_data(body.slice(from..to), to == body.len()).is_err() {
                    break;
                }
                from = to;
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
            std::future::pending::<()>().await;
        };
        let answer = tokio::select! {
            answer = response => answer?,
            () = write => bail!("unreachable: writing waits for the answer"),
        };
        let status = answer.status().as_u16();
        let (head, mut body) = answer.into_parts();
        let mut headers = head.headers;
        if !headers.contains_key("grpc-status") {
            while let Some(data) = body.data().await {
                let _ = body.flow_control().release_capacity(data?.len());
            }
            headers.extend(body.trailers().await?.unwrap_or_default());
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let grpc = text("grpc-status").and_then(|text| text.parse().ok());
        // base64 of a Status with details; one with a RetryInfo has its name in it.
        let retry = text("grpc-status-details-bin").is_some_and(holds_retry_info);
        Ok(Answered { status, grpc, retry })
    })
    .await
    .context("no answer in time")?
}

// "RetryInfo" at each of the three offsets that base64 knows.
fn holds_retry_info(base64: &str) -> bool {
    ["UmV0cnlJbmZv", "JldHJ5SW5mb", "SZXRyeUluZm"].iter().any(|piece| base64.contains(piece))
}
