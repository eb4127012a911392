//! Who may be called: receivers stand in a file that someone else may have written, and what they are called at must not
//! be this machine or its neighbours unless `rules.allowed_receivers` says so.
//!
//! A name is looked up once, its addresses are judged, and the connection goes to the very address that was judged: a name
//! that means something else a moment later gains nothing.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use thiserror::Error;

use super::error::NotifyError;
use super::limits::ADDRESSES_MAX;

/// What asks for a name's addresses. A test answers itself.
pub type Lookup = Arc<dyn Fn(String, u16) -> LookupAnswer + Send + Sync>;

/// See [`Lookup`].
pub type LookupAnswer = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;

/// Why a receiver is not called.
#[derive(Debug, Error)]
pub enum Refused {
    /// Its address is not one that strangers may name.
    #[error("{host} has the address {address}, which is {what}")]
    Address {
        /// As the URL has it.
        host: String,
        /// The address.
        address: IpAddr,
        /// What kind of address it is.
        what: &'static str,
    },
    /// It is written so that a reader does not see which address is meant.
    #[error("{host} {reason}")]
    Host {
        /// As the URL has it.
        host: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// There is no such name, or nobody answers.
    #[error("cannot look up {host}")]
    Lookup {
        /// The name.
        host: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The name has no address.
    #[error("{host} has no address")]
    Nowhere {
        /// The name.
        host: String,
    },
}

/// The private receivers that may be called: `rules.allowed_receivers`.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    who: Who,
    port: Option<u16>,
}

#[derive(Clone, Debug)]
enum Who {
    Host(String),
    Network(IpAddr, u8),
}

impl Allowed {
    /// Reads hosts, addresses and networks, each with or without a port.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Allowed, NotifyError> {
        let wrong = |entry: &S| NotifyError::Allowed { entry: entry.as_ref().to_owned() };
        let entries = entries.iter().map(|entry| Entry::parse(entry.as_ref().trim()).ok_or_else(|| wrong(entry)));
        Ok(Allowed { entries: entries.collect::<Result<_, _>>()? })
    }

    /// Whether `host`, which means `address`, may be called at `port`.
    pub fn check(&self, host: &str, address: IpAddr, port: u16) -> Result<(), Refused> {
        match private(address) {
            Some(what) if !self.entries.iter().any(|entry| entry.allows(host, address, port)) => {
                Err(Refused::Address { host: host.to_owned(), address, what })
            }
            _ => Ok(()),
        }
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Entry> {
        if let Some(address) = text.parse::<IpAddr>().ok().or_else(|| bracketed(text)) {
            return Some(Entry { who: Who::Network(address, bits(address)), port: None });
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Some(Entry { who: Who::Network(address.ip(), bits(address.ip())), port: Some(address.port()) });
        }
        if let Some((address, rest)) = text.split_once('/') {
            let address = address.parse::<IpAddr>().ok().or_else(|| bracketed(address))?;
            let (prefix, port) = match rest.split_once(':') {
                Some((prefix, port)) => (prefix, Some(port.parse().ok()?)),
                None => (rest, None),
            };
            let prefix = prefix.parse().ok().filter(|prefix| *prefix <= bits(address))?;
            return Some(Entry { who: Who::Network(address, prefix), port });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (text, None),
        };
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
        // A name of digits and points is an address that is written wrongly.
        let named = !host.is_empty() && host.chars().all(plain) && literal(host).is_ok_and(|address| address.is_none());
        named.then(|| Entry { who: Who::Host(normal(host)), port })
    }

    fn allows(&self, host: &str, address: IpAddr, port: u16) -> bool {
        let who = match &self.who {
            Who::Host(name) => *name == normal(host),
            Who::Network(network, prefix) => within(address, *network, *prefix),
        };
        who && self.port.is_none_or(|own| own == port)
    }
}

fn normal(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bracketed(text: &str) -> Option<IpAddr> {
    text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

fn within(address: IpAddr, network: IpAddr, prefix: u8) -> bool {
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let shift = 32 - u32::from(prefix);
            (u32::from(address) ^ u32::from(network)).checked_shr(shift).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let shift = 128 - u32::from(prefix);
            (u128::from(address) ^ u128::from(network)).checked_shr(shift).unwrap_or(0) == 0
        }
        // An IPv4 network also means its addresses inside IPv6.
        (IpAddr::V6(address), IpAddr::V4(_)) => {
            address.to_ipv4_mapped().is_some_and(|inner| within(IpAddr::V4(inner), network, prefix))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) => false,
    }
}

/// The address that a host is, or `None` for a name. Numbers that only some readers take for an address are an error:
/// `2130706433`, `0177.0.0.1`, `0x7f.1`, `127.1`.
pub fn literal(host: &str) -> Result<Option<IpAddr>, &'static str> {
    if host.starts_with('[') {
        return bracketed(host).map(Some).ok_or("is no IPv6 address");
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(Some(address));
    }
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let hexadecimal = last
        .to_ascii_lowercase()
        .strip_prefix("0x")
        .is_some_and(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()));
    if !last.is_empty() && (hexadecimal || last.bytes().all(|b| b.is_ascii_digit())) {
        return Err("is an address in an unusual form; write four decimal numbers");
    }
    if host.contains('%') || host.is_empty() {
        return Err("is no host");
    }
    Ok(None)
}

