//! R12: bodies that grow, lie and nest, on both transports, many at once. Each is refused in the words of its protocol, memory
//! stays within the limit and a tenth, and a healthy client is served meanwhile.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use model::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::binary::{Server, Setup};
use crate::figures::{Figures, Times, mib, ms};
use crate::otlp::Request;
use crate::raw::{self, Answered};
use crate::resident::Watch;

const LIMIT: u64 = 400 << 20;
const AT_A_TIME: usize = 8;
const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

// A shape of bomb: how it is encoded, its bytes, and what answers to it are right when it is alone.
struct Bomb {
    name: &'static str,
    encoding: Option<&'static str>,
    media_type: &'static str,
    body: Arc<Vec<u8>>,
    // What the body says of its own length, if that is not the truth.
    declared: Option<u64>,
    chunked: bool,
    // Bytes at a time, and the pause after them.
    pieces: (usize, Duration),
    http: &'static [u16],
    grpc: &'static [i32],
}

fn bombs(large_mib: usize) -> anyhow::Result<Vec<Bomb>> {
    let zeros = |mib: usize| gzip_zeros(mib << 20);
    let plain = |name, body: Vec<u8>| Bomb {
        name,
        encoding: None,
        media_type: "application/x-protobuf",
        body: Arc::new(body),
        declared: None,
        chunked: false,
        pieces: (1 << 20, Duration::ZERO),
        http: &[413],
        grpc: &[8],
    };
    let member = zeros(16)?;
    let large = zeros(large_mib)?;
    Ok(vec![
        Bomb { encoding: Some("gzip"), ..plain("gzip", large.clone()) },
        Bomb { encoding: Some("gzip"), ..plain("many gzip members", member.repeat(large_mib / 16 + 1)) },
        // Inside is another gzip, which is no protobuf.
        Bomb { encoding: Some("gzip"), http: &[400], grpc: &[3], ..plain("gzip in gzip", gzip(&gzip(&member)?)?) },
        Bomb { encoding: Some("deflate"), http: &[415], grpc: &[12], ..plain("deflate", large.clone()) },
        Bomb { chunked: true, ..plain("chunked, without a length", vec![0; 80 << 20]) },
        Bomb { encoding: Some("gzip"), http: &[400], grpc: &[3], ..plain("1000-fold below the limit", zeros(40)?) },
        Bomb { declared: Some(u64::from(u32::MAX)), ..plain("length that lies", vec![0; 70 << 20]) },
        Bomb {
            encoding: Some("gzip"),
            pieces: (200, Duration::from_millis(500)),
            http: &[503],
            grpc: &[14],
            ..plain("slow gzip", large)
        },
        Bomb { encoding: Some("zstd"), ..plain("zstd", zstd_zeros(large_mib << 20)?) },
        Bomb { http: &[400], grpc: &[3], ..plain("values 100,000 deep", deep_protobuf(100_000)) },
        Bomb {
            media_type: "application/json",
            http: &[400],
            grpc: &[3],
            ..plain("JSON 100,000 deep", deep_json(100_000).into_bytes())
        },
    ])
}

/// Sends every shape alone and then several at once, `times` in all, on both transports. The largest grow to `large_mib`.
pub async fn run(binary: &Path, times: u64, large_mib: usize) -> anyhow::Result<Figures> {
    // Making them takes a while, during which nobody would look after the healthy client.
    let bombs = tokio::task::spawn_blocking(move || bombs(large_mib)).await??;
    let directory = tempfile::tempdir()?;
    let setup = Setup::new(binary, directory.path());
    setup.configure(&format!("log = \"error\"\nmemory_bytes_max = {LIMIT}\n"))?;
    let mut server = setup.start().await?;
    let watch = Watch::start(server.id()?);
    let mut figures = Figures::new("R12");
    figures.note("memory limit", mib(LIMIT));
    figures.note("resident at first", mib(watch.now()));
    let before = healthy(&server, async { tokio::time::sleep(Duration::from_secs(5)).await }).await?;
    let http = server.address("otlp_http");
    let grpc = server.address("otlp_grpc");
    let attack = async {
        for bomb in bombs {
            let bomb = Arc::new(bomb);
            for over_grpc in [false, true] {
                let address = if over_grpc { grpc } else { http };
                throw(&bomb, address, over_grpc, times, &mut figures).await?;
            }
        }
        figures.note("HTTP/2 resets", resets(grpc).await?);
        figures.note("HTTP/2 heads without end", endless_head(grpc).await?);
        anyhow::Ok(())
    };
    let done = std::cell::Cell::new(None);
    let during = healthy(&server, async { done.set(Some(attack.await)) }).await?;
    done.into_inner().transpose()?;
    figures.expect(server.ended()?.is_none(), || "the server has ended".to_owned());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let most = watch.most();
    figures.note("resident at most", mib(most));
    figures.note("resident afterwards", mib(watch.now()));
    for (when, times) in [("before", &before), ("during", &during)] {
        let [half, most] = [0.5, 0.99].map(|share| ms(times.quantile(share)));
        figures.note(format!("healthy requests {when}"), format!("{}, p50 {half}, p99 {most}", times.len()));
    }
    figures.expect(most <= LIMIT / 10 * 11, || format!("{} were resident", mib(most)));
    server.kill().await?;
    Ok(figures)
}

