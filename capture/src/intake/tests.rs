//! Intake against a model that keeps a set of positions instead of counters.

use std::collections::BTreeMap;

use dejaq_shared::record::{BrokerTime, EPOCH_UNKNOWN, Headers, Lane as Place};
use proptest::prelude::*;

use super::*;

fn stream() -> Stream {
    Stream { cluster: "c".into(), lane: Place::Kafka { topic: "t".into(), topic_id: None, partition: 0 } }
}

fn lane(start: i64, until: Option<i64>) -> NewLane {
    NewLane { stream: stream(), books: Books::new(start), end: start, until, phase: Phase::Reading }
}

fn record(position: i64, leader_epoch: i32) -> Record<'static> {
    Record {
        stream: 0,
        position,
        leader_epoch,
        arrival_ns: 1,
        broker_time: BrokerTime::None,
        key: None,
        value: Some(b"v"),
        headers: Headers::EMPTY,
        flags: RecordFlags::default(),
        ..Record::EMPTY
    }
}

/// Something a source does to one stream.
#[derive(Debug, Clone)]
enum Act {
    /// Records from here on, so many, this far apart.
    Records {
        at: i64,
        count: i64,
        step: i64,
        marked: bool,
    },
    End(i64),
    Unparseable(i64),
    OutOfRange {
        low: i64,
        high: i64,
    },
    Epoch(i32),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (0i64..60, 1i64..6, 1i64..4, prop::bool::weighted(0.03)).prop_map(|(at, count, step, marked)| Act::Records { at, count, step, marked }),
        2 => (0i64..60).prop_map(Act::End),
        2 => (0i64..60).prop_map(Act::Unparseable),
        1 => (0i64..60, 0i64..30).prop_map(|(low, more)| Act::OutOfRange { low, high: low + more }),
        1 => (-1i32..4).prop_map(Act::Epoch),
    ]
}

/// What became of each position, the trivial way.
#[derive(Debug, Default)]
struct Model {
    fate: BTreeMap<i64, char>,
    next: i64,
    stopped: bool,
}

impl Model {
    fn holes_to(&mut self, to: i64) {
        for position in self.next..to {
            self.fate.insert(position, 'h');
        }
        self.next = self.next.max(to);
    }

    fn lost_to(&mut self, to: i64) {
        for position in self.next..to {
            self.fate.insert(position, 'l');
        }
        self.next = self.next.max(to);
    }

    fn count(&self, fate: char) -> u64 {
        self.fate.values().filter(|f| **f == fate).count() as u64
    }
}

proptest! {
    #[test]
    fn the_books_are_those_of_the_model(acts in prop::collection::vec(act(), 0..40), until in prop::option::of(0i64..80), limit in prop::option::of(0u64..30)) {
        let mut intake = Intake::new(Replayed::Stop, limit);
        let ix = intake.add(lane(0, until));
        let until = until.unwrap_or(i64::MAX);
        let mut model = Model { stopped: until <= 0, ..Model::default() };
        let (mut epoch, mut highest, mut left) = (EPOCH_UNKNOWN, EPOCH_UNKNOWN, limit.unwrap_or(u64::MAX));
        for act in acts {
            match act {
                Act::Epoch(e) => epoch = e,
                Act::Records { at, count, step, marked } => for n in 0..count {
                    let at = at + n * step;
                    let mut verdict = intake.admit(&record(at, epoch), marked);
                    if let Verdict::LostBefore(_) = verdict {
                        model.lost_to(at);
                        highest = epoch;
                        verdict = intake.admit(&record(at, epoch), marked);
                    }
                    let wanted = !model.stopped && left > 0 && at >= model.next;
                    if wanted && at >= until {
                        model.holes_to(until);
                        model.stopped = true;
                    } else if wanted && marked {
                        model.holes_to(at);
                        model.stopped = true;
                        prop_assert!(matches!(verdict, Verdict::Lost(_)));
                        continue;
                    } else if wanted {
                        model.holes_to(at);
                        model.fate.insert(at, 'w');
                        model.next = at + 1;
                        left -= 1;
                        highest = if epoch == EPOCH_UNKNOWN { highest } else { epoch };
                        model.stopped = model.next >= until;
                        prop_assert!(matches!(verdict, Verdict::Write(_)), "{:?} at {}", verdict, at);
                        continue;
                    }
                    prop_assert_eq!(verdict, Verdict::Skip);
                },
                Act::End(position) => {
                    intake.end_reached(ix, position);
                    if !model.stopped && left > 0 {
                        model.holes_to(position.min(until));
                        model.stopped = model.next >= until;
                    }
                }
                Act::Unparseable(position) => {
                    let gap = intake.unparseable(ix, position, "bad", 1);
                    let wanted = !model.stopped && left > 0 && position >= model.next && position < until;
                    prop_assert_eq!(gap.is_some(), wanted);
                    if wanted {
                        model.holes_to(position);
                        model.lost_to(position + 1);
                        model.stopped = model.next >= until;
                    }
                }
                Act::OutOfRange { low, high } => {
                    let recovery = intake.out_of_range(ix, low, high, 1);
                    if model.stopped {
                        prop_assert_eq!(recovery, Recovery::Nothing);
                    } else if model.next > high {
                        let rewinds = matches!(recovery, Recovery::Rewind { at, .. } if at == high);
                        prop_assert!(rewinds);
                        model.stopped = true;
                    } else {
                        let from = model.next;
                        model.lost_to(low);
                        model.stopped = model.next >= until;
                        let Recovery::Restart(gap) = recovery else { panic!("{recovery:?}") };
                        prop_assert_eq!(gap.map(|g| (g.from, g.to, g.count)), (low > from).then(|| (Some(from), Some(low), Some((low - from).unsigned_abs()))));
                    }
                }
            }
            let books = intake.books(ix).expect("added");
            prop_assert!(books.balanced(), "{:?}", books);
            prop_assert_eq!((books.next, books.written, books.holes, books.lost), (model.next, model.count('w'), model.count('h'), model.count('l')));
            prop_assert_eq!(books.leader_epoch, highest);
            prop_assert_eq!(intake.phase(ix) == Some(Phase::Reading), !model.stopped);
            prop_assert_eq!(intake.unfinished(), usize::from(until != i64::MAX && !model.stopped));
        }
    }
}

