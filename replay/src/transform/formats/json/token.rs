//! JSON token by token, as places in the document: nothing is copied, nothing allocated, nothing is called again inside
//! itself however deep the document is.
//!
//! Strict RFC 8259: one document, UTF-8 without a byte order mark, no comments, no trailing commas, no control characters in
//! strings, no number that the grammar does not have. Documents nested deeper than [`DEPTH_MAX`] are refused, although the
//! grammar has them. Lone surrogates (`\ud800`) are of the grammar and are read as U+FFFD.

use std::ops::Range;

use crate::transform::formats::Malformed;

/// How many arrays and objects may be open at once.
pub(crate) const DEPTH_MAX: usize = 1024;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// `{`
    ObjectOpen,
    /// `}`
    ObjectClose,
    /// `[`
    ArrayOpen,
    /// `]`
    ArrayClose,
    /// A member's name; its colon is behind it.
    Key,
    /// A string that is a value.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// `null`
    Null,
}

/// One token and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    /// What it is.
    pub(crate) kind: TokenKind,
    /// Its first byte; of keys and strings the quote.
    pub(crate) start: usize,
    /// The byte after its last, which of keys and strings is the quote.
    pub(crate) end: usize,
    /// A key or a string with a backslash in it.
    pub(crate) escaped: bool,
}

impl Token {
    /// Where it stands; of keys and strings with the quotes.
    pub(crate) fn raw(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Where its text stands: of keys and strings without the quotes.
    pub(crate) fn text(&self) -> Range<usize> {
        match self.kind {
            TokenKind::Key | TokenKind::String => self.start + 1..self.end - 1,
            _ => self.raw(),
        }
    }
}

/// What the grammar lets come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    ValueOrClose,
    Key,
    KeyOrClose,
    CommaOrClose,
    End,
}

/// A reader of one document.
#[derive(Debug)]
pub(crate) struct Tokens<'p> {
    payload: &'p [u8],
    at: usize,
    next: Next,
    depth: usize,
    /// What is open, a bit each from the outermost: set for an object.
    objects: [u64; DEPTH_MAX / 64],
}

impl<'p> Tokens<'p> {
    /// Begins to read a document.
    ///
    /// # Errors
    /// [`Malformed`] when it is not UTF-8.
    pub(crate) fn new(payload: &'p [u8]) -> Result<Self, Malformed> {
        match std::str::from_utf8(payload) {
            Ok(_) => Ok(Self { payload, at: 0, next: Next::Value, depth: 0, objects: [0; DEPTH_MAX / 64] }),
            Err(error) => Err(Malformed { offset: error.valid_up_to(), what: "not UTF-8" }),
        }
    }

    /// How many arrays and objects are open.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The next token; `None` at the end of the document.
    ///
    /// # Errors
    /// [`Malformed`]; what comes after it means nothing.
    pub(crate) fn next(&mut self) -> Result<Option<Token>, Malformed> {
        self.skip_blanks();
        if self.next == Next::CommaOrClose && self.peek() == Some(b',') {
            self.at += 1;
            self.next = if self.in_object() { Next::Key } else { Next::Value };
            self.skip_blanks();
        }
        let byte = self.peek();
        match (self.next, byte) {
            (Next::End, None) => Ok(None),
            (Next::End, Some(_)) => Err(self.malformed("the document is over, but there is more")),
            (_, None) => Err(self.malformed("the document ends too early")),
            (Next::Key | Next::KeyOrClose, Some(b'"')) => self.key().map(Some),
            (Next::KeyOrClose, Some(b'}')) => Ok(Some(self.close(TokenKind::ObjectClose))),
            (Next::Key | Next::KeyOrClose, _) => Err(self.malformed("expected a member's name in quotes")),
            (Next::ValueOrClose, Some(b']')) => Ok(Some(self.close(TokenKind::ArrayClose))),
            (Next::CommaOrClose, Some(b'}')) if self.in_object() => Ok(Some(self.close(TokenKind::ObjectClose))),
            (Next::CommaOrClose, Some(b']')) if !self.in_object() => Ok(Some(self.close(TokenKind::ArrayClose))),
            (Next::CommaOrClose, _) => Err(self.malformed("expected a comma or the end of the array or object")),
            (Next::Value | Next::ValueOrClose, Some(byte)) => self.value(byte).map(Some),
        }
    }

    fn value(&mut self, first: u8) -> Result<Token, Malformed> {
        let start = self.at;
        let (kind, escaped) = match first {
            b'{' => return self.open(TokenKind::ObjectOpen),
            b'[' => return self.open(TokenKind::ArrayOpen),
            b'"' => (TokenKind::String, self.string()?),
            b't' => (TokenKind::Bool, self.word(b"true")?),
            b'f' => (TokenKind::Bool, self.word(b"false")?),
            b'n' => (TokenKind::Null, self.word(b"null")?),
            b'-' | b'0'..=b'9' => {
                let len = number_len(&self.payload[start..]).ok_or_else(|| self.malformed("not a number of JSON"))?;
                self.at += len;
                (TokenKind::Number, false)
            }
            _ => return Err(self.malformed("expected a value")),
        };
        self.after_value();
        Ok(Token { kind, start, end: self.at, escaped })
    }

