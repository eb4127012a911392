//! The best rows of a search, of which it has seen more: kept without order, chosen when there are too many.

use crate::limits::PAGE_ROWS_MAX;

/// The best so many rows seen, and some that were among them once.
pub struct Best {
    limit: usize,
    ranked: Vec<Ranked>,
    // The worst of the best at some moment: what is no better is none of them, nor will be.
    worst: Option<Ranked>,
}

/// A row and its rank in the order asked for: the least comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ranked {
    /// By timestamp and `ingest_seq`, so that it grows along the order.
    pub rank: (i64, u64),
    /// Granule and row: exemplars of one point may share time and number, and must not change places between two reads.
    pub position: (u32, u32),
}

impl Best {
    /// None yet, of `limit` at most.
    pub fn new(limit: usize) -> Self {
        Self { limit, ranked: Vec::new(), worst: None }
    }

    /// One more row. Half as many more are kept before the best of them are chosen: a heap would move each row as often as it
    /// has levels.
    pub fn offer(&mut self, row: Ranked) {
        if self.worst.is_none_or(|worst| row < worst) {
            self.ranked.push(row);
            if self.ranked.len() > self.limit.saturating_add(self.limit / 2) {
                self.choose();
            }
        }
    }

    /// Whether no row of this time rank or a later one can be among the best.
    pub fn is_complete_before(&mut self, time_rank: i64) -> bool {
        // Of a small page it spares reading one more granule. Of a large one, what `offer` knows does.
        if self.ranked.len() >= self.limit && (self.worst.is_none() || self.limit <= PAGE_ROWS_MAX) {
            self.choose();
        }
        self.worst.is_some_and(|worst| worst.rank.0 < time_rank)
    }

    /// How many rows it holds.
    pub fn kept(&self) -> usize {
        self.ranked.len()
    }

    /// Takes out the rows of an earlier time rank, in order; the limit becomes less by their number.
    pub fn take_before(&mut self, time_rank: i64) -> Vec<Ranked> {
        let rows = self.ranked.extract_if(.., |row| row.rank.0 < time_rank).collect();
        self.sorted(rows)
    }

    /// Takes out all of them, in order.
    pub fn take_all(&mut self) -> Vec<Ranked> {
        let rows = std::mem::take(&mut self.ranked);
        self.sorted(rows)
    }

    fn sorted(&mut self, mut rows: Vec<Ranked>) -> Vec<Ranked> {
        // Granules are in order, or in the opposite one: such a sort only joins them.
        rows.sort();
        rows.truncate(self.limit);
        self.limit -= rows.len();
        rows
    }

    fn choose(&mut self) {
        let Some(last) = self.limit.checked_sub(1) else { return };
        if last < self.ranked.len() {
            let (_, worst, _) = self.ranked.select_nth_unstable(last);
            self.worst = Some(*worst);
            self.ranked.truncate(self.limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Whatever comes in whatever order, the best are what sorting everything gives.
    #[test]
    fn the_best_rows_are_kept() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..300 {
            let (rows, limit, times) = (random.u32(0..400), random.usize(1..60), random.i64(1..50));
            let mut all = Vec::new();
            let mut kept = Best::new(limit);
            for row in 0..rows {
                let granule = row / 10;
                let ranked = Ranked { rank: (random.i64(0..times), u64::from(row)), position: (granule, row % 10) };
                all.push(ranked);
                kept.offer(ranked);
                let rank = random.i64(0..times);
                let mut best = all.clone();
                best.sort_unstable();
                let complete = best.get(limit - 1).is_some_and(|worst| worst.rank.0 < rank);
                assert_eq!(kept.is_complete_before(rank), complete, "{limit} of {all:?} before {rank}");
            }
            all.sort_unstable();
            all.truncate(limit);
            // In two goes, as who streams takes them.
            let mut taken = kept.take_before(random.i64(0..times));
            taken.extend(kept.take_all());
            assert_eq!(taken, all);
        }
    }
}
