//! The faults that there are: whom each breaks, how, how much of it can be had, and its text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::config::ServiceName;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// The bank fails a share of the charges.
    PaymentsError,
    /// Each question to a database takes longer.
    SlowDatabase,
    /// The catalog's caches are emptied again and again.
    CacheFlush,
    /// The catalog's replica stops to follow.
    ReplicaLag,
    /// The consumers of the queue stop to consume.
    QueueStall,
    /// An instance of orders ends, and again whenever it is started anew.
    InstanceCrash,
    /// An instance of the catalog never gives memory back.
    MemoryLeak,
    /// The volume of the letters that notifications keeps fills up.
    DiskFill,
    /// An instance of orders is replaced by a version that fails.
    BadDeploy,
    /// Something in an instance of payments takes the processor from the requests.
    NoisyNeighbour,
}

/// How much of a fault there is.
struct Amount {
    unit: &'static str,
    usual: f64,
    most: f64,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::PaymentsError,
        Self::SlowDatabase,
        Self::CacheFlush,
        Self::ReplicaLag,
        Self::QueueStall,
        Self::InstanceCrash,
        Self::MemoryLeak,
        Self::DiskFill,
        Self::BadDeploy,
        Self::NoisyNeighbour,
    ];

    /// Its name, as people type it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PaymentsError => "payments-error",
            Self::SlowDatabase => "slow-database",
            Self::CacheFlush => "cache-flush",
            Self::ReplicaLag => "replica-lag",
            Self::QueueStall => "queue-stall",
            Self::InstanceCrash => "instance-crash",
            Self::MemoryLeak => "memory-leak",
            Self::DiskFill => "disk-fill",
            Self::BadDeploy => "bad-deploy",
            Self::NoisyNeighbour => "noisy-neighbour",
        }
    }

    /// What it does, for people.
    pub const fn effect(self) -> &'static str {
        match self {
            Self::PaymentsError => "the bank answers a share of the charges with 503",
            Self::SlowDatabase => "questions to the databases take longer",
            Self::CacheFlush => "the catalog's caches are emptied every quarter of a second",
            Self::ReplicaLag => "the catalog's replica does not follow",
            Self::QueueStall => "the consumers of the queue do not consume",
            Self::InstanceCrash => "an instance of orders crashes, again and again",
            Self::MemoryLeak => "an instance of the catalog leaks memory",
            Self::DiskFill => "the volume of the letters fills up",
            Self::BadDeploy => "an instance of orders runs a version that fails",
            Self::NoisyNeighbour => "something takes the processor from an instance of payments",
        }
    }

    /// The services that it breaks.
    pub const fn services(self) -> &'static [ServiceName] {
        match self {
            Self::PaymentsError | Self::NoisyNeighbour => &[ServiceName::Payments],
            Self::SlowDatabase => &[ServiceName::Catalog, ServiceName::Orders],
            Self::CacheFlush | Self::ReplicaLag | Self::MemoryLeak => &[ServiceName::Catalog],
            Self::QueueStall | Self::DiskFill => &[ServiceName::Notifications],
            Self::InstanceCrash | Self::BadDeploy => &[ServiceName::Orders],
        }
    }

    /// Whether it breaks one instance, and not all of a service.
    pub const fn is_of_one_instance(self) -> bool {
        matches!(self, Self::InstanceCrash | Self::MemoryLeak | Self::BadDeploy | Self::NoisyNeighbour)
    }

    pub(crate) fn is_share(self) -> bool {
        self.measure().is_some_and(|amount| amount.unit == "%")
    }

    const fn measure(self) -> Option<Amount> {
        Some(match self {
            // Half of the requests: enough for every rule, and the other half shows what healthy looks like.
            Self::PaymentsError => Amount { unit: "%", usual: 50.0, most: 100.0 },
            Self::BadDeploy => Amount { unit: "%", usual: 60.0, most: 100.0 },
            Self::SlowDatabase => Amount { unit: "ms", usual: 400.0, most: 10_000.0 },
            // From its start to its end.
            Self::InstanceCrash => Amount { unit: "s", usual: 5.0, most: 600.0 },
            Self::MemoryLeak => Amount { unit: "MiB/s", usual: 8.0, most: 64.0 },
            Self::DiskFill => Amount { unit: "MiB/s", usual: 4.0, most: 64.0 },
            Self::CacheFlush | Self::ReplicaLag | Self::QueueStall | Self::NoisyNeighbour => return None,
        })
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A fault, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Fault {
    kind: FaultKind,
    amount: f64,
}

impl Fault {
    /// As much of it as is usual.
    pub fn new(kind: FaultKind) -> Self {
        Self { kind, amount: kind.measure().map_or(1.0, |amount| amount.usual) }
    }

    /// What goes wrong.
    pub fn kind(self) -> FaultKind {
        self.kind
    }

    /// How much, in the kind's unit; 1 for what there is only one of.
    pub fn amount(self) -> f64 {
        self.amount
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind.measure() {
            Some(Amount { unit, .. }) => write!(f, "{}:{}{unit}", self.kind, self.amount),
            None => write!(f, "{}", self.kind),
        }
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.to_string()
    }
}

impl TryFrom<String> for Fault {
    type Error = NoSuchFault;

    fn try_from(text: String) -> Result<Self, NoSuchFault> {
        text.parse()
    }
}

/// A text is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchFault {
    /// Nothing breaks so.
    #[error("there is no fault `{name}`; there are {}", names())]
    Name {
        /// What was said.
        name: String,
    },
    /// Not so much of it, or it has no amount.
    #[error("{kind} cannot be `{amount}`; {}", hint(*.kind))]
    Amount {
        /// The fault.
        kind: FaultKind,
        /// What was said.
        amount: String,
    },
}

