//! Durations in a bounded number of classes, for quantiles: the classes of a power of two are equally wide, 64 of them, so that
//! none is wider than 1/64 of its least duration. A quantile is the middle of its class and so less than 0.8 % off; durations
//! up to 127 ns are exact.

const CLASSES_BITS: u32 = 6;
const CLASSES: usize = 1 << CLASSES_BITS;
// One octave for what is less than 64, and one for each higher power of two of a u64.
const OCTAVES: usize = 64 - CLASSES_BITS as usize + 1;

/// Counts of durations, in nanoseconds. Takes 512 bytes for each power of two that occurs, at most 30 KiB.
#[derive(Clone, Debug)]
pub struct Sketch {
    octaves: Vec<Option<Box<[u64; CLASSES]>>>,
    count: u64,
    least: u64,
    greatest: u64,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { octaves: Vec::new(), count: 0, least: u64::MAX, greatest: 0 }
    }
}

impl Sketch {
    /// Counts a duration.
    pub fn add(&mut self, nanos: u64) {
        let (octave, class) = place(nanos);
        if self.octaves.is_empty() {
            self.octaves.resize(OCTAVES, None);
        }
        self.octaves[octave].get_or_insert_with(|| Box::new([0; CLASSES]))[class] += 1;
        self.count += 1;
        self.least = self.least.min(nanos);
        self.greatest = self.greatest.max(nanos);
    }

    /// The least duration that at least so many percent of all do not exceed; `None` if there is none.
    pub fn quantile(&self, percent: u64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let wanted = (u128::from(self.count) * u128::from(percent)).div_ceil(100);
        let mut seen = 0;
        for (octave, counts) in self.octaves.iter().enumerate() {
            for (class, count) in counts.iter().flat_map(|counts| counts.iter().enumerate()) {
                seen += u128::from(*count);
                if seen >= wanted {
                    return Some(middle(octave, class).clamp(self.least, self.greatest));
                }
            }
        }
        Some(self.greatest)
    }
}

fn place(nanos: u64) -> (usize, usize) {
    let octave = (u64::BITS - nanos.leading_zeros()).saturating_sub(CLASSES_BITS);
    match octave {
        0 => (0, nanos as usize),
        // The highest bit is the octave's own; the six after it are the class.
        _ => (octave as usize, (nanos >> (octave - 1)) as usize - CLASSES),
    }
}

fn middle(octave: usize, class: usize) -> u64 {
    match octave {
        0 => class as u64,
        _ => {
            let width = 1_u64 << (octave - 1);
            (((CLASSES + class) as u64) << (octave - 1)) + width / 2
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near_the_exact_ones() {
        let seed = 3;
        let mut random = fastrand::Rng::with_seed(seed);
        for count in [1_usize, 2, 3, 10, 99, 100, 101, 5_000] {
            for bits in [1, 6, 7, 8, 20, 34, 63, 64] {
                let mut exact: Vec<u64> = (0..count).map(|_| random.u64(..) >> (64 - bits)).collect();
                let mut sketch = Sketch::default();
                exact.iter().for_each(|nanos| sketch.add(*nanos));
                exact.sort_unstable();
                for percent in [1, 50, 95, 99, 100_usize] {
                    let wanted = exact[(count * percent).div_ceil(100) - 1];
                    let found = sketch.quantile(percent as u64).expect("durations are there");
                    let off = found.abs_diff(wanted) as f64;
                    assert!(
                        off <= wanted as f64 / 128.0,
                        "{percent} % of {count} with {bits} bits: {found}, not {wanted}"
                    );
                }
            }
        }
        assert_eq!(Sketch::default().quantile(50), None);
    }

    #[test]
    fn every_duration_has_a_place_of_its_own_size() {
        for nanos in (0..300).chain([u64::MAX, u64::MAX / 2, 1 << 63, (1 << 63) - 1]) {
            let (octave, class) = place(nanos);
            assert!(octave < OCTAVES && class < CLASSES, "{nanos}");
            assert!(middle(octave, class).abs_diff(nanos) <= nanos / 128, "{nanos}");
        }
    }
}
