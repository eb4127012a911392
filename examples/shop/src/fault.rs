//! Faults on purpose: what goes wrong, in which service, and for which share of its requests.

use std::fmt;
use std::str::FromStr;

use crate::config::ServiceName;

/// A service that breaks on demand, so that dashboards and alerts have something to show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    kind: FaultKind,
    share: f64,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The bank refuses the connection of payments.
    PaymentsError,
}

impl FaultKind {
    const ALL: [Self; 1] = [Self::PaymentsError];

    const fn as_str(self) -> &'static str {
        match self {
            Self::PaymentsError => "payments-error",
        }
    }
}

/// Half of the requests: enough for every rule, and the other half shows what healthy looks like.
const USUAL_SHARE: f64 = 0.5;

impl Fault {
    /// The service that it breaks.
    pub fn service(self) -> ServiceName {
        match self.kind {
            FaultKind::PaymentsError => ServiceName::Payments,
        }
    }

    /// The share of requests that it breaks, above 0 and at most 1.
    pub fn share(self) -> f64 {
        self.share
    }

    /// Whether it breaks this request. `chance` is uniform in [0, 1).
    pub(crate) fn strikes(self, kind: FaultKind, chance: f64) -> bool {
        self.kind == kind && chance < self.share
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}%", self.kind.as_str(), self.share * 100.0)
    }
}

/// A text is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shop has no fault `{0}`; write payments-error, or payments-error:30% for a share of the requests")]
pub struct NoSuchFault(String);

impl FromStr for Fault {
    type Err = NoSuchFault;

    /// Reads `payments-error` or `payments-error:30%`.
    fn from_str(text: &str) -> Result<Self, NoSuchFault> {
        let refused = || NoSuchFault(text.to_owned());
        let (name, share) = text.split_once(':').map_or((text, None), |(name, share)| (name, Some(share)));
        let kind = FaultKind::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(refused)?;
        let share = match share {
            None => USUAL_SHARE,
            Some(share) => {
                let percent: f64 = share.strip_suffix('%').and_then(|p| p.parse().ok()).ok_or_else(refused)?;
                percent / 100.0
            }
        };
        if !(share > 0.0 && share <= 1.0) {
            return Err(refused());
        }
        Ok(Self { kind, share })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_read_back_and_have_a_share() {
        for (text, share) in [("payments-error", 0.5), ("payments-error:30%", 0.3), ("payments-error:100%", 1.0)] {
            let fault: Fault = text.parse().expect(text);
            assert_eq!((fault.share(), fault.service()), (share, ServiceName::Payments), "{text}");
            assert_eq!(fault.to_string().parse(), Ok(fault), "{text}");
            assert!(fault.strikes(FaultKind::PaymentsError, 0.0) && !fault.strikes(FaultKind::PaymentsError, 1.0));
        }
        for text in
            ["", "payment-error", "payments-error:", "payments-error:0%", "payments-error:101%", "payments-error:30"]
        {
            assert_eq!(text.parse::<Fault>(), Err(NoSuchFault(text.to_owned())));
        }
    }
}
