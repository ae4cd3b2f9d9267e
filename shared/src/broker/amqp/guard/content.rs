//! Whether lapin can read a content header, and a delivery's names. Pure, and without recursion.
//!
//! Guarantees: what passes [`check`] lapin parses, in a stack that does not depend on the message: short strings are UTF-8, every
//! length is within what it is part of, every value has a type that lapin knows, nothing is left over, and tables and arrays lie in
//! each other at most [`NESTED_MAX`] deep.

use crate::amqp::{DEPTH_MAX, Malformed};

/// How deep tables and arrays may lie in each other here: beyond what we record, as a trace has a message's table within its own.
pub(super) const NESTED_MAX: usize = 2 * DEPTH_MAX;

/// In a content header stand the class (u16), a weight (u16) and the body's size (u64) before the flags.
pub(super) const BODY_SIZE_END: usize = 12;
/// The flag of the header table.
pub(super) const HEADERS: u16 = 1 << 13;

/// basic.deliver, by class and method.
const DELIVER: [u8; 4] = [0, 60, 0, 60];
/// Between its consumer tag and its exchange: a delivery tag (u64) and the redelivered bit.
const DELIVER_TAGS: usize = 9;

/// What a property is on the wire.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Table,
    /// So many bytes, whichever.
    Bytes(usize),
}

/// The 14 properties, in the order of their flags from the highest bit on.
const PROPERTIES: [Kind; 14] = [
    Kind::Text,     // content-type
    Kind::Text,     // content-encoding
    Kind::Table,    // headers
    Kind::Bytes(1), // delivery-mode
    Kind::Bytes(1), // priority
    Kind::Text,     // correlation-id
    Kind::Text,     // reply-to
    Kind::Text,     // expiration
    Kind::Text,     // message-id
    Kind::Bytes(8), // timestamp
    Kind::Text,     // type
    Kind::Text,     // user-id
    Kind::Text,     // app-id
    Kind::Text,     // cluster-id
];

/// Checks a content header frame's payload.
///
/// # Errors
/// What lapin cannot read, and where it stands in the payload.
pub(super) fn check(payload: &[u8]) -> Result<(), Malformed> {
    let mut reader = Reader { bytes: payload, at: 0, end: payload.len() };
    reader.take(BODY_SIZE_END)?;
    let flags = u16::from_be_bytes(reader.array()?);
    for (place, kind) in PROPERTIES.into_iter().enumerate() {
        if flags & (1 << 15 >> place) == 0 {
            continue;
        }
        match kind {
            Kind::Text => reader.text()?,
            Kind::Table => reader.table()?,
            Kind::Bytes(count) => reader.take(count).map(|_| ())?,
        }
    }
    if reader.at < reader.end { Err(reader.malformed("something follows the last property")) } else { Ok(()) }
}

/// By which header RabbitMQ says a stream delivery's offset.
const OFFSET_HEADER: &[u8] = b"x-stream-offset";

/// The offset in a stream that a content header says, as far as it can be read; `None`: it says none.
pub(super) fn stream_offset(payload: &[u8]) -> Option<i64> {
    let mut reader = Reader { bytes: payload, at: BODY_SIZE_END, end: payload.len() };
    let flags = u16::from_be_bytes(reader.array().ok()?);
    // Before the table stand the content type and encoding.
    for _ in 0..(flags >> 14).count_ones() {
        reader.short().ok()?;
    }
    if flags & HEADERS == 0 {
        return None;
    }
    let end = reader.enter(true).ok()?.end;
    while reader.at < end {
        let name = reader.short().ok()?;
        let [letter] = reader.array().ok()?;
        match letter {
            b'l' if name == OFFSET_HEADER => return reader.array().ok().map(i64::from_be_bytes),
            // What lies in them is passed over as a whole.
            b'F' | b'A' => reader.value(b'x').ok()?,
            _ => reader.value(letter).ok()?,
        }
    }
    None
}

/// A delivery's payload with `?` for what is no ASCII in a name that is not UTF-8; `None`: it is no delivery, or has no such name.
pub(super) fn delivery_in_utf8(payload: &[u8]) -> Option<Vec<u8>> {
    if !payload.starts_with(&DELIVER) {
        return None;
    }
    let mut reader = Reader { bytes: payload, at: DELIVER.len(), end: payload.len() };
    // The consumer tag, which is ours.
    reader.short().ok()?;
    reader.take(DELIVER_TAGS).ok()?;
    let mut mended = None;
    // The exchange and the routing key.
    for _ in 0..2 {
        let name = reader.short().ok()?;
        if std::str::from_utf8(name).is_err() {
            let (from, to) = (reader.at - name.len(), reader.at);
            let mended = mended.get_or_insert_with(|| payload.to_vec());
            mended[from..to].iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'?');
        }
    }
    mended
}

/// A table or an array that is being read.
#[derive(Clone, Copy, Default)]
struct Open {
    /// Where it ends, and where what it lies in does.
    end: usize,
    end_outside: usize,
    /// Its values have names.
    is_table: bool,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Where what is being read ends.
    end: usize,
}

impl<'a> Reader<'a> {
    fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { offset: self.at, what }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        if count > self.end - self.at {
            return Err(self.malformed("something is longer than what it is part of"));
        }
        let taken = &self.bytes[self.at..self.at + count];
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        self.array().map(|bytes| u32::from_be_bytes(bytes) as usize)
    }

    fn short(&mut self) -> Result<&'a [u8], Malformed> {
        let [length] = self.array()?;
        self.take(length.into())
    }

    fn text(&mut self) -> Result<(), Malformed> {
        let text = self.short()?;
        std::str::from_utf8(text).map(|_| ()).map_err(|_| self.malformed("the short string before it is not UTF-8"))
    }

    /// Reads a header table, whatever lies in it.
    fn table(&mut self) -> Result<(), Malformed> {
        let mut open = [Open::default(); NESTED_MAX];
        open[0] = self.enter(true)?;
        let mut depth = 1;
        while depth > 0 {
            let Open { end, end_outside, is_table } = open[depth - 1];
            if self.at == end {
                self.end = end_outside;
                depth -= 1;
                continue;
            }
            if is_table {
                self.text()?;
            }
            let [letter] = self.array()?;
            match letter {
                b'F' | b'A' if depth == NESTED_MAX => return Err(self.malformed("tables and arrays lie in each other too deep")),
                b'F' | b'A' => {
                    open[depth] = self.enter(letter == b'F')?;
                    depth += 1;
                }
                _ => self.value(letter)?,
            }
        }
        Ok(())
    }

    fn enter(&mut self, is_table: bool) -> Result<Open, Malformed> {
        let length = self.length()?;
        if length > self.end - self.at {
            return Err(self.malformed("a table or an array is longer than what it is part of"));
        }
        let end_outside = std::mem::replace(&mut self.end, self.at + length);
        Ok(Open { end: self.end, end_outside, is_table })
    }

    /// Reads a value that has no others in it.
    fn value(&mut self, letter: u8) -> Result<(), Malformed> {
        let count = match letter {
            b'V' => 0,
            b't' | b'b' | b'B' => 1,
            b's' | b'U' | b'u' => 2,
            b'I' | b'i' | b'f' => 4,
            b'D' => 5,
            b'L' | b'l' | b'd' | b'T' => 8,
            b'S' | b'x' => self.length()?,
            _ => return Err(self.malformed("the type before it is none that is known")),
        };
        self.take(count).map(|_| ())
    }
}
