//! A payload written anew around a few changes: what is not changed is copied, and the length of every message around a
//! change is set right. A length that need not change keeps its bytes, in whatever way it was written.

use std::ops::Range;

use dejaq_shared::varint;

use super::Span;
use super::wire::{Field, varint_bytes};

/// A message inside another, or the payload itself.
#[derive(Debug, Clone, Copy)]
struct Frame {
    /// The message that it is in.
    outer: u32,
    /// Where its length starts.
    length_at: u32,
    /// Where it starts itself.
    start: u32,
    end: u32,
}

/// The name of a message, by [`Rewrite::enter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameIx(u32);

/// The payload itself, which has no length.
pub(super) const WHOLE: FrameIx = FrameIx(u32::MAX);

#[derive(Debug, Clone, Copy)]
struct Splice {
    /// What is replaced; empty: an insertion.
    old: Span,
    /// What stands there instead, in the text of the changes.
    new: Span,
}

/// The messages of a payload that matter, and the changes to be made in them. The memory is used again.
#[derive(Debug, Default)]
pub(super) struct Rewrite {
    /// The outer ones before the inner ones.
    frames: Vec<Frame>,
    growth: Vec<i64>,
    splices: Vec<Splice>,
    text: Vec<u8>,
}

impl Rewrite {
    /// Forgets the payload before.
    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.discard();
    }

    /// Forgets the changes.
    pub(super) fn discard(&mut self) {
        self.splices.clear();
        self.text.clear();
        self.growth.clear();
        self.growth.resize(self.frames.len(), 0);
    }

    /// Takes note of a field that is a message inside `outer`.
    #[inline]
    pub(super) fn enter(&mut self, outer: FrameIx, field: &Field) -> FrameIx {
        let whole = Span::new(field.head_end, field.end);
        let ix = FrameIx(u32::try_from(self.frames.len()).unwrap_or(u32::MAX));
        self.frames.push(Frame {
            outer: outer.0,
            length_at: whole.start,
            start: Span::new(field.start, field.end).start,
            end: whole.start + whole.len,
        });
        ix
    }

    /// Where a message stands, without its length.
    pub(super) fn range(&self, frame: FrameIx) -> Range<usize> {
        let frame = self.frames[frame.0 as usize];
        frame.start as usize..frame.end as usize
    }

    /// Puts what `write` appends in the place of `old`, which lies in `frame` and in no message within it. Of several
    /// insertions at one place the first stays the first.
    pub(super) fn replace(&mut self, frame: FrameIx, old: Range<usize>, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len();
        write(&mut self.text);
        let old = Span::new(old.start, old.end);
        let new = Span::new(start, self.text.len());
        self.splices.push(Splice { old, new });
        self.grow(frame, i64::from(new.len) - i64::from(old.len));
    }

    /// Gives a string another content. Its length keeps its bytes if it is the same.
    pub(super) fn replace_text(&mut self, frame: FrameIx, length_at: usize, content: Range<usize>, text: &[u8]) {
        if content.len() == text.len() {
            self.replace(frame, content, |out| out.extend_from_slice(text));
        } else {
            self.replace(frame, length_at..content.end, |out| {
                varint::write_u64(out, text.len() as u64);
                out.extend_from_slice(text);
            });
        }
    }

    /// Appends `plain` with the changes made.
    pub(super) fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        self.set_lengths();
        // Two at one place: an insertion before what is replaced there cannot be, so the order of the changes decides.
        self.splices.sort_unstable_by_key(|s| (s.old.start, s.new.start));
        let mut at = 0;
        for splice in &self.splices {
            let old = splice.old.range();
            out.extend_from_slice(&plain[at..old.start]);
            out.extend_from_slice(&self.text[splice.new.range()]);
            at = old.end;
        }
        out.extend_from_slice(&plain[at..]);
    }

    /// Whether there is no change.
    pub(super) fn is_unchanged(&self) -> bool {
        self.splices.is_empty()
    }

    /// Makes a change of every length that a change grew or shrank, from the inner messages to the outer ones.
    fn set_lengths(&mut self) {
        for ix in (0..self.frames.len()).rev() {
            let growth = self.growth[ix];
            if growth == 0 {
                continue;
            }
            let Frame { outer, length_at, start, end } = self.frames[ix];
            let length = u64::from(end - start).saturating_add_signed(growth);
            let new_start = self.text.len();
            varint::write_u64(&mut self.text, length);
            let old = Span { start: length_at, len: start - length_at };
            self.splices.push(Splice { old, new: Span::new(new_start, self.text.len()) });
            let longer = i64::try_from(varint_bytes(length)).unwrap_or(0) - i64::from(old.len);
            self.grow(FrameIx(outer), growth + longer);
        }
    }

    fn grow(&mut self, frame: FrameIx, bytes: i64) {
        if let Some(growth) = self.growth.get_mut(frame.0 as usize) {
            *growth += bytes;
        }
    }
}

#[cfg(test)]
pub(super) mod testing;