/// What kind of address this is, unless it is one of the public internet.
pub fn private(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => private_v4(address),
        IpAddr::V6(address) => private_v6(address),
    }
}

fn private_v4(address: Ipv4Addr) -> Option<&'static str> {
    const NETWORKS: [(Ipv4Addr, u8, &str); 18] = [
        (Ipv4Addr::new(0, 0, 0, 0), 8, "unspecified"),
        (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
        (Ipv4Addr::new(100, 64, 0, 0), 10, "shared by a carrier"),
        (Ipv4Addr::new(127, 0, 0, 0), 8, "this machine"),
        // Azure's metadata stand at a public address.
        (Ipv4Addr::new(168, 63, 129, 16), 32, "a cloud's metadata"),
        (Ipv4Addr::new(169, 254, 169, 254), 32, "a cloud's metadata"),
        (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
        (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
        (Ipv4Addr::new(192, 0, 0, 0), 24, "reserved"),
        (Ipv4Addr::new(192, 0, 2, 0), 24, "for documents only"),
        (Ipv4Addr::new(192, 88, 99, 0), 24, "a relay"),
        (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
        (Ipv4Addr::new(198, 18, 0, 0), 15, "for measurements only"),
        (Ipv4Addr::new(198, 51, 100, 0), 24, "for documents only"),
        (Ipv4Addr::new(203, 0, 113, 0), 24, "for documents only"),
        (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
        (Ipv4Addr::new(255, 255, 255, 255), 32, "broadcast"),
        (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
    ];
    let inside = |(network, prefix, _): &&(Ipv4Addr, u8, &str)| within(address.into(), (*network).into(), *prefix);
    NETWORKS.iter().find(inside).map(|(_, _, what)| *what)
}

fn private_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(inner) = embedded(address) {
        return private_v4(inner);
    }
    const fn v6(first: u16, second: u16, third: u16) -> Ipv6Addr {
        Ipv6Addr::new(first, second, third, 0, 0, 0, 0, 0)
    }
    const NETWORKS: [(Ipv6Addr, u8, &str); 11] = [
        (Ipv6Addr::UNSPECIFIED, 128, "unspecified"),
        (Ipv6Addr::LOCALHOST, 128, "this machine"),
        (v6(0x64, 0xff9b, 1), 48, "private"),
        (v6(0x100, 0, 0), 64, "a black hole"),
        (v6(0x2001, 0, 0), 23, "reserved"),
        (v6(0x2001, 0xdb8, 0), 32, "for documents only"),
        (v6(0x3fff, 0, 0), 20, "for documents only"),
        (v6(0xfc00, 0, 0), 7, "private"),
        (v6(0xfe80, 0, 0), 10, "link-local"),
        (v6(0xfec0, 0, 0), 10, "private"),
        (v6(0xff00, 0, 0), 8, "multicast"),
    ];
    let inside = |(network, prefix, _): &&(Ipv6Addr, u8, &str)| within(address.into(), (*network).into(), *prefix);
    NETWORKS.iter().find(inside).map(|(_, _, what)| *what)
}

// The IPv4 address that the system or a relay would call in this one's place.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let parts = address.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match parts {
        // Mapped (::ffff:a.b.c.d), translated (::ffff:0:a.b.c.d) and NAT64.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        // The old compatible form, but for :: and ::1.
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => Some(of(high, low)),
        // 6to4.
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

/// Looks names up and judges their addresses.
#[derive(Clone)]
pub struct Guard {
    allowed: Allowed,
    lookup: Lookup,
}

impl Guard {
    /// A guard that asks the system for addresses.
    pub fn new(allowed: Allowed) -> Guard {
        let lookup: Lookup =
            Arc::new(|host, port| Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }));
        Guard::with_lookup(allowed, lookup)
    }

    /// A guard that asks `lookup`.
    pub fn with_lookup(allowed: Allowed, lookup: Lookup) -> Guard {
        Guard { allowed, lookup }
    }

    /// The addresses at which `host` may be called, at least one.
    pub async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Refused> {
        let literal = literal(host).map_err(|reason| Refused::Host { host: host.to_owned(), reason })?;
        let found = match literal {
            Some(address) => vec![SocketAddr::new(address, port)],
            None => (self.lookup)(host.to_owned(), port)
                .await
                .map_err(|source| Refused::Lookup { host: host.to_owned(), source })?,
        };
        let mut refused = Refused::Nowhere { host: host.to_owned() };
        let mut allowed = Vec::new();
        for address in found {
            match self.allowed.check(host, address.ip(), port) {
                Ok(()) => allowed.push(SocketAddr::new(address.ip(), port)),
                Err(error) => refused = error,
            }
        }
        allowed.truncate(ADDRESSES_MAX);
        if allowed.is_empty() { Err(refused) } else { Ok(allowed) }
    }
}
