//! Prometheus's own tool, where it is installed.

use std::path::{Path, PathBuf};

/// Where promtool is. If it is not there, that is said, and whoever asks has nothing to compare with.
pub fn promtool() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|directory| directory.join("promtool")).find(|file| file.is_file());
    if found.is_none() {
        println!("skipped: no promtool");
    }
    found
}

/// A folder of other projects' cases, which lie beside the repository. A work tree may stand one level deeper.
pub fn cases(name: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let given = std::env::var_os("SEXTANT_CASES").map(PathBuf::from);
    let known = [here.join("../../shared/cases"), here.join("../../../shared/cases")];
    given.into_iter().chain(known).map(|folder| folder.join(name)).find(|folder| folder.is_dir())
}
