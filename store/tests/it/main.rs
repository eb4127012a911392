//! The store from outside, through its public API.

mod generate;
mod schema;
