//! System: what the server is and how it does. What came in, every refusal by its reason, the write-ahead log, tables, queues,
//! notifications on their way and given up; and whatever else is counted, so that nothing is hidden.

mod blocks;

use std::time::Duration;

use model::wire::alerts::Notifications;
use model::wire::status::Status;
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::{Context, Scene, Screen, Spec};
use crate::dashboard::counters::History;
use crate::effect::Ask;
use crate::event::Answer;
use crate::keymap::Action;
use crate::sanitize::Safe;
use crate::slot::Slot;
use crate::theme::Role;
use crate::widget::details::Scroll;
use crate::widget::put;
use crate::widget::sentence::sentence;

use blocks::Block;

/// What is known of the screen before there is one.
pub static SPEC: Spec = Spec {
    name: "system",
    title: "System",
    argument: "",
    needs_argument: false,
    door: &["0"],
    pivot: None,
    keys: &[],
    open: |_| Box::new(System::default()),
};

const REFRESH_EVERY: Duration = Duration::from_secs(5);

/// The screen.
#[derive(Debug, Default)]
pub struct System {
    status: Slot<Box<Status>>,
    notifications: Slot<Notifications>,
    history: History,
    scroll: Scroll,
}

impl System {
    fn blocks(&self, scene: &Scene<'_>) -> Vec<Block> {
        let Some(status) = self.status.value() else { return Vec::new() };
        let notifications = match (self.notifications.value(), self.notifications.trouble()) {
            (_, Some(trouble)) => Err(trouble),
            (value, None) => Ok(value),
        };
        blocks::of(status, notifications, &self.history, scene.now)
    }
}

impl Screen for System {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.status.ask(Ask::Status, cx);
        self.notifications.ask(Ask::Notifications, cx);
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) {
        match action {
            Action::Enter => cx.say("nothing here leads further"),
            other => drop(self.scroll.act(other)),
        }
    }

    fn answer(&mut self, answer: Answer, cx: &mut Context<'_>) {
        if !self.status.awaits(&answer) {
            self.notifications.settle(answer, cx);
        } else if self.status.settle(answer, cx)
            && let Some(status) = self.status.value()
        {
            self.history.push(cx.session.now.wall.as_nanos() as f64 / 1e9, status);
        }
    }

    fn tick(&mut self, cx: &mut Context<'_>) -> bool {
        let now = cx.session.now.monotonic;
        if self.status.is_due(REFRESH_EVERY, now) {
            self.status.ask(Ask::Status, cx);
        }
        if self.notifications.is_due(REFRESH_EVERY, now) {
            self.notifications.ask(Ask::Notifications, cx);
        }
        false
    }

    fn draw(&mut self, scene: &mut Scene<'_>) {
        let area = scene.area;
        let blocks = self.blocks(scene);
        if blocks.is_empty() {
            match self.status.trouble() {
                Some(trouble) => {
                    let label = (trouble.kind.label(), Role::Bad);
                    sentence(scene.buffer, area, scene.theme, label, &trouble.sentence, trouble.hint.as_ref());
                }
                None => {
                    put(scene.buffer, (area.x + 2, area.y), area.width, "loading", scene.theme.style(Role::Faint));
                }
            }
            return;
        }
        let columns = blocks::columns(&blocks, area.width);
        let lines = columns.iter().map(|(_, blocks)| blocks::lines(blocks)).max().unwrap_or(0);
        let offset = self.scroll.visible(usize::from(lines), area.height).start;
        for ((x, width, blocks), _) in columns.iter().map(|((x, width), blocks)| ((*x, *width, blocks), ())) {
            let place = Rect { x: area.x + x, width, ..area };
            blocks::draw(scene, place, blocks, u16::try_from(offset).unwrap_or(u16::MAX));
        }
    }

    fn badge(&self) -> Option<(Safe, Role)> {
        let mode = &self.status.value()?.mode;
        let role = if mode == "serving" { Role::Good } else { Role::Warning };
        Some((Safe::line(&mode.to_uppercase()), role))
    }

    fn copy(&self) -> Option<Safe> {
        self.status.value().map(|status| Safe::of(format_args!("sextant {} {}", status.version, status.mode)))
    }

    fn is_settled(&self) -> bool {
        !self.status.is_loading() && !self.notifications.is_loading()
    }

    fn json(&self) -> Value {
        json!({ "status": self.status.value(), "notifications": self.notifications.value() })
    }
}
