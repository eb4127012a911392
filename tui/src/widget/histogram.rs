//! Counts over time as stacked columns, the worst kind at the bottom.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::put;
use super::trend::level;
use crate::theme::{Role, Theme};

/// The counts of one kind, and how it looks.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// One number per bucket.
    pub counts: &'a [u64],
    /// How it looks.
    pub role: Role,
    /// Its letter, which is drawn instead of full blocks where there is no colour; empty for blocks.
    pub letter: &'static str,
}

/// Draws `layers` over the width of `area`, the first at the bottom.
pub fn histogram(buffer: &mut Buffer, area: Rect, theme: Theme, layers: &[Layer<'_>]) {
    let buckets = layers.iter().map(|layer| layer.counts.len()).max().unwrap_or(0);
    if area.is_empty() || buckets == 0 {
        return;
    }
    let columns = usize::from(area.width);
    let sums: Vec<Vec<u64>> = layers.iter().map(|layer| spread(layer.counts, buckets, columns)).collect();
    let total = |column: usize| sums.iter().fold(0u64, |sum, layer| sum.saturating_add(layer[column]));
    let top = (0..columns).map(total).max().unwrap_or(0);
    if top == 0 {
        return;
    }
    let height = f64::from(area.height);
    for column in 0..columns {
        let x = area.x + u16::try_from(column).unwrap_or(0);
        let full = total(column) as f64 / top as f64 * height;
        for row in 0..area.height {
            // This cell shows from `low` to `low + 1` of the column's height, in the colour of the kind at its middle.
            let low = f64::from(row);
            if full <= low {
                break;
            }
            let part = (full - low).min(1.0);
            let middle = (low + part / 2.0) / height * top as f64;
            let layer = kind_at(&sums, column, middle);
            let of = layers.get(layer);
            let role = of.map_or(Role::Text, |layer| layer.role);
            let letter = of.map_or("", |layer| layer.letter);
            let symbol = if letter.is_empty() || part < 1.0 { level(part, 1.0, theme) } else { letter };
            put(buffer, (x, area.bottom() - 1 - row), 1, symbol, theme.style(role));
        }
    }
}

fn kind_at(sums: &[Vec<u64>], column: usize, height: f64) -> usize {
    let mut below = 0u64;
    for (index, layer) in sums.iter().enumerate() {
        below = below.saturating_add(layer[column]);
        if below as f64 > height {
            return index;
        }
    }
    sums.len().saturating_sub(1)
}

// Counts of `buckets` buckets over `columns` columns: wider than the buckets they are repeated, narrower they are added up.
fn spread(counts: &[u64], buckets: usize, columns: usize) -> Vec<u64> {
    let of = |bucket: usize| counts.get(bucket).copied().unwrap_or(0);
    let column = |column: usize| {
        let first = column * buckets / columns;
        let end = ((column + 1) * buckets / columns).max(first + 1);
        (first..end).fold(0u64, |sum, bucket| sum.saturating_add(of(bucket)))
    };
    (0..columns).map(column).collect()
}
