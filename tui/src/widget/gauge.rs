//! A number between two ends: the number, and a bar that is filled as far as the number reaches.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{put, put_right};
use crate::sanitize::Safe;
use crate::theme::{Role, Theme};

/// What a gauge is drawn from.
#[derive(Clone, Debug)]
pub struct Gauge<'a> {
    /// Where the number stands: 0 at the lower end, 1 at the upper one.
    pub share: f64,
    /// The number's text, and those of both ends.
    pub texts: (&'a Safe, &'a Safe, &'a Safe),
    /// Thresholds as shares, marked on the bar.
    pub marks: &'a [(f64, Role)],
    /// How the number looks.
    pub role: Role,
    /// Colours and symbols.
    pub theme: Theme,
}

impl Gauge<'_> {
    /// Draws the gauge into `area`: the number, the bar, the ends; in fewer lines, less of that.
    pub fn draw(&self, buffer: &mut Buffer, area: Rect) {
        if area.is_empty() {
            return;
        }
        let (value, least, most) = self.texts;
        let style = self.theme.style(self.role);
        let strong = style.patch(self.theme.style(Role::Strong));
        if area.height == 1 {
            let wide = u16::try_from(value.width()).unwrap_or(u16::MAX).min(area.width);
            self.bar(buffer, Rect { width: area.width.saturating_sub(wide + 1), ..area });
            put_right(buffer, (area.right(), area.y), wide, value, strong);
            return;
        }
        let wide = u16::try_from(value.width()).unwrap_or(u16::MAX).min(area.width);
        let spare = area.height.saturating_sub(3) / 2;
        let top = area.y + spare;
        put(buffer, (area.x + (area.width - wide) / 2, top), wide, value, strong);
        self.bar(buffer, Rect { y: top + 1, height: 1, ..area });
        if area.height > 2 {
            let faint = self.theme.style(Role::Faint);
            let used = put(buffer, (area.x, top + 2), area.width, least, faint);
            put_right(buffer, (area.right(), top + 2), area.width.saturating_sub(used + 1), most, faint);
        }
    }

    fn bar(&self, buffer: &mut Buffer, area: Rect) {
        let [full, half, _, none] = self.theme.symbols().bar;
        let halves = (self.share.clamp(0.0, 1.0) * f64::from(area.width) * 2.0).round() as u16;
        for column in 0..area.width {
            let (symbol, role) = match halves.saturating_sub(column * 2) {
                0 => (none, Role::Faint),
                1 => (half, self.role),
                _ => (full, self.role),
            };
            put(buffer, (area.x + column, area.y), 1, symbol, self.theme.style(role));
        }
        for (share, role) in self.marks.iter().filter(|(share, _)| (0.0..1.0).contains(share)) {
            let column = (share * f64::from(area.width)) as u16;
            if column * 2 >= halves {
                put(buffer, (area.x + column, area.y), 1, self.theme.symbols().vertical, self.theme.style(*role));
            }
        }
    }
}
