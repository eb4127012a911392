//! `docs/tour.md`, walked: a demo is started, every command of the tour is run against it as it stands there, and has to show what the tour says it shows. Ids in the tour are those of
//! the day on which it was written; each is replaced by the one that this demo shows in the same place.
//!
//! A command is a block of `console`; what a reader has to find in its output stands in the comment below it. Output that comes with time, like an alert's, is asked for again until it
//! is there. `UPDATE_REFERENCE=1` writes the tour's output anew from this run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::demo::Demo;
use crate::harness::{BINARY, Place};

/// What a reader is asked to wait for at most.
const PATIENCE: Duration = Duration::from_secs(150);

/// A screen of output is enough to see what a command does.
const LINES_MAX: usize = 34;

#[derive(Debug, PartialEq)]
enum Piece {
    /// Prose, as it is.
    Text(String),
    Command {
        command: String,
        output: Vec<String>,
        expected: Vec<String>,
    },
}

fn parse(tour: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut lines = tour.lines().peekable();
    let mut text = String::new();
    while let Some(line) = lines.next() {
        if line != "```console" {
            text.push_str(line);
            text.push('\n');
            continue;
        }
        pieces.push(Piece::Text(std::mem::take(&mut text)));
        let first = lines.next().expect("a block has a command");
        let command = first.strip_prefix("$ ").unwrap_or_else(|| panic!("`{first}` is no command")).to_owned();
        let output = lines.by_ref().take_while(|line| *line != "```").map(str::to_owned).collect();
        let comment = lines.next_if(|line| line.starts_with("<!-- shows: ")).unwrap_or_default();
        let comment = comment.trim_start_matches("<!-- shows: ").trim_end_matches(" -->");
        let expected = comment.split(" | ").filter(|part| !part.is_empty()).map(str::to_owned).collect();
        pieces.push(Piece::Command { command, output, expected });
    }
    pieces.push(Piece::Text(text));
    pieces
}

fn write(pieces: &[Piece]) -> String {
    let mut tour = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => tour.push_str(text),
            Piece::Command { command, output, expected } => {
                // Writing into a String cannot fail.
                let _ = writeln!(tour, "```console\n$ {command}");
                for line in output {
                    let _ = writeln!(tour, "{line}");
                }
                let _ = writeln!(tour, "```\n<!-- shows: {} -->", expected.join(" | "));
            }
        }
    }
    tour
}

/// Orders' ids and traces' ids, in the order in which they appear.
fn ids(text: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let is_id = |word: &&str| {
        let hex = |text: &str, length: usize| {
            text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        hex(word, 32)
            || word.strip_prefix("order-").and_then(|rest| rest.split_once('-')).is_some_and(|(_, run)| hex(run, 8))
    };
    let mut seen = Vec::new();
    for word in text.split(|c| !is_part(c)).filter(is_id) {
        if !seen.contains(&word) {
            seen.push(word);
        }
    }
    seen
}

struct Walk {
    /// From the tour's ids to this demo's.
    ids: BTreeMap<String, String>,
    path: String,
    url: String,
    shop: String,
    directory: PathBuf,
}

impl Walk {
    fn translate(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, (written, now)| text.replace(written, now))
    }

    /// Learns which of this demo's ids stand where the tour has its own. What comes later is about what was shown last.
    fn learn(&mut self, written: &str, now: &str) {
        for (written, now) in ids(written).into_iter().zip(ids(now)) {
            self.ids.insert(written.to_owned(), now.to_owned());
        }
    }

    async fn run(&self, command: &str) -> String {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(self.translate(command).replace("http://127.0.0.1:3300", &self.url));
        shell.current_dir(&self.directory).env_clear().kill_on_drop(true).stdin(Stdio::null());
        shell.env("PATH", &self.path).env("SEXTANT_URL", &self.url).env("SHOP_INTERNAL", &self.shop).env("TZ", "UTC");
        let output = shell.output().await.expect("a shell");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        text(&output.stdout) + &text(&output.stderr)
    }

    /// Runs it until its output shows what it should.
    async fn until_shown(&self, command: &str, expected: &[String]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = self.run(command).await;
            let missing = expected.iter().find(|part| !output.contains(&self.translate(part)));
            let Some(missing) = missing else { return output };
            assert!(Instant::now() < deadline, "`{command}` does not show `{missing}`:\n{output}");
            sleep(Duration::from_secs(1)).await;
        }
    }
}

fn tour_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tour.md")
}

fn shown(output: &str) -> Vec<String> {
    let mut lines: Vec<String> = output.lines().map(|line| line.trim_end().to_owned()).collect();
    if lines.len() > LINES_MAX {
        lines.truncate(LINES_MAX - 1);
        lines.push("…".to_owned());
    }
    lines
}

#[tokio::test]
async fn every_command_of_the_tour_shows_what_the_tour_says() {
    let tour = std::fs::read_to_string(tour_file()).expect("the tour is there");
    let mut pieces = parse(&tour);
    assert_eq!(write(&pieces), tour, "the tour is written as it is read");
    let place = Place::new();
    // Whoever walks the tour has the program in the path.
    let programs = place.path().join("bin");
    std::fs::create_dir(&programs).expect("a directory");
    std::os::unix::fs::symlink(BINARY, programs.join("sextant")).expect("a link");
    let mut demo = Demo::start(&place, &[]);
    let url = format!("http://{}", demo.said("http ").await);
    let beginning = demo.said_until("Ctrl-C stops").await;
    let shop = beginning
        .split_once(" shop faults --shop ")
        .map_or("127.0.0.1:7071", |(_, rest)| rest.lines().next().unwrap_or_default());
    let mut walk = Walk {
        ids: BTreeMap::new(),
        path: format!("{}:/usr/bin:/bin", programs.display()),
        url: url.clone(),
        shop: shop.to_owned(),
        directory: place.path().to_owned(),
    };
    let program = BINARY;
    let beginning = beginning
        .replace(&format!(" --url {url}"), "")
        .replace(&format!(" --shop {shop}"), "")
        .replace(program, "sextant");
    let mut commands = 0;
    for piece in &mut pieces {
        let Piece::Command { command, output, expected } = piece else { continue };
        commands += 1;
        let now = match command.as_str() {
            "sextant demo" => {
                for part in expected.iter() {
                    assert!(beginning.contains(part.as_str()), "the demo does not say `{part}`:\n{beginning}");
                }
                beginning.clone()
            }
            command => walk.until_shown(command, expected).await,
        };
        walk.learn(&output.join("\n"), &now);
        *command = walk.translate(command);
        for part in expected.iter_mut() {
            *part = walk.translate(part);
        }
        *output = shown(&now.replace(&format!(" --shop {shop}"), ""));
    }
    assert!(commands >= 12, "{commands} commands");
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(tour_file(), write(&pieces)).expect("the tour can be written");
    }
    demo.interrupt().await;
    demo.child.wait().await.expect("it ends");
}

#[test]
fn a_tour_is_read_as_it_is_written() {
    let tour = "# Tour\n\n```console\n$ sextant demo\ncorrelation_id=order-000001-0123abcd\n```\n<!-- shows: Ctrl-C | order -->\n\nEnd.\n";
    let pieces = parse(tour);
    assert_eq!(pieces.len(), 3);
    assert_eq!(write(&pieces), tour);
    assert_eq!(ids(tour), ["order-000001-0123abcd"]);
    assert_eq!(ids("order-no id 0af7651916cd43dd8448eb211c80319c."), ["0af7651916cd43dd8448eb211c80319c"]);
}
