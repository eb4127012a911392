//! A disk on which a campaign has planned what goes wrong: the process is killed around the third rename of the manifest,
//! the log's fifth sync fails, every write from the hundredth on finds the disk full. The disk below is a real one, so that the
//! program that runs on it is the real program.
//!
//! [`SimDisk`](super::SimDisk) does more harm (it can cut the power), but only to a store within a test.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use super::sim::{FaultKind, Operation};
use super::{AppendFile, DirEntry, Disk, LockGuard, ReadFile};
use crate::layout;
use crate::part::{INDEX_FILE, META_FILE, PARTS_DIR, ROWS_FILE, SERIES_FILE};

/// What happens instead of an operation, or around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// SIGKILL; the operation is not done.
    KillBefore,
    /// SIGKILL when half of the bytes of an append are written; of other operations the same as [`Action::KillBefore`].
    KillMidway,
    /// SIGKILL; the operation is done.
    KillAfter,
    /// The operation fails. Of an append, half of the bytes are written.
    Fail(FaultKind),
}

/// A part of a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Area {
    /// The directory itself, its lock, and what has no other name.
    Root,
    /// `manifest.json`, its copy and the next one.
    Manifest,
    /// WAL segments and their folder.
    Wal,
    /// Checkpoints of the state tables and their folder.
    State,
    /// The folders of parts.
    Parts,
    /// A part's rows.
    Rows,
    /// Of a part of points: its series.
    Series,
    /// A part's words and id filters.
    Index,
    /// What is known of a part without opening its other files.
    Meta,
}

const AREAS: [(&str, Area); 9] = [
    ("root", Area::Root),
    ("manifest", Area::Manifest),
    ("wal", Area::Wal),
    ("state", Area::State),
    ("parts", Area::Parts),
    ("rows", Area::Rows),
    ("series", Area::Series),
    ("index", Area::Index),
    ("meta", Area::Meta),
];

const ACTIONS: [(&str, Action); 6] = [
    ("kill-before", Action::KillBefore),
    ("kill-midway", Action::KillMidway),
    ("kill-after", Action::KillAfter),
    ("io", Action::Fail(FaultKind::Io)),
    ("full", Action::Fail(FaultKind::NoSpace)),
    ("read-only", Action::Fail(FaultKind::ReadOnly)),
];

/// Operations by name; `write` is every one that may need space.
static OPERATIONS: LazyLock<Vec<(&str, Vec<Operation>)>> = LazyLock::new(|| {
    use Operation::{Append, Create, CreateDir, List, Open, Read, Remove, Rename, Sync, SyncDir};
    vec![
        ("create", vec![Create]),
        ("append", vec![Append]),
        ("sync", vec![Sync]),
        ("open", vec![Open]),
        ("read", vec![Read]),
        ("rename", vec![Rename]),
        ("remove", vec![Remove]),
        ("create-dir", vec![CreateDir]),
        ("list", vec![List]),
        ("sync-dir", vec![SyncDir]),
        ("write", vec![Create, Append, Sync, Rename, CreateDir]),
    ]
});

/// One thing that goes wrong. As text `ACTION:OPERATION:AREA:FIRST` with the number of the first operation that it strikes,
/// from 1, and behind a `+` for how many it lasts (1; `+*` for all that follow): `kill-after:rename:manifest:3`,
/// `full:write:*:100+20`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedFault {
    /// What happens.
    pub action: Action,
    /// To which of these.
    operations: &'static [Operation],
    /// Where; everywhere if none.
    area: Option<Area>,
    first: u64,
    count: u64,
}

/// Why a text is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError(String);

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PlanError {}

fn named<'a, T>(what: &str, text: &str, known: &'a [(&str, T)]) -> Result<&'a T, PlanError> {
    known.iter().find(|(name, _)| *name == text).map(|(_, value)| value).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        PlanError(format!("there is no {what} `{text}`; there are {}", names.join(", ")))
    })
}

