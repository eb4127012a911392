//! Notifications: the configuration as data, the machines as data, delivery to a receiver on this machine.

mod campaign;
mod config;
mod delivery;
mod dispatch;
mod guard;
mod kill;
mod outbox;
mod payload;
mod receiver;
mod route;
mod tls;
mod world;
