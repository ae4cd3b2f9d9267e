//! Lists of entries: written at their end, read one at a time.

use bincode::{Decode, Encode};

use super::super::{MUST_UNDERSTAND, VALUE_BYTES_MAX};

const CONFIG: bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<VALUE_BYTES_MAX>,
> = bincode::config::standard().with_limit::<VALUE_BYTES_MAX>();

/// The bytes of an entry before its value.
pub const ENTRY_HEAD_BYTES: usize = 8;

/// Appends one entry.
///
/// # Errors
/// When the value is longer than [`VALUE_BYTES_MAX`].
pub fn write(out: &mut Vec<u8>, tag: u16, flags: u16, value: &impl Encode) -> Result<(), String> {
    let bytes = bincode::encode_to_vec(value, bincode::config::standard()).map_err(|e| format!("metadata {tag} cannot be encoded: {e}"))?;
    if bytes.len() > VALUE_BYTES_MAX {
        return Err(format!("metadata {tag} has {} bytes, the limit is {VALUE_BYTES_MAX}", bytes.len()));
    }
    write_bytes(out, tag, flags, &bytes);
    Ok(())
}

/// Appends one entry whose value is there already.
pub fn write_bytes(out: &mut Vec<u8>, tag: u16, flags: u16, value: &[u8]) {
    out.extend_from_slice(&tag.to_le_bytes());
    out.extend_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(value);
}

/// One entry of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its tag.
    pub tag: u16,
    /// Its flags.
    pub flags: u16,
    /// Its value.
    pub value: &'a [u8],
}

impl Entry<'_> {
    /// Decodes the value.
    ///
    /// # Errors
    /// When it is not this struct, in words.
    pub fn decode<T: Decode<()>>(&self) -> Result<T, String> {
        let (value, used) = bincode::decode_from_slice::<T, _>(self.value, CONFIG)
            .map_err(|e| format!("metadata with tag {} cannot be decoded: {e}", self.tag))?;
        if used != self.value.len() {
            return Err(format!("metadata with tag {} has {} bytes, its struct uses {used}", self.tag, self.value.len()));
        }
        Ok(value)
    }

    /// What to do with an entry whose tag is unknown: skip it, unless it must be understood.
    ///
    /// # Errors
    /// The name of what is not understood.
    pub fn skip_unknown(&self) -> Result<(), String> {
        if self.flags & MUST_UNDERSTAND != 0 { Err(format!("metadata with tag {}", self.tag)) } else { Ok(()) }
    }
}

/// Goes through a list's entries, one at a time: however many they are, they take no memory. Ends after an error.
#[must_use]
pub fn entries(list: &[u8]) -> Entries<'_> {
    Entries { rest: list }
}

/// The entries of a list; an error, in words, when a length runs past the end.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let list = std::mem::take(&mut self.rest);
        if list.is_empty() {
            return None;
        }
        let Some((head, rest)) = list.split_first_chunk::<ENTRY_HEAD_BYTES>() else {
            return Some(Err(format!("metadata ends in the middle of an entry's head ({} bytes left, 8 expected)", list.len())));
        };
        let tag = u16::from_le_bytes([head[0], head[1]]);
        let flags = u16::from_le_bytes([head[2], head[3]]);
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let Some((value, rest)) = rest.split_at_checked(length) else {
            return Some(Err(format!("metadata with tag {tag} claims {length} bytes, {} are left", rest.len())));
        };
        self.rest = rest;
        Some(Ok(Entry { tag, flags, value }))
    }
}
