//! The terminal's side of Sextant: it speaks HTTP only and never opens a file of the store.
//!
//! It holds the one HTTP client, which the command line's readers use too, the sanitiser that every text of a stranger
//! passes before a terminal sees it, and the dashboard.

pub mod client;
pub mod dashboard;
pub mod limits;
pub mod sanitize;
pub mod theme;
pub mod widget;

pub use client::{Client, ClientError};
