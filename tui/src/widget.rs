//! Widgets: pure functions that draw into a buffer. They know neither the app nor the client, and take texts only as
//! [`Safe`] or `&'static str` (see [`Harmless`]), numbers, and a [`Theme`].
//! Whatever is drawn stays inside the area that was given, however small that is.

pub mod axis;
pub mod bar;
pub mod chart;
pub mod details;
pub mod duration_bar;
pub mod gauge;
pub mod histogram;
pub mod list;
pub mod panel;
pub mod prompt;
pub mod sentence;
pub mod stat;
pub mod table;
pub mod trend;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr as _;

use crate::sanitize::{Harmless, Safe};
use crate::theme::{Role, Theme};

/// Puts `text` at `(x, y)` into at most `cells` cells, and gives how many it took. What lies outside of the buffer is left out;
/// a text that does not fit ends in `…`.
pub fn put(buffer: &mut Buffer, (x, y): (u16, u16), cells: u16, text: impl Harmless, style: Style) -> u16 {
    let area = buffer.area;
    if y < area.top() || y >= area.bottom() || x < area.left() || x >= area.right() {
        return 0;
    }
    let room = cells.min(area.right() - x);
    let text = text.text();
    let (end, _) = if text.len() <= usize::from(room) || text.width() <= usize::from(room) {
        buffer.set_stringn(x, y, text, usize::from(room), style)
    } else {
        let shorter = Safe::line(text).truncated(usize::from(room));
        buffer.set_stringn(x, y, shorter.as_str(), usize::from(room), style)
    };
    end - x
}

/// Puts `text` so that it ends right before column `right`; its end is cut if it does not fit into `cells`.
pub fn put_right(buffer: &mut Buffer, (right, y): (u16, u16), cells: u16, text: impl Harmless, style: Style) -> u16 {
    let wide = u16::try_from(text.text().width()).unwrap_or(u16::MAX).min(cells);
    put(buffer, (right.saturating_sub(wide), y), wide, text, style)
}

/// Fills `area` with `symbol`.
pub fn fill(buffer: &mut Buffer, area: Rect, symbol: &'static str, style: Style) {
    let area = area.intersection(buffer.area);
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            buffer[(x, y)].set_symbol(symbol).set_style(style);
        }
    }
}

/// A piece of text and what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: Safe,
    /// How it looks.
    pub role: Role,
}

impl Piece {
    /// `text` as `role`.
    pub fn new(text: impl Into<Safe>, role: Role) -> Self {
        Self { text: text.into(), role }
    }
}

impl From<Safe> for Piece {
    fn from(text: Safe) -> Self {
        Self { text, role: Role::Text }
    }
}

impl From<&'static str> for Piece {
    fn from(text: &'static str) -> Self {
        Self { text: Safe::from_static(text), role: Role::Text }
    }
}

/// Puts pieces side by side, and gives how many cells they took.
pub fn put_pieces(buffer: &mut Buffer, (x, y): (u16, u16), cells: u16, pieces: &[Piece], theme: Theme) -> u16 {
    let mut used = 0;
    for piece in pieces {
        if used >= cells {
            break;
        }
        used += put(buffer, (x.saturating_add(used), y), cells - used, &piece.text, theme.style(piece.role));
    }
    used
}

/// The line number `index` of `area`; empty if there is none.
pub fn line_of(area: Rect, index: u16) -> Rect {
    if index >= area.height {
        return Rect::new(area.x, area.bottom(), area.width, 0);
    }
    Rect::new(area.x, area.y + index, area.width, 1)
}
