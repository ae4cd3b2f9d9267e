//! The threads, with a client that answers at once, badly, or never. They wait for events, never for a time to pass.

use std::path::Path;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use dejaq_shared::broker::BrokerError;
use dejaq_shared::broker::sink::{Completion, Fate, Outgoing, Refusal};
use dejaq_shared::clock::SystemClock;
use dejaq_shared::units::Ratio;

use super::*;
use crate::marks::MarkPolicy;
use crate::run::dir::read_report;
use crate::schedule::Pace;
use crate::simulation::tests::said;
use crate::testing::{MemoryFeed, Said};
use crate::timestamps::TimestampMode;
use crate::transform::TransformJob;
use crate::trust::Verdict;

const ORIGIN_NS: i64 = 1_800_000_000_000_000_000;

/// A client: what it took comes out of the other half, and is kept with the wall time of the first.
struct ClientSink {
    taken: Sender<usize>,
    said: Arc<Mutex<(Vec<Said>, i64)>>,
    /// So many times it says first that its broker asked everybody to hold.
    blocks: usize,
    /// Where a system under test hears it.
    heard: Option<Sender<Said>>,
}
struct ClientCompletions {
    taken: Receiver<usize>,
    answer: fn(usize) -> Option<Fate>,
    number: usize,
    breaks_at: usize,
}

impl Sink for ClientSink {
    fn submit(&mut self, message: &Outgoing<'_>) -> Result<(), Refusal> {
        if let Some(left) = self.blocks.checked_sub(1) {
            self.blocks = left;
            return Err(Refusal::Blocked);
        }
        self.taken.try_send(message.tag).map_err(|_| Refusal::QueueFull)?;
        if let Some(heard) = &self.heard {
            // A system that broke does not listen any more.
            let _ = heard.send(Said::of(message));
        }
        let mut kept = self.said.lock().expect("one thread");
        if kept.0.is_empty() {
            kept.1 = wall_now_ns();
        }
        kept.0.push(Said::of(message));
        Ok(())
    }

    fn in_flight(&self) -> usize {
        self.taken.len()
    }
}

impl Completions for ClientCompletions {
    fn poll(&mut self, timeout: Duration, handler: &mut dyn FnMut(&[Completion])) -> Result<(), BrokerError> {
        let Ok(first) = self.taken.recv_timeout(timeout) else { return Ok(()) };
        for tag in std::iter::once(first).chain(self.taken.try_iter()) {
            self.number += 1;
            if self.number == self.breaks_at {
                return Err(BrokerError::Fatal("fenced".to_owned()));
            }
            if let Some(fate) = (self.answer)(self.number) {
                handler(&[Completion { tag, fate }]);
            }
        }
        Ok(())
    }

    fn take_warning(&mut self) -> Option<String> {
        None
    }
}

/// The clock of this machine, but for what a test makes of it.
struct TurnedClock {
    machine: SystemClock,
    /// Time goes so many times as fast.
    pace: u64,
    /// By how much it was turned.
    turned_ns: AtomicU64,
}

impl TurnedClock {
    fn new(pace: u64) -> Arc<Self> {
        Arc::new(Self { machine: SystemClock::new(), pace, turned_ns: AtomicU64::new(0) })
    }
}

impl Clock for TurnedClock {
    fn now_ns(&self) -> u64 {
        self.machine.now_ns() * self.pace + self.turned_ns.load(Ordering::SeqCst)
    }

    fn sleep_until(&self, deadline_ns: u64) {
        std::thread::sleep(Duration::from_nanos(deadline_ns.saturating_sub(self.now_ns()) / self.pace));
    }
}

struct Case {
    feed: MemoryFeed,
    pace: Pace,
    repeat: bool,
    answer: fn(usize) -> Option<Fate>,
    breaks_at: usize,
    blocks: usize,
    drain_ns: u64,
    stop_at: u64,
    remove_dir: bool,
    start_at_ns: Option<i64>,
    stop_waiting: bool,
    timestamps: TimestampMode,
    /// Rules that write time stamps in payloads, which count from the start.
    retime: Option<TransformJob>,
    said: Arc<Mutex<(Vec<Said>, i64)>>,
    /// How often it was told that the start is waited for.
    waits: usize,
    observers: Observers,
    heard: Option<Sender<Said>>,
    clock: Arc<TurnedClock>,
    /// By how much the clock is turned after the first look at it; at the second the run is stopped.
    turn_ns: Option<u64>,
}

