//! The one validator: what the command shows, what recovery goes by, what every test asks.
//!
//! It checks every checksum, the chain of frames, the numbers of the segments, and the books (which positions that come
//! twice unbalance). It needs no key and decompresses nothing.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::SegmentError;
use super::facts::SegmentFacts;
use super::recording::Recording;
use super::scan::{Damage, Ending, Event, Scanner};
use super::store::ReadAt;
use crate::record::Gap;

/// What verification found in one segment.
#[derive(Debug)]
pub struct SegmentReport {
    /// Its file.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// Whole frames.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Whether it has a footer.
    pub sealed: bool,
    /// Whether recovery sealed it after its writer had died.
    pub recovered: bool,
    /// Where a torn tail begins.
    pub torn_at: Option<u64>,
    /// What cannot be used.
    pub damages: Vec<Damage>,
}

/// What verification found in a recording.
#[derive(Debug)]
pub struct RecordingReport {
    /// Its identity.
    pub id: String,
    /// Its segments.
    pub segments: Vec<SegmentReport>,
    /// Segments that are not there, as `(writer, number)`.
    pub missing: Vec<(String, u64)>,
    /// What the capture lost.
    pub gaps: Vec<Gap>,
    /// Streams whose books do not balance, in words.
    pub unbalanced: Vec<String>,
    /// Whether a live writer holds it.
    pub live: bool,
}

impl RecordingReport {
    /// Whether nothing is wrong: all sealed (or held by a live writer), no damage, no gap, none missing, books balanced.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        let unsealed = |s: &&SegmentReport| !s.sealed;
        // A live writer has one open segment, its newest; a torn tail there is a frame on its way.
        let open_allowed = usize::from(self.live);
        self.segments.iter().filter(unsealed).count() <= open_allowed
            && self.segments.iter().all(|s| s.damages.is_empty() && (s.torn_at.is_none() || self.live))
            && self.missing.is_empty()
            && self.gaps.is_empty()
            && self.unbalanced.is_empty()
    }
}

/// Verifies one segment, from any store.
///
/// # Errors
/// When its header cannot be read, or it holds something that must be understood; damage is no error but a finding.
pub fn verify_segment(store: &impl ReadAt, path: &Path) -> Result<SegmentReport, SegmentError> {
    let bytes = store.bytes().map_err(SegmentError::io("reading", path))?;
    let mut scanner = Scanner::new(store, path)?;
    let mut report = SegmentReport {
        path: path.to_owned(),
        bytes,
        frames: 0,
        records: 0,
        sealed: false,
        recovered: false,
        torn_at: None,
        damages: Vec::new(),
    };
    let mut facts = SegmentFacts::default();
    while let Some(event) = scanner.next_event()? {
        match event {
            Event::Damage(damage) => report.damages.push(damage),
            Event::Frame { offset, head, body, .. } => facts.absorb(offset, &head, &body),
        }
    }
    report.frames = facts.frames.len() as u64;
    report.records = facts.records;
    match scanner.ending() {
        Some(Ending::Sealed(footer)) => {
            report.sealed = true;
            report.recovered = footer.recovered;
            if report.damages.is_empty() && !footer.recovered && !repeats(footer, &facts) {
                report.damages.push(Damage { from: bytes, to: bytes, what: "the footer does not repeat what the frames say".into() });
            }
        }
        Some(Ending::Torn(at)) => report.torn_at = Some(*at),
        Some(Ending::Open) | None => {}
    }
    Ok(report)
}

/// Whether a footer says what the frames say.
fn repeats(footer: &SegmentFacts, frames: &SegmentFacts) -> bool {
    SegmentFacts { recovered: frames.recovered, ..footer.clone() } == *frames
}

/// Verifies a recording.
///
/// # Errors
/// When it is no recording, or a segment's header cannot be read.
pub fn verify_recording(dir: &Path, mut progress: impl FnMut(&SegmentReport)) -> Result<RecordingReport, SegmentError> {
    let recording = Recording::open(dir)?;
    let mut segments = Vec::with_capacity(recording.segments.len());
    for segment in &recording.segments {
        let file = File::open(&segment.path).map_err(SegmentError::io("opening", &segment.path))?;
        let report = verify_segment(&file, &segment.path)?;
        progress(&report);
        segments.push(report);
    }
    let unbalanced = recording.streams.iter().filter_map(|stream| {
        let books = stream.books;
        let moved = i128::from(books.next) - i128::from(stream.start);
        let accounted = i128::from(books.written) + i128::from(books.holes) + i128::from(books.lost) + i128::from(books.filtered);
        let name = stream.stream.name();
        if moved != accounted {
            return Some(format!("{name}: from {} to {} are {moved} positions, {accounted} are accounted for", stream.start, books.next));
        }
        (books.written != stream.records)
            .then(|| format!("{name}: the books say {} records, the blocks hold {}", books.written, stream.records))
    });
    let missing = recording.missing.iter().map(|(writer, number)| (uuid::Uuid::from_bytes(*writer).to_string(), *number)).collect();
    Ok(RecordingReport {
        id: recording.id_text(),
        segments,
        missing,
        unbalanced: unbalanced.collect(),
        gaps: recording.gaps.clone(),
        live: recording.live,
    })
}
