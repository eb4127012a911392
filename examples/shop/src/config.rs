//! What one service is told at start, and the arguments it is told by. Parsed by hand: six flags, and clap is at home
//! in the root package only.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use crate::fault::Fault;
use crate::limits::ORDERS_PER_SECOND_MAX;

/// The services of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceName {
    /// HTTP in, calls orders; runs the load generator.
    Gateway,
    /// Reserves stock, calls payments.
    Orders,
    /// Charges the card.
    Payments,
}

impl ServiceName {
    /// Every service, callers before callees.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Orders, Self::Payments];

    /// The name as it stands in `service.name`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Orders => "orders",
            Self::Payments => "payments",
        }
    }

    /// The service this one calls, if any.
    pub const fn upstream(self) -> Option<Self> {
        match self {
            Self::Gateway => Some(Self::Orders),
            Self::Orders => Some(Self::Payments),
            Self::Payments => None,
        }
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ServiceName {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        Self::ALL
            .into_iter()
            .find(|service| service.as_str() == name)
            .ok_or_else(|| ConfigError::UnknownService(name.to_owned()))
    }
}

/// What one service needs to know.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceConfig {
    /// Which service this process is.
    pub name: ServiceName,
    /// Where it listens; port 0 picks a free port, and `listening on ADDRESS` on stdout says which.
    pub listen: SocketAddr,
    /// OTLP/gRPC endpoint that takes the telemetry, like `http://127.0.0.1:4317`.
    pub otlp_endpoint: String,
    /// Base URL of the service it calls (`http://127.0.0.1:PORT`): orders for gateway, payments for orders, none for
    /// payments.
    pub upstream: Option<String>,
    /// Orders a second that the gateway's load generator places on the gateway itself; 0 for none.
    pub orders_per_second: f64,
    /// What goes wrong on purpose.
    pub fault: Option<Fault>,
    /// [`crate::stop_requested`] also resolves when stdin ends: a parent that holds the other end of a pipe never
    /// leaves orphans behind, however it dies.
    pub stop_with_stdin: bool,
}

impl ServiceConfig {
    /// A service with the defaults of a demo on one machine.
    pub fn new(name: ServiceName) -> Self {
        Self {
            name,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            otlp_endpoint: "http://127.0.0.1:4317".to_owned(),
            upstream: None,
            orders_per_second: 0.0,
            fault: None,
            stop_with_stdin: false,
        }
    }

    /// Reads `NAME [--listen A] [--otlp URL] [--upstream URL] [--orders-per-second N] [--fault F] [--stop-with-stdin]`.
    pub fn from_args(args: impl IntoIterator<Item = String>) -> Result<Self, ConfigError> {
        let mut args = args.into_iter();
        let name = args.next().ok_or(ConfigError::NoService)?;
        let mut config = Self::new(name.parse()?);
        while let Some(flag) = args.next() {
            if flag == "--stop-with-stdin" {
                config.stop_with_stdin = true;
                continue;
            }
            let mut value = || args.next().ok_or_else(|| ConfigError::NoValue(flag.clone()));
            match flag.as_str() {
                "--listen" => config.listen = parse(&flag, value()?)?,
                "--otlp" => config.otlp_endpoint = value()?,
                "--upstream" => config.upstream = Some(value()?),
                "--orders-per-second" => config.orders_per_second = parse(&flag, value()?)?,
                "--fault" => config.fault = Some(parse(&flag, value()?)?),
                _ => return Err(ConfigError::UnknownFlag(flag)),
            }
        }
        config.check()?;
        Ok(config)
    }

    /// The arguments that [`ServiceConfig::from_args`] reads this configuration from.
    pub fn to_args(&self) -> Vec<String> {
        let mut args = vec![self.name.to_string()];
        let mut flag = |name: &str, value: String| args.extend([name.to_owned(), value]);
        flag("--listen", self.listen.to_string());
        flag("--otlp", self.otlp_endpoint.clone());
        if let Some(upstream) = &self.upstream {
            flag("--upstream", upstream.clone());
        }
        flag("--orders-per-second", self.orders_per_second.to_string());
        if let Some(fault) = self.fault {
            flag("--fault", fault.to_string());
        }
        if self.stop_with_stdin {
            args.push("--stop-with-stdin".to_owned());
        }
        args
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if let (Some(callee), None) = (self.name.upstream(), &self.upstream) {
            return Err(ConfigError::NoUpstream { service: self.name, callee });
        }
        if !(0.0..=ORDERS_PER_SECOND_MAX).contains(&self.orders_per_second) {
            return Err(ConfigError::Rate(self.orders_per_second));
        }
        Ok(())
    }
}

