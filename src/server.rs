//! The one wiring file: builds the server's parts in the order of their dependencies, connects them to the doors, and stops
//! them in reverse. Knows every crate; decides nothing that belongs to one of them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::http::HeaderMap;
use collector::scrape::{self, Scraper};
use collector::{Intake, Myself};
use model::memory::Memory;
use model::stats::Stats;
use model::{Clock, SystemClock};
use query::api::{ApiState, Mode};
use query::rules::notify::{self, Notifier};
use query::rules::reload::LoadError;
use query::rules::{self, Rules};
use store::Store;
use store::disk::Disk;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{JoinHandle, JoinSet};

use crate::config::{Config, Door};
use crate::doors::{self, Connections, TokenFile};
use crate::gate::Gate;
use crate::in_flight::InFlight;
use crate::memory;
use crate::own_metrics::OwnMetrics;
use crate::own_records::{Own, Recorded};
use crate::report::Failure;
use crate::runtimes::Receiving;
use crate::scraping::Shown;
use crate::shutdown::Stop;

/// The doors that are open, by name, with the addresses that were bound.
pub type Doors = Vec<(&'static str, SocketAddr)>;

/// What is answered may still be on its way through a socket when its connection is closed; so long is waited for that.
const GOODBYE: Duration = Duration::from_millis(250);

/// Sizes on `/metrics` are so old at most when own metrics are not stored.
const GAUGES_INTERVAL: Duration = Duration::from_secs(15);

type Listeners = Vec<(&'static str, TcpListener, SocketAddr)>;

/// A running server.
pub struct Server {
    doors: Doors,
    stop: Stop,
    serving: JoinSet<anyhow::Result<()>>,
    // What works beside the doors and stops before the store does.
    working: JoinSet<()>,
    in_flight: InFlight,
    connections: Connections,
    token: Option<Arc<TokenFile>>,
    drain_timeout: Duration,
    api: Arc<query::api::Server>,
    behind: Option<Behind>,
    // What comes in at the doors of OTLP does not keep those waiting who ask.
    receiving: Receiving,
}

// What is there once the data directory is open.
struct Behind {
    store: Store,
    intake: Intake,
    rules: Rules,
    scraper: Scraper,
    // Tells receivers of alerts until the word is said.
    notifying: (Stop, JoinHandle<()>),
}

impl Server {
    /// Binds the doors, tells `announce` where, opens the data directory, and takes and answers requests once that is done.
    pub async fn start(
        config: &Config,
        disk: Arc<dyn Disk>,
        recorded: Recorded,
        announce: impl FnOnce(&Doors) -> std::io::Result<()>,
    ) -> Result<Self, Failure> {
        let token = open_token(config)?;
        check(config)?;
        let config = &fitted(config);
        let (stats, clock) = (Stats::new(), Arc::new(SystemClock::new()) as Arc<dyn Clock>);
        let listeners = bind(config).await?;
        let memory = Memory::new(config.memory_bytes_max, &stats);
        memory::watch(&memory)?;
        let connections_max = doors::connections_that_files_allow(config.connections_max);
        let config = &Config { connections_max, ..config.clone() };
        let mut server = Self::new(config, &listeners, token, &stats, clock.as_ref(), Receiving::start()?);
        announce(&server.doors)?;

        let gate = Gate::new(stats.clone());
        let (answering, receiving): (Listeners, Listeners) =
            listeners.into_iter().partition(|(name, ..)| *name == "http");
        for (_, listener, _) in answering {
            let router = match server.token.clone() {
                Some(token) => gate.router_for(token),
                None => gate.router(),
            };
            server.serve("http", listener, router);
        }
        let intake = Intake::within(config.collector.clone(), memory.clone(), Arc::clone(&clock), stats.clone());
        let otlp = server.receiving(&intake).await?;
        for (name, listener, _) in receiving {
            let threads = server.receiving.handle().clone();
            server.take_connections(name, listener, otlp.clone(), &threads);
        }
        let store = open_store(config, disk, &clock, &stats).await?;
        let (rules, notifier) = server.start_rules(config, &store, &clock, &stats).await?;
        intake.open(store.writer());
        let own =
            Own { intake: intake.clone(), myself: server.myself(), clock: Arc::clone(&clock), stats: stats.clone() };
        server.watch_itself(config, own, recorded, &memory, &store);
        let scraper = open_scraper(config, &intake, &clock, &stats)?;
        let state = ApiState::new(store.clone(), clock, stats, config.query.clone(), Arc::clone(&server.api));
        let gate_of_series = intake.clone();
        let largest = Arc::new(move |limit| gate_of_series.largest_metrics(limit));
        rules.within(&memory);
        let state = state.with_rules(rules.clone()).with_notifier(notifier.clone()).with_memory(memory);
        let state = state.with_largest_metrics(largest);
        gate.open(query::api::router(state.with_scraping(Arc::new(Shown(scraper.clone())))));
        rules.run();
        scraper.run().await;
        let stop = Stop::new();
        let said = stop.said();
        let telling = tokio::spawn(async move { notifier.run(said).await });
        server.reload_on_hangup(rules.clone(), scraper.clone())?;
        server.behind = Some(Behind { store, intake, rules, scraper, notifying: (stop, telling) });
        server.api.set_mode(Mode::Serving);
        Ok(server)
    }

    /// Where a door is, if it is open.
    pub fn door(&self, name: &str) -> Option<SocketAddr> {
        self.doors.iter().find(|(known, _)| *known == name).map(|(_, address)| *address)
    }

    /// Takes no new requests, lets those in flight end for as long as the configuration allows, then closes the store.
    pub async fn stop(mut self) -> Result<(), Failure> {
        self.api.set_mode(Mode::Stopping);
        self.stop.say();
        let Some(Behind { store, intake, rules, scraper, notifying }) = self.behind.take() else { return Ok(()) };
        while self.working.join_next().await.is_some() {}
        if tokio::time::timeout(self.drain_timeout, scraper.stop()).await.is_err() {
            tracing::warn!("scrapes that are still being stored are cut off");
        }
        let drained = async {
            intake.close().await;
            self.in_flight.none().await;
        };
        if tokio::time::timeout(self.drain_timeout, drained).await.is_err() {
            tracing::warn!("requests still in flight are cut off");
        }
        // A connection on which nobody has asked anything never ends by itself: it is cut off without a word.
        let _ = tokio::time::timeout(GOODBYE, self.doors_closed()).await;
        self.serving.shutdown().await;
        stop_rules(&rules, notifying, self.drain_timeout).await;
        let closed = tokio::task::spawn_blocking(move || store.close()).await;
        closed.context("closing the store panicked")?.context("cannot close the store")?;
        Ok(())
    }

    // Reads the alerts of the process before; nothing is evaluated and nobody is told yet.
    async fn start_rules(
        &self,
        config: &Config,
        store: &Store,
        clock: &Arc<dyn Clock>,
        stats: &Stats,
    ) -> Result<(Rules, Notifier), Failure> {
        let external_url = match config.rules.external_url.as_str() {
            "" => self.door("http").map(|address| format!("http://{address}")).unwrap_or_default(),
            url => url.to_owned(),
        };
        let settings = notify::Settings::new(&config.rules, &external_url, env!("CARGO_PKG_VERSION"));
        let notifier = Notifier::open(&settings, store, Arc::clone(clock), stats).map_err(|error| {
            let hint = error.hint().to_owned();
            Failure::wrong_use(error).with_hint((!hint.is_empty()).then_some(hint))
        })?;
        let setup = rules::Setup {
            config: config.rules.clone(),
            query: config.query.clone(),
            store: store.clone(),
            clock: Arc::clone(clock),
            stats: stats.clone(),
            receiver: Arc::new(rules::Notified { notifier: notifier.clone(), settings }),
            external_url,
        };
        Ok((Rules::open(setup).await.map_err(wrong_rules)?, notifier))
    }

    fn reload_on_hangup(&mut self, rules: Rules, scraper: Scraper) -> anyhow::Result<()> {
        let mut hangup = signal(SignalKind::hangup()).context("cannot catch SIGHUP")?;
        let stop = self.stop.said();
        self.serving.spawn(async move {
            tokio::pin!(stop);
            loop {
                tokio::select! {
                    _ = hangup.recv() => {
                        rules.reload().await;
                        scraper.reload().await;
                    }
                    () = &mut stop => return Ok(()),
                }
            }
        });
        Ok(())
    }

    async fn doors_closed(&mut self) {
        while let Some(ended) = self.serving.join_next().await {
            if let Ok(Err(error)) = ended {
                tracing::warn!("a door did not close cleanly: {error:#}");
            }
        }
    }

    fn new(
        config: &Config,
        listeners: &Listeners,
        token: Option<Arc<TokenFile>>,
        stats: &Stats,
        clock: &dyn Clock,
        receiving: Receiving,
    ) -> Self {
        let api = query::api::Server::new(env!("CARGO_PKG_VERSION"), clock.now());
        for (name, _, address) in listeners {
            api.add_door(*name, address.to_string());
        }
        Self {
            doors: listeners.iter().map(|(name, _, address)| (*name, *address)).collect(),
            stop: Stop::new(),
            serving: JoinSet::new(),
            working: JoinSet::new(),
            in_flight: InFlight::new(),
            connections: Connections::new(
                config.connections_max,
                config.connections_per_peer_max,
                config.collector.connection_bytes_max,
                stats,
            ),
            token,
            drain_timeout: Duration::from_millis(config.drain_timeout_ms),
            api: Arc::new(api),
            behind: None,
            receiving,
        }
    }

    fn watch_itself(&mut self, config: &Config, own: Own, recorded: Recorded, memory: &Memory, store: &Store) {
        let stored = config.own_metrics_interval_s > 0;
        let metrics = OwnMetrics {
            store: store.clone(),
            intake: stored.then(|| own.intake.clone()),
            clock: Arc::clone(&own.clock),
            stats: own.stats.clone(),
            myself: own.myself.clone(),
            interval: if stored { Duration::from_secs(config.own_metrics_interval_s) } else { GAUGES_INTERVAL },
        };
        self.working.spawn(metrics.run(self.stop.said()));
        self.working.spawn(recorded.run(own, self.stop.said()));
        self.working.spawn(memory::spare(memory.clone(), store.clone(), self.stop.said()));
    }

    fn myself(&self) -> Myself {
        let instance = self.door("http").or_else(|| self.doors.first().map(|(_, address)| *address));
        Myself {
            version: self.api.version.clone(),
            instance: instance.map(|address| address.to_string()).unwrap_or_default(),
            started: self.api.started,
        }
    }

    fn serve(&mut self, name: &'static str, listener: TcpListener, router: Router) {
        let router = self.in_flight.around(router);
        self.take_connections(name, listener, router, &Handle::current());
    }

    // What is behind both doors of OTLP.
    async fn receiving(&mut self, intake: &Intake) -> Result<Router, anyhow::Error> {
        let (grpc, health) = collector::grpc_router(intake.clone()).await?;
        let stop = self.stop.said();
        // It never ends by itself, and says NOT_SERVING until the last connection is closed.
        self.serving.spawn(async move {
            tokio::select! {
                () = health => {}
                () = async { stop.await; tokio::time::sleep(GOODBYE).await } => {}
            }
            Ok(())
        });
        let grpc = self.protect(grpc, collector::Door::Grpc, intake);
        // Whoever watches health over gRPC never ends: calls are waited for where they pass the intake.
        let http = self.in_flight.around(collector::http_router(intake.clone()));
        Ok(collector::either(grpc, self.protect(http, collector::Door::Http, intake)))
    }

    fn take_connections(&mut self, name: &'static str, listener: TcpListener, router: Router, threads: &Handle) {
        let (connections, stop) = (self.connections.clone(), self.stop.clone());
        let serving = async move {
            // It was bound in another runtime, which would have to wake for each connection.
            let listener = TcpListener::from_std(listener.into_std()?)?;
            connections.serve(name, listener, router, stop).await;
            Ok(())
        };
        self.serving.spawn_on(serving, threads);
    }

    fn protect(&self, router: Router, door: collector::Door, intake: &Intake) -> Router {
        let Some(token) = self.token.clone() else { return router };
        collector::protect(router, door, intake, Arc::new(move |headers: &HeaderMap| token.is_shown_by(headers)))
    }
}

fn open_token(config: &Config) -> Result<Option<Arc<TokenFile>>, Failure> {
    if config.token_file.as_os_str().is_empty() {
        return Ok(None);
    }
    TokenFile::open(&config.token_file).map(|token| Some(Arc::new(token))).map_err(Failure::wrong_use)
}

// The settings as they are within the memory that there is.
fn fitted(config: &Config) -> Config {
    let mut fitted = config.clone();
    fitted.memory_bytes_max = memory::limit(config);
    memory::fit(&mut fitted);
    tracing::info!(memory_bytes_max = fitted.memory_bytes_max, "memory limit");
    if (&fitted.store, &fitted.collector) != (&config.store, &config.collector) {
        tracing::info!(
            head_bytes_max = fitted.store.head_bytes_max,
            flush_bytes = fitted.store.flush_bytes,
            request_bytes_max = fitted.collector.request_bytes_max,
            in_flight_bytes_max = fitted.collector.in_flight_bytes_max,
            series_max = fitted.collector.series_max,
            series_per_metric_max = fitted.collector.series_per_metric_max,
            "settings are lowered to fit into it"
        );
    }
    fitted
}

// First the rules, which hand alerts over, then those who tell of them.
async fn stop_rules(rules: &Rules, (stop, telling): (Stop, JoinHandle<()>), patience: Duration) {
    if tokio::time::timeout(patience, rules.stop()).await.is_err() {
        tracing::warn!("evaluations of rules still running are cut off");
        rules.cancel();
    }
    stop.say();
    let mut telling = telling;
    if tokio::time::timeout(patience, &mut telling).await.is_err() {
        tracing::warn!("notifications still under way are cut off; they go on at the next start");
        telling.abort();
    }
}

fn wrong_rules(error: LoadError) -> Failure {
    let hint = error.0.first().and_then(|error| error.hint.clone());
    Failure::wrong_use(anyhow::Error::from(error).context("the rule files have mistakes")).with_hint(hint)
}

fn open_scraper(config: &Config, intake: &Intake, clock: &Arc<dyn Clock>, stats: &Stats) -> Result<Scraper, Failure> {
    let setup = scrape::Setup {
        settings: config.scrape.clone(),
        intake: intake.clone(),
        clock: Arc::clone(clock),
        stats: stats.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Scraper::open(setup).map_err(wrong_scraping)
}

fn wrong_scraping(error: scrape::config::ConfigError) -> Failure {
    let hint = Some(error.hint.clone()).filter(|hint| !hint.is_empty());
    Failure::wrong_use(anyhow::Error::from(error).context("the scrape configuration has a mistake")).with_hint(hint)
}

// What can be known to be wrong before anything is touched.
fn check(config: &Config) -> Result<(), Failure> {
    config.collector.check().map_err(Failure::wrong_use)?;
    rules::reload::load(&config.rules.files).map_err(wrong_rules)?;
    config.scrape.check().map_err(wrong_scraping)?;
    // Unless somebody checks who asks, the network is let in only by somebody who says so.
    let checked = config.insecure || !config.token_file.as_os_str().is_empty();
    let mut addresses = config.doors().into_iter().filter_map(|(name, door)| Some((name, door.address()?)));
    match addresses.find(|(_, address)| !address.ip().is_loopback()) {
        Some((name, address)) if !checked => {
            let error = anyhow::anyhow!("{name} = {address} would let the network in, and nobody checks who asks");
            let hint = "give a --token-file, bind a loopback address, or give --insecure if everybody who reaches this machine may read and write";
            Err(Failure::wrong_use(error).with_hint(Some(hint)))
        }
        _ => Ok(()),
    }
}

async fn bind(config: &Config) -> Result<Listeners, Failure> {
    let mut listeners = Vec::new();
    for (name, door) in config.doors() {
        let Door::At(address) = door else { continue };
        let listener = TcpListener::bind(address).await.map_err(|error| {
            let taken = error.kind() == std::io::ErrorKind::AddrInUse;
            let flag = name.replace('_', "-");
            let hint = format!("another process listens there: stop it, or give another address with --{flag}");
            let error = anyhow::Error::from(error).context(format!("cannot listen on {address} for {name}"));
            Failure::wrong_use(error).with_hint(taken.then_some(hint))
        })?;
        let bound = listener.local_addr().context("cannot tell the bound address")?;
        listeners.push((name, listener, bound));
    }
    if listeners.is_empty() {
        return Err(Failure::wrong_use(anyhow::anyhow!("every door is off: there is nothing to serve")));
    }
    Ok(listeners)
}

// Opening replays the write-ahead log, which takes as long as it takes, on a thread of its own.
async fn open_store(
    config: &Config,
    disk: Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
    stats: &Stats,
) -> Result<Store, Failure> {
    let setup = store::Setup {
        directory: config.data_dir.clone(),
        config: config.store.clone(),
        clock: Arc::clone(clock),
        disk,
        stats: stats.clone(),
    };
    let opened = tokio::task::spawn_blocking(move || Store::open(setup)).await;
    opened.context("opening the data directory panicked")?.map_err(Failure::wrong_use)
}
