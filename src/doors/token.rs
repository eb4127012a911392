//! The bearer token: a file whose first line everybody has to show. It is read again when it changes.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::http::{HeaderMap, header};
use model::small_file;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The file is looked at so often at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Shorter tokens can be guessed.
const TOKEN_BYTES_MIN: usize = 16;

/// More is no token, but a wrong file.
const FILE_BYTES_MAX: usize = 4096;

/// Why a file is no token. Never says what stands in it.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("cannot read the token file {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Its first line is no good token.
    #[error("the token file {path} does not work: {what}")]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
}

/// A token as it stands in its file.
pub struct TokenFile {
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    // A token is kept and compared as a digest: of the same length whatever is shown.
    digest: [u8; 32],
    version: Version,
    looked: Instant,
}

type Version = (Option<SystemTime>, u64);

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl TokenFile {
    /// Reads a file.
    pub fn open(path: &Path) -> Result<Self, TokenError> {
        let version = version(path)?;
        let state = State { digest: read(path)?, version, looked: Instant::now() };
        Ok(Self { path: path.to_owned(), state: Mutex::new(state) })
    }

    /// Whether these headers show the token.
    pub fn is_shown_by(&self, headers: &HeaderMap) -> bool {
        let Some(shown) = headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes())) else {
            return false;
        };
        let digest: [u8; 32] = Sha256::digest(shown).into();
        digest.ct_eq(&self.current()).into()
    }

    fn current(&self) -> [u8; 32] {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK_INTERVAL {
            state.looked = Instant::now();
            self.look_again(&mut state);
        }
        state.digest
    }

    // A file that is being replaced, or no longer fits, leaves the token that was in force.
    fn look_again(&self, state: &mut State) {
        let changed = version(&self.path).and_then(|version| {
            if version == state.version {
                return Ok(None);
            }
            Ok(Some((read(&self.path)?, version)))
        });
        match changed {
            Ok(None) => {}
            Ok(Some((digest, version))) => {
                (state.digest, state.version) = (digest, version);
                tracing::info!(file = %self.path.display(), "the token was read again");
            }
            Err(error) => tracing::warn!("the token stays as it was: {:#}", anyhow::Error::from(error)),
        }
    }
}

fn version(path: &Path) -> Result<Version, TokenError> {
    let of_file = std::fs::metadata(path).map_err(|source| TokenError::Read { path: path.to_owned(), source })?;
    Ok((of_file.modified().ok(), of_file.len()))
}

fn read(path: &Path) -> Result<[u8; 32], TokenError> {
    let unfit = |what| TokenError::Unfit { path: path.to_owned(), what };
    let bytes =
        small_file::read(path, FILE_BYTES_MAX).map_err(|source| TokenError::Read { path: path.to_owned(), source })?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii();
    if line.len() < TOKEN_BYTES_MIN {
        return Err(unfit(
            "its first line must be a token of 16 characters or more, such as `openssl rand -hex 32` makes",
        ));
    }
    if !line.iter().all(u8::is_ascii_graphic) {
        return Err(unfit("its first line must be printable ASCII without spaces"));
    }
    Ok(Sha256::digest(line).into())
}

// RFC 6750; the scheme's name is case-insensitive.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn shows(file: &TokenFile, value: &'static str) -> bool {
        let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
        file.is_shown_by(&headers)
    }

    #[test]
    fn only_the_token_opens_and_a_new_one_replaces_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("token");
        std::fs::write(&path, "0123456789abcdef\nnot this\n").expect("a file");
        let file = TokenFile::open(&path).expect("a token");
        assert!(shows(&file, "Bearer 0123456789abcdef"));
        assert!(shows(&file, "bearer  0123456789abcdef"));
        for wrong in ["Bearer 0123456789abcdeF", "Bearer ", "Bearer 0123456789abcdef0", "Basic 0123456789abcdef", "x"] {
            assert!(!shows(&file, wrong), "{wrong}");
        }
        assert!(!file.is_shown_by(&HeaderMap::new()));

        let forget_the_look = |file: &TokenFile| {
            let mut state = file.state.lock().expect("no panic");
            state.looked = Instant::now().checked_sub(LOOK_INTERVAL).expect("uptime");
        };
        std::fs::write(&path, "fedcba9876543210-new\n").expect("a file");
        forget_the_look(&file);
        assert!(shows(&file, "Bearer fedcba9876543210-new"));
        assert!(!shows(&file, "Bearer 0123456789abcdef"));
        std::fs::write(&path, "short").expect("a file");
        forget_the_look(&file);
        assert!(shows(&file, "Bearer fedcba9876543210-new"), "a broken file changes nothing");
        assert!(!format!("{file:?}").contains("fedcba"));
    }

    #[test]
    fn files_that_are_no_token_are_named_but_not_shown() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("token");
        assert!(TokenFile::open(&path).is_err_and(|error| error.to_string().contains("cannot read")));
        let endless = TokenFile::open(Path::new("/dev/zero")).map_err(anyhow::Error::from).expect_err("it is a device");
        assert!(format!("{endless:#}").contains("it is a device, and must be a regular file"), "{endless:#}");
        std::fs::write(&path, "0123456789abcdef".repeat(300)).expect("a file");
        let large = TokenFile::open(&path).map_err(anyhow::Error::from).expect_err("it is large");
        assert!(format!("{large:#}").contains("it has more than 4096 bytes"), "{large:#}");
        for text in ["", "hunter2", "with spaces in the middle", "\nsecond-line-secret-secret"] {
            std::fs::write(&path, text).expect("a file");
            let error = TokenFile::open(&path).expect_err(text).to_string();
            assert!(error.contains("does not work") && (text.is_empty() || !error.contains(text)), "{error}");
        }
    }
}
