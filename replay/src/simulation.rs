//! A whole run on one thread and a clock turned by hand: planner, pacer, a scripted target, recorder, trust. No sleep, no
//! thread, so every expectation is exact.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use dejaq_shared::broker::sink::{Completion, Fate, Outgoing, Refusal, Sink};
use dejaq_shared::units::Ratio;

use crate::assemble::{Ended, RunIdentity, finished};
use crate::batch::{Batch, Route};
use crate::ceiling::Ceilings;
use crate::copies::Copies;
use crate::fidelity::shape::{RunShape, gap_tolerance_ns};
use crate::fit::{Fit, FitCounts};
use crate::hands::Hands;
use crate::inflight::Slots;
use crate::ledger::Ledger;
use crate::marks::MarkPolicy;
use crate::measure::collector::Totals;
use crate::measure::counts::{BucketRow, PaceLog, SecondRow};
use crate::measure::recorder::{Closed, Recorder};
use crate::pacer::{Live, Pacer, PacerBooks, PacerOptions};
use crate::planner::{Planner, PlannerOptions};
use crate::ring::{Batches, Next};
use crate::run::report::RunReport;
use crate::schedule::Pace;
use crate::testing::{MemoryFeed, Said};
use crate::timestamps::TimestampMode;
use crate::transform::TransformJob;

const MS: u64 = 1_000_000;
const S: u64 = 1_000 * MS;
const T0: u64 = 5 * S;

/// What the target does with a message sent at a time: when it answers, and what.
type Script = Box<dyn Fn(u64, usize) -> Option<(u64, Fate)> + Send>;

/// The simulated world: its time, and the answers that are on their way.
struct World {
    now: u64,
    answers: BTreeMap<(u64, usize), Fate>,
    in_flight: usize,
    submitted: usize,
    capacity: usize,
    script: Script,
    refuse: fn(usize) -> Option<&'static str>,
    blocked: Range<u64>,
    marked: usize,
    sent_at: Vec<u64>,
    said: Vec<Said>,
}

#[derive(Clone)]
struct SimulatedSink(Arc<Mutex<World>>);

impl Sink for SimulatedSink {
    fn submit(&mut self, message: &Outgoing<'_>) -> Result<(), Refusal> {
        let mut world = self.0.lock().expect("one thread");
        if world.in_flight >= world.capacity {
            return Err(Refusal::QueueFull);
        }
        if world.blocked.contains(&world.now) {
            return Err(Refusal::Blocked);
        }
        let number = world.submitted;
        if let Some(reason) = (world.refuse)(number) {
            world.submitted += 1;
            return Err(Refusal::Final(reason));
        }
        let now = world.now;
        if let Some((at, fate)) = (world.script)(now, number) {
            world.answers.insert((at, message.tag), fate);
        }
        world.submitted += 1;
        world.in_flight += 1;
        world.marked += usize::from(message.mark.is_some());
        world.sent_at.push(now);
        world.said.push(Said::of(message));
        Ok(())
    }

    fn in_flight(&self) -> usize {
        self.0.lock().expect("one thread").in_flight
    }
}

/// Time passes only in the hands' waits; answers that fall into a wait are delivered at their own time.
struct SimulatedHands {
    world: Arc<Mutex<World>>,
    recorder: Rc<RefCell<Recorder>>,
    /// Each sleep ends this much later for each message: a slow generator.
    oversleep: fn(u64) -> u64,
    /// Time that passes whenever the clock is read.
    tick_ns: u64,
}

impl SimulatedHands {
    /// Delivers the next answer if it comes by `until`; its time.
    fn answer(&self, until: u64) -> Option<u64> {
        let (at, tag, fate) = {
            let mut world = self.world.lock().expect("one thread");
            let (&(at, tag), &fate) = world.answers.first_key_value()?;
            if at > until {
                return None;
            }
            world.answers.remove(&(at, tag));
            world.in_flight -= 1;
            (at, tag, fate)
        };
        self.recorder.borrow_mut().completed(&[Completion { tag, fate }], at);
        Some(at)
    }

    fn advance(&self, to: u64) {
        while self.answer(to).is_some() {}
        let mut world = self.world.lock().expect("one thread");
        world.now = world.now.max(to);
    }
}

impl Hands for SimulatedHands {
    fn now_ns(&mut self) -> u64 {
        let now = self.world.lock().expect("one thread").now + self.tick_ns;
        self.advance(now);
        now
    }

    fn wait_until(&mut self, at_ns: u64) {
        self.advance(at_ns + (self.oversleep)(at_ns));
    }

