//! The front door: takes requests from strangers, limits them, and hands each to an instance of the service it is for.

mod answer;
mod first_order;
mod forward;
mod limit;
mod orders;
mod session;
mod tls;

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{MethodFilter, on, post};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use crate::config::ServiceName;
use crate::context::Context;
use crate::net::Peer;
use crate::service::{self, Draining};

pub(crate) use first_order::FirstOrder;

/// What customers may ask for, and who answers. Orders have a handler of their own, [`orders`].
const ROUTES: [Route; 5] = [
    Route { method: Method::GET, template: "/products", service: ServiceName::Catalog },
    Route { method: Method::GET, template: "/products/{id}", service: ServiceName::Catalog },
    Route { method: Method::GET, template: "/products/{id}/reviews", service: ServiceName::Catalog },
    Route { method: Method::POST, template: "/products/{id}/reviews", service: ServiceName::Catalog },
    Route { method: Method::POST, template: "/products/{id}/views", service: ServiceName::Catalog },
];

/// A row of the route table.
struct Route {
    method: Method,
    template: &'static str,
    service: ServiceName,
}

/// What the handlers share.
struct Gateway {
    catalog: Peer,
    orders: Peer,
    sessions: session::Sessions,
    durations: sextant_sdk::metrics::Histogram,
}

impl Gateway {
    fn to(&self, service: ServiceName) -> &Peer {
        match service {
            ServiceName::Orders => &self.orders,
            _ => &self.catalog,
        }
    }
}

/// Its routes, once what it stands on is there.
pub(crate) async fn open(context: &Context) -> anyhow::Result<Router> {
    let gateway = Arc::new(Gateway {
        catalog: context.peers.to(ServiceName::Catalog),
        orders: context.peers.to(ServiceName::Orders),
        sessions: session::Sessions::new(&context.meter, context.config.tls_certificate.is_some()),
        durations: orders::durations(&context.meter),
    });
    let limiter = Arc::new(limit::Limiter::new(context.config.client_rate, &context.meter));
    let mut router = Router::new().route("/orders", post(orders::place));
    for Route { method, template, service } in ROUTES {
        let filter = MethodFilter::try_from(method).context("the route table has an odd method")?;
        let handler = move |State(gateway): State<Arc<Gateway>>, asked: forward::Asked| async move {
            forward::hand_on(&gateway, service, template, asked).await
        };
        router = router.route(template, on(filter, handler));
    }
    let router = router.with_state(gateway).fallback(nothing_there).method_not_allowed_fallback(not_so);
    Ok(router.layer(from_fn_with_state(limiter, limit::limited)))
}

/// Serves them, with TLS if it has a certificate.
pub(crate) async fn serve(
    context: &Context,
    listener: TcpListener,
    router: Router,
    draining: Draining<impl Future<Output = ()> + Send + 'static>,
) -> anyhow::Result<()> {
    match (&context.config.tls_certificate, &context.config.tls_key) {
        (Some(certificate), Some(key)) => {
            let listener = tls::TlsListener::begin(listener, tls::config(certificate, key)?, &context.tasks)?;
            // A tapped listener is one whose clients' addresses axum can tell.
            Ok(service::serve(listener.tap_io(|_| {}), router, draining).await?)
        }
        _ => Ok(service::serve(listener, router, draining).await?),
    }
}

async fn nothing_there() -> Response {
    answer::refused(axum::http::StatusCode::NOT_FOUND, "there is nothing at this path")
}

async fn not_so(method: Method, _uri: Uri) -> Response {
    let text =
        format!("nothing takes {} here", if method.as_str().len() > 10 { "this method" } else { method.as_str() });
    answer::refused(axum::http::StatusCode::METHOD_NOT_ALLOWED, &text)
}
