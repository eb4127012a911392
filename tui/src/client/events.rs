//! Server-sent events, as `/api/v1/logs/tail` sends them: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

use super::ClientError;
use super::lines::Lines;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The event's type; `message` if the server named none.
    pub name: String,
    /// The last id the server gave: where to go on after a break.
    pub id: String,
    /// The lines of data, joined by line feeds.
    pub data: String,
}

/// Events as they arrive.
#[derive(Debug)]
pub struct Events {
    lines: Lines,
    last_id: String,
}

impl Events {
    pub(super) fn new(lines: Lines) -> Self {
        Self { lines, last_id: String::new() }
    }

    /// The next event; `None` when the server ends the stream.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        let mut assembly = Assembly::default();
        while let Some(line) = self.lines.next().await? {
            if line.is_empty() {
                if let Some(event) = std::mem::take(&mut assembly).finish(&mut self.last_id) {
                    return Ok(Some(event));
                }
                continue;
            }
            assembly.add(&String::from_utf8_lossy(&line));
        }
        // An event that no empty line ended is incomplete and does not count.
        Ok(None)
    }
}

#[derive(Default)]
struct Assembly {
    name: String,
    id: Option<String>,
    data: Option<String>,
}

impl Assembly {
    fn add(&mut self, line: &str) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "id" => self.id = Some(value.to_owned()),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // `retry`, comments (an empty field) and what later versions may send.
            _ => {}
        }
    }

    fn finish(self, last_id: &mut String) -> Option<Event> {
        if let Some(id) = self.id {
            *last_id = id;
        }
        let data = self.data?;
        let name = if self.name.is_empty() { "message".to_owned() } else { self.name };
        Some(Event { name, id: last_id.clone(), data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assemble(lines: &[&str]) -> Option<Event> {
        let mut assembly = Assembly::default();
        lines.iter().for_each(|line| assembly.add(line));
        assembly.finish(&mut "before".to_owned())
    }

    #[test]
    fn assembles_events() {
        let event = |name: &str, id: &str, data: &str| {
            Some(Event { name: name.to_owned(), id: id.to_owned(), data: data.to_owned() })
        };
        assert_eq!(assemble(&["data: {\"a\":1}"]), event("message", "before", "{\"a\":1}"));
        assert_eq!(assemble(&["event: lag", "id: 7", "data:x", "data:  y"]), event("lag", "7", "x\n y"));
        assert_eq!(assemble(&["data"]), event("message", "before", ""));
        assert_eq!(assemble(&[": keep-alive", "retry: 5", "unknown: 1"]), None);
    }
}
