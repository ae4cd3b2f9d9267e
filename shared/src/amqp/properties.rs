//! A message's basic properties.
//!
//! ```text
//! properties   = nothing, where none is there; else: present u16 (bit n: number n is there) · those that are there, by number
//! short string = length u8 · bytes      content type 0, content encoding 1, correlation id 5, reply to 6, expiration 7,
//!                                       message id 8, type 10, user id 11, app id 12, cluster id 13
//! headers 2: a table · delivery mode 3, priority 4: u8 · timestamp 9: u64
//! ```

use std::fmt;

use super::value::{Malformed, Table, take, take_long, take_name};

/// A message's basic properties in dejaq's encoding; no bytes where it has none. The same bytes stand in a segment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Properties<'a>(&'a [u8]);

/// The basic properties one by one. `None` is absent, which is not empty, nor 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Basic<'a> {
    /// The media type of the body.
    pub content_type: Option<&'a [u8]>,
    /// Its encoding.
    pub content_encoding: Option<&'a [u8]>,
    /// The header table.
    pub headers: Option<Table<'a>>,
    /// 1 transient, 2 persistent; others are kept.
    pub delivery_mode: Option<u8>,
    /// 0 to 9; others are kept.
    pub priority: Option<u8>,
    /// What a reply belongs to.
    pub correlation_id: Option<&'a [u8]>,
    /// Where replies go.
    pub reply_to: Option<&'a [u8]>,
    /// Time to live, milliseconds as text.
    pub expiration: Option<&'a [u8]>,
    /// The message's id.
    pub message_id: Option<&'a [u8]>,
    /// Seconds since 1970.
    pub timestamp: Option<u64>,
    /// The message's type.
    pub kind: Option<&'a [u8]>,
    /// Who published it.
    pub user_id: Option<&'a [u8]>,
    /// With what.
    pub app_id: Option<&'a [u8]>,
    /// Reserved by AMQP.
    pub cluster_id: Option<&'a [u8]>,
}

/// How many properties there are.
const COUNT: u32 = 14;

impl<'a> Properties<'a> {
    /// None of them.
    pub const EMPTY: Self = Self(&[]);

    /// Takes bytes that claim to be properties, and checks all of them.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (basic, rest) = read(bytes);
        let malformed = |what| Malformed { offset: bytes.len() - rest.len(), what };
        match bytes.first_chunk().map(|present| u16::from_le_bytes(*present)) {
            None if bytes.is_empty() => {}
            None | Some(0) => return Err(malformed("no property, where at least one is expected")),
            Some(present) if present != basic.present() => return Err(malformed("a property that is not known or runs past the end")),
            Some(_) if !rest.is_empty() => return Err(malformed("bytes are left over")),
            Some(_) => {}
        }
        if let Some(table) = basic.headers {
            let offset = table.as_bytes().as_ptr().addr() - bytes.as_ptr().addr();
            Table::parse(table.as_bytes()).map_err(|e| Malformed { offset: offset + e.offset, ..e })?;
        }
        Ok(Self(bytes))
    }

    /// Takes bytes that [`Basic::write`] wrote or that [`Properties::parse`] has checked before. Other bytes do no harm:
    /// reading ends at the first malformed one.
    #[must_use]
    pub fn from_checked(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The encoded bytes.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// One by one.
    #[must_use]
    pub fn basic(self) -> Basic<'a> {
        read(self.0).0
    }
}

impl fmt::Debug for Properties<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.basic().fmt(f)
    }
}

/// Reads as far as it goes, and gives what is left.
fn read(bytes: &[u8]) -> (Basic<'_>, &[u8]) {
    let mut basic = Basic::default();
    let mut rest = bytes;
    let Some(present) = take(&mut rest).map(u16::from_le_bytes) else { return (basic, bytes) };
    for number in 0..16 {
        if present >> number & 1 == 1 && basic.take(number, &mut rest).is_none() {
            break;
        }
    }
    (basic, rest)
}

impl<'a> Basic<'a> {
    fn short(&mut self, number: u32) -> Option<&mut Option<&'a [u8]>> {
        Some(match number {
            0 => &mut self.content_type,
            1 => &mut self.content_encoding,
            5 => &mut self.correlation_id,
            6 => &mut self.reply_to,
            7 => &mut self.expiration,
            8 => &mut self.message_id,
            10 => &mut self.kind,
            11 => &mut self.user_id,
            12 => &mut self.app_id,
            13 => &mut self.cluster_id,
            _ => return None,
        })
    }

    fn take(&mut self, number: u32, rest: &mut &'a [u8]) -> Option<()> {
        match number {
            2 => self.headers = Some(Table(take_long(rest)?)),
            3 => self.delivery_mode = Some(u8::from_le_bytes(take(rest)?)),
            4 => self.priority = Some(u8::from_le_bytes(take(rest)?)),
            9 => self.timestamp = Some(u64::from_le_bytes(take(rest)?)),
            _ => *self.short(number)? = Some(take_name(rest)?),
        }
        Some(())
    }

    /// Which are there, a bit each.
    fn present(mut self) -> u16 {
        let there = |number: u32| match number {
            2 => self.headers.is_some(),
            3 => self.delivery_mode.is_some(),
            4 => self.priority.is_some(),
            9 => self.timestamp.is_some(),
            _ => self.short(number).is_some_and(|s| s.is_some()),
        };
        (0..COUNT).map(there).zip(0..).fold(0, |bits, (there, number)| bits | u16::from(there) << number)
    }

    /// Appends them in their encoding.
    ///
    /// # Errors
    /// [`Malformed`], with the property's number for its place, when a short string has more than 255 bytes; `out` may then
    /// have a part of them at its end.
    pub fn write(mut self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let present = self.present();
        if present == 0 {
            return Ok(());
        }
        out.extend_from_slice(&present.to_le_bytes());
        for number in 0..COUNT {
            match number {
                2 => {
                    if let Some(table) = self.headers {
                        out.extend_from_slice(&u32::try_from(table.as_bytes().len()).unwrap_or(u32::MAX).to_le_bytes());
                        out.extend_from_slice(table.as_bytes());
                    }
                }
                3 => out.extend(self.delivery_mode),
                4 => out.extend(self.priority),
                9 => out.extend(self.timestamp.map(u64::to_le_bytes).into_iter().flatten()),
                _ => {
                    let Some(bytes) = self.short(number).copied().flatten() else { continue };
                    let too_long = Malformed { offset: number as usize, what: "a short string of more than 255 bytes" };
                    out.push(u8::try_from(bytes.len()).map_err(|_| too_long)?);
                    out.extend_from_slice(bytes);
                }
            }
        }
        Ok(())
    }
}
