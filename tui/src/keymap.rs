//! The one table of keys: what a key does is looked up here, and what help says is written from here.
//!
//! A screen's own keys stand in its file and reach the table by its [`Spec`](crate::screen::Spec), as do the keys that lead to it: a screen that does
//! not exist has none. A binding is one key or two, `g l`. Keys that terminals eat or take for others (ctrl-h, -i, -m, -q, -s, -z)
//! are never bound.

use crate::event::Key;
use crate::screen;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// Half a page up.
    HalfUp,
    /// Half a page down.
    HalfDown,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// To the next pane.
    NextPane,
    /// To the pane before.
    PreviousPane,
    /// Into what is under the cursor.
    Enter,
    /// Out again.
    Back,
    /// Type a filter.
    Filter,
    /// Type a command.
    Palette,
    /// Show the keys.
    Help,
    /// Choose a time range.
    Range,
    /// The range before.
    Earlier,
    /// The range after.
    Later,
    /// Copy what is under the cursor.
    Copy,
    /// Ask the server anew.
    Refresh,
    /// The next set of colours.
    Theme,
    /// Stop, and go on, showing what comes in.
    Pause,
    /// End.
    Quit,
    /// To the screen of that name.
    Go(&'static str),
    /// To the screen of that name, with what is under the cursor.
    Pivot(&'static str),
    /// Something that only this screen knows.
    Own(&'static str),
    /// Of a line that is typed: take it.
    Accept,
    /// Of a line that is typed: complete it.
    Complete,
    /// Of a line that is typed: one character to the left.
    Left,
    /// Of a line that is typed: one character to the right.
    Right,
    /// Of a line that is typed: to its start.
    LineStart,
    /// Of a line that is typed: to its end.
    LineEnd,
    /// Of a line that is typed: erase the character before the cursor.
    EraseBefore,
    /// Of a line that is typed: erase the character at the cursor.
    EraseAt,
    /// Of a line that is typed: erase the word before the cursor.
    EraseWord,
    /// Of a line that is typed: erase it.
    EraseLine,
}

/// Keys, what they do, and how help says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Each of them does it; by [`Key::name`], two keys with a blank between them.
    pub keys: &'static [&'static str],
    /// What they do.
    pub action: Action,
    /// What help says.
    pub help: &'static str,
}

/// Where keys are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On the screen of that name; what it does not bind is looked up in [`EVERYWHERE`].
    Screen(&'static str),
    /// In a line that is typed.
    Prompt,
    /// In the help.
    Help,
}

const fn bind(keys: &'static [&'static str], action: Action, help: &'static str) -> Binding {
    Binding { keys, action, help }
}

/// For screens with a filter.
pub const FILTER: Binding = bind(&["/"], Action::Filter, "filter");

/// For screens that show what comes in.
pub const PAUSE: Binding = bind(&["Space"], Action::Pause, "pause, go on");

/// For screens with panes.
pub const NEXT_PANE: Binding = bind(&["Tab"], Action::NextPane, "next pane");

/// For screens with panes.
pub const PREVIOUS_PANE: Binding = bind(&["shift-Tab"], Action::PreviousPane, "pane before");

/// On every screen.
pub const EVERYWHERE: &[Binding] = &[
    bind(&["j", "Down"], Action::Down, "down"),
    bind(&["k", "Up"], Action::Up, "up"),
    bind(&["ctrl-d"], Action::HalfDown, "half a page down"),
    bind(&["ctrl-u"], Action::HalfUp, "half a page up"),
    bind(&["PageDown", "ctrl-f"], Action::PageDown, "page down"),
    bind(&["PageUp", "ctrl-b"], Action::PageUp, "page up"),
    bind(&["g g", "Home"], Action::First, "first row"),
    bind(&["G", "End"], Action::Last, "last row"),
    bind(&["Enter"], Action::Enter, "open"),
    bind(&["Esc", "Backspace"], Action::Back, "back"),
    bind(&["t"], Action::Range, "time range"),
    bind(&["["], Action::Earlier, "one window earlier"),
    bind(&["]"], Action::Later, "one window later"),
    bind(&["y"], Action::Copy, "copy"),
    bind(&["R"], Action::Refresh, "refresh"),
    bind(&["T"], Action::Theme, "next theme"),
    bind(&[":"], Action::Palette, "command"),
    bind(&["?"], Action::Help, "help"),
    bind(&["q", "ctrl-c"], Action::Quit, "quit"),
];

