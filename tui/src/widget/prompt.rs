//! A line that is typed, with its cursor; and a filter with the place of its mistake.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::{line_of, put};
use crate::sanitize::Safe;
use crate::theme::{Role, Theme};

/// Draws `label` and the line `text` with the cursor behind its first `before` cells, scrolled so that the cursor is seen.
pub fn prompt(buffer: &mut Buffer, line: Rect, theme: Theme, label: &'static str, text: &Safe, before: usize) {
    if line.is_empty() {
        return;
    }
    let used = put(buffer, (line.x, line.y), line.width, label, theme.style(Role::Key));
    let room = usize::from(line.width.saturating_sub(used));
    if room == 0 {
        return;
    }
    let x = line.x + used;
    let skipped = (before + 1).saturating_sub(room);
    let seen = text.skip(skipped);
    put(buffer, (x, line.y), line.width - used, seen.cut(room, theme.symbols().ellipsis), theme.style(Role::Text));
    let at = x + u16::try_from((before - skipped).min(room - 1)).unwrap_or(0);
    buffer.set_style(Rect::new(at, line.y, 1, 1), Style::new().add_modifier(Modifier::REVERSED));
}

/// Draws a filter in the first line of `area`, and below it where and what its mistake is; gives the lines it took.
pub fn filter(
    buffer: &mut Buffer,
    area: Rect,
    theme: Theme,
    text: &Safe,
    mistake: Option<(Option<usize>, &Safe)>,
) -> u16 {
    expression(buffer, area, theme, (" filter ", "none: / to set one"), text, mistake)
}

/// As [`filter`], with another label and another word for none.
pub fn expression(
    buffer: &mut Buffer,
    area: Rect,
    theme: Theme,
    (label, none): (&'static str, &'static str),
    text: &Safe,
    mistake: Option<(Option<usize>, &Safe)>,
) -> u16 {
    if area.is_empty() {
        return 0;
    }
    let used = put(buffer, (area.x, area.y), area.width, label, theme.style(Role::Faint));
    let role = if text.is_empty() { Role::Faint } else { Role::Strong };
    let shown = if text.is_empty() { Safe::from_static(none) } else { text.clone() };
    put(buffer, (area.x + used, area.y), area.width.saturating_sub(used), &shown, theme.style(role));
    let Some((position, sentence)) = mistake else { return 1 };
    let below = line_of(area, 1);
    if below.is_empty() {
        return 1;
    }
    let mut x = below.x + 1;
    if let Some(cells) = position {
        let at = u16::try_from(cells).unwrap_or(u16::MAX).saturating_add(area.x + used);
        if at < area.right() {
            let underlined = theme.style(Role::Bad).add_modifier(Modifier::UNDERLINED);
            buffer.set_style(Rect::new(at, area.y, 1, 1), underlined);
            put(buffer, (at, below.y), 1, theme.symbols().caret, theme.style(Role::Bad));
            x = at + 2;
        }
    }
    // Right of the mark if there is room for it, else from the left end of the line below it.
    let wide = u16::try_from(sentence.width()).unwrap_or(u16::MAX);
    if x.saturating_add(wide) <= below.right() || position.is_none() {
        put(buffer, (x, below.y), below.right().saturating_sub(x), sentence, theme.style(Role::Bad));
        return 2;
    }
    let next = line_of(area, 2);
    put(buffer, (next.x + 1, next.y), next.width.saturating_sub(1), sentence, theme.style(Role::Bad));
    if next.is_empty() { 2 } else { 3 }
}