impl FromStr for PlannedFault {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let fields: Vec<&str> = text.split(':').collect();
        let [action, operation, area, when] = fields[..] else {
            return Err(PlanError(format!("`{text}` is not ACTION:OPERATION:AREA:FIRST")));
        };
        let (first, count) = when.split_once('+').unwrap_or((when, "1"));
        let number = |text: &str| match text.parse() {
            Ok(0) | Err(_) => Err(PlanError(format!("`{text}` is no number from 1 on"))),
            Ok(number) => Ok(number),
        };
        Ok(Self {
            action: *named("action", action, &ACTIONS)?,
            operations: named("operation", operation, &OPERATIONS)?,
            area: if area == "*" { None } else { Some(*named("area", area, &AREAS)?) },
            first: number(first)?,
            count: if count == "*" { u64::MAX } else { number(count)? },
        })
    }
}

/// A real disk on which planned faults happen.
#[derive(Clone)]
pub struct FaultyDisk {
    disk: Arc<dyn Disk>,
    faults: Arc<Faults>,
}

struct Faults {
    directory: PathBuf,
    // Each with how many operations it has seen that it is meant for.
    planned: Vec<(PlannedFault, AtomicU64)>,
}

impl FaultyDisk {
    /// `disk`, on which `faults` happen to what lies in `directory`.
    pub fn new(disk: Arc<dyn Disk>, directory: &Path, faults: impl IntoIterator<Item = PlannedFault>) -> Self {
        let planned = faults.into_iter().map(|fault| (fault, AtomicU64::new(0))).collect();
        Self { disk, faults: Arc::new(Faults { directory: directory.to_path_buf(), planned }) }
    }

    fn around<T>(&self, operation: Operation, path: &Path, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match self.faults.strike(operation, path) {
            None => act(),
            Some(Action::Fail(kind)) => Err(kind.error()),
            Some(Action::KillBefore | Action::KillMidway) => die(),
            Some(Action::KillAfter) => {
                let _ = act();
                die()
            }
        }
    }
}

impl Faults {
    fn strike(&self, operation: Operation, path: &Path) -> Option<Action> {
        let mut struck = None;
        // Every fault counts, also behind one that strikes.
        for (fault, seen) in &self.planned {
            if fault.operations.contains(&operation) && fault.area.is_none_or(|area| area == self.area(path)) {
                let number = seen.fetch_add(1, Ordering::Relaxed) + 1;
                if number >= fault.first && number - fault.first < fault.count {
                    tracing::warn!(?operation, path = %path.display(), "a planned fault strikes");
                    struck = struck.or(Some(fault.action));
                }
            }
        }
        struck
    }

    fn area(&self, path: &Path) -> Area {
        let Ok(inside) = path.strip_prefix(&self.directory) else { return Area::Root };
        let mut names = inside.iter().map(|name| name.to_str().unwrap_or_default());
        match names.next().unwrap_or_default() {
            layout::MANIFEST | layout::MANIFEST_NEXT | layout::MANIFEST_COPY => Area::Manifest,
            layout::WAL => Area::Wal,
            layout::STATE => Area::State,
            PARTS_DIR => match names.next_back().unwrap_or_default() {
                ROWS_FILE => Area::Rows,
                SERIES_FILE => Area::Series,
                INDEX_FILE => Area::Index,
                META_FILE => Area::Meta,
                _ => Area::Parts,
            },
            _ => Area::Root,
        }
    }
}