/// In a line that is typed.
pub const PROMPT: &[Binding] = &[
    bind(&["Enter"], Action::Accept, "take it"),
    bind(&["Esc"], Action::Back, "leave it"),
    bind(&["Tab"], Action::Complete, "complete"),
    bind(&["Up", "ctrl-p"], Action::Up, "choice or line before"),
    bind(&["Down", "ctrl-n"], Action::Down, "next choice or line"),
    bind(&["Left", "ctrl-b"], Action::Left, "left"),
    bind(&["Right", "ctrl-f"], Action::Right, "right"),
    bind(&["Home", "ctrl-a"], Action::LineStart, "to the start"),
    bind(&["End", "ctrl-e"], Action::LineEnd, "to the end"),
    bind(&["Backspace"], Action::EraseBefore, "erase before"),
    bind(&["Delete", "ctrl-d"], Action::EraseAt, "erase at"),
    bind(&["ctrl-w"], Action::EraseWord, "erase a word"),
    bind(&["ctrl-u"], Action::EraseLine, "erase all"),
    bind(&["ctrl-c"], Action::Quit, "quit"),
];

/// In the help.
pub const HELP: &[Binding] = &[
    bind(&["j", "Down"], Action::Down, "down"),
    bind(&["k", "Up"], Action::Up, "up"),
    bind(&["PageDown", "Space"], Action::PageDown, "page down"),
    bind(&["PageUp"], Action::PageUp, "page up"),
    bind(&["Esc", "Enter", "?", "q"], Action::Back, "close"),
    bind(&["ctrl-c"], Action::Quit, "quit"),
];

/// The bindings of a place, those that come first win.
pub fn bindings(place: Place) -> Vec<Binding> {
    match place {
        Place::Prompt => PROMPT.to_vec(),
        Place::Help => HELP.to_vec(),
        Place::Screen(name) => {
            let own = screen::spec(name).map_or(&[][..], |spec| spec.keys);
            own.iter().chain(EVERYWHERE).copied().chain(pivots()).chain(doors()).collect()
        }
    }
}

/// The keys that carry what is under the cursor to another screen.
pub fn pivots() -> impl Iterator<Item = Binding> {
    screen::ALL.iter().filter_map(|spec| {
        let pivot = spec.pivot.as_ref()?;
        Some(bind(pivot.keys, Action::Pivot(spec.name), pivot.help))
    })
}

/// The keys that lead to a screen.
pub fn doors() -> impl Iterator<Item = Binding> {
    screen::ALL
        .iter()
        .filter(|spec| !spec.door.is_empty())
        .map(|spec| bind(spec.door, Action::Go(spec.name), spec.title))
}

/// What a key comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// This.
    Action(Action),
    /// Another key has to follow.
    Pending,
    /// Nothing.
    Nothing,
}

/// Looks up `key`, pressed after `before` if that is still waiting for another.
pub fn look_up(place: Place, before: Option<Key>, key: Key) -> Found {
    let pressed = match before {
        Some(before) => format!("{} {}", before.name(), key.name()),
        None => key.name(),
    };
    let begin = format!("{pressed} ");
    let mut pending = false;
    for binding in bindings(place) {
        for keys in binding.keys {
            if *keys == pressed {
                return Found::Action(binding.action);
            }
            pending |= keys.starts_with(&begin);
        }
    }
    if pending { Found::Pending } else { Found::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Vec<Place> {
        let mut places: Vec<Place> = screen::ALL.iter().map(|spec| Place::Screen(spec.name)).collect();
        places.extend([Place::Prompt, Place::Help]);
        places
    }

    #[test]
    fn every_binding_is_reached() {
        for place in places() {
            for binding in bindings(place) {
                for keys in binding.keys {
                    let parsed: Vec<Key> = keys.split(' ').filter_map(Key::named).collect();
                    assert_eq!(parsed.iter().map(|key| key.name()).collect::<Vec<_>>().join(" "), **keys);
                    let found = match parsed[..] {
                        [one] => look_up(place, None, one),
                        [first, second] => {
                            assert_eq!(look_up(place, None, first), Found::Pending, "{keys}");
                            look_up(place, Some(first), second)
                        }
                        _ => panic!("{keys} is more than two keys"),
                    };
                    assert_eq!(found, Found::Action(binding.action), "{place:?} {keys}");
                }
            }
        }
    }

    #[test]
    fn no_key_that_a_terminal_eats() {
        for binding in places().into_iter().flat_map(bindings) {
            for key in binding.keys.iter().flat_map(|keys| keys.split(' ')) {
                assert!(!["ctrl-h", "ctrl-i", "ctrl-m", "ctrl-q", "ctrl-s", "ctrl-z"].contains(&key), "{binding:?}");
            }
        }
    }
}
