//! One number, as large as fits: three lines of half blocks, or bold text where that is too wide, with its unit behind it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::put;
use crate::sanitize::Safe;
use crate::theme::{Role, Theme};

// Five rows of three dots, from the top, for what numbers are made of.
const GLYPHS: [(char, [u8; 5]); 14] = [
    ('0', [0b111, 0b101, 0b101, 0b101, 0b111]),
    ('1', [0b010, 0b110, 0b010, 0b010, 0b111]),
    ('2', [0b111, 0b001, 0b111, 0b100, 0b111]),
    ('3', [0b111, 0b001, 0b111, 0b001, 0b111]),
    ('4', [0b101, 0b101, 0b111, 0b001, 0b001]),
    ('5', [0b111, 0b100, 0b111, 0b001, 0b111]),
    ('6', [0b111, 0b100, 0b111, 0b101, 0b111]),
    ('7', [0b111, 0b001, 0b010, 0b010, 0b010]),
    ('8', [0b111, 0b101, 0b111, 0b101, 0b111]),
    ('9', [0b111, 0b101, 0b111, 0b001, 0b111]),
    ('-', [0b000, 0b000, 0b111, 0b000, 0b000]),
    ('+', [0b000, 0b010, 0b111, 0b010, 0b000]),
    ('e', [0b000, 0b111, 0b110, 0b100, 0b111]),
    ('.', [0, 0, 0, 0, 1]),
];

/// Draws `number` and `unit` into `area`, from its left edge, in the middle of its height; gives the cells that it took.
pub fn draw(buffer: &mut Buffer, area: Rect, number: &Safe, unit: &Safe, role: Role, theme: Theme) -> u16 {
    if area.is_empty() {
        return 0;
    }
    let style = theme.style(role);
    let unit_style = if role == Role::Strong { theme.style(Role::Faint) } else { style };
    let unit_cells = u16::try_from(unit.width()).unwrap_or(u16::MAX);
    let large = large_width(number).filter(|wide| !theme.ascii && area.height >= 3 && wide + unit_cells <= area.width);
    let Some(wide) = large else {
        let y = area.y + area.height / 2;
        let used = put(buffer, (area.x, y), area.width, number, style.patch(theme.style(Role::Strong)));
        return used + put(buffer, (area.x + used, y), area.width - used, unit.clone(), unit_style);
    };
    let top = area.y + (area.height - 3) / 2;
    let mut x = area.x;
    for glyph in number.as_str().chars().filter_map(glyph) {
        x += draw_glyph(buffer, (x, top), glyph, style) + 1;
    }
    put(buffer, (area.x + wide, top + 2), unit_cells, unit.clone(), unit_style);
    wide + unit_cells
}

type Glyph = (u16, [u8; 5]);

fn glyph(c: char) -> Option<Glyph> {
    let (_, dots) = GLYPHS.iter().find(|(known, _)| *known == c)?;
    Some((if c == '.' { 1 } else { 3 }, *dots))
}

// `None` if something in it has no large form.
fn large_width(number: &Safe) -> Option<u16> {
    number.as_str().chars().map(|c| glyph(c).map(|(wide, _)| wide + 1)).sum()
}

fn draw_glyph(buffer: &mut Buffer, (x, top): (u16, u16), (wide, dots): Glyph, style: Style) -> u16 {
    const HALVES: [&str; 4] = [" ", "▄", "▀", "█"];
    for line in 0..3_u16 {
        let row = |at: u16| dots.get(usize::from(at)).copied().unwrap_or(0);
        let (upper, lower) = (row(line * 2), row(line * 2 + 1));
        for column in 0..wide {
            let bit = wide - 1 - column;
            let symbol = HALVES[usize::from((upper >> bit & 1) << 1 | (lower >> bit & 1))];
            put(buffer, (x + column, top + line), 1, symbol, style);
        }
    }
    wide
}
