//! A cgroup with a memory limit, of either version, where this process may make one.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A cgroup of our own. Removed when dropped, which needs it to be empty.
#[derive(Debug)]
pub struct Cgroup {
    directory: PathBuf,
    version: u8,
}

impl Cgroup {
    /// One that allows so many bytes, or why there can be none.
    pub fn new(bytes: u64) -> anyhow::Result<Self> {
        let version = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() { 2 } else { 1 };
        let (base, file) = match version {
            2 => ("/sys/fs/cgroup", "memory.max"),
            _ => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        };
        let directory = Path::new(base).join(format!("sextant-campaign-{}-{}", std::process::id(), fastrand::u32(..)));
        std::fs::create_dir(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let cgroup = Self { directory, version };
        std::fs::write(cgroup.directory.join(file), bytes.to_string()).context("cannot limit a cgroup's memory")?;
        Ok(cgroup)
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it is, for people.
    pub fn kind(&self) -> String {
        format!("cgroup v{}", self.version)
    }

    /// The most memory it had, files included.
    pub fn most(&self) -> Option<u64> {
        let file = if self.version == 2 { "memory.peak" } else { "memory.max_usage_in_bytes" };
        std::fs::read_to_string(self.directory.join(file)).ok()?.trim().parse().ok()
    }

    /// How often the kernel has killed in it.
    pub fn kills(&self) -> Option<u64> {
        let file = if self.version == 2 { "memory.events" } else { "memory.oom_control" };
        let text = std::fs::read_to_string(self.directory.join(file)).ok()?;
        text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Processes that were killed a moment ago may still be in it; an empty directory more is no harm.
        let _ = std::fs::remove_dir(&self.directory);
    }
}
