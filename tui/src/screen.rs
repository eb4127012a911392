//! Screens, each in its own file.
//!
//! # How to add one
//!
//! 1. `screen/NAME.rs` with a struct that holds what was asked for (a [`Slot`](crate::slot::Slot) for each answer) and where the cursors are, and an
//!    `impl Screen` for it.
//! 2. In the same file `pub static SPEC: Spec`: the name (for `:NAME` and `--screen NAME`), the keys that lead to it, its own keys,
//!    and the pivot that brings a selection along. Its own actions are constants, `const FOLD: Action = Action::Own("fold")`.
//! 3. One line in [`ALL`]. Keys, help, palette, `--once` and the tests know it from there.
//! 4. If it asks something new: a variant of [`Ask`](crate::effect::Ask) and [`Reply`](crate::effect::Reply) in `effect.rs`, a line in its `from_reply!`,
//!    and an arm in `fetch.rs`, which is where the client is.
//! 5. Answers for it in `tests/screens/fixture.rs`; then golden screens, hostile strings and random events reach it by themselves.
//!
//! A screen is pure: it changes only itself, and what it wants done it pushes to its [`Context`]. It draws from what it has
//! whatever that is; [`Screen::draw`] may remember the heights of panes (for page keys), and nothing else.

pub mod alerts;
pub mod correlate;
pub mod dashboards;
pub mod logs;
pub mod metrics;
pub mod overview;
mod record;
pub mod system;
pub mod trace;
pub mod traces;

use std::fmt::Debug;

use model::{TimeRange, Timestamp};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::Value;

use crate::effect::Effect;
use crate::event::{Answer, News};
use crate::keymap::{Action, Binding};
use crate::sanitize::Safe;
use crate::session::{Range, Session};
use crate::theme::{Role, Theme};

/// Every screen, in the order of help and palette. The first is the root of the stack.
pub static ALL: &[&Spec] = &[
    &overview::SPEC,
    &logs::SPEC,
    &traces::SPEC,
    &trace::SPEC,
    &metrics::SPEC,
    &dashboards::SPEC,
    &alerts::SPEC,
    &correlate::SPEC,
    &system::SPEC,
];

/// The screen of that name.
pub fn spec(name: &str) -> Option<&'static Spec> {
    ALL.iter().copied().find(|spec| spec.name == name)
}

/// What is known of a kind of screen before there is one.
#[derive(Debug)]
pub struct Spec {
    /// The word for palette and command line.
    pub name: &'static str,
    /// The word for people.
    pub title: &'static str,
    /// What the palette takes behind the name, in words: `ID`, `FILTER`; empty for nothing.
    pub argument: &'static str,
    /// Whether it makes no sense without the argument.
    pub needs_argument: bool,
    /// Keys that lead here; none for a screen that needs an argument.
    pub door: &'static [&'static str],
    /// How a selection comes here.
    pub pivot: Option<Pivot>,
    /// Its own keys.
    pub keys: &'static [Binding],
    /// Makes one.
    pub open: fn(&Args) -> Box<dyn Screen>,
}

/// How a selection of another screen comes to this one.
#[derive(Debug)]
pub struct Pivot {
    /// Such as `g l`.
    pub keys: &'static [&'static str],
    /// What help says.
    pub help: &'static str,
    /// Which screen shows the selection, and what of it; or why that cannot be.
    pub to: fn(&Subject) -> Result<(&'static str, Args), &'static str>,
}

/// What a screen is opened with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args {
    /// A filter, an expression.
    pub filter: String,
    /// A trace id, a correlation id, a name.
    pub id: String,
    /// The span to put the cursor on.
    pub span: Option<String>,
}

impl Args {
    /// What was typed behind the screen's name.
    pub fn typed(text: &str) -> Self {
        Self { filter: text.to_owned(), id: text.to_owned(), span: None }
    }
}

/// What is under the cursor, as far as other screens can use it. Raw texts: they go into questions, never into cells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// `service.name`
    pub service: Option<String>,
    /// The trace's id.
    pub trace: Option<String>,
    /// The span's id.
    pub span: Option<String>,
    /// The business id.
    pub correlation: Option<String>,
    /// When it was.
    pub time: Option<Timestamp>,
    /// The alert's name.
    pub alert: Option<String>,
    /// The metric's name.
    pub metric: Option<String>,
}

/// Where to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    /// The screen's name.
    pub screen: &'static str,
    /// What to open it with.
    pub args: Args,
    /// Which time to look at; as now if absent.
    pub range: Option<Range>,
}

