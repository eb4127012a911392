//! What a screen has asked for and what came: the place of one answer. It keeps the last good answer while a new one is on its
//! way or failed, and takes only the answer to its newest question.

use std::time::Duration;

use model::Timestamp;

use crate::effect::{Ask, Effect, FromReply, Ticket, Trouble, TroubleKind};
use crate::event::Answer;
use crate::screen::Context;

/// The place of one answer.
#[derive(Clone, Debug)]
pub struct Slot<T> {
    awaited: Option<Ticket>,
    asked_at: Option<Duration>,
    value: Option<T>,
    as_of: Option<Timestamp>,
    trouble: Option<Trouble>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { awaited: None, asked_at: None, value: None, as_of: None, trouble: None }
    }
}

impl<T> Slot<T> {
    /// Asks. An answer to what was asked before is late from now on.
    pub fn ask(&mut self, ask: Ask, cx: &mut Context<'_>) {
        let ticket = cx.session.ticket();
        let replaces = self.awaited.replace(ticket);
        self.asked_at = Some(cx.session.now.monotonic);
        cx.effects.push(Effect::Fetch { ticket, replaces, ask });
    }

    /// Whether this is the answer that is waited for.
    pub fn awaits(&self, answer: &Answer) -> bool {
        self.awaited == Some(answer.ticket)
    }

    /// Whether an answer is on its way.
    pub fn is_loading(&self) -> bool {
        self.awaited.is_some()
    }

    /// Whether it is time to ask again: nothing is on its way, and the last question was `every` ago.
    pub fn is_due(&self, every: Duration, now: Duration) -> bool {
        self.awaited.is_none() && self.asked_at.is_none_or(|asked| asked + every <= now)
    }

    /// The last good answer.
    pub fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// The last good answer, to be changed.
    pub fn value_mut(&mut self) -> Option<&mut T> {
        self.value.as_mut()
    }

    /// Why the newest question has no answer.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// When the last good answer came.
    pub fn as_of(&self) -> Option<Timestamp> {
        self.as_of
    }

    /// Forgets everything: the question is another one now.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

impl<T: FromReply> Slot<T> {
    /// Takes an answer; whether a good one came.
    pub fn settle(&mut self, answer: Answer, cx: &Context<'_>) -> bool {
        if !self.awaits(&answer) {
            return false;
        }
        self.awaited = None;
        match answer.outcome.map(T::from_reply) {
            Ok(Some(value)) => {
                self.value = Some(value);
                self.as_of = Some(cx.session.now.wall);
                self.trouble = None;
                true
            }
            Ok(None) => {
                self.trouble = Some(Trouble::new(TroubleKind::Garbled, "the answer belongs to another question"));
                false
            }
            Err(trouble) => {
                self.trouble = Some(trouble);
                false
            }
        }
    }
}