// Once alone, when the answer must be the right one; then many at once, when "come again" is right as well.
async fn throw(
    bomb: &Arc<Bomb>,
    address: std::net::SocketAddr,
    over_grpc: bool,
    times: u64,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let name = format!("{} over {}", bomb.name, if over_grpc { "gRPC" } else { "HTTP" });
    let began = Instant::now();
    let alone = send(bomb, address, over_grpc).await?;
    figures.expect(is_right(bomb, &alone), || format!("{name} was answered {alone:?}"));
    let places = Arc::new(Semaphore::new(if bomb.pieces.1.is_zero() { AT_A_TIME } else { 64 }));
    let mut all = JoinSet::new();
    for _ in 1..times {
        let (bomb, places) = (Arc::clone(bomb), Arc::clone(&places));
        all.spawn(async move {
            let _place = places.acquire().await?;
            send(&bomb, address, over_grpc).await
        });
    }
    let mut refused_for_now = 0;
    while let Some(answer) = all.join_next().await {
        let answer = answer??;
        let for_now = answer.retry && (answer.status == 503 || answer.grpc == Some(14));
        refused_for_now += u64::from(for_now);
        figures.expect(for_now || is_right(bomb, &answer), || format!("{name} was answered {answer:?}"));
    }
    let answer = alone.grpc.map_or(format!("{}", alone.status), |code| format!("code {code}"));
    let took = began.elapsed().as_secs_f64();
    figures.note(name, format!("{answer}, {times} times in {took:.1} s, {refused_for_now} told to come again"));
    Ok(())
}

fn is_right(bomb: &Bomb, answer: &Answered) -> bool {
    answer.grpc.map_or_else(|| bomb.http.contains(&answer.status), |code| bomb.grpc.contains(&code))
}

async fn send(bomb: &Bomb, address: std::net::SocketAddr, over_grpc: bool) -> anyhow::Result<Answered> {
    if over_grpc {
        let length = bomb.declared.unwrap_or(bomb.body.len() as u64);
        let body = raw::frame(bomb.encoding.is_some(), u32::try_from(length)?, &bomb.body);
        return raw::grpc(address, EXPORT, bomb.encoding, body, bomb.pieces).await;
    }
    let mut head = format!("POST /v1/logs HTTP/1.1\r\nContent-Type: {}", bomb.media_type);
    if let Some(encoding) = bomb.encoding {
        head.push_str(&format!("\r\nContent-Encoding: {encoding}"));
    }
    if bomb.chunked {
        head.push_str("\r\nTransfer-Encoding: chunked");
        return raw::http1(address, &head, &raw::chunked(&bomb.body)).await;
    }
    let length = bomb.declared.unwrap_or(bomb.body.len() as u64);
    head.push_str(&format!("\r\nContent-Length: {length}"));
    if bomb.pieces.1.is_zero() {
        raw::http1(address, &head, &bomb.body).await
    } else {
        slowly(bomb, address, &head).await
    }
}

async fn slowly(bomb: &Bomb, address: std::net::SocketAddr, head: &str) -> anyhow::Result<Answered> {
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(format!("{head}\r\nHost: x\r\n\r\n").as_bytes()).await?;
    let (mut reader, mut writer) = socket.split();
    let write = async {
        for piece in bomb.body.chunks(bomb.pieces.0) {
            if writer.write_all(piece).await.is_err() {
                break;
            }
            tokio::time::sleep(bomb.pieces.1).await;
        }
        std::future::pending::<()>().await;
    };
    let mut answer = vec![0; 4096];
    let read = tokio::select! {
        read = reader.read(&mut answer) => read?,
        () = write => 0,
    };
    let text = String::from_utf8_lossy(&answer[..read]).to_ascii_lowercase();
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    Ok(Answered { status, grpc: None, retry: text.contains("\r\nretry-after:") })
}

