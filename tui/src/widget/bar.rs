//! Bars from left to right, one below the other: name, bar, number.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{put, put_right};
use crate::sanitize::Safe;
use crate::theme::{Role, Theme};

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Before it.
    pub name: Safe,
    /// How long it is; what is no number has no bar.
    pub value: f64,
    /// Behind it.
    pub text: Safe,
    /// How it looks.
    pub role: Role,
}

/// Draws the bars that fit into `area`, from `offset` on; the last line counts those that do not.
pub fn draw(buffer: &mut Buffer, area: Rect, bars: &[Bar], (offset, max): (usize, Option<f64>), theme: Theme) {
    if area.is_empty() || bars.is_empty() {
        return;
    }
    let longest = bars.iter().map(|bar| bar.value).filter(|value| value.is_finite()).fold(0.0, f64::max);
    let longest = max.unwrap_or(longest);
    let widest = |text: fn(&Bar) -> &Safe| bars.iter().map(|bar| text(bar).width()).max().unwrap_or(0);
    let cells = |width: usize| u16::try_from(width).unwrap_or(u16::MAX);
    let name_room = cells(widest(|bar| &bar.name)).min(area.width / 3).max(1);
    let text_room = cells(widest(|bar| &bar.text)).min(area.width.saturating_sub(name_room + 2) / 2);
    let bar_room = area.width.saturating_sub(name_room + text_room + 2);
    let offset = offset.min(bars.len().saturating_sub(1));
    let rest = bars.len() - offset;
    let is_cut = rest > usize::from(area.height);
    let rows = if is_cut { area.height - 1 } else { area.height };
    for (row, bar) in bars[offset..].iter().take(usize::from(rows)).enumerate() {
        let y = area.y + row as u16;
        put(buffer, (area.x, y), name_room, &bar.name, theme.style(Role::Text));
        let share = if longest > 0.0 && bar.value.is_finite() { (bar.value / longest).clamp(0.0, 1.0) } else { 0.0 };
        let halves = (share * f64::from(bar_room) * 2.0).round() as u16;
        let [full, half, ..] = theme.symbols().bar;
        let look = theme.style(bar.role);
        for column in 0..halves / 2 {
            put(buffer, (area.x + name_room + 1 + column, y), 1, full, look);
        }
        if halves % 2 == 1 {
            put(buffer, (area.x + name_room + 1 + halves / 2, y), 1, half, look);
        }
        put_right(buffer, (area.right(), y), text_room, &bar.text, theme.style(Role::Strong));
    }
    if is_cut {
        let more = Safe::of(format_args!("{} more", rest - usize::from(rows)));
        put(buffer, (area.x, area.bottom() - 1), area.width, &more, theme.style(Role::Faint));
    }
}
