//! The shards of orders: a customer's orders are all in one, which the customer's name alone decides on.

/// One of the databases of orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Shard(usize);

const NAMESPACES: [&str; 2] = ["orders_0", "orders_1"];

impl Shard {
    /// How many there are. Another number would send most customers elsewhere, away from their orders: it is for a shop's whole life.
    pub(crate) const COUNT: usize = NAMESPACES.len();

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// The shard of a customer: FNV-1a with 64 bits over the name's UTF-8, its halves folded together, modulo the number of shards. Every process and every version finds the same one,
    /// which the standard library's hashes do not promise.
    pub(crate) fn of(customer: &str) -> Self {
        let fnv = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        let hash = customer.bytes().fold(0xcbf2_9ce4_8422_2325, fnv);
        // The low bits of FNV alone know only the low bits of each byte. Less than COUNT, which is a usize.
        Self(((hash ^ (hash >> 32)) % Self::COUNT as u64) as usize)
    }

    pub(crate) fn number(self) -> usize {
        self.0
    }

    /// Its `db.namespace`, file and schema.
    pub(crate) fn namespace(self) -> &'static str {
        NAMESPACES[self.0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customer_stays_where_the_first_version_put_it() {
        for (customer, shard) in [("", 1), ("ada", 0), ("grace", 0), ("customer-17", 0), ("Zoë", 1)] {
            assert_eq!(Shard::of(customer).number(), shard, "{customer}");
        }
    }

    #[test]
    fn customers_are_spread_evenly() {
        let mut counts = [0_usize; Shard::COUNT];
        for number in 0..10_000 {
            counts[Shard::of(&format!("customer-{number}")).number()] += 1;
        }
        let even = 10_000 / Shard::COUNT;
        assert!(counts.iter().all(|count| count.abs_diff(even) < even / 20), "{counts:?}");
    }
}
