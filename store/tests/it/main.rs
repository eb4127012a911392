//! The store from outside, through its public API.

mod crash;
mod generate;
mod roundtrip;
mod sample;
mod schema;
