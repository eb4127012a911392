//! The manifest: the one file that says what is live. Replaced as a whole and atomically; whatever it does not name is
//! left over from a crash.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::disk::{Disk, read_file, remove_if_there, write_file};
use crate::part::PARTS_DIR;
use crate::schema::SeriesKey;
use crate::state::CheckpointRef;
use crate::wal::DirectoryId;
use crate::{StoreError, layout};

/// Version of the manifest's format. A reader refuses what it does not know.
const FORMAT: u32 = 2;
/// The oldest version that is still read: without the fields that have a default.
const FORMAT_READ: u32 = 1;

/// What is live in a data directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Tells this data directory from others.
    #[serde(with = "hex")]
    pub(crate) directory_id: DirectoryId,
    /// The secret that series ids are hashed with.
    #[serde(with = "hex")]
    pub(crate) series_key: SeriesKey,
    /// By signal: the last `ingest_seq` whose row is in a part, if it is of that signal.
    pub(crate) flushed_seq: BTreeMap<String, u64>,
    /// The next part's number.
    pub(crate) next_part: u64,
    /// The first WAL segment that is needed; 0 before the first flush.
    pub(crate) wal_first: u64,
    /// The state tables; `None` while there are none.
    pub(crate) state: Option<CheckpointRef>,
    /// By table: rows that retention has removed so far.
    #[serde(default)]
    pub(crate) expired_rows: BTreeMap<String, u64>,
    /// The time that retention believed when this was written, nanoseconds since the Unix epoch.
    #[serde(default)]
    pub(crate) believed_time: Option<i64>,
    /// Parts that are damaged: their directories are kept as they are, and their rows are not shown.
    #[serde(default)]
    pub(crate) quarantined: Vec<PartEntry>,
    /// All parts.
    pub(crate) parts: Vec<PartEntry>,
}

/// A part as the manifest lists it. All but its name also stands in the part: here it can be read by people, and compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartEntry {
    /// Table, partition and number: the directory below `parts/`.
    pub(crate) name: String,
    /// Number of rows.
    pub(crate) rows: u64,
    /// Bytes of its files.
    pub(crate) bytes: u64,
    /// Least `timestamp`, nanoseconds since the Unix epoch.
    pub(crate) time_min: i64,
    /// Greatest `timestamp`.
    pub(crate) time_max: i64,
    /// Least `ingest_seq`.
    pub(crate) seq_min: u64,
    /// Greatest `ingest_seq`.
    pub(crate) seq_max: u64,
    /// CRC-32 of the part's `meta.json`, which has those of its other files; not in format 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) meta_crc32: Option<u32>,
}

/// Why bytes are no manifest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// They are not what was written.
    Damage(String),
    /// Another Sextant wrote them, in this format.
    Version(u32),
}

impl Flaw {
    /// As an error of the file.
    pub(crate) fn of(self, path: &Path) -> StoreError {
        let path = path.to_path_buf();
        match self {
            Flaw::Damage(what) => StoreError::Damaged { path, what: format!("{what}; put it back from a copy") },
            Flaw::Version(found) => StoreError::Version { path, found, read: FORMAT },
        }
    }
}

// The first line of the file; the manifest itself is all that follows.
#[derive(Serialize, Deserialize)]
struct Preamble {
    format: u32,
    crc32: String,
}