impl Case {
    fn new() -> Self {
        Self {
            feed: MemoryFeed::steady(2_000, 100_000, 2),
            pace: Pace::Recorded { speed: Ratio::ONE },
            repeat: false,
            answer: |_| Some(Fate::Acked),
            breaks_at: usize::MAX,
            blocks: 0,
            drain_ns: 0,
            stop_at: u64::MAX,
            remove_dir: false,
            start_at_ns: None,
            stop_waiting: false,
            timestamps: TimestampMode::Now,
            retime: None,
            said: Arc::default(),
            waits: 0,
            observers: Observers::default(),
            heard: None,
            clock: TurnedClock::new(1),
            turn_ns: None,
        }
    }

    fn run(mut self, dir: &Path) -> Result<RunReport, RunError> {
        self.run_here(dir)
    }

    fn run_here(&mut self, dir: &Path) -> Result<RunReport, RunError> {
        self.run_with(dir, |sink, completions| (sink, completions))
    }

    /// Runs with a client that is made of this one, once the run directory is there.
    fn run_with<S: Sink, D: Completions>(
        &mut self,
        dir: &Path,
        client: impl FnOnce(ClientSink, ClientCompletions) -> (S, D),
    ) -> Result<RunReport, RunError> {
        let (to, taken) = bounded(10_000);
        let (pace, repeat, timestamps) = (self.pace.clone(), self.repeat, self.timestamps);
        let planner = PlannerOptions { pace, repeat, timestamps, marks: MarkPolicy::First, ..PlannerOptions::of_streams(2) };
        let origin_ns = self.retime.is_none().then_some(ORIGIN_NS);
        let planner = PlannerOptions { transform: self.retime.take().unwrap_or_default(), ..planner };
        let kept = RunDir::create(dir).expect("empty");
        let setup = RunSetup {
            identity: RunIdentity { class_of_stream: vec![Some(0); 2], run_id: "r1".into(), ..RunIdentity::default() },
            planner,
            ceilings: Ceilings::default(),
            late_skip_ns: None,
            drain_ns: self.drain_ns,
            start_at_ns: self.start_at_ns,
            origin_ns,
            streams: vec!["t/0".into(), "t/1".into()],
            classes: vec!["t".into()],
            class_of_target: vec![0],
            target_names: Vec::new(),
            asked_run_ns: None,
            asked_ceilings: (None, None),
            expanded: Expanded::default(),
            queue: QueueLimits { messages_max: 10_000, bytes_max: 1 << 20 },
            observers: std::mem::take(&mut self.observers),
        };
        if self.remove_dir {
            std::fs::remove_dir(dir).expect("empty");
        }
        let completions = ClientCompletions { taken, answer: self.answer, number: 0, breaks_at: self.breaks_at };
        let stop = AtomicBool::new(false);
        let clock = Arc::clone(&self.clock);
        let sink = ClientSink { taken: to, said: Arc::clone(&self.said), blocks: self.blocks, heard: self.heard.take() };
        let (mut sink, mut completions) = client(sink, completions);
        let (waits, stop_at, stop_waiting, turn_ns) = (&mut self.waits, self.stop_at, self.stop_waiting, self.turn_ns);
        let mut looks = 0;
        run(setup, &kept, &mut sink, &mut completions, &mut self.feed, &clock, &stop, &mut |progress| {
            looks += 1;
            if let Some(ns) = turn_ns.filter(|_| looks == 1) {
                clock.turned_ns.store(ns, Ordering::SeqCst);
            }
            *waits += usize::from(progress.starts_in_ns > 0);
            let over = turn_ns.is_some() && looks > 1;
            if over || progress.sent >= stop_at || (stop_waiting && progress.starts_in_ns > 0) {
                stop.store(true, Ordering::Relaxed);
            }
        })
    }
}

