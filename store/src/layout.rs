//! Every name in a data directory but those of parts. Nothing else in the store spells a file name of its own.
//!
//! The whole tree is drawn in `store/docs/format.md`.

use std::path::{Path, PathBuf};

/// Held locked while a process uses the directory; contains its process id as text.
pub const LOCK: &str = "lock";
/// What is live. Replaced as a whole.
pub const MANIFEST: &str = "manifest.json";
/// The next manifest until it is complete.
pub const MANIFEST_NEXT: &str = "manifest.next";
/// The manifest once more.
pub const MANIFEST_COPY: &str = "manifest.copy";
/// A manifest that was damaged, for whoever wants to know.
pub const MANIFEST_DAMAGED: &str = "manifest.damaged";
/// Space that is given up when the disk is full. What is in it means nothing.
pub const RESERVE: &str = "reserve";
/// Folder of WAL segments.
pub const WAL: &str = "wal";
/// Folder of copies of segments in which something acknowledged could not be read.
pub const WAL_DAMAGED: &str = "damaged";
/// Folder of checkpoints of the state tables.
pub const STATE: &str = "state";

const SEGMENT_EXTENSION: &str = "wal";
const CHECKPOINT_EXTENSION: &str = "state";
const CHECKPOINT_COPY_EXTENSION: &str = "copy";

/// A WAL segment: `wal/00000000000000000007.wal`.
pub fn segment(directory: &Path, number: u64) -> PathBuf {
    directory.join(WAL).join(numbered(number, SEGMENT_EXTENSION))
}

/// The number of a WAL segment's path.
pub fn segment_number(path: &Path) -> Option<u64> {
    number(path, SEGMENT_EXTENSION)
}

/// The copy that is kept of a damaged segment: `wal/damaged/00000000000000000007.wal`.
pub fn damaged_segment(directory: &Path, number: u64) -> PathBuf {
    directory.join(WAL).join(WAL_DAMAGED).join(numbered(number, SEGMENT_EXTENSION))
}

/// A checkpoint of the state tables: `state/00000000000000000003.state`.
pub fn checkpoint(directory: &Path, number: u64) -> PathBuf {
    directory.join(STATE).join(numbered(number, CHECKPOINT_EXTENSION))
}

/// The same once more: `state/00000000000000000003.copy`.
pub fn checkpoint_copy(directory: &Path, number: u64) -> PathBuf {
    directory.join(STATE).join(numbered(number, CHECKPOINT_COPY_EXTENSION))
}

/// The number of a checkpoint's path, or of its copy's.
pub fn checkpoint_number(path: &Path) -> Option<u64> {
    number(path, CHECKPOINT_EXTENSION).or_else(|| number(path, CHECKPOINT_COPY_EXTENSION))
}

// Twenty digits hold every u64, so that the order of names is the order of numbers.
fn numbered(number: u64, extension: &str) -> String {
    format!("{number:020}.{extension}")
}

fn number(path: &Path, extension: &str) -> Option<u64> {
    let stem = path.file_name()?.to_str()?.strip_suffix(extension)?.strip_suffix('.')?;
    if stem.len() != 20 || !stem.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    stem.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back() {
        for expected in [0, 1, 42, u64::MAX] {
            assert_eq!(segment_number(&segment(Path::new("/data"), expected)), Some(expected));
            assert_eq!(checkpoint_number(&checkpoint(Path::new("/data"), expected)), Some(expected));
            assert_eq!(checkpoint_number(&checkpoint_copy(Path::new("/data"), expected)), Some(expected));
        }
        for foreign in
            ["7.wal", "00000000000000000007.state", "+0000000000000000007.wal", "00000000000000000007wal", "x"]
        {
            assert_eq!(segment_number(Path::new(foreign)), None, "{foreign}");
        }
    }
}
