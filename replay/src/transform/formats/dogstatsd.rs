//! DogStatsD and StatsD datagrams.
//!
//! - A payload is a datagram: lines, each a metric (`name:value|type`), an event (`_e{title,text}:…`) or a service check
//!   (`_sc|name|status`). Empty lines are stepped over, and lines may end in `\r\n`. A sample is a line. One line that is none
//!   of these makes the payload malformed.
//! - A metric's type is one of `c g ms h s d`. Values are decimal numbers, several of them between colons (packed); those of
//!   sets are any text. The sample's metric is the name (of a service check that of the check; an event has none).
//! - Tags are what stands between commas in the section `#`. What stands before a tag's first colon is its name, all behind it
//!   the value. A tag without a colon has its name and an empty value, and gets a colon when it is given one. Nothing is
//!   escaped: a name cannot hold a colon; neither name nor value can hold a comma, a bar or a control character.
//! - Time stamps are the sections `T` (metrics) and `d:` (events and checks), in seconds. All other sections (`@`, `c:`, `e:`,
//!   `h:`, `card:` and those to come) are kept.
//! - A line without tags gets them behind its sample rate, or behind its type (event: text; check: status).
//!
//! Not understood: several metrics of one name in a line of etsy's StatsD (`a:1|c:2|ms`), and tags inside names (`a,host=b:1|c`
//! is a metric of that name without tags).

use std::ops::Range;

use super::edits::Edits;
use super::kind::StampUnit;
use super::parsed::{Parsed, Sample, Span, Stamp, Tag};
use super::scan::{is_decimal, lines, split};
use super::splice::{Patches, Site};
use super::{Format, Malformed, stamp};

/// The grammar, and memory that is used again.
#[derive(Debug, Default)]
pub(super) struct DogStatsd {
    sites: Vec<Site>,
    patches: Patches,
}

impl Format for DogStatsd {
    fn parse(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
        parsed.clear();
        self.sites.clear();
        parsed.text.extend_from_slice(payload);
        for line in lines(payload).filter(|line| !line.is_empty()) {
            let first_tag = parsed.tags.len();
            let head = Head::read(payload, line.clone())?;
            let site = sections(payload, &head, line.end, parsed)?;
            self.sites.push(site);
            let (first_tag, last_tag) = (tag_ix(first_tag), tag_ix(parsed.tags.len()));
            let metric = Span::new(head.name.start, head.name.end);
            parsed.samples.push(Sample { metric, tags: first_tag..last_tag, ..Sample::default() });
        }
        Ok(())
    }

    fn write(&mut self, payload: &[u8], parsed: &Parsed, edits: &Edits, out: &mut Vec<u8>) -> Result<(), Malformed> {
        self.patches.clear();
        self.patches.replace(parsed, edits, |tag, value, out| {
            let tag = parsed.tags[tag as usize];
            if tag.raw.start == tag.name.start + tag.name.len {
                out.push(b':');
            }
            write_value(value, out)
        })?;
        self.patches.add(edits, &self.sites, ",", |name, value, out| {
            if name.is_empty() || name.contains(&b':') || !name.iter().all(can_stand) {
                return Err("a tag's name needs a character, and must not have a colon, a comma, a bar or a control character");
            }
            out.extend_from_slice(name);
            out.push(b':');
            write_value(value, out)
        })?;
        self.patches.shift(parsed, edits, |_| StampUnit::Seconds)?;
        self.patches.apply(payload, out);
        Ok(())
    }
}

