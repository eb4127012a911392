//! A pane's frame: a rule above it with its title, and what there is to say on the right.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Piece, fill, put, put_pieces};
use crate::sanitize::Safe;
use crate::theme::{Role, Theme};

/// Draws a rule with `title` and `note` over `area`, and gives what is left below it.
pub fn panel(buffer: &mut Buffer, area: Rect, theme: Theme, focused: bool, title: &Safe, note: &[Piece]) -> Rect {
    if area.is_empty() {
        return area;
    }
    let symbols = theme.symbols();
    let role = if focused { Role::Strong } else { Role::Faint };
    fill(buffer, Rect { height: 1, ..area }, symbols.horizontal, theme.style(Role::Faint));
    let mut x = area.x.saturating_add(1);
    if focused {
        x += put(buffer, (x, area.y), 1, symbols.cursor, theme.style(Role::Key));
    }
    if !title.is_empty() {
        x += put(buffer, (x, area.y), 1, " ", theme.style(role));
        x += put(buffer, (x, area.y), area.right().saturating_sub(x + 1), title, theme.style(role));
        x += put(buffer, (x, area.y), 1, " ", theme.style(role));
    }
    let wide: usize = note.iter().map(|piece| piece.text.width()).sum();
    let wide = u16::try_from(wide + 2).unwrap_or(u16::MAX);
    if wide > 2 && x.saturating_add(wide) < area.right() {
        let start = area.right() - wide - 1;
        put(buffer, (start, area.y), 1, " ", theme.style(Role::Faint));
        let used = put_pieces(buffer, (start + 1, area.y), wide, note, theme);
        put(buffer, (start + 1 + used, area.y), 1, " ", theme.style(Role::Faint));
    }
    Rect { y: area.y + 1, height: area.height - 1, ..area }
}

/// A frame around `area` with `title` in its upper line; what was there before is erased. Gives the inside.
pub fn window(buffer: &mut Buffer, area: Rect, theme: Theme, title: &Safe) -> Rect {
    let area = area.intersection(buffer.area);
    if area.width < 2 || area.height < 2 {
        return Rect { width: 0, height: 0, ..area };
    }
    let (symbols, style) = (theme.symbols(), theme.style(Role::Faint));
    fill(buffer, area, " ", ratatui::style::Style::reset());
    let (right, bottom) = (area.right() - 1, area.bottom() - 1);
    for y in [area.y, bottom] {
        fill(buffer, Rect { y, height: 1, ..area }, symbols.horizontal, style);
    }
    for x in [area.x, right] {
        fill(buffer, Rect { x, width: 1, ..area }, symbols.vertical, style);
    }
    for (corner, place) in
        symbols.corners.into_iter().zip([(area.x, area.y), (right, area.y), (area.x, bottom), (right, bottom)])
    {
        put(buffer, place, 1, corner, style);
    }
    let cells = area.width.saturating_sub(4);
    if !title.is_empty() {
        let used = put(buffer, (area.x + 2, area.y), cells, title, theme.style(Role::Strong));
        put(buffer, (area.x + 1, area.y), 1, " ", style);
        put(buffer, (area.x + 2 + used, area.y), 1, " ", style);
    }
    Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: area.height - 2 }
}

/// A rectangle of this size in the middle of `area`, cut to it.
pub fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

/// How much a screen of this width shows at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breadth {
    /// Below 100 columns: one pane at a time.
    Narrow,
    /// From 100 columns: a detail stands below the list.
    Middle,
    /// From 160 columns: a detail stands beside the list.
    Wide,
}

impl Breadth {
    /// The breadth of `area`.
    pub fn of(area: Rect) -> Self {
        match area.width {
            160.. => Self::Wide,
            100.. => Self::Middle,
            _ => Self::Narrow,
        }
    }
}

/// Where a list and the detail of one of its rows stand; either may be nowhere.
pub fn with_detail(area: Rect, detail: bool) -> (Rect, Rect) {
    let nowhere = Rect { width: 0, height: 0, ..area };
    if !detail {
        return (area, nowhere);
    }
    match Breadth::of(area) {
        Breadth::Narrow => (nowhere, area),
        Breadth::Middle => {
            let height = area.height * 2 / 5;
            let upper = Rect { height: area.height - height, ..area };
            (upper, Rect { y: upper.bottom(), height, ..area })
        }
        Breadth::Wide => {
            let width = area.width * 2 / 5;
            let left = Rect { width: area.width - width - 1, ..area };
            (left, Rect { x: area.right() - width, width, ..area })
        }
    }
}
