//! Prometheus's own tool, where it is installed.

use std::path::PathBuf;

/// Where promtool is. If it is not there, that is said, and whoever asks has nothing to compare with.
pub fn promtool() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join("promtool")).find(|file| file.is_file());
    if found.is_none() {
        println!("skipped: no promtool");
    }
    found
}
