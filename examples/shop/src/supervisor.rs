//! The shop as processes: started in order, started again when they end, replaced when they ask for it, stopped callers first, never left behind. Each ends when its stdin does, so
//! that it cannot outlive this process however that dies.

mod instance;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::config::{Components, ServiceConfig, ServiceName};
use instance::{Instance, Said};

/// Instances of a service, unless it is told otherwise: what balancing, failing over and bad deploys need to be seen.
const INSTANCES: [(ServiceName, usize); 6] = [
    (ServiceName::Gateway, 1),
    (ServiceName::Catalog, 2),
    (ServiceName::Payments, 2),
    (ServiceName::Orders, 3),
    (ServiceName::Notifications, 1),
    (ServiceName::Loadgen, 1),
];

/// Callers first, so that no order finds its callee gone; the gateway last, because all say farewell to it.
const STOP_ORDER: [ServiceName; 6] = [
    ServiceName::Loadgen,
    ServiceName::Orders,
    ServiceName::Notifications,
    ServiceName::Payments,
    ServiceName::Catalog,
    ServiceName::Gateway,
];

/// What the shop consists of, and what it is told.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The executable that runs a service, and its arguments before `NAME --flags`.
    pub program: (PathBuf, Vec<OsString>),
    /// Variables of every process, like the token that the collector wants.
    pub variables: Vec<(String, String)>,
    /// OTLP over gRPC takes the telemetry.
    pub otlp: String,
    /// The front door.
    pub listen: SocketAddr,
    /// The gateway's address for the services, and for faults.
    pub internal: SocketAddr,
    /// Orders a second.
    pub rate: f64,
    /// Where databases, caches and queues are.
    pub components: Components,
    /// What all services are told besides: a change of their settings.
    pub adjust: fn(&mut ServiceConfig),
}

/// A running shop.
#[derive(Debug)]
pub struct Shop {
    /// The front door.
    pub gateway: SocketAddr,
    /// Where faults are asked for.
    pub internal: SocketAddr,
    first_order: Option<oneshot::Receiver<String>>,
    running: Vec<Instance>,
}

impl Shop {
    /// Starts every instance; returns when all of them listen.
    pub async fn open(plan: &Plan) -> anyhow::Result<Self> {
        let data_dir = &plan.components.data_dir;
        let made = tokio::fs::create_dir_all(data_dir).await;
        made.with_context(|| format!("cannot make the shop's directory {}", data_dir.display()))?;
        let (gateway, said) = start(plan, ServiceName::Gateway, 1, |config| {
            (config.listen, config.internal) = (plan.listen, plan.internal);
        })
        .await?;
        let internal = said.internal.context("the gateway did not say its internal address")?;
        let mut shop =
            Self { gateway: said.listening, internal, first_order: Some(said.first_order), running: vec![gateway] };
        shop.open_others(plan).await?;
        Ok(shop)
    }

    async fn open_others(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let (registry, door) = (format!("http://{}", self.internal), format!("http://{}", self.gateway));
        // All at once: none needs another before the first customer comes.
        let mut starting = JoinSet::new();
        for (name, count) in INSTANCES {
            if matches!(name, ServiceName::Gateway | ServiceName::Loadgen) {
                continue;
            }
            for number in 1..=count {
                let (plan, registry) = (plan.clone(), registry.clone());
                starting
                    .spawn(async move { start(&plan, name, number, |config| config.registry = Some(registry)).await });
            }
        }
        while let Some(started) = starting.join_next().await {
            let (instance, _) = started.context("a service could not be started")??;
            self.running.push(instance);
        }
        let loadgen = start(plan, ServiceName::Loadgen, 1, |config| {
            (config.gateway, config.rate) = (Some(door), plan.rate);
        });
        self.running.push(loadgen.await?.0);
        Ok(())
    }

    /// The correlation id of the first order that went through all services. Can be asked once.
    pub async fn first_order(&mut self) -> anyhow::Result<String> {
        let first = self.first_order.take().context("the first order has been asked for")?;
        first.await.context("the gateway ended before the first order")
    }

    /// Resolves when an instance ended again and again, and is not started any more.
    pub async fn given_up(&mut self) -> anyhow::Error {
        let mut all: Vec<_> = self.running.iter_mut().map(|instance| Box::pin(instance.given_up())).collect();
        std::future::poll_fn(|context| {
            let ready = all.iter_mut().find_map(|one| match one.as_mut().poll(context) {
                std::task::Poll::Ready(error) => Some(error),
                std::task::Poll::Pending => None,
            });
            ready.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
        })
        .await
    }

    /// The processes that run now.
    pub fn processes(&self) -> Vec<(String, u32)> {
        let running = self.running.iter().filter_map(|instance| Some((instance.name.clone(), instance.process()?)));
        running.collect()
    }

    /// Lets the services finish, callers first.
    pub async fn close(mut self) {
        for service in STOP_ORDER {
            let mut stopping = JoinSet::new();
            for instance in self.running.extract_if(.., |instance| instance.service == service) {
                stopping.spawn(instance.stop());
            }
            while stopping.join_next().await.is_some() {}
        }
    }
}

async fn start(
    plan: &Plan,
    name: ServiceName,
    number: usize,
    wire: impl FnOnce(&mut ServiceConfig),
) -> anyhow::Result<(Instance, Said)> {
    let mut config = ServiceConfig::new(name, plan.components.clone());
    config.instance = Some(format!("{name}-{number}"));
    config.otlp.clone_from(&plan.otlp);
    config.stop_with_stdin = true;
    wire(&mut config);
    (plan.adjust)(&mut config);
    let instance = config.instance();
    Instance::start(plan, config).await.with_context(|| format!("cannot start {instance}"))
}
