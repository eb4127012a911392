//! Servers of a test's own: PostgreSQL with a streaming replica, Redis and NATS, each on a free port with its files in a temporary directory, and ended with the value that stands for it.
//! The library's own tests use them too.

#![allow(dead_code, reason = "each of the programs that use it uses a part of it")]

#[path = "postgres_programs.rs"]
mod postgres_programs;

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// A PostgreSQL that trusts whoever connects.
pub struct Postgres {
    folder: TempDir,
    process: Child,
    port: u16,
}

impl Postgres {
    /// Begins an empty one.
    pub async fn start() -> Self {
        let folder = folder();
        let mut made = unprivileged("initdb", folder.path());
        made.arg("-D").arg(folder.path().join("data"));
        succeeds(made.args(["-U", "shop", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"]));
        Self::serve(folder).await
    }

    /// Begins a streaming replica of this one.
    pub async fn replica(&self) -> Self {
        let folder = folder();
        let mut copied = unprivileged("pg_basebackup", folder.path());
        copied.arg("-D").arg(folder.path().join("data")).args(["-h", "127.0.0.1", "-U", "shop", "-p"]);
        succeeds(copied.arg(self.port.to_string()).args(["-R", "-X", "stream", "-c", "fast", "--no-sync"]));
        Self::serve(folder).await
    }

    async fn serve(folder: TempDir) -> Self {
        let port = free_port();
        let mut command = unprivileged("postgres", folder.path());
        command.arg("-D").arg(folder.path().join("data")).arg("-k").arg(folder.path());
        command.args(["-h", "127.0.0.1", "-p"]).arg(port.to_string());
        command.args(["-c", "fsync=off", "-c", "shared_buffers=8MB", "-c", "max_connections=200"]);
        // A replica's heartbeat shall not wait for a writer that has nothing to write.
        command.args(["-c", "wal_writer_delay=10ms"]);
        let process = spawned(&mut command);
        let server = Self { folder, process, port };
        let asks = || {
            let mut command = unprivileged("pg_isready", server.folder.path());
            let output = command.args(["-h", "127.0.0.1", "-p"]).arg(port.to_string()).output();
            output.is_ok_and(|output| output.status.success())
        };
        until("PostgreSQL", asks).await;
        server
    }

    /// The URL of one of its databases; `postgres` is there.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://shop@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes another database.
    pub fn create(&self, database: &str) {
        let mut command = unprivileged("createdb", self.folder.path());
        succeeds(command.args(["-h", "127.0.0.1", "-U", "shop", "-p"]).arg(self.port.to_string()).arg(database));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An orderly end: a killed one leaves children and shared memory.
        let _ = Command::new("kill").args(["-INT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

/// A Redis that keeps nothing.
pub struct Redis(Server);

impl Redis {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With settings like `["--maxmemory", "2mb"]`.
    pub async fn start_with(settings: &[&str]) -> Self {
        let folder = folder();
        let port = free_port();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port"]).arg(port.to_string());
        command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(folder.path()).args(settings);
        Self(Server::start("Redis", command, folder, port).await)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.0.port)
    }
}

/// A NATS with JetStream.
pub struct Nats(Server);

impl Nats {
    pub async fn start() -> Self {
        let folder = folder();
        let port = free_port();
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p"]).arg(port.to_string()).arg("-js").arg("-sd").arg(folder.path());
        Self(Server::start("NATS", command, folder, port).await)
    }

    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.0.port)
    }
}

/// A server that may be killed.
struct Server {
    _folder: TempDir,
    process: Child,
    port: u16,
}

impl Server {
    async fn start(name: &str, mut command: Command, folder: TempDir, port: u16) -> Self {
        let process = spawned(command.current_dir(folder.path()).env_clear().env("PATH", "/usr/bin:/usr/sbin:/bin"));
        let server = Self { _folder: folder, process, port };
        until(name, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()).await;
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawned(command: &mut Command) -> Child {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.spawn().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"))
}

fn succeeds(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} cannot be started: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Waits for as long as a busy machine may take.
async fn until(what: &str, is_there: impl Fn() -> bool) {
    for _ in 0..1_200 {
        if is_there() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not start");
}

/// Somebody else may take it in between; nobody has been seen to.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("bound").port()
}

/// Also for a user who is not the one who runs the tests.
fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("shop-").tempdir_in("/tmp").expect("a folder with a short name");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("the folder is ours");
    folder
}

/// A program of PostgreSQL, for whoever may run it.
fn unprivileged(program: &str, folder: &Path) -> Command {
    let programs = postgres_programs::folder().expect("PostgreSQL's programs are installed");
    postgres_programs::unprivileged(&programs.join(program), folder)
}
