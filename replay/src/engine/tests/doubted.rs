//! Runs that are not to be believed, for reasons that no target and no recording can give: each is provoked through all threads.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use dejaq_shared::outcome::Outcome;

use super::*;

/// The run is INVALID for this reason, exit code 3; its detail.
fn invalid_for<'a>(report: &'a RunReport, reason: &str) -> &'a str {
    let found = report.trust.iter().find(|r| r.reason == reason).unwrap_or_else(|| panic!("no {reason}: {:?}", report.trust));
    assert_eq!((report.verdict, report.outcome()), (Verdict::Invalid, Outcome::Doubtful));
    &found.detail
}

/// A disk that does not answer: another process has a lease on the temporary file of `run.json`, and whoever opens that waits until
/// it is given up (the system itself ends such a wait after 45 s).
struct StuckDisk(Child);

const LEASE: &str = "
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
sys.stdin.read()
";

impl StuckDisk {
    fn of(run: &Path) -> Self {
        let file = run.join(".run.json.new");
        let python = Command::new("python3").args(["-c", LEASE]).arg(file).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut python = python.unwrap_or_else(|e| panic!("python3 is needed ({e}): install it, or run scripts/test, which does"));
        let mut said = String::new();
        BufReader::new(python.stdout.take().expect("piped")).read_line(&mut said).expect("text");
        assert_eq!(said, "held\n");
        Self(python)
    }

    fn answers(mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().expect("it ends").success());
    }
}

/// A client during whose run the disk is stuck, until it has taken so many messages.
struct BesideStuckDisk {
    client: ClientSink,
    disk: Option<StuckDisk>,
    until: usize,
}

impl Sink for BesideStuckDisk {
    fn submit(&mut self, message: &Outgoing<'_>) -> Result<(), Refusal> {
        self.client.submit(message)?;
        self.until = self.until.saturating_sub(1);
        if self.until == 0 {
            self.disk.take().into_iter().for_each(StuckDisk::answers);
        }
        Ok(())
    }

    fn in_flight(&self) -> usize {
        self.client.in_flight()
    }
}

#[test]
fn measurements_that_a_stuck_disk_had_no_room_for_are_lost_and_counted() {
    // A clock a hundred times as fast, and a message in each of its 100 ms: up to 10,000 rows of what was confirmed in ten seconds, fewer where
    // the machine has no time to spare. What waits for the disk has room for 1,024.
    let mut case = Case { feed: MemoryFeed::steady(10_000, 100_000_000, 2), clock: TurnedClock::new(100), ..Case::new() };
    let dir = tempfile::tempdir().expect("tmp");
    let report = case.run_with(dir.path(), |client, completions| {
        (BesideStuckDisk { client, disk: Some(StuckDisk::of(dir.path())), until: 9_900 }, completions)
    });
    let report = report.expect("a report");
    let detail = invalid_for(&report, "measurements lost");
    assert!(detail.contains("intervals could not be written in time"), "{detail}");
    assert_eq!((report.ledger.counts.acked, report.ledger.counts.imbalance()), (10_000, None), "the run went on all the same");
}

#[test]
fn a_wall_clock_that_leaves_the_monotonic_one_is_seen_and_said() {
    for (turn_ns, seen) in [(0, false), (2_000_000_000, true)] {
        let dir = tempfile::tempdir().expect("tmp");
        let mut case = Case { repeat: true, turn_ns: Some(turn_ns), ..Case::new() };
        let report = case.run_here(dir.path()).expect("a report");
        assert_eq!(reasons(&report).contains(&"clock step"), seen, "{:?}", report.trust);
        if seen {
            let detail = invalid_for(&report, "clock step");
            assert!(detail.contains("the wall clock moved by"), "{detail}");
        }
    }
}

/// A client that answers its hundredth message twice.
struct AnswersTwice(ClientCompletions);

impl Completions for AnswersTwice {
    fn poll(&mut self, timeout: Duration, handler: &mut dyn FnMut(&[Completion])) -> Result<(), BrokerError> {
        let mut number = self.0.number;
        self.0.poll(timeout, &mut |answers| {
            handler(answers);
            number += 1;
            if number == 100 {
                handler(answers);
            }
        })
    }

    fn take_warning(&mut self) -> Option<String> {
        self.0.take_warning()
    }
}

