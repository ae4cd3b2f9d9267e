//! OTLP metrics as protobuf: an `ExportMetricsServiceRequest`, which has the bytes of a `MetricsData`.
//!
//! A sample is a data point of a gauge, sum, histogram, exponential histogram or summary. Its own tags are its attributes;
//! those of its resource and of its scope are shared: each stands in the payload once, and an edit of it changes all samples
//! of the resource or the scope. What is a tag, and how it reads as text, says [`super::otlp`]. Time stamps are the time and
//! the start time of data points and the time of exemplars; 0 counts as absent, and one beyond the year 2262 is left alone.
//!
//! - An attribute that is added goes behind the last of its data point. A second one of the same name is refused.
//! - Fields that are not known here are kept byte for byte, in whatever order the fields come.
//! - What decides between encodings that no one makes follows protobuf's rules: the last of a field that stands twice counts,
//!   messages that stand twice are one. A metric with two kinds of data is refused, since a reader would drop one of them.

use std::ops::Range;

use dejaq_shared::record::RECORD_BYTES_MAX;
use dejaq_shared::varint;

use super::otlp::{Kind, NewValue, new_value, write_bool, write_double, write_int};
use super::rewrite::{FrameIx, Rewrite, WHOLE};
use super::wire::{Field, Fields, Value, text_bytes, varint_bytes, write_head, write_text};
use super::{Edits, Format, Malformed, Parsed, Sample, Span, Stamp, Tag};

// Numbers of fields, by message.
const RESOURCE_METRICS: u32 = 1;
mod resource_metrics {
    pub(super) const RESOURCE: u32 = 1;
    pub(super) const SCOPE_METRICS: u32 = 2;
    pub(super) const RESOURCE_ATTRIBUTES: u32 = 1;
}
mod scope_metrics {
    pub(super) const SCOPE: u32 = 1;
    pub(super) const METRICS: u32 = 2;
    pub(super) const SCOPE_ATTRIBUTES: u32 = 3;
}
mod metric {
    pub(super) const NAME: u32 = 1;
    pub(super) const GAUGE: u32 = 5;
    pub(super) const SUM: u32 = 7;
    pub(super) const HISTOGRAM: u32 = 9;
    pub(super) const EXPONENTIAL_HISTOGRAM: u32 = 10;
    pub(super) const SUMMARY: u32 = 11;
    pub(super) const DATA_POINTS: u32 = 1;
}
mod point {
    pub(super) const START_TIME: u32 = 2;
    pub(super) const TIME: u32 = 3;
}
mod exemplar {
    pub(super) const TIME: u32 = 2;
}
mod key_value {
    pub(super) const KEY: u32 = 1;
    pub(super) const VALUE: u32 = 2;
}
mod any_value {
    pub(super) const STRING: u32 = 1;
    pub(super) const BOOL: u32 = 2;
    pub(super) const INT: u32 = 3;
    pub(super) const DOUBLE: u32 = 4;
    /// Array, list of key and value, bytes, and the index of a string.
    pub(super) const OTHERS: std::ops::RangeInclusive<u32> = 5..=8;
}

/// What differs between the kinds of data points.
#[derive(Debug, Clone, Copy)]
struct PointKind {
    attributes: u32,
    /// 0: it has none.
    exemplars: u32,
}

/// Where an attribute's value stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The `AnyValue`.
    frame: FrameIx,
    kind: Kind,
    /// The field in it.
    at: usize,
    head_end: usize,
}

/// A data point.
#[derive(Debug, Clone, Copy)]
struct Point {
    frame: FrameIx,
    /// The field that its attributes are.
    attributes: u32,
}

/// The grammar, and its notes on the last payload.
#[derive(Debug, Default)]
pub(super) struct OtlpProtobuf {
    rewrite: Rewrite,
    /// By sample.
    points: Vec<Point>,
    /// By tag.
    places: Vec<Place>,
    scratch: Vec<u8>,
}

/// What the samples of a scope have in common.
struct Around {
    shared: Range<u32>,
    scope: Range<u32>,
}

