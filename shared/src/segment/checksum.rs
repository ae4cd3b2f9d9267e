//! Checksums, held against what bytes should have: the one place where they are compared.
//!
//! A build for fuzzing (`fuzz/`) takes every checksum as right: no fuzzer guesses one, and what lies behind would never be
//! tried. What an attacker writes has right checksums too.

/// Whether a computed checksum is the stored one.
#[inline]
pub(super) fn is_right(computed: u32, stored: u32) -> bool {
    computed == stored || cfg!(fuzzing)
}

/// Whether bytes have the checksum that is stored behind them, little-endian.
#[inline]
pub(super) fn closes(stored: &[u8], bytes: &[u8]) -> bool {
    stored.try_into().is_ok_and(|stored| is_right(crc32c::crc32c(bytes), u32::from_le_bytes(stored)))
}
