//! Takes connections and serves them, within bounds: how many there are, in total and from one peer, how long a head may take,
//! how slowly an answer may be read, what HTTP/2 allows. Every door is served by this loop.

mod frames;
mod limits;
mod pulse;
mod reader;
mod socket;
mod token;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use model::stats::{Gauge, Stats};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use self::pulse::{LOOK_INTERVAL, Pulse, Verdict};
use self::reader::Watched;
use self::socket::Counted;
pub use self::token::TokenFile;
use crate::shutdown::Stop;

/// Connections of all doors together. Cheap to clone: clones count together.
#[derive(Clone, Debug)]
pub struct Connections {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    all_max: usize,
    of_peer_max: usize,
    connection_bytes_max: u64,
    open: Mutex<Open>,
    stats: Stats,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    of_peer: HashMap<IpAddr, usize>,
}

impl Connections {
    /// None yet, of at most `all_max` together and `of_peer_max` from one address; requests of one connection hold at most
    /// `connection_bytes_max` together.
    pub fn new(all_max: usize, of_peer_max: usize, connection_bytes_max: u64, stats: &Stats) -> Self {
        let open = Mutex::default();
        Self { inner: Arc::new(Inner { all_max, of_peer_max, connection_bytes_max, open, stats: stats.clone() }) }
    }

    /// Serves `router` to whoever connects until `stop`, and returns when all connections have ended.
    pub async fn serve(self, name: &'static str, listener: TcpListener, router: Router, stop: Stop) {
        let door = Arc::new(Door::new(name, self, router));
        let mut connections = JoinSet::new();
        let stopped = stop.said();
        tokio::pin!(stopped);
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                () = &mut stopped => break,
            };
            match accepted {
                Ok((socket, peer)) => {
                    if let Some(place) = door.place(peer) {
                        connections.spawn(Arc::clone(&door).connection(socket, place, stop.clone()));
                    }
                }
                Err(error) => door.not_accepted(&error).await,
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.inner.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // A place among the connections, or why there is none.
    fn take(&self, peer: IpAddr) -> Result<Place, &'static str> {
        let mut open = self.lock();
        if open.all >= self.inner.all_max {
            return Err("too_many");
        }
        let of_peer = open.of_peer.entry(peer).or_default();
        if *of_peer >= self.inner.of_peer_max {
            return Err("too_many_of_peer");
        }
        *of_peer += 1;
        open.all += 1;
        Ok(Place { connections: self.clone(), peer })
    }
}

// Given back when dropped.
#[derive(Debug)]
struct Place {
    connections: Connections,
    peer: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.all -= 1;
        if let Some(of_peer) = open.of_peer.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                open.of_peer.remove(&self.peer);
            }
        }
    }
}

struct Door {
    name: &'static str,
    connections: Connections,
    router: Router,
    builder: auto::Builder<TokioExecutor>,
    open: Gauge,
}

impl Door {
    fn new(name: &'static str, connections: Connections, router: Router) -> Self {
        let help = "Connections that are open.";
        let open = connections.inner.stats.gauge("sextant_connections", help, &[("door", name)]);
        Self { name, router, builder: builder(), open, connections }
    }

    fn place(&self, peer: SocketAddr) -> Option<Place> {
        // An IPv4 peer of a dual-stack listener is the same peer.
        match self.connections.take(peer.ip().to_canonical()) {
            Ok(place) => Some(place),
            Err(reason) => {
                self.ended(reason);
                None
            }
        }
    }

    fn ended(&self, reason: &'static str) {
        let help = "Connections that were not taken, or were ended, because of a limit.";
        let labels = [("door", self.name), ("reason", reason)];
        self.connections.inner.stats.counter("sextant_connections_refused_total", help, &labels).add(1);
    }

