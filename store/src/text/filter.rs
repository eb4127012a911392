//! A set of 64-bit hashes in about nine bits each that never denies a member and takes about one stranger in 128 for one: a
//! binary fuse filter (Graf and Lemire, 2022) with fingerprints of seven bits.
//!
//! A split-block Bloom filter needs 10.5 bits for one stranger in a hundred, and eight-bit fingerprints pass 1.3 bytes per id
//! in granules of some thousand ids; seven bits keep both bounds.

use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;

/// Bits of a fingerprint.
const FINGERPRINT_BITS: usize = 7;

/// Seeds tried before the set is given up; each fails with a chance of a few percent at worst.
const SEEDS_MAX: u64 = 64;

/// Bytes of an encoded [`Shape`].
pub(super) const SHAPE_BYTES: usize = 16;

/// How a filter's table is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Mixed into each hash.
    pub(super) seed: u64,
    /// Slots of a segment, a power of two. 0: the set is empty. 1: the set is not known, everything may be in it.
    segment_slots: u32,
    /// Number of segments that a member's first slot can be in; two more follow.
    segments: u32,
}

const EMPTY: Shape = Shape { seed: 0, segment_slots: 0, segments: 0 };
const UNKNOWN: Shape = Shape { seed: 0, segment_slots: 1, segments: 0 };

impl Shape {
    fn for_members(members: usize) -> Self {
        // The constants are the paper's, found by experiment for three slots per member.
        let size = (members.max(2)) as f64;
        let segment_slots = 1u32 << ((size.ln() / 3.33f64.ln() + 2.25).floor() as u32).min(18);
        let factor = (0.875 + 0.25 * 1e6f64.ln() / size.ln()).max(1.125);
        let slots = (size * factor).round() as u32;
        Shape { seed: 0, segment_slots, segments: slots.div_ceil(segment_slots).saturating_sub(2).max(1) }
    }

    fn slots(&self) -> usize {
        if self.segment_slots <= 1 { 0 } else { (self.segments as usize + 2) * self.segment_slots as usize }
    }

    /// Bytes of the table. One more than the fingerprints need, so that each can be read as two bytes.
    pub(super) fn table_bytes(&self) -> usize {
        match self.slots() {
            0 => 0,
            slots => (slots * FINGERPRINT_BITS).div_ceil(8) + 1,
        }
    }

    // The three slots of a mixed hash.
    fn places(&self, mixed: u64) -> [usize; 3] {
        let range = u64::from(self.segments) * u64::from(self.segment_slots);
        let first = ((u128::from(mixed) * u128::from(range)) >> 64) as usize;
        let segment = self.segment_slots as usize;
        let mask = segment - 1;
        [first, (first + segment) ^ ((mixed >> 18) as usize & mask), (first + 2 * segment) ^ (mixed as usize & mask)]
    }

    /// Whether the hash may be in the set. `read` gives a range of the table's bytes: the three places of a hash lie in three
    /// segments that follow each other, and are read in one go.
    pub(super) fn may_contain<E>(
        &self,
        hash: u64,
        read: impl FnOnce(Range<usize>) -> Result<Vec<u8>, E>,
    ) -> Result<bool, E> {
        if self.segment_slots <= 1 {
            return Ok(*self != EMPTY);
        }
        let mixed = mix(hash, self.seed);
        let bits = self.places(mixed).map(|place| place * FINGERPRINT_BITS);
        // They grow from one to the next.
        let (first, last) = (bits[0] / 8, bits[2] / 8 + 2);
        let bytes = read(first..last)?;
        let found = bits.iter().fold(0, |found, bit| {
            let at = bit / 8 - first;
            found ^ (u16::from_le_bytes([bytes[at], bytes[at + 1]]) >> (bit % 8)) as u8
        });
        Ok((found ^ fingerprint(mixed)) & FINGERPRINT_MASK == 0)
    }

    /// The shape as [`SHAPE_BYTES`] bytes.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.seed.to_le_bytes());
        bytes.extend_from_slice(&self.segment_slots.to_le_bytes());
        bytes.extend_from_slice(&self.segments.to_le_bytes());
    }

    /// Reads what [`Shape::encode`] wrote; `None` if it is no filter's.
    pub(super) fn decode(bytes: &[u8; SHAPE_BYTES]) -> Option<Self> {
        let [seed, rest] = bytes.as_chunks::<8>().0 else { return None };
        let [segment_slots, segments] = rest.as_chunks::<4>().0 else { return None };
        let (segment_slots, segments) = (u32::from_le_bytes(*segment_slots), u32::from_le_bytes(*segments));
        let valid = if segment_slots <= 1 {
            segments == 0
        } else {
            segment_slots.is_power_of_two() && segment_slots <= 1 << 18 && (1..1 << 24).contains(&segments)
        };
        valid.then_some(Shape { seed: u64::from_le_bytes(*seed), segment_slots, segments })
    }
}

/// A filter of these hashes and its table. Removes those that repeat.
pub(super) fn build(hashes: &mut Vec<u64>) -> (Shape, Vec<u8>) {
    distinct(hashes);
    if hashes.is_empty() {
        return (EMPTY, Vec::new());
    }
    let mut shape = Shape::for_members(hashes.len());
    for seed in 0..SEEDS_MAX {
        shape.seed = seed;
        if let Some(order) = peel(&shape, hashes) {
            return (shape, fill(&shape, &order));
        }
        // A table a little larger makes failure ever less likely.
        shape.segments += u32::from(seed % 8 == 7);
    }
    (UNKNOWN, Vec::new())
}

