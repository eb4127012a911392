//! The program under test: built, started, killed, stopped.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};
use tui::Client;
use tui::client::{Params, Settings};

use crate::parts::Reader;

/// From the start of the process until its doors are announced.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Replay of everything a test leaves behind.
const READY_TIMEOUT: Duration = Duration::from_secs(120);

/// How long an answer may take: one without a limit gives its cores to whoever else wants them, and that may be many.
const SILENCE_MAX: Duration = Duration::from_secs(300);

/// The doors that `serve` announces on stdout.
const DOORS: [&str; 3] = ["otlp_grpc", "otlp_http", "http"];

/// What is tried.
#[derive(Clone, Debug)]
pub struct Subject {
    binary: PathBuf,
    reader: Option<Arc<Reader>>,
}

impl Subject {
    /// This binary.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self { binary: binary.into(), reader: None }
    }

    /// And, with this Python interpreter, what DuckDB reads in the parts that it leaves.
    pub fn read_by(self, python: &Path) -> Self {
        Self { reader: Some(Arc::new(Reader::new(python))), ..self }
    }

    /// The binary.
    pub fn binary(&self) -> &Path {
        &self.binary
    }
}

/// What is tried, and the directory it works in. Everything it writes stays in there.
#[derive(Clone, Debug)]
pub struct Setup {
    subject: Subject,
    directory: PathBuf,
    own_metrics_interval_s: u64,
    // Shell commands that the process runs before it becomes the server.
    before: Vec<String>,
    variables: Vec<(&'static str, String)>,
    disk_faults: Vec<String>,
    // Of its doors, as they stand in `DOORS`.
    ports: [u16; 3],
}

impl Setup {
    /// `directory` exists and belongs to this setup alone.
    pub fn new(subject: &Subject, directory: impl Into<PathBuf>) -> Self {
        Self {
            subject: subject.clone(),
            directory: directory.into(),
            own_metrics_interval_s: 0,
            before: Vec::new(),
            variables: Vec::new(),
            disk_faults: Vec::new(),
            ports: [0; 3],
        }
    }

    /// Lets the server listen on these ports, so that one that is started again is where it was.
    pub fn with_ports(self, ports: [u16; 3]) -> Self {
        Self { ports, ..self }
    }

    /// Lets the server store its own metrics so often.
    pub fn with_own_metrics(self, interval_s: u64) -> Self {
        Self { own_metrics_interval_s: interval_s, ..self }
    }

    /// Lets the server live in this cgroup.
    pub fn in_cgroup(mut self, directory: &Path) -> Self {
        self.before.push(format!("echo $$ > '{}/cgroup.procs'", directory.display()));
        self
    }

    /// Lets the server have so many files open.
    pub fn with_files_max(mut self, files: u64) -> Self {
        self.before.push(format!("ulimit -n {files}"));
        self
    }

