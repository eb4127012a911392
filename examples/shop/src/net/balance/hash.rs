//! Rendezvous hashing: each client ranks the instances by a hash of both names. One that is lost moves only its own clients, each to its second best.

/// How much this client wants this instance.
pub(super) fn score(client: &str, instance: &str) -> u64 {
    // FNV-1a, the same in every process and version, and then mixed, since its last bytes hardly reach its upper bits.
    let bytes = client.bytes().chain([0xff]).chain(instance.bytes());
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
