//! The headers of a record: a list of names and values in one run of bytes, borrowed as it is stored.

use std::fmt;

/// A record's headers in dejaq's encoding: for each header `varint(name length) name varint(0 = null, else value
/// length + 1) value`, in order, duplicates kept. The same bytes stand in a segment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Headers<'a>(&'a [u8]);

/// Why bytes are not a header set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("header set is malformed at byte {offset} of {length}")]
pub struct MalformedHeaders {
    /// Where in the set it went wrong.
    pub offset: usize,
    /// The set's length.
    pub length: usize,
}

impl<'a> Headers<'a> {
    /// No headers.
    pub const EMPTY: Self = Self(&[]);

    /// Takes bytes that claim to be a header set, and checks the whole of them.
    ///
    /// # Errors
    /// [`MalformedHeaders`] when a length runs past the end.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MalformedHeaders> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if next_header(&mut rest).is_none() {
                return Err(MalformedHeaders { offset: bytes.len() - rest.len(), length: bytes.len() });
            }
        }
        Ok(Self(bytes))
    }

    /// Takes bytes that [`HeadersBuf`] wrote or that [`Headers::parse`] has checked before. Bytes that are no header
    /// set do no harm: iteration ends at the first malformed one.
    #[must_use]
    pub fn from_checked(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The encoded bytes.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Each header's name and value (`None` is null), in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let mut rest = self.0;
        std::iter::from_fn(move || next_header(&mut rest))
    }

    /// The bytes of all names and values, without the encoding's own.
    #[must_use]
    pub fn bytes_raw(self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len)).sum()
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(n, v)| (n.escape_ascii().to_string(), v.map(|v| v.escape_ascii().to_string())))).finish()
    }
}

fn next_header<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    if rest.is_empty() {
        return None;
    }
    let mut at = *rest;
    let name_len = usize::try_from(crate::varint::read_u64(&mut at)?).ok()?;
    let name = at.split_off(..name_len)?;
    let value_len = usize::try_from(crate::varint::read_u64(&mut at)?).ok()?;
    let value = match value_len.checked_sub(1) {
        None => None,
        Some(len) => Some(at.split_off(..len)?),
    };
    *rest = at;
    Some((name, value))
}

/// Builds a header set. Reuse it: `clear` keeps its memory.
#[derive(Debug, Clone, Default)]
pub struct HeadersBuf(Vec<u8>);

impl HeadersBuf {
    /// Removes all headers.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds one header at the end.
    pub fn push(&mut self, name: &[u8], value: Option<&[u8]>) {
        crate::varint::write_u64(&mut self.0, name.len() as u64);
        self.0.extend_from_slice(name);
        match value {
            None => crate::varint::write_u64(&mut self.0, 0),
            Some(value) => {
                crate::varint::write_u64(&mut self.0, value.len() as u64 + 1);
                self.0.extend_from_slice(value);
            }
        }
    }

    /// What was built.
    #[must_use]
    pub fn as_headers(&self) -> Headers<'_> {
        Headers(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_come_back_as_they_went_in(set in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..9), prop::option::of(prop::collection::vec(any::<u8>(), 0..200))), 0..12)) {
            let mut buf = HeadersBuf::default();
            for (name, value) in &set {
                buf.push(name, value.as_deref());
            }
            let parsed = Headers::parse(buf.as_headers().as_bytes()).expect("own encoding");
            let back: Vec<_> = parsed.iter().map(|(n, v)| (n.to_vec(), v.map(<[u8]>::to_vec))).collect();
            prop_assert_eq!(back, set);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(headers) = Headers::parse(&bytes) {
                let _ = headers.iter().count();
            }
        }
    }
}
