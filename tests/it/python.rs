//! The Python programs of `tests/clients`, in an environment of their own. It is made once ([`kept`]) from the
//! pinned requirements; needs `python3` with `venv`, and PyPI the first time.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::kept;

/// The programs and what they import.
const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");

/// A command that runs a program of `tests/clients`, like `send.py`, with the environment ready.
pub fn program(name: &str) -> Command {
    let mut command = python();
    command.arg(Path::new(CLIENTS).join(name));
    command
}

/// Runs a command and gives its stdout; shows everything it said if it fails.
pub fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{stdout}\n{stderr}");
    stdout
}

/// Asks the server at `url` for everything as OTLP, compares it with what was recorded, and gives the counts.
pub fn compare_recordings(recordings: &[PathBuf], url: &str) -> String {
    let mut command = program("compare.py");
    command.arg(&recordings[0]).args(["--url", url]);
    for recording in &recordings[1..] {
        command.arg("--also").arg(recording);
    }
    succeed(&mut command)
}

/// The interpreter of the environment.
pub fn interpreter() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(environment)
}

fn python() -> Command {
    let mut command = Command::new(interpreter());
    // Leaves no bytecode in the source tree, and takes no settings of the SDK from the machine.
    command.current_dir(CLIENTS).env("PYTHONDONTWRITEBYTECODE", "1");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
        command.env_remove(name);
    }
    command
}

/// Makes the environment if it is not there for these very requirements, and gives its interpreter.
fn environment() -> PathBuf {
    let requirements = Path::new(CLIENTS).join("requirements.txt");
    let wanted = fs::read_to_string(&requirements).expect("the requirements are in the source tree");
    let folder = kept::folder("python", &wanted, |folder| {
        succeed(Command::new("python3").args(["-m", "venv"]).arg(folder));
        let mut pip = Command::new(folder.join("bin/python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--retries=8",
            "--timeout=60",
            "-r",
        ]);
        succeed(pip.arg(&requirements));
    });
    folder.join("bin/python")
}

#[test]
fn the_comparison_and_the_reader_of_parts_see_differences_and_only_those() {
    let output = python().args(["-m", "unittest", "test_clients"]).output().expect("python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("\nOK\n"), "{said}");
}
