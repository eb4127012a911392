//! The one impure place of the dashboard: reads keys, does effects, tells the time, and draws when there is something new.
//!
//! Keys come from a thread of their own, answers from one task per question, followed rows from `tail`. Every queue is
//! bounded. A frame is drawn when the state says that something changed, and no sooner than [`FRAME_INTERVAL`] after the one
//! before.

mod fetches;
pub mod once;
pub mod picture;
mod tail;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::Clock;
use ratatui::buffer::Buffer;
use tokio::sync::mpsc;

use crate::app::{self, Start, State, update};
use crate::effect::Effect;
use crate::event::{Event, Key, Moment};
use crate::fetch::Sources;
use crate::limits::{ANSWERS_WAITING_MAX, FRAME_INTERVAL, INPUTS_WAITING_MAX, TICK_INTERVAL};
use crate::terminal::Surface;

use fetches::Fetches;
use tail::Tail;

/// What comes from the terminal.
#[derive(Debug)]
pub enum Input {
    /// A key, a resize, a pasted text.
    Event(Event),
    /// The terminal cannot be read any more.
    Failed(io::Error),
}

/// Why the dashboard ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No frame can be drawn.
    #[error("cannot draw on the terminal")]
    Draw(#[source] io::Error),
    /// No key can be read.
    #[error("cannot read from the terminal")]
    Read(#[source] io::Error),
    /// A part of the program panicked; its message has been printed.
    #[error("a part of the dashboard failed")]
    Panicked,
}

/// How often something happened, for whoever measures.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Frames that were drawn.
    pub frames: u64,
    /// The time of each of the newest frames, from paint to flush.
    pub frame_times: Vec<Duration>,
    /// Followed rows that were shown.
    pub rows_shown: u64,
    /// Followed rows that were only counted.
    pub rows_not_shown: u64,
}

// Frame times that are kept; at thirty frames a second some five minutes.
const FRAME_TIMES_MAX: usize = 10_000;

/// Runs the dashboard until somebody quits, `stop` resolves, or `inputs` end.
pub async fn run(
    sources: impl Into<Sources>,
    clock: Arc<dyn Clock>,
    start: Start,
    surface: &mut dyn Surface,
    mut inputs: mpsc::Receiver<Input>,
    stop: impl Future<Output = ()>,
) -> Result<Figures, RunError> {
    let (answers_in, mut answers) = mpsc::channel(ANSWERS_WAITING_MAX);
    let (state, effects) = State::new(start);
    let sources = sources.into();
    let client = sources.client().clone();
    let mut running = Running {
        state,
        fetches: Fetches::new(sources, answers_in),
        tail: Tail::new(client),
        surface,
        clock,
        figures: Figures::default(),
    };
    running.perform(effects)?;
    let mut stop = std::pin::pin!(stop);
    let mut next_tick = running.clock.monotonic() + TICK_INTERVAL;
    let mut drawn = Duration::ZERO;
    running.draw()?;
    while !running.state.has_ended() {
        // A frame that is due, or the next tick.
        let wake = if running.has_news() { next_tick.min(drawn + FRAME_INTERVAL) } else { next_tick };
        let first = tokio::select! {
            input = inputs.recv() => match input {
                Some(Input::Event(event)) => Some(event),
                Some(Input::Failed(error)) => return Err(RunError::Read(error)),
                None => break,
            },
            Some(answer) = answers.recv() => Some(Event::Answer(answer)),
            () = running.tail.has_news(), if !running.has_news() => None,
            () = running.clock.sleep_until(wake) => None,
            () = &mut stop => break,
        };
        let now = running.clock.monotonic();
        if now >= next_tick {
            next_tick = now + TICK_INTERVAL;
        }
        running.happen(Event::Tick(running.moment()))?;
        if let Some(event) = first {
            running.happen(event)?;
        }
        // What else is there already costs no frame of its own.
        for _ in 0..INPUTS_WAITING_MAX {
            match (inputs.try_recv(), answers.try_recv()) {
                (Ok(Input::Event(event)), Ok(answer)) => {
                    running.happen(event)?;
                    running.happen(Event::Answer(answer))?;
                }
                (Ok(Input::Event(event)), _) => running.happen(event)?,
                (Ok(Input::Failed(error)), _) => return Err(RunError::Read(error)),
                (_, Ok(answer)) => running.happen(Event::Answer(answer))?,
                _ => break,
            }
        }
        if now >= drawn + FRAME_INTERVAL {
            drawn = now;
            running.take_news()?;
            running.draw()?;
        }
        if running.surface.is_gone() {
            return Err(RunError::Panicked);
        }
    }
    Ok(running.figures)
}

