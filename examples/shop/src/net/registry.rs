//! Who is where: the gateway keeps it, the instances tell it with their heartbeats, and hear in return which faults are for them.

mod routes;
mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch as signal;
use tokio::time::Instant;

use super::health::{Checks, Health};
use super::instance::{Heartbeat, Listed};
use crate::config::ServiceName;
use crate::faults::Fault;
use crate::faults::control::Control;
use crate::limits::{INSTANCE_AGE_MAX, INSTANCES_MAX, REGISTRY_SETTLED};

pub(crate) use routes::{SETTLING, routes};

/// The registry.
#[derive(Debug)]
pub(crate) struct Registry {
    faults: Arc<Control>,
    instances: Mutex<Instances>,
    /// Told whenever one comes, goes, or changes its health.
    changed: signal::Sender<()>,
    begun: Instant,
}

type Instances = BTreeMap<(ServiceName, String), Entry>;

#[derive(Debug)]
struct Entry {
    told: Heartbeat,
    heard: Instant,
    checks: Checks,
}

/// There are too many.
#[derive(Debug, thiserror::Error)]
#[error("there are {INSTANCES_MAX} instances already")]
pub(crate) struct Full;

impl Registry {
    pub(crate) fn new(faults: Arc<Control>) -> Self {
        Self { faults, instances: Mutex::default(), changed: signal::Sender::new(()), begun: Instant::now() }
    }

    /// An instance lives: what is to break in it.
    pub(super) fn beat(&self, service: ServiceName, instance: &str, told: Heartbeat) -> Result<Vec<Fault>, Full> {
        let (address, version) = (told.address, told.version.clone());
        let (joined, faults) = {
            let mut instances = self.lock();
            let key = (service, instance.to_owned());
            let known = instances.get(&key).is_some_and(|entry| entry.told.address == address);
            if !known && instances.len() >= INSTANCES_MAX && !instances.contains_key(&key) {
                return Err(Full);
            }
            // One that was started anew has done nothing wrong yet.
            let checks = instances.remove(&key).filter(|_| known).map_or_else(Checks::new, |entry| entry.checks);
            instances.insert(key, Entry { told, heard: Instant::now(), checks });
            let names = of_service(&instances, service).map(|(name, _)| name);
            (!known, self.faults.of(service, instance, names))
        };
        if joined {
            tracing::info!(
                name: "instance.joined",
                { shop.backend.service = %service, shop.backend.instance = instance, shop.version = version, server.address = %address },
                "{instance} is there"
            );
            self.changed.send_replace(());
        }
        Ok(faults)
    }

    /// An instance says that it goes.
    fn leave(&self, service: ServiceName, instance: &str) -> bool {
        let was_there = self.lock().remove(&(service, instance.to_owned())).is_some();
        if was_there {
            tracing::info!(
                name: "instance.left",
                { shop.backend.service = %service, shop.backend.instance = instance },
                "{instance} has said farewell"
            );
            self.changed.send_replace(());
        }
        was_there
    }

    /// Who has not been heard of for too long is gone.
    fn sweep(&self) {
        let now = Instant::now();
        let mut gone = Vec::new();
        self.lock().retain(|key, entry| {
            let alive = now.duration_since(entry.heard) < INSTANCE_AGE_MAX;
            if !alive {
                gone.push(key.clone());
            }
            alive
        });
        for (service, instance) in &gone {
            tracing::warn!(
                name: "instance.left",
                { shop.backend.service = %service, shop.backend.instance = instance, silent_s = INSTANCE_AGE_MAX.as_secs_f64() },
                "{instance} has not been heard of: it is gone without a farewell"
            );
        }
        if !gone.is_empty() {
            self.changed.send_replace(());
        }
    }

    /// A health check found an instance so.
    fn checked(&self, of: &Check, good: Result<(), String>) {
        let key = (of.service, of.instance.clone());
        let health = {
            let mut instances = self.lock();
            // Not that of one that has its name and came while the check was under way.
            let entry = instances.get_mut(&key).filter(|entry| entry.told.address == of.address);
            let Some(entry) = entry else { return };
            if !entry.checks.checked(good.is_ok()) {
                return;
            }
            entry.checks.health()
        };
        let (service, instance) = (of.service, &of.instance);
        match health {
            Health::Unhealthy => tracing::warn!(
                name: "instance.unhealthy",
                { shop.backend.service = %service, shop.backend.instance = instance, error = good.err().unwrap_or_default() },
                "{instance} fails its health checks: it gets no requests"
            ),
            Health::Up => tracing::info!(
                name: "instance.healthy",
                { shop.backend.service = %service, shop.backend.instance = instance },
                "{instance} passes its health checks again"
            ),
        }
        self.changed.send_replace(());
    }

