//! The threads of a run: planner, pacer, completions, saver; and the one that calls, which watches the clock and tells
//! people. Each obeys a module that decides; this one only wires them, and puts their books together at the end.
//!
//! When something breaks (the client, the disk, the recording) the run is stopped, what is in flight is waited for
//! until the drain deadline, and the report says what happened.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crossbeam_channel::bounded;
use dejaq_shared::broker::BrokerError;
use dejaq_shared::broker::mark::Mark;
use dejaq_shared::broker::sink::{Completions, QueueLimits, Sink};
use dejaq_shared::clock::{Clock, wall_now_ns};
use dejaq_shared::record::MARK_HEADER;
use dejaq_shared::units::{Ratio, format_duration_ns};

use crate::assemble::{Ended, RunIdentity, finished};
use crate::cardinality::{CARDINALITY_JSON, Cardinality, CardinalityReport};
use crate::ceiling::Ceilings;
use crate::completing::Completing;
use crate::expanding::{Expanded, payload_notes};
use crate::feed::RecordFeed;
use crate::fidelity::shape::{SHAPE_JSON, gap_tolerance_ns};
use crate::hands::Room;
use crate::inflight::Slots;
use crate::measure::recent::Recent;
use crate::measure::recorder::Recorder;
use crate::observers::Observers;
use crate::pacer::{Live, PacerOptions};
use crate::planner::{Planner, PlannerBooks, PlannerOptions};
use crate::ring::Ring;
use crate::run::dir::{RunDir, RunDirError};
use crate::run::report::RunReport;
use crate::run::saver::{SaveError, SaverOptions, save_streams};
use crate::schedule::Pace;
use crate::start::{Start, StartsAt, await_start};
use crate::timestamps::Stamping;
use crate::transform::Transform;

/// Everything that is decided before a run.
#[derive(Debug)]
pub struct RunSetup {
    /// Who it is.
    pub identity: RunIdentity,
    /// What is sent, and when.
    pub planner: PlannerOptions,
    /// The ceilings.
    pub ceilings: Ceilings,
    /// `--late skip=`, in nanoseconds.
    pub late_skip_ns: Option<u64>,
    /// How long answers are waited for after the last sending, in nanoseconds.
    pub drain_ns: u64,
    /// When it starts, nanoseconds since 1970; `None`: as soon as it can.
    pub start_at_ns: Option<i64>,
    /// What shifted time stamps count from, nanoseconds since 1970; `None`: its start.
    pub origin_ns: Option<i64>,
    /// The streams of the recording, by name.
    pub streams: Vec<String>,
    /// The classes of topics that latency is filed under, by name.
    pub classes: Vec<String>,
    /// The class of each target topic.
    pub class_of_target: Vec<u32>,
    /// The name of each target topic.
    pub target_names: Vec<String>,
    /// The length of the run as asked for.
    pub asked_run_ns: Option<u64>,
    /// The ceilings as asked for, of all shards: messages and bytes per second.
    pub asked_ceilings: (Option<Ratio>, Option<u64>),
    /// What is known of the rules that it follows.
    pub expanded: Expanded,
    /// The limits of the client's queue.
    pub queue: QueueLimits,
    /// Who looks at the system under test meanwhile.
    pub observers: Observers,
}

impl RunSetup {
    /// How long the run takes from its start to its last intended time, in nanoseconds, where that follows from the options and
    /// the recorded times of the first and the last record: not with `--max`, nor at a rate.
    #[must_use]
    pub fn planned_ns(&self, span: Option<(i64, i64)>) -> Option<u64> {
        let recorded = match (&self.planner.pace, self.planner.repeat) {
            (Pace::Recorded { speed }, false) => span.map(|(first, last)| {
                let ns = u128::from(last.abs_diff(first)) * u128::from(speed.den()) / u128::from(speed.num());
                u64::try_from(ns).unwrap_or(u64::MAX)
            }),
            _ => None,
        };
        [recorded, self.planner.run_ns].into_iter().flatten().min()
    }
}

