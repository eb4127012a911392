//! The dashboard's state, and the one function that changes it. Nothing here waits, reads a clock or touches a terminal: events go in,
//! effects come out, and what is to be seen is drawn into a buffer from what there is.

mod chrome;
mod command;
mod overlay;

use std::collections::HashMap;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::effect::{Ask, Effect, Ticket, TroubleKind};
use crate::event::{Answer, Event, Key, Moment};
use crate::keymap::{self, Action, Found, Place};
use crate::limits::{NOTE_SHOWN, VIEWS_MAX};
use crate::sanitize::Safe;
use crate::screen::{self, Args, Context, Destination, Screen, Spec, Wish};
use crate::session::{Range, Session};
use crate::theme::{Role, Theme};

use overlay::Overlay;

/// Everything the dashboard knows.
#[derive(Debug)]
pub struct State {
    session: Session,
    // Never empty; the last is seen.
    views: Vec<View>,
    overlay: Option<Overlay>,
    // The first key of two.
    pending: Option<Key>,
    note: Option<(Safe, Role, Duration)>,
    probe: Option<Ticket>,
    // Which view waits for which answer.
    asked: HashMap<Ticket, u64>,
    next_view: u64,
    history: overlay::History,
    dirty: bool,
    ended: bool,
}

#[derive(Debug)]
struct View {
    id: u64,
    screen: Box<dyn Screen>,
    range: Range,
    // What it shows is of another time than it should be.
    stale: bool,
}

/// How to begin.
#[derive(Debug)]
pub struct Start {
    /// The moment of the start.
    pub now: Moment,
    /// Columns and rows.
    pub size: (u16, u16),
    /// Colours and symbols.
    pub theme: Theme,
    /// The server's address, for people.
    pub url: String,
    /// Spreads the waits before a lost server is asked again.
    pub seed: u64,
    /// The time to look at.
    pub range: Range,
    /// The screen to begin with.
    pub screen: &'static Spec,
    /// What to open it with.
    pub args: Args,
}

impl State {
    /// A dashboard at its first screen, and what that asks for.
    pub fn new(start: Start) -> (Self, Vec<Effect>) {
        let session = Session::new(start.now, start.size, start.theme, &start.url, start.seed);
        let screen = (start.screen.open)(&start.args);
        let mut state = Self {
            session,
            views: vec![View { id: 0, screen, range: start.range, stale: false }],
            overlay: None,
            pending: None,
            note: None,
            probe: None,
            asked: HashMap::new(),
            next_view: 1,
            history: overlay::History::default(),
            dirty: true,
            ended: false,
        };
        let mut effects = Vec::new();
        state.with_top(&mut effects, |screen, cx| screen.load(cx));
        (state, effects)
    }

    /// Whether there is something to draw that has not been drawn. Asking makes it drawn.
    pub fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    /// Whether there is something to draw that has not been drawn.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether somebody asked to end.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The screen that is seen.
    pub fn top(&self) -> &dyn Screen {
        self.view().screen.as_ref()
    }

    /// The range of the screen that is seen.
    pub fn range(&self) -> Range {
        self.view().range
    }

    /// How deep the stack of screens is.
    pub fn depth(&self) -> usize {
        self.views.len()
    }

    /// What all screens share.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Where keys are looked up now.
    pub fn place(&self) -> Place {
        match &self.overlay {
            Some(overlay) => overlay.place(),
            None => Place::Screen(self.top().spec().name),
        }
    }

    fn view(&self) -> &View {
        self.views.last().expect("the first view is never taken off the stack")
    }