    /// The instances of a service, by name.
    pub(crate) fn list(&self, service: ServiceName) -> Vec<Listed> {
        let now = Instant::now();
        let instances = self.lock();
        of_service(&instances, service).map(|(instance, entry)| entry.listed(instance, now)).collect()
    }

    /// Told whenever one comes, goes, or changes its health.
    pub(crate) fn changes(&self) -> signal::Receiver<()> {
        self.changed.subscribe()
    }

    /// Just after its start it may not have heard of everybody yet.
    fn is_settling(&self) -> bool {
        self.begun.elapsed() < REGISTRY_SETTLED
    }

    fn lock(&self) -> MutexGuard<'_, Instances> {
        // Nothing panics half-way through a change.
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn of_service(instances: &Instances, service: ServiceName) -> impl Iterator<Item = (&str, &Entry)> {
    instances.iter().filter(move |((of, _), _)| *of == service).map(|((_, name), entry)| (name.as_str(), entry))
}

impl Entry {
    fn listed(&self, instance: &str, now: Instant) -> Listed {
        Listed {
            instance: instance.to_owned(),
            address: self.told.address,
            version: self.told.version.clone(),
            weight: self.told.weight,
            load: self.told.load,
            health: self.checks.health(),
            age_s: now.duration_since(self.heard).as_secs_f64(),
        }
    }
}

/// Whom to check.
#[derive(Clone, Debug)]
struct Check {
    service: ServiceName,
    instance: String,
    address: std::net::SocketAddr,
}

/// Between two rounds of health checks and sweeps.
const ROUND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn told(port: u16) -> Heartbeat {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Heartbeat { address, version: "1".to_owned(), weight: 1, load: Default::default() }
    }

    fn names(registry: &Registry) -> Vec<String> {
        registry.list(ServiceName::Orders).into_iter().map(|listed| listed.instance).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_goes_and_who_says_farewell_too() {
        let registry = Registry::new(Arc::default());
        for (instance, port) in [("orders-1", 1), ("orders-2", 2), ("orders-3", 3)] {
            registry.beat(ServiceName::Orders, instance, told(port)).expect("room");
        }
        registry.beat(ServiceName::Catalog, "catalog-1", told(4)).expect("room");
        assert_eq!(names(&registry), ["orders-1", "orders-2", "orders-3"]);
        assert!(registry.leave(ServiceName::Orders, "orders-2"));
        assert!(!registry.leave(ServiceName::Orders, "orders-2"), "it was gone");
        tokio::time::advance(Duration::from_secs(4)).await;
        registry.beat(ServiceName::Orders, "orders-3", told(3)).expect("room");
        registry.sweep();
        assert_eq!(names(&registry), ["orders-1", "orders-3"]);
        tokio::time::advance(Duration::from_secs(1)).await;
        registry.sweep();
        assert_eq!(names(&registry), ["orders-3"]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_started_anew_is_believed_again() {
        let registry = Registry::new(Arc::default());
        registry.beat(ServiceName::Orders, "orders-1", told(1)).expect("room");
        let check =
            |port| Check { service: ServiceName::Orders, instance: "orders-1".to_owned(), address: told(port).address };
        let health = || registry.list(ServiceName::Orders)[0].health;
        registry.checked(&check(1), Err("refused".to_owned()));
        assert_eq!(health(), Health::Up);
        registry.checked(&check(1), Err("refused".to_owned()));
        assert_eq!(health(), Health::Unhealthy);
        registry.beat(ServiceName::Orders, "orders-1", told(1)).expect("room");
        assert_eq!(health(), Health::Unhealthy, "a heartbeat is no answer to a request");
        registry.beat(ServiceName::Orders, "orders-1", told(2)).expect("room");
        assert_eq!(health(), Health::Up);
        registry.checked(&check(1), Err("refused".to_owned()));
        registry.checked(&check(1), Err("refused".to_owned()));
        assert_eq!(health(), Health::Up, "that was the one before it");
    }

    #[test]
    fn there_is_room_for_so_many() {
        let registry = Registry::new(Arc::default());
        for number in 0..INSTANCES_MAX {
            registry.beat(ServiceName::Orders, &format!("orders-{number}"), told(1)).expect("room");
        }
        assert!(registry.beat(ServiceName::Orders, "one-more", told(1)).is_err());
        assert!(registry.beat(ServiceName::Orders, "orders-0", told(2)).is_ok(), "it has a place");
    }
}
