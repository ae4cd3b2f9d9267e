//! The record's headers, in dejaq's encoding ([`Headers`](dejaq_shared::record::Headers)): one sample without a metric, a tag
//! for each header. A header whose value is null is no tag and stays; of headers of one name each is a tag of its own. Any
//! bytes can be said. A header is added behind the others, whatever they are called. There are no time stamps.

use dejaq_shared::record::Headers;
use dejaq_shared::varint::{read_u64, write_u64};

use super::edits::Edits;
use super::parsed::{Parsed, Sample, Span, Tag};
use super::splice::{Patches, Site};
use super::{Format, Malformed};

/// The grammar, and memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Header {
    patches: Patches,
    /// Of each tag: where the length before its value begins.
    lengths: Vec<usize>,
}

impl Format for Header {
    fn parse(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
        parsed.clear();
        self.lengths.clear();
        Headers::parse(payload).map_err(|error| Malformed { offset: error.offset, what: "not a set of headers" })?;
        parsed.text.extend_from_slice(payload);
        let mut rest = payload;
        // What was checked just now has no end before its end.
        while let Some((name, length, value)) = next(payload, &mut rest) {
            if let Some(value) = value {
                parsed.tags.push(Tag { name, value, raw: value });
                self.lengths.push(length);
            }
        }
        let tags = 0..u32::try_from(parsed.tags.len()).unwrap_or(u32::MAX);
        parsed.samples.push(Sample { metric: Span::default(), tags, ..Sample::default() });
        Ok(())
    }

    fn write(&mut self, payload: &[u8], parsed: &Parsed, edits: &Edits, out: &mut Vec<u8>) -> Result<(), Malformed> {
        self.patches.clear();
        for (ix, tag, value) in edits.changes(parsed) {
            let from = self.lengths[ix as usize];
            self.patches.put(from..tag.raw.range().end, |out| write_value(value, out)).map_err(|what| Malformed { offset: from, what })?;
        }
        let site = [Site { at: payload.len(), open: "", close: "" }];
        self.patches.add(edits, &site, "", |name, value, out| {
            write_u64(out, name.len() as u64);
            out.extend_from_slice(name);
            write_value(value, out)
        })?;
        self.patches.apply(payload, out);
        Ok(())
    }
}

/// A header's name, where the length of its value begins, and its value.
fn next(payload: &[u8], rest: &mut &[u8]) -> Option<(Span, usize, Option<Span>)> {
    let piece = |rest: &mut &[u8], len: u64| {
        let start = payload.len() - rest.len();
        rest.split_off(..usize::try_from(len).ok()?)?;
        Some(Span::new(start, payload.len() - rest.len()))
    };
    let len = read_u64(rest)?;
    let name = piece(rest, len)?;
    let length = payload.len() - rest.len();
    let value = match read_u64(rest)?.checked_sub(1) {
        None => None,
        Some(len) => Some(piece(rest, len)?),
    };
    Some((name, length, value))
}

fn write_value(value: &[u8], out: &mut Vec<u8>) -> Result<(), &'static str> {
    write_u64(out, value.len() as u64 + 1);
    out.extend_from_slice(value);
    Ok(())
}