fn reasons(report: &RunReport) -> Vec<&str> {
    report.trust.iter().map(|r| r.reason.as_str()).filter(|r| *r != "late pacer" && *r != "recording ran dry").collect()
}

#[test]
fn a_run_leaves_everything_that_a_report_needs() {
    let dir = tempfile::tempdir().expect("tmp");
    let report = Case::new().run(dir.path()).expect("a report");
    assert_eq!(reasons(&report), [] as [&str; 0]);
    assert_eq!((report.ledger.counts.acked, report.finished), (2_000, true));
    assert_eq!(read_report(dir.path()).expect("run.json"), report);
    let mut names: Vec<String> =
        std::fs::read_dir(dir.path()).expect("there").map(|e| e.expect("entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    assert_eq!(names, ["counts.csv", "intervals.csv", "latency.hlog", "run.json", "shape.json", "streams.csv"]);
    let streams = std::fs::read_to_string(dir.path().join("streams.csv")).expect("there");
    assert!(streams.contains("t/0,1000,0,0,1000,0,1000,1000,0,0\n"), "{streams}");
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.path().join("run.json")).expect("there")).expect("json");
    for path in [
        "/schema_version",
        "/verdict",
        "/trust",
        "/limited_by",
        "/delivered",
        "/ledger/read",
        "/ledger/cloned",
        "/ledger/reasons",
        "/latency/schedule_error/p999_ns",
        "/latency/service/max_ns",
        "/latency/response/unanswered",
        "/latency/response/overflow",
        "/rate/intended_per_s",
        "/rate/achieved_per_s",
        "/config",
        "/seed",
        "/shard",
        "/t0_unix_ns",
        "/recording/id",
        "/recording/source_cluster",
        "/target_cluster",
    ] {
        assert!(json.pointer(path).is_some(), "{path} is missing in {json}");
    }
}

#[test]
fn a_client_that_breaks_ends_the_run_with_balanced_books() {
    let dir = tempfile::tempdir().expect("tmp");
    let report = Case { breaks_at: 500, ..Case::new() }.run(dir.path()).expect("a report");
    assert!(reasons(&report).contains(&"client failed"), "{:?}", report.trust);
    assert!(report.trust.iter().any(|r| r.detail.contains("fenced")));
    let counts = report.ledger.counts;
    assert_eq!((counts.imbalance(), counts.acked), (None, 499));
    assert!(counts.unknown > 0);
}

#[test]
fn what_is_not_answered_by_the_drain_deadline_is_unknown() {
    let dir = tempfile::tempdir().expect("tmp");
    let answer = |number: usize| (!number.is_multiple_of(4)).then_some(Fate::Acked);
    let report = Case { answer, ..Case::new() }.run(dir.path()).expect("a report");
    assert_eq!(report.ledger.reasons["unknown"]["no answer by the drain deadline"], 500);
    assert_eq!(report.latency.response.map(|r| r.unanswered), Some(500));
    assert_eq!(report.ledger.counts.imbalance(), None);
}

#[test]
fn a_flood_without_end_is_stopped() {
    let dir = tempfile::tempdir().expect("tmp");
    let report = Case { pace: Pace::Max, repeat: true, stop_at: 1, drain_ns: u64::MAX, ..Case::new() }.run(dir.path()).expect("a report");
    assert_eq!((report.verdict, report.ledger.counts.imbalance()), (Verdict::Valid, None), "{:?}", report.trust);
    assert!(report.notes.iter().any(|n| n.contains("stopped")));
}

#[test]
fn a_recording_that_breaks_off_is_named_and_what_came_before_is_sent() {
    let dir = tempfile::tempdir().expect("tmp");
    let feed = MemoryFeed::steady(2_000, 100_000, 2).failing_after(1_500);
    let report = Case { feed, ..Case::new() }.run(dir.path()).expect("a report");
    assert_eq!((reasons(&report), report.ledger.counts.acked), (vec!["recording unreadable"], 1_500));
    assert!(report.trust.iter().any(|r| r.detail.contains("block 3 is damaged")));
}

