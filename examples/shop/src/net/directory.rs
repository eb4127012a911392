//! The instances of one service, as a caller knows them: taken over from the registry each second, and kept as they are while it is away.

use std::sync::Arc;
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
    At(Http, String),
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
    /// `None` until the registry was asked for the first time.
    known: watch::Sender<Option<Backends>>,
}

impl Directory {
    /// Follows the source until the service stops.
    pub(crate) fn follow(service: ServiceName, source: Source, signals: Arc<Signals>, tasks: &Tasks) -> Arc<Self> {
        let this = Arc::new(Self { service, source, signals, known: watch::Sender::new(None) });
        // At once, where it takes no time.
        if let Source::Here(registry) = &this.source {
            this.take(registry.list(service), false);
        }
        let (following, pausing) = (Arc::clone(&this), tasks.clone());
        let mut news = match &this.source {
            Source::Here(registry) => Some(registry.changes()),
            Source::At(..) | Source::Nowhere => None,
        };
        tasks.spawn(async move {
            while !pausing.is_stopping() {
                following.look().await;
                tokio::select! {
                    () = told(&mut news) => {}
                    () = pausing.pause(PAUSE) => {}
                }
            }
        });
        this
    }

    /// The instances; waits for the first list a little, if there is none yet.
    pub(crate) async fn backends(&self) -> Backends {
        let mut known = self.known.subscribe();
        let first = timeout(HEARTBEAT_MAX, known.wait_for(Option::is_some)).await;
        first.ok().and_then(|known| known.ok()?.clone()).unwrap_or_default()
    }

    /// The instances as they are known now.
    pub(crate) fn backends_now(&self) -> Backends {
        self.known.borrow().clone().unwrap_or_default()
    }

    async fn look(&self) {
        let listed = match &self.source {
            Source::Here(registry) => Ok((registry.list(self.service), false)),
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

    /// Those who stay keep their measurements and breakers. A `partial` list adds to what is known, and takes nothing away.
    fn take(&self, mut listed: Vec<Listed>, partial: bool) {
        listed.sort_by(|a, b| a.instance.cmp(&b.instance));
        let known = self.backends_now();
        let mut backends: Vec<Arc<Backend>> = Vec::with_capacity(listed.len());
        for listed in &listed {
            match known.iter().find(|backend| backend.is(listed)) {
                Some(backend) => {
                    backend.tell(listed);
                    backends.push(Arc::clone(backend));
                }
                None => {
                    let backend = Arc::new(Backend::new(self.service, listed, self.signals.instruments.clone()));
                    self.signals.watch_backend(&backend);
                    backends.push(backend);
                }
            }
        }
        if partial {
            let missing = |backend: &&Arc<Backend>| listed.iter().all(|listed| listed.instance != backend.instance());
            backends.extend(known.iter().filter(missing).cloned());
            backends.sort_by(|a, b| a.instance().cmp(b.instance()));
        }
        self.known.send_replace(Some(backends.into()));
    }
}

/// Resolves when there is news, where that is told.
async fn told(news: &mut Option<watch::Receiver<()>>) {
    let gone = match news {
        Some(news) => news.changed().await.is_err(),
        None => true,
    };
    if gone {
        std::future::pending().await
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

    use super::super::health::Health;
    use super::*;

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

    #[tokio::test]
    async fn who_stays_is_the_same_and_a_partial_list_takes_nobody_away() {
        let signals = Signals::new(&sextant_sdk::metrics::meter("test"));
        let directory = Directory {
            service: ServiceName::Orders,
            source: Source::Nowhere,
            signals,
            known: watch::Sender::new(None),
        };
        let names = || directory.backends_now().iter().map(|b| b.instance().to_owned()).collect::<Vec<_>>().join(" ");
        directory.take(vec![listed("b", 2), listed("a", 1)], false);
        assert_eq!(names(), "a b");
        let before = directory.backends_now();
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
