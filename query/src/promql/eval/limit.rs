//! `limitk` and `limit_ratio`: some series of each group, whatever they hold.

use super::choose::count;
use super::{Evaluator, Result, SeriesStream, short_number};
use crate::promql::error::PromqlError;
use crate::promql::plan::{Limit, Portion};
use crate::promql::value::{Column, Series};
use model::Labels;

impl<'a> Evaluator<'a> {
    pub(super) fn limit(self, node: &'a Limit) -> Result<SeriesStream<'a>> {
        match &node.portion {
            Portion::Count(limit) => {
                let limits = self.scalar(limit)?;
                self.first_few(node, &limits)
            }
            Portion::Share(share) => {
                let shares = self.scalar(share)?;
                self.share(node, shares)
            }
        }
    }

    // Of each group and step the first in the order of the labels.
    fn first_few(self, node: &'a Limit, limits: &Column) -> Result<SeriesStream<'a>> {
        let limits = (0..self.steps.count()).map(|index| count(limits.get(index))).collect::<Result<Vec<usize>>>()?;
        let mut kept = Vec::new();
        for members in self.groups(&node.vector, &node.by)?.into_values() {
            let mut left = limits.clone();
            for Series { labels, column, name_goes } in members {
                let column = column.filter(|index| {
                    let stays = left[index] > 0;
                    left[index] -= usize::from(stays);
                    stays
                });
                kept.push(Ok(Series { labels, column, name_goes }));
            }
        }
        Ok(Box::new(kept.into_iter().filter(super::select::has_elements)))
    }

    fn share(self, node: &'a Limit, shares: Column) -> Result<SeriesStream<'a>> {
        for index in 0..self.steps.count() {
            match shares.get(index) {
                None => return Err(not_a_number()),
                Some(share) if share.is_nan() => return Err(not_a_number()),
                Some(share) if share.abs() > 1.0 => {
                    let (share, capped) = (short_number(share), short_number(share.signum()));
                    let text = format!(
                        "PromQL warning: ratio value should be between -1 and 1, got {share}, capping to {capped}"
                    );
                    self.warn(node.position, text);
                }
                Some(_) => {}
            }
        }
        let stream = self.vector(&node.vector)?.map(move |series| {
            let Series { labels, column, name_goes } = series?;
            let place = place_of(&labels);
            let column = column.filter(|index| is_sampled(place, shares.get(index).unwrap_or(0.0).clamp(-1.0, 1.0)));
            Ok(Series { labels, column, name_goes })
        });
        Ok(Box::new(stream.filter(super::select::has_elements)))
    }
}

fn not_a_number() -> PromqlError {
    PromqlError::Execution("Ratio value is NaN".to_owned())
}

// A share and what it lacks to 1, taken negatively, choose complements.
fn is_sampled(place: f64, share: f64) -> bool {
    if share >= 0.0 { place < share } else { place >= 1.0 + share }
}

// Where between 0 and 1 a label set stands, always and for everybody the same.
fn place_of(labels: &Labels) -> f64 {
    let mut bytes = Vec::new();
    for text in labels.iter().flat_map(|(name, value)| [name, value]) {
        // Prometheus hashes the form in which it holds labels: each text behind its length.
        match u8::try_from(text.len()) {
            Ok(length) if length < u8::MAX => bytes.push(length),
            _ => {
                bytes.push(u8::MAX);
                bytes.extend(&(text.len() as u32).to_le_bytes()[..3]);
            }
        }
        bytes.extend(text.as_bytes());
    }
    xxhash64(&bytes) as f64 / u64::MAX as f64
}

const PRIMES: [u64; 5] =
    [0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9, 0x85EB_CA77_C2B2_AE63, 0x27D4_EB2F_1656_67C5];

// xxHash with 64 bits and the seed 0: <https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>.
fn xxhash64(bytes: &[u8]) -> u64 {
    let [one, two, three, four, five] = PRIMES;
    let round = |lane: u64, input: u64| lane.wrapping_add(input.wrapping_mul(two)).rotate_left(31).wrapping_mul(one);
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    let stripes = bytes.chunks_exact(32);
    let mut rest = stripes.remainder();
    let mut hash = if bytes.len() < 32 {
        five
    } else {
        let mut lanes = [one.wrapping_add(two), two, 0, 0u64.wrapping_sub(one)];
        for stripe in stripes {
            for (lane, input) in lanes.iter_mut().zip(stripe.chunks_exact(8)) {
                *lane = round(*lane, word(input));
            }
        }
        let turned = lanes.iter().zip([1, 7, 12, 18]).map(|(lane, by)| lane.rotate_left(by));
        let joined = turned.fold(0u64, u64::wrapping_add);
        lanes.iter().fold(joined, |hash, lane| (hash ^ round(0, *lane)).wrapping_mul(one).wrapping_add(four))
    };
    hash = hash.wrapping_add(bytes.len() as u64);
    while let Some((input, tail)) = rest.split_at_checked(8) {
        hash = (hash ^ round(0, word(input))).rotate_left(27).wrapping_mul(one).wrapping_add(four);
        rest = tail;
    }
    if let Some((input, tail)) = rest.split_at_checked(4) {
        hash = (hash ^ word(input).wrapping_mul(one)).rotate_left(23).wrapping_mul(two).wrapping_add(three);
        rest = tail;
    }
    for byte in rest {
        hash = (hash ^ u64::from(*byte).wrapping_mul(five)).rotate_left(11).wrapping_mul(one);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(two);
    hash = (hash ^ (hash >> 29)).wrapping_mul(three);
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_everybody_does() {
        // The first three are the test vectors everybody quotes; the last is longer than a stripe.
        for (text, expected) in [
            ("", 0xEF46_DB37_51D8_E999),
            ("a", 0xD24E_C4F1_A98C_6E5B),
            ("abc", 0x44BC_2CF5_AD77_0999),
            ("Nobody inspects the spammish repetition", 0xFBCE_A83C_8A37_8BF1),
        ] {
            assert_eq!(xxhash64(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn shares_are_complements() {
        for place in [0.0, 0.2, 0.5, 0.79, 0.8, 1.0] {
            assert!(is_sampled(place, 0.8) != is_sampled(place, -0.2), "{place}");
        }
        assert!(is_sampled(0.3, 1.0) && !is_sampled(0.3, 0.0) && is_sampled(0.0, -1.0));
    }
}
