//! The commands of the palette: what can be typed, what it is completed to, and what it does.

use super::overlay::{Choice, Overlay};
use super::{State, act};
use crate::effect::Effect;
use crate::keymap::Action;
use crate::sanitize::Safe;
use crate::screen::{self, Args, Destination, Spec};
use crate::session::Range;
use crate::theme::{Palette, Role};

// Commands that are no screens: name, what stands behind it, what it does.
const COMMANDS: [(&str, &str, &str); 6] = [
    ("range", "2h | 14:00..14:30", "the time to look at"),
    ("filter", "FILTER", "what to look for"),
    ("theme", "dark | light | mono", "colours"),
    ("refresh", "", "ask the server anew"),
    ("help", "", "the keys"),
    ("quit", "", "end"),
];

/// Runs a line; or says what is wrong with it.
pub(super) fn run(state: &mut State, line: &str, effects: &mut Vec<Effect>) -> Result<(), Safe> {
    let line = line.trim().trim_start_matches(':');
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    match word {
        "" => {}
        "q" | "quit" => {
            state.ended = true;
            effects.push(Effect::Quit);
        }
        "help" => state.overlay = Some(Overlay::help()),
        "refresh" => act(state, Action::Refresh, effects),
        "range" if rest.is_empty() => state.overlay = Some(Overlay::range()),
        "range" => {
            let range = Range::parse(rest, state.session.now.wall)?;
            state.set_range(range, effects);
        }
        "theme" => {
            let palette = Palette::named(rest)
                .ok_or_else(|| Safe::of(format_args!("there is no theme {rest:?}: dark, light, mono")))?;
            state.session.theme.palette = palette;
        }
        "filter" if state.top().filter().is_none() => return Err("this screen has no filter".into()),
        "filter" => {
            let filter = rest.to_owned();
            state.with_top(effects, |screen, cx| screen.set_filter(filter, cx));
        }
        name => open(state, name, rest, effects)?,
    }
    Ok(())
}

fn open(state: &mut State, name: &str, rest: &str, effects: &mut Vec<Effect>) -> Result<(), Safe> {
    let Some(spec) = screen::spec(name) else {
        let known = COMMANDS.iter().map(|(name, ..)| *name).chain(screen::ALL.iter().map(|spec| spec.name));
        let nearest = known.max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)));
        return Err(Safe::of(format_args!(
            "there is no command {name:?}; did you mean {:?}?",
            nearest.unwrap_or("help")
        )));
    };
    if rest.is_empty() && spec.needs_argument {
        return Err(Safe::of(format_args!("write :{} {}", spec.name, spec.argument)));
    }
    if rest.is_empty() && !spec.door.is_empty() {
        state.go(spec.name, effects);
    } else {
        state.open(Destination { screen: spec.name, args: Args::typed(rest), range: None }, effects);
    }
    state.say(Safe::default(), Role::Text);
    Ok(())
}

/// What the line can be completed to.
pub(super) fn choices(state: &State, line: &str) -> Vec<Choice> {
    let line = line.trim_start();
    let Some((word, rest)) = line.split_once(char::is_whitespace) else {
        return words(line);
    };
    let rest = rest.trim_start();
    let choice = |argument: &str, help: &'static str| Choice {
        completes: format!("{word} {argument}"),
        shown: None,
        help: Safe::from_static(help),
        wants_more: false,
    };
    let subject = state.top().subject();
    let mut found = Vec::new();
    match word {
        "theme" => found.extend(Palette::ALL.iter().map(|palette| choice(palette.name(), "colours"))),
        "range" => found.extend(Range::OFFERED.iter().map(|range| choice(range, "up to now"))),
        _ if screen::spec(word).is_some_and(|spec| spec.argument == "ID") => {
            let ids = [(subject.trace, "the trace under the cursor"), (subject.correlation, "the id under the cursor")];
            found.extend(ids.into_iter().filter_map(|(id, help)| id.map(|id| choice(&id, help))));
        }
        _ => {}
    }
    found.retain(|choice| choice.completes[word.len() + 1..].starts_with(rest));
    found
}

// First what begins so, then what has these letters in this order.
fn words(typed: &str) -> Vec<Choice> {
    let screens = screen::ALL.iter().map(|spec: &&Spec| {
        let help = Safe::of(format_args!("{} {}", spec.title, spec.argument));
        (spec.name, help, spec.needs_argument)
    });
    let commands = COMMANDS.iter().map(|(name, argument, help)| {
        (*name, Safe::of(format_args!("{help} {argument}")), matches!(*name, "theme" | "filter"))
    });
    let all: Vec<_> = screens.chain(commands).collect();
    let begins = all.iter().filter(|(name, ..)| name.starts_with(typed));
    let holds = all.iter().filter(|(name, ..)| !name.starts_with(typed) && has_letters(name, typed));
    begins
        .chain(holds)
        .map(|(name, help, wants_more)| Choice {
            completes: (*name).to_owned(),
            shown: None,
            help: help.clone(),
            wants_more: *wants_more,
        })
        .collect()
}

fn has_letters(name: &str, letters: &str) -> bool {
    let mut rest = name.chars();
    letters.chars().all(|letter| rest.any(|c| c == letter))
}
