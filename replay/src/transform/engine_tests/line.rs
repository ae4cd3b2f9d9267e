//! The tests' own format: a line `metric|name=value,…|nanoseconds` per sample; a tag whose name begins with `^` is shared by all
//! samples of its payload and stands in the first line only.

use crate::transform::formats::{Edits, Format, FormatKind, Malformed, OpenError, Parsed, Sample, Span, Stamp, Tag, Wanted};

#[derive(Debug)]
struct Line;

pub(super) fn open(_: FormatKind, _: &Wanted) -> Result<Box<dyn Format>, OpenError> {
    Ok(Box::new(Line))
}

impl Format for Line {
    fn parse(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
        parsed.clear();
        parsed.text.extend_from_slice(payload);
        let text = std::str::from_utf8(payload).map_err(|_| Malformed { offset: 0, what: "not text" })?;
        let mut at = 0;
        let mut shared = 0..0;
        for line in text.split_inclusive('\n') {
            let parts: Vec<&str> = line.trim_end().split('|').collect();
            let [metric, tags, stamp] = parts[..] else { return Err(Malformed { offset: at, what: "expected metric|tags|stamp" }) };
            let start = at + metric.len() + 1;
            let mut place = start;
            let first = count(parsed);
            for tag in tags.split(',').filter(|t| !t.is_empty()) {
                let (name, value) = tag.split_once('=').ok_or(Malformed { offset: place, what: "expected name=value" })?;
                let span = Span::new(place + name.len() + 1, place + name.len() + 1 + value.len());
                parsed.tags.push(Tag { name: Span::new(place, place + name.len()), value: span, raw: span });
                if name.starts_with('^') {
                    shared = 0..first + 1;
                }
                place += tag.len() + 1;
            }
            let own = if at == 0 { shared.end } else { first }..count(parsed);
            parsed.samples.push(Sample {
                metric: Span::new(at, at + metric.len()),
                tags: own,
                shared: shared.clone(),
                ..Sample::default()
            });
            if let Ok(ns) = stamp.parse() {
                let from = start + tags.len() + 1;
                parsed.stamps.push(Stamp { raw: Span::new(from, from + stamp.len()), ns });
            }
            at += line.len();
        }
        Ok(())
    }

    fn write(&mut self, payload: &[u8], parsed: &Parsed, edits: &Edits, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let mut changes: Vec<(Span, Vec<u8>)> = Vec::new();
        for replaced in edits.replaced() {
            changes.push((parsed.tags[replaced.tag as usize].raw, edits.get(replaced.value).to_vec()));
        }
        for added in edits.added() {
            let metric = parsed.samples[added.sample as usize].metric;
            let behind = (metric.start + metric.len + 1) as usize;
            let text = [edits.get(added.name), b"=", edits.get(added.value), b","].concat();
            changes.push((Span::new(behind, behind), text));
        }
        if edits.shift_ns() != 0 {
            for stamp in &parsed.stamps {
                changes.push((stamp.raw, (stamp.ns + edits.shift_ns()).to_string().into_bytes()));
            }
        }
        changes.sort_by_key(|(span, _)| span.start);
        let mut at = 0;
        for (span, text) in changes {
            out.extend_from_slice(&payload[at..span.range().start]);
            out.extend_from_slice(&text);
            at = span.range().end;
        }
        out.extend_from_slice(&payload[at..]);
        Ok(())
    }
}

fn count(parsed: &Parsed) -> u32 {
    u32::try_from(parsed.tags.len()).expect("few")
}
