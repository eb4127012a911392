//! A state in words where there is nothing else to show: loading, empty, refused.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{line_of, put};
use crate::sanitize::Safe;
use crate::theme::{Role, Theme};

/// Draws a label, a sentence and a hint, wrapped, from the top of `area`; gives the lines it took.
pub fn sentence(
    buffer: &mut Buffer,
    area: Rect,
    theme: Theme,
    label: (&'static str, Role),
    text: &Safe,
    hint: Option<&Safe>,
) -> u16 {
    if area.width < 4 || area.height == 0 {
        return 0;
    }
    let inner = Rect { x: area.x + 2, width: area.width - 3, ..area };
    let (word, role) = label;
    let mut used = 0;
    if !word.is_empty() {
        put(buffer, (inner.x, inner.y), inner.width, word, theme.style(role));
        used += 1;
    }
    for (text, role) in [(Some(text), Role::Text), (hint, Role::Faint)] {
        let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
        for line in text.wrapped(usize::from(inner.width), 4) {
            let place = line_of(inner, used);
            if place.is_empty() {
                return used;
            }
            put(buffer, (place.x, place.y), place.width, &line, theme.style(role));
            used += 1;
        }
    }
    used
}
