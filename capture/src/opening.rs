//! Opening a recording to be written: a new one, or one to go on with.

use std::path::Path;

use dejaq_shared::record::GapReason;
use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::meta::{FiltersV1, SourceV1};
use dejaq_shared::segment::recording::{Recording, segment_paths};
use dejaq_shared::segment::recording_writer::{NewRecording, RecordingWriter, RollPolicy, StreamState};

use crate::books::Books;
use crate::config::CapturePlan;
use crate::takeup::KnownStream;

/// What is to be recorded, as a recording says it.
pub(crate) struct Origin<'a> {
    /// "kafka" or "rabbitmq".
    pub(crate) broker: &'static str,
    /// The cluster's identity.
    pub(crate) cluster: &'a str,
    /// What is asked for.
    pub(crate) filters: Vec<String>,
    /// How transactions are read, if that is known.
    pub(crate) isolation: Option<&'a str>,
}

/// A recording, opened to be written.
pub(crate) struct Opened<R> {
    pub(crate) recorder: R,
    /// The streams that it has.
    pub(crate) streams: Vec<KnownStream>,
    /// What the capture that wrote it last was asked for; `None`: it is new.
    pub(crate) before: Option<Vec<String>>,
}

/// Whether there is a recording to go on with.
pub(crate) fn is_recording(dir: &Path) -> bool {
    segment_paths(dir).is_ok_and(|paths| !paths.is_empty())
}

/// Opens the plan's recording; `resumes`: it is there.
pub(crate) fn open(plan: &CapturePlan, origin: Origin<'_>, resumes: bool) -> Result<Opened<RecordingWriter>, SegmentError> {
    let new = NewRecording {
        source: SourceV1 { broker: origin.broker.to_owned(), cluster: origin.cluster.to_owned(), ancestors: Vec::new() },
        filters: FiltersV1 { topics: origin.filters, replayed: plan.replayed.name().to_owned(), sampled_one_in: 1 },
        isolation: origin.isolation.map(str::to_owned),
        roll: RollPolicy::default(),
    };
    if !resumes {
        return Ok(Opened { recorder: RecordingWriter::create(&plan.out, new)?, streams: Vec::new(), before: None });
    }
    // Before a new segment with our own filters is there.
    let mut recording = Recording::open(&plan.out)?;
    let before = recording.segments.pop().map(|s| s.header.filters.topics).unwrap_or_default();
    let (recorder, states) = RecordingWriter::resume(&plan.out, new)?;
    let streams = states.into_iter().map(|state| known(state, &recording)).collect();
    Ok(Opened { recorder, streams, before: Some(before) })
}

fn known(state: StreamState, recording: &Recording) -> KnownStream {
    let b = state.books;
    let books = Books {
        start: state.start,
        next: b.next,
        leader_epoch: b.leader_epoch,
        written: b.written,
        holes: b.holes,
        lost: b.lost,
        filtered: b.filtered,
    };
    let replay_follows = recording
        .gaps
        .iter()
        .any(|g| g.stream == Some(state.ix) && g.reason == GapReason::Replay && g.from == Some(b.next) && g.to.is_none());
    KnownStream { stream: state.stream, books, ended: b.ended, replay_follows }
}
