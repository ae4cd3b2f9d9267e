//! Values that look like a recorded one: a UUID stays a UUID, an address an address, a hexadecimal id keeps its width, a
//! number in a name is counted up with its width kept, a plain word gets a number. Different indices have different values.

use std::io::Write as _;

use super::permutation::Permutation;
use crate::digits::{push_decimal, push_hex};
use crate::hash::{self, key, mix};

/// How values look.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// 8-4-4-4-12 hexadecimal digits.
    Uuid { version: u8, upper: bool, key: u64 },
    /// Four numbers; what stands behind (a port) is kept.
    Ipv4 { first: u32, tail: Vec<u8> },
    /// An IPv6 address: its upper half is kept.
    Ipv6 { first: u128 },
    /// Hexadecimal digits, at least 8, behind a kept `0x`.
    Hex { prefix: Vec<u8>, width: usize, upper: bool, key: u64, narrow: Option<Permutation> },
    /// A number between two texts.
    Number { prefix: Vec<u8>, width: usize, first: u64, suffix: Vec<u8> },
}

/// Digits that a 64-bit number has in hexadecimal.
const HEX_64: usize = 16;
/// The widest number that is counted up; in a longer run of digits the last ones are.
const DIGITS_MAX: usize = 12;

impl Shape {
    /// The shape of a recorded value. `asked` values are to be written.
    pub(super) fn of(value: &[u8], asked: u64, seed: u64) -> Self {
        uuid(value, seed)
            .or_else(|| ipv4(value))
            .or_else(|| ipv6(value))
            .or_else(|| hex(value, asked, seed))
            .unwrap_or_else(|| number(value))
    }

    /// Appends the value with an index.
    pub(super) fn write(&self, index: u64, out: &mut Vec<u8>) {
        match self {
            Self::Uuid { version, upper, key: seed } => {
                let (a, b) = (mix(index ^ seed), key(*seed, index));
                // The upper half of the index's bijection and 4 bits of its lower half stand outside of the fixed digits.
                push_hex(out, a >> 32, 8, *upper);
                out.push(b'-');
                push_hex(out, (a >> 16) & 0xFFFF, 4, *upper);
                out.extend_from_slice(&[b'-', *version]);
                push_hex(out, (a >> 4) & 0xFFF, 3, *upper);
                out.push(b'-');
                push_hex(out, 0x8000 | ((b >> 48) & 0x3FFF), 4, *upper);
                out.push(b'-');
                push_hex(out, (a & 0xF) << 44 | (b & 0xFFF_FFFF_FFFF), 12, *upper);
            }
            Self::Ipv4 { first, tail } => {
                // Far below 2³²: ASKED_MAX.
                let low = u32::try_from(index).unwrap_or(u32::MAX);
                // While 16 million addresses are enough, the first number stays.
                let moved =
                    if low < 1 << 24 { (first & 0xFF00_0000) | (first.wrapping_add(low) & 0x00FF_FFFF) } else { first.wrapping_add(low) };
                let [a, b, c, d] = moved.to_be_bytes();
                for (ix, part) in [a, b, c, d].into_iter().enumerate() {
                    if ix > 0 {
                        out.push(b'.');
                    }
                    push_decimal(out, part.into(), 0);
                }
                out.extend_from_slice(tail);
            }
            Self::Ipv6 { first } => {
                let low = u64::try_from(first & u128::from(u64::MAX)).unwrap_or(0).wrapping_add(index);
                let address = std::net::Ipv6Addr::from_bits(first >> 64 << 64 | u128::from(low));
                // A vector takes everything.
                let _ = write!(out, "{address}");
            }
            Self::Hex { prefix, width, upper, key: seed, narrow } => {
                out.extend_from_slice(prefix);
                match narrow {
                    Some(permutation) => push_hex(out, permutation.at(index), *width, *upper),
                    None => {
                        push_hex(out, mix(index ^ seed), HEX_64, *upper);
                        let mut left = width - HEX_64;
                        let mut state = key(*seed, index);
                        while left > 0 {
                            let digits = left.min(HEX_64);
                            push_hex(out, state >> (64 - 4 * digits), digits, *upper);
                            state = mix(state);
                            left -= digits;
                        }
                    }
                }
            }
            Self::Number { prefix, width, first, suffix } => {
                out.extend_from_slice(prefix);
                push_decimal(out, first + index, *width);
                out.extend_from_slice(suffix);
            }
        }
    }
}

