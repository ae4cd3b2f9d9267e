//! One capture, from opening the recording to its sealed end.
//!
//! # What it guarantees
//! - A new recording begins where it was asked to; one that is there goes on from its own books, with nothing missing and
//!   nothing twice. Where that cannot be, there is a gap that says so.
//! - However it ends (asked to, done, source broken, disk full), what was written is whole, synced, and sealed where the
//!   disk allows it.
//!
//! # Its limits
//! - The metadata is looked at on the reading thread: while the cluster is slow to answer that, nothing is polled for up to
//!   five seconds (the client goes on fetching into its bounded queue).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use dejaq_shared::broker::source::{Source, TopicSelection};
use dejaq_shared::clock::{Clock, WallAnchor};
use dejaq_shared::record::StreamIx;
use dejaq_shared::segment::codec::Compression;

use crate::checkpoint::Cadence;
use crate::config::{CapturePlan, Compress, DEFAULT_LEVEL};
use crate::opening::{Opened, Origin, is_recording, open};
use crate::pipeline::recorder::Recorder;
use crate::pipeline::{Figures, Pipeline, PipelineError};
use crate::report::{CaptureError, CaptureSummary, Report};
use crate::session::{Ended, REQUEST_TIMEOUT, Session};
use crate::taker::Taker;
use crate::takeup::{Cluster, Takeup, take_up};

/// What a capture needs besides its source.
pub struct Capture<'a> {
    /// What it is to do.
    pub plan: &'a CapturePlan,
    /// The client's settings as they hold, without secrets: attached to the recording.
    pub client: &'a [(String, String)],
    /// The time.
    pub clock: &'a Arc<dyn Clock>,
    /// Set it to end the capture cleanly.
    pub stop: &'a AtomicBool,
}

