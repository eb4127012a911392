//! The dashboard from outside: events in, frames as text out. Screens are taken from the program's own list, so that a new one is
//! under test as soon as `fixture.rs` has answers for it.

mod boards;
mod driver;
mod fixture;
mod golden;
mod hostile;
mod keys;
mod numbers;
mod random;
mod runtime;
mod widgets;
