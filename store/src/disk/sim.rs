//! A disk in memory that behaves as badly as disks may: a power cut drops or tears what was not synced, page by page and
//! out of order, and drops or keeps each name that was not synced; operations fail when a test says so; what a failed fsync
//! did not write is gone although nobody is told again. The same seed gives the same disk.
//!
//! Tests own it: of the store, of its users, and the crash campaigns. Unit tests of rules keep their records on it.

mod fault;
mod inode;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use fault::{Fault, FaultKind, Operation};
use inode::{Inode, Random};

use super::{AppendFile, DirEntry, Disk, LockGuard, ReadFile};

/// A disk in memory. Clones share it.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    File(usize),
}

// A change of names that is in memory only until its folder is synced.
#[derive(Clone, Debug)]
enum NameChange {
    Link(PathBuf, Node),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, Node),
}

type Names = BTreeMap<PathBuf, Node>;

struct State {
    random: Random,
    inodes: Vec<Inode>,
    names: Names,
    durable_names: Names,
    unsynced: Vec<NameChange>,
    locks: BTreeSet<PathBuf>,
    faults: Vec<Fault>,
    capacity: u64,
    operations: u64,
    // Whether the power is cut or the process gone: whoever still has the disk gets only errors.
    dead: bool,
}

impl SimDisk {
    /// An empty disk.
    pub fn new(seed: u64) -> SimDisk {
        SimDisk::with(Names::from([(PathBuf::from("/"), Node::Folder)]), Vec::new(), Random(seed))
    }

    fn with(names: Names, inodes: Vec<Inode>, random: Random) -> SimDisk {
        let state = State {
            random,
            inodes,
            durable_names: names.clone(),
            names,
            unsynced: Vec::new(),
            locks: BTreeSet::new(),
            faults: Vec::new(),
            capacity: u64::MAX,
            operations: 0,
            dead: false,
        };
        SimDisk { state: Arc::new(Mutex::new(state)) }
    }

    /// Cuts the power: the disk as it is found afterwards. This one is dead from now on.
    pub fn crash(&self) -> SimDisk {
        let mut state = self.state();
        state.dead = true;
        let mut names = std::mem::take(&mut state.durable_names);
        for change in std::mem::take(&mut state.unsynced) {
            if state.random.one_in(2) {
                change.apply(&mut names);
            }
        }
        remove_unreachable(&mut names);
        let mut random = Random(state.random.next());
        let inodes = state.inodes.iter().map(|inode| inode.after_power_cut(&mut random)).collect();
        SimDisk::with(names, inodes, random)
    }

    /// Kills the process: the disk as the next process finds it, with all that the system still has in memory. This one
    /// is dead from now on.
    pub fn kill(&self) -> SimDisk {
        let mut state = self.state();
        state.dead = true;
        let random = Random(state.random.next());
        let next = SimDisk::with(state.names.clone(), state.inodes.clone(), random);
        let mut next_state = next.state();
        next_state.durable_names = state.durable_names.clone();
        next_state.unsynced = state.unsynced.clone();
        next_state.capacity = state.capacity;
        drop(next_state);
        next
    }

    /// A copy of a disk on which everything is synced. This one lives on.
    pub fn copy(&self) -> SimDisk {
        let state = self.state();
        let inodes = state.inodes.iter().map(Inode::synced).collect();
        SimDisk::with(state.names.clone(), inodes, Random(state.random.0))
    }

    /// From now on operations fail as `fault` says.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// From now on nothing fails but for want of space.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// From now on files take at most so many bytes together.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    /// Bytes of all files together.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// How many operations there have been, failed ones among them.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// The bytes of a file, as a process would read them.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        state.inode(path).ok().map(|inode| state.inodes[inode].bytes.clone())
    }

    /// Puts a file there, synced, in the place of any other: what a test does to a disk behind the back of its users.
    pub fn replace(&self, path: &Path, bytes: Vec<u8>) {
        let mut state = self.state();
        state.inodes.push(Inode { clean: bytes.len(), bytes, lost: Vec::new() });
        let node = Node::File(state.inodes.len() - 1);
        state.names.insert(path.to_path_buf(), node);
        state.durable_names.insert(path.to_path_buf(), node);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // Begins an operation, which may fail by itself.
    fn begin(&self, operation: Operation, path: &Path) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.check(operation, path)?;
        Ok(state)
    }
}

