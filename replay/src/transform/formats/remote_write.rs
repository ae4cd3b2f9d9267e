//! Prometheus remote write 1.0: a `WriteRequest` in protobuf, compressed in snappy's block format as it travels, or plain as
//! some recordings keep it. It is written back in the form in which it came.
//!
//! A sample is a time series (whatever number of values it carries); its metric is the label `__name__`, which is no tag; its
//! tags are the other labels. Time stamps, in milliseconds, are those of samples, exemplars and native histograms; 0 counts
//! as absent, and one that does not fit 64 bits of nanoseconds is left alone.
//!
//! - A label that is added goes before the first one with a greater name, so that sorted labels stay sorted. A second label
//!   of one name, an empty name or value, and text that is not UTF-8 cannot be said in remote write and are refused.
//! - Fields that are not known here are kept byte for byte, and so are the metadata.
//! - What is decompressed has [`PLAIN_BYTES_MAX`] at most, and no more than snappy can reach with as many bytes: a claim of
//!   more is refused before there is memory for it.
//! - A compressed payload that is changed is compressed anew: its bytes differ, what they unpack to is changed only where it
//!   is meant.

use std::fmt;

use dejaq_shared::record::RECORD_BYTES_MAX;
use dejaq_shared::varint;

use super::rewrite::{FrameIx, Rewrite, WHOLE};
use super::wire::{Field, Fields, text_bytes, write_head, write_text};
use super::{Added, Edits, Format, Malformed, Parsed, Sample, Span, Stamp, Tag};

/// The most that a compressed payload may unpack to.
pub(super) const PLAIN_BYTES_MAX: usize = 32 << 20;

/// Snappy's densest element makes 64 bytes of 3.
const SNAPPY_RATIO_MAX: usize = 22;

const NS_PER_MS: i64 = 1_000_000;

/// The label that is the metric's name.
const METRIC: &[u8] = b"__name__";

// Numbers of fields, by message.
mod request {
    pub(super) const TIME_SERIES: u32 = 1;
    pub(super) const METADATA: u32 = 3;
    /// Version 2.0's table of strings: in 1.0 it does not exist.
    pub(super) const SYMBOLS: u32 = 4;
}
mod series {
    pub(super) const LABELS: u32 = 1;
    pub(super) const SAMPLES: u32 = 2;
    pub(super) const EXEMPLARS: u32 = 3;
    pub(super) const HISTOGRAMS: u32 = 4;
}
mod label {
    pub(super) const NAME: u32 = 1;
    pub(super) const VALUE: u32 = 2;
}
mod stamp_of {
    pub(super) const SAMPLE: u32 = 2;
    pub(super) const EXEMPLAR: u32 = 3;
    pub(super) const HISTOGRAM: u32 = 15;
}

/// Where a label's value stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    label: FrameIx,
    /// Where the value's length starts; `None`: the label has no value field, which says that it is empty.
    length_at: Option<usize>,
}

/// The grammar, and its notes on the last payload.
pub(super) struct RemoteWrite {
    rewrite: Rewrite,
    /// The last payload was compressed.
    packed: bool,
    /// By sample: its series.
    series: Vec<FrameIx>,
    /// By tag.
    places: Vec<Place>,
    /// By time stamp: the message that it is in.
    stamped: Vec<FrameIx>,
    added: Vec<Added>,
    plain: Vec<u8>,
    unpacker: snap::raw::Decoder,
    packer: snap::raw::Encoder,
}

impl Default for RemoteWrite {
    fn default() -> Self {
        Self {
            rewrite: Rewrite::default(),
            packed: false,
            series: Vec::new(),
            places: Vec::new(),
            stamped: Vec::new(),
            added: Vec::new(),
            plain: Vec::new(),
            unpacker: snap::raw::Decoder::new(),
            packer: snap::raw::Encoder::new(),
        }
    }
}

impl fmt::Debug for RemoteWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteWrite").field("packed", &self.packed).field("series", &self.series.len()).finish_non_exhaustive()
    }
}

