//! `routing-key`: the segments of a routing key, between dots, are tags `1`, `2`, …. How many there are stays: exchanges route
//! by their number.

use crate::digits::push_decimal;

use super::{Edits, Format, Malformed, Parsed, Sample, Span, Tag};

/// The most bytes of a routing key; AMQP's limit.
const BYTES_MAX: usize = 255;

/// The grammar of routing keys.
#[derive(Debug, Default)]
pub struct RoutingKey {}

impl Format for RoutingKey {
    fn parse(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
        parsed.clear();
        if payload.len() > BYTES_MAX {
            return Err(Malformed { offset: BYTES_MAX, what: "a routing key of more than 255 bytes" });
        }
        parsed.text.extend_from_slice(payload);
        let mut start = 0;
        // An empty routing key has no segment.
        for (number, segment) in payload.split(|b| *b == b'.').enumerate().filter(|_| !payload.is_empty()) {
            let raw = Span::new(start, start + segment.len());
            start += segment.len() + 1;
            let name = parsed.text.len();
            push_decimal(&mut parsed.text, number as u64 + 1, 0);
            parsed.tags.push(Tag { name: Span::new(name, parsed.text.len()), value: raw, raw });
        }
        let tags = 0..u32::try_from(parsed.tags.len()).unwrap_or(u32::MAX);
        parsed.samples.push(Sample { tags, ..Sample::default() });
        Ok(())
    }

    fn write(&mut self, payload: &[u8], parsed: &Parsed, edits: &Edits, out: &mut Vec<u8>) -> Result<(), Malformed> {
        if !edits.added().is_empty() {
            return Err(Malformed { offset: payload.len(), what: "a segment more would change how the key is routed" });
        }
        let start = out.len();
        let mut at = 0;
        for (_, tag, value) in edits.changes(parsed) {
            let raw = tag.raw.range();
            if value.contains(&b'.') || (value.is_empty() && parsed.tags.len() == 1) {
                return Err(Malformed { offset: raw.start, what: "the new value would change the number of segments" });
            }
            out.extend_from_slice(&payload[at..raw.start]);
            out.extend_from_slice(value);
            at = raw.end;
        }
        out.extend_from_slice(&payload[at..]);
        if out.len() - start > BYTES_MAX {
            return Err(Malformed { offset: 0, what: "the new routing key would have more than 255 bytes" });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rewrite(key: &[u8], tag: u32, value: &[u8]) -> Result<Vec<u8>, Malformed> {
        let (mut format, mut parsed, mut edits, mut out) = (RoutingKey::default(), Parsed::default(), Edits::default(), Vec::new());
        format.parse(key, &mut parsed)?;
        edits.replace(tag, value);
        edits.seal();
        format.write(key, &parsed, &edits, &mut out).map(|()| out)
    }

    #[test]
    fn segments_are_tags_by_number() {
        let mut parsed = Parsed::default();
        RoutingKey::default().parse(b"eu..orders.\xff", &mut parsed).expect("any bytes");
        let found: Vec<_> = parsed.tags.iter().map(|t| (parsed.get(t.name), parsed.get(t.value))).collect();
        assert_eq!(found, [(&b"1"[..], &b"eu"[..]), (b"2", b""), (b"3", b"orders"), (b"4", b"\xff")]);
        RoutingKey::default().parse(b"", &mut parsed).expect("empty");
        assert_eq!((parsed.samples.len(), parsed.tags.len()), (1, 0));
        RoutingKey::default().parse(&[b'.'; 255], &mut parsed).expect("the longest");
        assert_eq!(parsed.get(parsed.tags[255].name), b"256");
        assert!(RoutingKey::default().parse(&[b'.'; 256], &mut parsed).is_err());
    }

    #[test]
    fn what_would_change_the_number_of_segments_is_refused() {
        assert_eq!(rewrite(b"a.b.c", 1, b"new").expect("one segment"), b"a.new.c");
        assert_eq!(rewrite(b"a.b", 0, b"").expect("two segments still"), b".b");
        assert!(rewrite(b"a.b.c", 1, b"n.w").is_err());
        assert!(rewrite(b"a", 0, b"").is_err());
        assert!(rewrite(b"a.b", 0, &[b'x'; 254]).is_err());
        let (mut edits, mut parsed) = (Edits::default(), Parsed::default());
        edits.add(0, b"4", b"x");
        RoutingKey::default().parse(b"a", &mut parsed).expect("a key");
        assert!(RoutingKey::default().write(b"a", &parsed, &edits, &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn only_the_segment_asked_for_changes(key in prop::collection::vec(prop_oneof![Just(b'.'), any::<u8>()], 1..100), which in any::<prop::sample::Index>(), value in "[^.]{1,20}") {
            let segments: Vec<&[u8]> = key.split(|b| *b == b'.').collect();
            let tag = which.index(segments.len());
            let written = rewrite(&key, u32::try_from(tag).expect("few"), value.as_bytes()).expect("short");
            let mut expected = segments;
            expected[tag] = value.as_bytes();
            prop_assert_eq!(written.split(|b| *b == b'.').collect::<Vec<_>>(), expected);
        }
    }
}