impl NameChange {
    // Whether a sync of the folder makes the change durable.
    fn is_in(&self, folder: &Path) -> bool {
        match self {
            NameChange::Link(path, _) | NameChange::Unlink(path) => path.parent() == Some(folder),
            NameChange::Rename(from, to, _) => from.parent() == Some(folder) || to.parent() == Some(folder),
        }
    }

    fn is_below(&self, folder: &Path) -> bool {
        match self {
            NameChange::Link(path, _) | NameChange::Unlink(path) => path.starts_with(folder),
            NameChange::Rename(from, to, _) => from.starts_with(folder) || to.starts_with(folder),
        }
    }

    fn apply(self, names: &mut Names) {
        match self {
            NameChange::Link(path, node) => {
                names.insert(path, node);
            }
            NameChange::Unlink(path) => names.retain(|name, _| !name.starts_with(&path)),
            NameChange::Rename(from, to, node) => {
                names.remove(&from);
                names.insert(to, node);
            }
        }
    }
}

// What lies in a folder that is lost is lost with it.
fn remove_unreachable(names: &mut Names) {
    let folders: BTreeSet<PathBuf> =
        names.iter().filter(|(_, node)| **node == Node::Folder).map(|(path, _)| path.clone()).collect();
    names.retain(|path, _| path.ancestors().skip(1).all(|folder| folders.contains(folder)));
}

impl State {
    fn check(&mut self, operation: Operation, path: &Path) -> io::Result<()> {
        self.operations += 1;
        if self.dead {
            return Err(io::Error::other("the simulated machine is off"));
        }
        match self.faults.iter_mut().find_map(|fault| fault.strikes(operation, path)) {
            Some(kind) => Err(kind.error()),
            None => Ok(()),
        }
    }

    // A folder that is made anew where another was removed: the removal must not come later and take the new one's files.
    fn settle_removal(&mut self, path: &Path) {
        let removed = |change: &NameChange| matches!(change, NameChange::Unlink(removed) if removed == path);
        if self.unsynced.iter().any(removed) {
            NameChange::Unlink(path.to_path_buf()).apply(&mut self.durable_names);
            self.unsynced.retain(|change| !change.is_below(path));
        }
    }

    fn change(&mut self, change: NameChange) {
        change.clone().apply(&mut self.names);
        self.unsynced.push(change);
    }

