//! One capture of deliveries, from opening the recording to its sealed end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use dejaq_shared::broker::BrokerError;
use dejaq_shared::broker::mirror::{Mirror, MirrorBegin};
use dejaq_shared::clock::WallAnchor;

use super::again::Again;
use super::counter::Counter;
use super::deliveries::Deliveries;
use super::resume::{Tail, filter_changes, read_tail};
use super::session::Session;
use crate::checkpoint::Cadence;
use crate::config::Replayed;
use crate::daemon::{Capture, compression, failed, kept};
use crate::gauge::Gauge;
use crate::intake::{Intake, NewLane, Phase};
use crate::opening::{Opened, Origin, is_recording, open};
use crate::pipeline::recorder::Recorder;
use crate::pipeline::{Figures, Pipeline, PipelineError};
use crate::report::{CaptureError, CaptureSummary, Report};
use crate::session::{Ended, REQUEST_TIMEOUT};
use crate::taker::Taker;
use crate::takeup::KnownStream;

/// The books of a capture's deliveries, attached at its end.
const DELIVERIES: &str = "deliveries.json";

/// What the recording held before, and what of it may come again.
pub(super) struct Held {
    /// The recording's id.
    pub(super) id: String,
    pub(super) records: u64,
    pub(super) resumed: bool,
    pub(super) tail: Tail,
    pub(super) again: Again,
}