#[test]
fn changed_books_are_handed_over_once() {
    let mut intake = Intake::new(Replayed::Stop, None);
    let ix = intake.add(lane(5, None));
    assert!(!intake.has_changed());
    assert!(matches!(intake.admit(&record(7, 0), false), Verdict::Write(_)));
    let mut changed = Vec::new();
    intake.drain_changed(&mut changed);
    let books = Books { start: 5, next: 8, leader_epoch: 0, written: 1, holes: 2, lost: 0, filtered: 0 };
    assert_eq!(changed, [LaneBooks { stream: ix, books, ended: false }]);
    changed.clear();
    intake.drain_changed(&mut changed);
    assert_eq!(changed, []);
}

#[test]
fn what_was_sent_before_reading_began_or_while_behind_is_catch_up() {
    let mut intake = Intake::new(Replayed::Stop, None);
    intake.add(NewLane { end: 2, ..lane(0, None) });
    let flags = |intake: &mut Intake, at| match intake.admit(&record(at, 0), false) {
        Verdict::Write(flags) => flags.has(RecordFlags::CATCH_UP),
        other => panic!("{other:?}"),
    };
    assert_eq!([flags(&mut intake, 0), flags(&mut intake, 1), flags(&mut intake, 2)], [true, true, false]);
    intake.set_behind(true);
    assert!(flags(&mut intake, 3));
}

#[test]
fn a_record_above_the_limit_is_a_gap_of_one() {
    let mut intake = Intake::new(Replayed::Stop, None);
    intake.add(lane(0, None));
    let huge = vec![0u8; RECORD_BYTES_MAX + 1];
    let verdict = intake.admit(&Record { value: Some(&huge), ..record(3, 0) }, false);
    let Verdict::Lost(gap) = verdict else { panic!("{verdict:?}") };
    assert_eq!((gap.from, gap.to, gap.count, gap.exact, gap.reason), (Some(3), Some(4), Some(1), true, GapReason::Oversize));
    assert_eq!(intake.books(0).map(|b| (b.next, b.holes, b.lost, b.balanced())), Some((4, 3, 1, true)));
}

#[test]
fn nothing_can_be_done_to_a_stream_that_has_ended() {
    let mut intake = Intake::new(Replayed::Stop, None);
    let ix = intake.add(lane(0, None));
    assert_eq!(intake.deleted(ix, false, 1), None, "it was read to its end");
    assert_eq!(intake.admit(&record(0, 0), false), Verdict::Skip);
    assert_eq!(intake.out_of_range(ix, 5, 9, 1), Recovery::Nothing);
    assert_eq!(intake.recreated(ix, 1), None);
    assert_eq!(intake.read_from(ix), None);
    intake.reopen(ix, 4);
    assert_eq!(intake.read_from(ix).map(|r| r.position), Some(0));
    // 4 positions were at the broker and not read.
    assert_eq!(intake.deleted(ix, false, 1).map(|g| (g.from, g.exact)), Some((Some(0), false)));
}

#[test]
fn numbers_that_are_none_are_ignored() {
    let mut intake = Intake::new(Replayed::Stop, None);
    assert_eq!(intake.admit(&record(0, 0), false), Verdict::Skip);
    intake.end_reached(7, 3);
    assert_eq!(intake.out_of_range(7, 0, 1, 1), Recovery::Nothing);
}
