//! How the services find and reach each other: registry, balancing, health, breakers, retries, limits, TLS.

mod attempt;
mod backend;
mod balance;
mod breaker;
mod directory;
mod health;
mod http;
mod instance;
mod load;
mod peer;
mod peers;
mod registration;
pub(crate) mod registry;
mod retry;
mod signals;
mod upstream;
mod window;

pub use balance::Algorithm;
pub(crate) use breaker::Breaker;
pub(crate) use load::UnderWay;
pub(crate) use peer::{Answer, CallError, Outgoing, Peer};
pub(crate) use peers::Peers;
pub(crate) use registration::Registration;
pub(crate) use registry::Registry;
pub(crate) use retry::Retries;

#[cfg(test)]
mod tests;
