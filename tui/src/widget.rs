//! Widgets: pure functions that draw into a buffer. They know neither the app nor the client, and take texts only as
//! [`Safe`](crate::sanitize::Safe) or `&'static str` (see [`Harmless`]), numbers, and a [`Theme`](crate::theme::Theme).
//! Whatever is drawn stays inside the area that was given, however small that is.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr as _;

use crate::sanitize::{Harmless, Safe};

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
