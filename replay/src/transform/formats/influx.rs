//! Influx line protocol.
//!
//! - `measurement,tag=value field=1 1700000000000000000`: a sample is a line; its metric is the measurement. Empty lines and
//!   comments (`#`) are stepped over; lines may end in `\r\n`; fields are checked and never taken for tags.
//! - Escaped with a backslash: commas and blanks in measurements; commas, blanks and equals signs in names and values of tags
//!   and in fields' names; quotes and backslashes in strings, which may hold line ends too. A backslash before anything else is
//!   a backslash. A byte is escaped by a backslash just before it, whatever stands before that one, as InfluxDB 1 and 2 read it.
//! - Cannot be said: an empty name or value, a control character, and a backslash at the end of a name or value or before a
//!   backslash, a comma, a blank or an equals sign, which readers understand differently.
//! - A time stamp's unit is judged by its magnitude, each for itself, since it stands outside the payload: below 10^11 seconds,
//!   below 10^14 milliseconds, below 10^17 microseconds, else nanoseconds. A number that is then after the year 2261 is kept
//!   and counts as no time. A stamp is not moved to where it would be judged otherwise.
//! - A tag is added behind the others; they are not sorted. A name that the line has as a tag already is refused.

use std::ops::Range;

use super::edits::Edits;
use super::kind::StampUnit;
use super::parsed::{Parsed, Sample, Span, Stamp, Tag};
use super::scan::{Scan, is_decimal};
use super::splice::{OUT_OF_RANGE, Patches, Site, decoded};
use super::{Format, Malformed, stamp};

/// The grammar, and memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Influx {
    sites: Vec<Site>,
    units: Vec<StampUnit>,
    patches: Patches,
}

impl Format for Influx {
    fn parse(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
        parsed.clear();
        self.sites.clear();
        self.units.clear();
        parsed.text.extend_from_slice(payload);
        Scan { payload, at: 0 }.each_line(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'), |scan| self.line(scan, parsed))
    }

    fn write(&mut self, payload: &[u8], parsed: &Parsed, edits: &Edits, out: &mut Vec<u8>) -> Result<(), Malformed> {
        super::refuse_known_names(parsed, edits)?;
        self.patches.clear();
        self.patches.replace(parsed, edits, |_, value, out| write_escaped(value, out))?;
        self.patches.add(edits, &self.sites, ",", |name, value, out| {
            write_escaped(name, out)?;
            out.push(b'=');
            write_escaped(value, out)
        })?;
        if edits.shift_ns() != 0 {
            for (stamp, unit) in parsed.stamps.iter().zip(&self.units) {
                let moved = stamp.ns.checked_add(edits.shift_ns()).map(|ns| ns.div_euclid(unit_ns(*unit)));
                if moved.is_none_or(|number| unit_of(number) != *unit) {
                    return Err(Malformed { offset: stamp.raw.range().start, what: OUT_OF_RANGE });
                }
            }
        }
        self.patches.shift(parsed, edits, |i| self.units[i])?;
        self.patches.apply(payload, out);
        Ok(())
    }
}

impl Influx {
    fn line(&mut self, scan: &mut Scan<'_>, parsed: &mut Parsed) -> Result<(), Malformed> {
        let first_tag = parsed.tags.len();
        let measurement = take_name(scan, b", ", "a line without a measurement")?;
        let metric = decoded_name(parsed, measurement, b", ");
        while scan.eat(b',') {
            let name = take_name(scan, b",= ", "a tag without a name")?;
            if !scan.eat(b'=') {
                return Err(scan.malformed("a tag without a value"));
            }
            let value = take_name(scan, b",= ", "a tag without a value")?;
            if scan.peek() == Some(b'=') {
                return Err(scan.malformed("an equals sign in a tag's value that is not escaped"));
            }
            let raw = Span::new(value.start, value.end);
            let (name, value) = (decoded_name(parsed, name, b",= "), decoded_name(parsed, value, b",= "));
            parsed.tags.push(Tag { name, value, raw });
        }
        self.sites.push(Site { at: scan.at, open: ",", close: "" });
        if scan.take(|b| b == b' ').is_empty() {
            return Err(scan.malformed("a line without fields"));
        }
        fields(scan)?;
        scan.take(|b| b == b' ');
        let time = scan.take(|b| b == b'-' || b.is_ascii_digit());
        if !time.is_empty() {
            self.stamp(time, parsed)?;
            scan.take(|b| b == b' ');
        }
        scan.eat(b'\r');
        if !scan.eat(b'\n') && scan.peek().is_some() {
            return Err(scan.malformed("expected the end of the line"));
        }
        let range = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        parsed.samples.push(Sample { metric, tags: range(first_tag)..range(parsed.tags.len()), ..Sample::default() });
        Ok(())
    }

