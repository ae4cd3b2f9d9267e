//! Patterns of values: `host-{n:05}`. `{n}` is the value's index; `{n:05}` pads it with zeros to five digits, `{n:x}` and
//! `{n:08x}` write it in hexadecimal. `{{` and `}}` are braces. There is at least one `{n}`, so that different indices have
//! different texts.

use super::template::{Piece, pieces};
use crate::digits::{push_decimal, push_hex};

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    pieces: Vec<Piece<Index>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Index {
    width: usize,
    hex: bool,
}

const WIDTH_MAX: usize = 64;

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let pieces = pieces(text, placeholder)?;
        if pieces.iter().any(|piece| matches!(piece, Piece::Hole(_))) {
            return Ok(Self { pieces });
        }
        Err("no {n} in it: all values would be the same".to_owned())
    }

    /// Appends the value with an index.
    pub fn write(&self, index: u64, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Hole(Index { width, hex: false }) => push_decimal(out, index, *width),
                Piece::Hole(Index { width, hex: true }) => push_hex(out, index, *width, false),
            }
        }
    }
}

fn placeholder(inside: &str) -> Result<Index, String> {
    let refuse = || format!("{{{inside}}} is none of {{n}}, {{n:05}}, {{n:x}}, {{n:08x}}");
    let (name, form) = inside.split_once(':').unwrap_or((inside, ""));
    if name.trim() != "n" || (inside.contains(':') && form.is_empty()) {
        return Err(refuse());
    }
    let (width, hex) = form.strip_suffix('x').map_or((form, false), |width| (width, true));
    if width.is_empty() {
        return Ok(Index { width: 0, hex });
    }
    let digits = width.strip_prefix('0').filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit())).ok_or_else(refuse)?;
    let width = digits.parse().ok().filter(|w| *w <= WIDTH_MAX).ok_or_else(refuse)?;
    Ok(Index { width, hex })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pattern: &str, index: u64) -> String {
        let mut out = Vec::new();
        Pattern::parse(pattern).expect(pattern).write(index, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn an_index_is_padded_and_braces_are_doubled() {
        assert_eq!(written("host-{n:05}.eu", 42), "host-00042.eu");
        assert_eq!(written("{n}", 1_234_567), "1234567");
        assert_eq!(written("{n:03}", 1_234_567), "1234567");
        assert_eq!(written("{{x}}{n:x}/{n:04x}", 255), "{x}ff/00ff");
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, why) in [
            ("host", "no {n} in it"),
            ("host-{n", "a brace without its partner"),
            ("host-n}", "a brace without its partner"),
            ("{m}", "{m} is none of {n}"),
            ("{n:}", "{n:} is none of"),
            ("{n:5}", "{n:5} is none of"),
            ("{n:0}", "{n:0} is none of"),
            ("{n:0999}", "{n:0999} is none of"),
        ] {
            let error = Pattern::parse(text).expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
