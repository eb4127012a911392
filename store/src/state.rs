//! State tables: small things that have to survive a restart and are no telemetry (table, key, value). Changes go through
//! the WAL like rows; the manifest names a checkpoint of them all, so that their records can go.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::disk::{Disk, read_file, remove_if_there, write_file};
use crate::wal::{Input, Malformed, put_bytes, put_varint};
use crate::{StoreError, layout};

/// One table's keys and values.
pub type StateTable = BTreeMap<Vec<u8>, Arc<[u8]>>;

/// What happens to one key of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The table; made by its first key.
    pub table: String,
    /// The key.
    pub key: Vec<u8>,
    /// The new value, or `None` to delete the key.
    pub value: Option<Vec<u8>>,
}

const PUT: u8 = 1;
const DELETE: u8 = 2;
const CHECKPOINT_MAGIC: [u8; 8] = *b"SEXTSTA1";

/// The payload of a record of changes.
pub(crate) fn encode(changes: &[StateChange]) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, changes.len() as u64);
    for change in changes {
        out.push(if change.value.is_some() { PUT } else { DELETE });
        put_bytes(&mut out, change.table.as_bytes());
        put_bytes(&mut out, &change.key);
        change.value.iter().for_each(|value| put_bytes(&mut out, value));
    }
    out
}

/// The changes of a record's payload.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<StateChange>, Malformed> {
    let mut input = Input::new(bytes);
    let mut changes = Vec::new();
    for _ in 0..input.length()? {
        let operation = input.byte()?;
        let (table, key) = (input.text()?.to_owned(), input.bytes()?.to_vec());
        let value = match operation {
            PUT => Some(input.bytes()?.to_vec()),
            DELETE => None,
            _ => return Err(Malformed("a change of state is neither put nor delete")),
        };
        changes.push(StateChange { table, key, value });
    }
    if input.is_empty() { Ok(changes) } else { Err(Malformed("bytes are left over")) }
}

/// All state tables as they are after the change with number `seq`.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    tables: BTreeMap<String, StateTable>,
    seq: u64,
}

/// Which checkpoint the manifest counts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckpointRef {
    /// Number of the file in `state/`.
    pub(crate) number: u64,
    /// The last change that is in it.
    pub(crate) seq: u64,
    /// Length of the file.
    pub(crate) bytes: u64,
    /// Checksum of the file.
    pub(crate) crc32: u32,
}

impl State {
    /// The number of the last change.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// A copy of one table; empty if there is none.
    pub(crate) fn table(&self, name: &str) -> StateTable {
        self.tables.get(name).cloned().unwrap_or_default()
    }

    /// Takes out a table that the store keeps for itself.
    pub(crate) fn take_table(&mut self, name: &str) -> StateTable {
        self.tables.remove(name).unwrap_or_default()
    }

    /// Puts such a table into what is about to be written.
    pub(crate) fn put_table(&mut self, name: &str, table: StateTable) {
        if !table.is_empty() {
            self.tables.insert(name.to_owned(), table);
        }
    }

    /// Makes committed changes.
    pub(crate) fn apply(&mut self, changes: Vec<StateChange>, seq: u64) {
        for StateChange { table, key, value } in changes {
            match value {
                Some(value) => {
                    self.tables.entry(table).or_default().insert(key, value.into());
                }
                None => {
                    if let Some(known) = self.tables.get_mut(&table) {
                        known.remove(&key);
                        if known.is_empty() {
                            self.tables.remove(&table);
                        }
                    }
                }
            }
        }
        self.seq = seq;
    }

    /// Writes everything to a file that a manifest can name.
    pub(crate) fn write(&self, disk: &dyn Disk, directory: &Path, number: u64) -> Result<CheckpointRef, StoreError> {
        let path = layout::checkpoint(directory, number);
        let folder = directory.join(layout::STATE);
        let mut bytes = CHECKPOINT_MAGIC.to_vec();
        for (table, keys) in &self.tables {
            for (key, value) in keys {
                put_bytes(&mut bytes, table.as_bytes());
                put_bytes(&mut bytes, key);
                put_bytes(&mut bytes, value);
            }
        }
        disk.create_dir_all(&folder).map_err(StoreError::disk("create", &folder))?;
        disk.sync_dir(directory).map_err(StoreError::disk("sync", directory))?;
        remove_if_there(disk, &path).map_err(StoreError::disk("remove", &path))?;
        write_file(disk, &path, &bytes).map_err(StoreError::disk("write", &path))?;
        write_again(disk, &layout::checkpoint_copy(directory, number), &bytes);
        disk.sync_dir(&folder).map_err(StoreError::disk("sync", &folder))?;
        Ok(CheckpointRef { number, seq: self.seq, bytes: bytes.len() as u64, crc32: crc32fast::hash(&bytes) })
    }

