//! What a pacer is told before it starts.

use dejaq_shared::broker::sink::TargetKind;

use crate::ceiling::Ceilings;
use crate::timestamps::Stamping;

/// What the pacer needs to know.
#[derive(Debug)]
pub struct PacerOptions {
    /// Which broker the messages are for.
    pub kind: TargetKind,
    /// The start of the run on its clock.
    pub t0_ns: u64,
    /// Whether records have due times (not with `--max`).
    pub scheduled: bool,
    /// The length of the run (`--for`).
    pub run_ns: Option<u64>,
    /// Records later than this are skipped (`--late skip=`).
    pub late_skip_ns: Option<u64>,
    /// The ceilings.
    pub ceilings: Ceilings,
    /// The value of the mark.
    pub mark: Vec<u8>,
    /// How many bytes a marked record is larger.
    pub mark_bytes: u64,
    /// How many streams the recording has.
    pub streams: usize,
    /// The class of latency of each target topic.
    pub classes: Vec<u32>,
    /// How items' stamps become time stamps.
    pub stamping: Stamping,
}