impl Format for RemoteWrite {
    fn parse(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
        if !begins_plain(payload) {
            return self.parse_packed(payload, parsed);
        }
        let Err(plain) = self.parse_plain(payload, parsed) else { return Ok(()) };
        self.parse_packed(payload, parsed).map_err(|_| plain)
    }

    fn write(&mut self, payload: &[u8], parsed: &Parsed, edits: &Edits, out: &mut Vec<u8>) -> Result<(), Malformed> {
        self.rewrite.discard();
        // Values before new labels: one that was missing goes to the end of its label, and the new label comes after that.
        self.replace_values(parsed, edits)?;
        self.add_labels(parsed, edits)?;
        self.shift_stamps(parsed, edits.shift_ns())?;
        if self.rewrite.is_unchanged() {
            out.extend_from_slice(payload);
            return Ok(());
        }
        if !self.packed {
            self.rewrite.write(&parsed.text, out);
            return Ok(());
        }
        self.plain.clear();
        self.rewrite.write(&parsed.text, &mut self.plain);
        if self.plain.len() > PLAIN_BYTES_MAX {
            return Err(Malformed { offset: PLAIN_BYTES_MAX, what: "with the edits it would unpack to more than 32 MiB" });
        }
        let start = out.len();
        out.resize(start + snap::raw::max_compress_len(self.plain.len()), 0);
        match self.packer.compress(&self.plain, &mut out[start..]) {
            Ok(_) if begins_plain(&out[start..]) => Err(Malformed {
                offset: 0,
                what: "with the edits it has 10 or 26 bytes, and could be taken for one that is not compressed",
            }),
            Ok(bytes) => {
                out.truncate(start + bytes);
                Ok(())
            }
            Err(_) => Err(Malformed { offset: 0, what: "what was written cannot be compressed" }),
        }
    }
}

impl RemoteWrite {
    fn parse_packed(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
        parsed.clear();
        if payload.starts_with(b"\xff\x06\x00\x00sNaPpY") {
            return Err(Malformed { offset: 0, what: "snappy's framing format; remote write has its block format" });
        }
        let bytes = match snap::raw::decompress_len(payload) {
            Ok(bytes) if !payload.is_empty() => bytes,
            _ => return Err(Malformed { offset: 0, what: "neither snappy's block format nor a plain WriteRequest" }),
        };
        if bytes > PLAIN_BYTES_MAX {
            return Err(Malformed { offset: 0, what: "it claims to unpack to more than 32 MiB" });
        }
        if bytes > payload.len().saturating_mul(SNAPPY_RATIO_MAX) {
            return Err(Malformed { offset: 0, what: "it claims to unpack to more than its bytes can hold" });
        }
        parsed.text.resize(bytes, 0);
        if self.unpacker.decompress(payload, &mut parsed.text).is_err() {
            return Err(Malformed { offset: 0, what: "snappy data that is damaged, cut off, or has more behind it" });
        }
        self.packed = true;
        self.request(parsed)
    }

    fn parse_plain(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
        parsed.clear();
        if payload.len() > RECORD_BYTES_MAX {
            return Err(Malformed { offset: RECORD_BYTES_MAX, what: "more than 128 MiB" });
        }
        parsed.text.extend_from_slice(payload);
        self.packed = false;
        self.request(parsed)
    }

    /// Understands the plain payload in `parsed.text`.
    fn request(&mut self, parsed: &mut Parsed) -> Result<(), Malformed> {
        self.rewrite.clear();
        self.series.clear();
        self.places.clear();
        self.stamped.clear();
        let Parsed { text, samples, tags, stamps } = parsed;
        let mut fields = Fields::new(text, 0..text.len());
        let mut known = text.is_empty();
        while let Some(field) = fields.next()? {
            match field.number {
                request::TIME_SERIES => {
                    samples.push(self.time_series(text, &field, tags, stamps)?);
                    known = true;
                }
                request::METADATA => {
                    field.bytes()?;
                    known = true;
                }
                request::SYMBOLS if !known => {
                    return Err(Malformed { offset: field.at, what: "remote write 2.0 it seems; only 1.0 is understood" });
                }
                _ => {}
            }
        }
        if known { Ok(()) } else { Err(Malformed { offset: 0, what: "a WriteRequest without time series and metadata" }) }
    }

