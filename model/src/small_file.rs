//! Files that operators write and the server reads: rules, receivers, secrets, tokens. Never more of one than it may have, and
//! nothing that is no file: a device gives bytes without end, and whoever opens a pipe waits for who writes to it.
//!
//! Not for what lies in the data directory: those files are the store's.

use std::fs::{self, File, FileType};
use std::io::{Error, ErrorKind, Read as _, Result};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// The bytes of a regular file, or of one that a link leads to. Fails with [`ErrorKind::FileTooLarge`] if they are more than
/// `bytes_max`, whatever the file says of its own length.
pub fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>> {
    // Asked before it is opened, which may wait.
    regular(fs::metadata(path)?.file_type())?;
    let file = File::open(path)?;
    let mut bytes = Vec::new();
    // One byte more than allowed is asked for, to tell the end from too much.
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("it has more than {bytes_max} bytes")));
    }
    Ok(bytes)
}

/// The text of a regular file; see [`read`].
pub fn read_text(path: &Path, bytes_max: usize) -> Result<String> {
    let text = String::from_utf8(read(path, bytes_max)?);
    text.map_err(|error| Error::new(ErrorKind::InvalidData, format!("it is not UTF-8: {}", error.utf8_error())))
}

fn regular(kind: FileType) -> Result<()> {
    let what = match kind {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "no file",
    };
    Err(Error::new(ErrorKind::InvalidInput, format!("it is {what}, and must be a regular file")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn files_are_read_in_bounds_and_nothing_else_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("exact"), "1234").expect("a file");
        fs::write(at("longer"), "12345").expect("a file");
        fs::write(at("latin"), b"\xfc").expect("a file");
        symlink(at("exact"), at("link")).expect("a link");
        symlink("/dev/zero", at("zero")).expect("a link");
        symlink("nothing", at("dangling")).expect("a link");
        let _listener = UnixListener::bind(at("socket")).expect("a socket");
        let made = std::process::Command::new("mkfifo").arg(at("pipe")).status().expect("mkfifo starts");
        assert!(made.success());

        for name in ["exact", "link"] {
            assert_eq!(read_text(&at(name), 4).expect(name), "1234");
        }
        for (name, kind, what) in [
            ("longer", ErrorKind::FileTooLarge, "it has more than 4 bytes"),
            ("latin", ErrorKind::InvalidData, "it is not UTF-8"),
            ("dangling", ErrorKind::NotFound, "No such file"),
            ("zero", ErrorKind::InvalidInput, "it is a device, and must be a regular file"),
            ("pipe", ErrorKind::InvalidInput, "it is a pipe, "),
            ("socket", ErrorKind::InvalidInput, "it is a socket, "),
            (".", ErrorKind::InvalidInput, "it is a directory, "),
        ] {
            let error = read_text(&at(name), 4).expect_err(name);
            assert!(error.kind() == kind && error.to_string().contains(what), "{name}: {error}");
        }
        // A length of 0 is what the system says of its own files, which have one all the same.
        let own = Path::new("/proc/self/status");
        assert_eq!(fs::metadata(own).expect("it is there").len(), 0);
        assert!(read(own, 10).is_err_and(|error| error.kind() == ErrorKind::FileTooLarge));
        assert!(!read(own, 1 << 20).expect("it can be read").is_empty());
    }
}
