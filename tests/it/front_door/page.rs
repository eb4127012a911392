//! `docs/promql-front-door.md`: how much of the scripts went through, and what did not, for which reason.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use promqltest::Series;

use super::door::{Door, Obstacle};

const PAGE: &str = "docs/promql-front-door.md";

const HEAD: &str = "\
# PromQL's test scripts through the front door

The scripts of `query/tests/promql`, and Prometheus's own where they are at hand, run against the engine over series in memory. Here
each of their sections (what is between one `clear` and the next) runs against a server of its own besides: its series come in
by OTLP, and in another server by remote write (versions 1 and 2 by turns); its evaluations are asked over HTTP, each
instant as a range of three steps too, in half of the sections after a restart, when all samples are in parts. Answers have to be what the script demands: labels, values, histograms, order, warnings, infos, failures
with their messages.

This page is written by the test that does it (`tests/it/front_door`): a run whose results differ from it fails, and
`UPDATE_REFERENCE=1 cargo test -p sextant --test it front_door` writes it anew. Listed are the sections with evaluations whose answer depends
on what a door cannot carry: a series that it cannot is left out, a hint about resets is taken away, and what the engine then answers
otherwise is not asked.
";

/// What came of a section at a door.
pub struct Listed {
    place: String,
    door: Door,
    obstacles: BTreeSet<Obstacle>,
    pub passed: usize,
    pub left_out: usize,
}

impl Listed {
    pub fn new(place: &str, door: Door) -> Self {
        Self { place: place.to_owned(), door, obstacles: BTreeSet::new(), passed: 0, left_out: 0 }
    }

    /// What the door can carry of a series; what is in the way of the rest is noted.
    pub fn carried(&mut self, series: &Series) -> Option<Series> {
        let (carried, obstacles) = self.door.carried(series);
        self.obstacles.extend(obstacles);
        carried
    }
}

/// The scripts of one origin.
pub struct Chapter {
    pub title: &'static str,
    pub listed: Vec<Listed>,
}

impl Chapter {
    /// A line for each door.
    pub fn summary(&self) -> String {
        let mut text = format!("{}:\n", self.title);
        for door in Door::ALL {
            let [sections, whole, passed, left_out] = self.counts(door);
            let _ = writeln!(
                text,
                "  {}: {whole} of {sections} sections whole, {passed} evaluations, {left_out} not asked",
                door.name()
            );
        }
        text
    }

    // Sections, those asked whole, evaluations that passed, evaluations that were left out.
    fn counts(&self, door: Door) -> [usize; 4] {
        let of_door = || self.listed.iter().filter(|listed| listed.door == door);
        [
            of_door().count(),
            of_door().filter(|listed| listed.left_out == 0).count(),
            of_door().map(|listed| listed.passed).sum(),
            of_door().map(|listed| listed.left_out).sum(),
        ]
    }

    fn text(&self) -> String {
        let mut text = format!("\n## {}\n\n", self.title);
        text.push_str("| door | sections | asked whole | evaluations that pass | not asked |\n|---|--:|--:|--:|--:|\n");
        for door in Door::ALL {
            let [sections, whole, passed, left_out] = self.counts(door);
            let _ = writeln!(text, "| {} | {sections} | {whole} | {passed} | {left_out} |", door.name());
        }
        text.push_str("\n| section | door | not asked | of | because |\n|---|---|--:|--:|---|\n");
        for listed in self.listed.iter().filter(|listed| listed.left_out > 0) {
            let because: Vec<&str> = listed.obstacles.iter().map(|obstacle| obstacle.as_str()).collect();
            let (place, door, out, because) = (&listed.place, listed.door.name(), listed.left_out, because.join("; "));
            let _ = writeln!(text, "| {place} | {door} | {out} | {} | {because} |", out + listed.passed);
        }
        text
    }
}

/// Whether the page is what this run gives, as far as the scripts were at hand.
pub fn check(chapters: &[Chapter]) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let texts: Vec<String> = [HEAD.to_owned()].into_iter().chain(chapters.iter().map(Chapter::text)).collect();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&page, texts.concat()).expect("a writable working copy");
    }
    let written = std::fs::read_to_string(&page).unwrap_or_default();
    for text in texts {
        let differs = text.lines().find(|line| !written.lines().any(|written| written == *line));
        assert!(
            written.contains(&text),
            "{PAGE} is not what this run gives (UPDATE_REFERENCE=1 writes it anew): {differs:?}"
        );
    }
}
