//! A payload with pieces of it replaced and others put in: what the text formats share.

use std::ops::Range;

use super::edits::Edits;
use super::kind::StampUnit;
use super::parsed::{Parsed, Span};
use super::{Malformed, stamp};

/// Where a sample takes further tags, and what has to stand around them there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site {
    /// Before this byte of the payload.
    pub(crate) at: usize,
    /// What opens the first of them.
    pub(crate) open: &'static str,
    /// What closes the last.
    pub(crate) close: &'static str,
}

/// One piece of the payload and what takes its place; an empty piece is a place between two bytes.
#[derive(Debug, Clone, Copy)]
struct Patch {
    from: usize,
    until: usize,
    text: Span,
}

/// The changes of one payload, collected in any order. Used again for the next.
#[derive(Debug, Default)]
pub(crate) struct Patches {
    text: Vec<u8>,
    list: Vec<Patch>,
}

impl Patches {
    /// Forgets all, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.list.clear();
    }

    /// Puts what `write` appends in the place of a piece of the payload. Of pieces that overlap the one that begins first
    /// is replaced, and of those that begin together the one that was named first.
    pub(crate) fn put<E>(&mut self, raw: Range<usize>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        let start = self.text.len();
        write(&mut self.text)?;
        self.list.push(Patch { from: raw.start, until: raw.end, text: Span::new(start, self.text.len()) });
        Ok(())
    }

    /// Gives tags their new values; `write` encodes the value of the tag with that index. A value that a tag has already
    /// stays as it is written.
    pub(crate) fn replace(
        &mut self,
        parsed: &Parsed,
        edits: &Edits,
        mut write: impl FnMut(u32, &[u8], &mut Vec<u8>) -> Result<(), &'static str>,
    ) -> Result<(), Malformed> {
        for (ix, tag, value) in edits.changes(parsed) {
            let offset = tag.raw.range().start;
            self.put(tag.raw.range(), |out| write(ix, value, out)).map_err(|what| Malformed { offset, what })?;
        }
        Ok(())
    }

    /// Adds tags at their samples' sites; `write` encodes name and value.
    pub(crate) fn add(
        &mut self,
        edits: &Edits,
        sites: &[Site],
        separator: &'static str,
        mut write: impl FnMut(&[u8], &[u8], &mut Vec<u8>) -> Result<(), &'static str>,
    ) -> Result<(), Malformed> {
        let added = edits.added();
        for (i, tag) in added.iter().enumerate() {
            let site = sites[tag.sample as usize];
            let is_same = |other: Option<&super::Added>| other.is_some_and(|other| other.sample == tag.sample);
            let open = if i > 0 && is_same(added.get(i - 1)) { separator } else { site.open };
            let close = if is_same(added.get(i + 1)) { "" } else { site.close };
            let (name, value) = (edits.get(tag.name), edits.get(tag.value));
            self.put(site.at..site.at, |out| {
                out.extend_from_slice(open.as_bytes());
                write(name, value, out)?;
                out.extend_from_slice(close.as_bytes());
                Ok(())
            })
            .map_err(|what| Malformed { offset: site.at, what })?;
        }
        Ok(())
    }

    /// Moves all time stamps; `unit` tells that of the stamp with that index.
    pub(crate) fn shift(&mut self, parsed: &Parsed, edits: &Edits, unit: impl Fn(usize) -> StampUnit) -> Result<(), Malformed> {
        if edits.shift_ns() == 0 {
            return Ok(());
        }
        for (i, stamp) in parsed.stamps.iter().enumerate() {
            let raw = stamp.raw.range();
            self.put(raw.clone(), |out| stamp::write_moved(&parsed.text[raw.clone()], unit(i), edits.shift_ns(), out))
                .map_err(|_| Malformed { offset: raw.start, what: OUT_OF_RANGE })?;
        }
        Ok(())
    }

    /// Appends the payload with the changes made.
    pub(crate) fn apply(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        // The text grows with every patch, so where its text starts tells which came first.
        self.list.sort_unstable_by_key(|patch| (patch.from, patch.text.start));
        let mut at = 0;
        for patch in self.list.iter().filter(|patch| patch.text.len > 0 || patch.from < patch.until) {
            if patch.from >= at {
                out.extend_from_slice(&payload[at..patch.from]);
                out.extend_from_slice(&self.text[patch.text.range()]);
                at = patch.until;
            }
        }
        out.extend_from_slice(&payload[at..]);
    }
}

/// What is said of a time stamp that cannot be moved so far.
pub(crate) const OUT_OF_RANGE: &str = "a time stamp that would leave the years 1678 to 2261";

/// Decodes a piece of the payload, which is the front of `text`: where there is nothing to decode, the piece itself.
pub(crate) fn decoded(text: &mut Vec<u8>, piece: Range<usize>, decode: impl FnOnce(&mut Vec<u8>)) -> Span {
    if !text[piece.clone()].contains(&b'\\') {
        return Span::new(piece.start, piece.end);
    }
    let start = text.len();
    decode(text);
    Span::new(start, text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_replaced_in_the_order_of_the_payload() {
        let mut patches = Patches::default();
        let put = |patches: &mut Patches, raw: Range<usize>, text: &str| {
            patches
                .put(raw, |out| {
                    out.extend_from_slice(text.as_bytes());
                    Ok::<_, ()>(())
                })
                .unwrap();
        };
        put(&mut patches, 6..8, "SIX");
        put(&mut patches, 0..0, "<");
        put(&mut patches, 2..4, "");
        put(&mut patches, 2..4, "lost");
        put(&mut patches, 3..5, "lost");
        put(&mut patches, 4..4, "a");
        put(&mut patches, 4..4, "b");
        put(&mut patches, 10..10, ">");
        let mut out = b"before ".to_vec();
        patches.apply(b"0123456789", &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "before <01ab45SIX89>");
    }
}