    // The listener stays: what is wrong now, such as too many open files, passes.
    async fn not_accepted(&self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
            return;
        }
        self.ended("accept_failed");
        tracing::warn!(door = self.name, "cannot take a connection: {error}");
        tokio::time::sleep(limits::ACCEPT_PAUSE).await;
    }

    async fn connection(self: Arc<Self>, socket: TcpStream, _place: Place, stop: Stop) {
        // Without it small answers wait for the client's acknowledgement; a socket that cannot do that works all the same.
        let _ = socket.set_nodelay(true);
        self.open.add(1);
        let verdict = self.converse(socket, stop).await;
        self.open.sub(1);
        match verdict {
            Verdict::SlowHead => self.ended("slow_head"),
            Verdict::SlowReader => self.ended("slow_reader"),
            Verdict::Flood => self.ended("flood"),
            Verdict::Idle | Verdict::Fine => {}
        }
    }

    async fn converse(&self, socket: TcpStream, stop: Stop) -> Verdict {
        let pulse = Arc::new(Pulse::default());
        let share = collector::Share::new(self.connections.inner.connection_bytes_max);
        let service = service_fn({
            let (pulse, router) = (Arc::clone(&pulse), self.router.clone());
            move |mut request: hyper::Request<hyper::body::Incoming>| {
                let place = pulse.request();
                let watched = (request.version() == hyper::Version::HTTP_2).then(|| Arc::clone(&pulse));
                request.extensions_mut().insert(share.clone());
                let answer = router.clone().oneshot(request.map(Body::new));
                // The request lives as long as the body of its answer.
                async move { answer.await.map(|response| response.map(|body| held(body, place, watched.as_deref()))) }
            }
        });
        let socket = TokioIo::new(Counted::new(socket, Arc::clone(&pulse)));
        let connection = self.builder.serve_connection(socket, service);
        tokio::pin!(connection);
        let stopped = stop.said();
        tokio::pin!(stopped);
        let mut told_to_go = false;
        let began = Instant::now();
        let mut looks = tokio::time::interval(LOOK_INTERVAL);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                ended = connection.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(door = self.name, "a connection ended: {error}");
                        // Asked whether it is still there, its peer did not answer.
                        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_timeout) {
                            pulse.cut();
                        }
                    }
                    return if pulse.is_flooded() { Verdict::Flood } else { Verdict::Fine };
                }
                () = &mut stopped, if !told_to_go => {
                    told_to_go = true;
                    connection.as_mut().graceful_shutdown();
                }
                _ = looks.tick() => {
                    match pulse.look(began, Instant::now()) {
                        Verdict::Fine => {}
                        Verdict::Idle if !told_to_go => {
                            told_to_go = true;
                            connection.as_mut().graceful_shutdown();
                        }
                        Verdict::Idle => {}
                        verdict => {
                            pulse.cut();
                            return verdict;
                        }
                    }
                }
            }
        }
    }
}

// The body of an answer, which keeps its request's place; over HTTP/2 watched, as the socket tells nothing of one stream.
fn held(body: Body, place: pulse::Request, watched_by: Option<&Pulse>) -> Body {
    match watched_by {
        Some(pulse) => Body::new(Watched::new(body, pulse, place)),
        None => Body::new(body.map_err(move |error| {
            let _held = &place;
            error
        })),
    }
}

// HTTP/1.1, and HTTP/2 by prior knowledge.
fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Heads are timed by the connection's pulse, which tells a quiet connection from a slow head.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(limits::HTTP1_HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(limits::HTTP2_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::HTTP2_CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(limits::HTTP2_STREAMS_MAX)
        .max_pending_accept_reset_streams(limits::HTTP2_PENDING_RESETS_MAX)
        .max_local_error_reset_streams(limits::HTTP2_LOCAL_RESETS_MAX)
        .max_header_list_size(limits::HTTP2_HEAD_BYTES_MAX)
        .max_send_buf_size(limits::HTTP2_SEND_BYTES_MAX)
        .keep_alive_interval(limits::HTTP2_KEEPALIVE)
        .keep_alive_timeout(limits::HTTP2_KEEPALIVE_TIMEOUT);
    builder
}

/// Lets the process have as many files open as `connections` and the store need, as far as the system allows, and gives the
/// number of connections that it does allow: they must not take the files that the store writes to.
pub fn connections_that_files_allow(connections: usize) -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let wanted = connections as u64 + limits::FILES_BESIDE_CONNECTIONS;
    let mut limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current.filter(|current| *current < wanted) else { return connections };
    let allowed = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    limit.current = Some(allowed);
    let files = match setrlimit(Resource::Nofile, limit) {
        Ok(()) => allowed,
        Err(error) => {
            tracing::warn!("no more than {current} files may be open: {error}");
            current
        }
    };
    let fitted = fit(connections, files);
    if fitted < connections {
        tracing::warn!(files, connections_max = fitted, "connections_max is lowered: too few files may be open");
    }
    fitted
}

fn fit(connections: usize, files: u64) -> usize {
    // Where files are very few, half of them.
    let left = files.saturating_sub(limits::FILES_BESIDE_CONNECTIONS).max(files / 2);
    usize::try_from(left).map_or(connections, |left| left.min(connections))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_to_the_store() {
        for (connections, files, fitted) in
            [(4096, 1 << 20, 4096), (4096, 4608, 4096), (4096, 2048, 1536), (4096, 100, 50)]
        {
            assert_eq!(fit(connections, files), fitted, "{files} files");
        }
    }

    #[test]
    fn places_are_counted_and_given_back() {
        let connections = Connections::new(3, 2, 1, &Stats::new());
        let [one, other]: [IpAddr; 2] = [[127, 0, 0, 1].into(), [127, 0, 0, 2].into()];
        let first = connections.take(one).expect("a place");
        let _second = connections.take(one).expect("a place");
        assert_eq!(connections.take(one).err(), Some("too_many_of_peer"));
        let third = connections.take(other).expect("a place");
        assert_eq!(connections.take(other).err(), Some("too_many"));
        drop(third);
        drop(first);
        assert!(connections.take(one).is_ok());
        assert_eq!(connections.lock().all, 1, "the last one was dropped at once");
    }
}