/// What a screen wants of the dashboard around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Another screen on top of this one.
    Open(Destination),
    /// A word in the status line.
    Say(Safe),
    /// Another time range for this screen.
    Range(Range),
    /// A line to be typed: it comes back by [`Screen::typed`].
    Type {
        /// Before the line.
        label: &'static str,
        /// In the line while it is empty.
        hint: &'static str,
        /// In it at first.
        text: String,
    },
}

/// What a line that is typed can become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Stands in place of everything before the cursor.
    pub text: String,
    /// The part of it that is new.
    pub word: Safe,
    /// What it is.
    pub help: Safe,
}

/// What a screen sees of the world while it changes.
#[derive(Debug)]
pub struct Context<'a> {
    /// What all screens share.
    pub session: &'a mut Session,
    /// The time this screen looks at.
    pub range: Range,
    /// What is to be done outside.
    pub effects: &'a mut Vec<Effect>,
    /// What the dashboard is to do.
    pub wishes: &'a mut Vec<Wish>,
}

impl Context<'_> {
    /// The moments that the range means now.
    pub fn window(&self) -> TimeRange {
        self.range.resolve(self.session.now.wall)
    }

    /// Opens another screen on top, for the same time.
    pub fn open(&mut self, screen: &'static str, args: Args) {
        self.wishes.push(Wish::Open(Destination { screen, args, range: None }));
    }

    /// Says something in the status line.
    pub fn say(&mut self, text: impl Into<Safe>) {
        self.wishes.push(Wish::Say(text.into()));
    }
}

/// Where a screen draws, and how.
#[derive(Debug)]
pub struct Scene<'a> {
    /// What to draw into.
    pub buffer: &'a mut Buffer,
    /// The part of it that is the screen's.
    pub area: Rect,
    /// Colours and symbols.
    pub theme: Theme,
    /// What time it is.
    pub now: Timestamp,
    /// The time the screen looks at.
    pub window: TimeRange,
}

/// One screen.
pub trait Screen: Debug + Send {
    /// What kind of screen it is.
    fn spec(&self) -> &'static Spec;

    /// What stands in the breadcrumbs.
    fn crumb(&self) -> Safe {
        Safe::from_static(self.spec().title)
    }

    /// Asks for everything it shows, for the time of the context: when it is opened, when the time or the filter changed, on `R`.
    fn load(&mut self, cx: &mut Context<'_>);

    /// Does what a key asks for. Movement, Enter, panes, and its own actions.
    fn act(&mut self, action: Action, cx: &mut Context<'_>);

    /// Takes an answer. Late ones come too: see [`Slot::settle`](crate::slot::Slot::settle).
    fn answer(&mut self, answer: Answer, cx: &mut Context<'_>);

    /// Takes followed rows.
    fn news(&mut self, _news: News, _cx: &mut Context<'_>) {}

    /// Time has passed: asks again what is due. Whether something to see has changed.
    fn tick(&mut self, _cx: &mut Context<'_>) -> bool {
        false
    }

    /// It is seen again after another screen was on top of it.
    fn resume(&mut self, _cx: &mut Context<'_>) {}

    /// It is not seen any more: what runs is stopped.
    fn suspend(&mut self, _cx: &mut Context<'_>) {}

    /// Closes a pane that was opened within it; whether there was one. Only then Esc leads back.
    fn close(&mut self) -> bool {
        false
    }

    /// Draws itself.
    fn draw(&mut self, scene: &mut Scene<'_>);

    /// The state in a word for the header: `LIVE`, `PAUSED +12`, `PARTIAL`.
    fn badge(&self) -> Option<(Safe, Role)> {
        None
    }

    /// Whether it shows something whatever the time: then the header says no range.
    fn is_timeless(&self) -> bool {
        false
    }

    /// The filter in force; `None` if the screen has none.
    fn filter(&self) -> Option<&str> {
        None
    }

    /// Sets the filter.
    fn set_filter(&mut self, _filter: String, _cx: &mut Context<'_>) {}

    /// Takes the line that was typed for [`Wish::Type`].
    fn typed(&mut self, _text: String, _cx: &mut Context<'_>) {}

    /// What that line can become, `before` being what stands before the cursor.
    fn completions(&self, _before: &str) -> Vec<Completion> {
        Vec::new()
    }

    /// What is under the cursor.
    fn subject(&self) -> Subject {
        Subject::default()
    }

    /// What `y` copies.
    fn copy(&self) -> Option<Safe> {
        None
    }

    /// Whether every answer is there, good or not: then `--once` prints.
    fn is_settled(&self) -> bool;

    /// What it shows, for programs.
    fn json(&self) -> Value;
}
