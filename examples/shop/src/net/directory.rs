//! The instances of one service, as a caller knows them: taken over from the registry each second, and kept as they are while it is away.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::http::Request;
use bytes::Bytes;
use http_body_util::Full;
use tokio::sync::watch;
use tokio::time::timeout;

use super::Registry;
use super::backend::Backend;
use super::http::Http;
use super::instance::Listed;
use super::registry::SETTLING;
use super::signals::Signals;
use crate::config::ServiceName;
use crate::context::Tasks;
use crate::limits::HEARTBEAT_MAX;

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

/// Where a caller learns of instances.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// This process keeps the registry.
    Here(Arc<Registry>),
    /// The registry is at this URL.
    At(Arc<Http>, String),
    /// There is none.
    Nowhere,
}

/// The instances in the order of their names.
pub(crate) type Backends = Arc<[Arc<Backend>]>;

/// What is known of one service.
#[derive(Debug)]
pub(crate) struct Directory {
    service: ServiceName,
    source: Source,
    signals: Arc<Signals>,
    /// Says whether there is news, where that is told.
    news: Option<Mutex<watch::Receiver<()>>>,
    /// `None` until the registry was asked for the first time.
    known: watch::Sender<Option<Backends>>,
}

impl Directory {
    /// Follows the source until the service stops.
    pub(crate) fn follow(service: ServiceName, source: Source, signals: Arc<Signals>, tasks: &Tasks) -> Arc<Self> {
        let this = Arc::new(Self::new(service, source, signals));
        let following = Arc::clone(&this);
        tasks.repeat(PAUSE, move || {
            let following = Arc::clone(&following);
            async move { following.look().await }
        });
        this
    }

    fn new(service: ServiceName, source: Source, signals: Arc<Signals>) -> Self {
        let news = match &source {
            Source::Here(registry) => Some(Mutex::new(registry.changes())),
            Source::At(..) | Source::Nowhere => None,
        };
        Self { service, source, signals, news, known: watch::Sender::new(None) }
    }

    /// The instances; waits for the first list a little, if there is none yet.
    pub(crate) async fn backends(&self) -> Backends {
        self.catch_up();
        let mut known = self.known.subscribe();
        let first = timeout(HEARTBEAT_MAX, known.wait_for(Option::is_some)).await;
        first.ok().and_then(|known| known.ok()?.clone()).unwrap_or_default()
    }

    /// Takes over at once what the registry of this process has heard: it costs nothing to ask it, and who said farewell gets nothing more.
    fn catch_up(&self) {
        if let Source::Here(registry) = &self.source {
            let is_first = self.known.borrow().is_none();
            self.take_from(registry, is_first);
        }
    }

    async fn look(&self) {
        let listed = match &self.source {
            // Heartbeats tell the instances' loads, which are no news.
            Source::Here(registry) => return self.take_from(registry, true),
            Source::At(http, url) => ask(http, &format!("{url}/registry/{}", self.service)).await,
            Source::Nowhere => Ok((Vec::new(), false)),
        };
        match listed {
            Ok((listed, partial)) => self.take(listed, partial),
            // The heartbeats say it when the registry is away.
            Err(error) => {
                tracing::debug!(error = format!("{error:#}"), "the instances of {} stay as they were", self.service)
            }
        }
    }

    /// Takes over the list of the registry of this process, if there is news or `anyway`.
    fn take_from(&self, registry: &Registry, anyway: bool) {
        let Some(news) = &self.news else { return };
        // Held until the list is taken over: who comes second finds what the first has heard of, and no list replaces a newer one.
        let mut news = news.lock().unwrap_or_else(PoisonError::into_inner);
        if anyway || news.has_changed().unwrap_or(false) {
            news.mark_unchanged();
            self.take(registry.list(self.service), false);
        }
    }

    /// Those who stay keep their measurements and breakers. A `partial` list adds to what is known, and takes nothing away.
    fn take(&self, listed: Vec<Listed>, partial: bool) {
        self.known
            .send_modify(|known| *known = Some(self.merged(known.as_deref().unwrap_or_default(), listed, partial)));
    }

