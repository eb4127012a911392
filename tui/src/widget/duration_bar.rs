//! Something's place and length within a whole, as a bar.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::put;
use crate::theme::{Role, Theme};

/// Draws `[start, start + length]` of `whole` over the width of `line`; anything is at least half a column long.
pub fn duration_bar(
    buffer: &mut Buffer,
    line: Rect,
    theme: Theme,
    (start, length, whole): (u64, u64, u64),
    role: Role,
) {
    let width = usize::from(line.width);
    if line.is_empty() {
        return;
    }
    let [full, left, right, none] = theme.symbols().bar;
    let halves = (width * 2) as f64;
    let place = |nanos: u64| (nanos as f64 / whole.max(1) as f64 * halves).round() as usize;
    let begin = place(start).min(width * 2 - 1);
    let end = place(start.saturating_add(length)).clamp(begin + 1, width * 2);
    for column in 0..width {
        let inside = |half: usize| begin <= half && half < end;
        let (symbol, role) = match (inside(column * 2), inside(column * 2 + 1)) {
            (true, true) => (full, role),
            (true, false) => (left, role),
            (false, true) => (right, role),
            (false, false) => (none, Role::Faint),
        };
        put(buffer, (line.x + u16::try_from(column).unwrap_or(0), line.y), 1, symbol, theme.style(role));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_show_place_and_length() {
        for (place, drawn) in [
            ((0, 100, 100), "██████████"),
            ((50, 50, 100), "·····█████"),
            ((0, 5, 100), "▌·········"),
            ((95, 5, 100), "·········▐"),
            ((25, 10, 100), "··▐▌······"),
            ((100, 0, 100), "·········▐"),
            ((90, 500, 100), "·········█"),
            ((0, 0, 0), "▌·········"),
            ((u64::MAX, u64::MAX, 1), "·········▐"),
        ] {
            let mut buffer = Buffer::empty(Rect::new(0, 0, 10, 1));
            duration_bar(&mut buffer, Rect::new(0, 0, 10, 1), Theme::default(), place, Role::Text);
            let text: String = buffer.content.iter().map(|cell| cell.symbol()).collect();
            assert_eq!(text, drawn, "{place:?}");
        }
    }
}