#[test]
fn a_planner_that_dies_ends_the_run_and_is_named() {
    let dir = tempfile::tempdir().expect("tmp");
    let feed = MemoryFeed::steady(2_000, 100_000, 2).panicking_after(1_500);
    assert!(matches!(Case { feed, ..Case::new() }.run(dir.path()), Err(RunError::Thread("planner"))));
}

#[test]
fn a_run_whose_results_cannot_be_kept_fails() {
    let dir = tempfile::tempdir().expect("tmp");
    let path = dir.path().join("run");
    // The directory is gone before anything is written.
    let case = Case { remove_dir: true, ..Case::new() };
    assert!(matches!(case.run(&path), Err(RunError::Save(_))));
}

#[test]
fn several_threads_send_what_one_does() {
    let dir = tempfile::tempdir().expect("tmp");
    let mut case = Case { timestamps: TimestampMode::Shift, ..Case::new() };
    case.run_here(dir.path()).expect("a report");
    let unmarked =
        |list: Vec<Said>| -> Vec<(bool, Said)> { list.into_iter().map(|s| (s.mark.is_some(), Said { mark: None, ..s })).collect() };
    let threads = unmarked(case.said.lock().expect("ended").0.clone());
    let one = unmarked(said(MemoryFeed::steady(2_000, 100_000, 2), 2, TimestampMode::Shift, ORIGIN_NS));
    assert_eq!(threads.len(), 2_000);
    assert!(threads == one, "byte for byte the same");
}

#[test]
fn a_run_starts_at_exactly_the_given_time() {
    for (pace, wait_ns) in [(Pace::Recorded { speed: Ratio::ONE }, 1_300_000_000), (Pace::Max, 200_000_000)] {
        let dir = tempfile::tempdir().expect("tmp");
        let at = wall_now_ns() + wait_ns;
        let mut case = Case { pace, start_at_ns: Some(at), ..Case::new() };
        let report = case.run_here(dir.path()).expect("a report");
        assert_eq!((report.t0_unix_ns, report.ledger.counts.acked), (at, 2_000));
        assert!(case.said.lock().expect("ended").1 >= at, "nothing is sent before it");
        assert!(case.waits > 0 || wait_ns < 1_000_000_000, "it says that it waits");
    }
}

#[test]
fn a_start_that_passed_while_the_recording_was_read_sends_nothing() {
    let dir = tempfile::tempdir().expect("tmp");
    // Not yet passed, but nearer than the threads need to come up.
    let mut case = Case { start_at_ns: Some(wall_now_ns() + 10_000_000), ..Case::new() };
    let error = case.run_here(dir.path()).expect_err("too late").to_string();
    assert!(error.contains("--start-at") && error.contains("after the time to start at"), "{error}");
    assert!(case.said.lock().expect("ended").0.is_empty());
}

#[test]
fn stopped_before_its_start_a_run_sends_nothing() {
    let dir = tempfile::tempdir().expect("tmp");
    let mut case = Case { start_at_ns: Some(wall_now_ns() + 3_600_000_000_000), stop_waiting: true, ..Case::new() };
    let report = case.run_here(dir.path()).expect("a report");
    assert_eq!(report.ledger.counts.scheduled, 0);
    assert!(report.notes.iter().any(|n| n.contains("stopped")), "{:?}", report.notes);
}

#[test]
fn while_its_broker_asks_to_hold_nothing_is_lost_and_the_hold_is_the_target_s() {
    let dir = tempfile::tempdir().expect("tmp");
    let report = Case { blocks: 50, ..Case::new() }.run(dir.path()).expect("a report");
    assert_eq!((report.ledger.counts.acked, report.ledger.counts.imbalance()), (2_000, None));
    assert!(report.holds.blocked_ns > 0 && report.holds.full_queue_ns == 0, "{:?}", report.holds);
    assert!(reasons(&report).is_empty(), "{:?}", report.trust);
}
mod doubted;
mod observed;