impl Capture<'_> {
    /// Captures `topics` on the calling thread until it is done or `stop` is set. `observer` is called from this thread too.
    ///
    /// # Errors
    /// [`CaptureError`]. What was captured by then is whole.
    pub fn run<S: Source>(
        &self,
        mut source: S,
        topics: &TopicSelection,
        observer: &mut dyn FnMut(&Report<'_>),
    ) -> Result<CaptureSummary, CaptureError> {
        let plan = self.plan;
        let resumes = is_recording(&plan.out);
        // Before anything is made on disk: a mistyped topic leaves no empty recording behind.
        let cluster = Cluster::ask(&mut source, topics, !resumes, REQUEST_TIMEOUT)?;
        if cluster.topics.is_empty() && !resumes {
            return Err(CaptureError::NoTopic { cluster: cluster.name, patterns: topics.as_typed().join(", ") });
        }
        let names: Vec<String> = cluster.topics.iter().map(|topic| topic.name.clone()).collect();
        source.check_rights(&names, REQUEST_TIMEOUT)?;
        let origin =
            Origin { broker: plan.wanted.broker(), cluster: &cluster.name, filters: topics.as_typed(), isolation: source.isolation() };
        let opened = open(plan, origin, resumes).map_err(CaptureError::Recording)?;
        self.run_opened(source, topics, &cluster, opened, observer)
    }

    /// The same with a recording that is open already.
    fn run_opened<S: Source, R: Recorder>(
        &self,
        source: S,
        topics: &TopicSelection,
        cluster: &Cluster,
        opened: Opened<R>,
        observer: &mut dyn FnMut(&Report<'_>),
    ) -> Result<CaptureSummary, CaptureError> {
        let Self { plan, clock, .. } = *self;
        let anchor = WallAnchor::now(&**clock);
        let began_ns = clock.now_ns();
        let before = opened.before.as_ref().and_then(|filters| selection_of(filters));
        let Takeup { intake, gaps, begin } = take_up(plan, topics, cluster, &opened.streams, before.as_ref(), anchor.wall_ns);
        let held = Held { records: intake.written(), holes: intake.holes(), resumed: opened.before.is_some() };
        let rows = opened.streams.iter().enumerate().map(|(ix, known)| known.as_row(ix)).collect();
        let cadence = Cadence::LOG;
        let pipeline =
            Pipeline::start(opened.recorder, rows, plan.memory.slots, plan.compress_threads, Arc::clone(clock), cadence.sync_age)
                .map_err(|e| failed(plan, e))?;
        let figures = Arc::clone(&pipeline.figures);
        let stored_before = Figures::get(&figures.bytes_stored);
        let taker = Taker::new(intake, pipeline, compression(plan.compress), cadence, Arc::clone(clock), anchor);
        let mut session = Session::new(source, taker, plan, topics, Arc::clone(clock), anchor, observer);

        gaps.into_iter().for_each(|gap| session.taker.gap(gap));
        session.taker.attach_plan(plan, self.client);
        let ended = match prepare(&mut session, &begin, cluster, &held) {
            Ok(()) => session.run(self.stop),
            Err(ended) => ended,
        };

        if let Ended::Stopped(_) = ended {
            session.tell_withheld();
        }
        // The client goes first: what it has fetched ahead is memory, and nobody will take it.
        let Session { source, mut taker, .. } = session;
        drop(source);
        taker.close_block();
        let bytes_raw = taker.bytes_raw();
        let Taker { intake, pipeline, records, .. } = taker;
        pipeline.finish().map_err(|e| failed(plan, e))?;
        let reason = match ended {
            Ended::Stopped(reason) => reason,
            Ended::Broker(error) => return Err(CaptureError::Interrupted { error, kept: kept(plan) }),
            Ended::Pipeline => return Err(failed(plan, PipelineError::Lost("writing"))),
        };
        let written = Figures::get(&figures.records);
        Ok(CaptureSummary {
            out: plan.out.clone(),
            stopped: reason.words(),
            duration: Duration::from_nanos(clock.now_ns().saturating_sub(began_ns)),
            records: written,
            bytes_raw,
            bytes_stored: Figures::get(&figures.bytes_stored).saturating_sub(stored_before),
            streams: intake.len(),
            holes: intake.holes() - held.holes,
            gaps: Figures::get(&figures.gaps),
            duplicates: intake.duplicates(),
            replayed_streams: intake.marked_streams(),
            records_total: intake.written(),
            mirror: None,
            books_balance: intake.unbalanced().is_none() && written == records && intake.written() - held.records == written,
        })
    }
}

/// What the recording held before.
struct Held {
    records: u64,
    holes: u64,
    resumed: bool,
}

/// What a recording's filters select. They were valid when they were written; an unknown form selects nothing, and then all
/// topics count as newly asked for.
fn selection_of(filters: &[String]) -> Option<TopicSelection> {
    TopicSelection::parse(filters.iter().map(String::as_str)).ok().or_else(|| TopicSelection::parse([]).ok())
}

/// Everything up to the first poll.
fn prepare<S: Source>(session: &mut Session<'_, S>, begin: &[crate::takeup::Begin], cluster: &Cluster, held: &Held) -> Result<(), Ended> {
    session.attach_topics(&cluster.topics);
    let until_end = session.gauge.until.end;
    let known: Vec<StreamIx> = session.taker.intake.streams().map(|(ix, ..)| ix).collect();
    session.gauge.first_pace(&mut session.taker);
    session.read(&known)?;
    session.begin(begin, cluster, until_end)?;
    session.gauge.first_pace(&mut session.taker);
    session.started(held.resumed.then_some(held.records));
    Ok(())
}

pub(crate) fn compression(compress: Compress) -> Compression {
    match compress {
        Compress::None => Compression::None,
        Compress::Level(level) => Compression::Zstd(level),
        Compress::Auto => Compression::Zstd(DEFAULT_LEVEL),
    }
}

pub(crate) fn kept(plan: &CapturePlan) -> String {
    format!(
        "what was captured until then is whole (dejaq verify {} checks it): run the same command again to go on where it stopped",
        plan.out.display()
    )
}

pub(crate) fn failed(plan: &CapturePlan, error: PipelineError) -> CaptureError {
    match error {
        PipelineError::Segment(error) if error.is_disk_full() => CaptureError::DiskFull {
            error,
            kept: format!(
                "what was captured until then is whole (dejaq verify {} checks it): make room there, or move the recording to a larger disk, and run the same command again to go on where it stopped",
                plan.out.display()
            ),
        },
        error => CaptureError::Write { error: error.to_string(), kept: kept(plan) },
    }
}