/// Whether hexadecimal digits are upper case: the first letter says it.
fn is_upper(digits: &[u8]) -> bool {
    digits.iter().find(|b| b.is_ascii_alphabetic()).is_some_and(u8::is_ascii_uppercase)
}

/// Whether a text is a UUID.
pub(super) fn is_uuid(value: &[u8]) -> bool {
    value.len() == 36
        && value.iter().enumerate().all(|(ix, b)| if matches!(ix, 8 | 13 | 18 | 23) { *b == b'-' } else { b.is_ascii_hexdigit() })
}

fn uuid(value: &[u8], seed: u64) -> Option<Shape> {
    is_uuid(value).then(|| Shape::Uuid { version: value[14], upper: is_upper(value), key: seed })
}

fn ipv4(value: &[u8]) -> Option<Shape> {
    let end = value.iter().position(|b| !b.is_ascii_digit() && *b != b'.').unwrap_or(value.len());
    let (address, tail) = value.split_at(end);
    if !tail.is_empty() && !matches!(tail[0], b':' | b'/') {
        return None;
    }
    let address: std::net::Ipv4Addr = std::str::from_utf8(address).ok()?.parse().ok()?;
    Some(Shape::Ipv4 { first: address.to_bits(), tail: tail.to_vec() })
}

fn ipv6(value: &[u8]) -> Option<Shape> {
    let address: std::net::Ipv6Addr = std::str::from_utf8(value).ok()?.parse().ok()?;
    Some(Shape::Ipv6 { first: address.to_bits() })
}

fn hex(value: &[u8], asked: u64, seed: u64) -> Option<Shape> {
    let (prefix, digits) = match value {
        [b'0', b'x' | b'X', rest @ ..] => value.split_at(value.len() - rest.len()),
        _ => (&[][..], value),
    };
    let is_id = digits.len() >= 8 && digits.iter().all(u8::is_ascii_hexdigit);
    let letters = digits.iter().any(u8::is_ascii_alphabetic) && digits.iter().any(u8::is_ascii_digit);
    if !is_id || (!letters && prefix.is_empty()) {
        return None;
    }
    // 8 digits are more than a rule may ask for.
    let width = digits.len();
    let narrow = (width < HEX_64).then(|| Permutation::new((1u64 << (4 * width)).max(asked), seed));
    Some(Shape::Hex { prefix: prefix.to_vec(), width, upper: is_upper(digits), key: seed, narrow })
}

