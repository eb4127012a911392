//! Rows in columns, one of them under the cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Piece, put, put_right};
use crate::theme::{Role, Theme};

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its heading.
    pub title: &'static str,
    /// Its cells; 0 for what the others leave.
    pub width: u16,
    /// Whether its texts end in line.
    pub right: bool,
}

impl Column {
    /// A column whose texts begin in line.
    pub const fn left(title: &'static str, width: u16) -> Self {
        Self { title, width, right: false }
    }

    /// A column whose texts end in line.
    pub const fn right(title: &'static str, width: u16) -> Self {
        Self { title, width, right: true }
    }
}

// The cursor's sign and a blank.
const MARGIN: u16 = 2;

/// Draws the headings into the first line of `area`, and gives what is left below.
pub fn heading(buffer: &mut Buffer, area: Rect, theme: Theme, columns: &[Column]) -> Rect {
    if area.is_empty() {
        return area;
    }
    for (column, x, width) in places(area, columns) {
        let style = theme.style(Role::Faint);
        if column.right {
            put_right(buffer, (x + width, area.y), width, column.title, style);
        } else {
            put(buffer, (x, area.y), width, column.title, style);
        }
    }
    Rect { y: area.y + 1, height: area.height - 1, ..area }
}

/// Draws one row into `line`.
pub fn row(buffer: &mut Buffer, line: Rect, theme: Theme, columns: &[Column], cells: &[Piece], selected: bool) {
    if line.is_empty() {
        return;
    }
    for ((column, x, width), piece) in places(line, columns).zip(cells) {
        let style = theme.style(piece.role);
        if column.right {
            put_right(buffer, (x + width, line.y), width, &piece.text, style);
        } else {
            put(buffer, (x, line.y), width, &piece.text, style);
        }
    }
    if selected {
        select(buffer, line, theme);
    }
}

/// Makes `line` look like the one under the cursor.
pub fn select(buffer: &mut Buffer, line: Rect, theme: Theme) {
    buffer.set_style(line, theme.style(Role::Selected));
    put(buffer, (line.x, line.y), 1, theme.symbols().cursor, theme.style(Role::Key));
}

/// The part of `line` that column number `index` takes, for what is no text.
pub fn place(line: Rect, columns: &[Column], index: usize) -> Rect {
    let found = places(line, columns).nth(index);
    found.map_or(Rect { width: 0, ..line }, |(_, x, width)| Rect { x, width, ..line })
}

fn places(area: Rect, columns: &[Column]) -> impl Iterator<Item = (Column, u16, u16)> {
    let fixed: u16 = columns.iter().map(|column| column.width + 1).sum();
    let flexible = columns.iter().filter(|column| column.width == 0).count();
    let rest = (area.width.saturating_sub(MARGIN + fixed)) / u16::try_from(flexible.max(1)).unwrap_or(1);
    let mut x = area.x.saturating_add(MARGIN);
    columns.iter().map(move |column| {
        let width = if column.width == 0 { rest } else { column.width };
        let width = width.min(area.right().saturating_sub(x));
        let place = (*column, x, width);
        x = x.saturating_add(width).saturating_add(1).min(area.right());
        place
    })
}
