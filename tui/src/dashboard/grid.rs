//! Where a board's panels stand: they flow from left to right over 24 columns and begin a new row where one is full, so a
//! file needs no coordinates and no two panels can overlap.
//!
//! A terminal that is too narrow for the widths of the file gets fewer panels in a row; one that is taller than the board
//! gets taller rows; one that is shorter scrolls.

use ratatui::layout::Rect;

use super::file::{Panel, PanelKind};
use super::limits::GRID_COLUMNS;

/// A place on the board, in lines and columns of the terminal, from the board's upper left corner.
pub type Place = Rect;

/// Places of all panels, in their order, on a board `width` wide. The board fills `height` lines if it has fewer.
pub fn places(panels: &[Panel], width: u16, height: u16) -> Vec<Place> {
    let rows = rows(panels, width);
    let heights = stretched(&rows, panels, height);
    let mut places = Vec::with_capacity(panels.len());
    let mut y = 0_u16;
    for (row, lines) in rows.iter().zip(heights) {
        places.extend(across(row, panels, width, y, lines));
        y = y.saturating_add(lines);
    }
    places
}

/// Lines of the board together.
pub fn lines(places: &[Place]) -> u16 {
    places.iter().map(|place| place.bottom()).max().unwrap_or(0)
}

// Columns of a terminal that a panel needs to say something.
fn columns_min(panel: &Panel) -> u16 {
    match panel.kind {
        PanelKind::Stat | PanelKind::Gauge => 18,
        PanelKind::AlertList(_) | PanelKind::Bar | PanelKind::Text(_) => 30,
        PanelKind::Timeseries | PanelKind::Table | PanelKind::Logs => 38,
    }
}

// How many of the 24 columns the panel takes on a terminal this wide.
fn share(panel: &Panel, width: u16) -> u16 {
    let needed = (columns_min(panel) * GRID_COLUMNS).div_ceil(width.max(1));
    panel.width.max(needed).min(GRID_COLUMNS)
}

fn rows(panels: &[Panel], width: u16) -> Vec<std::ops::Range<usize>> {
    let mut rows = Vec::new();
    let (mut start, mut used) = (0, 0);
    for (at, panel) in panels.iter().enumerate() {
        let share = share(panel, width);
        if at > start && used + share > GRID_COLUMNS {
            rows.push(start..at);
            (start, used) = (at, 0);
        }
        used += share;
    }
    if start < panels.len() {
        rows.push(start..panels.len());
    }
    rows
}

// Each row is as high as its highest panel; lines that are left go to the rows, in proportion.
fn stretched(rows: &[std::ops::Range<usize>], panels: &[Panel], height: u16) -> Vec<u16> {
    let highest =
        |row: &std::ops::Range<usize>| panels[row.clone()].iter().map(|panel| panel.height).max().unwrap_or(0);
    let mut heights: Vec<u16> = rows.iter().map(highest).collect();
    let sum: u32 = heights.iter().map(|lines| u32::from(*lines)).sum();
    let spare = u32::from(height).saturating_sub(sum);
    if sum == 0 || spare == 0 {
        return heights;
    }
    // Rows of single numbers gain nothing from height.
    let grows = |row: &std::ops::Range<usize>| {
        panels[row.clone()].iter().any(|panel| !matches!(panel.kind, PanelKind::Stat | PanelKind::Gauge))
    };
    let growing: Vec<usize> = (0..rows.len()).filter(|at| grows(&rows[*at])).collect();
    let sum: u32 = growing.iter().map(|at| u32::from(heights[*at])).sum();
    let mut given = 0;
    let mut seen = 0;
    for at in growing {
        seen += u32::from(heights[at]);
        let due = spare * seen / sum.max(1);
        heights[at] = heights[at].saturating_add(u16::try_from(due - given).unwrap_or(u16::MAX));
        given = due;
    }
    heights
}

