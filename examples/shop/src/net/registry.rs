//! Who is where: the gateway keeps it, the instances tell it with their heartbeats, and hear in return which faults are for them.

use std::sync::Arc;

use axum::Router;

use crate::context::Tasks;
use crate::faults::control::Control;

/// The registry.
#[derive(Debug)]
pub(crate) struct Registry {
    faults: Arc<Control>,
}

impl Registry {
    pub(crate) fn new(faults: Arc<Control>, _tasks: &Tasks) -> Self {
        Self { faults }
    }
}

/// Its HTTP interface, for the internal door.
pub(crate) fn routes(_registry: Arc<Registry>) -> Router {
    Router::new()
}