    fn time_series(&mut self, plain: &[u8], field: &Field, tags: &mut Vec<Tag>, stamps: &mut Vec<Stamp>) -> Result<Sample, Malformed> {
        field.bytes()?;
        let frame = self.rewrite.enter(WHOLE, field);
        self.series.push(frame);
        let mut metric = Span::default();
        let first = index(tags.len());
        let mut fields = Fields::new(plain, field.range());
        while let Some(field) = fields.next()? {
            let stamp = match field.number {
                series::LABELS => {
                    if let Some(name) = self.label(plain, frame, &field, tags)? {
                        metric = name;
                    }
                    continue;
                }
                series::SAMPLES => stamp_of::SAMPLE,
                series::EXEMPLARS => stamp_of::EXEMPLAR,
                series::HISTOGRAMS => stamp_of::HISTOGRAM,
                _ => continue,
            };
            self.stamps(plain, frame, &field, stamp, stamps)?;
        }
        Ok(Sample { metric, tags: first..index(tags.len()), ..Sample::default() })
    }

    /// Takes note of a label; the metric's name, if it is that.
    #[inline]
    fn label(&mut self, plain: &[u8], series: FrameIx, field: &Field, tags: &mut Vec<Tag>) -> Result<Option<Span>, Malformed> {
        let found = Label::read(plain, field)?;
        if &plain[found.name.range()] == METRIC {
            return Ok(Some(found.value));
        }
        let label = self.rewrite.enter(series, field);
        self.places.push(Place { label, length_at: found.length_at });
        tags.push(Tag { name: found.name, value: found.value, raw: found.value });
        Ok(None)
    }

    /// Takes note of the time stamp of a sample, an exemplar or a histogram: its field `number`.
    #[inline]
    fn stamps(&mut self, plain: &[u8], series: FrameIx, field: &Field, number: u32, stamps: &mut Vec<Stamp>) -> Result<(), Malformed> {
        field.bytes()?;
        let frame = self.rewrite.enter(series, field);
        let mut fields = Fields::new(plain, field.range());
        while let Some(field) = fields.next()? {
            if field.number != number {
                continue;
            }
            let ms = field.varint()?.cast_signed();
            if let Some(ns) = ms.checked_mul(NS_PER_MS).filter(|&ns| ns != 0) {
                stamps.push(Stamp { raw: Span::new(field.start, field.end), ns });
                self.stamped.push(frame);
            }
        }
        Ok(())
    }

    fn replace_values(&mut self, parsed: &Parsed, edits: &Edits) -> Result<(), Malformed> {
        for (ix, tag, value) in edits.changes(parsed) {
            let raw = tag.raw.range();
            check(raw.start, value)?;
            let Place { label, length_at } = self.places[ix as usize];
            match length_at {
                Some(length_at) => self.rewrite.replace_text(label, length_at, raw, value),
                None => {
                    let end = self.rewrite.range(label).end;
                    self.rewrite.replace(label, end..end, |out| write_text(out, label::VALUE, value));
                }
            }
        }
        Ok(())
    }

    fn add_labels(&mut self, parsed: &Parsed, edits: &Edits) -> Result<(), Malformed> {
        self.added.clear();
        self.added.extend_from_slice(edits.added());
        self.added.sort_unstable_by(|a, b| (a.sample, edits.get(a.name)).cmp(&(b.sample, edits.get(b.name))));
        let mut before: Option<Added> = None;
        for &added in &self.added {
            let (name, value) = (edits.get(added.name), edits.get(added.value));
            let series = self.series[added.sample as usize];
            let at = place_of(&parsed.text, self.rewrite.range(series), name)?;
            if before.is_some_and(|b| b.sample == added.sample && edits.get(b.name) == name) {
                return Err(Malformed { offset: at, what: "two new labels have one name" });
            }
            check(at, name)?;
            check(at, value)?;
            self.rewrite.replace(series, at..at, |out| {
                write_head(out, series::LABELS, 2);
                varint::write_u64(out, (text_bytes(name) + text_bytes(value)) as u64);
                write_text(out, label::NAME, name);
                write_text(out, label::VALUE, value);
            });
            before = Some(added);
        }
        Ok(())
    }

