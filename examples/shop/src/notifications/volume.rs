//! The volume of the letters: a directory with a quota, one file per order. What is in it is counted in memory; what another process does there is seen at the next start.
//!
//! A letter is written beside its place and moved there when it is sent, so that a file with an order's name is a letter that was sent, whole.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use sextant_sdk::opentelemetry::metrics::Meter;
use tokio::time::Instant;

use crate::limits::{COMPLAINT_PAUSE, LETTERS_BYTES_MAX, LETTERS_CLEAN_ABOVE_PERCENT};

const LETTER: &str = ".letter";
const DRAFT: &str = ".draft";
/// What fills the volume when something is to go wrong.
const FILLER: &str = "core.dump";

/// A directory with a quota.
#[derive(Debug)]
pub(super) struct Volume {
    directory: PathBuf,
    limit: u64,
    drafts: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Oldest first.
    letters: VecDeque<(PathBuf, u64)>,
    /// Of letters, drafts and the filler.
    used: u64,
    filler: u64,
    complained: Option<Instant>,
}

/// What does not work on the volume.
#[derive(Debug, thiserror::Error)]
pub(super) enum VolumeError {
    #[error("no space left on the letters volume: {used} of {limit} bytes are used")]
    Full { used: u64, limit: u64 },
    #[error("cannot {operation} {}: {source}", .path.display())]
    Io { operation: &'static str, path: PathBuf, source: io::Error },
}

impl Volume {
    /// Counts what is there. What only a crash leaves behind is removed.
    pub(super) fn open(directory: &Path) -> Result<Self, VolumeError> {
        Self::with_quota(directory, LETTERS_BYTES_MAX)
    }

    pub(super) fn with_quota(directory: &Path, limit: u64) -> Result<Self, VolumeError> {
        fs::create_dir_all(directory).map_err(failed("make the directory", directory))?;
        let mut letters = Vec::new();
        for entry in fs::read_dir(directory).map_err(failed("read the directory", directory))? {
            let path = entry.map_err(failed("read the directory", directory))?.path();
            let metadata = fs::metadata(&path).map_err(failed("look at", &path))?;
            if path.to_string_lossy().ends_with(LETTER) {
                letters.push((metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH), path, metadata.len()));
            } else if path.ends_with(FILLER) || path.to_string_lossy().ends_with(DRAFT) {
                fs::remove_file(&path).map_err(failed("remove", &path))?;
            }
        }
        letters.sort();
        let used = letters.iter().map(|(_, _, bytes)| bytes).sum();
        let letters = letters.into_iter().map(|(_, path, bytes)| (path, bytes)).collect();
        let inner = Inner { letters, used, ..Inner::default() };
        Ok(Self { directory: directory.to_owned(), limit, drafts: AtomicU64::new(0), inner: Mutex::new(inner) })
    }

    /// Whether the letter for this order was sent.
    pub(super) fn has(&self, order: &str) -> bool {
        self.place(order).exists()
    }

    /// The letter for this order.
    pub(super) fn read(&self, order: &str) -> Result<Option<String>, VolumeError> {
        let path = self.place(order);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &path)(error)),
        }
    }

    /// Writes a letter that is not sent yet; gone again if the draft is dropped.
    pub(super) fn write(self: &Arc<Self>, order: &str, text: &str) -> Result<Draft, VolumeError> {
        let bytes = text.len() as u64;
        self.take(bytes)?;
        let number = self.drafts.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("{}-{number}{DRAFT}", std::process::id()));
        // From here on its drop gives the space back.
        let draft = Draft { volume: Arc::clone(self), place: self.place(order), path, bytes, is_kept: false };
        fs::write(&draft.path, text).map_err(failed("write", &draft.path))?;
        Ok(draft)
    }

    fn take(&self, bytes: u64) -> Result<(), VolumeError> {
        let mut inner = self.lock();
        if inner.used + bytes > self.limit {
            return Err(VolumeError::Full { used: inner.used, limit: self.limit });
        }
        inner.used += bytes;
        Ok(())
    }

    /// Removes the oldest letters until there is room enough again. How many.
    pub(super) fn clean(&self) -> usize {
        let enough = self.limit / 100 * LETTERS_CLEAN_ABOVE_PERCENT;
        let mut removed = 0;
        loop {
            let oldest = {
                let mut inner = self.lock();
                if inner.used <= enough {
                    return removed;
                }
                let Some((path, bytes)) = inner.letters.pop_front() else { return removed };
                inner.used -= bytes;
                path
            };
            // One that is gone already is as good as one that goes now.
            let _ = fs::remove_file(oldest);
            removed += 1;
        }
    }

    /// Lets the filler grow by so much, at most until nothing else fits.
    pub(super) fn fill(&self, bytes: u64) -> Result<(), VolumeError> {
        let path = self.directory.join(FILLER);
        let length = {
            let mut inner = self.lock();
            let grown = bytes.min(self.limit.saturating_sub(inner.used));
            inner.used += grown;
            inner.filler += grown;
            inner.filler
        };
        // Its length counts, and there is nothing in it: the disk below is somebody's.
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        file.and_then(|file| file.set_len(length)).map_err(failed("fill", &path))
    }

    /// Removes the filler.
    pub(super) fn unfill(&self) -> Result<(), VolumeError> {
        let path = self.directory.join(FILLER);
        let mut inner = self.lock();
        inner.used -= inner.filler;
        inner.filler = 0;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path)(error)),
            _ => Ok(()),
        }
    }

    /// Bytes that are used.
    pub(super) fn usage(&self) -> u64 {
        self.lock().used
    }

    /// Bytes that there are.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Whether it is time for another line that says it is full.
    pub(super) fn may_complain(&self) -> bool {
        let mut inner = self.lock();
        let may = inner.complained.is_none_or(|last| last.elapsed() >= COMPLAINT_PAUSE);
        if may {
            inner.complained = Some(Instant::now());
        }
        may
    }

    fn place(&self, order: &str) -> PathBuf {
        self.directory.join(file_name(order))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Numbers are whole whenever something panics under this lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A letter that is written and not sent.
#[derive(Debug)]
pub(super) struct Draft {
    volume: Arc<Volume>,
    place: PathBuf,
    path: PathBuf,
    bytes: u64,
    is_kept: bool,
}

impl Draft {
    /// It was sent. False says that the order has a letter already; that one stays.
    pub(super) fn keep(mut self) -> Result<bool, VolumeError> {
        // A link fails where a rename would replace.
        match fs::hard_link(&self.path, &self.place) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(failed("keep", &self.place)(error)),
        }
        let _ = fs::remove_file(&self.path);
        self.is_kept = true;
        self.volume.lock().letters.push_back((self.place.clone(), self.bytes));
        Ok(true)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_kept {
            // If it cannot be removed now, it is at the next start.
            let _ = fs::remove_file(&self.path);
            self.volume.lock().used -= self.bytes;
        }
    }
}