impl Format for OtlpProtobuf {
    fn parse(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
        parsed.clear();
        self.rewrite.clear();
        self.points.clear();
        self.places.clear();
        if payload.len() > RECORD_BYTES_MAX {
            return Err(Malformed { offset: RECORD_BYTES_MAX, what: "more than 128 MiB" });
        }
        parsed.text.extend_from_slice(payload);
        let mut known = payload.is_empty();
        let mut fields = Fields::new(payload, 0..payload.len());
        while let Some(field) = fields.next()? {
            if field.number == RESOURCE_METRICS {
                self.resource_metrics(payload, &field, parsed)?;
                known = true;
            }
        }
        if known { Ok(()) } else { Err(Malformed { offset: 0, what: "an export without resource metrics" }) }
    }

    fn write(&mut self, payload: &[u8], parsed: &Parsed, edits: &Edits, out: &mut Vec<u8>) -> Result<(), Malformed> {
        self.rewrite.discard();
        self.replace_values(parsed, edits)?;
        self.add_attributes(payload, edits)?;
        self.shift_stamps(parsed, edits.shift_ns())?;
        self.rewrite.write(payload, out);
        Ok(())
    }
}

impl OtlpProtobuf {
    fn resource_metrics(&mut self, plain: &[u8], field: &Field, parsed: &mut Parsed) -> Result<(), Malformed> {
        field.bytes()?;
        let frame = self.rewrite.enter(WHOLE, field);
        // The resource first, wherever it stands: its tags are those of all samples.
        let attributes = (resource_metrics::RESOURCE, resource_metrics::RESOURCE_ATTRIBUTES);
        let shared = self.attributes_within(plain, frame, attributes, parsed)?;
        let mut fields = Fields::new(plain, field.range());
        while let Some(field) = fields.next()? {
            if field.number == resource_metrics::SCOPE_METRICS {
                self.scope_metrics(plain, frame, &field, &shared, parsed)?;
            }
        }
        Ok(())
    }

    fn scope_metrics(
        &mut self,
        plain: &[u8],
        outer: FrameIx,
        field: &Field,
        shared: &Range<u32>,
        parsed: &mut Parsed,
    ) -> Result<(), Malformed> {
        field.bytes()?;
        let frame = self.rewrite.enter(outer, field);
        let attributes = (scope_metrics::SCOPE, scope_metrics::SCOPE_ATTRIBUTES);
        let scope = self.attributes_within(plain, frame, attributes, parsed)?;
        let around = Around { shared: shared.clone(), scope };
        let mut fields = Fields::new(plain, field.range());
        while let Some(field) = fields.next()? {
            if field.number == scope_metrics::METRICS {
                self.metric(plain, frame, &field, &around, parsed)?;
            }
        }
        Ok(())
    }

    /// The attributes (a field's number) of the resource or scope (a field's number) of a message.
    fn attributes_within(
        &mut self,
        plain: &[u8],
        outer: FrameIx,
        (number, attributes): (u32, u32),
        parsed: &mut Parsed,
    ) -> Result<Range<u32>, Malformed> {
        let first = index(parsed.tags.len());
        let mut fields = Fields::new(plain, self.rewrite.range(outer));
        while let Some(field) = fields.next()? {
            if field.number != number {
                continue;
            }
            field.bytes()?;
            let frame = self.rewrite.enter(outer, &field);
            let mut fields = Fields::new(plain, field.range());
            while let Some(field) = fields.next()? {
                if field.number == attributes {
                    self.attribute(plain, frame, &field, parsed)?;
                }
            }
        }
        Ok(first..index(parsed.tags.len()))
    }

    fn metric(&mut self, plain: &[u8], outer: FrameIx, field: &Field, around: &Around, parsed: &mut Parsed) -> Result<(), Malformed> {
        field.bytes()?;
        let frame = self.rewrite.enter(outer, field);
        let mut name = Span::default();
        let mut fields = Fields::new(plain, field.range());
        while let Some(field) = fields.next()? {
            if field.number == metric::NAME {
                field.text(plain)?;
                name = Span::new(field.start, field.end);
            }
        }
        let mut data = None;
        let mut fields = Fields::new(plain, field.range());
        while let Some(field) = fields.next()? {
            let kind = match field.number {
                metric::GAUGE | metric::SUM => PointKind { attributes: 7, exemplars: 5 },
                metric::HISTOGRAM => PointKind { attributes: 9, exemplars: 8 },
                metric::EXPONENTIAL_HISTOGRAM => PointKind { attributes: 1, exemplars: 11 },
                metric::SUMMARY => PointKind { attributes: 7, exemplars: 0 },
                _ => continue,
            };
            field.bytes()?;
            if data.replace(field.number).is_some_and(|other| other != field.number) {
                return Err(Malformed { offset: field.at, what: "a metric with two kinds of data" });
            }
            let frame = self.rewrite.enter(frame, &field);
            let mut fields = Fields::new(plain, field.range());
            while let Some(field) = fields.next()? {
                if field.number == metric::DATA_POINTS {
                    let tags = self.point(plain, frame, &field, kind, parsed)?;
                    let Around { shared, scope } = around;
                    parsed.samples.push(Sample { metric: name, tags, shared: shared.clone(), scope: scope.clone() });
                }
            }
        }
        Ok(())
    }

