//! The bytes of a simulated file, and which of them a power cut leaves.

use std::ops::Range;

// What a disk writes at once. Pages are written in any order.
const PAGE_BYTES: usize = 4096;

/// The same numbers for the same seed (splitmix64).
#[derive(Clone, Copy, Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub(super) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// What a process reads.
    pub(super) bytes: Vec<u8>,
    /// Up to where the system believes that all is on the disk.
    pub(super) clean: usize,
    /// What it is wrong about: pages of a sync that failed.
    pub(super) lost: Vec<Range<usize>>,
}

impl Inode {
    /// The same, all of it on the disk.
    pub(super) fn synced(&self) -> Inode {
        Inode { bytes: self.bytes.clone(), clean: self.bytes.len(), lost: Vec::new() }
    }

    /// Writes what is not clean to the disk, or only some of it, and believes that it is all of it.
    pub(super) fn sync(&mut self, lose: Option<&mut Random>) {
        if let Some(random) = lose {
            let pages: Vec<Range<usize>> = pages(self.clean..self.bytes.len()).collect();
            self.lost.extend(pages.into_iter().filter(|_| random.one_in(2)));
        }
        self.clean = self.bytes.len();
    }

    /// What is on the disk after a power cut: all that was synced, and of the rest any pages of any length of it.
    pub(super) fn after_power_cut(&self, random: &mut Random) -> Inode {
        let unsynced = self.bytes.len() - self.clean;
        let kept = match random.below(4) {
            0 => 0,
            1 => unsynced,
            _ => random.below(unsynced + 1),
        };
        let mut bytes = self.bytes[..self.clean + kept].to_vec();
        let torn = random.one_in(2);
        let missing = pages(self.clean..bytes.len()).filter(|_| torn && random.one_in(3));
        let missing: Vec<Range<usize>> = missing.chain(self.lost.iter().cloned()).collect();
        for range in &missing {
            bytes[range.clone()].fill(0);
        }
        // A file that was to grow may not have grown.
        let end = missing.iter().filter(|range| range.end == bytes.len()).map(|range| range.start).min();
        if let Some(end) = end.filter(|_| random.one_in(2)) {
            bytes.truncate(end);
        }
        Inode { clean: bytes.len(), bytes, lost: Vec::new() }
    }
}

// The pieces of a range that lie in one page each.
fn pages(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let (start, end) = (range.start, range.end);
    let first = start / PAGE_BYTES;
    let last = if start < end { end.div_ceil(PAGE_BYTES) } else { first };
    (first..last).map(move |page| (page * PAGE_BYTES).max(start)..((page + 1) * PAGE_BYTES).min(end))
}