/// Why a run has no report.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// What was measured could not be kept.
    #[error("the run was stopped, since its results cannot be saved: {0}")]
    Save(#[from] SaveError),
    /// The end of it could not be written.
    #[error(transparent)]
    Dir(#[from] RunDirError),
    /// The time to start had passed when the run was ready.
    #[error(
        "the first messages were ready {} after the time to start at; nothing was sent: give a later --start-at, all machines the same",
        format_duration_ns(*late_ns)
    )]
    StartPassed {
        /// By how much.
        late_ns: u64,
    },
    /// The client failed while the start was waited for.
    #[error("while waiting for the time of --start-at: {0}")]
    BeforeStart(#[from] BrokerError),
    /// The system gives no thread to look at the system under test from.
    #[error("cannot start a thread: {0}")]
    NoThread(std::io::Error),
    /// A defect in dejaq.
    #[error("the {0} thread ended unexpectedly: this is a defect in dejaq")]
    Thread(&'static str),
}

/// Slots beyond the client's own limit, for completions that are being handled.
const SLOTS_SPARE: usize = 4_096;
/// The most slots: 40 bytes each.
const SLOTS_MAX: usize = 1 << 21;
/// Time stamps in payloads are written before the run starts, so its start must be known before: this long from when the planner begins.
const RETIME_LEAD_NS: i64 = 2_000_000_000;

/// What the threads share.
pub(crate) struct Shared<'a, C> {
    pub(crate) clock: Arc<C>,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) ring: Ring,
    pub(crate) slots: Arc<Slots>,
    pub(crate) room: Arc<Room>,
    live: Arc<Live>,
    recent: Arc<Mutex<Recent>>,
    /// The different values that each rule has written so far.
    distinct: Mutex<Vec<u64>>,
    /// When the pacer ended, on the clock; 0 until then.
    pub(crate) pacer_ended_ns: AtomicU64,
    pub(crate) rows_lost: AtomicU64,
}

/// Runs to the end and returns the report, which is also in the run directory. `watch` is called about twice a second.
///
/// # Errors
/// [`RunError`] when there is no report to trust; a run that merely went wrong has one.
#[expect(
    clippy::too_many_arguments,
    reason = "the two halves of the client, the feed, the clock: each is another thread's, and is lent for the run"
)]
pub fn run<S, D, F, C>(
    mut setup: RunSetup,
    dir: &RunDir,
    sink: &mut S,
    completions: &mut D,
    feed: &mut F,
    clock: &Arc<C>,
    stop: &AtomicBool,
    watch: &mut dyn FnMut(&Progress),
) -> Result<RunReport, RunError>
where
    S: Sink,
    D: Completions,
    F: RecordFeed,
    C: Clock + 'static,
{
    let shared = Shared::new(clock, stop, &setup.queue);
    // Before the start of a run that writes time stamps is set: what brokers take to answer is no part of its lead.
    setup.observers.look_before();
    let mut setup = with_origin(setup);
    let pacer = pacer_options(&mut setup);
    let gap_tolerance_ns = gap_tolerance_ns(&setup.planner.pace);
    let RunSetup { identity, planner, drain_ns, start_at_ns, origin_ns, streams, classes, expanded, mut observers, .. } = setup;
    let mut planned = observers.take_expecting();
    let (scheduled, timestamps) = (pacer.scheduled, planner.timestamps);
    let ended = std::thread::scope(|scope| -> Result<Ended, RunError> {
        let planning = scope.spawn(|| {
            let books = shared.ring.while_filled(|ring| Planner::new(planner).run(feed, ring, &mut planned));
            (feed.damages(), books)
        });
        let at = StartsAt { clock: shared.clock.as_ref(), ring: &shared.ring, stop, start_at_ns };
        let Start { anchor, t0_ns, t0_unix_ns } = await_start(&at, completions, watch).inspect_err(|_| shared.ring.close())?;
        let stamping = timestamps.stamping(origin_ns.unwrap_or(t0_unix_ns));
        let observing = observers.begin(Arc::clone(&shared.clock) as Arc<dyn Clock>, t0_ns, dir.clone(), Arc::clone(&shared.live));
        let observing = observing.map_err(RunError::NoThread).inspect_err(|_| shared.ring.close())?;
        let seen = observing.seen();
        let saver = SaverOptions { dir: dir.clone(), t0_unix_ns, classes: classes.clone(), recent: Arc::clone(&shared.recent), seen };
        let (to_saver, buckets, saving) = spawn_saver(scope, &shared, saver, &identity, scheduled);
        let last_outputs = to_saver.clone();
        let (accounts, accounting) = spawn_accounts(scope, &shared, &expanded);
        let (rows, to_recorder) = bounded(SECONDS_MAX);
        let log = ChannelLog { seconds: rows, buckets, lost: &shared.rows_lost };
        let pacing = spawn_pacer(scope, &shared, PacerOptions { t0_ns, stamping, ..pacer }, sink, log, accounts);
        let recorder = Recorder::new(Arc::clone(&shared.slots), t0_ns, scheduled, streams.len(), classes.len());
        let (warn, warnings) = bounded(16);
        let completing = {
            let shared = &shared;
            scope.spawn(move || Completing { shared, recorder, rows: to_recorder, saver: to_saver, drain_ns, warn }.run(completions))
        };
        let mut watching = Watching::new(&shared, &observing, &expanded.names, anchor, t0_ns, watch);
        watching.until_done(&warnings);
        let pacer = join(pacing, "pacer")?;
        shared.ring.close();
        let (damages, PlannerBooks { transform, fitted, address_notes }) = join(planning, "planner")?;
        let accounts = accounting.map(|accounting| join(accounting, "accounting")).transpose()?;
        let cardinality = accounts.map(|accounts| cardinality(&accounts, &expanded, &transform));
        let payload_notes = payload_notes(transform.counted().payloads(), &streams);
        let (recorder, client_error) = join(completing, "completion")?;
        let input_error = shared.ring.take_error().map(|e| e.to_string());
        // A run that cannot be saved is not waited for.
        watching.until_observed(if saving.is_finished() { 0 } else { pacer.ledger.total().scheduled });
        let clock_step_ns = watching.clock_step_ns();
        let (observed, seconds_lost) = observing.end();
        // All seconds of end to end are closed: the saver takes them and ends.
        drop(last_outputs);
        let totals = join(saving, "saving")??;
        let rows_lost = shared.rows_lost.load(Ordering::Relaxed) + seconds_lost;
        Ok(Ended {
            t0_ns,
            t0_unix_ns,
            scheduled,
            pacer,
            recorder,
            totals,
            input_error,
            damages,
            client_error,
            clock_step_ns,
            rows_lost,
            cardinality,
            observed,
            payload_notes,
            fitted,
            address_notes,
            classes,
            streams,
        })
    })?;
    write(dir, &identity, &ended, gap_tolerance_ns)
}