    fn merged(&self, known: &[Arc<Backend>], mut listed: Vec<Listed>, partial: bool) -> Backends {
        listed.sort_by(|a, b| a.instance.cmp(&b.instance));
        let known_or_new = |listed: &Listed| match known.iter().find(|backend| backend.is(listed)) {
            Some(backend) => {
                backend.tell(listed);
                Arc::clone(backend)
            }
            None => {
                let backend = Arc::new(Backend::new(self.service, listed, self.signals.instruments.clone()));
                self.signals.watch_backend(&backend);
                backend
            }
        };
        let mut backends: Vec<Arc<Backend>> = listed.iter().map(known_or_new).collect();
        if partial {
            let missing = |backend: &&Arc<Backend>| listed.iter().all(|listed| listed.instance != backend.instance());
            backends.extend(known.iter().filter(missing).cloned());
            backends.sort_by(|a, b| a.instance().cmp(b.instance()));
        }
        backends.into()
    }
}

async fn ask(http: &Http, url: &str) -> anyhow::Result<(Vec<Listed>, bool)> {
    let request = Request::get(url).body(Full::<Bytes>::default())?;
    let reply = timeout(HEARTBEAT_MAX, http.send(request)).await.context("no answer in time")??;
    if !reply.status.is_success() {
        bail!("{url} answered {}", reply.status);
    }
    let listed = serde_json::from_slice(&reply.body).with_context(|| format!("{url} answered no list"))?;
    Ok((listed, reply.headers.contains_key(SETTLING)))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Barrier;
    use std::thread;

    use super::super::health::Health;
    use super::super::instance::Heartbeat;
    use super::*;

    fn directory(source: Source) -> Directory {
        Directory::new(ServiceName::Orders, source, Signals::new(&sextant_sdk::metrics::meter("test")))
    }

    fn listed(instance: &str, port: u16) -> Listed {
        Listed {
            instance: instance.to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            version: "1".to_owned(),
            weight: 1,
            load: Default::default(),
            health: Health::Up,
            age_s: 0.0,
        }
    }

    #[test]
    fn of_many_who_ask_at_once_each_finds_who_has_just_come() {
        let registry = Arc::new(Registry::new(Arc::default()));
        let directory = directory(Source::Here(Arc::clone(&registry)));
        directory.catch_up();
        for come in 1..=50 {
            let address = SocketAddr::from(([127, 0, 0, 1], come));
            let told = Heartbeat { address, version: "1".to_owned(), weight: 1, load: Default::default() };
            registry.beat(ServiceName::Orders, &format!("orders-{come}"), told).expect("room");
            let together = Barrier::new(4);
            let ask = || {
                together.wait();
                directory.catch_up();
                directory.known.borrow().as_ref().map_or(0, |known| known.len())
            };
            let seen = thread::scope(|scope| {
                [(); 4].map(|()| scope.spawn(ask)).map(|asking| asking.join().expect("no panic"))
            });
            assert_eq!(seen, [usize::from(come); 4]);
        }
    }

    #[tokio::test]
    async fn who_stays_is_the_same_and_a_partial_list_takes_nobody_away() {
        let directory = directory(Source::Nowhere);
        let now = || directory.known.borrow().clone().unwrap_or_default();
        let names = || now().iter().map(|backend| backend.instance().to_owned()).collect::<Vec<_>>().join(" ");
        directory.take(vec![listed("b", 2), listed("a", 1)], false);
        assert_eq!(names(), "a b");
        let before = now();
        directory.take(vec![listed("b", 3), listed("a", 1), listed("c", 4)], false);
        let after = directory.backends().await;
        assert!(Arc::ptr_eq(&before[0], &after[0]), "its breaker is the same");
        assert!(!Arc::ptr_eq(&before[1], &after[1]), "it was started anew at another address");
        directory.take(vec![listed("d", 5)], true);
        assert_eq!(names(), "a b c d");
        directory.take(vec![listed("d", 5)], false);
        assert_eq!(names(), "d");
    }
}
