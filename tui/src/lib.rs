//! The terminal's side of Sextant: it speaks HTTP only and never opens a file of the store.
//!
//! It holds the one HTTP client, which the command line's readers use too, the sanitiser that every text of a stranger
//! passes before a terminal sees it, and the dashboard: [`app`] decides, [`runtime`] acts, [`screen`] says how a screen is added.

pub mod app;
pub mod client;
pub mod cursor;
pub mod dashboard;
pub mod effect;
pub mod event;
pub mod fetch;
pub mod format;
pub mod input;
pub mod keymap;
pub mod limits;
pub mod runtime;
pub mod sanitize;
pub mod screen;
pub mod session;
pub mod slot;
pub mod terminal;
pub mod theme;
pub mod widget;

pub use client::{Client, ClientError};
