//! What can go wrong with a segment or a recording. The texts name file, place, what was found, what was expected.

use std::io;
use std::path::PathBuf;

use crate::units::format_bytes;

/// Why a segment or a recording cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SegmentError {
    /// The operating system refused.
    #[error("{action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, as a verb: "reading", "writing to".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Its words.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{path} is not a dejaq segment: it starts with {found}, expected \"DEJAQSEG\"", path = path.display())]
    NotASegment {
        /// The file.
        path: PathBuf,
        /// Its first bytes.
        found: String,
    },
    /// Written by a newer dejaq.
    #[error("{path} has format version {version}, this build reads up to {supported}: use a newer dejaq", path = path.display())]
    FutureVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u16,
        /// Ours.
        supported: u16,
    },
    /// It holds something that must be understood and is not.
    #[error("{path} at byte {offset}: {what} is marked must-understand and this build does not know it: use a newer dejaq", path = path.display())]
    MustUnderstand {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What.
        what: String,
    },
    /// Bytes are wrong.
    #[error("{path} is damaged at byte {offset}: {what}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What was found and what was expected.
        what: String,
    },
    /// The directory is no recording.
    #[error("{path} is not a recording: {why}", path = path.display())]
    NotARecording {
        /// The directory.
        path: PathBuf,
        /// What was missed.
        why: String,
    },
    /// Another process writes it.
    #[error("{path} is being written by {holder}: stop that capture first, or choose another --out", path = path.display())]
    Locked {
        /// The recording.
        path: PathBuf,
        /// Who, as far as known.
        holder: String,
    },
    /// The recording cannot be continued or combined as asked.
    #[error("{path}: {why}", path = path.display())]
    Conflict {
        /// The recording.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// The place for sorting is too small.
    #[error(
        "sorting {recording} takes about {needed} of scratch in {path}, which has {free} free: give --scratch a directory on a larger disk, or a shorter window with --from-time and --to-time",
        recording = recording.display(), path = path.display(), needed = format_bytes(*needed_bytes), free = format_bytes(*free_bytes)
    )]
    ScratchTooSmall {
        /// What is sorted.
        recording: PathBuf,
        /// Where.
        path: PathBuf,
        /// What it takes, by what it took so far.
        needed_bytes: u64,
        /// What there is.
        free_bytes: u64,
    },
}

impl SegmentError {
    /// Shorthand for `map_err` on I/O.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// Whether the disk (or a quota) is full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}
