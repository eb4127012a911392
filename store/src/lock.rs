//! One process per data directory. Taken first when a store is opened, given back last.

use std::io;
use std::path::Path;

use crate::disk::{Disk, LockGuard, read_file};
use crate::{StoreError, layout};

/// Takes the lock of a data directory.
pub(crate) fn take(disk: &dyn Disk, directory: &Path) -> Result<Box<dyn LockGuard>, StoreError> {
    let path = directory.join(layout::LOCK);
    match disk.lock(&path) {
        Ok(guard) => Ok(guard),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(StoreError::Locked { path: directory.to_path_buf(), holder: holder(disk, &path) })
        }
        Err(error) => Err(StoreError::disk("lock", &path)(error)),
    }
}

fn holder(disk: &dyn Disk, path: &Path) -> String {
    let text = read_file(disk, path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    match text.as_deref().map(str::trim).and_then(|text| text.parse::<u32>().ok()) {
        Some(id) => format!("process {id}"),
        None => "another process".to_owned(),
    }
}
