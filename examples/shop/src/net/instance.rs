//! What an instance tells the registry of itself, and what the registry tells callers of it.

use std::net::SocketAddr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::health::Health;
use crate::config::ServiceName;
use crate::limits::{INSTANCE_NAME_BYTES_MAX, WEIGHT_MAX};

/// What an instance says each second, the body of `PUT /registry/{service}/{instance}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Heartbeat {
    pub(crate) address: SocketAddr,
    pub(crate) version: String,
    pub(crate) weight: u32,
    #[serde(default)]
    pub(crate) load: Load,
}

/// How busy an instance says it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Its share of the machine's processors, from 0 to 1.
    pub(crate) cpu: f64,
    /// Requests under way.
    pub(crate) active: u64,
}

/// What the registry answers to a heartbeat.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Heard {
    /// The faults that are for this instance. Texts, so that an instance of another version fails over none that it does not know.
    pub(crate) faults: Vec<String>,
}

/// An instance in the answer of `GET /registry/{service}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) instance: String,
    pub(crate) address: SocketAddr,
    pub(crate) version: String,
    pub(crate) weight: u32,
    pub(crate) load: Load,
    pub(crate) health: Health,
    /// Since its last heartbeat.
    pub(crate) age_s: f64,
}

/// Why a heartbeat is none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum NoHeartbeat {
    #[error("there is no service `{0}`")]
    Service(String),
    #[error("an instance's name has 1 to {INSTANCE_NAME_BYTES_MAX} letters, digits and hyphens")]
    Name,
    #[error("an instance's version has 1 to {INSTANCE_NAME_BYTES_MAX} visible characters")]
    Version,
    #[error("an instance's weight is 1 to {WEIGHT_MAX}")]
    Weight,
}

/// The service of this name, as strangers write it in a path.
pub(crate) fn service_named(name: &str) -> Result<ServiceName, NoHeartbeat> {
    ServiceName::from_str(name, false).map_err(|_| NoHeartbeat::Service(name.chars().take(40).collect()))
}

/// Whether an instance may be called so: the name goes into cookies, metrics and terminals.
pub(crate) fn check_name(instance: &str) -> Result<(), NoHeartbeat> {
    let usable = (1..=INSTANCE_NAME_BYTES_MAX).contains(&instance.len())
        && instance.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if usable { Ok(()) } else { Err(NoHeartbeat::Name) }
}

impl Heartbeat {
    /// Whether it can be believed. A load that is out of its range is brought into it.
    pub(crate) fn checked(mut self) -> Result<Self, NoHeartbeat> {
        let version = &self.version;
        if version.is_empty()
            || version.len() > INSTANCE_NAME_BYTES_MAX
            || !version.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(NoHeartbeat::Version);
        }
        if !(1..=WEIGHT_MAX).contains(&self.weight) {
            return Err(NoHeartbeat::Weight);
        }
        self.load.cpu = if self.load.cpu.is_finite() { self.load.cpu.clamp(0.0, 1.0) } else { 0.0 };
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_harmless_is_a_heartbeat() {
        let told = |version: &str, weight, cpu| Heartbeat {
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            version: version.to_owned(),
            weight,
            load: Load { cpu, active: 1 },
        };
        assert_eq!(told("", 1, 0.0).checked(), Err(NoHeartbeat::Version));
        assert_eq!(told("1\u{1b}[2J", 1, 0.0).checked(), Err(NoHeartbeat::Version));
        assert_eq!(told(&"1".repeat(1_000), 1, 0.0).checked(), Err(NoHeartbeat::Version));
        assert_eq!(told("1", 0, 0.0).checked(), Err(NoHeartbeat::Weight));
        assert_eq!(told("1", WEIGHT_MAX + 1, 0.0).checked(), Err(NoHeartbeat::Weight));
        for (said, believed) in [(0.5, 0.5), (-1.0, 0.0), (7.0, 1.0), (f64::NAN, 0.0)] {
            assert_eq!(told("1", 1, said).checked().map(|told| told.load.cpu), Ok(believed), "{said}");
        }
        for (name, usable) in [("orders-1", true), ("", false), ("a;b=c", false), ("a/b", false), ("ä", false)] {
            assert_eq!(check_name(name).is_ok(), usable, "{name}");
        }
        assert_eq!(service_named("orders"), Ok(ServiceName::Orders));
        assert!(service_named("Orders ").is_err());
    }
}
