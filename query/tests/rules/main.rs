//! Rules: files, the state machine, templates, unit tests, the engine over a store, notifications.

mod alerting;
mod check;
mod engine;
mod file;
mod notify;
mod promtool;
mod restart;
mod template;
mod unit;
mod world;
