//! Rules: files, the state machine, and the engine over a store.

mod alerting;
mod file;