/// Observes it for as long as it is there.
pub(super) fn observe(meter: &Meter, volume: &Arc<Volume>) {
    for (name, description, read) in [
        ("shop.letters.usage", "Bytes used on the letters volume", Volume::usage as fn(&Volume) -> u64),
        ("shop.letters.limit", "Bytes of the letters volume", Volume::limit),
    ] {
        let volume = Arc::downgrade(volume);
        let gauge = meter.u64_observable_gauge(name).with_unit("By").with_description(description);
        gauge
            .with_callback(move |gauge| {
                if let Some(volume) = volume.upgrade() {
                    gauge.observe(read(&volume), &[]);
                }
            })
            .build();
    }
}

/// The name of an order's file. Orders' ids come from strangers: what is unusual in a file's name is written as a number, and what is too long ends with a hash of the whole.
fn file_name(order: &str) -> String {
    let mut name = String::new();
    for byte in order.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            byte => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.len() > 200 {
        let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        let hash = order.bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
        // All ASCII.
        name.truncate(180);
        name.push_str(&format!("%{hash:016x}"));
    }
    name + LETTER
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> VolumeError {
    let path = path.to_owned();
    move |source| VolumeError::Io { operation, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(volume: &Arc<Volume>, order: &str, text: &str) -> Result<bool, VolumeError> {
        volume.write(order, text)?.keep()
    }

    #[test]
    fn a_letter_is_there_once_it_is_sent_and_only_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let volume = Arc::new(Volume::with_quota(folder.path(), 1_000).expect("a volume"));
        let draft = volume.write("order-1", "Dear ada").expect("written");
        assert!(!volume.has("order-1"));
        assert_eq!(volume.usage(), 8, "a draft takes space");
        drop(draft);
        assert_eq!(volume.usage(), 0);
        assert!(sent(&volume, "order-1", "Dear ada").expect("sent"));
        assert!(!sent(&volume, "order-1", "Dear bob").expect("known"));
        assert_eq!(volume.read("order-1").expect("read").as_deref(), Some("Dear ada"));
        assert_eq!(volume.read("order-2").expect("read"), None);
        assert_eq!(volume.usage(), 8);
        fs::write(folder.path().join(format!("9-9{DRAFT}")), "half a let").expect("a crash");
        let again = Volume::with_quota(folder.path(), 1_000).expect("a volume");
        assert!(again.has("order-1"));
        assert_eq!(again.usage(), 8, "what was counted is counted again");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }

    #[test]
    fn the_oldest_letters_make_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let volume = Arc::new(Volume::with_quota(folder.path(), 1_000).expect("a volume"));
        for number in 0..10 {
            sent(&volume, &format!("order-{number}"), &"x".repeat(100)).expect("sent");
        }
        let error = sent(&volume, "order-10", "x").expect_err("full");
        assert_eq!(error.to_string(), "no space left on the letters volume: 1000 of 1000 bytes are used");
        assert_eq!(volume.clean(), 2);
        assert_eq!((volume.usage(), volume.has("order-1"), volume.has("order-2")), (800, false, true));
        sent(&volume, "order-10", "x").expect("there is room again");
    }

    #[test]
    fn a_filler_takes_what_is_left_and_gives_it_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let volume = Arc::new(Volume::with_quota(folder.path(), 1_000).expect("a volume"));
        sent(&volume, "order-1", &"x".repeat(100)).expect("sent");
        volume.fill(500).expect("filled");
        volume.fill(500).expect("filled");
        assert_eq!(volume.usage(), 1_000);
        assert_eq!(fs::metadata(folder.path().join(FILLER)).expect("a file").len(), 900);
        sent(&volume, "order-2", "x").expect_err("full");
        volume.unfill().expect("removed");
        volume.unfill().expect("nothing to remove");
        assert_eq!(volume.usage(), 100);
        sent(&volume, "order-2", "x").expect("there is room again");
    }

    #[test]
    fn no_order_leaves_the_directory() {
        for (order, name) in [
            ("order-000001-ab12cd34", "order-000001-ab12cd34.letter"),
            ("../../etc/passwd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd.letter"),
            ("Zoë", "Zo%c3%ab.letter"),
            ("", ".letter"),
        ] {
            assert_eq!(file_name(order), name);
        }
        let (long, other) = ("/".repeat(128), format!("{}+", "/".repeat(127)));
        assert!(file_name(&long).len() < 255);
        assert_ne!(file_name(&long), file_name(&other));
    }
}
