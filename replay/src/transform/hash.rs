//! A keyed hash of bytes and a bijection of numbers. What they give is part of what a run sends (promise 8), so they are
//! dejaq's own, and held by golden bytes: a library's hash may change with its version.

const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
const LEFT: u64 = 0xA076_1D64_78BD_642F;
const RIGHT: u64 = 0xE703_7ED1_A0B4_28DB;

/// The high and the low half of a product, folded.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
    let (low, high) = (product as u64, (product >> 64) as u64);
    low ^ high
}

/// A bijection of 64 bits that leaves no pattern (the end of SplitMix64).
pub(super) fn mix(mut x: u64) -> u64 {
    x ^= x >> 30;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A key made of another key and a number.
pub(super) fn key(of: u64, with: u64) -> u64 {
    mix(of.wrapping_add(ODD) ^ fold(with ^ LEFT, RIGHT))
}

/// A hash of bytes.
pub(super) fn hash(key: u64, bytes: &[u8]) -> u64 {
    let mut state = key ^ LEFT;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), RIGHT ^ ODD);
        state = state.rotate_left(23).wrapping_add(ODD);
    }
    let mut last = [0u8; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(fold(state ^ u64::from_le_bytes(last), RIGHT ^ ODD) ^ fold(bytes.len() as u64 ^ LEFT, ODD) ^ state.rotate_left(17))
}

/// A hash of a tag: its part of the hash of a series, which is a sum, so that the order of tags says nothing.
pub(super) fn tag(name: &[u8], value: &[u8]) -> u64 {
    hash(hash(LEFT, name), value)
}

/// A number that is not negative and below 2⁵³, rounded down.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of values and of occurrences are far below 2^53")]
pub(super) fn whole(number: f64) -> u64 {
    libm::floor(number.max(0.0)) as u64
}
