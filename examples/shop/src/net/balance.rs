//! Which of a service's instances takes the next request.

use clap::ValueEnum;

/// How a balancer chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Algorithm {
    /// One after the other.
    RoundRobin,
    /// One after the other, each as often as its weight says.
    Weighted,
    /// The one with the fewest requests under way.
    LeastConnections,
    /// The one with the fewest requests under way for its weight.
    WeightedLeastConnections,
    /// The one that has answered fastest lately.
    LeastResponseTime,
    /// Always the same for the same client's address.
    IpHash,
    /// The one that says it has most to spare.
    Resource,
}
