//! What happens to the dashboard: keys, pasted text, time, and answers. The runtime makes these, [`update`](crate::app::update) takes
//! them; nothing else changes the state.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use model::Timestamp;
use model::wire::logs::LogRow;

use crate::effect::{Reply, Ticket, Trouble};
use crate::sanitize::Safe;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Time has passed. Comes before the other events of its moment.
    Tick(Moment),
    /// A key.
    Key(Key),
    /// A text that was pasted.
    Paste(String),
    /// The terminal has this many columns and rows now.
    Resize(u16, u16),
    /// What became of a fetch.
    Answer(Answer),
    /// Followed rows.
    Tail(News),
}

/// Both clocks of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// What time it is.
    pub wall: Timestamp,
    /// For measuring how long something takes.
    pub monotonic: Duration,
}

/// What became of a fetch.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The fetch's.
    pub ticket: Ticket,
    /// What came, or why nothing did.
    pub outcome: Result<Reply, Trouble>,
}

/// What a tail brought since the last time.
#[derive(Clone, Debug)]
pub struct News {
    /// The tail's.
    pub ticket: Ticket,
    /// In the order of their `ingest_seq`.
    pub rows: Vec<LogRow>,
    /// Rows before and among these that came too fast to be shown.
    pub not_shown: u64,
    /// Something the server wants people to know.
    pub notice: Option<Safe>,
    /// Why the tail has ended, if it has.
    pub ended: Option<Trouble>,
}

/// A key as the dashboard knows it; [`Key::name`] is what the key table calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A character, with shift already in it.
    Char(char),
    /// A character with ctrl, in lower case.
    Ctrl(char),
    /// A character with alt.
    Alt(char),
    /// Enter.
    Enter,
    /// Esc.
    Esc,
    /// Tab.
    Tab,
    /// Shift and Tab.
    BackTab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// Up.
    Up,
    /// Down.
    Down,
    /// Left.
    Left,
    /// Right.
    Right,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Home.
    Home,
    /// End.
    End,
}

impl Key {
    /// Keys that are no character, with the names the key table has for them.
    pub const NAMED: [(Key, &'static str); 14] = [
        (Key::Enter, "Enter"),
        (Key::Esc, "Esc"),
        (Key::Tab, "Tab"),
        (Key::BackTab, "shift-Tab"),
        (Key::Backspace, "Backspace"),
        (Key::Delete, "Delete"),
        (Key::Up, "Up"),
        (Key::Down, "Down"),
        (Key::Left, "Left"),
        (Key::Right, "Right"),
        (Key::PageUp, "PageUp"),
        (Key::PageDown, "PageDown"),
        (Key::Home, "Home"),
        (Key::End, "End"),
    ];

    /// How the key table writes it: `j`, `Space`, `ctrl-d`, `alt-x`, `Enter`.
    pub fn name(self) -> String {
        match self {
            Self::Char(' ') => "Space".to_owned(),
            Self::Char(c) => c.to_string(),
            Self::Ctrl(c) => format!("ctrl-{c}"),
            Self::Alt(c) => format!("alt-{c}"),
            other => {
                let named = Self::NAMED.iter().find(|(key, _)| *key == other);
                named.map_or("", |(_, name)| name).to_owned()
            }
        }
    }

    /// The key of that name.
    pub fn named(name: &str) -> Option<Self> {
        if let Some((key, _)) = Self::NAMED.iter().find(|(_, known)| *known == name) {
            return Some(*key);
        }
        let one = |text: &str| {
            let mut chars = text.chars();
            chars.next().filter(|_| chars.next().is_none())
        };
        match name {
            "Space" => Some(Self::Char(' ')),
            _ => match (name.strip_prefix("ctrl-"), name.strip_prefix("alt-")) {
                (Some(rest), _) => one(rest).map(Self::Ctrl),
                (_, Some(rest)) => one(rest).map(Self::Alt),
                _ => one(name).map(Self::Char),
            },
        }
    }

    /// The terminal's key; `None` for releases and for keys the dashboard does not know.
    pub fn pressed(event: KeyEvent) -> Option<Self> {
        if event.kind == KeyEventKind::Release {
            return None;
        }
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let alt = event.modifiers.contains(KeyModifiers::ALT);
        Some(match event.code {
            KeyCode::Char(c) if ctrl => Self::Ctrl(c.to_ascii_lowercase()),
            KeyCode::Char(c) if alt => Self::Alt(c),
            KeyCode::Char(c) => Self::Char(c),
            KeyCode::Enter => Self::Enter,
            KeyCode::Esc => Self::Esc,
            KeyCode::Tab if event.modifiers.contains(KeyModifiers::SHIFT) => Self::BackTab,
            KeyCode::Tab => Self::Tab,
            KeyCode::BackTab => Self::BackTab,
            KeyCode::Backspace => Self::Backspace,
            KeyCode::Delete => Self::Delete,
            KeyCode::Up => Self::Up,
            KeyCode::Down => Self::Down,
            KeyCode::Left => Self::Left,
            KeyCode::Right => Self::Right,
            KeyCode::PageUp => Self::PageUp,
            KeyCode::PageDown => Self::PageDown,
            KeyCode::Home => Self::Home,
            KeyCode::End => Self::End,
            _ => return None,
        })
    }
}
