//! The row under the cursor, by its identity: it stays the same row while others come and go around it.

use std::ops::Range;

use crate::keymap::Action;

/// A cursor over rows that `K` tells apart.
#[derive(Clone, Debug)]
pub struct Cursor<K> {
    index: usize,
    key: Option<K>,
    // The first row that is seen, and how many are.
    offset: usize,
    height: usize,
}

impl<K> Default for Cursor<K> {
    fn default() -> Self {
        Self { index: 0, key: None, offset: 0, height: 10 }
    }
}

impl<K: Clone + PartialEq> Cursor<K> {
    /// The row under the cursor, of `len`.
    pub fn index(&self, len: usize) -> Option<usize> {
        (self.index < len).then_some(self.index)
    }

    /// The identity of the row under the cursor.
    pub fn key(&self) -> Option<&K> {
        self.key.as_ref()
    }

    /// Moves; whether `action` is a movement.
    pub fn act(&mut self, action: Action, len: usize, key_of: impl Fn(usize) -> K) -> bool {
        let last = len.saturating_sub(1);
        let page = self.height.max(1);
        let to = match action {
            Action::Up => self.index.saturating_sub(1),
            Action::Down => self.index.saturating_add(1),
            Action::HalfUp => self.index.saturating_sub(page.div_ceil(2)),
            Action::HalfDown => self.index.saturating_add(page.div_ceil(2)),
            Action::PageUp => self.index.saturating_sub(page),
            Action::PageDown => self.index.saturating_add(page),
            Action::First => 0,
            Action::Last => last,
            _ => return false,
        };
        self.select(to.min(last), len, key_of);
        true
    }

    /// Puts the cursor on row `index`.
    pub fn select(&mut self, index: usize, len: usize, key_of: impl Fn(usize) -> K) {
        self.index = index.min(len.saturating_sub(1));
        self.key = (self.index < len).then(|| key_of(self.index));
    }

    /// The rows have changed: finds the cursor's row again, and where it stood on the screen. A row that is gone leaves the cursor at its place.
    pub fn sync(&mut self, len: usize, key_of: impl Fn(usize) -> K) {
        if let Some(key) = &self.key {
            let here = self.index < len && key_of(self.index) == *key;
            if !here && let Some(found) = (0..len).find(|index| key_of(*index) == *key) {
                self.offset = (self.offset + found).saturating_sub(self.index);
                self.index = found;
            }
        }
        self.select(self.index, len, key_of);
    }

    /// Forgets the row: the cursor goes to the first.
    pub fn reset(&mut self) {
        *self = Self { height: self.height, ..Self::default() };
    }

    /// The rows that are seen in `height` lines, the cursor's among them.
    pub fn visible(&mut self, len: usize, height: u16) -> Range<usize> {
        self.height = usize::from(height);
        if self.height == 0 {
            return 0..0;
        }
        let index = self.index.min(len.saturating_sub(1));
        if index < self.offset {
            self.offset = index;
        } else if index >= self.offset + self.height {
            self.offset = index + 1 - self.height;
        }
        self.offset = self.offset.min(len.saturating_sub(self.height));
        self.offset..(self.offset + self.height).min(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_on_its_row() {
        let mut rows: Vec<u32> = (0..20).collect();
        let mut cursor = Cursor::default();
        cursor.select(5, rows.len(), |index| rows[index]);
        assert_eq!(cursor.visible(rows.len(), 4), 2..6);
        rows.splice(0..0, 100..107);
        cursor.sync(rows.len(), |index| rows[index]);
        assert_eq!((cursor.key(), cursor.index(rows.len())), (Some(&5), Some(12)));
        assert_eq!(cursor.visible(rows.len(), 4), 9..13);
        rows.truncate(3);
        cursor.sync(rows.len(), |index| rows[index]);
        assert_eq!(cursor.key(), Some(&102));
        assert_eq!(cursor.visible(3, 4), 0..3);
        rows.clear();
        cursor.sync(0, |index| rows[index]);
        assert_eq!((cursor.key(), cursor.index(0)), (None, None));
    }

    #[test]
    fn moves_within_the_rows() {
        let mut cursor = Cursor::default();
        let _ = cursor.visible(100, 10);
        for (action, index) in [
            (Action::Up, 0),
            (Action::Down, 1),
            (Action::HalfDown, 6),
            (Action::PageDown, 16),
            (Action::Last, 99),
            (Action::Down, 99),
            (Action::PageUp, 89),
            (Action::HalfUp, 84),
            (Action::First, 0),
        ] {
            assert!(cursor.act(action, 100, |index| index));
            assert_eq!(cursor.key(), Some(&index), "{action:?}");
        }
        assert!(!cursor.act(Action::Enter, 100, |index| index));
    }
}
