//! Small steps through text: what the line formats share.

use std::ops::Range;

use super::Malformed;

/// A place in a payload that moves on.
#[derive(Debug)]
pub(crate) struct Scan<'p> {
    pub(crate) payload: &'p [u8],
    pub(crate) at: usize,
}

impl Scan<'_> {
    /// The next byte.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.payload.get(self.at).copied()
    }

    /// Steps over the next byte if it is this one.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let is = self.peek() == Some(byte);
        self.at += usize::from(is);
        is
    }

    /// Steps over the bytes that are so; where they stand.
    pub(crate) fn take(&mut self, is: impl Fn(u8) -> bool) -> Range<usize> {
        let start = self.at;
        self.at += self.payload[start..].iter().take_while(|b| is(**b)).count();
        start..self.at
    }

    /// Goes through a payload line by line: over blanks between lines and comments (from `#` on), with `line` at the first byte
    /// of everything else.
    pub(crate) fn each_line(
        mut self,
        is_blank: impl Fn(u8) -> bool,
        mut line: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        loop {
            self.take(&is_blank);
            match self.peek() {
                None => return Ok(()),
                Some(b'#') => drop(self.take(|b| b != b'\n')),
                Some(_) => line(&mut self)?,
            }
        }
    }

    /// That something is wrong here.
    pub(crate) fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { offset: self.at, what }
    }
}

/// Where the lines stand, without their ends (`\n` or `\r\n`).
pub(crate) fn lines(payload: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    payload.split_inclusive(|b| *b == b'\n').map(move |line| {
        let start = at;
        at += line.len();
        let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        start..start + line.len()
    })
}

/// The parts of a piece of the payload between separators, and where they stand.
pub(crate) fn split(payload: &[u8], piece: Range<usize>, separator: u8) -> impl Iterator<Item = Range<usize>> {
    let mut at = piece.start;
    payload[piece].split(move |b| *b == separator).map(move |part| {
        let start = at;
        at += part.len() + 1;
        start..start + part.len()
    })
}

/// Whether this is a decimal number, perhaps with a sign, a fraction and an exponent.
pub(crate) fn is_decimal(text: &[u8]) -> bool {
    let text = unsigned(text);
    let digits = |text: &[u8]| text.iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(text);
    let mut rest = &text[whole..];
    let mut fraction = 0;
    if let Some(behind) = rest.strip_prefix(b".") {
        fraction = digits(behind);
        rest = &behind[fraction..];
    }
    let exponent = match rest {
        [] => true,
        [b'e' | b'E', exponent @ ..] => {
            let exponent = unsigned(exponent);
            !exponent.is_empty() && digits(exponent) == exponent.len()
        }
        _ => false,
    };
    whole + fraction > 0 && exponent
}

/// Whether this is a decimal number, or says in letters that it is none or infinite.
pub(crate) fn is_float(text: &[u8]) -> bool {
    is_decimal(text) || ["nan", "inf", "infinity"].iter().any(|word| unsigned(text).eq_ignore_ascii_case(word.as_bytes()))
}

fn unsigned(text: &[u8]) -> &[u8] {
    match text {
        [b'+' | b'-', rest @ ..] => rest,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_from_words() {
        for text in ["0", "-1", "+1.5", ".5", "5.", "1e9", "1.5E-3", "007"] {
            assert!(is_decimal(text.as_bytes()), "{text}");
        }
        for text in ["", "-", ".", "e9", "1e", "1e+", "1.2.3", "0x1", "1_0", "NaN", "1 "] {
            assert!(!is_decimal(text.as_bytes()), "{text}");
        }
        assert!(is_float(b"NaN") && is_float(b"+Inf") && is_float(b"-infinity") && !is_float(b"+"));
    }

    #[test]
    fn lines_and_parts_tell_their_places() {
        let of = |payload: &'static str| lines(payload.as_bytes()).map(|at| &payload[at]).collect::<Vec<_>>();
        assert_eq!(of("a\n\nb\r\nc\rd\n"), ["a", "", "b", "c\rd"]);
        assert_eq!(of("a\r"), ["a\r"]);
        assert_eq!(of(""), [""; 0]);
        let text = b"ab,,c";
        assert_eq!(split(text, 1..5, b',').map(|at| &text[at]).collect::<Vec<_>>(), [&b"b"[..], b"", b"c"]);
    }
}
