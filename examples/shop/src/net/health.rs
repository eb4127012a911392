//! Active health checks: the registry asks each instance for `GET /healthz` every second and tells callers what it found. One asker for all of them, or each instance would answer
//! once a second to every caller; what a single caller cannot reach, its breakers keep away from.

use serde::{Deserialize, Serialize};

use crate::limits::{BAD_CHECKS, GOOD_CHECKS};

/// What a health check says of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Health {
    /// It answers.
    Up,
    /// It has not answered lately, or not well.
    Unhealthy,
}

impl Health {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Up, Self::Unhealthy];

    /// The word in attributes.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// The checks of one instance so far: a single bad one is no reason to believe it, and neither is a single good one.
#[derive(Debug)]
pub(crate) struct Checks {
    health: Health,
    /// How many in a row said otherwise.
    otherwise: u32,
}

impl Checks {
    /// An instance that has just said that it is there: believed until it is found otherwise.
    pub(crate) fn new() -> Self {
        Self { health: Health::Up, otherwise: 0 }
    }

    pub(crate) fn health(&self) -> Health {
        self.health
    }

    /// Whether this one changed what is believed.
    pub(crate) fn checked(&mut self, good: bool) -> bool {
        let said = if good { Health::Up } else { Health::Unhealthy };
        if said == self.health {
            self.otherwise = 0;
            return false;
        }
        self.otherwise += 1;
        let needed = if good { GOOD_CHECKS } else { BAD_CHECKS };
        let changes = self.otherwise >= needed;
        if changes {
            *self = Self { health: said, otherwise: 0 };
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_in_a_row_change_what_is_believed() {
        let mut checks = Checks::new();
        let believed: String = "+-+-+--+-+++-"
            .chars()
            .map(|check| {
                checks.checked(check == '+');
                if checks.health() == Health::Up { 'u' } else { 'd' }
            })
            .collect();
        assert_eq!(believed, "uuuuuudddduuu");
    }
}