fn names() -> String {
    FaultKind::ALL.map(FaultKind::as_str).join(", ")
}

fn hint(kind: FaultKind) -> String {
    match kind.measure() {
        Some(Amount { unit, usual, most }) => format!("write an amount up to {most}{unit}, like {kind}:{usual}{unit}"),
        None => format!("it has no amount: write {kind}"),
    }
}

impl FromStr for Fault {
    type Err = NoSuchFault;

    /// Reads `NAME`, `NAME:AMOUNT` and `NAME AMOUNT`; the unit may be left out.
    fn from_str(text: &str) -> Result<Self, NoSuchFault> {
        let (name, amount) = match text.split_once([':', ' ']) {
            Some((name, amount)) => (name, Some(amount.trim())),
            None => (text, None),
        };
        let kind = FaultKind::ALL.into_iter().find(|kind| kind.as_str() == name);
        let kind = kind.ok_or_else(|| NoSuchFault::Name { name: name.to_owned() })?;
        let Some(said) = amount else { return Ok(Self::new(kind)) };
        let read = kind.measure().and_then(|Amount { unit, most, .. }| {
            let amount: f64 = said.strip_suffix(unit).unwrap_or(said).trim().parse().ok()?;
            (amount > 0.0 && amount <= most).then_some(amount)
        });
        match read {
            Some(amount) => Ok(Self { kind, amount }),
            None => Err(NoSuchFault::Amount { kind, amount: said.to_owned() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_read_as_it_is_written() {
        for kind in FaultKind::ALL {
            let fault = Fault::new(kind);
            assert_eq!(fault.to_string().parse(), Ok(fault));
            assert_eq!(kind.as_str().parse(), Ok(fault));
            assert!(!kind.services().is_empty() && !kind.effect().is_empty());
        }
        for (text, written) in [
            ("payments-error 30%", "payments-error:30%"),
            ("payments-error:0.5", "payments-error:0.5%"),
            ("slow-database:1500ms", "slow-database:1500ms"),
            ("queue-stall", "queue-stall"),
        ] {
            assert_eq!(text.parse::<Fault>().expect(text).to_string(), written);
        }
    }

    #[test]
    fn what_is_no_fault_is_said_with_what_is_one() {
        for (text, hint) in [
            ("fire", "there are payments-error, slow-database"),
            ("", "there are payments-error"),
            ("payments-error:0%", "up to 100%"),
            ("payments-error:101%", "up to 100%"),
            ("payments-error:some", "like payments-error:50%"),
            ("slow-database:-3ms", "up to 10000ms"),
            ("slow-database:NaN", "up to 10000ms"),
            ("queue-stall:3", "it has no amount"),
        ] {
            let error = text.parse::<Fault>().expect_err(text).to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
