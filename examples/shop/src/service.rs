//! One service from start to clean end: bind, open what it stands on, register, serve, drain, flush.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::connect_info::Connected;
use axum::routing::get;
use axum::serve::{IncomingStream, Listener};
use sextant_sdk::http::ServerLayer;
use sextant_sdk::{Protocol, metrics};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::config::{ServiceConfig, ServiceName};
use crate::context::{Context, Tasks};
use crate::faults::Faults;
use crate::faults::control::Control;
use crate::gateway::FirstOrder;
use crate::limits::{BATCH_DELAY, BODY_BYTES_MAX, DRAIN_MAX, EXPORT_TIMEOUT, FLUSH_MAX, METRIC_INTERVAL};
use crate::net::{Peers, Registration, Registry, UnderWay};
use crate::order_ids::OrderIds;
use crate::{announce, catalog, faults, gateway, loadgen, net, notifications, orders, payments, watchdog};

/// Runs one service until `shutdown` resolves, then finishes the requests under way, flushes the telemetry and returns;
/// that takes a few seconds at most, whether or not the collector is there.
///
/// Says `listening on ADDRESS` on stdout when it accepts connections; the gateway says `internal on ADDRESS` before, and once `correlation_id=ID`, when an order has gone through
/// all services and its exemplar has reached the collector.
///
/// Needs a multi-threaded tokio runtime, and the process to itself: it installs the `tracing` subscriber.
pub async fn run_service(
    config: ServiceConfig,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    config.check()?;
    let service = config.name;
    let telemetry = telemetry(&config)?;
    tracing::info!(name: "service.started", { shop.instance = config.instance() }, "service started");
    let served = serve_until(config, shutdown).await;
    if let Err(error) = &served {
        tracing::error!(name: "service.failed", { error = format!("{error:#}") }, "service failed");
    }
    tracing::info!(name: "service.stopped", "service stopped");
    // What the collector does not take by then is lost, which is no reason for a service to fail.
    telemetry.shutdown().await;
    served.with_context(|| format!("{service} could not serve"))
}

/// Sets the SDK up. It works once per process, and the flag says where telemetry goes, whatever the environment says.
fn telemetry(config: &ServiceConfig) -> anyhow::Result<sextant_sdk::Guard> {
    let ids = OrderIds::for_this_run();
    let mut builder = sextant_sdk::builder(config.name.as_str())
        .version(&config.version)
        .attribute("service.namespace", "shop")
        .attribute("service.instance.id", config.instance())
        .endpoint_always(Protocol::Grpc, &config.otlp)
        .only_target("shop")
        .make_correlation_id(move || ids.next())
        .timeout(EXPORT_TIMEOUT)
        .batch_delay(BATCH_DELAY)
        .metric_interval(METRIC_INTERVAL)
        .shutdown_within(FLUSH_MAX);
    if config.name == ServiceName::Gateway {
        let first = FirstOrder::default();
        // One of the services of a host says how the host is.
        builder = builder.host_metrics().on_delivery(move |exemplars| first.delivered(exemplars));
    }
    builder.init().context("this process has telemetry already: start one service per process")
}

async fn serve_until(config: ServiceConfig, shutdown: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
    let tasks = Tasks::new();
    let faults = Arc::new(Faults::none());
    let config = Arc::new(config);
    let registry = Arc::new(Registry::new(Arc::new(Control::default())));
    let peers = match (config.name, &config.registry) {
        (ServiceName::Gateway, _) => Peers::here(Arc::clone(&registry), config.balance, &tasks),
        (_, url) => Peers::of(url.as_deref(), config.balance, &tasks)?,
    };
    let meter = metrics::meter("shop");
    let context = Context { config, faults, meter, peers, tasks: tasks.clone() };
    let served = match context.config.name {
        ServiceName::Loadgen => loadgen::shop_until(&context, shutdown).await,
        ServiceName::Gateway => serve_gateway(&context, registry, shutdown).await,
        _ => serve_instance(&context, shutdown).await,
    };
    tasks.stop(DRAIN_MAX).await;
    served
}

async fn serve_gateway(
    context: &Context,
    registry: Arc<Registry>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let internal = bind(context.config.internal).await?;
    announce::internal(internal.local_addr()?);
    registry.watch(&context.meter, &context.tasks);
    let routes = net::registry::routes(registry);
    context.tasks.spawn({
        let tasks = context.tasks.clone();
        async move {
            let served = axum::serve(internal, routes).with_graceful_shutdown(async move { tasks.stopping().await });
            if let Err(error) = served.await {
                tracing::error!(name: "registry.closed", { error = %error }, "the registry cannot be reached any more");
            }
        }
    });
    let router = observed(gateway::open(context).await?);
    let listener = bind(context.config.listen).await?;
    announce::listening(listener.local_addr()?);
    gateway::serve(context, listener, router, draining(shutdown)).await
}

async fn serve_instance(context: &Context, shutdown: impl Future<Output = ()> + Send + 'static) -> anyhow::Result<()> {
    let routes = match context.config.name {
        ServiceName::Catalog => catalog::open(context).await?,
        ServiceName::Orders => orders::open(context).await?,
        ServiceName::Payments => payments::open(context).await?,
        ServiceName::Notifications => notifications::open(context).await?,
        ServiceName::Gateway | ServiceName::Loadgen => Router::new(),
    };
    let listener = bind(context.config.listen).await?;
    let address = listener.local_addr()?;
    announce::listening(address);
    // From here on others may come.
    let under_way = UnderWay::default();
    let routes = under_way.counted(routes);
    let registration = Registration::begin(context, address, under_way);
    let redeployed = faults::process::begin(context);
    watchdog::begin(context);
    let shutdown = async move {
        tokio::select! {
            () = shutdown => {}
            () = redeployed => {}
        }
        registration.leave().await;
    };
    Ok(serve(listener, observed(routes), draining(shutdown)).await?)
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Observes the routes, and nothing of what strangers try beside them; whether the service lives is nobody's trace.
fn observed(routes: Router) -> Router {
    let alive = Router::new().route("/healthz", get(async || "ok"));
    // Notifications has no route but this.
    let routes = if routes.has_routes() { routes.route_layer(ServerLayer::new()) } else { routes };
    routes.merge(alive).layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// When to stop, in two steps.
pub(crate) struct Draining<F> {
    /// Nothing new is accepted from here on.
    pub(crate) begins: F,
    /// What is under way is cut off.
    pub(crate) ends: oneshot::Receiver<()>,
}

/// From `shutdown` on requests under way have [`DRAIN_MAX`].
fn draining(
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Draining<impl Future<Output = ()> + Send + 'static> {
    let (end, ends) = oneshot::channel::<()>();
    let begins = async move {
        shutdown.await;
        tokio::spawn(async move {
            tokio::time::sleep(DRAIN_MAX).await;
            drop(end);
        });
    };
    Draining { begins, ends }
}

/// Serves until it is drained.
pub(crate) async fn serve<L>(
    listener: L,
    router: Router,
    draining: Draining<impl Future<Output = ()> + Send + 'static>,
) -> io::Result<()>
where
    L: Listener<Addr = SocketAddr>,
    SocketAddr: for<'a> Connected<IncomingStream<'a, L>>,
{
    // Callers' addresses are there for whoever wants them.
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(draining.begins);
    tokio::select! {
        result = server => result,
        _ = draining.ends => Ok(()),
    }
}
