//! Questions on their way, at most [`FETCHES_MAX`]: each is a task that can be given up.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::effect::{Ask, Ticket, Trouble, TroubleKind};
use crate::event::Answer;
use crate::fetch::{Sources, fetch};
use crate::limits::FETCHES_MAX;

/// Questions on their way, the oldest first.
#[derive(Debug)]
pub(super) struct Fetches {
    sources: Sources,
    answers: mpsc::Sender<Answer>,
    running: VecDeque<(Ticket, AbortHandle)>,
}

impl Fetches {
    /// None yet.
    pub(super) fn new(sources: Sources, answers: mpsc::Sender<Answer>) -> Self {
        Self { sources, answers, running: VecDeque::new() }
    }

    /// Asks. If there are too many questions already, the oldest gets its answer here: that it was given up.
    pub(super) fn begin(&mut self, ticket: Ticket, ask: Ask) {
        self.running.retain(|(_, task)| !task.is_finished());
        if self.running.len() >= FETCHES_MAX
            && let Some((oldest, task)) = self.running.pop_front()
        {
            task.abort();
            let trouble = Trouble::new(TroubleKind::Slow, "given up: the server owes too many answers");
            let answers = self.answers.clone();
            tokio::spawn(async move {
                // Nobody listens any more when the dashboard has ended.
                let _ = answers.send(Answer { ticket: oldest, outcome: Err(trouble) }).await;
            });
        }
        let (sources, answers) = (self.sources.clone(), self.answers.clone());
        let task = tokio::spawn(async move {
            let outcome = fetch(&sources, &ask).await;
            let _ = answers.send(Answer { ticket, outcome }).await;
        });
        self.running.push_back((ticket, task.abort_handle()));
    }

    /// Gives up a question.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        if let Some(index) = self.running.iter().position(|(running, _)| *running == ticket)
            && let Some((_, task)) = self.running.remove(index)
        {
            task.abort();
        }
    }
}

impl Drop for Fetches {
    fn drop(&mut self) {
        self.running.iter().for_each(|(_, task)| task.abort());
    }
}
