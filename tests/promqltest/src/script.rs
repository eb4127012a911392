//! From the text of a script to its sections: what is between one `clear` and the next.

use crate::case::Case;
use crate::load::{self, Series};

/// What is asked over one set of series.
#[derive(Debug)]
pub struct Section {
    /// The file and the line of its first command.
    pub place: String,
    /// Its commands in order.
    pub steps: Vec<Step>,
}

/// A command.
#[derive(Debug)]
pub enum Step {
    /// Series that are there from now on.
    Load(Vec<Series>),
    /// A question with what its answer has to be.
    Eval(Box<Case>),
    /// Not a command, and why: to be reported.
    Wrong(String),
}

/// The sections of a script; those without a command are left out.
pub fn sections(file: &str, text: &str) -> Vec<Section> {
    let mut sections = vec![];
    let mut steps = Vec::new();
    let mut begun = String::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut block = Vec::new();
        while let Some((_, line)) = lines.next_if(|(_, line)| !line.trim().is_empty()) {
            let line = line.trim();
            if !line.starts_with('#') {
                block.push(line);
            }
        }
        let place = format!("{file}:{}", number + 1);
        let mut line = line;
        let mut block = block.as_slice();
        if line == "clear" {
            sections.push(Section { place: std::mem::take(&mut begun), steps: std::mem::take(&mut steps) });
            // Only a blank line ends a block, but `clear` has none.
            let Some((next, rest)) = block.split_first() else { continue };
            (line, block) = (next, rest);
        }
        if steps.is_empty() {
            begun.clone_from(&place);
        }
        steps.push(step(&place, line, block));
    }
    sections.push(Section { place: begun, steps });
    sections.retain(|section| !section.steps.is_empty());
    sections
}

fn step(place: &str, line: &str, block: &[&str]) -> Step {
    let read = match line.split_once(char::is_whitespace) {
        Some(("load", step)) => load::series(step.trim(), block).map(Step::Load),
        Some(("load_with_nhcb", step)) => load::with_native(step.trim(), block).map(Step::Load),
        _ => Case::read(place, line, block).map(|case| Step::Eval(Box::new(case))),
    };
    read.unwrap_or_else(|error| Step::Wrong(format!("{place}: {line}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_falls_apart_at_clear() {
        let text = "# None yet.\nclear\n\nload 1m\n  a 1 2\n  # not b\n\neval instant at 1m a\n  a 2\n\nclear\nload 1m\n  b 1\n\neval_fail instant at 0 b(\n\nodd\n";
        let sections = sections("x.test", text);
        let places: Vec<&str> = sections.iter().map(|section| section.place.as_str()).collect();
        assert_eq!(places, ["x.test:4", "x.test:11"]);
        let kinds = sections.iter().flat_map(|section| &section.steps).map(|step| match step {
            Step::Load(series) => format!("{} series", series.len()),
            Step::Eval(case) => case.place.clone(),
            Step::Wrong(why) => why.clone(),
        });
        assert_eq!(
            kinds.collect::<Vec<_>>(),
            ["1 series", "x.test:8", "1 series", "x.test:15", "x.test:17: odd: no command"]
        );
    }
}