fn number(value: &[u8]) -> Shape {
    let decimal = std::str::from_utf8(value).is_ok_and(|text| text.contains('.') && text.parse::<f64>().is_ok());
    let mut best = 0..0;
    let mut at = 0;
    while at < value.len() {
        let len = value[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        // The longest run of digits, the last of equals; of a fraction the whole part, since 1.50 is 1.5.
        if len > 0 && (if decimal { best.is_empty() } else { len >= best.len() }) {
            best = at..at + len;
        }
        at += len.max(1);
    }
    if best.is_empty() {
        let mut prefix = value.to_vec();
        if !value.is_empty() {
            prefix.push(b'-');
        }
        return Shape::Number { prefix, width: 0, first: 0, suffix: Vec::new() };
    }
    if best.len() > DIGITS_MAX {
        best.start = best.end - DIGITS_MAX;
    }
    let width = best.len();
    // A number that begins with another digit than 0 stays one: JSON knows no 007.
    let whole = best.start > 0 && value[best.start - 1].is_ascii_digit();
    let first = if value[best.start] == b'0' || whole { 0 } else { 10u64.pow(u32::try_from(width).unwrap_or(1) - 1) };
    Shape::Number { prefix: value[..best.start].to_vec(), width, first, suffix: value[best.end..].to_vec() }
}

/// Appends what a recorded value becomes in a copy or a pass (`pick = "fresh"`): ids that are random stay so, and of others
/// the copy and the pass are written behind.
pub(super) fn fresh(value: &[u8], copy: u32, pass: u32, seed: u64, out: &mut Vec<u8>) {
    let occasion = key(key(seed, copy.into()), pass.into());
    let hashed = hash::bytes(occasion, value);
    let hex_id = value.len() >= HEX_64 && value.iter().all(u8::is_ascii_hexdigit) && value.iter().any(u8::is_ascii_alphabetic);
    if is_uuid(value) {
        // 122 bits of a keyed hash: two of them are never the same.
        Shape::Uuid { version: value[14], upper: is_upper(value), key: key(occasion, hashed) }.write(hashed, out);
    } else if hex_id {
        Shape::Hex { prefix: Vec::new(), width: value.len(), upper: is_upper(value), key: key(occasion, hashed), narrow: None }
            .write(hashed, out);
    } else if !value.is_empty() && value.iter().all(u8::is_ascii_digit) {
        // Only digits, and yet it can be told apart what belongs to what: each number's own length stands behind it.
        out.extend_from_slice(value);
        for number in [copy, pass] {
            let start = out.len();
            push_decimal(out, number.into(), 0);
            let len = (out.len() - start) as u64;
            push_decimal(out, len % 10, 0);
        }
    } else {
        out.extend_from_slice(value);
        out.push(b'~');
        push_decimal(out, copy.into(), 0);
        out.push(b'.');
        push_decimal(out, pass.into(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeSet, HashSet};

    fn written(like: &str, index: u64) -> String {
        let mut out = Vec::new();
        Shape::of(like.as_bytes(), 1_000_000, 7).write(index, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn values_look_like_the_recorded_one() {
        assert_eq!(written("web-017.eu", 5), "web-005.eu");
        assert_eq!(written("web-017.eu", 1_234), "web-1234.eu");
        assert_eq!(written("host17", 3), "host13");
        assert_eq!(written("4217", 0), "1000");
        assert_eq!(written("prod", 12), "prod-12");
        assert_eq!(written("", 3), "3");
        assert_eq!(written("1.50", 3), "4.50");
        assert_eq!(written("10.0.0.250", 10), "10.0.1.4");
        assert_eq!(written("10.0.0.1:8080", 1), "10.0.0.2:8080");
        assert_eq!(written("2001:db8::1", 15), "2001:db8::10");
        let uuid = written("3F2504E0-4F89-41D3-9A0C-0305E82C3301", 1);
        assert!(is_uuid(uuid.as_bytes()) && uuid.as_bytes()[14] == b'4' && uuid == uuid.to_uppercase(), "{uuid}");
        assert!(matches!(uuid.as_bytes()[19], b'8' | b'9' | b'A' | b'B'), "{uuid}");
        let hex = written("0xdeadbeef01", 1);
        assert!(hex.starts_with("0x") && hex.len() == 12, "{hex}");
        assert_eq!(written("7b1c0d2e4f5a69788796a5b4c3d2e1f0", 1).len(), 32);
    }

    #[test]
    fn fresh_numbers_that_could_be_taken_for_each_other_are_not() {
        let mut seen = HashSet::new();
        for (value, copy, pass) in (0..130).flat_map(|value| (0..130).flat_map(move |copy| (0..12).map(move |pass| (value, copy, pass)))) {
            let mut out = Vec::new();
            fresh(format!("{value}").as_bytes(), copy, pass, 5, &mut out);
            assert!(seen.insert(out), "{value}, copy {copy}, pass {pass}");
        }
    }

    proptest! {
        #[test]
        fn different_indices_have_different_values(
            like in "[a-z0-9.:-]{0,20}|[0-9a-f]{8,40}|[0-9]{1,20}|[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|10\\.[0-9]{1,2}\\.0\\.1",
            from in 0u64..20_000_000,
        ) {
            let shape = Shape::of(like.as_bytes(), 1 << 27, 3);
            let indices: BTreeSet<u64> = (0..300).chain(from..from + 300).collect();
            let mut seen = HashSet::new();
            for index in indices {
                let mut out = Vec::new();
                shape.write(index, &mut out);
                prop_assert!(seen.insert(out), "{like}: {index}");
            }
        }

        #[test]
        fn a_fresh_value_tells_original_copy_and_pass(a in "[0-9]{1,12}|[a-z]{1,8}", b in "[0-9]{1,12}|[a-z]{1,8}", x in (0u32..2_000, 0u32..2_000), y in (0u32..2_000, 0u32..2_000)) {
            let written = |value: &str, at: (u32, u32)| {
                let mut out = Vec::new();
                fresh(value.as_bytes(), at.0, at.1, 5, &mut out);
                out
            };
            prop_assert_eq!(written(&a, x) == written(&b, y), a == b && x == y);
        }
    }
}
