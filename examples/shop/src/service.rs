//! One service from start to clean end: bind, wire, serve, drain, flush.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use sextant_sdk::http::ServerLayer;
use sextant_sdk::{Protocol, metrics};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::config::{ServiceConfig, ServiceName};
use crate::gateway::{self, FirstOrder};
use crate::limits::{BATCH_DELAY, BODY_BYTES_MAX, DRAIN_MAX, EXPORT_TIMEOUT, FLUSH_MAX, METRIC_INTERVAL};
use crate::loadgen::Customers;
use crate::order_ids::OrderIds;
use crate::outbound::Upstream;
use crate::{announce, orders, payments};

/// Runs one service until `shutdown` resolves, then finishes the requests under way, flushes the telemetry and returns;
/// that takes a few seconds at most, whether or not the collector is there.
///
/// Says `listening on ADDRESS` on stdout when it accepts connections. The gateway says `correlation_id=ID` too, once,
/// when an order has gone through all three services and its exemplar has reached the collector.
///
/// Needs a multi-threaded tokio runtime, and the process to itself: it installs the `tracing` subscriber.
pub async fn run_service(
    config: ServiceConfig,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    config.check()?;
    let service = config.name;
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.with_context(|| format!("{service} cannot listen on {}", config.listen))?;
    let address = listener.local_addr().context("cannot tell the bound address")?;
    let ids = Arc::new(OrderIds::for_this_run());
    let telemetry = telemetry(&config, Arc::clone(&ids))?;
    tracing::info!(name: "service.started", { server.address = %address }, "service started");
    if let Some(fault) = config.fault.filter(|fault| fault.service() == service) {
        let fault = fault.to_string();
        tracing::warn!(name: "fault.started", { shop.fault = fault }, "requests fail on purpose from now on");
    }
    let served = wire_and_serve(&config, listener, address, ids, shutdown).await;
    tracing::info!(name: "service.stopped", "service stopped");
    // What the collector does not take by then is lost, which is no reason for a service to fail.
    telemetry.shutdown().await;
    served.with_context(|| format!("{service} could not serve on {address}"))
}

/// Sets the SDK up. It works once per process, and the flag says where telemetry goes, whatever the environment says.
fn telemetry(config: &ServiceConfig, ids: Arc<OrderIds>) -> anyhow::Result<sextant_sdk::Guard> {
    let first = FirstOrder::new(config.fault.is_some());
    let builder = sextant_sdk::builder(config.name.as_str())
        .version(env!("CARGO_PKG_VERSION"))
        .attribute("service.namespace", "shop")
        .endpoint_always(Protocol::Grpc, &config.otlp_endpoint)
        .only_target("shop")
        .make_correlation_id(move || ids.next())
        .timeout(EXPORT_TIMEOUT)
        .batch_delay(BATCH_DELAY)
        .metric_interval(METRIC_INTERVAL)
        .shutdown_within(FLUSH_MAX)
        .on_delivery(move |exemplars| first.delivered(exemplars));
    builder.init().context("this process has telemetry already: start one service per process")
}

async fn wire_and_serve(
    config: &ServiceConfig,
    listener: TcpListener,
    address: SocketAddr,
    ids: Arc<OrderIds>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let meter = metrics::meter("shop");
    let upstream = || Upstream::new(config.upstream.as_deref().unwrap_or_default());
    match config.name {
        ServiceName::Gateway => {
            let customers = Customers {
                gateway: Upstream::new(&format!("http://{address}"))?,
                per_second: config.orders_per_second,
                ids,
            };
            let router = observed(gateway::routes(upstream()?, &meter));
            serve_gateway(listener, router, customers, shutdown).await?;
        }
        ServiceName::Orders => serve(listener, observed(orders::routes(upstream()?, &meter)), shutdown).await?,
        ServiceName::Payments => serve(listener, observed(payments::routes(&meter, config.fault)), shutdown).await?,
    }
    Ok(())
}

/// Observes the routes, and nothing of what strangers try beside them.
fn observed(routes: Router) -> Router {
    routes.route_layer(ServerLayer::new()).layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// The gateway and its customers, who leave before it closes.
async fn serve_gateway(
    listener: TcpListener,
    router: Router,
    customers: Customers,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (closing, closed) = oneshot::channel::<()>();
    let mut customers = tokio::spawn(customers.place_orders(ended(closed)));
    let doors_shut = async move {
        shutdown.await;
        drop(closing);
        if tokio::time::timeout(DRAIN_MAX, &mut customers).await.is_err() {
            customers.abort();
        }
    };
    serve(listener, router, doors_shut).await
}

/// Serves until `shutdown` resolves, then lets the requests under way finish; after [`DRAIN_MAX`] they are cut off.
async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    announce::listening(listener.local_addr()?);
    let (draining, drain) = oneshot::channel::<()>();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        drop(draining);
    });
    let too_long = async {
        ended(drain).await;
        tokio::time::sleep(DRAIN_MAX).await;
    };
    tokio::select! {
        result = server => result,
        () = too_long => Ok(()),
    }
}

/// Resolves when the other end of a channel, which carries nothing, is dropped.
async fn ended(end: oneshot::Receiver<()>) {
    let _ = end.await;
}
