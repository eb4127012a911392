//! Messages that outlive their sender: with leases, retries and dead letters; embedded or a broker.
