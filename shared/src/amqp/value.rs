//! Values, tables and arrays: read one by one, borrowed.
//!
//! ```text
//! table = length u32 · (name length u8 · name · value)*
//! array = length u32 · value*
//! value = type u8 · content: the type is AMQP's letter, as RabbitMQ reads it
//! ```

use std::fmt;

use super::DEPTH_MAX;

/// Why bytes are no properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("properties are malformed at byte {offset}: {what}")]
pub struct Malformed {
    /// Where.
    pub offset: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// A value of a header table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'a> {
    /// `t`
    Bool(bool),
    /// `b`
    I8(i8),
    /// `B`
    U8(u8),
    /// `s`
    I16(i16),
    /// `u`
    U16(u16),
    /// `I`
    I32(i32),
    /// `i`
    U32(u32),
    /// `l`
    I64(i64),
    /// `f`: its bits, so that every NaN stays the one it is.
    F32(u32),
    /// `d`: its bits.
    F64(u64),
    /// `D`: value / 10^scale.
    Decimal {
        /// How many digits are behind the point.
        scale: u8,
        /// All digits.
        value: u32,
    },
    /// `S`: a long string. RabbitMQ takes any bytes.
    String(&'a [u8]),
    /// `A`
    Array(Array<'a>),
    /// `T`: seconds since 1970.
    Timestamp(u64),
    /// `F`
    Table(Table<'a>),
    /// `x`
    Bytes(&'a [u8]),
    /// `V`
    Void,
}

/// The entries of a table, one behind the other.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Table<'a>(pub(super) &'a [u8]);

/// The values of an array, one behind the other.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Array<'a>(pub(super) &'a [u8]);

impl<'a> Table<'a> {
    /// A table without entries.
    pub const EMPTY: Self = Self(&[]);

    /// Takes bytes that claim to be entries, and checks all of them, nested ones too.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        check_entries(bytes).map(|()| Self(bytes))
    }

    /// The entries' bytes.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Name and value of each entry, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], Value<'a>)> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let (name, value, after) = rest.split_first()?;
            rest = after;
            Some((name, value))
        })
    }

    /// Name and value of the first entry, and the entries after it.
    #[must_use]
    pub fn split_first(self) -> Option<(&'a [u8], Value<'a>, Self)> {
        let mut rest = self.0;
        Some((take_name(&mut rest)?, take_value(&mut rest)?, Self(rest)))
    }
}

impl<'a> Array<'a> {
    /// The values' bytes.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The values, in order.
    pub fn iter(self) -> impl Iterator<Item = Value<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || take_value(&mut rest))
    }
}

impl fmt::Debug for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, value)| (name.escape_ascii().to_string(), value))).finish()
    }
}

impl fmt::Debug for Array<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The letters of the types.
mod letter {
    pub(super) const BOOL: u8 = b't';
    pub(super) const I8: u8 = b'b';
    pub(super) const U8: u8 = b'B';
    pub(super) const I16: u8 = b's';
    pub(super) const U16: u8 = b'u';
    pub(super) const I32: u8 = b'I';
    pub(super) const U32: u8 = b'i';
    pub(super) const I64: u8 = b'l';
    pub(super) const F32: u8 = b'f';
    pub(super) const F64: u8 = b'd';
    pub(super) const DECIMAL: u8 = b'D';
    pub(super) const STRING: u8 = b'S';
    pub(super) const ARRAY: u8 = b'A';
    pub(super) const TIMESTAMP: u8 = b'T';
    pub(super) const TABLE: u8 = b'F';
    pub(super) const BYTES: u8 = b'x';
    pub(super) const VOID: u8 = b'V';
}

/// Takes a byte string with its length (a `u8`) from the front.
pub(super) fn take_name<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut at = *rest;
    let length = usize::from(*at.split_off_first()?);
    let name = at.split_off(..length)?;
    *rest = at;
    Some(name)
}

/// Takes a byte string with its length (a `u32`) from the front.
pub(super) fn take_long<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut at = *rest;
    let length = usize::try_from(u32::from_le_bytes(take(&mut at)?)).ok()?;
    let bytes = at.split_off(..length)?;
    *rest = at;
    Some(bytes)
}

/// Takes so many bytes from the front.
pub(super) fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*bytes)
}

