//! The SDK from outside: services as processes of their own, a small OTLP receiver, and what arrives there.
//!
//! The services are this program again, which runs one of `services` when it is told to by a variable: each has a process, an environment and a stderr of its own.

mod away;
mod child;
mod correlation;
mod layers;
mod misuse;
mod one_line;
mod receiver;
mod services;
mod tls;
