//! The ids of orders, which are the correlation ids of all that happens because of them.

use std::sync::atomic::{AtomicU64, Ordering};

/// Makes ids: a running number for people and a number drawn at start, so that no restart repeats an id.
#[derive(Debug)]
pub(crate) struct OrderIds {
    run: u32,
    made: AtomicU64,
}

impl OrderIds {
    pub(crate) fn for_this_run() -> Self {
        Self { run: fastrand::u32(..), made: AtomicU64::new(0) }
    }

    pub(crate) fn next(&self) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        format!("order-{number:06}-{:08x}", self.run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_count_up_and_differ_between_runs() {
        let first = OrderIds { run: 0xab12_cd34, made: AtomicU64::new(122) };
        assert_eq!(first.next(), "order-000123-ab12cd34");
        assert_eq!(first.next(), "order-000124-ab12cd34");
        let second = OrderIds { run: 7, made: AtomicU64::new(122) };
        assert_eq!(second.next(), "order-000123-00000007");
    }
}