    /// Gives the server a variable of the environment.
    pub fn with_variable(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// Lets these things go wrong on the server's disk: `ACTION:OPERATION:AREA:FIRST`.
    pub fn with_disk_faults(self, faults: impl IntoIterator<Item = String>) -> Self {
        Self { disk_faults: faults.into_iter().collect(), ..self }
    }

    /// Writes the configuration that the next start reads.
    pub fn configure(&self, toml: &str) -> anyhow::Result<()> {
        let file = self.directory.join("sextant.toml");
        std::fs::write(&file, toml).with_context(|| format!("cannot write {}", file.display()))
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Who else reads the parts.
    pub fn reader(&self) -> Option<&Reader> {
        self.subject.reader.as_deref()
    }

    /// Without others who read the parts.
    pub fn unread(mut self) -> Self {
        self.subject.reader = None;
        self
    }

    /// What the server said on stderr, in all its lives.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.directory.join("stderr.log")).unwrap_or_default()
    }

    /// Starts the server and waits until it is ready.
    pub async fn start(&self) -> anyhow::Result<Server> {
        let mut server = self.launch().await?;
        if let Err(error) = server.ready().await {
            server.kill().await?;
            return Err(error.context(self.stderr()));
        }
        Ok(server)
    }

    // The binary, or a shell that becomes it.
    fn command(&self) -> Command {
        if self.before.is_empty() {
            return hermetic(&self.subject.binary, &self.directory);
        }
        let mut command = hermetic(Path::new("/bin/sh"), &self.directory);
        command.arg("-c").arg(format!("{} && exec \"$0\" \"$@\"", self.before.join(" && "))).arg(&self.subject.binary);
        command
    }

    /// Starts the server and waits until its doors are announced.
    pub async fn launch(&self) -> anyhow::Result<Server> {
        let mut command = self.command();
        command.arg("serve").arg("--data-dir").arg(self.data_dir());
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        for (door, port) in DOORS.iter().zip(self.ports) {
            command.arg(format!("--{}", door.replace('_', "-"))).arg(format!("127.0.0.1:{port}"));
        }
        for fault in &self.disk_faults {
            command.arg("--disk-fault").arg(fault);
        }
        // What a test stores is all there is, unless it asks for more.
        command.env("SEXTANT_OWN_METRICS_INTERVAL_S", self.own_metrics_interval_s.to_string());
        if self.own_metrics_interval_s == 0 {
            command.env("SEXTANT_OWN_RECORDS", "off");
        }
        let log = self.directory.join("stderr.log");
        let log: File = OpenOptions::new().create(true).append(true).open(log).context("cannot open stderr.log")?;
        let mut child = command.stderr(log).stdout(Stdio::piped()).spawn().context("cannot start the binary")?;
        let stdout = child.stdout.take().context("the process has no stdout")?;
        match timeout(START_TIMEOUT, announced(stdout)).await {
            Ok(Ok(doors)) => Ok(Server { child, doors }),
            Ok(Err(error)) => {
                let status = child.wait().await?;
                Err(error.context(format!("the server ended with {status}: {}", self.stderr())))
            }
            Err(_) => bail!("the server announced no doors within {} s: {}", START_TIMEOUT.as_secs(), self.stderr()),
        }
    }
}

/// A command with nothing of this process's environment, that dies with this process's runtime.
pub fn hermetic(binary: &Path, directory: &Path) -> Command {
    let mut command = Command::new(binary);
    command.current_dir(directory).env_clear().env("RUST_BACKTRACE", "1").stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn announced(stdout: ChildStdout) -> anyhow::Result<BTreeMap<String, SocketAddr>> {
    let mut doors = BTreeMap::new();
    let mut lines = BufReader::new(stdout).lines();
    while doors.len() < DOORS.len() {
        let line = lines.next_line().await?.context("stdout ended before all doors were announced")?;
        let (name, address) = line.split_once(' ').with_context(|| format!("unexpected on stdout: {line}"))?;
        doors.insert(name.to_owned(), address.parse().with_context(|| format!("no address: {address}"))?);
    }
    Ok(doors)
}

/// A running server. Dropped, it is killed.
#[derive(Debug)]
pub struct Server {
    child: Child,
    doors: BTreeMap<String, SocketAddr>,
}

impl Server {
    /// The base URL of a door: `otlp_grpc`, `otlp_http`, `http`.
    pub fn url(&self, door: &str) -> String {
        let address = self.doors.get(door).expect("all doors are announced before a server is given out");
        format!("http://{address}")
    }

    /// The bound address of a door.
    pub fn address(&self, door: &str) -> SocketAddr {
        *self.doors.get(door).expect("all doors are announced before a server is given out")
    }

    /// The process.
    pub fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("the server has ended")
    }

    /// How the process ended, if it has.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// A client of the answering door.
    pub fn client(&self) -> Client {
        let settings = Settings { silence_max: SILENCE_MAX, ..Settings::default() };
        Client::new(&self.url("http"), settings).expect("an announced address is a good address")
    }

    /// Waits until the server says that it is ready.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let client = self.client();
        let deadline = Instant::now() + READY_TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status} before it was ready");
            }
            match client.fetch("/readyz", &Params::new()).await {
                Ok(answer) if answer.status == 200 => return Ok(()),
                _ if Instant::now() > deadline => {
                    bail!("the server was not ready within {} s", READY_TIMEOUT.as_secs())
                }
                _ => sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("cannot kill the server")
    }

    /// SIGHUP: the server reads its rules again.
    pub async fn hang_up(&self) -> anyhow::Result<()> {
        self.signal("-HUP").await
    }

    async fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let id = self.child.id().context("the server has ended already")?;
        let signalled = Command::new("kill").arg(signal).arg(id.to_string()).status().await?;
        anyhow::ensure!(signalled.success(), "cannot signal the server");
        Ok(())
    }

    /// SIGTERM, and what the process makes of it within `patience`.
    pub async fn stop(&mut self, patience: Duration) -> anyhow::Result<ExitStatus> {
        self.signal("-TERM").await?;
        Ok(timeout(patience, self.child.wait()).await.context("the server did not stop")??)
    }
}

/// Builds the release binary with the cargo that runs this, and says where it is.
pub async fn build_release() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new(cargo);
    command.current_dir(workspace).args(["build", "--release", "--package", "sextant", "--bin", "sextant"]);
    let output = command.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit()).output().await?;
    anyhow::ensure!(output.status.success(), "the release binary does not build");
    for line in output.stdout.split(|byte| *byte == b'\n') {
        let Ok(message) = serde_json::from_slice::<serde_json::Value>(line) else { continue };
        if message["target"]["name"] == "sextant"
            && let Some(executable) = message["executable"].as_str()
        {
            return Ok(PathBuf::from(executable));
        }
    }
    bail!("cargo did not say where the binary is")
}