    fn shift_stamps(&mut self, parsed: &Parsed, shift_ns: i64) -> Result<(), Malformed> {
        // Whole milliseconds, the same for all: what lies between two stamps stays.
        let shift_ms = shift_ns.div_euclid(NS_PER_MS);
        if shift_ms == 0 {
            return Ok(());
        }
        for (stamp, &frame) in parsed.stamps.iter().zip(&self.stamped) {
            let moved = stamp.ns.checked_add(shift_ms.saturating_mul(NS_PER_MS));
            let Some(ns) = moved.and_then(|ns| u64::try_from(ns).ok()).filter(|&ns| ns != 0) else {
                return Err(Malformed { offset: stamp.raw.range().start, what: "a time stamp would move beyond 1970 or 2262" });
            };
            self.rewrite.replace(frame, stamp.raw.range(), |out| varint::write_u64(out, ns / NS_PER_MS.unsigned_abs()));
        }
        Ok(())
    }
}

/// A label as it stands in the payload.
struct Label {
    name: Span,
    value: Span,
    /// See [`Place`].
    length_at: Option<usize>,
}

impl Label {
    /// Of a field that stands twice the last one counts, as everywhere in protobuf; one that is missing is empty.
    #[inline]
    fn read(plain: &[u8], field: &Field) -> Result<Self, Malformed> {
        field.bytes()?;
        let nothing = Span::new(field.end, field.end);
        let mut label = Self { name: nothing, value: nothing, length_at: None };
        let mut fields = Fields::new(plain, field.range());
        while let Some(field) = fields.next()? {
            match field.number {
                label::NAME => {
                    field.text(plain)?;
                    label.name = Span::new(field.start, field.end);
                }
                label::VALUE => {
                    field.text(plain)?;
                    label.value = Span::new(field.start, field.end);
                    label.length_at = Some(field.head_end);
                }
                _ => {}
            }
        }
        Ok(label)
    }
}

/// Whether a payload can be a plain one: field 1 or 3, a message, comes first. A compressed one begins with its plain length, which
/// is hardly ever 10 or 26.
fn begins_plain(payload: &[u8]) -> bool {
    matches!(payload.first(), None | Some(0x0a | 0x1a))
}

/// Where a new label goes: before the first with a greater name, else behind the last.
fn place_of(plain: &[u8], series: std::ops::Range<usize>, name: &[u8]) -> Result<usize, Malformed> {
    if name == METRIC {
        return Err(Malformed { offset: series.start, what: "a new label has the name of the metric's label" });
    }
    let mut fields = Fields::new(plain, series.clone());
    let (mut before, mut behind) = (None, series.start);
    while let Some(field) = fields.next()? {
        if field.number != series::LABELS {
            continue;
        }
        let there = &plain[Label::read(plain, &field)?.name.range()];
        if there == name {
            return Err(Malformed { offset: field.at, what: "a new label has the name of one that is there" });
        }
        if there > name && before.is_none() {
            before = Some(field.at);
        }
        behind = field.end;
    }
    Ok(before.unwrap_or(behind))
}

/// Whether remote write can say a name or a value.
fn check(offset: usize, text: &[u8]) -> Result<(), Malformed> {
    if text.is_empty() {
        return Err(Malformed { offset, what: "a label cannot have an empty name or value" });
    }
    match std::str::from_utf8(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(Malformed { offset, what: "a new name or value is not UTF-8" }),
    }
}

/// Payloads end long before this saturates.
fn index(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
