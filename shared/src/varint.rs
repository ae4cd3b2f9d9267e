//! Variable-length integers: LEB128 for unsigned, zig-zag LEB128 for signed.
//!
//! Reading never panics and never reads past the end: a cut or overlong number (more than ten bytes, or bits beyond 64)
//! is `None`.

/// Appends `value`.
#[inline]
pub fn write_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Appends `value`, small magnitudes short.
#[inline]
pub fn write_i64(out: &mut Vec<u8>, value: i64) {
    write_u64(out, zigzag(value));
}

/// Takes one number from the front of `from`.
#[inline]
pub fn read_u64(from: &mut &[u8]) -> Option<u64> {
    let (&first, rest) = from.split_first()?;
    if first < 0x80 {
        *from = rest;
        return Some(u64::from(first));
    }
    // Numbers of two to eight bytes with as many more behind them: no loop, no branch that depends on the length.
    if let Some(next) = from.first_chunk::<8>() {
        let word = u64::from_le_bytes(*next);
        let ends = !word & 0x8080_8080_8080_8080;
        if ends != 0 {
            let bits = ends.trailing_zeros() + 1;
            *from = &from[(bits / 8) as usize..];
            return Some(join_sevens(word & (u64::MAX >> (64 - bits))));
        }
    }
    read_long(from)
}

/// Pushes the low seven bits of each byte together.
#[inline]
fn join_sevens(word: u64) -> u64 {
    let pairs = (word & 0x007f_007f_007f_007f) | (word & 0x7f00_7f00_7f00_7f00) >> 1;
    let fours = (pairs & 0x0000_3fff_0000_3fff) | (pairs & 0x3fff_0000_3fff_0000) >> 2;
    (fours & 0x0fff_ffff) | (fours & 0x0fff_ffff_0000_0000) >> 4
}

#[cold]
fn read_long(from: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (i, &byte) in from.iter().take(10).enumerate() {
        let low = u64::from(byte & 0x7f);
        if i == 9 && byte > 1 {
            return None;
        }
        value |= low << (7 * i);
        if byte < 0x80 {
            *from = &from[i + 1..];
            return Some(value);
        }
    }
    None
}

/// Takes one signed number from the front of `from`.
#[inline]
pub fn read_i64(from: &mut &[u8]) -> Option<i64> {
    read_u64(from).map(unzigzag)
}

/// Maps signed to unsigned so that small magnitudes are small numbers.
#[inline]
#[must_use]
pub fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The inverse of [`zigzag`].
#[inline]
#[must_use]
pub fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(unsigned in any::<u64>(), signed in any::<i64>()) {
            let mut out = Vec::new();
            write_u64(&mut out, unsigned);
            write_i64(&mut out, signed);
            let mut rest = out.as_slice();
            prop_assert_eq!(read_u64(&mut rest), Some(unsigned));
            prop_assert_eq!(read_i64(&mut rest), Some(signed));
            prop_assert!(rest.is_empty());
        }
    }

    proptest! {
        /// The fast way and the loop agree on any bytes, well formed or not: value and what is left.
        #[test]
        fn both_ways_of_reading_agree(bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x80u8..], 0..14)) {
            let (mut fast, mut slow) = (bytes.as_slice(), bytes.as_slice());
            prop_assert_eq!(read_u64(&mut fast), read_long(&mut slow));
            prop_assert_eq!(fast, slow);
        }
    }

    #[test]
    fn a_cut_or_overlong_number_is_none() {
        assert_eq!(read_u64(&mut [0x80u8].as_slice()), None);
        assert_eq!(read_u64(&mut [].as_slice()), None);
        assert_eq!(read_u64(&mut [0xffu8; 11].as_slice()), None);
        let mut max = Vec::new();
        write_u64(&mut max, u64::MAX);
        assert_eq!(max.len(), 10);
        max[9] = 2;
        assert_eq!(read_u64(&mut max.as_slice()), None);
    }
}
