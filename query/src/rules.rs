//! Alert and recording rules: files in, alerts, series and notifications out.
//!
//! The way of an alert: `file` reads the rules, `group` evaluates them in order at one timestamp, `alerting` decides
//! transitions, the writer makes them durable, `notify` routes and delivers them.

pub mod alert;
pub mod alerting;
pub mod check;
pub mod condition;
pub mod config;
pub mod engine;
pub mod expand;
pub mod file;
pub mod group;
pub mod history;
pub mod limits;
pub mod links;
pub mod notify;
pub mod receiver;
pub mod recording;
pub mod reload;
pub mod restore;
pub mod rule;
pub mod samples;
pub mod show;
pub mod state;
pub mod template;
pub mod unit;

pub use alert::Alert;
pub use config::Config;
pub use engine::{Rules, Setup};
pub use model::yaml::Place;
pub use receiver::{Nobody, Notified, Receiver};