fn tag_ix(len: usize) -> u32 {
    // A tag takes a byte of the payload at least, and those are counted in u32 too.
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn can_stand(byte: &u8) -> bool {
    !matches!(byte, b',' | b'|' | 0..0x20 | 0x7f)
}

fn write_value(value: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    if !value.iter().all(can_stand) {
        return Err("a tag's value must not have a comma, a bar or a control character");
    }
    out.extend_from_slice(value);
    Ok(())
}

/// What stands before a line's optional sections.
struct Head {
    name: Range<usize>,
    end: usize,
    is_metric: bool,
}

impl Head {
    fn read(payload: &[u8], line: Range<usize>) -> Result<Self, Malformed> {
        let text = &payload[line.clone()];
        if text.starts_with(b"_e{") {
            Self::event(payload, line)
        } else if text.starts_with(b"_sc|") {
            Self::check(payload, line)
        } else {
            Self::metric(payload, line)
        }
    }

    fn metric(payload: &[u8], line: Range<usize>) -> Result<Self, Malformed> {
        let find = |from: usize, byte: u8| payload[from..line.end].iter().position(|b| *b == byte).map(|at| from + at);
        let colon = find(line.start, b':').ok_or(Malformed { offset: line.end, what: "a metric without a colon" })?;
        let name = line.start..colon;
        if name.is_empty() || payload[name.clone()].contains(&b'|') {
            return Err(Malformed { offset: line.start, what: "not a metric's name" });
        }
        let bar = find(colon, b'|').ok_or(Malformed { offset: line.end, what: "a metric without a type" })?;
        let end = find(bar + 1, b'|').unwrap_or(line.end);
        let what = match &payload[bar + 1..end] {
            b"s" => (bar == colon + 1).then_some("a set's member without a character"),
            b"c" | b"g" | b"ms" | b"h" | b"d" => {
                let mut values = split(payload, colon + 1..bar, b':');
                values.any(|value| !is_decimal(&payload[value])).then_some("not a value of a metric")
            }
            _ => return Err(Malformed { offset: bar + 1, what: "not a type of a metric: expected c, g, ms, h, s or d" }),
        };
        what.map_or(Ok(Self { name, end, is_metric: true }), |what| Err(Malformed { offset: colon + 1, what }))
    }

    /// `_e{5,4}:title|text`
    fn event(payload: &[u8], line: Range<usize>) -> Result<Self, Malformed> {
        let malformed = |what| Malformed { offset: line.start, what };
        let text = &payload[line.clone()];
        let close = text.iter().position(|b| *b == b'}').ok_or(malformed("an event without the end of its lengths"))?;
        let mut lengths = text[3..close].split(|b| *b == b',');
        let mut length = || std::str::from_utf8(lengths.next()?).ok()?.parse::<u32>().ok();
        let (title, body) = length().zip(length()).ok_or(malformed("not the lengths of an event"))?;
        let from = close + 1;
        let bar = from + 1 + title as usize;
        let end = bar + 1 + body as usize;
        let is = |at: usize, byte: u8| text.get(at) == Some(&byte);
        if end > text.len() || !is(from, b':') || !is(bar, b'|') || !(end == text.len() || is(end, b'|')) {
            return Err(malformed("an event's lengths are not those of its title and text"));
        }
        Ok(Self { name: line.start..line.start, end: line.start + end, is_metric: false })
    }

    /// `_sc|name|0`
    fn check(payload: &[u8], line: Range<usize>) -> Result<Self, Malformed> {
        let mut parts = split(payload, line.clone(), b'|').skip(1);
        let (name, status) = parts.next().zip(parts.next()).ok_or(Malformed { offset: line.end, what: "a check without a status" })?;
        if name.is_empty() || !matches!(payload[status.clone()], [b'0'..=b'3']) {
            return Err(Malformed { offset: name.start, what: "not a check's name and status (0 to 3)" });
        }
        Ok(Self { name, end: status.end, is_metric: false })
    }
}

/// Reads the sections behind a head; where further tags go.
fn sections(payload: &[u8], head: &Head, end: usize, parsed: &mut Parsed) -> Result<Site, Malformed> {
    let mut site = Site { at: head.end, open: "|#", close: "" };
    if head.end == end {
        return Ok(site);
    }
    for section in split(payload, head.end + 1..end, b'|') {
        match &payload[section.clone()] {
            [b'#', tags @ ..] => {
                let open = if tags.is_empty() || tags.ends_with(b",") { "" } else { "," };
                site = Site { at: section.end, open, close: "" };
                read_tags(payload, section.start + 1..section.end, parsed);
            }
            [b'@', rate @ ..] if head.is_metric => {
                if !is_decimal(rate) {
                    return Err(Malformed { offset: section.start, what: "not a sample rate" });
                }
                if site.open == "|#" {
                    site.at = section.end;
                }
            }
            [b'T', ..] if head.is_metric => read_stamp(section.start + 1..section.end, parsed)?,
            [b'd', b':', ..] if !head.is_metric => read_stamp(section.start + 2..section.end, parsed)?,
            _ => {}
        }
    }
    Ok(site)
}

fn read_tags(payload: &[u8], section: Range<usize>, parsed: &mut Parsed) {
    for part in split(payload, section, b',').filter(|part| !part.is_empty()) {
        let colon = payload[part.clone()].iter().position(|b| *b == b':').map(|at| part.start + at);
        let value = Span::new(colon.map_or(part.end, |colon| colon + 1), part.end);
        parsed.tags.push(Tag { name: Span::new(part.start, colon.unwrap_or(part.end)), value, raw: value });
    }
}

fn read_stamp(text: Range<usize>, parsed: &mut Parsed) -> Result<(), Malformed> {
    let ns = stamp::read(&parsed.text[text.clone()], StampUnit::Seconds)
        .map_err(|_| Malformed { offset: text.start, what: "not a time stamp in seconds" })?;
    parsed.stamps.push(Stamp { raw: Span::new(text.start, text.end), ns });
    Ok(())
}
