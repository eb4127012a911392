//! Rules: files, the state machine, and the engine over a store. Notifications.

mod alerting;
mod file;
mod notify;
mod promtool;
mod template;
