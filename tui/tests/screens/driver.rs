//! Drives the dashboard without a terminal: answers its questions from a fixture, presses keys, draws.

use std::time::Duration;

use model::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tui::app::{self, Start, State, update};
use tui::effect::{Ask, Effect, Reply, Ticket, Trouble};
use tui::event::{Answer, Event, Key, Moment};
use tui::screen::{Args, Spec};
use tui::session::Range;
use tui::theme::Theme;

/// The moment at which every test begins.
pub const NOW: &str = "2026-01-31T14:17:11Z";

/// What answers: a question in, an answer out.
pub type World = Box<dyn Fn(&Ask) -> Result<Reply, Trouble>>;

/// A dashboard under test.
pub struct Driver {
    pub state: State,
    pub world: World,
    pub copied: Vec<String>,
    /// How much was asked.
    pub asked: usize,
    /// The tail that runs.
    pub tail: Option<Ticket>,
    now: Moment,
}

impl Driver {
    pub fn new(
        spec: &'static Spec,
        args: Args,
        size: (u16, u16),
        theme: Theme,
        world: impl Fn(&Ask) -> Result<Reply, Trouble> + 'static,
    ) -> Self {
        let wall = Timestamp::parse(NOW, Timestamp::default()).expect("a time");
        let now = Moment { wall, monotonic: Duration::from_secs(100) };
        let url = "http://127.0.0.1:3300".to_owned();
        let start = Start { now, size, theme, url, seed: 1, range: Range::default(), screen: spec, args };
        let (state, effects) = State::new(start);
        let world = Box::new(world);
        let mut driver = Self { state, world, copied: Vec::new(), asked: 0, tail: None, now };
        driver.perform(effects);
        driver
    }

    /// Lets something happen, and answers what is asked because of it.
    pub fn happen(&mut self, event: Event) {
        let effects = update(&mut self.state, event);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Fetch { ticket, ask, .. } => {
                    self.asked += 1;
                    let outcome = (self.world)(&ask);
                    self.happen(Event::Answer(Answer { ticket, outcome }));
                }
                Effect::Tail { ticket, .. } => self.tail = Some(ticket),
                Effect::StopTail(ticket) if self.tail == Some(ticket) => self.tail = None,
                Effect::Copy(text) => self.copied.push(text.to_string()),
                Effect::StopTail(_) | Effect::Forget(_) | Effect::Quit => {}
            }
        }
    }

    /// Presses keys, by the names the key table has for them, with blanks between them; `"text"` types a text.
    pub fn press(&mut self, keys: &str) {
        let mut rest = keys.trim_start();
        while !rest.is_empty() {
            if let Some(quoted) = rest.strip_prefix('"')
                && let Some((text, after)) = quoted.split_once('"')
            {
                text.chars().for_each(|c| self.happen(Event::Key(Key::Char(c))));
                rest = after.trim_start();
                continue;
            }
            let (name, after) = rest.split_once(' ').unwrap_or((rest, ""));
            self.happen(Event::Key(Key::named(name).expect(name)));
            rest = after.trim_start();
        }
    }

    /// Lets time pass.
    pub fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now.monotonic += Duration::from_secs(1);
            self.now.wall = self.now.wall.saturating_add(1_000_000_000);
            self.happen(Event::Tick(self.now));
        }
    }

    /// A frame.
    pub fn frame(&mut self) -> Buffer {
        let (width, height) = self.state.session().size;
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        app::draw(&mut self.state, &mut buffer);
        buffer
    }

    /// A frame as text.
    pub fn text(&mut self) -> String {
        tui::runtime::once::text_of(&self.frame())
    }
}
