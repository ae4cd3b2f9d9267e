//! What a format found in a payload. One arena of text, and spans into it: nothing is allocated per tag, and it is used
//! again for the next payload.

use std::ops::Range;

/// A piece of [`Parsed`]'s text (or of the text of [`Edits`](super::Edits)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Where it starts, in bytes.
    pub start: u32,
    /// Its length in bytes.
    pub len: u32,
}

impl Span {
    /// The span from `start` to before `end`.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        // Payloads have 128 MiB at most (RECORD_BYTES_MAX), plain ones that were compressed fewer.
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        Self { start, len: u32::try_from(end).unwrap_or(u32::MAX).saturating_sub(start) }
    }

    /// As a range of bytes.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// One tag: a name and a value that belong to one sample, or to several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tag {
    /// Its name, decoded.
    pub name: Span,
    /// Its value, decoded.
    pub value: Span,
    /// Where the value stands in the plain payload as it is written there: what a replacement replaces.
    pub raw: Span,
}

/// One measurement: a line, a data point, a time series, a JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sample {
    /// The metric's name, decoded; empty where the format has none.
    pub metric: Span,
    /// Its own tags, as indices into [`Parsed::tags`].
    pub tags: Range<u32>,
    /// Tags that it shares with the samples next to it (OTLP: those of the resource). A shared tag stands in the payload
    /// once, and an edit of it changes all its samples.
    pub shared: Range<u32>,
    /// Tags that it shares with fewer of them (OTLP: those of the scope; a resource has several scopes, so that one range
    /// could not hold both).
    pub scope: Range<u32>,
}

/// A time stamp of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Where it stands in the plain payload.
    pub raw: Span,
    /// Nanoseconds since 1970.
    pub ns: i64,
}

/// A parsed payload.
#[derive(Debug, Clone, Default)]
pub struct Parsed {
    /// The plain payload (decompressed, if need be), and behind it whatever had to be decoded (escapes).
    pub text: Vec<u8>,
    /// The samples, in the order of the payload.
    pub samples: Vec<Sample>,
    /// The tags of all samples; within a sample in the order of the payload.
    pub tags: Vec<Tag>,
    /// The time stamps, in the order of the payload.
    pub stamps: Vec<Stamp>,
}

impl Parsed {
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.samples.clear();
        self.tags.clear();
        self.stamps.clear();
    }

    /// The bytes of a span.
    #[must_use]
    pub fn get(&self, span: Span) -> &[u8] {
        &self.text[span.range()]
    }

    /// A sample's tags with their indices: the shared ones first.
    pub fn tags_of(&self, sample: &Sample) -> impl Iterator<Item = (u32, Tag)> + use<'_> {
        sample.shared.clone().chain(sample.scope.clone()).chain(sample.tags.clone()).map(|ix| (ix, self.tags[ix as usize]))
    }

    /// The index and the tag of a sample's first tag with this name.
    #[must_use]
    pub fn find(&self, sample: &Sample, name: &[u8]) -> Option<(u32, Tag)> {
        self.tags_of(sample).find(|(_, tag)| self.get(tag.name) == name)
    }
}