    /// Reads the checkpoint that the manifest names, or its copy if it is damaged, which is then the checkpoint.
    pub(crate) fn read(disk: &dyn Disk, directory: &Path, checkpoint: &CheckpointRef) -> Result<State, StoreError> {
        let path = layout::checkpoint(directory, checkpoint.number);
        let copy = layout::checkpoint_copy(directory, checkpoint.number);
        let is_it =
            |bytes: &Vec<u8>| bytes.len() as u64 == checkpoint.bytes && crc32fast::hash(bytes) == checkpoint.crc32;
        let read = |path: &Path| match read_file(disk, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(StoreError::disk("read", path)),
        };
        let bytes = match read(&path)?.filter(is_it) {
            Some(bytes) => bytes,
            None => {
                let what = "it is not what the manifest counts on; put it back from a copy".to_owned();
                let damaged = StoreError::Damaged { path: path.clone(), what };
                let bytes = read(&copy)?.filter(is_it).ok_or(damaged)?;
                tracing::error!(path = %path.display(), "a checkpoint of state is damaged and put back from its copy");
                write_again(disk, &path, &bytes);
                bytes
            }
        };
        State::of_checkpoint(&bytes, checkpoint.seq)
            .map_err(|error| StoreError::Damaged { path, what: error.to_string() })
    }

    fn of_checkpoint(bytes: &[u8], seq: u64) -> Result<State, Malformed> {
        let mut input = Input::new(bytes);
        if input.take(CHECKPOINT_MAGIC.len())? != CHECKPOINT_MAGIC {
            return Err(Malformed("it is no checkpoint of state tables"));
        }
        let mut state = State { tables: BTreeMap::new(), seq };
        while !input.is_empty() {
            let (table, key, value) = (input.text()?, input.bytes()?, input.bytes()?);
            state.tables.entry(table.to_owned()).or_default().insert(key.to_vec(), value.into());
        }
        Ok(state)
    }
}

// What can be done without, if there is no room for it.
fn write_again(disk: &dyn Disk, path: &Path, bytes: &[u8]) {
    let written = remove_if_there(disk, path).and_then(|()| write_file(disk, path, bytes));
    if let Err(error) = written {
        tracing::warn!(path = %path.display(), %error, "a checkpoint of state has no copy");
        // Half of one is none.
        let _ = remove_if_there(disk, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    fn change(table: &str, key: &str, value: Option<&str>) -> StateChange {
        let bytes = |text: &str| text.as_bytes().to_vec();
        StateChange { table: table.to_owned(), key: bytes(key), value: value.map(bytes) }
    }

    fn example() -> Vec<StateChange> {
        vec![
            change("alerts", "a", Some("1")),
            change("alerts", "b", Some("")),
            change("silences", "", Some("x")),
            change("alerts", "a", None),
            change("silences", "missing", None),
        ]
    }

    #[test]
    fn changes_read_back_and_garbage_does_not() {
        let bytes = encode(&example());
        assert_eq!(decode(&bytes), Ok(example()));
        assert!((0..bytes.len()).all(|len| decode(&bytes[..len]).is_err()));
    }

    #[test]
    fn checkpoints_read_back_and_show_damage() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut state = State::default();
        state.apply(example(), 9);
        let checkpoint = state.write(&RealDisk, folder.path(), 3).expect("it is written");
        let read = State::read(&RealDisk, folder.path(), &checkpoint).expect("it is read");
        assert_eq!((read.seq(), &read.tables), (9, &state.tables));
        assert_eq!(read.table("alerts").into_iter().collect::<Vec<_>>(), [(b"b".to_vec(), Arc::from([]))]);
        assert_eq!(read.table("silences").len(), 1);
        let wrong = CheckpointRef { crc32: 1, ..checkpoint };
        assert!(matches!(State::read(&RealDisk, folder.path(), &wrong), Err(StoreError::Damaged { .. })));
    }
}