// Nothing of this process runs on: neither destructors nor handlers nor other threads.
fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    loop {
        std::thread::park();
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn AppendFile>> {
        let file = self.around(Operation::Create, path, || self.disk.create(path))?;
        Ok(Box::new(FaultyAppendFile { file, disk: self.clone(), path: path.to_path_buf() }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn ReadFile>> {
        let file = self.around(Operation::Open, path, || self.disk.open(path))?;
        Ok(Arc::new(FaultyReadFile { file, disk: self.clone(), path: path.to_path_buf() }))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.around(Operation::Sync, path, || self.disk.sync_file(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.around(Operation::Rename, to, || self.disk.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.around(Operation::Remove, path, || self.disk.remove(path))
    }

    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        self.around(Operation::Remove, path, || self.disk.remove_dir_all(path))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.around(Operation::CreateDir, path, || self.disk.create_dir_all(path))
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.around(Operation::List, path, || self.disk.list(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.around(Operation::SyncDir, path, || self.disk.sync_dir(path))
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn LockGuard>> {
        self.disk.lock(path)
    }

    fn free_space(&self, path: &Path) -> io::Result<u64> {
        self.disk.free_space(path)
    }
}

struct FaultyAppendFile {
    file: Box<dyn AppendFile>,
    disk: FaultyDisk,
    path: PathBuf,
}

impl AppendFile for FaultyAppendFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let half = &bytes[..bytes.len() / 2];
        match self.disk.faults.strike(Operation::Append, &self.path) {
            None => self.file.append(bytes),
            Some(Action::Fail(kind)) => self.file.append(half).and(Err(kind.error())),
            Some(Action::KillBefore) => die(),
            Some(Action::KillMidway) => {
                let _ = self.file.append(half);
                die()
            }
            Some(Action::KillAfter) => {
                let _ = self.file.append(bytes);
                die()
            }
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let (file, disk) = (&mut self.file, &self.disk);
        disk.around(Operation::Sync, &self.path, || file.sync())
    }
}

struct FaultyReadFile {
    file: Arc<dyn ReadFile>,
    disk: FaultyDisk,
    path: PathBuf,
}

impl ReadFile for FaultyReadFile {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.disk.around(Operation::Read, &self.path, || self.file.read_at(offset, buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{SimDisk, read_file, write_file};

    fn plan(text: &str) -> Result<PlannedFault, String> {
        text.parse().map_err(|error: PlanError| error.to_string())
    }

    #[test]
    fn a_plan_that_is_not_understood_is_refused_with_what_there_is() {
        let refused = |text: &str| plan(text).expect_err("it is refused");
        assert_eq!(refused("io:sync"), "`io:sync` is not ACTION:OPERATION:AREA:FIRST");
        assert!(refused("melt:sync:wal:1").starts_with("there is no action `melt`; there are kill-before, "));
        assert!(refused("io:sink:wal:1").starts_with("there is no operation `sink`; there are create, "));
        assert!(refused("io:sync:wall:1").starts_with("there is no area `wall`; there are root, "));
        assert_eq!(refused("io:sync:wal:0"), "`0` is no number from 1 on");
        assert_eq!(refused("io:sync:wal:1+x"), "`x` is no number from 1 on");
        assert_eq!(plan("io:sync:*:7+*").expect("a plan").count, u64::MAX);
    }

    #[test]
    fn faults_strike_where_and_when_they_are_planned() {
        let faults = ["io:sync:wal:2", "full:write:rows:1+3"].map(|text| plan(text).expect("a plan"));
        let sim = SimDisk::new(1);
        let directory = Path::new("/data");
        let disk = FaultyDisk::new(Arc::new(sim), directory, faults);
        for folder in ["wal", "parts/logs/2026-01-31/0000000000000001"] {
            disk.create_dir_all(&directory.join(folder)).expect("a folder");
        }
        let mut log = disk.create(&layout::segment(directory, 1)).expect("a segment");
        log.append(b"abcd").and_then(|()| log.sync()).expect("the first sync works");
        assert_eq!(log.sync().map_err(|error| error.raw_os_error()), Err(Some(5)));
        log.sync().expect("the third works");

        let part = directory.join("parts/logs/2026-01-31/0000000000000001");
        for _ in 0..3 {
            let error = write_file(&disk, &part.join(ROWS_FILE), b"rows").expect_err("the disk is full");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
        write_file(&disk, &part.join(INDEX_FILE), b"index").expect("another area");
        write_file(&disk, &part.join(ROWS_FILE), b"rows").expect("there is space again");
        assert_eq!(read_file(&disk, &part.join(ROWS_FILE)).expect("it is read"), b"rows");
    }

    #[test]
    fn a_failed_append_leaves_half_of_its_bytes() {
        let directory = Path::new("/data");
        let sim = SimDisk::new(1);
        let disk = FaultyDisk::new(Arc::new(sim.clone()), directory, [plan("full:append:wal:1").expect("a plan")]);
        disk.create_dir_all(&directory.join("wal")).expect("a folder");
        let path = layout::segment(directory, 1);
        let mut log = disk.create(&path).expect("a segment");
        log.append(b"abcd").expect_err("the disk is full");
        assert_eq!(sim.contents(&path).expect("the segment"), b"ab");
    }
}
