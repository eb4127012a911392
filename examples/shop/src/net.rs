//! How the services find and reach each other: registry, balancing, health, breakers, retries, limits, TLS.

mod balance;
mod peer;
mod registration;
pub(crate) mod registry;

pub use balance::Algorithm;
pub(crate) use peer::{Answer, CallError, Peer, Peers};
pub(crate) use registration::Registration;
pub(crate) use registry::Registry;
