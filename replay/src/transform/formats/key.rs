//! The record's key: one sample without a metric, one tag, `key`, which is all of it. Any bytes can be said; nothing can be
//! added, and there is no time stamp. An empty key is a key (a record whose key is null is never asked about).

use super::edits::Edits;
use super::parsed::{Parsed, Sample, Span, Tag};
use super::splice::Patches;
use super::{Format, Malformed};

/// The grammar, and memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Key {
    patches: Patches,
}

impl Format for Key {
    fn parse(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed> {
        parsed.clear();
        parsed.text.extend_from_slice(payload);
        parsed.text.extend_from_slice(b"key");
        let value = Span::new(0, payload.len());
        parsed.tags.push(Tag { name: Span::new(payload.len(), parsed.text.len()), value, raw: value });
        parsed.samples.push(Sample { metric: Span::default(), tags: 0..1, ..Sample::default() });
        Ok(())
    }

    fn write(&mut self, payload: &[u8], parsed: &Parsed, edits: &Edits, out: &mut Vec<u8>) -> Result<(), Malformed> {
        if !edits.added().is_empty() {
            return Err(Malformed { offset: 0, what: "a key takes no further tags" });
        }
        self.patches.clear();
        self.patches.replace(parsed, edits, |_, value, out| {
            out.extend_from_slice(value);
            Ok(())
        })?;
        self.patches.apply(payload, out);
        Ok(())
    }
}