#[test]
fn an_answer_that_comes_twice_is_one_too_many_for_the_books() {
    let dir = tempfile::tempdir().expect("tmp");
    let report = Case::new().run_with(dir.path(), |sink, completions| (sink, AnswersTwice(completions))).expect("a report");
    assert_eq!(invalid_for(&report, "unbalanced ledger"), "1 answers came for messages that were not in flight");
    assert_eq!(report.ledger.counts.acked, 2_000, "it is not counted as a message");
}

/// A client that says of its hundredth message that it does not take it, and has it confirmed.
struct DeniesWhatItTook {
    client: ClientSink,
    number: usize,
    answered: Receiver<()>,
}

impl Sink for DeniesWhatItTook {
    fn submit(&mut self, message: &Outgoing<'_>) -> Result<(), Refusal> {
        self.client.submit(message)?;
        self.answered.recv().expect("the completing thread lives");
        self.number += 1;
        if self.number == 100 { Err(Refusal::Final("too large")) } else { Ok(()) }
    }

    fn in_flight(&self) -> usize {
        self.client.in_flight()
    }
}

/// Says when an answer is in the books.
struct SaysSo {
    client: ClientCompletions,
    answered: Sender<()>,
}

impl Completions for SaysSo {
    fn poll(&mut self, timeout: Duration, handler: &mut dyn FnMut(&[Completion])) -> Result<(), BrokerError> {
        let Self { client, answered } = self;
        client.poll(timeout, &mut |answers| {
            handler(answers);
            // A sink that is gone does not listen.
            let _ = answered.send(());
        })
    }

    fn take_warning(&mut self) -> Option<String> {
        self.client.take_warning()
    }
}

#[test]
fn books_that_do_not_balance_say_where_and_by_how_much() {
    let dir = tempfile::tempdir().expect("tmp");
    let (answered, hears) = bounded(1);
    let run = Case::new().run_with(dir.path(), |client, completions| {
        (DeniesWhatItTook { client, number: 0, answered: hears }, SaysSo { client: completions, answered })
    });
    let report = run.expect("a report");
    let detail = invalid_for(&report, "unbalanced ledger");
    assert!(detail.starts_with("in total: sent 1999 is not acked 2000 + failed 0 + unknown 0; "), "{detail}");
    assert!(detail.contains("t/1: sent 999 is not acked 1000 + failed 0 + unknown 0"), "{detail}");
    assert_eq!(report.ledger.reasons["skipped"]["too large"], 1);
}

/// A client whose broker asks everybody to hold: by the run's clock for ten minutes.
struct HeldBack {
    client: BesideStuckDisk,
    clock: Arc<TurnedClock>,
    /// Before the ten minutes and after: the broker asked for all of them.
    blocks: usize,
}

impl Sink for HeldBack {
    fn submit(&mut self, message: &Outgoing<'_>) -> Result<(), Refusal> {
        let Some(left) = self.blocks.checked_sub(1) else { return self.client.submit(message) };
        self.blocks = left;
        self.clock.turned_ns.store(600_000_000_000, Ordering::SeqCst);
        Err(Refusal::Blocked)
    }

    fn in_flight(&self) -> usize {
        self.client.in_flight()
    }
}

#[test]
fn a_backlog_of_ten_minutes_that_goes_at_once_loses_no_measurement() {
    let dir = tempfile::tempdir().expect("tmp");
    // Ten messages a second: a row each, and the disk takes none of them before the last is sent.
    let mut case = Case { feed: MemoryFeed::steady(6_000, 100_000_000, 2), ..Case::new() };
    let clock = Arc::clone(&case.clock);
    let report = case.run_with(dir.path(), |client, completions| {
        let client = BesideStuckDisk { client, disk: Some(StuckDisk::of(dir.path())), until: 6_000 };
        (HeldBack { client, clock, blocks: 2 }, completions)
    });
    let report = report.expect("a report");
    assert!(report.holds.blocked_ns >= 600_000_000_000 && report.ledger.counts.acked == 6_000, "{report:?}");
    assert!(!reasons(&report).contains(&"measurements lost"), "{:?}", report.trust);
    let counts = std::fs::read_to_string(dir.path().join("counts.csv")).expect("there");
    assert_eq!(counts.lines().filter(|row| row.starts_with("planned,")).count(), 6_000);
}
