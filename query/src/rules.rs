//! Alert and recording rules: files in, alerts, series and notifications out.
//!
//! The way of an alert: `file` reads the rules, `group` evaluates them in order at one timestamp, `alerting` decides
//! transitions, the writer makes them durable, `notify` routes and delivers them.

pub mod alert;
pub mod alerting;
pub mod config;
pub mod file;
pub mod limits;
pub mod template;
mod yaml;

pub use alert::Alert;
pub use config::Config;
pub use yaml::Place;
