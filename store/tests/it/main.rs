//! The store from outside, through its public API.

// `sample` is compiled into the unit tests too, where the crate has no name of its own.
extern crate store as store_under_test;

mod crash;
mod delta;
mod generate;
mod merge;
mod narrow;
mod retention;
mod roundtrip;
mod same;
mod sample;
mod schema;
mod simulate;
mod trials;