// Removes hashes that repeat; sorting them would take several times as long. Where they go in the table is a secret of its own each
// time: senders choose the tokens, and their hashes are known to everybody.
fn distinct(hashes: &mut Vec<u64>) {
    let places = (2 * hashes.len()).next_power_of_two().max(2);
    let shift = u64::BITS - places.trailing_zeros();
    let secret = RandomState::new().hash_one(0) | 1;
    // 0 is a free place.
    let mut table = vec![0u64; places];
    let mut has_zero = false;
    hashes.retain(|hash| {
        if *hash == 0 {
            return !std::mem::replace(&mut has_zero, true);
        }
        let mut place = (hash.wrapping_mul(secret) >> shift) as usize;
        loop {
            match table[place] {
                0 => {
                    table[place] = *hash;
                    return true;
                }
                known if known == *hash => return false,
                _ => place = (place + 1) & (places - 1),
            }
        }
    });
}

// Each member with a slot that no member after it in this order touches; `None` if this seed allows no such order.
fn peel(shape: &Shape, hashes: &[u64]) -> Option<Vec<(u64, usize)>> {
    // Per slot: how many members touch it, and all of them XORed, so that the last one left can be read off. Apart, because that
    // takes half the memory, which is what this waits for. A slot that is touched more often than can be counted is for another seed.
    let (mut touching, mut sums) = (vec![0u8; shape.slots()], vec![0u64; shape.slots()]);
    for hash in hashes {
        let mixed = mix(*hash, shape.seed);
        for place in shape.places(mixed) {
            touching[place] = touching[place].checked_add(1)?;
            sums[place] ^= mixed;
        }
    }
    let mut alone: Vec<u32> = (0..touching.len() as u32).filter(|place| touching[*place as usize] == 1).collect();
    let mut order = Vec::with_capacity(hashes.len());
    while let Some(slot) = alone.pop() {
        let slot = slot as usize;
        if touching[slot] != 1 {
            continue;
        }
        let mixed = sums[slot];
        order.push((mixed, slot));
        for place in shape.places(mixed) {
            touching[place] -= 1;
            sums[place] ^= mixed;
            if touching[place] == 1 {
                alone.push(place as u32);
            }
        }
    }
    (order.len() == hashes.len()).then_some(order)
}

fn fill(shape: &Shape, order: &[(u64, usize)]) -> Vec<u8> {
    let mut fingerprints = vec![0u8; shape.slots()];
    for (mixed, slot) in order.iter().rev() {
        let others = shape.places(*mixed).iter().fold(0, |sum, place| sum ^ fingerprints[*place]);
        fingerprints[*slot] = (fingerprint(*mixed) ^ others) & FINGERPRINT_MASK;
    }
    let mut table = vec![0u8; shape.table_bytes()];
    for (place, value) in fingerprints.iter().enumerate() {
        let bit = place * FINGERPRINT_BITS;
        let shifted = u16::from(*value) << (bit % 8);
        table[bit / 8] |= shifted as u8;
        table[bit / 8 + 1] |= (shifted >> 8) as u8;
    }
    table
}

const FINGERPRINT_MASK: u8 = (1 << FINGERPRINT_BITS) - 1;

fn fingerprint(mixed: u64) -> u8 {
    (mixed ^ (mixed >> 32)) as u8 & FINGERPRINT_MASK
}

// The finalizer of MurmurHash3: a bijection, so that distinct hashes stay distinct under every seed.
fn mix(hash: u64, seed: u64) -> u64 {
    let mut mixed = hash.wrapping_add(seed);
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(shape: &Shape, table: &[u8], hash: u64) -> bool {
        let read = |range: Range<usize>| Ok::<_, ()>(table[range].to_vec());
        shape.may_contain(hash, read).expect("reading memory cannot fail")
    }

    #[test]
    fn members_are_found_strangers_rarely_and_bytes_are_few() {
        let mut random = fastrand::Rng::with_seed(3);
        for members in [0, 1, 2, 3, 7, 100, 1_000, 8_192, 20_000, 60_000] {
            let hashes: Vec<u64> = (0..members).map(|_| random.u64(..)).collect();
            let (shape, table) = build(&mut hashes.clone());
            assert!(hashes.iter().all(|hash| contains(&shape, &table, *hash)), "{members} members");
            let strangers = 100_000;
            let wrong = (0..strangers).filter(|_| contains(&shape, &table, random.u64(..))).count();
            let (rate, bytes) = (wrong as f64 / strangers as f64, table.len() as f64 / members.max(1) as f64);
            println!("{members} members: {bytes:.3} bytes each, {:.3} % false positives", rate * 100.0);
            assert_eq!(table.len(), shape.table_bytes());
            if members >= 3 {
                assert!(rate <= 0.01, "{members} members: {rate}");
            }
            if members >= 1_000 {
                assert!(bytes <= 1.3, "{members} members: {bytes} bytes each");
            }
            let mut encoded = Vec::new();
            shape.encode(&mut encoded);
            assert_eq!(encoded.as_array().and_then(Shape::decode), Some(shape));
        }
    }

    #[test]
    fn repeated_hashes_are_one_member() {
        let mut random = fastrand::Rng::with_seed(4);
        let once: Vec<u64> = (0..5_000).map(|_| random.u64(..)).chain([0, 1, u64::MAX]).collect();
        let mut twice: Vec<u64> = once.iter().chain(&once).copied().collect();
        distinct(&mut twice);
        assert_eq!(twice, once);
        let mut hashes = vec![5; 1_000];
        let (shape, table) = build(&mut hashes);
        assert!(contains(&shape, &table, 5));
        assert_eq!(hashes, [5]);
    }

    #[test]
    fn what_is_no_filter_is_refused_and_what_is_unknown_holds_everything() {
        assert_eq!(Shape::decode(&[0xff; SHAPE_BYTES]), None);
        assert!(contains(&UNKNOWN, &[], 1));
        assert!(!contains(&EMPTY, &[], 1));
    }
}
