//! One service from start to clean end: bind, wire, serve, drain, flush.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::config::{ServiceConfig, ServiceName};
use crate::correlation::CorrelationIds;
use crate::exemplars::{DurationHistogram, Exporter, export_until};
use crate::gateway::{self, FirstOrder};
use crate::inbound::Inbound;
use crate::instruments::{DURATION_BOUNDS_S, ServerInstruments};
use crate::limits::DRAIN_MAX;
use crate::loadgen::Customers;
use crate::outbound::Upstream;
use crate::telemetry::Telemetry;
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
    let telemetry = Telemetry::start(service, &config.otlp_endpoint)?;
    tracing::info!(name: "service.started", { server.address = %address }, "service started");
    if let Some(fault) = config.fault.filter(|fault| fault.service() == service) {
        let fault = fault.to_string();
        tracing::warn!(name: "fault.started", { shop.fault = fault }, "requests fail on purpose from now on");
    }
    let served = wire_and_serve(&config, listener, address, &telemetry, shutdown).await;
    tracing::info!(name: "service.stopped", "service stopped");
    telemetry.shut_down().await;
    served.with_context(|| format!("{service} could not serve on {address}"))
}

async fn wire_and_serve(
    config: &ServiceConfig,
    listener: TcpListener,
    address: SocketAddr,
    telemetry: &Telemetry,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let meter = telemetry.meter();
    let ids = Arc::new(CorrelationIds::for_this_run());
    let inbound = Inbound { instruments: Arc::new(ServerInstruments::new(&meter)), ids: Arc::clone(&ids) };
    let upstream = || Upstream::new(config.upstream.as_deref().unwrap_or_default());
    match config.name {
        ServiceName::Gateway => {
            let durations = Arc::new(DurationHistogram::new(&DURATION_BOUNDS_S));
            let endpoint = &config.otlp_endpoint;
            let exporter =
                Exporter::new(endpoint, &telemetry.resource, Arc::clone(&durations), gateway::ORDER_DURATION)?;
            let customers = Customers {
                gateway: Upstream::new(&format!("http://{address}"))?,
                per_second: config.orders_per_second,
                ids,
            };
            let router = inbound.around(gateway::routes(upstream()?, durations));
            let first = FirstOrder::new(config.fault.is_some());
            serve_gateway(listener, router, exporter, customers, first, shutdown).await?;
        }
        ServiceName::Orders => serve(listener, inbound.around(orders::routes(upstream()?, &meter)), shutdown).await?,
        ServiceName::Payments => {
            serve(listener, inbound.around(payments::routes(&meter, config.fault)), shutdown).await?
        }
    }
    Ok(())
}

/// The gateway and its two companions. They end in the order of the data: customers, requests, exemplars.
async fn serve_gateway(
    listener: TcpListener,
    router: Router,
    exporter: Exporter,
    customers: Customers,
    mut first: FirstOrder,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (all_served, served) = oneshot::channel::<()>();
    let exports = tokio::spawn(export_until(ended(served), exporter, move |exemplars| first.delivered(exemplars)));
    let (closing, closed) = oneshot::channel::<()>();
    let mut customers = tokio::spawn(customers.place_orders(ended(closed)));
    let doors_shut = async move {
        shutdown.await;
        drop(closing);
        if tokio::time::timeout(DRAIN_MAX, &mut customers).await.is_err() {
            customers.abort();
        }
    };
    let result = serve(listener, router, doors_shut).await;
    drop(all_served);
    // Bounded by the timeout of one export.
    let _ = exports.await;
    result
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