    fn wait_room(&mut self, at_ns: u64) {
        match self.answer(at_ns) {
            Some(at) => self.advance(at),
            None => self.advance(at_ns + (self.oversleep)(at_ns)),
        }
    }
}

/// Plans as the pacer asks: never dry, unless the reading is slow.
struct InlineBatches {
    planner: Planner,
    feed: MemoryFeed,
    more: bool,
    world: Arc<Mutex<World>>,
    read_ns: u64,
    empty: bool,
    /// The values that rules wrote into what was sent.
    shown: Vec<u64>,
}

impl Batches for InlineBatches {
    fn next(&mut self) -> Next {
        if self.read_ns > 0 && !self.empty {
            self.empty = true;
            return Next::Empty;
        }
        self.empty = false;
        if self.more {
            self.more = self.planner.advance(&mut self.feed).expect("memory");
        }
        self.planner.pop().map_or(Next::End, Next::Batch)
    }

    fn wait(&mut self, _max: Duration) {
        self.world.lock().expect("one thread").now += self.read_ns;
    }

    fn recycle(&mut self, mut batch: Batch) {
        self.shown.extend(batch.shown_and_sent().map(|shown| shown.value));
        batch.clear();
        self.planner.reuse(batch);
    }
}

#[derive(Clone)]
struct SimulatedLog {
    recorder: Rc<RefCell<Recorder>>,
    buckets: Rc<RefCell<Vec<BucketRow>>>,
}

impl PaceLog for SimulatedLog {
    fn second(&mut self, row: SecondRow) {
        self.recorder.borrow_mut().left_behind(row);
    }

    fn bucket(&mut self, row: BucketRow) {
        self.buckets.borrow_mut().push(row);
    }
}

/// A run to be simulated.
pub(crate) struct Simulation {
    feed: MemoryFeed,
    streams: usize,
    pace: Pace,
    repeat: bool,
    run_ns: Option<u64>,
    late_skip_ns: Option<u64>,
    ceilings: Ceilings,
    marks: MarkPolicy,
    elsewhere: Vec<bool>,
    by_key: Option<NonZeroU32>,
    timestamps: TimestampMode,
    copies: Copies,
    transform: TransformJob,
    origin_ns: i64,
    capacity: usize,
    script: Script,
    refuse: fn(usize) -> Option<&'static str>,
    /// When the broker asks everybody to hold.
    blocked: Range<u64>,
    fit: Arc<Fit>,
    /// Which connection carries all.
    connection: i32,
    oversleep: fn(u64) -> u64,
    tick_ns: u64,
    read_ns: u64,
}

/// What a simulated run leaves.
pub(crate) struct Outcome {
    pub(crate) report: RunReport,
    ledger: Ledger,
    pub(crate) closed: Vec<Closed>,
    buckets: Vec<BucketRow>,
    confirmed: Vec<BucketRow>,
    shape: Option<RunShape>,
    sent_at: Vec<u64>,
    pub(crate) said: Vec<Said>,
    marked: usize,
    pub(crate) shown: Vec<u64>,
}

impl Simulation {
    /// A run over `feed` at recorded pace into a target that confirms after a millisecond.
    pub(crate) fn of(feed: MemoryFeed, streams: usize) -> Self {
        Self {
            feed,
            streams,
            pace: Pace::Recorded { speed: Ratio::ONE },
            repeat: false,
            run_ns: None,
            late_skip_ns: None,
            ceilings: Ceilings::default(),
            marks: MarkPolicy::Off,
            elsewhere: Vec::new(),
            by_key: None,
            timestamps: TimestampMode::Now,
            copies: Copies::default(),
            transform: TransformJob::None,
            origin_ns: 0,
            capacity: 1_000_000,
            script: Box::new(|sent, _| Some((sent + MS, Fate::Acked))),
            refuse: |_| None,
            blocked: 0..0,
            fit: Arc::default(),
            connection: 0,
            oversleep: |_| 0,
            tick_ns: 0,
            read_ns: 0,
        }
    }

    fn planner(&self) -> Planner {
        let (pace, repeat, run_ns, marks) = (self.pace.clone(), self.repeat, self.run_ns, self.marks);
        let (elsewhere, timestamps) = (self.elsewhere.clone(), self.timestamps);
        let options = PlannerOptions::of_streams(self.streams);
        let (by_key, partition) = (self.by_key, self.connection);
        let routes = options.routes.iter().map(|route| route.map(|route| Route { by_key, partition, ..route })).collect();
        Planner::new(PlannerOptions {
            routes,
            elsewhere,
            pace,
            repeat,
            run_ns,
            marks,
            timestamps,
            copies: self.copies.clone(),
            transform: self.transform.clone(),
            fit: Arc::clone(&self.fit),
            ..options
        })
    }

