//! Graphite's plain text protocol, with and without tags.
//!
//! - `path;tag=value;tag=value 12.5 1700000000`: a sample is a line of three words with blanks or tabs between and around them;
//!   its metric is the path before the first semicolon. A path's segments are no tags. Empty lines are stepped over.
//! - Nothing is escaped. A tag's name has no `;!^=`, its value no semicolon and no tilde in front, neither has a blank or a
//!   control character, and neither is empty; the same is asked of new ones. `name` means the path itself and cannot be added,
//!   nor can a name that the line has already.
//! - The time stamp is in seconds, perhaps with a fraction; `-1` means "now" to the receiver, is no stamp and is kept.

use std::ops::Range;

use super::edits::Edits;
use super::kind::StampUnit;
use super::parsed::{Parsed, Sample, Span, Stamp, Tag};
use super::scan::{Scan, is_float, lines, split};
use super::splice::{Patches, Site};
use super::{Format, Malformed, stamp};

/// What `-1` would be as a time.
const NOW_NS: i64 = -1_000_000_000;

/// The grammar, and memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Graphite {
    sites: Vec<Site>,
    patches: Patches,
}

impl Format for Graphite {
    fn parse(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
        parsed.clear();
        self.sites.clear();
        parsed.text.extend_from_slice(payload);
        for line in lines(payload) {
            let mut scan = Scan { payload: &payload[..line.end], at: line.start };
            scan.take(is_blank);
            if scan.at < line.end {
                self.line(&mut scan, parsed)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, payload: &[u8], parsed: &Parsed, edits: &Edits, out: &mut Vec<u8>) -> Result<(), Malformed> {
        super::refuse_known_names(parsed, edits)?;
        self.patches.clear();
        self.patches.replace(parsed, edits, |_, value, out| write_value(value, out))?;
        self.patches.add(edits, &self.sites, ";", |name, value, out| {
            if name == b"name" || !is_name(name) {
                return Err("a tag's name needs a character, must not be \"name\", and must not have a blank or one of ;!^=");
            }
            out.extend_from_slice(name);
            out.push(b'=');
            write_value(value, out)
        })?;
        // A moved stamp is rounded down by less than a second.
        let may_mean_now = |ns: i64| (NOW_NS..0).contains(&ns.saturating_add(edits.shift_ns()));
        if let Some(stamp) = parsed.stamps.iter().find(|stamp| edits.shift_ns() != 0 && may_mean_now(stamp.ns)) {
            return Err(Malformed { offset: stamp.raw.range().start, what: "a time stamp that would mean \"now\" (-1)" });
        }
        self.patches.shift(parsed, edits, |_| StampUnit::Seconds)?;
        self.patches.apply(payload, out);
        Ok(())
    }
}

impl Graphite {
    fn line(&mut self, scan: &mut Scan<'_>, parsed: &mut Parsed) -> Result<(), Malformed> {
        let path = word(scan);
        let value = word(scan);
        if !is_float(&scan.payload[value.clone()]) {
            return Err(Malformed { offset: value.start, what: "not a value" });
        }
        let time = word(scan);
        if scan.at < scan.payload.len() {
            return Err(scan.malformed("expected the end of the line behind path, value and time stamp"));
        }
        let ns = stamp::read(&scan.payload[time.clone()], StampUnit::Seconds)
            .map_err(|_| Malformed { offset: time.start, what: "not a time stamp in seconds" })?;
        if ns != NOW_NS {
            parsed.stamps.push(Stamp { raw: Span::new(time.start, time.end), ns });
        }
        self.sites.push(Site { at: path.end, open: ";", close: "" });
        let first_tag = parsed.tags.len();
        let mut parts = split(scan.payload, path.clone(), b';');
        let metric = parts.next().filter(|metric| !metric.is_empty());
        let metric = metric.ok_or(Malformed { offset: path.start, what: "a path without a name" })?;
        for part in parts {
            parsed.tags.push(tag(scan.payload, part)?);
        }
        let range = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let tags = range(first_tag)..range(parsed.tags.len());
        parsed.samples.push(Sample { metric: Span::new(metric.start, metric.end), tags, ..Sample::default() });
        Ok(())
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Steps over a word and the blanks behind it.
fn word(scan: &mut Scan<'_>) -> Range<usize> {
    let word = scan.take(|b| !is_blank(b));
    scan.take(is_blank);
    word
}

fn tag(payload: &[u8], part: Range<usize>) -> Result<Tag, Malformed> {
    let malformed = |what| Malformed { offset: part.start, what };
    let equals = payload[part.clone()].iter().position(|b| *b == b'=').ok_or(malformed("a tag without a value"))?;
    let value = Span::new(part.start + equals + 1, part.end);
    let name = Span::new(part.start, part.start + equals);
    if !is_name(&payload[name.range()]) || !is_value(&payload[value.range()]) {
        return Err(malformed("not a tag's name and value"));
    }
    Ok(Tag { name, value, raw: value })
}

fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.iter().any(|b| matches!(b, 0..=b' ' | 0x7f | b';' | b'!' | b'^' | b'='))
}

fn is_value(value: &[u8]) -> bool {
    !value.is_empty() && value[0] != b'~' && !value.iter().any(|b| matches!(b, 0..=b' ' | 0x7f | b';'))
}

fn write_value(value: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    if !is_value(value) {
        return Err("a tag's value needs a character, and must not have a blank, a semicolon or a tilde in front");
    }
    out.extend_from_slice(value);
    Ok(())
}