/// Takes a value from the front; what lies in a table or array is not looked at.
pub(super) fn take_value<'a>(rest: &mut &'a [u8]) -> Option<Value<'a>> {
    let mut at = *rest;
    let value = match *at.split_off_first()? {
        letter::BOOL => match take::<1>(&mut at)? {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            _ => return None,
        },
        letter::I8 => Value::I8(i8::from_le_bytes(take(&mut at)?)),
        letter::U8 => Value::U8(u8::from_le_bytes(take(&mut at)?)),
        letter::I16 => Value::I16(i16::from_le_bytes(take(&mut at)?)),
        letter::U16 => Value::U16(u16::from_le_bytes(take(&mut at)?)),
        letter::I32 => Value::I32(i32::from_le_bytes(take(&mut at)?)),
        letter::U32 => Value::U32(u32::from_le_bytes(take(&mut at)?)),
        letter::I64 => Value::I64(i64::from_le_bytes(take(&mut at)?)),
        letter::F32 => Value::F32(u32::from_le_bytes(take(&mut at)?)),
        letter::F64 => Value::F64(u64::from_le_bytes(take(&mut at)?)),
        letter::DECIMAL => {
            let [scale] = take(&mut at)?;
            Value::Decimal { scale, value: u32::from_le_bytes(take(&mut at)?) }
        }
        letter::STRING => Value::String(take_long(&mut at)?),
        letter::ARRAY => Value::Array(Array(take_long(&mut at)?)),
        letter::TIMESTAMP => Value::Timestamp(u64::from_le_bytes(take(&mut at)?)),
        letter::TABLE => Value::Table(Table(take_long(&mut at)?)),
        letter::BYTES => Value::Bytes(take_long(&mut at)?),
        letter::VOID => Value::Void,
        _ => return None,
    };
    *rest = at;
    Some(value)
}

impl Value<'_> {
    /// The bytes that [`Value::write`] appends.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        1 + match self {
            Value::Void => 0,
            Value::Bool(_) | Value::I8(_) | Value::U8(_) => 1,
            Value::I16(_) | Value::U16(_) => 2,
            Value::I32(_) | Value::U32(_) | Value::F32(_) => 4,
            Value::Decimal { .. } => 5,
            Value::I64(_) | Value::F64(_) | Value::Timestamp(_) => 8,
            Value::String(bytes) | Value::Bytes(bytes) | Value::Array(Array(bytes)) | Value::Table(Table(bytes)) => 4 + bytes.len(),
        }
    }

    /// Appends the value in its encoding.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut put = |letter: u8, bytes: &[u8]| {
            out.push(letter);
            out.extend_from_slice(bytes);
        };
        match *self {
            Value::Bool(value) => put(letter::BOOL, &[u8::from(value)]),
            Value::I8(value) => put(letter::I8, &value.to_le_bytes()),
            Value::U8(value) => put(letter::U8, &[value]),
            Value::I16(value) => put(letter::I16, &value.to_le_bytes()),
            Value::U16(value) => put(letter::U16, &value.to_le_bytes()),
            Value::I32(value) => put(letter::I32, &value.to_le_bytes()),
            Value::U32(value) => put(letter::U32, &value.to_le_bytes()),
            Value::I64(value) => put(letter::I64, &value.to_le_bytes()),
            Value::F32(bits) => put(letter::F32, &bits.to_le_bytes()),
            Value::F64(bits) => put(letter::F64, &bits.to_le_bytes()),
            Value::Decimal { scale, value } => {
                put(letter::DECIMAL, &[scale]);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Value::Timestamp(seconds) => put(letter::TIMESTAMP, &seconds.to_le_bytes()),
            Value::Void => put(letter::VOID, &[]),
            Value::String(bytes) => write_long(letter::STRING, bytes, out),
            Value::Array(array) => write_long(letter::ARRAY, array.0, out),
            Value::Table(table) => write_long(letter::TABLE, table.0, out),
            Value::Bytes(bytes) => write_long(letter::BYTES, bytes, out),
        }
    }
}

fn write_long(letter: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(letter);
    // Records have 128 MiB at most; what is longer does not parse.
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Checks a table's entries, and all that lies in them. What is still to be checked of the tables and arrays around lies on a
/// stack of fixed size.
fn check_entries(bytes: &[u8]) -> Result<(), Malformed> {
    let mut open: [(&[u8], bool); DEPTH_MAX] = [(&[], true); DEPTH_MAX];
    open[0] = (bytes, true);
    let mut depth = 1;
    while depth > 0 {
        let (rest, named) = &mut open[depth - 1];
        if rest.is_empty() {
            depth -= 1;
            continue;
        }
        let offset = rest.as_ptr().addr() - bytes.as_ptr().addr();
        let malformed = |what| Malformed { offset, what };
        if *named {
            take_name(rest).ok_or_else(|| malformed("a name runs past its table"))?;
        }
        let inner = match take_value(rest).ok_or_else(|| malformed("no value of a known type, or one that runs past what it is in"))? {
            Value::Array(array) => (array.0, false),
            Value::Table(table) => (table.0, true),
            _ => continue,
        };
        *open.get_mut(depth).ok_or_else(|| malformed("tables and arrays lie in each other more than 32 deep"))? = inner;
        depth += 1;
    }
    Ok(())
}
