//! Hashing for tables that are small, or whose keys are hashes already. Not for keys that a stranger could choose without end: only the
//! tables that say so resist that.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds hashers for keys that are keyed hashes themselves: hashed again they would only take longer.
pub(crate) type ByItself = BuildHasherDefault<Itself>;

/// See [`ByItself`].
#[derive(Debug, Default)]
pub(crate) struct Itself(u64);

impl Hasher for Itself {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = text_hash(self.0, bytes);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 ^= value;
    }

    fn write_u128(&mut self, value: u128) {
        self.0 ^= (value >> 64) as u64;
    }
}

/// A quick hash of a text, without a key: for tables of few entries, where the worst that a stranger can do is little.
#[inline]
pub(crate) fn text_hash(seed: u64, text: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * u128::from(FACTOR);
        (product as u64) ^ (product >> 64) as u64
    };
    let (words, rest) = text.as_chunks::<8>();
    let mut state = words.iter().fold(seed ^ FACTOR, |state, word| mix(state, u64::from_le_bytes(*word)));
    let mut last = text.len() as u64;
    for byte in rest {
        last = last << 8 | u64::from(*byte);
    }
    state = mix(state, last ^ FACTOR.rotate_left(32));
    state
}

/// Builds hashers that use [`text_hash`].
pub(crate) type Quick = BuildHasherDefault<QuickHasher>;

/// See [`Quick`].
#[derive(Debug, Default)]
pub(crate) struct QuickHasher(u64);

impl Hasher for QuickHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = text_hash(self.0, bytes);
    }

    // What ends a text in a key; its length is in the hash already.
    fn write_u8(&mut self, _: u8) {}
}
