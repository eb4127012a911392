//! The few lines a service says to its parent on stdout. Everything else it has to say is telemetry.

use std::io::Write;
use std::net::SocketAddr;

/// Before the address that was bound.
pub(crate) const LISTENING: &str = "listening on ";

/// Before the gateway's address for the other services.
pub(crate) const INTERNAL: &str = "internal on ";

/// Before the version that is to take the place of this process, which ends now.
pub(crate) const REDEPLOY: &str = "redeploy ";

/// Before the id of an order that went through all services.
pub(crate) const ORDER: &str = "correlation_id=";

pub(crate) fn listening(address: SocketAddr) {
    line(LISTENING, &address.to_string());
}

pub(crate) fn internal(address: SocketAddr) {
    line(INTERNAL, &address.to_string());
}

pub(crate) fn redeploy(version: &str) {
    line(REDEPLOY, version);
}

pub(crate) fn order_went_through(id: &str) {
    line(ORDER, id);
}

/// `println!` panics when the parent has gone away and closed the pipe. A service does not die of that.
fn line(beginning: &str, rest: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{beginning}{rest}").and_then(|()| out.flush());
}