/// Writes what is known at the end into the run directory.
fn write(dir: &RunDir, identity: &RunIdentity, ended: &Ended, gap_tolerance_ns: u64) -> Result<RunReport, RunError> {
    let (report, ledger) = finished(identity, ended);
    save_streams(dir, &ended.streams, &ledger)?;
    if let Some(cardinality) = &ended.cardinality {
        dir.write_json(CARDINALITY_JSON, cardinality)?;
    }
    if let Some(shape) = &ended.pacer.shape {
        dir.write_json(SHAPE_JSON, &shape.summary(gap_tolerance_ns))?;
    }
    dir.write_report(&report)?;
    Ok(report)
}

impl<'a, C> Shared<'a, C> {
    fn new(clock: &Arc<C>, stop: &'a AtomicBool, queue: &QueueLimits) -> Self {
        let slots = queue.messages_max.saturating_add(SLOTS_SPARE).min(SLOTS_MAX);
        Self {
            clock: Arc::clone(clock),
            stop,
            ring: Ring::default(),
            slots: Arc::new(Slots::new(u32::try_from(slots).unwrap_or(u32::MAX))),
            room: Arc::default(),
            live: Arc::default(),
            recent: Arc::default(),
            distinct: Mutex::default(),
            pacer_ended_ns: AtomicU64::new(0),
            rows_lost: AtomicU64::new(0),
        }
    }
}

/// The value of the mark.
fn mark(identity: &RunIdentity) -> Vec<u8> {
    Mark { run: identity.run_id.clone(), clusters: identity.mark_clusters.clone() }.encode()
}

/// What the pacer needs; its start comes when it is known.
fn pacer_options(setup: &mut RunSetup) -> PacerOptions {
    let mark = mark(&setup.identity);
    PacerOptions {
        kind: setup.planner.fit.kind(),
        t0_ns: 0,
        scheduled: setup.planner.pace.is_scheduled(),
        run_ns: setup.planner.run_ns,
        late_skip_ns: setup.late_skip_ns,
        ceilings: std::mem::take(&mut setup.ceilings),
        mark_bytes: (MARK_HEADER.len() + mark.len()) as u64,
        mark,
        streams: setup.streams.len(),
        classes: std::mem::take(&mut setup.class_of_target),
        stamping: Stamping::Now,
    }
}

/// Time stamps in payloads count from `--origin`, else from the start of the run, which must then be known before the first
/// record is prepared.
fn with_origin(mut setup: RunSetup) -> RunSetup {
    if setup.planner.transform.retimes() {
        if setup.origin_ns.is_none() && setup.start_at_ns.is_none() {
            setup.start_at_ns = Some(wall_now_ns().saturating_add(RETIME_LEAD_NS));
        }
        if let Some(origin) = setup.origin_ns.or(setup.start_at_ns) {
            setup.planner.transform.count_from(origin);
        }
    }
    setup
}

fn cardinality(accounts: &Cardinality, expanded: &Expanded, transform: &Transform) -> CardinalityReport {
    let metrics: Vec<String> = transform.metrics().iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    accounts.report(&expanded.names, &metrics)
}

mod threads;
mod watching;

pub(crate) use threads::OnDrop;
use threads::{ChannelLog, SECONDS_MAX, join, spawn_accounts, spawn_pacer, spawn_saver};
pub use watching::Progress;
pub(crate) use watching::WATCH;
use watching::Watching;

#[cfg(test)]
mod tests;
