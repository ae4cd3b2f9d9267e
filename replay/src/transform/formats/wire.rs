//! Protobuf's wire format, field by field over the bytes as they are: nothing is decoded that nobody asks for, and whoever
//! changes a field knows where it stands.
//!
//! Every claimed length is checked against the message that it is in. Groups (wire types 3 and 4, long deprecated) are
//! stepped over as one field, [`GROUPS_MAX`] deep at most, without recursion. Numbers that are longer than they need be are
//! read, as everyone's parser does.

use std::ops::Range;

use dejaq_shared::varint;

use super::Malformed;

/// How deep groups may lie in each other.
const GROUPS_MAX: usize = 32;

/// The largest number a field can have.
const NUMBER_MAX: u64 = (1 << 29) - 1;

/// What stands in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: a string, bytes, a message, packed numbers.
    Bytes,
    /// Wire type 5.
    Fixed32,
    /// Wire types 3 and 4, and what is between them.
    Group,
}

/// One field of a message, and where it stands in the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) value: Value,
    /// Where its head (number and wire type) starts.
    pub(super) at: usize,
    /// Where its head ends: its length starts here, or its value, if it has no length.
    pub(super) head_end: usize,
    /// Where its value starts.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
}

impl Field {
    /// The bytes of its value, without its length.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// It is a message, or a string.
    ///
    /// # Errors
    /// It has another wire type.
    pub(super) fn bytes(&self) -> Result<(), Malformed> {
        match self.value {
            Value::Bytes => Ok(()),
            _ => Err(self.mistyped("a field that is a message or a string has another wire type")),
        }
    }

    /// Its number, written as a varint.
    ///
    /// # Errors
    /// It has another wire type.
    pub(super) fn varint(&self) -> Result<u64, Malformed> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(self.mistyped("a field that is a varint has another wire type")),
        }
    }

    /// Its number, written in eight bytes.
    ///
    /// # Errors
    /// It has another wire type.
    pub(super) fn fixed64(&self) -> Result<u64, Malformed> {
        match self.value {
            Value::Fixed64(value) => Ok(value),
            _ => Err(self.mistyped("a field of eight bytes has another wire type")),
        }
    }

    /// Its text.
    ///
    /// # Errors
    /// It has another wire type, or is not UTF-8 (as proto3 demands of a string).
    pub(super) fn text<'p>(&self, plain: &'p [u8]) -> Result<&'p [u8], Malformed> {
        self.bytes()?;
        let text = &plain[self.range()];
        match std::str::from_utf8(text) {
            Ok(_) => Ok(text),
            Err(e) => Err(Malformed { offset: self.start + e.valid_up_to(), what: "a string is not UTF-8" }),
        }
    }

    fn mistyped(&self, what: &'static str) -> Malformed {
        Malformed { offset: self.at, what }
    }
}

/// The fields of a message, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Fields<'p> {
    plain: &'p [u8],
    at: usize,
    end: usize,
}

impl<'p> Fields<'p> {
    /// Those of the message in `range` of `plain`.
    pub(super) fn new(plain: &'p [u8], range: Range<usize>) -> Self {
        Self { plain, at: range.start, end: range.end }
    }

    /// The next field, if there is one.
    ///
    /// # Errors
    /// What comes next is no field.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<Field>, Malformed> {
        if self.at >= self.end {
            return Ok(None);
        }
        let at = self.at;
        let (number, wire_type) = self.head()?;
        let head_end = self.at;
        if wire_type == 3 {
            self.group(number)?;
            return Ok(Some(Field { number, value: Value::Group, at, head_end, start: head_end, end: self.at }));
        }
        let (value, start) = self.value(wire_type)?;
        Ok(Some(Field { number, value, at, head_end, start, end: self.at }))
    }

    /// A field's number and wire type.
    #[inline]
    fn head(&mut self) -> Result<(u32, u8), Malformed> {
        let at = self.at;
        let head = self.number()?;
        match u32::try_from(head >> 3) {
            Ok(number) if number != 0 && u64::from(number) <= NUMBER_MAX => Ok((number, (head & 7) as u8)),
            _ => Err(Malformed { offset: at, what: "a field has a number that no field can have" }),
        }
    }

    /// Steps over a value that is no group: what it is, and where it starts.
    #[inline]
    fn value(&mut self, wire_type: u8) -> Result<(Value, usize), Malformed> {
        let start = self.at;
        match wire_type {
            0 => Ok((Value::Varint(self.number()?), start)),
            1 => {
                self.step(8)?;
                let mut eight = [0; 8];
                eight.copy_from_slice(&self.plain[start..self.at]);
                Ok((Value::Fixed64(u64::from_le_bytes(eight)), start))
            }
            2 => {
                let bytes = self.number()?;
                let start = self.at;
                self.step(bytes)?;
                Ok((Value::Bytes, start))
            }
            5 => {
                self.step(4)?;
                Ok((Value::Fixed32, start))
            }
            4 => Err(Malformed { offset: start, what: "a group ends that did not start" }),
            _ => Err(Malformed { offset: start, what: "a field has a wire type that does not exist" }),
        }
    }

    /// Steps over a group whose head is read already.
    #[cold]
    fn group(&mut self, number: u32) -> Result<(), Malformed> {
        let mut open = [0u32; GROUPS_MAX];
        open[0] = number;
        let mut depth = 1;
        while depth > 0 {
            let at = self.at;
            if at >= self.end {
                return Err(Malformed { offset: at, what: "a group does not end" });
            }
            let (number, wire_type) = self.head()?;
            match wire_type {
                3 if depth == GROUPS_MAX => return Err(Malformed { offset: at, what: "groups are nested too deep" }),
                3 => {
                    open[depth] = number;
                    depth += 1;
                }
                4 if open[depth - 1] != number => {
                    return Err(Malformed { offset: at, what: "another group ends than the one that started" });
                }
                4 => depth -= 1,
                _ => {
                    self.value(wire_type)?;
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn number(&mut self) -> Result<u64, Malformed> {
        let mut rest = &self.plain[self.at..self.end];
        match varint::read_u64(&mut rest) {
            Some(number) => {
                self.at = self.end - rest.len();
                Ok(number)
            }
            None => Err(Malformed { offset: self.at, what: "a number is cut off, or larger than 64 bits" }),
        }
    }

    #[inline]
    fn step(&mut self, bytes: u64) -> Result<(), Malformed> {
        match usize::try_from(bytes) {
            Ok(bytes) if bytes <= self.end - self.at => {
                self.at += bytes;
                Ok(())
            }
            _ => Err(Malformed { offset: self.at, what: "a field is longer than the message that it is in" }),
        }
    }
}

/// Appends a field's head.
pub(super) fn write_head(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    varint::write_u64(out, u64::from(number) << 3 | u64::from(wire_type));
}

/// Appends a field that is a string.
pub(super) fn write_text(out: &mut Vec<u8>, number: u32, text: &[u8]) {
    write_head(out, number, 2);
    varint::write_u64(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// How many bytes a number takes.
pub(super) fn varint_bytes(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

/// How many bytes [`write_text`] appends, if the number is less than 16.
pub(super) fn text_bytes(text: &[u8]) -> usize {
    1 + varint_bytes(text.len() as u64) + text.len()
}

#[cfg(test)]
mod tests;
