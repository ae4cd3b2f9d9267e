//! A keyed 64-bit hash: the same on every machine. Not for adversaries; for choosing phases and counters.

const K: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93];

/// Two numbers into one.
#[must_use]
pub fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ K[0]) * u128::from(b ^ K[1]);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
    let (low, high) = (product as u64, (product >> 64) as u64);
    let x = low ^ high ^ a.rotate_left(23) ^ b.rotate_left(41);
    (x ^ (x >> 29)).wrapping_mul(K[0]) ^ (x >> 32)
}

/// The hash of some bytes.
#[must_use]
pub fn bytes(seed: u64, data: &[u8]) -> u64 {
    let (words, rest) = data.as_chunks::<8>();
    let mut hash = mix(seed, data.len() as u64);
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(hash, u64::from_le_bytes(last))
}

/// A hash as a number below `end`.
#[must_use]
pub fn below(hash: u64, end: u64) -> u64 {
    u64::try_from((u128::from(hash) * u128::from(end)) >> 64).unwrap_or(0)
}
