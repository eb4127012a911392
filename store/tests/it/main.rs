//! The store from outside, through its public API.

mod crash;
mod generate;
mod sample;
mod schema;
