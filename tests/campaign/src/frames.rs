//! HTTP/2 frame by frame, as no library would write it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// What a connection begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames.
#[allow(missing_docs, reason = "the names are the standard's")]
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// The flag of DATA and HEADERS that ends the stream.
pub const END_STREAM: u8 = 1;
/// The flag of HEADERS and CONTINUATION that ends the head.
pub const END_HEADERS: u8 = 4;
/// The flag of SETTINGS and PING that answers one.
pub const ACK: u8 = 1;

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// A header as a literal that is not remembered.
pub fn field(name: &str, value: &[u8]) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name.as_bytes(), value] {
        length(text.len(), &mut field);
        field.extend_from_slice(text);
    }
    field
}

// HPACK's integer with a prefix of seven bits.
fn length(mut rest: usize, into: &mut Vec<u8>) {
    if rest < 127 {
        into.push(u8::try_from(rest).unwrap_or_default());
        return;
    }
    into.push(127);
    rest -= 127;
    while rest > 0x7f {
        into.push(u8::try_from(rest & 0x7f).unwrap_or_default() | 0x80);
        rest >>= 7;
    }
    into.push(u8::try_from(rest).unwrap_or_default());
}

/// The head of a request, as HPACK writes it.
pub fn head(method: &str, path: &str, content_type: Option<&str>) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in [(":method", method), (":scheme", "http"), (":path", path), (":authority", "x")] {
        head.extend(field(name, value.as_bytes()));
    }
    if let Some(content_type) = content_type {
        head.extend(field("content-type", content_type.as_bytes()));
        head.extend(field("te", b"trailers"));
    }
    head
}

/// How the server spoke of the end of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The code of its GOAWAY, if it sent one.
    pub goaway: Option<u32>,
    /// Whether it has closed the connection.
    pub closed: bool,
    /// Answers that began.
    pub answers: u64,
    /// Streams that it reset.
    pub resets: u64,
    /// Its answers to PING and SETTINGS.
    pub acknowledged: u64,
}

/// The half of a connection that is read.
#[derive(Debug)]
pub struct Reader {
    half: OwnedReadHalf,
    bytes: Vec<u8>,
    /// What was read so far.
    pub seen: Seen,
}

/// Begins a connection with these settings, as pairs of identifier and value.
pub async fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> std::io::Result<(Reader, OwnedWriteHalf)> {
    begin(TcpStream::connect(address).await?, settings).await
}

/// The same on a socket that is connected.
pub async fn begin(socket: TcpStream, settings: &[(u16, u32)]) -> std::io::Result<(Reader, OwnedWriteHalf)> {
    let (half, mut writer) = socket.into_split();
    let settings: Vec<u8> =
        settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    writer.write_all(&[PREFACE, &frame(kind::SETTINGS, 0, 0, &settings)].concat()).await?;
    Ok((Reader { half, bytes: Vec::new(), seen: Seen::default() }, writer))
}

impl Reader {
    /// The next frame's kind, flags and payload; none at the end.
    pub async fn next(&mut self) -> Option<(u8, u8, Vec<u8>)> {
        let mut piece = [0; 16 << 10];
        loop {
            if let [a, b, c, kind, flags, _, _, _, _, rest @ ..] = &self.bytes[..] {
                let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
                if rest.len() >= length {
                    let (kind, flags, payload) = (*kind, *flags, rest[..length].to_vec());
                    self.bytes.drain(..9 + length);
                    self.count(kind, flags, &payload);
                    return Some((kind, flags, payload));
                }
            }
            match self.half.read(&mut piece).await {
                Ok(read) if read > 0 => self.bytes.extend_from_slice(&piece[..read]),
                _ => {
                    self.seen.closed = true;
                    return None;
                }
            }
        }
    }

    /// Whether the other side has closed, as far as that can be told without reading.
    pub async fn is_closed(&self) -> bool {
        let ready = self.half.ready(Interest::READABLE | Interest::ERROR);
        match timeout(Duration::from_millis(10), ready).await {
            Ok(ready) => ready.is_ok_and(|ready| ready.is_read_closed() || ready.is_error()),
            Err(_) => false,
        }
    }

    /// Reads until the end, or for so long.
    pub async fn drain(&mut self, patience: Duration) {
        // Whether it ended is in what was seen.
        let _ = timeout(patience, async { while self.next().await.is_some() {} }).await;
    }

    fn count(&mut self, kind: u8, flags: u8, payload: &[u8]) {
        match (kind, payload) {
            (kind::GOAWAY, [_, _, _, _, a, b, c, d, ..]) => {
                self.seen.goaway = Some(u32::from_be_bytes([*a, *b, *c, *d]));
            }
            (kind::HEADERS, _) => self.seen.answers += 1,
            (kind::RST_STREAM, _) => self.seen.resets += 1,
            (kind::PING | kind::SETTINGS, _) if flags & ACK != 0 => self.seen.acknowledged += 1,
            _ => {}
        }
    }
}
