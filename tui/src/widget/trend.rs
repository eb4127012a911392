//! Numbers over time as one line of blocks.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::put;
use crate::theme::{Role, Theme};

/// Draws `numbers` over the width of `line`, the newest at its right end; the greatest is a full block.
pub fn trend(buffer: &mut Buffer, line: Rect, theme: Theme, numbers: &[f64], role: Role) {
    let (width, len) = (usize::from(line.width), numbers.len());
    if line.is_empty() || len == 0 {
        return;
    }
    // Each number is as many columns wide as fit for all; where there are more numbers than columns, a column shows the greatest of
    // its own.
    let wide = (width / len).max(1);
    let columns = if width < len { width } else { len };
    let greatest = |piece: &[f64]| piece.iter().copied().filter(|number| number.is_finite()).fold(0.0, f64::max);
    let top = greatest(numbers);
    for column in 0..columns {
        let piece = &numbers[column * len / columns..(column + 1) * len / columns];
        let symbol = level(greatest(piece), top, theme);
        for cell in 0..wide {
            let from_right = (columns - column) * wide - cell;
            let x = line.right() - u16::try_from(from_right).unwrap_or(line.width);
            put(buffer, (x, line.y), 1, symbol, theme.style(role));
        }
    }
}

/// The block for `number` where `top` is a full one; anything above 0 is seen.
pub fn level(number: f64, top: f64, theme: Theme) -> &'static str {
    let levels = theme.symbols().levels;
    if number <= 0.0 || top <= 0.0 {
        return levels[0];
    }
    let step = (number / top * 8.0).round().clamp(1.0, 8.0);
    levels[step as usize]
}
