//! What one service is told at start: flags for people and for the supervisor, and where its components are.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::limits::ORDERS_PER_SECOND_MAX;
use crate::net::Algorithm;

/// The services of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum ServiceName {
    /// The front door and the registry: balances, limits, breaks and terminates TLS.
    Gateway,
    /// Products, their prices and their stock: a database with a replica, and caches before it.
    Catalog,
    /// Orders: transactions in shards by customer, idempotent, with an outbox.
    Orders,
    /// Charges cards at a bank that is slow and fails.
    Payments,
    /// Tells customers, from the queue.
    Notifications,
    /// The customers.
    Loadgen,
}

impl ServiceName {
    /// Every service, callees before callers but for the gateway, which all of them register with.
    pub const ALL: [Self; 6] =
        [Self::Gateway, Self::Catalog, Self::Payments, Self::Orders, Self::Notifications, Self::Loadgen];

    /// The name as it stands in `service.name`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Catalog => "catalog",
            Self::Orders => "orders",
            Self::Payments => "payments",
            Self::Notifications => "notifications",
            Self::Loadgen => "loadgen",
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where databases, caches and queues are. What is not named is embedded: it lives in files of the data directory, or in the process.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct Components {
    /// The directory of the embedded databases and queue, the same for all services; in memory alone it would be nobody else's.
    #[arg(long, value_name = "DIR", default_value = "shop-data")]
    pub data_dir: PathBuf,
    /// PostgreSQL instead of SQLite, like postgres://shop:secret@127.0.0.1/shop. The variable keeps the password from other users' eyes.
    #[arg(long, value_name = "URL", env = "SHOP_POSTGRES", hide_env_values = true)]
    pub postgres: Option<String>,
    /// A streaming replica of it, for reads.
    #[arg(long, value_name = "URL", env = "SHOP_POSTGRES_REPLICA", hide_env_values = true, requires = "postgres")]
    pub postgres_replica: Option<String>,
    /// Redis instead of a cache in each process, like redis://127.0.0.1/.
    #[arg(long, value_name = "URL", env = "SHOP_REDIS", hide_env_values = true)]
    pub redis: Option<String>,
    /// NATS JetStream instead of a queue in SQLite, like nats://127.0.0.1.
    #[arg(long, value_name = "URL", env = "SHOP_NATS", hide_env_values = true)]
    pub nats: Option<String>,
}

/// What one service needs to know.
#[derive(Args, Clone, Debug, PartialEq)]
pub struct ServiceConfig {
    /// Which service this process is.
    #[arg(value_name = "SERVICE")]
    pub name: ServiceName,
    /// Its name among its like, `service.instance.id` [default: the service's name and -1].
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
    /// The version that it says it is.
    #[arg(long, value_name = "VERSION", default_value = env!("CARGO_PKG_VERSION"))]
    pub version: String,
    /// Where it listens; port 0 is any free one, and `listening on ADDRESS` on stdout says which.
    #[arg(long, value_name = "IP:PORT", default_value_t = any_port())]
    pub listen: SocketAddr,
    /// Where the gateway listens for the other services: registry and faults. Never show it to strangers.
    #[arg(long, value_name = "IP:PORT", default_value_t = any_port())]
    pub internal: SocketAddr,
    /// The gateway's internal address, like http://127.0.0.1:7071: who is where, and what shall break.
    #[arg(long, value_name = "URL")]
    pub registry: Option<String>,
    /// The gateway's front door, for the customers.
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
    /// OTLP over gRPC takes the telemetry.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4317")]
    pub otlp: String,
    /// Orders a second that the customers place, beside looking around.
    #[arg(long, value_name = "N", default_value_t = 0.0)]
    pub rate: f64,
    /// How much of the work it can do beside others of its service.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub weight: u32,
    /// How it chooses among the instances of a service it calls.
    #[arg(long, value_enum, default_value_t = Algorithm::LeastConnections)]
    pub balance: Algorithm,
    /// Requests a second that one client may send to the gateway; twice as many at once.
    #[arg(long, value_name = "N", default_value_t = 200.0)]
    pub client_rate: f64,
    /// The gateway speaks TLS with this certificate (PEM) and --tls-key.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's key (PEM).
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// Stops also when stdin ends: a parent that holds the other end of a pipe never leaves orphans behind.
    #[arg(long)]
    pub stop_with_stdin: bool,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub components: Components,
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

impl ServiceConfig {
    /// A service with the defaults of a demo on one machine.
    pub fn new(name: ServiceName, components: Components) -> Self {
        Self {
            name,
            instance: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listen: any_port(),
            internal: any_port(),
            registry: None,
            gateway: None,
            otlp: "http://127.0.0.1:4317".to_owned(),
            rate: 0.0,
            weight: 1,
            balance: Algorithm::LeastConnections,
            client_rate: 200.0,
            tls_certificate: None,
            tls_key: None,
            stop_with_stdin: false,
            components,
        }
    }

    /// Its name among its like.
    pub fn instance(&self) -> String {
        self.instance.clone().unwrap_or_else(|| format!("{}-1", self.name))
    }

