//! Numbers as digits, without allocating.

/// Appends a number in decimal, padded with zeros to this width.
pub(crate) fn push_decimal(out: &mut Vec<u8>, number: u64, width: usize) {
    push(out, number, width, 10, b'a');
}

/// Appends a number in hexadecimal, padded with zeros to this width.
pub(crate) fn push_hex(out: &mut Vec<u8>, number: u64, width: usize, upper: bool) {
    push(out, number, width, 16, if upper { b'A' } else { b'a' });
}

fn push(out: &mut Vec<u8>, mut number: u64, width: usize, base: u64, letter: u8) {
    let mut buffer = [0u8; 20];
    let mut at = buffer.len();
    loop {
        // Below the base, so it fits.
        let digit = u8::try_from(number % base).unwrap_or(0);
        at -= 1;
        buffer[at] = if digit < 10 { b'0' + digit } else { letter + digit - 10 };
        number /= base;
        if number == 0 {
            break;
        }
    }
    let digits = &buffer[at..];
    out.resize(out.len() + width.saturating_sub(digits.len()), b'0');
    out.extend_from_slice(digits);
}
