//! A real Prometheus: the distribution's, or version 3.5 of Debian's unstable, which is fetched once and unpacked beside the system.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tui::Client;
use tui::client::Settings;

use crate::kept;
use crate::python::succeed;

/// A binary that is used instead of one that is fetched.
const INSTEAD: &str = "SEXTANT_TEST_PROMETHEUS";

/// Where it comes from; a line of another version makes it be fetched anew.
const RECIPE: &str = "deb http://deb.debian.org/debian sid main\nprometheus 3.5\n";

/// What can be fetched with: apt and the keys of Debian.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A running one, ended when it is dropped.
pub struct Prometheus {
    process: Child,
    pub client: Client,
}

impl Prometheus {
    /// Starts `binary` in `directory` with the configuration that `config` gives for its address, and these arguments.
    pub fn start(binary: &Path, directory: &Path, config: impl FnOnce(&str) -> String, arguments: &[&str]) -> Self {
        // It does not say which port it was given: one that was free a moment ago.
        let address = {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.local_addr().expect("it is bound").to_string()
        };
        let file = directory.join("prometheus.yml");
        fs::write(&file, config(&address)).expect("written");
        let process = Command::new(binary)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .args(arguments)
            .stdin(Stdio::null())
            .spawn()
            .expect("prometheus starts");
        let client = Client::new(&format!("http://{address}"), Settings::default()).expect("an address");
        Self { process, client }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The distribution's, if this machine has one.
pub fn installed() -> Option<&'static Path> {
    let there = Command::new("prometheus").arg("--version").output().is_ok_and(|output| output.status.success());
    there.then(|| Path::new("prometheus"))
}

/// Version 3.5; nothing where there is no apt to fetch it with.
pub fn version_3_5() -> Option<&'static Path> {
    static BINARY: OnceLock<Option<PathBuf>> = OnceLock::new();
    BINARY.get_or_init(fetched).as_deref()
}

fn fetched() -> Option<PathBuf> {
    if let Some(binary) = std::env::var_os(INSTEAD) {
        return Some(binary.into());
    }
    let has =
        |program: &str| Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !(has("apt-get") && has("dpkg") && Path::new(KEYS).exists()) {
        return None;
    }
    let folder = kept::folder("prometheus", RECIPE, |folder| {
        let package = download(folder);
        succeed(Command::new("dpkg").arg("-x").arg(package).arg(folder));
        let version = succeed(Command::new(folder.join("usr/bin/prometheus")).arg("--version"));
        assert!(version.starts_with("prometheus, version 3.5."), "unstable has another by now: {version}");
    });
    Some(folder.join("usr/bin/prometheus"))
}

// The package, by an apt whose lists, state and cache are all in the folder: the system's own know nothing of unstable.
fn download(folder: &Path) -> PathBuf {
    let at = |name: &str| folder.join("apt").join(name);
    for name in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(at(name)).expect("a folder can be made in the cache");
    }
    fs::write(at("status"), "").expect("written");
    let source = format!("deb [signed-by={KEYS}] http://deb.debian.org/debian sid main\n");
    fs::write(at("sources.list"), source).expect("written");
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.current_dir(folder).args(["--quiet", "--option=APT::Sandbox::User=root"]);
        for (option, value) in [
            ("Dir::Etc::SourceList", at("sources.list")),
            ("Dir::Etc::SourceParts", "-".into()),
            ("Dir::State", at("")),
            ("Dir::State::Lists", at("lists")),
            ("Dir::State::Status", at("status")),
            ("Dir::Cache", at("cache")),
        ] {
            command.arg(format!("--option={option}={}", value.display()));
        }
        succeed(command.args(arguments));
    };
    apt(&["update"]);
    apt(&["download", "prometheus"]);
    // The lists are much larger than the package.
    fs::remove_dir_all(at("")).expect("what is no longer needed can be removed");
    let entries = fs::read_dir(folder).expect("the folder can be read");
    let mut paths = entries.map(|entry| entry.expect("an entry can be read").path());
    paths.find(|path| path.extension().is_some_and(|extension| extension == "deb")).expect("apt has left a package")
}
