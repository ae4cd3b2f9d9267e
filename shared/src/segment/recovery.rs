//! Recovering a segment whose writer died: what is kept, what is cut.
//!
//! # The rule
//! Blocks say how many frames before them were on stable storage. A frame that cannot be read and that was safe is
//! *damage*: it is left in place and reported by `verify`, and what follows it is kept. The first frame that cannot be
//! read and was *not* known to be safe is where the torn tail begins: it and all after it are cut. Nothing that was cut had been
//! acknowledged, so that the source still has it.

use std::path::Path;

use super::SegmentError;
use super::facts::{Body, SegmentFacts};
use super::frame::SegmentHeader;
use super::scan::{Damage, Ending, Event, Scanner};
use super::store::ReadAt;

/// What recovery found in an unsealed segment.
#[derive(Debug)]
pub struct Recovered {
    /// Its header.
    pub header: SegmentHeader,
    /// The facts of the frames that are kept.
    pub facts: SegmentFacts,
    /// The length to cut the file to.
    pub keep_bytes: u64,
    /// Damage in what had been safe.
    pub damages: Vec<Damage>,
    /// Whether it has a footer already: nothing to do.
    pub sealed: bool,
}

/// Decides what to keep of a segment. Changes nothing.
///
/// # Errors
/// When it cannot be read at all.
pub fn recover(store: &impl ReadAt, path: &Path) -> Result<Recovered, SegmentError> {
    let durable = frames_durable(store, path)?;
    let mut scanner = Scanner::new(store, path)?;
    let mut facts = SegmentFacts::default();
    let mut damages = Vec::new();
    let mut keep_bytes = super::scan::read_header(store, path)?.2;
    let mut cut = false;
    while let Some(event) = scanner.next_event()? {
        match event {
            Event::Frame { offset, head, body, bytes } => {
                facts.absorb(offset, &head, &body);
                keep_bytes = offset + super::frame::HEAD_BYTES as u64 + bytes.len() as u64;
            }
            Event::Damage(_) if facts.next_number >= durable => {
                cut = true;
                break;
            }
            Event::Damage(damage) => damages.push(damage),
        }
    }
    let sealed = !cut && matches!(scanner.ending(), Some(Ending::Sealed(_)));
    Ok(Recovered { header: scanner.header, facts, keep_bytes, damages, sealed })
}

/// The most frames that any readable block says were durable.
fn frames_durable(store: &impl ReadAt, path: &Path) -> Result<u64, SegmentError> {
    let mut scanner = Scanner::new(store, path)?;
    let mut durable = 0;
    while let Some(event) = scanner.next_event()? {
        if let Event::Frame { body: Body::Records(block), .. } = event {
            durable = durable.max(block.frames_durable);
        }
    }
    Ok(durable)
}
