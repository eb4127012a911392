//! The terminal's side of Sextant: it speaks HTTP only and never opens a file of the store.
//!
//! For now it holds the one HTTP client, which the command line's readers use too, and the sanitiser that every text of a
//! stranger passes before a terminal sees it.

pub mod client;
pub mod sanitize;

pub use client::{Client, ClientError};
