//! Merging: many small parts of one table and partition become one. `policy` says which, as a pure function; `merger` streams them into a
//! new part. `upkeep` runs both, beside the flushes, and publishes what comes out.

mod keep;
mod merger;
mod policy;
mod runs;

pub(crate) use keep::Keep;
pub(crate) use merger::{Job, Merged, merge};
pub(crate) use policy::{Candidate, Choice, choose};