struct Running<'a> {
    state: State,
    fetches: Fetches,
    tail: Tail,
    surface: &'a mut dyn Surface,
    clock: Arc<dyn Clock>,
    figures: Figures,
}

impl Running<'_> {
    fn moment(&self) -> Moment {
        moment(self.clock.as_ref())
    }

    fn has_news(&self) -> bool {
        self.state.is_dirty() || self.tail.is_waiting()
    }

    fn happen(&mut self, event: Event) -> Result<(), RunError> {
        let effects = update(&mut self.state, event);
        self.perform(effects)
    }

    fn perform(&mut self, effects: Vec<Effect>) -> Result<(), RunError> {
        for effect in effects {
            match effect {
                Effect::Fetch { ticket, replaces, ask } => {
                    if let Some(late) = replaces {
                        self.fetches.forget(late);
                    }
                    self.fetches.begin(ticket, ask);
                }
                Effect::Forget(ticket) => self.fetches.forget(ticket),
                Effect::Tail { ticket, query, cursor } => self.tail.begin(ticket, query, cursor),
                Effect::StopTail(ticket) => self.tail.stop(ticket),
                Effect::Copy(text) => self.surface.copy(&text).map_err(RunError::Draw)?,
                // The state says so itself.
                Effect::Quit => {}
            }
        }
        Ok(())
    }

    fn take_news(&mut self) -> Result<(), RunError> {
        let Some(news) = self.tail.take() else { return Ok(()) };
        self.figures.rows_shown += news.rows.len() as u64;
        self.figures.rows_not_shown += news.not_shown;
        self.happen(Event::Tail(news))
    }

    fn draw(&mut self) -> Result<(), RunError> {
        if !self.state.take_dirty() {
            return Ok(());
        }
        let begun = self.clock.monotonic();
        let state = &mut self.state;
        self.surface.draw(&mut |buffer: &mut Buffer| app::draw(state, buffer)).map_err(RunError::Draw)?;
        self.figures.frames += 1;
        if self.figures.frame_times.len() < FRAME_TIMES_MAX {
            self.figures.frame_times.push(self.clock.monotonic().saturating_sub(begun));
        }
        Ok(())
    }
}

/// Both clocks now.
pub fn moment(clock: &dyn Clock) -> Moment {
    Moment { wall: clock.now(), monotonic: clock.monotonic() }
}

/// Reads the terminal in a thread of its own until the keyboard is dropped.
#[derive(Debug)]
pub struct Keyboard {
    stop: Arc<AtomicBool>,
}

// How soon the thread notices that it is to stop.
const POLL: Duration = Duration::from_millis(200);

impl Keyboard {
    /// Begins to read.
    pub fn read() -> io::Result<(Self, mpsc::Receiver<Input>)> {
        let (sender, receiver) = mpsc::channel(INPUTS_WAITING_MAX);
        let stop = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&stop);
        std::thread::Builder::new().name("keyboard".to_owned()).spawn(move || {
            while !heard.load(Ordering::Relaxed) {
                let input = match crossterm::event::poll(POLL) {
                    Ok(false) => continue,
                    Ok(true) => crossterm::event::read(),
                    Err(error) => Err(error),
                };
                let input = match input {
                    Ok(event) => match translate(event) {
                        Some(event) => Input::Event(event),
                        None => continue,
                    },
                    Err(error) => Input::Failed(error),
                };
                let failed = matches!(input, Input::Failed(_));
                if sender.blocking_send(input).is_err() || failed {
                    return;
                }
            }
        })?;
        Ok((Self { stop }, receiver))
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn translate(event: crossterm::event::Event) -> Option<Event> {
    match event {
        crossterm::event::Event::Key(key) => Key::pressed(key).map(Event::Key),
        crossterm::event::Event::Paste(text) => Some(Event::Paste(text)),
        crossterm::event::Event::Resize(width, height) => Some(Event::Resize(width, height)),
        _ => None,
    }
}
