use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::*;
use crate::batch::{Batch, LeftOut, Route};
use crate::feed::{FeedError, RecordFeed, TakeRecord};
use crate::ledger::Ledger;
use crate::planner::{Planner, PlannerOptions};
use crate::profile::Profile;
use crate::schedule::Pace;
use crate::testing::{MemoryFeed, record};
use dejaq_shared::record::Headers;
use proptest::prelude::*;

/// `(time, stream, key)`; the position is the record's number.
struct KeyedFeed {
    records: Vec<(i64, u32, Option<u8>)>,
    at: usize,
    value: Vec<u8>,
}

impl KeyedFeed {
    fn new(records: Vec<(i64, u32, Option<u8>)>) -> Self {
        Self { records, at: 0, value: b"value".to_vec() }
    }
}

impl RecordFeed for KeyedFeed {
    fn next_batch(&mut self, max: usize, take: &mut TakeRecord<'_>) -> Result<usize, FeedError> {
        let from = self.at;
        while self.at < self.records.len() && self.at - from < max {
            let (time, stream, key) = self.records[self.at];
            let key = key.map(|k| [b'k', k]);
            let plain = record(key.as_ref().map(<[u8; 2]>::as_slice), Some(&self.value), Headers::EMPTY);
            take(time, &Record { stream, position: i64::try_from(self.at).expect("small"), ..plain });
            self.at += 1;
        }
        Ok(self.at - from)
    }

