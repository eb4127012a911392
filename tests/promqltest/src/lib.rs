//! Test scripts in the language of Prometheus's `promqltest`: what they load, what they ask, and whether an answer is what they demand.
//!
//! The engine's own tests judge the engine's answers over series in memory, the end-to-end tests those of a server.

mod answer;
mod case;
mod engine;
mod load;
mod script;
mod time;

pub use answer::{Answer, Failure, Given, Seen, Shown};
pub use case::{Case, When};
pub use engine::{ask, load, options};
pub use load::Series;
pub use script::{Section, Step, sections};

use std::path::{Path, PathBuf};

/// The scripts of a directory in the order of their names: their names and texts.
pub fn scripts(directory: &Path) -> std::io::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "test") {
            files.push(path);
        }
    }
    files.sort();
    let name = |file: &Path| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    files.iter().map(|file| Ok((name(file), std::fs::read_to_string(file)?))).collect()
}

/// The scripts that this project has written itself.
pub fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../query/tests/promql")
}

/// Where cases of others lie, if they are there: where the environment says, beside the repository, or one level up, because
/// a work tree may stand one level deeper than the repository.
pub fn cases(kind: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = [here.join("../../../shared/cases"), here.join("../../../../shared/cases")];
    let told = std::env::var_os("SEXTANT_CASES").map(PathBuf::from);
    told.into_iter().chain(beside).map(|directory| directory.join(kind)).find(|directory| directory.is_dir())
}
