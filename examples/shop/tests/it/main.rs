//! The shop from outside: real processes, a small OTLP receiver, and what arrives there.

mod away;
mod command;
mod load;
mod order;
mod receiver;
mod shop;
