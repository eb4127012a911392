//! The front door: takes requests from strangers, limits them, and hands each to an instance of the service it is for.

mod first_order;

use axum::Router;
use tokio::net::TcpListener;

use crate::context::Context;
use crate::service::{self, Draining};

pub(crate) use first_order::FirstOrder;

/// Its routes, once what it stands on is there.
pub(crate) async fn open(_context: &Context) -> anyhow::Result<Router> {
    Ok(Router::new())
}

/// Serves them, with TLS if it has a certificate.
pub(crate) async fn serve(
    _context: &Context,
    listener: TcpListener,
    router: Router,
    draining: Draining<impl Future<Output = ()> + Send + 'static>,
) -> anyhow::Result<()> {
    Ok(service::serve(listener, router, draining).await?)
}
