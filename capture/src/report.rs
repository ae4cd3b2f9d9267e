//! What a capture says: while it runs, and at its end. Plain data; printing is the command's.

use std::path::PathBuf;
use std::time::Duration;

use dejaq_shared::broker::BrokerError;
use dejaq_shared::outcome::Outcome;
use dejaq_shared::segment::SegmentError;
use serde::Serialize;

use crate::mirror::Deliveries;

/// How a capture stands. About one a second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Progress {
    /// Since it was started.
    pub elapsed: Duration,
    /// Records taken since then.
    pub records: u64,
    /// Their key, value and header bytes.
    pub bytes_raw: u64,
    /// Records a second, since the last report.
    pub records_per_s: f64,
    /// Key, value and header bytes a second, since the last report.
    pub bytes_per_s: u64,
    /// Records that are at the broker and not yet taken, if that is known.
    pub lag: Option<u64>,
    /// Whether it is catching up.
    pub behind: bool,
    /// Gaps written since it was started.
    pub gaps: u64,
    /// Streams that are read.
    pub streams: usize,
    /// Bytes written to disk since it was started.
    pub bytes_stored: u64,
    /// Bytes free on the disk, if that is known.
    pub disk_free: Option<u64>,
    /// Records that are written and synced.
    pub records_synced: u64,
}

/// Something to tell while it runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Report<'a> {
    /// It has begun to read.
    Started {
        /// Streams that are read.
        streams: usize,
        /// Records that the recording held already; `None`: it is a new one.
        resumed: Option<u64>,
    },
    /// How it stands.
    Progress(&'a Progress),
    /// Something that people should know.
    Warning(&'a str),
}

/// What a capture did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaptureSummary {
    /// The recording.
    pub out: PathBuf,
    /// Why it ended, in words.
    pub stopped: &'static str,
    /// How long it ran.
    pub duration: Duration,
    /// Records written since it was started.
    pub records: u64,
    /// Their key, value and header bytes.
    pub bytes_raw: u64,
    /// Bytes written to disk.
    pub bytes_stored: u64,
    /// Streams in the recording.
    pub streams: usize,
    /// Offsets that never held a record, since it was started.
    pub holes: u64,
    /// Gaps since it was started.
    pub gaps: u64,
    /// Records that came again and were left out.
    pub duplicates: u64,
    /// Streams that carry replayed traffic.
    pub replayed_streams: usize,
    /// Records that the recording holds as a whole.
    pub records_total: u64,
    /// What became of the deliveries of a broker whose messages are mirrored; `None` where they stand in a log.
    pub mirror: Option<Deliveries>,
    /// Whether the books balance: for every stream, next − start = written + holes + lost + filtered, and what was handed
    /// to the writer is what it wrote. Of deliveries also: delivered = written + duplicates + unparseable + left out.
    pub books_balance: bool,
}

impl CaptureSummary {
    /// How the command ends: failed when the books do not balance, doubtful with a gap.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match (self.books_balance, self.gaps) {
            (false, _) => Outcome::Failed,
            (true, 0) => Outcome::Done,
            (true, _) => Outcome::Doubtful,
        }
    }
}

/// Why a capture failed. What it had written by then is whole.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The source, before or while it was read.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The source, while it was read.
    #[error("{error}; {kept}")]
    Interrupted {
        /// What happened.
        error: BrokerError,
        /// What is left and how to go on.
        kept: String,
    },
    /// No topic is there that was asked for.
    #[error("no topic at cluster {cluster} matches {patterns}: check the names, and whether this user may see them")]
    NoTopic {
        /// The cluster.
        cluster: String,
        /// What was asked for.
        patterns: String,
    },
    /// The recording is whole, and queues of ours are left at the source.
    #[error("{error}; the recording is whole and sealed")]
    Unsettled {
        /// What happened, and how to remove them by hand.
        error: BrokerError,
    },
    /// The recording cannot be opened.
    #[error(transparent)]
    Recording(SegmentError),
    /// The disk is full.
    #[error("the disk is full ({error}); {kept}")]
    DiskFull {
        /// The system's words.
        error: SegmentError,
        /// What is left and how to go on.
        kept: String,
    },
    /// Writing failed.
    #[error("{error}; {kept}")]
    Write {
        /// What happened.
        error: String,
        /// What is left and how to go on.
        kept: String,
    },
}
