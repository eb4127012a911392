//! Traces: found by id, assembled into a tree.

pub mod assemble;
pub mod find;
