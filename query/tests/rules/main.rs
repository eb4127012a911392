//! Rules: files, the state machine, and the engine over a store.

mod alerting;
mod engine;
mod check;
mod file;
mod promtool;
mod restart;
mod template;
mod world;
mod unit;