    fn open(&mut self, kind: TokenKind) -> Result<Token, Malformed> {
        if self.depth == DEPTH_MAX {
            return Err(self.malformed("more than 1,024 arrays and objects inside each other"));
        }
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if kind == TokenKind::ObjectOpen {
            self.objects[word] |= bit;
            self.next = Next::KeyOrClose;
        } else {
            self.objects[word] &= !bit;
            self.next = Next::ValueOrClose;
        }
        self.depth += 1;
        self.at += 1;
        Ok(Token { kind, start: self.at - 1, end: self.at, escaped: false })
    }

    fn close(&mut self, kind: TokenKind) -> Token {
        self.depth -= 1;
        self.at += 1;
        self.after_value();
        Token { kind, start: self.at - 1, end: self.at, escaped: false }
    }

    fn key(&mut self) -> Result<Token, Malformed> {
        let start = self.at;
        let escaped = self.string()?;
        let end = self.at;
        self.skip_blanks();
        if self.peek() != Some(b':') {
            return Err(self.malformed("expected a colon"));
        }
        self.at += 1;
        self.next = Next::Value;
        Ok(Token { kind: TokenKind::Key, start, end, escaped })
    }

    /// Steps over a string, quotes and all; whether it has escapes.
    fn string(&mut self) -> Result<bool, Malformed> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at += plain_len(&self.payload[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.at += escape_len(&self.payload[self.at..]).ok_or_else(|| self.malformed("not an escape of JSON"))?;
                }
                Some(_) => return Err(self.malformed("a control character in a string")),
                None => return Err(self.malformed("a string without an end")),
            }
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<bool, Malformed> {
        if !self.payload[self.at..].starts_with(word) {
            return Err(self.malformed("expected a value"));
        }
        self.at += word.len();
        Ok(false)
    }

    fn after_value(&mut self) {
        self.next = if self.depth == 0 { Next::End } else { Next::CommaOrClose };
    }

    fn in_object(&self) -> bool {
        self.is_below_object(self.depth)
    }

    /// Whether the innermost of the first `depth` that are open is an object.
    pub(crate) fn is_below_object(&self, depth: usize) -> bool {
        depth.checked_sub(1).is_some_and(|top| self.objects[top / 64] >> (top % 64) & 1 == 1)
    }

    fn peek(&self) -> Option<u8> {
        self.payload.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { offset: self.at, what }
    }
}

/// How many bytes there are before a quote, a backslash, a control character or the end.
fn plain_len(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        let is = |byte: u8| {
            let differs = word ^ (ONES * u64::from(byte));
            differs.wrapping_sub(ONES) & !differs & HIGH
        };
        // Borrows can mark a byte wrongly only above one that is marked rightly.
        let marked = is(b'"') | is(b'\\') | (word.wrapping_sub(ONES * 0x20) & !word & HIGH);
        if marked != 0 {
            return at + (marked.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + bytes[at..].iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).unwrap_or(bytes.len() - at)
}

/// The length of the escape at the front.
fn escape_len(bytes: &[u8]) -> Option<usize> {
    match bytes.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => bytes.get(2..6)?.iter().all(u8::is_ascii_hexdigit).then_some(6),
        _ => None,
    }
}

/// The length of the number at the front.
fn number_len(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(bytes.first() == Some(&b'-'));
    at += match (bytes.get(at)?, digits(at)) {
        (b'0', _) => 1,
        (_, 0) => return None,
        (_, len) => len,
    };
    if bytes.get(at) == Some(&b'.') {
        let len = digits(at + 1);
        at += (len > 0).then_some(1 + len)?;
    }
    if let Some(b'e' | b'E') = bytes.get(at) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let len = digits(at);
        at += (len > 0).then_some(len)?;
    }
    Some(at)
}

/// Whether this is a number of JSON, and nothing else.
pub(crate) fn is_number(text: &[u8]) -> bool {
    number_len(text) == Some(text.len())
}

/// Appends what the text of a key or string (between the quotes, checked by [`Tokens`]) stands for.
pub(crate) fn unescape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|b| *b == b'\\') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((&letter, behind)) = rest.split_first() else { return };
        rest = behind;
        match letter {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let mut unit = take_unit(&mut rest);
                if let (0xd800..0xdc00, Some(mut low)) = (unit, rest.strip_prefix(b"\\u")) {
                    let second = take_unit(&mut low);
                    if let 0xdc00..0xe000 = second {
                        unit = 0x10000 + ((unit - 0xd800) << 10) + (second - 0xdc00);
                        rest = low;
                    }
                }
                let char = char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
            }
            other => out.push(other),
        }
    }
    out.extend_from_slice(rest);
}

/// Four hexadecimal digits from the front.
fn take_unit(rest: &mut &[u8]) -> u32 {
    let Some((digits, behind)) = rest.split_first_chunk::<4>() else { return u32::MAX };
    *rest = behind;
    digits.iter().fold(0, |unit, digit| unit << 4 | char::from(*digit).to_digit(16).unwrap_or(0))
}

/// Appends a string with its quotes; `false`, and nothing appended, if it is not UTF-8.
pub(crate) fn write_string(value: &[u8], out: &mut Vec<u8>) -> bool {
    if std::str::from_utf8(value).is_err() {
        return false;
    }
    out.push(b'"');
    for &byte in value {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                out.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
    true
}

#[cfg(test)]
mod tests;
