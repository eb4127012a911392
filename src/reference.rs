//! The generated pages of `docs/reference/`: written from what is compiled in, compared by a test. After a change of flags or
//! settings, `UPDATE_REFERENCE=1 cargo test -p sextant reference` writes them anew.

use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::config::keys::{DEFAULTS, KEYS};

fn config_page() -> String {
    let mut page = String::from(
        "# Configuration\n\nGenerated from `src/config/default.toml`. `sextant serve` reads `sextant.toml` in the working directory or the file \
         that `--config` names, then `SEXTANT_*` variables, then flags; the later wins. Unknown keys are errors.\n",
    );
    let (mut section, mut comment) = (String::new(), Vec::new());
    for line in DEFAULTS.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push(text.trim());
        } else if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
            let _ = write!(page, "\n## `[{name}]`\n");
            write_comment(&mut page, &mut comment);
        } else if let Some((name, default)) = line.split_once(" = ") {
            let path = format!("{section}{name}");
            let key = KEYS.iter().find(|key| key.path == path).expect("each key stands on a line of its own");
            let _ = write!(page, "\n### `{path}`\n\nDefault `{default}`, variable `{}`.\n", key.variable);
            write_comment(&mut page, &mut comment);
        } else if !comment.is_empty() {
            // The head of the file, which an empty line ends.
            comment.clear();
        }
    }
    page
}

fn write_comment(page: &mut String, comment: &mut Vec<&str>) {
    if !comment.is_empty() {
        let _ = write!(page, "\n{}\n", comment.join(" "));
        comment.clear();
    }
}

fn cli_page() -> String {
    let mut page = String::from("# Command line\n\nGenerated from the program's own help.\n");
    let mut command = Cli::command();
    command.build();
    write_command(&mut command, "sextant", &mut page);
    page
}

fn write_command(command: &mut clap::Command, name: &str, page: &mut String) {
    let help = command.clone().bin_name(name).term_width(100).render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(page, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end());
    for inner in command.get_subcommands_mut() {
        if !inner.is_hide_set() && inner.get_name() != "help" {
            let name = format!("{name} {}", inner.get_name());
            write_command(inner, &name, page);
        }
    }
}

fn check(file: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(file);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::write(&path, generated).expect("a writable working copy");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == generated,
        "docs/reference/{file} is out of date: run UPDATE_REFERENCE=1 cargo test -p sextant reference"
    );
}

#[test]
fn config_page_is_up_to_date() {
    check("config.md", &config_page());
}

#[test]
fn cli_page_is_up_to_date() {
    check("cli.md", &cli_page());
}