fn parse<T: FromStr>(flag: &str, value: String) -> Result<T, ConfigError> {
    value.parse().map_err(|_| ConfigError::BadValue { flag: flag.to_owned(), value })
}

/// Why a service cannot start with what it was told.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// The first argument is missing.
    #[error("no service was named")]
    NoService,
    /// The shop has no such service.
    #[error("the shop has no service `{0}`")]
    UnknownService(String),
    /// A flag nobody knows.
    #[error("unknown argument `{0}`")]
    UnknownFlag(String),
    /// A flag at the end, without its value.
    #[error("`{0}` has no value")]
    NoValue(String),
    /// A value that does not parse.
    #[error("`{flag}` cannot be `{value}`")]
    BadValue {
        /// The flag.
        flag: String,
        /// What stood after it.
        value: String,
    },
    /// The service calls another one, and was not told where that is.
    #[error("{service} calls {callee}, and has no address for it")]
    NoUpstream {
        /// The service.
        service: ServiceName,
        /// The one it calls.
        callee: ServiceName,
    },
    /// Negative, not a number, or more than gentle.
    #[error("cannot place {0} orders a second")]
    Rate(f64),
}

impl ConfigError {
    /// What to do about it, on a line of its own.
    pub fn hint(&self) -> String {
        match self {
            Self::NoService | Self::UnknownService(_) => "the services are gateway, orders and payments".to_owned(),
            Self::UnknownFlag(_) | Self::NoValue(_) => {
                "the flags are --listen A, --otlp URL, --upstream URL, --orders-per-second N, --fault F and --stop-with-stdin"
                    .to_owned()
            }
            Self::BadValue { flag, .. } if flag == "--listen" => {
                "write it like 127.0.0.1:8080, or with port 0".to_owned()
            }
            Self::BadValue { flag, .. } if flag == "--fault" => {
                "the only fault is payments-error; payments-error:30% breaks that share of the requests".to_owned()
            }
            Self::BadValue { .. } => "write a number like 2.5".to_owned(),
            Self::NoUpstream { callee, .. } => {
                format!("give the address of {callee}: --upstream http://127.0.0.1:PORT")
            }
            Self::Rate(_) => format!("give a number from 0 to {ORDERS_PER_SECOND_MAX}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<ServiceConfig, ConfigError> {
        ServiceConfig::from_args(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn arguments_survive_the_way_to_a_child() {
        for line in [
            "payments",
            "gateway --listen 127.0.0.1:80 --otlp http://127.0.0.1:9 --upstream http://127.0.0.1:1 --orders-per-second 2.5",
            "orders --upstream http://127.0.0.1:1 --stop-with-stdin",
            "payments --fault payments-error:30%",
        ] {
            let config = read(line).expect(line);
            assert_eq!(ServiceConfig::from_args(config.to_args()), Ok(config), "{line}");
        }
    }

    #[test]
    fn wrong_arguments_are_named_with_a_hint() {
        for (line, message, hint) in [
            ("", "no service was named", "gateway, orders and payments"),
            ("cart", "the shop has no service `cart`", "gateway, orders and payments"),
            ("payments --port 1", "unknown argument `--port`", "--listen"),
            ("payments --listen", "`--listen` has no value", "--listen"),
            ("payments --listen here", "`--listen` cannot be `here`", "127.0.0.1:8080"),
            ("orders", "orders calls payments, and has no address for it", "address of payments"),
            ("payments --orders-per-second 51", "cannot place 51 orders a second", "0 to 50"),
            ("payments --orders-per-second -1", "cannot place -1 orders a second", "0 to 50"),
            ("payments --orders-per-second NaN", "cannot place NaN orders a second", "0 to 50"),
            ("payments --fault fire", "`--fault` cannot be `fire`", "payments-error"),
            ("payments --orders-per-second few", "`--orders-per-second` cannot be `few`", "2.5"),
        ] {
            let error = read(line).expect_err(line);
            assert_eq!(error.to_string(), message, "{line}");
            assert!(error.hint().contains(hint), "{line}: {}", error.hint());
        }
    }
}
