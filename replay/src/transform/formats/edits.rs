//! What is to be changed in a payload: values of tags, tags to add, and by how much its time stamps move.

use super::parsed::{Parsed, Span, Tag};

/// A new value of a tag that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced {
    /// The tag, an index into [`Parsed::tags`](super::Parsed::tags).
    pub tag: u32,
    /// The new value, not encoded; a span of the edits' text.
    pub value: Span,
}

/// A tag to add to a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    /// The sample, an index into [`Parsed::samples`](super::Parsed::samples).
    pub sample: u32,
    /// The name, not encoded; a span of the edits' text.
    pub name: Span,
    /// The value, not encoded; a span of the edits' text.
    pub value: Span,
}

/// All edits of one payload. Used again for the next.
#[derive(Debug, Clone, Default)]
pub struct Edits {
    text: Vec<u8>,
    replaced: Vec<Replaced>,
    added: Vec<Added>,
    shift_ns: i64,
}

impl Edits {
    /// Removes all edits and keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.replaced.clear();
        self.added.clear();
        self.shift_ns = 0;
    }

    /// Whether nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.replaced.is_empty() && self.added.is_empty() && self.shift_ns == 0
    }

    /// Gives a tag a value. A tag must be given one only once.
    pub fn replace(&mut self, tag: u32, value: &[u8]) {
        let value = self.keep(value);
        self.replaced.push(Replaced { tag, value });
    }

    /// Adds a tag to a sample.
    pub fn add(&mut self, sample: u32, name: &[u8], value: &[u8]) {
        let (name, value) = (self.keep(name), self.keep(value));
        self.added.push(Added { sample, name, value });
    }

    /// Moves every time stamp of the payload by as much, in nanoseconds.
    pub fn shift(&mut self, shift_ns: i64) {
        self.shift_ns = shift_ns;
    }

    /// Puts the edits into the order of the payload, as formats expect them.
    pub fn seal(&mut self) {
        self.replaced.sort_by_key(|r| r.tag);
        // Several tags added to one sample stay in the order in which they were added.
        self.added.sort_by_key(|a| a.sample);
    }

    /// The bytes of a span.
    #[must_use]
    pub fn get(&self, span: Span) -> &[u8] {
        &self.text[span.range()]
    }

    /// New values, by tag.
    #[must_use]
    pub fn replaced(&self) -> &[Replaced] {
        &self.replaced
    }

    /// The new values that are not what the tags have already: the tag's index, the tag, the value. What is there can stay, even
    /// where a format could not give it anew.
    pub fn changes<'e>(&'e self, parsed: &'e Parsed) -> impl Iterator<Item = (u32, Tag, &'e [u8])> {
        let change = |replaced: &Replaced| (replaced.tag, parsed.tags[replaced.tag as usize], self.get(replaced.value));
        self.replaced.iter().map(change).filter(|(_, tag, value)| *value != parsed.get(tag.value))
    }

    /// New tags, by sample.
    #[must_use]
    pub fn added(&self) -> &[Added] {
        &self.added
    }

    /// By how much time stamps move, in nanoseconds.
    #[must_use]
    pub fn shift_ns(&self) -> i64 {
        self.shift_ns
    }

    fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(bytes);
        Span::new(start, self.text.len())
    }
}