// Small requests one after the other until `attack` is over.
async fn healthy(server: &Server, attack: impl Future<Output = ()>) -> anyhow::Result<Times> {
    let client = tui::Client::new(&server.url("otlp_http"), tui::client::Settings::default())?;
    let mut random = fastrand::Rng::with_seed(2);
    let mut times = Times::default();
    tokio::pin!(attack);
    loop {
        let (body, path) = Request::numbered(Signal::Spans, 1, 10, 1_700_000_000_000_000_000, &mut random).encode();
        let asked = Instant::now();
        let ask = async {
            // A healthy client does as it is told and comes again.
            loop {
                let answer = client.post(path, "application/x-protobuf", Bytes::from(body.clone())).await?;
                match answer.status {
                    200 => return anyhow::Ok(()),
                    503 => tokio::time::sleep(Duration::from_millis(50)).await,
                    status => anyhow::bail!("a healthy request was answered {status}"),
                }
            }
        };
        tokio::select! {
            answer = ask => answer?,
            () = &mut attack => return Ok(times),
        }
        times.push(asked.elapsed());
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
            () = &mut attack => return Ok(times),
        }
    }
}

// Streams opened and reset at once, as fast as one connection can.
async fn resets(address: std::net::SocketAddr) -> anyhow::Result<String> {
    const STREAMS: u64 = 50_000;
    let mut sender = raw::http2(address).await?;
    let began = Instant::now();
    for number in 0..STREAMS {
        sender = match sender.ready().await {
            Ok(sender) => sender,
            Err(error) => {
                return Ok(format!("closed after {number} in {:.1} s: {error}", began.elapsed().as_secs_f64()));
            }
        };
        let opened = sender.send_request(raw::call(address, EXPORT, None)?, false);
        match opened {
            Ok((_, mut stream)) => stream.send_reset(h2::Reason::CANCEL),
            Err(error) => {
                return Ok(format!("closed after {number} in {:.1} s: {error}", began.elapsed().as_secs_f64()));
            }
        }
    }
    Ok(format!("{STREAMS} in {:.1} s, within bounds", began.elapsed().as_secs_f64()))
}

// A head that goes on in CONTINUATION frames for ever (RUSTSEC-2024-0332).
async fn endless_head(address: std::net::SocketAddr) -> anyhow::Result<String> {
    const FRAMES_MAX: u64 = 20_000;
    let mut socket = TcpStream::connect(address).await?;
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
    // A literal header without indexing, of 4 KiB, in each frame.
    let mut field = vec![0x00, 0x01, b'x', 0x7f, 0x81, 0x1f];
    field.extend(vec![b'v'; 127 + 1 + (0x1f << 7)]);
    let frame = |kind: u8| {
        let length = u32::try_from(field.len()).unwrap_or_default().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, 0, 0, 0, 0, 1];
        frame.extend_from_slice(&field);
        frame
    };
    let mut sent = 0;
    socket.write_all(&frame(1)).await?;
    let continuation = frame(9);
    while sent < FRAMES_MAX && socket.write_all(&continuation).await.is_ok() {
        sent += 1;
    }
    anyhow::ensure!(sent < FRAMES_MAX, "a head of {FRAMES_MAX} frames was read to its end");
    Ok(format!("closed after {sent} frames of 4 KiB"))
}

fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn gzip_zeros(bytes: usize) -> anyhow::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    write_zeros(&mut encoder, bytes)?;
    Ok(encoder.finish()?)
}

fn zstd_zeros(bytes: usize) -> anyhow::Result<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3)?;
    write_zeros(&mut encoder, bytes)?;
    Ok(encoder.finish()?)
}

fn write_zeros(writer: &mut impl std::io::Write, bytes: usize) -> std::io::Result<()> {
    let zeros = vec![0; 1 << 20];
    for _ in 0..bytes >> 20 {
        writer.write_all(&zeros)?;
    }
    Ok(())
}

// A log record whose body is an array in an array in an array.
fn deep_protobuf(depth: usize) -> Vec<u8> {
    // Built from the inside: AnyValue{array_value: ArrayValue{values: [AnyValue...]}}.
    let mut reversed: Vec<u8> = Vec::new();
    let mut length = 0usize;
    let wrap = |tag: u8, reversed: &mut Vec<u8>, length: &mut usize| {
        let mut head = vec![tag];
        let mut rest = *length;
        loop {
            let byte = u8::try_from(rest & 0x7f).unwrap_or_default();
            rest >>= 7;
            head.push(if rest == 0 { byte } else { byte | 0x80 });
            if rest == 0 {
                break;
            }
        }
        *length += head.len();
        head.reverse();
        reversed.extend(head);
    };
    for _ in 0..depth {
        wrap(0x0a, &mut reversed, &mut length);
        wrap(0x2a, &mut reversed, &mut length);
    }
    // body of a LogRecord, in ScopeLogs, in ResourceLogs, in the request.
    for tag in [0x2a, 0x12, 0x12, 0x0a] {
        wrap(tag, &mut reversed, &mut length);
    }
    reversed.reverse();
    reversed
}

fn deep_json(depth: usize) -> String {
    let (open, close) = (r#"{"arrayValue":{"values":["#.repeat(depth), "]}}".repeat(depth));
    format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{open}{close}}}]}}]}}]}}"#)
}