impl Capture<'_> {
    /// Captures what `mirror` delivers, on the calling thread, until it is done or `stop` is set. `observer` is called from this
    /// thread too.
    ///
    /// # Errors
    /// [`CaptureError`]. What was captured by then is whole, and what was not acknowledged comes again.
    pub fn mirror<M: Mirror>(&self, mut mirror: M, observer: &mut dyn FnMut(&Report<'_>)) -> Result<CaptureSummary, CaptureError> {
        let plan = self.plan;
        // Before anything is made on disk or at the broker.
        for words in mirror.check(REQUEST_TIMEOUT)? {
            observer(&Report::Warning(&words));
        }
        let resumes = is_recording(&plan.out);
        let origin = Origin { broker: plan.wanted.broker(), cluster: mirror.cluster(), filters: mirror.filters(), isolation: None };
        let opened = open(plan, origin, resumes).map_err(CaptureError::Recording)?;
        let mut again = Again::default();
        let tail = if resumes { read_tail(&plan.out, &mut again).map_err(CaptureError::Recording)? } else { Tail::default() };
        let held = Held {
            id: uuid::Uuid::from_bytes(opened.recorder.recording_id()).to_string(),
            records: opened.streams.iter().map(|known| known.books.written).sum(),
            resumed: resumes,
            tail,
            again,
        };
        self.mirror_into(mirror, opened, held, observer)
    }

    /// The same with a recording that is open already.
    pub(super) fn mirror_into<M: Mirror, R: Recorder>(
        &self,
        mirror: M,
        opened: Opened<R>,
        held: Held,
        observer: &mut dyn FnMut(&Report<'_>),
    ) -> Result<CaptureSummary, CaptureError> {
        let Self { plan, clock, .. } = *self;
        let anchor = WallAnchor::now(&**clock);
        let began_ns = clock.now_ns();
        let (held_records, resumed) = (held.records, held.resumed);
        let begin = MirrorBegin { recording: held.id.clone(), resumed_from_ns: held.tail.newest_ns, now_ns: anchor.wall_ns };
        let counter = self.counter(&mirror, opened, held, anchor)?;
        let figures = Arc::clone(&counter.taker.pipeline.figures);
        let stored_before = Figures::get(&figures.bytes_stored);
        let gauge = Gauge::new(plan, &counter.taker, clock);
        let mut session = Session::new(mirror, counter, gauge, Arc::clone(clock), anchor, observer);
        let ended = begin_and_run(&mut session, &begin, resumed.then_some(held_records), self.stop);

        let Closed { deliveries, unsettled } = close(&mut session, &ended);
        let Session { mirror, counter, .. } = session;
        drop(mirror);
        let bytes_raw = counter.taker.bytes_raw();
        let Taker { intake, pipeline, records, .. } = counter.taker;
        pipeline.finish().map_err(|e| failed(plan, e))?;
        let reason = match ended {
            Ended::Stopped(reason) => reason,
            Ended::Broker(error) => return Err(CaptureError::Interrupted { error, kept: kept(plan) }),
            Ended::Pipeline => return Err(failed(plan, PipelineError::Lost("writing"))),
        };
        if let Some(error) = unsettled {
            return Err(CaptureError::Unsettled { error });
        }
        let written = Figures::get(&figures.records);
        let positions_balance = intake.unbalanced().is_none() && written == records && intake.written() - held_records == written;
        Ok(CaptureSummary {
            out: plan.out.clone(),
            stopped: reason.words(),
            duration: Duration::from_nanos(clock.now_ns().saturating_sub(began_ns)),
            records: written,
            bytes_raw,
            bytes_stored: Figures::get(&figures.bytes_stored).saturating_sub(stored_before),
            streams: intake.len(),
            holes: 0,
            gaps: Figures::get(&figures.gaps),
            duplicates: deliveries.duplicates,
            replayed_streams: intake.marked_streams(),
            records_total: intake.written(),
            mirror: Some(deliveries),
            books_balance: positions_balance && deliveries.balanced() && deliveries.written == written,
        })
    }

    /// Starts the pipeline into `opened`, and writes what is known before anything is delivered.
    fn counter<M: Mirror, R: Recorder>(
        &self,
        mirror: &M,
        opened: Opened<R>,
        held: Held,
        anchor: WallAnchor,
    ) -> Result<Counter, CaptureError> {
        let Self { plan, clock, .. } = *self;
        let intake = self.take_up(&opened.streams, held.records);
        let rows = opened.streams.iter().enumerate().map(|(ix, known)| known.as_row(ix)).collect();
        let cadence = Cadence::mirror(mirror.window());
        let pipeline =
            Pipeline::start(opened.recorder, rows, plan.memory.slots, plan.compress_threads, Arc::clone(clock), cadence.sync_age)
                .map_err(|e| failed(plan, e))?;
        let mut taker = Taker::new(intake, pipeline, compression(plan.compress), cadence, Arc::clone(clock), anchor);
        // A recording without streams was never begun.
        let before = opened.before.filter(|_| !opened.streams.is_empty());
        let gaps = before.map(|before| filter_changes(&before, &mirror.filters(), anchor.wall_ns));
        gaps.into_iter().flatten().for_each(|gap| taker.gap(gap));
        if held.tail.damaged > 0 {
            let words = "blocks at the end of the recording cannot be read: what was in them is not recognised if it comes again";
            taker.warnings.push(format!("{} {words}", held.tail.damaged));
        }
        taker.attach_plan(plan, self.client);
        Ok(Counter::new(taker, held.again))
    }

    /// The streams as the recording left them.
    fn take_up(&self, known: &[KnownStream], held: u64) -> Intake {
        let plan = self.plan;
        let mut intake = Intake::new(plan.replayed, plan.records.map(|n| n.saturating_sub(held)));
        for known in known {
            let stopped = known.replay_follows && plan.replayed == Replayed::Stop;
            intake.add(NewLane {
                stream: known.stream.clone(),
                books: known.books,
                end: known.books.next,
                until: None,
                phase: if stopped { Phase::Stopped } else { Phase::Reading },
            });
        }
        intake
    }
}

fn begin_and_run<M: Mirror>(session: &mut Session<'_, M>, begin: &MirrorBegin, resumed: Option<u64>, stop: &AtomicBool) -> Ended {
    match session.mirror.begin(begin, REQUEST_TIMEOUT) {
        Ok(snapshots) => snapshots.into_iter().for_each(|snapshot| session.counter.snapshot(snapshot)),
        Err(error) => return Ended::Broker(error),
    }
    session.started(resumed);
    session.run(stop)
}

/// What the end has shown.
struct Closed {
    deliveries: Deliveries,
    /// Why queues of ours are left.
    unsettled: Option<BrokerError>,
}

/// Everything taken goes to disk and is acknowledged; after a planned end the source is left as it was found.
fn close<M: Mirror>(session: &mut Session<'_, M>, ended: &Ended) -> Closed {
    let mut unsettled = None;
    // A pipeline that has ended says why when it is joined.
    if session.counter.end().is_ok() {
        session.acknowledge();
        if let Ended::Stopped(_) = ended {
            unsettled = session.settle(REQUEST_TIMEOUT).err();
        }
    }
    let deliveries = session.counter.books();
    session.counter.taker.attach_json(DELIVERIES, &deliveries);
    session.tell();
    Closed { deliveries, unsettled }
}
