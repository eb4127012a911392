//! One screen, once: asks what the screen asks, waits for the answers, and gives it as text or JSON. For scripts, and for tests.

use ratatui::buffer::{Buffer, CellWidth as _};
use ratatui::layout::Rect;
use tokio::task::JoinSet;

use crate::app::{self, Start, State, update};
use crate::effect::{Effect, Trouble, TroubleKind};
use crate::event::{Answer, Event};
use crate::fetch::{Sources, fetch};

/// The dashboard with all answers to its first questions; or that there is no server.
pub async fn once(sources: impl Into<Sources>, start: Start) -> Result<State, Trouble> {
    let (mut state, mut effects) = State::new(start);
    let sources = sources.into();
    let mut running = JoinSet::new();
    loop {
        for effect in effects {
            // Nothing is followed, and nobody is there to copy.
            if let Effect::Fetch { ticket, ask, .. } = effect {
                let sources = sources.clone();
                running.spawn(async move { Answer { ticket, outcome: fetch(&sources, &ask).await } });
            }
        }
        if state.top().is_settled() {
            return Ok(state);
        }
        let Some(done) = running.join_next().await else { return Ok(state) };
        let answer = done.map_err(|error| Trouble::new(TroubleKind::Garbled, error))?;
        if let Err(trouble) = &answer.outcome
            && trouble.kind == TroubleKind::Lost
        {
            return Err(trouble.clone());
        }
        effects = update(&mut state, Event::Answer(answer));
    }
}

/// The frame as lines of text, without the blanks at their ends.
pub fn plain(state: &mut State, (width, height): (u16, u16)) -> String {
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    app::draw(state, &mut buffer);
    text_of(&buffer)
}

/// A buffer as lines of text, without the blanks at their ends.
pub fn text_of(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut text = String::new();
    for y in area.top()..area.bottom() {
        let mut line = String::new();
        let mut covered = 0;
        for x in area.left()..area.right() {
            if covered > 0 {
                // A wide character stands here already.
                covered -= 1;
                continue;
            }
            let symbol = buffer[(x, y)].symbol();
            covered = symbol.cell_width().saturating_sub(1);
            line.push_str(symbol);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
