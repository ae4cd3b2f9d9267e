//! Variable-length integers: LEB128 for unsigned, zig-zag LEB128 for signed.
//!
//! Reading never panics and never reads past the end: a cut or overlong number (more than ten bytes, or bits beyond 64)
//! is `None`.

/// Appends `value`.
pub fn write_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

/// Appends `value`, small magnitudes short.
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
    read_long(from)
}

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
