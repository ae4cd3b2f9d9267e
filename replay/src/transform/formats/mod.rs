//! Formats: the grammars of payloads that carry tags.
//!
//! Every format does two things. [`Format::parse`] understands a whole payload, or says where it cannot: it fills a
//! [`Parsed`] with samples (a line, a data point, a time series, a JSON document), their metric names, their tags and the
//! payload's time stamps. [`Format::write`] writes the payload anew with [`Edits`] made. Guarantees:
//!
//! - No byte is disturbed that an edit does not mean to change; lengths, checksums, sorting and framing are fixed up.
//! - Input is never trusted: no panic, no allocation by a length that the payload merely claims, no recursion by its depth.
//! - What was written parses again, and gives the same samples but for the edits.
//! - A format keeps nothing between payloads but memory to use again, and decides nothing: which tag gets which value is the
//!   business of the rules.

mod amqp_header;
mod dogstatsd;
mod edits;
mod graphite;
mod header;
mod influx;
mod json;
mod key;
mod kind;
#[cfg(any(test, fuzzing))]
pub mod laws;
mod open;
mod otlp;
mod otlp_json;
mod otlp_protobuf;
mod parsed;
mod prometheus_text;
mod remote_write;
mod rewrite;
mod routing_key;
mod scan;
mod splice;
mod stamp;
#[cfg(test)]
mod text_tests;
mod wire;

pub use amqp_header::AmqpHeader;
pub use edits::{Added, Edits, Replaced};
pub use kind::{FormatKind, Part, StampField, StampUnit, Wanted};
pub use open::{OpenError, open};
pub use parsed::{Parsed, Sample, Span, Stamp, Tag};
pub use prometheus_text::{Exposed, read_exposition};
pub use routing_key::RoutingKey;

/// Why a payload is not of its format, or cannot be written with the edits asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {what}")]
pub struct Malformed {
    /// Where in the payload (in its plain form, if it is compressed).
    pub offset: usize,
    /// What is wrong there.
    pub what: &'static str,
}

/// One grammar. See the module's words for what an implementation guarantees.
pub trait Format: Send + std::fmt::Debug {
    /// Understands a payload; `parsed` is cleared first, and holds nothing of use after an error.
    ///
    /// # Errors
    /// [`Malformed`] when any part of the payload is not of this format.
    fn parse(&mut self, payload: &[u8], parsed: &mut Parsed) -> Result<(), Malformed>;

    /// Appends the payload with the edits made to `out`. `parsed` is what [`Format::parse`] just made of the same payload,
    /// with nothing parsed in between; the edits are sealed.
    ///
    /// # Errors
    /// [`Malformed`] when a new name or value cannot be said in this format; `out` may then have a part of it at its end.
    fn write(&mut self, payload: &[u8], parsed: &Parsed, edits: &Edits, out: &mut Vec<u8>) -> Result<(), Malformed>;
}

/// Refuses a tag to add whose name its sample has already, in formats where a name may stand only once.
fn refuse_known_names(parsed: &Parsed, edits: &Edits) -> Result<(), Malformed> {
    let added = edits.added();
    for (i, tag) in added.iter().enumerate() {
        let (sample, name) = (&parsed.samples[tag.sample as usize], edits.get(tag.name));
        let earlier = added[..i].iter().rev().take_while(|earlier| earlier.sample == tag.sample);
        if parsed.find(sample, name).is_some() || earlier.into_iter().any(|earlier| edits.get(earlier.name) == name) {
            let offset = sample.metric.range().start;
            return Err(Malformed { offset, what: "a tag to add whose name is there already" });
        }
    }
    Ok(())
}