    fn inode(&self, path: &Path) -> io::Result<usize> {
        match self.names.get(path) {
            Some(Node::File(inode)) => Ok(*inode),
            Some(Node::Folder) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn need_folder(&self, path: &Path) -> io::Result<()> {
        match self.names.get(path) {
            Some(Node::Folder) => Ok(()),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn used(&self) -> u64 {
        let of_files = self.names.values().filter_map(|node| match node {
            Node::File(inode) => Some(self.inodes[*inode].bytes.len() as u64),
            Node::Folder => None,
        });
        of_files.sum()
    }

    fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.used())
    }

    fn append(&mut self, path: &Path, inode: usize, bytes: &[u8]) -> io::Result<()> {
        let free = usize::try_from(self.free()).unwrap_or(usize::MAX);
        let mut result = self.check(Operation::Append, path);
        let mut written = bytes.len();
        if result.is_err() {
            written = self.random.below(bytes.len() + 1);
        } else if written > free {
            written = free;
            result = Err(FaultKind::NoSpace.error());
        }
        if !self.dead {
            self.inodes[inode].bytes.extend_from_slice(&bytes[..written]);
        }
        result
    }

    fn sync(&mut self, operation: Operation, path: &Path, inode: usize) -> io::Result<()> {
        let result = self.check(operation, path);
        if !self.dead {
            let lose = result.is_err().then_some(&mut self.random);
            self.inodes[inode].sync(lose);
        }
        result
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let mut state = self.begin(Operation::Create, path)?;
        state.need_folder(path.parent().unwrap_or(path))?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.inodes.push(Inode::default());
        let inode = state.inodes.len() - 1;
        state.change(NameChange::Link(path.to_path_buf(), Node::File(inode)));
        Ok(Box::new(SimFile { disk: self.clone(), path: path.to_path_buf(), inode }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn ReadFile>> {
        let state = self.begin(Operation::Open, path)?;
        let inode = state.inode(path)?;
        let len = state.inodes[inode].bytes.len() as u64;
        Ok(Arc::new(SimReader { file: SimFile { disk: self.clone(), path: path.to_path_buf(), inode }, len }))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let inode = state.inode(path)?;
        state.sync(Operation::Sync, path, inode)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.begin(Operation::Rename, to)?;
        let node = Node::File(state.inode(from)?);
        state.need_folder(to.parent().unwrap_or(to))?;
        state.change(NameChange::Rename(from.to_path_buf(), to.to_path_buf(), node));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(Operation::Remove, path)?;
        state.inode(path)?;
        state.change(NameChange::Unlink(path.to_path_buf()));
        Ok(())
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(Operation::Remove, path)?;
        state.need_folder(path)?;
        state.change(NameChange::Unlink(path.to_path_buf()));
        Ok(())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(Operation::CreateDir, path)?;
        let mut folders: Vec<&Path> = path.ancestors().collect();
        folders.reverse();
        for folder in folders {
            match state.need_folder(folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    state.settle_removal(folder);
                    state.change(NameChange::Link(folder.to_path_buf(), Node::Folder));
                }
                result => result?,
            }
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.begin(Operation::List, path)?;
        state.need_folder(path)?;
        let inside = state.names.iter().filter(|(name, _)| name.parent() == Some(path));
        let entries = inside.map(|(name, node)| match node {
            Node::Folder => DirEntry { path: name.clone(), is_dir: true, len: 0 },
            Node::File(inode) => {
                DirEntry { path: name.clone(), is_dir: false, len: state.inodes[*inode].bytes.len() as u64 }
            }
        });
        Ok(entries.collect())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.begin(Operation::SyncDir, path)?;
        state.need_folder(path)?;
        let (synced, unsynced) = std::mem::take(&mut state.unsynced).into_iter().partition(|change| change.is_in(path));
        state.unsynced = unsynced;
        let synced: Vec<NameChange> = synced;
        synced.into_iter().for_each(|change| change.apply(&mut state.durable_names));
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        let mut state = self.begin(Operation::Lock, path)?;
        if state.locks.contains(path) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if !state.names.contains_key(path) {
            state.inodes.push(Inode { bytes: b"1\n".to_vec(), ..Inode::default() });
            let node = Node::File(state.inodes.len() - 1);
            state.change(NameChange::Link(path.to_path_buf(), node));
        }
        state.locks.insert(path.to_path_buf());
        Ok(Box::new(SimLock { disk: self.clone(), path: path.to_path_buf() }))
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        let state = self.begin(Operation::FreeSpace, path)?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(state.free())
    }
}

struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    inode: usize,
}

impl AppendFile for SimFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.state().append(&self.path, self.inode, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.state().sync(Operation::Sync, &self.path, self.inode)
    }
}

struct SimReader {
    file: SimFile,
    len: u64,
}

impl ReadFile for SimReader {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let state = self.file.disk.begin(Operation::Read, &self.file.path)?;
        let bytes = &state.inodes[self.file.inode].bytes;
        let wanted = usize::try_from(offset).ok().and_then(|start| bytes.get(start..)?.get(..buffer.len()));
        buffer.copy_from_slice(wanted.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
}

impl LockGuard for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.path);
    }
}

#[cfg(test)]
mod tests;
