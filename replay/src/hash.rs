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
pub(crate) fn mix(mut x: u64) -> u64 {
    x ^= x >> 30;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A key made of another key and a number.
pub(crate) fn key(of: u64, with: u64) -> u64 {
    mix(of.wrapping_add(ODD) ^ fold(with ^ LEFT, RIGHT))
}

/// A hash of bytes.
pub(crate) fn bytes(key: u64, bytes: &[u8]) -> u64 {
    mix(absorb(key ^ LEFT, bytes))
}

/// A hash of a tag: its part of the hash of a series, which is a sum, so that the order of tags says nothing.
pub(crate) fn tag(name: &[u8], value: &[u8]) -> u64 {
    mix(absorb(absorb(LEFT, name), value))
}

/// Goes on with bytes; their number is part of it, so that what stands next to each other cannot be taken for one.
fn absorb(mut state: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), RIGHT ^ ODD).wrapping_add(ODD);
    }
    state.rotate_left(23) ^ fold(state ^ tail(rest), ODD ^ ((bytes.len() as u64) << 1))
}

/// Up to seven bytes as a number; of the same number of bytes different ones give different numbers.
fn tail(rest: &[u8]) -> u64 {
    match (rest.first_chunk::<4>(), rest.last_chunk::<4>(), rest) {
        (Some(first), Some(last), _) => u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32,
        (_, _, [a]) => u64::from(*a),
        (_, _, [a, b]) => u64::from(u16::from_le_bytes([*a, *b])),
        (_, _, [a, b, c]) => u64::from(u32::from_le_bytes([*a, *b, *c, 0])),
        _ => 0,
    }
}

/// A hash as a number below `end`.
pub(crate) fn below(hash: u64, end: u64) -> u64 {
    u64::try_from((u128::from(hash) * u128::from(end)) >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn near_texts_have_far_hashes() {
        let mut seen = HashSet::new();
        let mut ones = [0u32; 64];
        let texts: Vec<Vec<u8>> = (0..40usize).flat_map(|len| (0..250u8).map(move |n| vec![n; len])).collect();
        for text in texts.iter().filter(|text| !text.is_empty()) {
            let hash = bytes(7, text);
            assert!(seen.insert(hash), "{text:?}");
            for (bit, ones) in ones.iter_mut().enumerate() {
                *ones += u32::from(hash >> bit & 1 == 1);
            }
        }
        let half = u32::try_from(seen.len() / 2).expect("few");
        assert!(ones.iter().all(|ones| ones.abs_diff(half) < 300), "{ones:?}");
    }

    #[test]
    fn a_tag_s_name_and_value_are_told_apart() {
        assert_ne!(tag(b"ab", b"c"), tag(b"a", b"bc"));
        assert_ne!(tag(b"a", b"b"), tag(b"b", b"a"));
        assert_ne!(tag(b"", b"a"), tag(b"a", b""));
        assert_ne!(bytes(1, b"a"), bytes(1, b"a\0"));
        assert_ne!(bytes(1, b"abcdefgh"), bytes(1, b"abcdefgh\0"));
    }
}
