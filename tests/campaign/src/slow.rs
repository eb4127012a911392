//! Slow connections: each kind says or reads as little as it can to stay, and should be ended by the server in its time.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::ValueEnum;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{TcpSocket, TcpStream};

use crate::frames::{self, ACK, END_HEADERS, END_STREAM, kind};

/// Between two drops.
const DROP: Duration = Duration::from_secs(1);

/// Addresses on loopback that they come from, as there may be a bound by address.
const SOURCES: u8 = 8;

const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const QUERY: &str = "/api/v1/logs?limit=none&start=0";

/// SETTINGS_INITIAL_WINDOW_SIZE.
const WINDOW: u16 = 4;

/// How a connection is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "each has its name for people")]
pub enum Kind {
    Silent,
    Head,
    Body,
    Reader,
    Http2Preface,
    Http2Head,
    Http2Body,
    Http2Reader,
    Http2Vanished,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 9] = [
        Kind::Silent,
        Kind::Head,
        Kind::Body,
        Kind::Reader,
        Kind::Http2Preface,
        Kind::Http2Head,
        Kind::Http2Body,
        Kind::Http2Reader,
        Kind::Http2Vanished,
    ];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Silent => "connections that say nothing",
            Kind::Head => "heads in drops",
            Kind::Body => "bodies in drops",
            Kind::Reader => "answers read in drops",
            Kind::Http2Preface => "HTTP/2 prefaces cut short",
            Kind::Http2Head => "HTTP/2 heads cut short",
            Kind::Http2Body => "HTTP/2 bodies in drops",
            Kind::Http2Reader => "HTTP/2 answers behind a closed window",
            Kind::Http2Vanished => "HTTP/2 peers that vanish",
        }
    }

    /// The door that it knocks at.
    pub fn door(self, number: usize) -> &'static str {
        match self {
            Kind::Silent => ["http", "otlp_http", "otlp_grpc"][number % 3],
            Kind::Head => ["http", "otlp_http"][number % 2],
            Kind::Body => "otlp_http",
            Kind::Reader | Kind::Http2Reader | Kind::Http2Vanished => "http",
            Kind::Http2Preface | Kind::Http2Head | Kind::Http2Body => "otlp_grpc",
        }
    }

    /// The longest that one may live: its time, the interval of looks, and some for a busy machine.
    pub fn life_max(self) -> Duration {
        Duration::from_secs(match self {
            Kind::Silent | Kind::Head | Kind::Http2Preface | Kind::Http2Head => 10 + 5,
            // Judged over ten seconds, which may begin a moment after the last drop that was enough.
            Kind::Body | Kind::Http2Body => 2 * 10 + 5,
            // The same over thirty.
            Kind::Reader | Kind::Http2Reader => 2 * 30 + 10,
            // Asked after thirty whether it is there, given up after twenty more.
            Kind::Http2Vanished => 30 + 20 + 10,
        })
    }
}

/// How a life ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The server ended it, or refused what it was about.
    Closed,
    /// The server was too busy for it to begin.
    Refused,
    /// It was still there when the campaign stopped.
    Alive,
}

/// Lives as one of this kind until the server or `stop` ends it.
pub async fn live(kind: Kind, number: usize, address: SocketAddr, stop: &AtomicBool) -> End {
    match drip(kind, number, address, stop).await {
        Ok(end) => end,
        // A reset is an end like any other.
        Err(_) => End::Closed,
    }
}

async fn drip(kind: Kind, number: usize, address: SocketAddr, stop: &AtomicBool) -> io::Result<End> {
    let source = Ipv4Addr::new(127, 0, 0, 2 + u8::try_from(number % usize::from(SOURCES)).unwrap_or_default());
    let socket = TcpSocket::new_v4()?;
    socket.bind((IpAddr::V4(source), 0).into())?;
    // A slow reader's window is small.
    socket.set_recv_buffer_size(4096)?;
    let socket = socket.connect(address).await?;
    match kind {
        Kind::Silent => say(socket, b"", b"", stop).await,
        Kind::Head => say(socket, b"GET /api/v1/status HTTP/1.1\r\nX-Drops: ", b"x", stop).await,
        Kind::Body => {
            let head = b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1000000\r\n\r\n";
            say(socket, head, b"x", stop).await
        }
        Kind::Http2Preface => say(socket, &frames::PREFACE[..8], b"", stop).await,
        Kind::Reader => read_in_drops(socket, stop).await,
        Kind::Http2Head => {
            let head = frames::frame(kind::HEADERS, 0, 1, &frames::head("POST", EXPORT, Some("application/grpc")));
            speak(socket, &[], &head, b"", stop).await
        }
        Kind::Http2Body => {
            let head = frames::head("POST", EXPORT, Some("application/grpc"));
            let head = frames::frame(kind::HEADERS, END_HEADERS, 1, &head);
            speak(socket, &[], &head, &frames::frame(kind::DATA, 0, 1, b"x"), stop).await
        }
        Kind::Http2Reader => {
            let head = frames::head("GET", QUERY, None);
            let head = frames::frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, &head);
            speak(socket, &[(WINDOW, 0)], &head, b"", stop).await
        }
        Kind::Http2Vanished => vanish(socket, stop).await,
    }
}

