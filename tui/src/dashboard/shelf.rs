//! The boards there are: those that are compiled in, and the files of a directory of the user's own, which are read again
//! when they change. A file with the name of a shipped board takes its place. A file that cannot be read keeps its last
//! good board, if it had one, and carries its error.
//!
//! Reading files may block: the runtime does it, never the screen.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::error::FileError;
use super::file::Board;
use super::limits::{FILE_BYTES_MAX, FILES_MAX};

/// The shipped boards: name and text.
pub const SHIPPED: [(&str, &str); 8] = [
    ("services", include_str!("../../../dashboards/services.yaml")),
    ("balancer", include_str!("../../../dashboards/balancer.yaml")),
    ("database", include_str!("../../../dashboards/database.yaml")),
    ("cache", include_str!("../../../dashboards/cache.yaml")),
    ("queue", include_str!("../../../dashboards/queue.yaml")),
    ("hosts", include_str!("../../../dashboards/hosts.yaml")),
    ("sextant", include_str!("../../../dashboards/sextant.yaml")),
    ("demo", include_str!("../../../dashboards/demo.yaml")),
];

/// One board of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The file's name without its ending.
    pub name: String,
    /// The file; `None` for a shipped board.
    pub path: Option<PathBuf>,
    /// The board as it was last read well; `None` if it never was.
    pub board: Option<Arc<Board>>,
    /// Why the file, as it is now, is no board.
    pub error: Option<FileError>,
}

/// The boards of one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Boards {
    /// By name.
    pub entries: Vec<Entry>,
    /// What is wrong with the directory as a whole.
    pub complaint: Option<FileError>,
}

/// The boards, and what their files looked like when they were read.
#[derive(Debug)]
pub struct Shelf {
    directory: Option<PathBuf>,
    entries: Vec<Entry>,
    stamps: BTreeMap<PathBuf, Stamp>,
    // Why the directory itself cannot be read, or holds more than is read.
    complaint: Option<FileError>,
}

// What changes when a file changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

impl Shelf {
    /// The shipped boards, and those of `directory` once [`refresh`](Self::refresh) was called.
    pub fn new(directory: Option<PathBuf>) -> Self {
        Self { directory, entries: shipped(), stamps: BTreeMap::new(), complaint: None }
    }

    /// The boards, by name.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What is wrong with the directory as a whole.
    pub fn complaint(&self) -> Option<&FileError> {
        self.complaint.as_ref()
    }

    /// The boards as they are now.
    pub fn boards(&self) -> Boards {
        Boards { entries: self.entries.clone(), complaint: self.complaint.clone() }
    }

    /// Reads what has changed in the directory; whether the list is another one now.
    pub fn refresh(&mut self) -> bool {
        let Some(directory) = self.directory.clone() else { return false };
        let (files, complaint) = match list(&directory) {
            Ok(listed) => listed,
            Err(error) => {
                let message = format!("the directory of dashboards cannot be read: {error}");
                let remedy = Some("make it, or name another one with --dashboards".to_owned());
                (BTreeMap::new(), Some(FileError::whole(&directory.display().to_string(), message, remedy)))
            }
        };
        if files == self.stamps && complaint == self.complaint {
            return false;
        }
        let mut entries: BTreeMap<String, Entry> =
            shipped().into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        for (path, stamp) in &files {
            let before = self.entries.iter().find(|entry| entry.path.as_ref() == Some(path));
            let entry = match before {
                Some(entry) if self.stamps.get(path) == Some(stamp) => entry.clone(),
                before => read_entry(path, before),
            };
            entries.insert(entry.name.clone(), entry);
        }
        self.entries = entries.into_values().collect();
        (self.stamps, self.complaint) = (files, complaint);
        true
    }
}

fn shipped() -> Vec<Entry> {
    let entry = |(name, text): (&str, &str)| {
        let parsed = Board::parse(&format!("{name}.yaml"), text);
        let (board, error) = told(parsed);
        Entry { name: name.to_owned(), path: None, board, error }
    };
    let mut entries = SHIPPED.map(entry).to_vec();
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    entries
}

type Listed = (BTreeMap<PathBuf, Stamp>, Option<FileError>);

fn list(directory: &Path) -> io::Result<Listed> {
    let mut files = BTreeMap::new();
    let mut complaint = None;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_yaml = path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        // A file that went away meanwhile is simply not there.
        let Some(meta) = fs::metadata(&path).ok().filter(|meta| is_yaml && meta.is_file()) else { continue };
        if files.len() >= FILES_MAX {
            let message = format!("only {FILES_MAX} of the files in this directory are read");
            let remedy = Some("move some of them elsewhere".to_owned());
            complaint = Some(FileError::whole(&directory.display().to_string(), message, remedy));
            break;
        }
        files.insert(path, Stamp { modified: meta.modified().ok(), bytes: meta.len() });
    }
    Ok((files, complaint))
}

fn read_entry(path: &Path, before: Option<&Entry>) -> Entry {
    let shown = path.display().to_string();
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let read = read_bounded(path).map_err(|error| {
        let remedy = (error.kind() == io::ErrorKind::InvalidData).then(|| "save it as UTF-8".to_owned());
        FileError::whole(&shown, format!("the file cannot be read: {error}"), remedy)
    });
    let (board, error) = told(read.and_then(|text| Board::parse(&shown, &text)));
    let board = board.or_else(|| before.and_then(|entry| entry.board.clone()));
    Entry { name, path: Some(path.to_owned()), board, error }
}

// One byte more than a board may have, so that the parser can say that it is too large.
fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn told(parsed: Result<Board, FileError>) -> (Option<Arc<Board>>, Option<FileError>) {
    match parsed {
        Ok(board) => (Some(Arc::new(board)), None),
        Err(error) => (None, Some(error)),
    }
}

#[cfg(test)]
mod tests;
