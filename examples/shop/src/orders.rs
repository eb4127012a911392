//! Orders.

use axum::Router;

use crate::context::Context;

/// Its routes, once what it stands on is there.
pub(crate) async fn open(_context: &Context) -> anyhow::Result<Router> {
    Ok(Router::new())
}