    // Lets the top screen act, and does what it wishes.
    fn with_top<T>(
        &mut self,
        effects: &mut Vec<Effect>,
        act: impl FnOnce(&mut dyn Screen, &mut Context<'_>) -> T,
    ) -> T {
        self.with_view(self.views.len() - 1, effects, act)
    }

    fn with_view<T>(
        &mut self,
        index: usize,
        effects: &mut Vec<Effect>,
        act: impl FnOnce(&mut dyn Screen, &mut Context<'_>) -> T,
    ) -> T {
        let mut wishes = Vec::new();
        let before = effects.len();
        let View { id, screen, range, .. } = &mut self.views[index];
        let mut cx = Context { session: &mut self.session, range: *range, effects, wishes: &mut wishes };
        let result = act(screen.as_mut(), &mut cx);
        for effect in &effects[before..] {
            if let Effect::Fetch { ticket, replaces, .. } = effect {
                if let Some(late) = replaces {
                    self.asked.remove(late);
                }
                self.asked.insert(*ticket, *id);
            }
        }
        for wish in wishes {
            self.fulfil(wish, effects);
        }
        result
    }

    // What a view that is gone has asked for is not wanted any more.
    fn forget(&mut self, view: &View, effects: &mut Vec<Effect>) {
        let late: Vec<Ticket> =
            self.asked.iter().filter(|(_, id)| **id == view.id).map(|(ticket, _)| *ticket).collect();
        for ticket in late {
            self.asked.remove(&ticket);
            effects.push(Effect::Forget(ticket));
        }
    }

    fn push(&mut self, spec: &'static Spec, args: &Args, range: Range, effects: &mut Vec<Effect>) {
        if self.views.len() >= VIEWS_MAX {
            let oldest = self.views.remove(1);
            self.forget(&oldest, effects);
        }
        let id = self.next_view;
        self.next_view += 1;
        self.views.push(View { id, screen: (spec.open)(args), range, stale: false });
        self.with_top(effects, |screen, cx| screen.load(cx));
    }

    fn fulfil(&mut self, wish: Wish, effects: &mut Vec<Effect>) {
        match wish {
            Wish::Open(destination) => self.open(destination, effects),
            Wish::Say(text) => self.say(text, Role::Text),
            Wish::Range(range) => self.set_range(range, effects),
            Wish::Type { label, hint, text } => self.overlay = Some(Overlay::typed(label, hint, &text)),
        }
    }

    fn say(&mut self, text: impl Into<Safe>, role: Role) {
        self.note = Some((text.into(), role, self.session.now.monotonic + NOTE_SHOWN));
    }

    fn open(&mut self, destination: Destination, effects: &mut Vec<Effect>) {
        let Some(spec) = screen::spec(destination.screen) else {
            return self.say("there is no such screen here", Role::Warning);
        };
        self.with_top(effects, |screen, cx| screen.suspend(cx));
        let range = destination.range.unwrap_or(self.view().range);
        self.push(spec, &destination.args, range, effects);
    }

    // To a screen by its own key: the stack begins anew.
    fn go(&mut self, name: &'static str, effects: &mut Vec<Effect>) {
        if self.top().spec().name == name {
            return;
        }
        let range = self.view().range;
        self.with_top(effects, |screen, cx| screen.suspend(cx));
        for view in self.views.split_off(1) {
            self.forget(&view, effects);
        }
        if self.top().spec().name == name {
            let stale = self.views[0].stale || self.views[0].range != range;
            self.views[0].range = range;
            return self.wake(stale, effects);
        }
        let Some(spec) = screen::spec(name) else { return };
        self.push(spec, &Args::default(), range, effects);
    }

    fn back(&mut self, effects: &mut Vec<Effect>) {
        if self.views.len() == 1 {
            return self.say("this is the first screen: q ends", Role::Faint);
        }
        self.with_top(effects, |screen, cx| screen.suspend(cx));
        if let Some(view) = self.views.pop() {
            self.forget(&view, effects);
        }
        let stale = self.view().stale;
        self.wake(stale, effects);
    }

    fn wake(&mut self, stale: bool, effects: &mut Vec<Effect>) {
        if let Some(view) = self.views.last_mut() {
            view.stale = false;
        }
        self.with_top(effects, |screen, cx| if stale { screen.load(cx) } else { screen.resume(cx) });
    }

    fn set_range(&mut self, range: Range, effects: &mut Vec<Effect>) {
        if let Some(view) = self.views.last_mut() {
            view.range = range;
        }
        self.with_top(effects, |screen, cx| screen.load(cx));
    }

    fn pivot(&mut self, name: &'static str, effects: &mut Vec<Effect>) {
        let Some(pivot) = screen::spec(name).and_then(|spec| spec.pivot.as_ref()) else { return };
        let subject = self.top().subject();
        // What is under the cursor may lie outside of the time that is looked at: a trace is opened by its id.
        let outside = subject.time.filter(|time| !self.range().resolve(self.session.now.wall).contains(*time));
        let range = outside.map(|time| Range::around(time, self.range().length() / 2));
        match (pivot.to)(&subject) {
            Ok((screen, args)) => self.open(Destination { screen, args, range }, effects),
            Err(reason) => self.say(reason, Role::Warning),
        }
    }
}

/// Lets `event` happen.
pub fn update(state: &mut State, event: Event) -> Vec<Effect> {
    let mut effects = Vec::new();
    match event {
        Event::Tick(now) => tick(state, now, &mut effects),
        Event::Resize(width, height) => {
            state.session.size = (width, height);
            state.dirty = true;
        }
        Event::Key(key) => {
            press(state, key, &mut effects);
            state.dirty = true;
        }
        Event::Paste(text) => {
            if let Some(overlay) = &mut state.overlay {
                overlay.paste(&text);
            } else {
                state.say("nothing here takes a pasted text: press / or : first", Role::Faint);
            }
            state.dirty = true;
        }
        Event::Answer(answer) => {
            take(state, answer, &mut effects);
            state.dirty = true;
        }
        Event::Tail(news) => {
            let lost = news.ended.as_ref().is_some_and(|trouble| trouble.kind == TroubleKind::Lost);
            if lost {
                state.session.lose();
            } else if news.ended.is_none() {
                state.session.hear();
            }
            state.with_top(&mut effects, |screen, cx| screen.news(news, cx));
            state.dirty = true;
        }
    }
    effects
}

fn tick(state: &mut State, now: Moment, effects: &mut Vec<Effect>) {
    let before = std::mem::replace(&mut state.session.now, now);
    if state.note.as_ref().is_some_and(|(_, _, until)| *until <= now.monotonic) {
        state.note = None;
        state.dirty = true;
    }
    if state.session.link.is_lost() {
        // The banner counts.
        state.dirty |= before.monotonic.as_secs() != now.monotonic.as_secs();
        if state.probe.is_none() && state.session.link.next_try <= now.monotonic {
            let ticket = state.session.ticket();
            state.probe = Some(ticket);
            effects.push(Effect::Fetch { ticket, replaces: None, ask: Ask::Status });
        }
    } else {
        let changed = state.with_top(effects, |screen, cx| screen.tick(cx));
        state.dirty |= changed;
    }
}

fn take(state: &mut State, answer: Answer, effects: &mut Vec<Effect>) {
    let lost = answer.outcome.as_ref().err().is_some_and(|trouble| trouble.kind == TroubleKind::Lost);
    let slow = answer.outcome.as_ref().err().is_some_and(|trouble| trouble.kind == TroubleKind::Slow);
    let is_probe = state.probe == Some(answer.ticket);
    if is_probe {
        state.probe = None;
    }
    // Of several questions that find the server gone, the first and the probes count as attempts.
    if (lost || (slow && is_probe)) && (is_probe || !state.session.link.is_lost()) {
        state.session.lose();
    }
    let back = !lost && !slow && state.session.hear();
    let view = state.asked.remove(&answer.ticket);
    if let Some(index) = state.views.iter().position(|known| Some(known.id) == view) {
        state.with_view(index, effects, |screen, cx| screen.answer(answer, cx));
    }
    if back {
        state.say("the server is back", Role::Good);
        state.views.iter_mut().for_each(|view| view.stale = true);
        state.wake(true, effects);
    }
}

fn press(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    let place = state.place();
    let before = state.pending.take();
    let action = match keymap::look_up(place, before, key) {
        Found::Action(action) => action,
        Found::Pending => {
            state.pending = Some(key);
            return;
        }
        Found::Nothing => {
            if let Some(overlay) = &mut state.overlay {
                overlay.press(key);
            }
            return;
        }
    };
    if action == Action::Quit {
        state.ended = true;
        state.with_top(effects, |screen, cx| screen.suspend(cx));
        effects.push(Effect::Quit);
        return;
    }
    state.note = None;
    if state.overlay.is_some() {
        overlay::act(state, action, effects);
    } else {
        act(state, action, effects);
    }
}

fn act(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    let now = state.session.now.wall;
    match action {
        Action::Back => {
            if !state.with_top(effects, |screen, _| screen.close()) {
                state.back(effects);
            }
        }
        Action::Help => state.overlay = Some(Overlay::help()),
        Action::Palette => state.overlay = Some(Overlay::palette()),
        Action::Range => state.overlay = Some(Overlay::range()),
        Action::Filter => {
            let filter = state.top().filter().unwrap_or_default().to_owned();
            state.overlay = Some(Overlay::filter(&filter));
        }
        Action::Earlier => state.set_range(state.range().earlier(now), effects),
        Action::Later => state.set_range(state.range().later(now), effects),
        Action::Refresh => state.with_top(effects, |screen, cx| screen.load(cx)),
        Action::Theme => {
            state.session.theme.palette = state.session.theme.palette.next();
            state.say(Safe::from_static(state.session.theme.palette.name()), Role::Faint);
        }
        Action::Copy => copy(state, effects),
        Action::Go(name) => state.go(name, effects),
        Action::Pivot(name) => state.pivot(name, effects),
        other => state.with_top(effects, |screen, cx| screen.act(other, cx)),
    }
}

fn copy(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(text) = state.top().copy().filter(|text| !text.is_empty()) else {
        return state.say("there is nothing to copy here", Role::Faint);
    };
    let told = Safe::of(format_args!("copied: {}", text.truncated(60)));
    effects.push(Effect::Copy(text));
    state.say(told, Role::Good);
}

/// Draws what is to be seen, over all of `buffer`.
pub fn draw(state: &mut State, buffer: &mut Buffer) {
    let area = buffer.area;
    buffer.reset();
    chrome::draw(state, buffer, area);
    if state.session.theme.ascii {
        let ellipsis = state.session.theme.symbols().ellipsis;
        for cell in &mut buffer.content {
            if cell.symbol() == "…" {
                cell.set_symbol(ellipsis);
            }
        }
    }
}

// The body: the screen that is seen, dimmed where it may be out of date.
fn draw_screen(state: &mut State, buffer: &mut Buffer, area: Rect) {
    let (theme, now, stale) = (state.session.theme, state.session.now.wall, state.session.link.is_lost());
    if let Some(view) = state.views.last_mut() {
        let window = view.range.resolve(now);
        view.screen.draw(&mut screen::Scene { buffer, area, theme, now, window });
    }
    if stale {
        buffer.set_style(area, theme.style(Role::Faint));
    }
}