    fn pacer_options(&mut self) -> PacerOptions {
        PacerOptions {
            kind: self.fit.kind(),
            t0_ns: T0,
            scheduled: self.pace.is_scheduled(),
            run_ns: self.run_ns,
            late_skip_ns: self.late_skip_ns,
            ceilings: std::mem::take(&mut self.ceilings),
            mark: b"mark".to_vec(),
            mark_bytes: 4,
            streams: self.streams,
            classes: vec![0],
            stamping: self.timestamps.stamping(self.origin_ns),
        }
    }

    /// Lets the run follow rules.
    pub(crate) fn follow(mut self, transform: TransformJob) -> Self {
        self.transform = transform;
        self
    }

    /// Lets the client refuse every tenth message.
    pub(crate) fn refuse_tenths(mut self) -> Self {
        self.refuse = |number| (number % 10 == 0).then_some("too large");
        self
    }

    pub(crate) fn run(mut self) -> Outcome {
        let scheduled = self.pace.is_scheduled();
        let gap_tolerance_ns = gap_tolerance_ns(&self.pace);
        let slots = Arc::new(Slots::new(1_000_001));
        let (planner, options) = (self.planner(), self.pacer_options());
        let world = Arc::new(Mutex::new(World {
            now: T0,
            answers: BTreeMap::new(),
            in_flight: 0,
            submitted: 0,
            capacity: self.capacity,
            script: self.script,
            refuse: self.refuse,
            blocked: self.blocked,
            marked: 0,
            sent_at: Vec::new(),
            said: Vec::new(),
        }));
        let recorder = Rc::new(RefCell::new(Recorder::new(Arc::clone(&slots), T0, scheduled, self.streams, 1)));
        let hands = |oversleep, tick_ns| SimulatedHands { world: Arc::clone(&world), recorder: Rc::clone(&recorder), oversleep, tick_ns };
        let log = SimulatedLog { recorder: Rc::clone(&recorder), buckets: Rc::default() };
        let mut batches = InlineBatches {
            planner,
            feed: self.feed,
            more: true,
            world: Arc::clone(&world),
            read_ns: self.read_ns,
            empty: false,
            shown: Vec::new(),
        };
        let mut sink = SimulatedSink(Arc::clone(&world));
        let stop = AtomicBool::new(false);
        let live = Arc::new(Live::default());
        let pacer = Pacer::new(options, &mut sink, hands(self.oversleep, self.tick_ns), log.clone(), &slots, &stop, live).run(&mut batches);
        while hands(|_| 0, 0).answer(u64::MAX).is_some() {}
        let InlineBatches { planner, shown, .. } = batches;
        let (mut ended, closed) = end(&recorder, pacer, self.streams, scheduled);
        ended.fitted = planner.into_books().fitted;
        let shape = ended.pacer.shape.as_ref().map(|shape| shape.summary(gap_tolerance_ns));
        let confirmed = recorder.borrow_mut().take_buckets().collect();
        let identity = RunIdentity { class_of_stream: vec![Some(0); self.streams], ..RunIdentity::default() };
        let (report, ledger) = finished(&identity, &ended);
        let world = world.lock().expect("one thread");
        let buckets = log.buckets.borrow().clone();
        Outcome {
            report,
            ledger,
            closed,
            buckets,
            confirmed,
            shape,
            sent_at: world.sent_at.clone(),
            said: world.said.clone(),
            marked: world.marked,
            shown,
        }
    }
}

/// Gives up on what is in flight and closes the books, as the engine does.
fn end(recorder: &RefCell<Recorder>, pacer: PacerBooks, streams: usize, scheduled: bool) -> (Ended, Vec<Closed>) {
    let mut recorder = recorder.borrow_mut();
    recorder.give_up("no answer by the drain deadline", u64::MAX);
    let books = recorder.finish();
    let closed: Vec<Closed> = recorder.take_closed().collect();
    let mut totals = Totals::new(1);
    closed.iter().for_each(|c| totals.add(c));
    let ended = Ended {
        t0_ns: T0,
        t0_unix_ns: 0,
        scheduled,
        pacer,
        recorder: books,
        totals,
        input_error: None,
        damages: Vec::new(),
        client_error: None,
        clock_step_ns: 0,
        cardinality: None,
        observed: None,
        payload_notes: Vec::new(),
        fitted: FitCounts::default(),
        address_notes: Vec::new(),
        rows_lost: 0,
        classes: vec!["t".into()],
        streams: vec!["t/0".into(); streams],
    };
    (ended, closed)
}

mod saved;
mod soak;
mod stalls;
pub(crate) mod tests;