    /// The arguments that say the same; the URLs that may bear passwords are in [`ServiceConfig::to_variables`].
    pub fn to_args(&self) -> Vec<String> {
        let mut args = vec![self.name.to_string()];
        let mut flag = |name: &str, value: String| args.extend([format!("--{name}"), value]);
        let path = |path: &PathBuf| path.display().to_string();
        let algorithm = self.balance.to_possible_value().map(|value| value.get_name().to_owned());
        for (name, value) in [
            ("instance", self.instance.clone()),
            ("version", Some(self.version.clone())),
            ("listen", Some(self.listen.to_string())),
            ("internal", Some(self.internal.to_string())),
            ("registry", self.registry.clone()),
            ("gateway", self.gateway.clone()),
            ("otlp", Some(self.otlp.clone())),
            ("rate", Some(self.rate.to_string())),
            ("weight", Some(self.weight.to_string())),
            ("balance", algorithm),
            ("client-rate", Some(self.client_rate.to_string())),
            ("tls-certificate", self.tls_certificate.as_ref().map(path)),
            ("tls-key", self.tls_key.as_ref().map(path)),
            ("data-dir", Some(path(&self.components.data_dir))),
        ] {
            if let Some(value) = value {
                flag(name, value);
            }
        }
        if self.stop_with_stdin {
            args.push("--stop-with-stdin".to_owned());
        }
        args
    }

    /// The environment that goes with [`ServiceConfig::to_args`].
    pub fn to_variables(&self) -> Vec<(&'static str, String)> {
        let Components { postgres, postgres_replica, redis, nats, .. } = &self.components;
        let variables = [
            ("SHOP_POSTGRES", postgres),
            ("SHOP_POSTGRES_REPLICA", postgres_replica),
            ("SHOP_REDIS", redis),
            ("SHOP_NATS", nats),
        ];
        variables.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if !(0.0..=ORDERS_PER_SECOND_MAX).contains(&self.rate) {
            return Err(ConfigError::Rate(self.rate));
        }
        if self.name == ServiceName::Loadgen && self.gateway.is_none() {
            return Err(ConfigError::NoGateway);
        }
        if !matches!(self.name, ServiceName::Gateway | ServiceName::Loadgen) && self.registry.is_none() {
            return Err(ConfigError::NoRegistry(self.name));
        }
        if self.weight == 0 {
            return Err(ConfigError::Weightless);
        }
        Ok(())
    }
}

/// Why a service cannot start with what it was told.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// Negative, not a number, or more than gentle.
    #[error("cannot place {0} orders a second: --rate takes 0 to {ORDERS_PER_SECOND_MAX}")]
    Rate(f64),
    /// Customers without a shop.
    #[error("the customers do not know the gateway: --gateway http://127.0.0.1:PORT")]
    NoGateway,
    /// A service that nobody would find.
    #[error("{0} registers with the gateway, and does not know its internal address: --registry http://127.0.0.1:PORT")]
    NoRegistry(ServiceName),
    /// Nobody would choose it.
    #[error("an instance needs a --weight of 1 or more")]
    Weightless,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        config: ServiceConfig,
    }

    fn read(args: impl IntoIterator<Item = String>) -> ServiceConfig {
        Command::try_parse_from(std::iter::once("service".to_owned()).chain(args)).expect("arguments").config
    }

    #[test]
    fn arguments_survive_the_way_to_a_child() {
        for line in [
            "payments --registry http://127.0.0.1:1",
            "gateway --listen 127.0.0.1:80 --internal 127.0.0.1:81 --otlp http://127.0.0.1:9 --balance ip-hash --client-rate 7.5",
            "gateway --tls-certificate a/cert.pem --tls-key a/key.pem",
            "orders --registry http://127.0.0.1:1 --instance orders-2 --version 2.0.0 --weight 3 --stop-with-stdin --data-dir d",
            "loadgen --gateway http://127.0.0.1:1 --rate 2.5",
        ] {
            let config = read(line.split(' ').map(str::to_owned));
            assert_eq!(config.check(), Ok(()), "{line}");
            assert_eq!(read(config.to_args()), config, "{line}");
        }
    }

    #[test]
    fn urls_that_may_bear_passwords_are_no_arguments() {
        let components = Components {
            postgres: Some("postgres://u:p@h/d".to_owned()),
            redis: Some("redis://:p@h".to_owned()),
            ..Components::default()
        };
        let config = ServiceConfig::new(ServiceName::Catalog, components);
        assert!(!config.to_args().concat().contains("p@h"));
        let variables = config.to_variables();
        assert_eq!(
            variables,
            [("SHOP_POSTGRES", "postgres://u:p@h/d".to_owned()), ("SHOP_REDIS", "redis://:p@h".to_owned())]
        );
    }

    #[test]
    fn what_cannot_work_is_said_with_its_flag() {
        let with = |name, change: fn(&mut ServiceConfig)| {
            let mut config = ServiceConfig::new(name, Components::default());
            config.registry = Some("http://127.0.0.1:1".to_owned());
            change(&mut config);
            config.check().expect_err("wrong").to_string()
        };
        for (message, flag) in [
            (with(ServiceName::Loadgen, |_| {}), "--gateway"),
            (with(ServiceName::Orders, |config| config.registry = None), "--registry"),
            (with(ServiceName::Orders, |config| config.weight = 0), "--weight"),
            (with(ServiceName::Orders, |config| config.rate = -1.0), "--rate"),
            (with(ServiceName::Orders, |config| config.rate = f64::NAN), "--rate"),
        ] {
            assert!(message.contains(flag), "{message}");
        }
    }
}