// The panels of one row; the last reaches the right edge unless the file leaves room there on purpose.
fn across(row: &std::ops::Range<usize>, panels: &[Panel], width: u16, y: u16, lines: u16) -> Vec<Place> {
    let shares: Vec<u16> = panels[row.clone()].iter().map(|panel| share(panel, width)).collect();
    let sum: u16 = shares.iter().sum();
    let is_squeezed = panels[row.clone()].iter().zip(&shares).any(|(panel, share)| *share != panel.width);
    // Where shares are not those of the file, their sum is no wish of anybody: the row is filled.
    let of = u32::from(if is_squeezed { sum } else { GRID_COLUMNS }).max(1);
    let edge = |share: u16| u16::try_from(u32::from(share) * u32::from(width) / of).unwrap_or(width);
    let mut left = 0;
    let mut place = |share: &u16| {
        let (from, to) = (edge(left), edge(left + share));
        left += share;
        Rect::new(from, y, to - from, lines)
    };
    shares.iter().map(&mut place).collect()
}

#[cfg(test)]
mod tests {
    use super::super::file::Board;
    use super::*;

    fn panels(spec: &[(&str, u16, u16)]) -> Vec<Panel> {
        let panel = |(kind, width, height): &(&str, u16, u16)| {
            let query = match *kind {
                "text" => "text: x",
                "gauge" => "max: 1\n    queries: [{promql: x}]",
                _ => "queries: [{promql: x}]",
            };
            format!("  - title: t\n    type: {kind}\n    width: {width}\n    height: {height}\n    {query}\n")
        };
        let text = format!("title: t\npanels:\n{}", spec.iter().map(panel).collect::<String>());
        Board::parse("t.yaml", &text).expect("a board").panels
    }

    fn shown(places: &[Place]) -> Vec<(u16, u16, u16, u16)> {
        places.iter().map(|place| (place.x, place.y, place.width, place.height)).collect()
    }

    #[test]
    fn panels_flow_and_rows_fill() {
        let board = panels(&[("stat", 6, 5), ("stat", 6, 4), ("timeseries", 12, 8), ("timeseries", 24, 10)]);
        let wide = shown(&places(&board, 120, 10));
        assert_eq!(wide, [(0, 0, 30, 8), (30, 0, 30, 8), (60, 0, 60, 8), (0, 8, 120, 10)]);
        // Taller than the board: what is left goes to the rows in proportion.
        let tall = shown(&places(&board, 120, 36));
        assert_eq!(tall, [(0, 0, 30, 16), (30, 0, 30, 16), (60, 0, 60, 16), (0, 16, 120, 20)]);
        assert_eq!(lines(&places(&board, 120, 36)), 36);
    }

    #[test]
    fn narrow_terminals_get_fewer_panels_in_a_row() {
        let board = panels(&[("timeseries", 8, 8), ("timeseries", 8, 8), ("timeseries", 8, 8), ("stat", 4, 4)]);
        assert_eq!(shown(&places(&board, 60, 0)), [(0, 0, 60, 8), (0, 8, 60, 8), (0, 16, 40, 8), (40, 16, 20, 8)]);
        assert_eq!(shown(&places(&board, 80, 0)), [(0, 0, 40, 8), (40, 0, 40, 8), (0, 8, 53, 8), (53, 8, 27, 8)]);
    }

    #[test]
    fn room_that_the_file_leaves_stays_empty() {
        assert_eq!(shown(&places(&panels(&[("text", 12, 4)]), 200, 0)), [(0, 0, 100, 4)]);
    }

    #[test]
    fn every_size_gives_places_that_do_not_overlap() {
        let board = panels(&[("stat", 3, 3), ("bar", 7, 9), ("table", 14, 4), ("gauge", 24, 60), ("text", 1, 3)]);
        for width in 0..260 {
            for height in [0, 1, 24, 60, 500, u16::MAX] {
                let places = places(&board, width, height);
                assert_eq!(places.len(), board.len());
                for (at, one) in places.iter().enumerate() {
                    assert!(one.right() <= width, "{width}");
                    assert!(places[..at].iter().all(|other| one.intersection(*other).is_empty()), "{width}");
                }
            }
        }
    }
}
