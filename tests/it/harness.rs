//! What every test here needs: a directory of its own, the binary cargo has built, and patience with a deadline.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use campaign::binary::{Server, Setup, Subject};
use tempfile::TempDir;

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_sextant");

/// A place for one test.
pub struct Place {
    directory: TempDir,
    setup: Setup,
}

impl Place {
    /// An empty directory with a configuration file that says only how loud to be.
    pub fn new() -> Self {
        Self::configured("log = \"warn\"\n")
    }

    /// An empty directory with this configuration file.
    pub fn configured(toml: &str) -> Self {
        Self::set_up(toml, |setup| setup)
    }

    /// An empty directory for a server that stores its own metrics every second.
    pub fn watching_itself() -> Self {
        Self::set_up("log = \"warn\"\n", |setup| setup.with_own_metrics(1))
    }

    /// An empty directory for a server that may have so many files open.
    pub fn with_files_max(files_max: u64) -> Self {
        Self::set_up("log = \"warn\"\n", |setup| setup.with_files_max(files_max))
    }

    fn set_up(toml: &str, change: impl FnOnce(Setup) -> Setup) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let setup = change(Setup::new(&Subject::new(BINARY), directory.path()));
        setup.configure(toml).expect("a writable directory");
        Self { directory, setup }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The data directory of [`Place::serve`].
    pub fn data_dir(&self) -> PathBuf {
        self.setup.data_dir()
    }

    /// What servers said on stderr.
    pub fn stderr(&self) -> String {
        self.setup.stderr()
    }

    /// A server on this place's data directory, ready.
    pub async fn serve(&self) -> Server {
        self.setup.start().await.expect("a server")
    }

    /// Runs `sextant` with these arguments to its end, here, with an empty environment.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = Command::new(BINARY);
        command.args(arguments).current_dir(self.path()).env_clear();
        Ran::of(output_within(command, RUN_TIMEOUT))
    }
}

/// A command that does not end is ended, so that its test fails instead of hanging.
const RUN_TIMEOUT: Duration = Duration::from_secs(60);

fn output_within(mut command: Command, patience: Duration) -> Output {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.expect("the binary runs");
    let id = child.id();
    let (tell, ended) = mpsc::channel();
    std::thread::spawn(move || tell.send(child.wait_with_output()));
    match ended.recv_timeout(patience) {
        Ok(output) => output.expect("the child's output"),
        Err(_) => {
            Command::new("kill").arg("-KILL").arg(id.to_string()).status().expect("kill runs");
            panic!("{command:?} did not end within {} s", patience.as_secs())
        }
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit code.
    pub code: i32,
    /// What it answered.
    pub stdout: String,
    /// What it said beside that.
    pub stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        let code = output.status.code().expect("an exit code, no signal");
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Asserts success and gives what it answered.
    pub fn succeeded(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }
}

/// Tries until there is an answer; says what was waited for if there is none in time.
pub async fn until<T>(what: &str, patience: Duration, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = attempt().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "no {what} within {} s", patience.as_secs());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
