//! The few lines a service says to its parent on stdout. Everything else it has to say is telemetry.

use std::io::Write;
use std::net::SocketAddr;

/// Says which address was bound.
pub(crate) fn listening(address: SocketAddr) {
    line(&format!("listening on {address}"));
}

/// Names an order that went through all three services.
pub(crate) fn order_went_through(id: &str) {
    line(&format!("correlation_id={id}"));
}

/// `println!` panics when the parent has gone away and closed the pipe. A service does not die of that.
fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
