//! Rules: files, the state machine, and the engine over a store.

mod alerting;
mod check;
mod file;
mod promtool;
mod template;
mod unit;