    fn stamp(&mut self, text: Range<usize>, parsed: &mut Parsed) -> Result<(), Malformed> {
        let number = std::str::from_utf8(&parsed.text[text.clone()]).ok().and_then(|text| text.parse().ok());
        let unit = unit_of(number.ok_or(Malformed { offset: text.start, what: "not a time stamp" })?);
        if let Ok(ns) = stamp::read(&parsed.text[text.clone()], unit) {
            parsed.stamps.push(Stamp { raw: Span::new(text.start, text.end), ns });
            self.units.push(unit);
        }
        Ok(())
    }
}

fn unit_of(number: i64) -> StampUnit {
    match number.unsigned_abs() {
        0..100_000_000_000 => StampUnit::Seconds,
        100_000_000_000..100_000_000_000_000 => StampUnit::Milliseconds,
        100_000_000_000_000..100_000_000_000_000_000 => StampUnit::Microseconds,
        _ => StampUnit::Nanoseconds,
    }
}

fn unit_ns(unit: StampUnit) -> i64 {
    match unit {
        StampUnit::Seconds => 1_000_000_000,
        StampUnit::Milliseconds => 1_000_000,
        StampUnit::Microseconds => 1_000,
        StampUnit::Nanoseconds | StampUnit::Rfc3339 => 1,
    }
}

/// Steps over a measurement, a name or a tag's value, up to the first stop that is not escaped.
fn take_name(scan: &mut Scan<'_>, stops: &[u8], what: &'static str) -> Result<Range<usize>, Malformed> {
    let start = scan.at;
    let mut before = 0;
    while let Some(byte) = scan.peek() {
        if byte == b'\n' || (before != b'\\' && stops.contains(&byte)) {
            break;
        }
        before = byte;
        scan.at += 1;
    }
    if scan.at == start {
        return Err(scan.malformed(what));
    }
    Ok(start..scan.at)
}

fn decoded_name(parsed: &mut Parsed, piece: Range<usize>, escaped: &[u8]) -> Span {
    decoded(&mut parsed.text, piece.clone(), |text| {
        for at in piece.clone() {
            if text[at] != b'\\' || at + 1 == piece.end || !escaped.contains(&text[at + 1]) {
                text.push(text[at]);
            }
        }
    })
}

fn fields(scan: &mut Scan<'_>) -> Result<(), Malformed> {
    loop {
        take_name(scan, b",= ", "a field without a name")?;
        if !scan.eat(b'=') {
            return Err(scan.malformed("a field without a value"));
        }
        if scan.peek() == Some(b'"') {
            scan.at += 1;
            string(scan)?;
        } else {
            let value = scan.take(|b| !matches!(b, b',' | b' ' | b'\n' | b'\r'));
            if !is_value(&scan.payload[value.clone()]) {
                return Err(Malformed { offset: value.start, what: "not a field's value" });
            }
        }
        if !scan.eat(b',') {
            return Ok(());
        }
    }
}

/// Steps over a string and its end.
fn string(scan: &mut Scan<'_>) -> Result<(), Malformed> {
    loop {
        scan.take(|b| b != b'"' && b != b'\\');
        match scan.peek() {
            Some(b'\\') if scan.at + 1 < scan.payload.len() => scan.at += 2,
            Some(b'"') => {
                scan.at += 1;
                return Ok(());
            }
            _ => return Err(scan.malformed("a string without an end")),
        }
    }
}

fn is_value(text: &[u8]) -> bool {
    match text {
        b"t" | b"T" | b"true" | b"True" | b"TRUE" | b"f" | b"F" | b"false" | b"False" | b"FALSE" => true,
        [integer @ .., b'i' | b'u'] => {
            let digits = integer.strip_prefix(b"-").unwrap_or(integer);
            !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
        }
        number => is_decimal(number),
    }
}

/// Appends a name or value of a tag.
fn write_escaped(text: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("a tag's name and value need a character");
    }
    for (i, &byte) in text.iter().enumerate() {
        match byte {
            0..0x20 | 0x7f => return Err("a tag's name and value must not have control characters"),
            b'\\' if matches!(text.get(i + 1), None | Some(b'\\' | b',' | b'=' | b' ')) => {
                return Err("a backslash there is understood differently by different readers");
            }
            b',' | b'=' | b' ' => out.extend_from_slice(&[b'\\', byte]),
            _ => out.push(byte),
        }
    }
    Ok(())
}
