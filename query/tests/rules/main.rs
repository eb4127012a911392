<<<<<<< HEAD
//! Rules: files, the state machine, templates, unit tests, the engine over a store, notifications.
=======
//! Rules: files, the state machine, and the engine over a store. Notifications.
>>>>>>> notify

mod alerting;
mod check;
mod engine;
mod file;
mod notify;
mod promtool;
mod restart;
mod template;
<<<<<<< HEAD
mod unit;
mod world;
=======
>>>>>>> notify