// Says something, then a drop a second, until the server says anything or closes.
async fn say(mut socket: TcpStream, first: &[u8], drop: &[u8], stop: &AtomicBool) -> io::Result<End> {
    socket.write_all(first).await?;
    let mut answer = [0; 16];
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(DROP).await;
        socket.write_all(drop).await?;
        match socket.try_read(&mut answer) {
            Ok(_) => return Ok(End::Closed),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(End::Alive)
}

async fn read_in_drops(mut socket: TcpStream, stop: &AtomicBool) -> io::Result<End> {
    socket.write_all(format!("GET {QUERY} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await?;
    let mut answer = [0; 16];
    let mut begun = false;
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(DROP).await;
        match tokio::time::timeout(DROP, socket.read(&mut answer)).await {
            Err(_) => {}
            Ok(Err(error)) => return Err(error),
            Ok(Ok(0)) => return Ok(End::Closed),
            Ok(Ok(_)) if !begun && !answer.starts_with(b"HTTP/1.1 200") => return Ok(End::Refused),
            Ok(Ok(_)) => begun = true,
        }
        // Behind what has not been read yet.
        let ready = tokio::time::timeout(DROP, socket.ready(Interest::READABLE | Interest::ERROR)).await;
        if ready.is_ok_and(|ready| ready.is_ok_and(|ready| ready.is_read_closed() || ready.is_error())) {
            return Ok(End::Closed);
        }
    }
    Ok(End::Alive)
}

// The same over HTTP/2, where the other side's pings are answered.
async fn speak(
    socket: TcpStream,
    settings: &[(u16, u32)],
    first: &[u8],
    drop: &[u8],
    stop: &AtomicBool,
) -> io::Result<End> {
    let (mut reader, mut writer) = frames::begin(socket, settings).await?;
    writer.write_all(first).await?;
    // Between HEADERS and the end of the head there may be nothing else.
    let whole = first[4] & END_HEADERS != 0;
    let mut next = tokio::time::interval(DROP);
    while !stop.load(Ordering::Relaxed) {
        tokio::select! {
            frame = reader.next() => match frame {
                None => return Ok(End::Closed),
                Some((kind::PING, 0, payload)) if whole => {
                    writer.write_all(&frames::frame(kind::PING, ACK, 0, &payload)).await?;
                }
                Some((kind::SETTINGS, 0, _)) if whole => {
                    writer.write_all(&frames::frame(kind::SETTINGS, ACK, 0, &[])).await?;
                }
                Some((kind::RST_STREAM, ..)) => return Ok(End::Closed),
                // An answer ends what has a body; a reader of one gets its head only, unless it is a refusal.
                Some((kind::HEADERS, flags, payload)) => {
                    if !drop.is_empty() {
                        return Ok(End::Closed);
                    }
                    // ":status: 200" has a number of its own.
                    if flags & END_STREAM != 0 || payload.first() != Some(&0x88) {
                        return Ok(End::Refused);
                    }
                }
                Some(_) => {}
            },
            _ = next.tick() => writer.write_all(drop).await?,
        }
    }
    Ok(End::Alive)
}

// Asks, and is never heard of again: nothing is read, so nothing is answered.
async fn vanish(socket: TcpStream, stop: &AtomicBool) -> io::Result<End> {
    let (reader, mut writer) = frames::begin(socket, &[]).await?;
    let head = frames::head("GET", "/api/v1/status", None);
    writer.write_all(&frames::frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, &head)).await?;
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(DROP).await;
        // The kernel of a machine that is gone would say nothing. Here it says that the server has closed.
        if reader.is_closed().await {
            return Ok(End::Closed);
        }
    }
    Ok(End::Alive)
}
