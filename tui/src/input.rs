//! A line that is typed: its text and the cursor in it. Bounded; what is pasted into it becomes one line.

use crate::event::Key;
use crate::keymap::Action;
use crate::limits::INPUT_CHARS_MAX;

/// A line that is typed.
#[derive(Clone, Debug, Default)]
pub struct Input {
    chars: Vec<char>,
    // From 0 to the number of characters.
    at: usize,
}

impl Input {
    /// A line with `text` in it, the cursor at its end.
    pub fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().take(INPUT_CHARS_MAX).collect();
        Self { at: chars.len(), chars }
    }

    /// What was typed.
    pub fn text(&self) -> String {
        self.chars.iter().collect()
    }

    /// What stands before the cursor.
    pub fn before(&self) -> String {
        self.chars[..self.at].iter().collect()
    }

    /// Types a character; other keys do nothing.
    pub fn press(&mut self, key: Key) -> bool {
        match key {
            Key::Char(c) => self.insert(&c.to_string()),
            _ => return false,
        }
        true
    }

    /// Puts `text` at the cursor. Line ends and other controls become blanks.
    pub fn insert(&mut self, text: &str) {
        let room = INPUT_CHARS_MAX - self.chars.len();
        let new: Vec<char> = text.chars().take(room).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let end = self.at + new.len();
        self.chars.splice(self.at..self.at, new);
        self.at = end;
    }

    /// Edits; whether `action` is one of editing.
    pub fn act(&mut self, action: Action) -> bool {
        match action {
            Action::Left => self.at = self.at.saturating_sub(1),
            Action::Right => self.at = (self.at + 1).min(self.chars.len()),
            Action::LineStart => self.at = 0,
            Action::LineEnd => self.at = self.chars.len(),
            Action::EraseBefore if self.at > 0 => {
                self.at -= 1;
                self.chars.remove(self.at);
            }
            Action::EraseAt if self.at < self.chars.len() => {
                self.chars.remove(self.at);
            }
            Action::EraseBefore | Action::EraseAt => {}
            Action::EraseWord => {
                let end = self.at;
                while self.at > 0 && self.chars[self.at - 1].is_whitespace() {
                    self.at -= 1;
                }
                while self.at > 0 && !self.chars[self.at - 1].is_whitespace() {
                    self.at -= 1;
                }
                self.chars.drain(self.at..end);
            }
            Action::EraseLine => {
                self.chars.clear();
                self.at = 0;
            }
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits() {
        let mut input = Input::new("one two");
        for (action, text, before) in [
            (Action::EraseWord, "one ", "one "),
            (Action::Left, "one ", "one"),
            (Action::EraseBefore, "on ", "on"),
            (Action::EraseAt, "on", "on"),
            (Action::EraseAt, "on", "on"),
            (Action::LineStart, "on", ""),
            (Action::EraseBefore, "on", ""),
            (Action::Right, "on", "o"),
            (Action::LineEnd, "on", "on"),
            (Action::EraseLine, "", ""),
        ] {
            assert!(input.act(action));
            assert_eq!((input.text().as_str(), input.before().as_str()), (text, before), "{action:?}");
        }
        input.insert("a\nb\x1b");
        assert!(input.press(Key::Char('漢')) && !input.press(Key::Enter));
        assert_eq!(input.text(), "a b 漢");
        input.insert(&"x".repeat(INPUT_CHARS_MAX * 2));
        assert_eq!(input.text().chars().count(), INPUT_CHARS_MAX);
    }
}
