//! Bounds of dashboards, with their reasons.

/// A board's file. Ours have some 4 KiB; a megabyte is no description of a board any more.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// Files of one directory that are looked at. More could not be listed on a screen.
pub const FILES_MAX: usize = 200;

/// Panels of one board. Each asks the server at every refresh.
pub const PANELS_MAX: usize = 60;

/// Queries of one panel. More lines cannot be told apart.
pub const QUERIES_MAX: usize = 12;

/// Variables of one board: they share one line of the screen.
pub const VARIABLES_MAX: usize = 12;

/// Values that a variable can be chosen from. What is beyond is left out, and the picker says so.
pub const VALUES_MAX: usize = 500;

/// Thresholds of one panel.
pub const THRESHOLDS_MAX: usize = 8;

/// Columns of a board's grid.
pub const GRID_COLUMNS: u16 = 24;

/// Lines of one panel, at least 3: two of frame, and one of content.
pub const PANEL_LINES: std::ops::RangeInclusive<u16> = 3..=60;

/// Milliseconds between two refreshes of a board: faster than a second nobody reads, slower than a day nobody waits.
pub const REFRESH_MS: std::ops::RangeInclusive<u64> = 1_000..=86_400_000;

/// States of the server's counters that are kept to make series of: an hour at one every five seconds.
pub const COUNTER_SAMPLES_MAX: usize = 720;