    fn rewind(&mut self) -> Result<(), FeedError> {
        self.at = 0;
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Sent {
    due_ns: u64,
    pass: u32,
    copy: u32,
    stream: u32,
    position: i64,
    partition: i32,
    key: Option<Vec<u8>>,
}

fn planned<F: RecordFeed>(options: PlannerOptions, feed: &mut F) -> (Vec<Sent>, Ledger) {
    let mut planner = Planner::new(options);
    let (mut sent, mut ledger) = (Vec::new(), Ledger::new(0));
    let mut more = true;
    while more {
        more = planner.advance(feed).expect("memory");
        while let Some(batch) = planner.pop() {
            book(&batch, &mut ledger);
            sent.extend(batch.items.iter().map(|item| Sent {
                due_ns: item.due_ns,
                pass: batch.pass,
                copy: item.copy,
                stream: item.stream,
                position: item.position,
                partition: item.partition,
                key: batch.key(item).map(<[u8]>::to_vec),
            }));
        }
    }
    (sent, ledger)
}

fn book(batch: &Batch, ledger: &mut Ledger) {
    for item in &batch.items {
        if item.copy == 0 {
            ledger.scheduled(item.stream);
        } else {
            ledger.scheduled_copy(item.stream);
        }
        ledger.sent(item.stream);
        ledger.acked(item.stream);
    }
    for out in &batch.filtered {
        match out.why {
            LeftOut::ThinnedCopy => ledger.filtered_copy(out.stream, out.count, "thinned"),
            _ => ledger.filtered(out.stream, out.count, "left out"),
        }
    }
}

fn copies(num: u64, den: u64, jitter_ns: u64) -> Copies {
    Copies { jitter_ns, seed: 7, ..Copies::of(Ratio::new(num, den).expect("positive")).expect("not too many") }
}

fn options(copies: Copies) -> PlannerOptions {
    PlannerOptions { copies, ..PlannerOptions::of_streams(3) }
}

fn records() -> impl Strategy<Value = Vec<(i64, u32, Option<u8>)>> {
    prop::collection::vec((0i64..50, 0u32..3, prop::option::of(0u8..5)), 1..120).prop_map(|mut records| {
        let mut time = 0;
        for record in &mut records {
            time += record.0;
            record.0 = time;
        }
        records
    })
}

proptest! {
    #[test]
    fn each_copy_is_the_recording_a_phase_later(records in records(), num in 1u64..60, jitter in 0u64..200) {
        let copies = copies(num, 10, jitter);
        let phases: Vec<u64> = std::iter::once(0).chain(copies.phases_ns()).collect();
        prop_assert!(phases.iter().all(|phase| *phase < jitter.max(1)));
        let (sent, ledger) = planned(options(copies.clone()), &mut KeyedFeed::new(records.clone()));
        prop_assert!(sent.is_sorted_by_key(|s| s.due_ns));
        for (copy, phase) in (0..copies.count).zip(&phases) {
            let of_copy: Vec<&Sent> = sent.iter().filter(|s| s.copy == copy).collect();
            let thinned = copy + 1 == copies.count && copies.last_share.is_some();
            prop_assert!(thinned || of_copy.len() == records.len());
            prop_assert!(of_copy.is_sorted_by_key(|s| s.position), "the order is the recording's");
            for s in &of_copy {
                let (time, stream, key) = records[usize::try_from(s.position).expect("small")];
                prop_assert_eq!(s.due_ns, u64::try_from(time - records[0].0).expect("later") + phase);
                prop_assert_eq!(s.stream, stream);
                let suffix = if copy == 0 { String::new() } else { format!("~{copy}") };
                prop_assert_eq!(s.key.clone(), key.map(|k| [&[b'k', k][..], suffix.as_bytes()].concat()));
            }
        }
        // Every key keeps its share, and each stream's nulls theirs.
        let mut of_key: BTreeMap<(Option<u8>, u32), (u64, u64)> = BTreeMap::new();
        for (_, stream, key) in &records {
            of_key.entry((*key, if key.is_none() { *stream } else { 0 })).or_default().0 += 1;
        }
        for s in &sent {
            let key = s.key.as_ref().map(|k| k[1]);
            of_key.entry((key, if key.is_none() { s.stream } else { 0 })).or_default().1 += 1;
        }
        for (key, (recorded, sent)) in of_key {
            prop_assert!((sent * 10).abs_diff(recorded * num) < 10, "{:?}: {} of {}", key, sent, recorded);
        }
        // The books.
        prop_assert_eq!(ledger.imbalances(), vec![]);
        let total = ledger.total();
        prop_assert_eq!(total.read, records.len() as u64);
        prop_assert_eq!(total.cloned, records.len() as u64 * u64::from(copies.count - 1));
    }

    #[test]
    fn shards_send_together_what_one_does(records in records(), num in 1u64..50, jitter in 0u64..200, rate in any::<bool>()) {
        let pace = if rate { Pace::Rate(Ratio::new(1 << 28, 1).expect("positive")) } else { Pace::Recorded { speed: Ratio::ONE } };
        let run = |elsewhere: Vec<bool>| {
            let options = PlannerOptions { elsewhere, pace: pace.clone(), ..options(copies(num, 10, jitter)) };
            planned(options, &mut KeyedFeed::new(records.clone())).0
        };
        let mut whole = run(Vec::new());
        let mut parts = [run(vec![true, false, true]), run(vec![false, true, false])].concat();
        whole.sort();
        parts.sort();
        prop_assert_eq!(whole, parts);
    }

    #[test]
    fn a_loop_s_passes_are_alike_and_the_seam_is_the_mean_gap(records in records(), num in 10u64..40, jitter in 0u64..200) {
        let copies = copies(num / 10 * 10, 10, jitter);
        let span = u64::try_from(records[records.len() - 1].0 - records[0].0).expect("later");
        let gap = if span == 0 { 1_000_000_000 } else { span / (records.len() as u64 - 1).max(1) };
        let length = span + gap.max(copies.phases_ns().into_iter().max().unwrap_or(0));
        let options = PlannerOptions { repeat: true, run_ns: Some(length * 50), ..options(copies) };
        let (sent, ledger) = planned(options, &mut KeyedFeed::new(records));
        prop_assert_eq!(ledger.imbalances(), vec![]);
        let first: Vec<&Sent> = sent.iter().filter(|s| s.pass == 0).collect();
        for (ix, s) in sent.iter().enumerate() {
            let same = first[ix % first.len()];
            prop_assert_eq!(s.due_ns, same.due_ns + u64::from(s.pass) * length);
            prop_assert_eq!((s.position, s.copy, &s.key), (same.position, same.copy, &same.key));
        }
        // A copy that is behind until the very seam stands at the end of the run, which is not part of it.
        let at_the_end = first.iter().filter(|s| s.due_ns == length).count();
        prop_assert_eq!(sent.len() + at_the_end, first.len() * 50);
    }

    #[test]
    fn no_two_keys_are_written_alike(a in "[kp~]{0,3}[0-9]?", b in "[kp~]{0,3}[0-9]?", of_a in (0u32..12, 0u32..12), of_b in (0u32..12, 0u32..12), suffix in "[p~]{1,3}") {
        let mut keys = CopyKeys::new(&suffix);
        prop_assume!(!keys.is_taken(a.as_bytes()) && !keys.is_taken(b.as_bytes()) && (&a, of_a) != (&b, of_b));
        let first = keys.key(Some(a.as_bytes()), of_a.0, of_a.1).map(<[u8]>::to_vec);
        let second = keys.key(Some(b.as_bytes()), of_b.0, of_b.1);
        prop_assert_ne!(first.as_deref(), second);
    }
}

#[test]
fn a_copy_keeps_its_partition_unless_keys_decide() {
    let keyed = || KeyedFeed::new((0..50).map(|n| (n, 0, u8::try_from(n).ok())).collect());
    let with = |by_key| {
        let mut options = options(copies(2, 1, 10));
        options.routes = vec![Some(Route { by_key, ..Route::fixed(0, 5) }); 3];
        planned(options, &mut keyed()).0
    };
    assert!(with(None).iter().all(|s| s.partition == 5));
    let eight = NonZeroU32::new(8).expect("positive");
    for s in with(Some(eight)) {
        assert_eq!(s.partition, crate::partitioner::java_partition(s.key.as_deref().expect("a key"), eight));
    }
}

#[test]
fn a_profile_s_end_ends_the_run_whatever_the_copies() {
    let profile = Profile::parse("ramp 0/s..10/s 10s, hold 1s").expect("a profile");
    let pace = Pace::Profile(Arc::new(profile.clone()));
    let options = PlannerOptions { pace, repeat: true, run_ns: Some(profile.len_ns()), ..options(copies(7, 2, 30)) };
    let (sent, ledger) = planned(options, &mut MemoryFeed::steady(10, 10, 3));
    let due: Vec<u64> = (0..60).filter_map(|i| profile.due_ns(i)).collect();
    assert_eq!(sent.iter().map(|s| s.due_ns).collect::<Vec<_>>(), due);
    assert_eq!((due.len(), ledger.imbalances()), (60, vec![]));
}

#[test]
fn keys_are_new_in_each_pass_where_that_is_asked_for() {
    let records = vec![(0, 0, Some(b'a')), (10, 0, Some(b'b')), (20, 0, Some(b'a')), (30, 0, None)];
    let run = |loop_keys, one_shot| {
        let copies = Copies { loop_keys, one_shot, ..copies(1, 1, 0) };
        let options = PlannerOptions { repeat: true, run_ns: Some(80), ..options(copies) };
        let sent = planned(options, &mut KeyedFeed::new(records.clone())).0;
        sent.into_iter().map(|s| s.key.map_or("-".to_owned(), |k| String::from_utf8(k).expect("text"))).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(run(LoopKeys::Same, None), "ka kb ka - ka kb ka -");
    assert_eq!(run(LoopKeys::All, None), "ka kb ka - ka~0p1 kb~0p1 ka~0p1 -");
    let mut one_shot = OneShot::default();
    for key in [b"ka", b"kb", b"ka"] {
        one_shot.add(key_hash(7, Route::fixed(0, 0), key));
    }
    assert_eq!(run(LoopKeys::OneShot, Some(Arc::new(one_shot))), "ka kb ka - ka kb~0p1 ka -");
}

#[test]
fn a_jitter_beyond_the_window_is_an_error_that_says_what_would_do() {
    let mut feed = KeyedFeed::new((0..200).map(|n| (n * 1_000_000_000, 0, None)).collect());
    feed.value = vec![0; 1 << 20];
    let mut planner = Planner::new(options(copies(2, 1, 1 << 50)));
    let error = loop {
        match planner.advance(&mut feed) {
            Ok(more) => assert!(more, "it should not fit"),
            Err(error) => break error.to_string(),
        }
        while planner.pop().is_some() {}
    };
    assert!(error.contains("give a --copy-jitter below 1") && error.contains("16 MiB"), "{error}");
}

#[test]
fn a_thousand_copies_are_planned() {
    let (sent, ledger) = planned(options(copies(1_000, 1, 5_000)), &mut KeyedFeed::new((0..100).map(|n| (n * 1_000, 0, None)).collect()));
    assert_eq!((sent.len(), ledger.total().cloned), (100_000, 99_900));
}

#[test]
fn keys_beyond_the_table_keep_their_share_on_average() {
    let mut thinning = Thinning::new(Ratio::new(1, 4).expect("positive"), 1, 3);
    let kept = (0..2_000_000u64).filter(|n| thinning.keeps(0, Some(hash::key(1, *n)), hash::key(2, *n))).count();
    assert!((490_000..510_000).contains(&kept), "{kept}");
}

#[test]
fn a_sketch_never_takes_a_recurring_key_for_a_single_one() {
    let mut sketch = OneShot::default();
    let key = |n: u64| hash::key(9, n);
    (0..300_000).for_each(|n| sketch.add(key(n)));
    (0..100_000).for_each(|n| sketch.add(key(n)));
    assert!((0..100_000).all(|n| !sketch.has(key(n))));
    let wrong = (100_000..300_000).filter(|n| !sketch.has(key(*n))).count();
    assert!(wrong < 100, "{wrong} of 200,000 single keys are taken for recurring ones");
}

#[test]
fn a_recorded_key_that_ends_as_a_copy_s_would_is_known() {
    let keys = CopyKeys::new("~");
    for taken in ["a~1", "~0", "a~12", "a~1p2", "~3p4"] {
        assert!(keys.is_taken(taken.as_bytes()), "{taken}");
    }
    for free in ["a", "a~", "~", "a~b1", "a1", "1~b", "ap1", "a~1p", "a~p1", ""] {
        assert!(!keys.is_taken(free.as_bytes()), "{free}");
    }
}
