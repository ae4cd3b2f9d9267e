//! `dejaq sort`: a copy of a recording whose records lie in time order.
//!
//! # What it guarantees
//! - Every record of the recording, with everything that is known of it, in the order of replay; streams with their numbers
//!   and books, gaps, ancestors, attachments.
//! - It appears under its name only when it is whole. A recording that is damaged, unsealed or still being written is
//!   refused: the copy would look whole and lack something.
//!
//! Limits: it is a recording of its own, with an id of its own (the attachment `sorted-from.json` names the original), so
//! that nobody adds its segments to the original's. Streams keep their times; records that share a millisecond may be
//! spread differently inside it, since blocks end elsewhere.

use std::path::Path;

use super::SegmentError;
use super::append::{RecordAppender, make_beside};
use super::meta::{SourceV1, StreamBooksV1};
use super::ordered::Ordered;
use super::recording::Recording;
use super::recording_writer::{NewRecording, RollPolicy};
use crate::record::Record;

/// The attachment that names the original.
pub const SORTED_FROM: &str = "sorted-from.json";
/// Records handed over at once.
const BATCH: usize = 4_096;

/// Whether a recording can be copied whole.
///
/// # Errors
/// [`SegmentError::Conflict`], in words.
pub fn check_whole(recording: &Recording) -> Result<(), SegmentError> {
    let refuse = |why: String| Err(SegmentError::Conflict { path: recording.dir.clone(), why });
    if recording.live {
        return refuse("it is still being written: sort it when its capture has ended (replay and export read it as it is)".into());
    }
    match recording.damages().into_iter().chain(recording.unsealed()).next() {
        Some(first) => refuse(format!("it is not whole, and a sorted copy would hide that; replay it with --scratch instead: {first}")),
        None => Ok(()),
    }
}

/// Writes the records that `ordered` hands over, from their beginning, into a new recording at `out`. `progress` is called
/// now and then with the records so far. Returns how many there are.
///
/// # Errors
/// [`SegmentError`]; nothing is left behind then.
pub fn write_sorted(ordered: &mut Ordered, out: &Path, mut progress: impl FnMut(u64)) -> Result<u64, SegmentError> {
    check_whole(ordered.recording())?;
    make_beside(out, "sorting", |beside| write_into(ordered, beside, &mut progress))
}

fn write_into(ordered: &mut Ordered, dir: &Path, progress: &mut dyn FnMut(u64)) -> Result<u64, SegmentError> {
    let mut copy = begin(ordered.recording(), dir)?;
    let mut records = 0;
    loop {
        let mut failed = None;
        let handed = ordered.next_batch(BATCH, &mut |_, record: &Record<'_>| {
            if failed.is_none() {
                failed = copy.push(record).err();
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if handed == 0 {
            break;
        }
        records += handed as u64;
        progress(records);
    }
    if let Some((segment, damage)) = ordered.damages().first() {
        let path = ordered.recording().segments[*segment as usize].path.clone();
        return Err(SegmentError::Damaged { path, offset: damage.from, what: damage.what.clone() });
    }
    let recording = ordered.recording();
    // What was lost stands in the books as lost, which blocks alone would show as holes.
    let books: Vec<StreamBooksV1> = (0..).zip(&recording.streams).map(|(id, s)| StreamBooksV1 { id, ..s.books }).collect();
    copy.books()?;
    for gap in &recording.gaps {
        copy.recording().gap(gap)?;
    }
    copy.seal(&books)?;
    Ok(records)
}

fn begin(recording: &Recording, dir: &Path) -> Result<RecordAppender, SegmentError> {
    let header = &recording.segments[0].header;
    let source = SourceV1 { ancestors: recording.ancestors.clone(), ..header.source.clone() };
    let new =
        NewRecording { source, filters: header.filters.clone(), isolation: recording.isolation().cloned(), roll: RollPolicy::default() };
    let mut copy = RecordAppender::create(dir, new)?;
    let writer = copy.recording();
    let streams: Vec<_> = recording.streams.iter().map(|s| (s.stream.clone(), s.start)).collect();
    writer.add_streams(&streams)?;
    for attachment in recording.attachments()? {
        if attachment.name != SORTED_FROM {
            writer.attachment(&attachment.name, &attachment.media_type, attachment.bytes)?;
        }
    }
    let from = serde_json::json!({ "recording": recording.id_text() }).to_string();
    writer.attachment(SORTED_FROM, "application/json", from.into_bytes())?;
    Ok(copy)
}
