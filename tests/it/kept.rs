//! What tests fetch from registries: made once, kept in `SEXTANT_TEST_CACHE` or else below cargo's directory for test files, and
//! made anew when its recipe changes. Used by the clients in other languages.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

/// The folder that `make` fills as the recipe says. Each recipe has a folder of its own, so that clones may share the cache.
/// Tests run in several processes at once: the first one makes it, the others wait at the lock.
pub fn folder(name: &str, recipe: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let cache = cache(std::env::var_os("SEXTANT_TEST_CACHE").as_deref());
    fs::create_dir_all(&cache).expect("the cache can be made");
    let mut hasher = DefaultHasher::new();
    recipe.hash(&mut hasher);
    let folder = cache.join(format!("{name}-{:016x}", hasher.finish()));
    let lock = File::create(folder.with_extension("lock")).expect("the lock file can be made");
    lock.lock().expect("the lock file can be locked");

    let mark = folder.join("made.txt");
    if !fs::read_to_string(&mark).is_ok_and(|made| made == recipe) {
        // The mark is written last: what was interrupted is begun again.
        if folder.exists() {
            fs::remove_dir_all(&folder).expect("a half-made folder can be removed");
        }
        fs::create_dir(&folder).expect("a folder can be made in the cache");
        make(&folder);
        fs::write(mark, recipe).expect("the folder can be written to");
    }
    folder
}

fn cache(wanted: Option<&OsStr>) -> PathBuf {
    wanted.filter(|wanted| !wanted.is_empty()).map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from)
}