impl Manifest {
    /// The manifest of a new data directory.
    fn new() -> Manifest {
        Manifest {
            directory_id: random_bytes(),
            series_key: random_bytes(),
            flushed_seq: BTreeMap::new(),
            next_part: 1,
            wal_first: 0,
            state: None,
            expired_rows: BTreeMap::new(),
            believed_time: None,
            quarantined: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Reads the manifest of a data directory, or makes one for a new directory. Where the manifest is damaged its copy is as good.
    pub(crate) fn open(disk: &dyn Disk, directory: &Path) -> Result<Manifest, StoreError> {
        let (path, copy) = (directory.join(layout::MANIFEST), directory.join(layout::MANIFEST_COPY));
        let found = match read_file(disk, &path) {
            Ok(bytes) => {
                // The process that wrote it may have ended before its name was durable. Before anything is removed because
                // this manifest does not need it, no older one may come back.
                disk.sync_dir(directory).map_err(StoreError::disk("sync", directory))?;
                Some(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(StoreError::disk("read", &path)(error)),
        };
        let copied = match read_file(disk, &copy) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => Some(read.map_err(StoreError::disk("read", &copy))?),
        };
        let flaw = match found.as_deref().map(Manifest::from_bytes) {
            Some(Ok(manifest)) => {
                // A process that ended between the two, or had no room. What the older one names may be removed from now on.
                if copied != found {
                    manifest.write_copy(disk, directory)?;
                }
                return Ok(manifest);
            }
            Some(Err(Flaw::Damage(what))) => Some(what),
            Some(Err(version)) => return Err(version.of(&path)),
            None => None,
        };
        if let Some(Ok(manifest)) = copied.as_deref().map(Manifest::from_bytes) {
            let what = flaw.as_deref().unwrap_or("it is missing");
            tracing::error!(path = %path.display(), what, "the manifest is damaged and put back from its copy");
            set_aside(disk, directory, found.as_deref())?;
            manifest.write(disk, directory)?;
            return Ok(manifest);
        }
        match flaw {
            Some(what) => Err(Flaw::Damage(what).of(&path)),
            None => {
                refuse_orphans(disk, directory, &path)?;
                let manifest = Manifest::new();
                manifest.write(disk, directory)?;
                Ok(manifest)
            }
        }
    }

    /// Replaces the manifest. When it returns without an error, the new one will be found after a crash; after an error
    /// either may be.
    pub(crate) fn write(&self, disk: &dyn Disk, directory: &Path) -> Result<(), StoreError> {
        let path = directory.join(layout::MANIFEST);
        let next = directory.join(layout::MANIFEST_NEXT);
        remove_if_there(disk, &next).map_err(StoreError::disk("remove", &next))?;
        write_file(disk, &next, &self.to_bytes()).map_err(StoreError::disk("write", &next))?;
        disk.rename(&next, &path).map_err(StoreError::disk("replace", &path))?;
        disk.sync_dir(directory).map_err(StoreError::disk("sync", directory))?;
        self.write_copy(disk, directory)
    }

    // For the day on which the manifest cannot be read. A copy that is older would name what may be removed from now on: if there is
    // no room for a new one, there is none.
    fn write_copy(&self, disk: &dyn Disk, directory: &Path) -> Result<(), StoreError> {
        let copy = directory.join(layout::MANIFEST_COPY);
        remove_if_there(disk, &copy).map_err(StoreError::disk("remove", &copy))?;
        if let Err(error) = write_file(disk, &copy, &self.to_bytes()) {
            tracing::warn!(path = %copy.display(), %error, "there is no copy of the manifest");
            remove_if_there(disk, &copy).map_err(StoreError::disk("remove", &copy))?;
        }
        disk.sync_dir(directory).map_err(StoreError::disk("sync", directory))
    }

    fn to_bytes(&self) -> Vec<u8> {
        let body = serde_json::to_vec_pretty(self).expect("a manifest has text keys and finite numbers only");
        let preamble = Preamble { format: FORMAT, crc32: format!("{:08x}", crc32fast::hash(&body)) };
        let mut bytes = serde_json::to_vec(&preamble).expect("a preamble is a number and a text");
        bytes.push(b'\n');
        bytes.extend_from_slice(&body);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Manifest, Flaw> {
        let damage = |what: String| Flaw::Damage(what);
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| damage("it has no first line".into()))?;
        let (first, body) = (&bytes[..end], &bytes[end + 1..]);
        let preamble: Preamble =
            serde_json::from_slice(first).map_err(|error| damage(format!("its first line is no preamble: {error}")))?;
        if !(FORMAT_READ..=FORMAT).contains(&preamble.format) {
            return Err(Flaw::Version(preamble.format));
        }
        if preamble.crc32 != format!("{:08x}", crc32fast::hash(body)) {
            return Err(damage("its checksum is wrong".into()));
        }
        serde_json::from_slice(body).map_err(|error| damage(format!("it is no manifest: {error}")))
    }
}

// Keeps a damaged manifest for whoever wants to know.
fn set_aside(disk: &dyn Disk, directory: &Path, bytes: Option<&[u8]>) -> Result<(), StoreError> {
    let Some(bytes) = bytes else { return Ok(()) };
    let aside = directory.join(layout::MANIFEST_DAMAGED);
    remove_if_there(disk, &aside).map_err(StoreError::disk("remove", &aside))?;
    if let Err(error) = write_file(disk, &aside, bytes) {
        tracing::warn!(path = %aside.display(), %error, "the damaged manifest cannot be kept");
    }
    Ok(())
}

// Without a manifest nothing says which key the parts' series have and what is in the log: a directory that holds data but
// no manifest is no new one.
fn refuse_orphans(disk: &dyn Disk, directory: &Path, path: &Path) -> Result<(), StoreError> {
    let holds = |folder: &str, is_ours: &dyn Fn(&Path) -> bool| {
        let folder = directory.join(folder);
        match disk.list(&folder) {
            Ok(entries) => Ok(entries.iter().any(|entry| is_ours(&entry.path))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StoreError::disk("list", &folder)(error)),
        }
    };
    let found = if holds(layout::WAL, &|path| layout::segment_number(path).is_some())? {
        "a WAL"
    } else if holds(PARTS_DIR, &|_| true)? {
        "a folder of parts"
    } else if holds(layout::STATE, &|path| layout::checkpoint_number(path).is_some())? {
        "a checkpoint of state"
    } else {
        return Ok(());
    };
    let what = format!(
        "it is missing, but there is {found}; put it back from a copy, or move the directory away to begin anew"
    );
    Err(StoreError::Damaged { path: path.to_path_buf(), what })
}

// Of the keys that the standard library takes from the system for its hash maps.
fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    for half in bytes.chunks_exact_mut(8) {
        half.copy_from_slice(&RandomState::new().hash_one("sextant").to_le_bytes());
    }
    bytes
}

mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 16], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:032x}", u128::from_be_bytes(*bytes)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 16], D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = u128::from_str_radix(&text, 16).map_err(D::Error::custom)?;
        if text.len() == 32 {
            Ok(number.to_be_bytes())
        } else {
            Err(D::Error::custom("32 hexadecimal digits expected"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Manifest {
        let entry = PartEntry {
            name: "logs/2026-01-31/0000000000000001".to_owned(),
            rows: 10,
            bytes: 1234,
            time_min: -5,
            time_max: i64::MAX,
            seq_min: 1,
            seq_max: 10,
            meta_crc32: Some(77),
        };
        let flushed_seq = [("logs".to_owned(), 10)].into();
        let state = Some(CheckpointRef { number: 2, seq: 7, bytes: 8, crc32: 9 });
        Manifest { flushed_seq, next_part: 2, wal_first: 1, state, parts: vec![entry], ..Manifest::new() }
    }

    #[test]
    fn reads_back_and_shows_every_changed_byte() {
        let bytes = example().to_bytes();
        assert_eq!(Manifest::from_bytes(&bytes), Ok(example_like(&bytes)));
        for position in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[position] ^= 1;
            assert!(Manifest::from_bytes(&changed).is_err(), "byte {position}");
            assert!(Manifest::from_bytes(&bytes[..position]).is_err(), "length {position}");
        }
    }

    // The example with the random ids that these bytes have.
    fn example_like(bytes: &[u8]) -> Manifest {
        let read = Manifest::from_bytes(bytes).expect("it reads");
        Manifest { directory_id: read.directory_id, series_key: read.series_key, ..example() }
    }

    #[test]
    fn directories_differ() {
        let (one, other) = (Manifest::new(), Manifest::new());
        assert_ne!(one.directory_id, other.directory_id);
        assert_ne!(one.series_key, other.series_key);
        assert_ne!(one.series_key, one.directory_id);
    }
}
