//! Dashboards: boards of panels, described by YAML files.
//!
//! [`mod@file`] reads a board strictly and says what is wrong with it, [`shelf`] holds the boards there are (those that are
//! compiled in, and a directory of the user's own that is read again when it changes), [`variables`] puts values into
//! queries, [`grid`] places panels, [`mod@unit`] writes numbers, [`counters`] makes series of the server's own counters.
//! Nothing here draws or asks a server: that is the screen `dashboards`.

pub mod counters;
mod error;
pub mod file;
pub mod grid;
pub mod limits;
mod raw;
pub mod series;
pub mod shelf;
pub mod unit;
pub mod variables;

pub use error::FileError;
pub use file::{Board, Level, Panel, PanelKind, Query, Source, Threshold, Variable, VariableKind};
pub use unit::Unit;
