//! Programs of Debian that are scraped: exporters, unpacked from their packages into the cache of the tests and never installed, and a private
//! PostgreSQL. Where a machine has none of it the tests say so and pass.

#[path = "../../../examples/shop/tests/it/postgres_programs.rs"]
mod postgres_programs;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tui::Client;
use tui::client::Settings;

use crate::harness::until;
use crate::kept;

/// A program that serves metrics on a port of its own. Ended with its test.
pub struct Program {
    /// Where it is.
    pub address: String,
    process: Child,
}

impl Program {
    /// The program of this name, of Debian's package of the same name; nothing if there is none.
    pub async fn start(name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Option<Self> {
        let program = unpacked(name)?.join("usr/bin").join(name);
        let address = free_address();
        let mut command = Command::new(program);
        command
            .arg(format!("--web.listen-address={address}"))
            .args(arguments)
            .env_clear()
            .envs(variables.iter().copied());
        Some(Self::of(command, address).await)
    }

    async fn of(mut command: Command, address: String) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("the program starts");
        let program = Self { address, process };
        until("a program that listens", Duration::from_secs(30), async || {
            tokio::net::TcpStream::connect(&program.address).await.ok()
        })
        .await;
        program
    }

    /// Who asks it, if it is a Prometheus.
    pub fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.address), Settings::default()).expect("an address")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A Prometheus with this configuration, if this machine has one.
pub async fn prometheus(directory: &Path, config: &Path) -> Option<Program> {
    if !Command::new("prometheus").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("prometheus is not installed: nothing is compared with it");
        return None;
    }
    let address = free_address();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", directory.join("tsdb").display()))
        .arg(format!("--web.listen-address={address}"));
    Some(Program::of(command, address).await)
}

// Neither exporter says which port it was given: one that was free a moment ago.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").to_string()
}

// The files of a package of Debian, fetched once; nothing where apt does not know it.
fn unpacked(package: &str) -> Option<PathBuf> {
    let known = Command::new("apt-cache").args(["show", "--no-all-versions", package]).output();
    let known = known.ok().filter(|output| output.status.success()).map(|output| output.stdout)?;
    let known = String::from_utf8_lossy(&known).into_owned();
    let Some(version) = known.lines().find_map(|line| line.strip_prefix("Version: ")) else {
        eprintln!("there is no package {package}: it is not scraped");
        return None;
    };
    Some(kept::folder(package, version, |folder| {
        let fetched = Command::new("apt-get").args(["download", package]).current_dir(folder).output();
        let fetched = fetched.expect("apt-get runs");
        assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
        let entries =
            fs::read_dir(folder).expect("the folder can be read").map(|entry| entry.expect("an entry").path());
        let archive = entries.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "deb"));
        let archive = archive.expect("apt-get leaves the package here");
        let status = Command::new("dpkg").arg("-x").arg(&archive).arg(folder).status().expect("dpkg runs");
        assert!(status.success(), "{} can be unpacked", archive.display());
    }))
}

/// A PostgreSQL of the test's own, that listens in a folder alone. Ended with its test.
pub struct Postgres {
    folder: TempDir,
    process: Child,
}

impl Postgres {
    /// Begins an empty one, if this machine has PostgreSQL.
    pub async fn start() -> Option<Self> {
        let Some(programs) = postgres_programs::folder() else {
            eprintln!("postgresql is not installed: it is not scraped");
            return None;
        };
        let folder = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp").expect("a folder with a short name");
        let data = folder.path().join("data");
        // It does not run as root: then as nobody, whose folder it has to be.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("the folder is ours");
        let mut made = postgres_programs::unprivileged(&programs.join("initdb"), folder.path());
        made.arg("-D").arg(&data).args(["-U", "sextant", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"]);
        let made = made.output().expect("initdb starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut command = postgres_programs::unprivileged(&programs.join("postgres"), folder.path());
        command.arg("-D").arg(&data).arg("-k").arg(folder.path()).args(["-h", "", "-c", "max_connections=17"]);
        command.args(["-c", "fsync=off", "-c", "shared_buffers=8MB"]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("postgres starts");
        let postgres = Self { folder, process };
        let socket = postgres.folder.path().join(".s.PGSQL.5432");
        until("a database", Duration::from_secs(60), async || tokio::net::UnixStream::connect(&socket).await.ok())
            .await;
        Some(postgres)
    }

    /// How the exporter reaches it.
    pub fn data_source(&self) -> String {
        format!("host={} user=sextant dbname=postgres sslmode=disable", self.folder.path().display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An orderly end: a killed one leaves children and shared memory.
        let id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-INT", &id]).status();
        let _ = self.process.wait();
    }
}