    fn point(
        &mut self,
        plain: &[u8],
        outer: FrameIx,
        field: &Field,
        kind: PointKind,
        parsed: &mut Parsed,
    ) -> Result<Range<u32>, Malformed> {
        field.bytes()?;
        let frame = self.rewrite.enter(outer, field);
        self.points.push(Point { frame, attributes: kind.attributes });
        let first = index(parsed.tags.len());
        let mut fields = Fields::new(plain, field.range());
        while let Some(field) = fields.next()? {
            match field.number {
                point::START_TIME | point::TIME => stamp(&field, &mut parsed.stamps)?,
                number if number == kind.attributes => self.attribute(plain, frame, &field, parsed)?,
                number if number == kind.exemplars => {
                    field.bytes()?;
                    let mut fields = Fields::new(plain, field.range());
                    while let Some(field) = fields.next()? {
                        if field.number == exemplar::TIME {
                            stamp(&field, &mut parsed.stamps)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(first..index(parsed.tags.len()))
    }

    /// Takes note of an attribute, if it is a tag.
    fn attribute(&mut self, plain: &[u8], outer: FrameIx, field: &Field, parsed: &mut Parsed) -> Result<(), Malformed> {
        field.bytes()?;
        let frame = self.rewrite.enter(outer, field);
        let mut name = Span::default();
        let mut found = None;
        let mut fields = Fields::new(plain, field.range());
        while let Some(field) = fields.next()? {
            match field.number {
                key_value::KEY => {
                    field.text(plain)?;
                    name = Span::new(field.start, field.end);
                }
                key_value::VALUE => {
                    field.bytes()?;
                    let frame = self.rewrite.enter(frame, &field);
                    let mut fields = Fields::new(plain, field.range());
                    while let Some(field) = fields.next()? {
                        found = match field.number {
                            any_value::STRING => field.text(plain).map(|_| Some((Kind::Text, frame, field)))?,
                            any_value::BOOL => field.varint().map(|_| Some((Kind::Bool, frame, field)))?,
                            any_value::INT => field.varint().map(|_| Some((Kind::Int, frame, field)))?,
                            any_value::DOUBLE => field.fixed64().map(|_| Some((Kind::Double, frame, field)))?,
                            number if any_value::OTHERS.contains(&number) => None,
                            _ => found,
                        };
                    }
                }
                _ => {}
            }
        }
        if let Some((kind, frame, field)) = found {
            self.places.push(Place { frame, kind, at: field.at, head_end: field.head_end });
            let raw = Span::new(field.start, field.end);
            parsed.tags.push(Tag { name, value: text_of(kind, &field, &mut parsed.text), raw });
        }
        Ok(())
    }

    fn replace_values(&mut self, parsed: &Parsed, edits: &Edits) -> Result<(), Malformed> {
        for (ix, tag, value) in edits.changes(parsed) {
            let raw = tag.raw.range();
            let text = utf8(raw.start, value)?;
            let Place { frame, kind, at, head_end } = self.places[ix as usize];
            match new_value(kind, text, &mut self.scratch) {
                NewValue::Int(value) => self.rewrite.replace(frame, raw, |out| varint::write_u64(out, value.cast_unsigned())),
                NewValue::Bool(value) => self.rewrite.replace(frame, raw, |out| out.push(u8::from(value))),
                NewValue::Double(value) => self.rewrite.replace(frame, raw, |out| out.extend_from_slice(&value.to_le_bytes())),
                NewValue::Text if kind == Kind::Text => self.rewrite.replace_text(frame, head_end, raw, text.as_bytes()),
                NewValue::Text => self.rewrite.replace(frame, at..raw.end, |out| write_text(out, any_value::STRING, text.as_bytes())),
            }
        }
        Ok(())
    }

    fn add_attributes(&mut self, plain: &[u8], edits: &Edits) -> Result<(), Malformed> {
        for (ix, added) in edits.added().iter().enumerate() {
            let (name, value) = (edits.get(added.name), edits.get(added.value));
            let Point { frame, attributes } = self.points[added.sample as usize];
            let at = self.place_of(plain, frame, attributes, name)?;
            utf8(at, name)?;
            utf8(at, value)?;
            let mut before = edits.added()[..ix].iter().rev().take_while(|a| a.sample == added.sample);
            if before.any(|a| edits.get(a.name) == name) {
                return Err(Malformed { offset: at, what: "two new attributes have one name" });
            }
            self.rewrite.replace(frame, at..at, |out| {
                let any = text_bytes(value);
                write_head(out, attributes, 2);
                varint::write_u64(out, (text_bytes(name) + 1 + varint_bytes(any as u64) + any) as u64);
                write_text(out, key_value::KEY, name);
                write_head(out, key_value::VALUE, 2);
                varint::write_u64(out, any as u64);
                write_text(out, any_value::STRING, value);
            });
        }
        Ok(())
    }

    /// Where a new attribute goes: behind the last one, or at the end of the data point.
    fn place_of(&self, plain: &[u8], point: FrameIx, attributes: u32, name: &[u8]) -> Result<usize, Malformed> {
        let point = self.rewrite.range(point);
        if name.is_empty() {
            return Err(Malformed { offset: point.start, what: "an attribute cannot have an empty name" });
        }
        let mut behind = None;
        let mut fields = Fields::new(plain, point.clone());
        while let Some(attribute) = fields.next()? {
            if attribute.number != attributes {
                continue;
            }
            behind = Some(attribute.end);
            let mut fields = Fields::new(plain, attribute.range());
            while let Some(field) = fields.next()? {
                if field.number == key_value::KEY && field.value == Value::Bytes && &plain[field.range()] == name {
                    return Err(Malformed { offset: attribute.at, what: "a new attribute has the name of one that is there" });
                }
            }
        }
        Ok(behind.unwrap_or(point.end))
    }

    fn shift_stamps(&mut self, parsed: &Parsed, shift_ns: i64) -> Result<(), Malformed> {
        if shift_ns == 0 {
            return Ok(());
        }
        for stamp in &parsed.stamps {
            let raw = stamp.raw.range();
            match stamp.ns.checked_add(shift_ns).and_then(|ns| u64::try_from(ns).ok()) {
                // Eight bytes stay eight bytes: no message grows.
                Some(ns) if ns != 0 => self.rewrite.replace(WHOLE, raw, |out| out.extend_from_slice(&ns.to_le_bytes())),
                _ => return Err(Malformed { offset: raw.start, what: "a time stamp would move beyond 1970 or 2262" }),
            }
        }
        Ok(())
    }
}

/// An attribute's value as text: where it stands, or decoded behind the payload.
fn text_of(kind: Kind, field: &Field, text: &mut Vec<u8>) -> Span {
    let start = text.len();
    match (kind, field.value) {
        (Kind::Int, Value::Varint(value)) => write_int(text, value.cast_signed()),
        (Kind::Bool, Value::Varint(value)) => write_bool(text, value != 0),
        (Kind::Double, Value::Fixed64(value)) => write_double(text, f64::from_bits(value)),
        _ => return Span::new(field.start, field.end),
    }
    Span::new(start, text.len())
}

/// Takes note of a time, if it is one.
fn stamp(field: &Field, stamps: &mut Vec<Stamp>) -> Result<(), Malformed> {
    let time = field.fixed64()?;
    if let Ok(ns @ 1..) = i64::try_from(time) {
        stamps.push(Stamp { raw: Span::new(field.start, field.end), ns });
    }
    Ok(())
}

fn utf8(offset: usize, text: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(text).map_err(|_| Malformed { offset, what: "a new name or value is not UTF-8" })
}

/// Payloads end long before this saturates.
fn index(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
