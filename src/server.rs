//! The one wiring file: builds the server's parts in the order of their dependencies, connects them to the doors, and stops
//! them in reverse. Knows every crate; decides nothing that belongs to one of them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use model::stats::Stats;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::config::{Config, Door};
use crate::gate::Gate;
use crate::report::Failure;
use crate::shutdown::Stop;

/// The doors that are open, by name, with the addresses that were bound.
pub type Doors = Vec<(&'static str, SocketAddr)>;

/// A running server.
pub struct Server {
    doors: Doors,
    stop: Stop,
    serving: JoinSet<std::io::Result<()>>,
    drain_timeout: Duration,
}

impl Server {
    /// Binds the doors, tells `announce` where, opens the data directory, and takes and answers requests once that is done.
    pub async fn start(config: &Config, announce: impl FnOnce(&Doors) -> std::io::Result<()>) -> Result<Self, Failure> {
        refuse_open_doors(config)?;
        let listeners = bind(config).await?;
        let doors: Doors = listeners.iter().map(|(name, _, address)| (*name, *address)).collect();
        announce(&doors)?;

        let stats = Stats::new();
        let gate = Gate::new(stats.clone());
        let mut server = Self {
            doors,
            stop: Stop::new(),
            serving: JoinSet::new(),
            drain_timeout: Duration::from_millis(config.drain_timeout_ms),
        };
        for (name, listener, _) in listeners {
            if name == "http" {
                server.serve(listener, gate.router());
            }
        }
        gate.open(Router::new());
        Ok(server)
    }

    /// Where a door is, if it is open.
    pub fn door(&self, name: &str) -> Option<SocketAddr> {
        self.doors.iter().find(|(known, _)| *known == name).map(|(_, address)| *address)
    }

    /// Takes no new requests, lets those in flight end for as long as the configuration allows, then closes the store.
    pub async fn stop(mut self) -> Result<(), Failure> {
        self.stop.say();
        let drained = async {
            while let Some(ended) = self.serving.join_next().await {
                if let Ok(Err(error)) = ended {
                    tracing::warn!(%error, "a door did not close cleanly");
                }
            }
        };
        if tokio::time::timeout(self.drain_timeout, drained).await.is_err() {
            tracing::warn!("requests still in flight are cut off");
            self.serving.shutdown().await;
        }
        Ok(())
    }

    fn serve(&mut self, listener: TcpListener, router: Router) {
        let stop = self.stop.said();
        self.serving.spawn(async move { axum::serve(listener, router).with_graceful_shutdown(stop).await });
    }
}

// Nobody checks who asks yet, so the network is let in only by somebody who says so.
fn refuse_open_doors(config: &Config) -> Result<(), Failure> {
    let addresses = config.doors().into_iter().filter_map(|(name, door)| door.address().map(|address| (name, address)));
    match addresses.into_iter().find(|(_, address)| !address.ip().is_loopback()) {
        Some((name, address)) if !config.insecure => {
            let error = anyhow::anyhow!("{name} = {address} would let the network in, and nobody checks who asks");
            let hint =
                "bind a loopback address, or give --insecure if everybody who reaches this machine may read and write";
            Err(Failure::wrong_use(error).with_hint(Some(hint)))
        }
        _ => Ok(()),
    }
}

async fn bind(config: &Config) -> Result<Vec<(&'static str, TcpListener, SocketAddr)>, Failure> {
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
