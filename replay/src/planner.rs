//! The planner: feed → filter → remap → copies → schedule → transform → batches. It runs ahead on its own thread, and is pure:
//! it reads the recording and no clock, so the same recording and options give the same batches on any machine. It is a
//! single thread by nature: each due time follows from the record before.
//!
//! Records of another shard take their place in the schedule like all others, and go no further: so the shards of a run
//! share one time line, and none of it is in this run's books.

use std::collections::VecDeque;

use dejaq_shared::record::{Record, StreamIx};
use dejaq_shared::units::{format_bytes, format_duration_ns, format_ns};

use crate::batch::{Batch, LeftOut, Route, Times};
use crate::copies::{Copies, CopyKeys, Kept, LoopKeys, Merge, Thinning, WINDOW_BYTES_MAX, key_hash};
use crate::feed::{FeedError, RecordFeed};
use crate::hash;
use crate::marks::{MarkPolicy, Marks};
use crate::ring::Ring;
use crate::schedule::{Pace, Schedule};
use crate::timestamps::TimestampMode;
use crate::transform::{Occasion, Transform};

/// A batch is closed when it is this large.
const BATCH_BYTES: usize = 1 << 20;
/// A batch is closed when it has this many records.
const BATCH_ITEMS: usize = 8_192;
/// A batch spans no more schedule than this, so that none holds its first record back until a distant one is read.
const BATCH_SPAN_NS: u64 = 200_000_000;
/// The most notes of filtered records in a batch.
const BATCH_FILTERED: usize = 65_536;
/// A batch does not wait for its next record while more than this many others are read.
const BATCH_PASSED: usize = 16_384;
/// What one call of the feed may bring, if all its records are as large as the largest.
const FEED_BYTES: usize = 4 << 20;

/// What the planner needs to know.
#[derive(Debug, Clone)]
pub struct PlannerOptions {
    /// For each stream of the recording where its records go; `None` leaves them out.
    pub routes: Vec<Option<Route>>,
    /// For each stream whether another shard sends it; empty: none.
    pub elsewhere: Vec<bool>,
    /// Records before this time (nanoseconds since 1970) are not part of the run.
    pub from_time_ns: Option<i64>,
    /// Records at or after this time are not part of the run.
    pub to_time_ns: Option<i64>,
    /// What decides due times.
    pub pace: Pace,
    /// Whether to begin again at the end.
    pub repeat: bool,
    /// Records due at or after this (nanoseconds after the start) are not part of the run.
    pub run_ns: Option<u64>,
    /// Which records are marked.
    pub marks: MarkPolicy,
    /// What time stamps are made of.
    pub timestamps: TimestampMode,
    /// How the traffic is multiplied.
    pub copies: Copies,
    /// The largest record of the recording, in bytes: bounds what is asked of the feed at once.
    pub record_bytes_max: usize,
}

/// Turns records into batches.
#[derive(Debug)]
pub struct Planner {
    options: PlannerOptions,
    schedule: Schedule,
    marks: Marks,
    transform: Transform,
    /// The copies besides the original.
    merge: Option<Merge>,
    thinning: Option<Thinning>,
    keys: CopyKeys,
    building: Batch,
    ready: VecDeque<Batch>,
    pass: u32,
    /// Records of this pass that are this run's.
    own: u64,
    /// Records read since the open batch got its last one.
    passed: usize,
    /// Past the end of the time window: the rest of this pass is not part of the run.
    pass_over: bool,
    /// Past the length of the run.
    run_over: bool,
    /// Why no more can be planned.
    failed: Option<FeedError>,
}

impl Planner {
    /// A planner at the start of the recording.
    #[must_use]
    pub fn new(options: PlannerOptions) -> Self {
        let schedule = Schedule::new(options.pace.clone());
        let copies = &options.copies;
        let merge = Merge::new(copies);
        let thinning = copies.last_share.map(|share| Thinning::new(share, options.routes.len(), copies.seed));
        let keys = CopyKeys::new(&copies.suffix);
        let marks = Marks::new(options.marks, options.routes.len());
        Self {
            options,
            schedule,
            marks,
            transform: Transform::default(),
            merge,
            thinning,
            keys,
            building: Batch::default(),
            ready: VecDeque::new(),
            pass: 0,
            own: 0,
            passed: 0,
            pass_over: false,
            run_over: false,
            failed: None,
        }
    }

    /// Reads on until at least one batch is ready or all is read; false at the end, when [`Planner::pop`] gives the rest.
    ///
    /// # Errors
    /// [`FeedError`]; batches that are ready hold.
    pub fn advance<F: RecordFeed + ?Sized>(&mut self, feed: &mut F) -> Result<bool, FeedError> {
        let at_once = (FEED_BYTES / self.options.record_bytes_max.max(1)).clamp(1, 1_024);
        while self.ready.is_empty() {
            let count = if self.pass_over { Ok(0) } else { feed.next_batch(at_once, &mut |time_ns, record| self.take(time_ns, record)) };
            if count.is_err() {
                self.close_batch();
            }
            let count = count?;
            if count == 0 {
                self.send_copies(None);
            }
            if let Some(error) = self.failed.take() {
                self.close_batch();
                return Err(error);
            }
            if self.run_over {
                self.close_batch();
                return Ok(false);
            }
            if count == 0 {
                self.close_batch();
                let behind_ns = self.merge.as_ref().map_or(0, Merge::longest_ns);
                self.schedule.end_pass(behind_ns);
                // A pass with nothing in it would be repeated for ever.
                if std::mem::take(&mut self.own) == 0 || !self.options.repeat {
                    return Ok(false);
                }
                feed.rewind()?;
                self.pass = self.pass.saturating_add(1);
                self.building.pass = self.pass;
                self.pass_over = false;
            }
        }
        Ok(true)
    }

    /// Whether the length of the run ended it, before the recording did.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.run_over
    }

    /// From the start of the run to that of the next pass, in nanoseconds.
    #[must_use]
    pub fn pass_ns(&self) -> u64 {
        self.schedule.next_pass_ns()
    }

    /// The next ready batch.
    pub fn pop(&mut self) -> Option<Batch> {
        self.ready.pop_front()
    }

    /// Gives an empty batch's memory to be used again.
    pub fn reuse(&mut self, mut batch: Batch) {
        if self.building.is_empty() {
            batch.pass = self.pass;
            self.building = batch;
        }
    }

    /// Runs to the end of the recording or until nobody wants more.
    pub fn run<F: RecordFeed + ?Sized>(mut self, feed: &mut F, ring: &Ring) {
        loop {
            let more = self.advance(feed);
            while let Some(batch) = self.pop() {
                match ring.push(batch) {
                    Some(spare) => self.reuse(spare),
                    None => return,
                }
            }
            match more {
                Ok(true) => {}
                Ok(false) => return ring.end(None),
                Err(error) => return ring.end(Some(error)),
            }
        }
    }

    fn take(&mut self, time_ns: i64, record: &Record<'_>) {
        if self.pass_over || self.run_over || self.failed.is_some() || self.options.from_time_ns.is_some_and(|from| time_ns < from) {
            return;
        }
        if self.options.to_time_ns.is_some_and(|to| time_ns >= to) {
            self.pass_over = true;
            return;
        }
        let own = !self.options.elsewhere.get(record.stream as usize).copied().unwrap_or(false);
        let Some(route) = self.route(record.stream) else {
            if own {
                self.building.push_filtered(record.stream, LeftOut::Stream);
            }
            return self.passed_by();
        };
        let at_ns = self.schedule.arrive(time_ns);
        self.send_copies(Some(at_ns));
        if self.run_over {
            return;
        }
        let kept = self.kept(at_ns, own, route, record);
        if self.options.copies.count == 1 && !kept.in_thinned {
            if own {
                self.building.push_filtered(record.stream, LeftOut::Thinned);
            }
            return self.passed_by();
        }
        self.send(0, at_ns, &kept, route, record);
        if let Some(merge) = &mut self.merge
            && !merge.keep(kept, record)
        {
            self.failed = Some(too_long(merge));
        }
    }

    /// Sends what the copies have before the next record of the original, or all.
    fn send_copies(&mut self, end_ns: Option<u64>) {
        let Some(mut merge) = self.merge.take() else { return };
        while let Some((copy, at_ns)) = merge.head(end_ns).filter(|_| !self.run_over) {
            if let Some((kept, record)) = merge.record(copy)
                && let Some(route) = self.route(record.stream)
            {
                if kept.in_thinned || copy + 1 < self.options.copies.count {
                    self.send(copy, at_ns, kept, route, &record);
                } else if kept.own {
                    self.building.push_filtered(record.stream, LeftOut::ThinnedCopy);
                    self.passed_by();
                }
            }
            merge.advance();
        }
        self.merge = Some(merge);
    }

    /// What all copies must know of a record.
    fn kept(&mut self, at_ns: u64, own: bool, route: Route, record: &Record<'_>) -> Kept {
        let Self { options, thinning, pass, .. } = self;
        let copies = &options.copies;
        let hashed = thinning.is_some() || copies.one_shot.is_some();
        let key = record.key.filter(|_| hashed).map(|key| key_hash(copies.seed, route, key));
        let draw = || hash::mix(hash::mix(u64::from(record.stream), u64::from(*pass)), record.position.cast_unsigned() ^ copies.seed);
        let in_thinned = thinning.as_mut().is_none_or(|thinning| thinning.keeps(record.stream, key, draw()));
        let renewed = match copies.loop_keys {
            LoopKeys::Same => false,
            LoopKeys::All => true,
            LoopKeys::OneShot => copies.one_shot.as_ref().zip(key).is_some_and(|(one_shot, key)| one_shot.has(key)),
        };
        Kept { at_ns, own, in_thinned, renewed }
    }

    /// Gives a record of a copy its place, and puts it into the open batch if it is this shard's.
    fn send(&mut self, copy: u32, at_ns: u64, kept: &Kept, route: Route, record: &Record<'_>) {
        let place = self.schedule.place(at_ns);
        if self.options.pace.is_scheduled() && self.options.run_ns.is_some_and(|run| place.due_ns >= run) {
            self.run_over = true;
            return;
        }
        if !kept.own {
            return self.passed_by();
        }
        if self.building.items.first().is_some_and(|first| place.due_ns - first.due_ns > BATCH_SPAN_NS) {
            self.close_batch();
        }
        let mark = self.marks.next(record.stream, place.mark_ns);
        let stamp = self.options.timestamps.stamp(record.broker_time, place.mark_ns);
        let occasion = Occasion { pass: self.pass, copy, due_ns: place.due_ns };
        let key = self.keys.key(record.key, copy, if kept.renewed { self.pass } else { 0 });
        let record = self.transform.apply(&Record { key, ..*record }, occasion);
        self.building.push(&record, route, Times { due_ns: place.due_ns, stamp }, copy, mark);
        self.own += 1;
        self.passed = 0;
        if self.building.items.len() >= BATCH_ITEMS || self.building.weight() >= BATCH_BYTES {
            self.close_batch();
        }
    }

    /// A record that is not sent was read: the open batch must not wait for too many of them.
    fn passed_by(&mut self) {
        self.passed += 1;
        let waits = !self.building.items.is_empty() && self.passed >= BATCH_PASSED;
        if waits || self.building.filtered.len() >= BATCH_FILTERED {
            self.close_batch();
        }
    }

    fn route(&self, stream: StreamIx) -> Option<Route> {
        self.options.routes.get(stream as usize).copied().flatten()
    }

    fn close_batch(&mut self) {
        if !self.building.is_empty() {
            let next = Batch::of_pass(self.pass);
            self.ready.push_back(std::mem::replace(&mut self.building, next));
        }
    }
}

fn too_long(merge: &Merge) -> FeedError {
    FeedError::new(format!(
        "--copies: the records of {} of the recording, by which the slowest copy is behind, need more than {}: give a --copy-jitter below {}",
        format_duration_ns(merge.longest_ns()),
        format_bytes(WINDOW_BYTES_MAX as u64),
        format_ns(merge.window.span_ns())
    ))
}

#[cfg(test)]
impl PlannerOptions {
    /// Everything of this many streams into one partition, at recorded pace, unmarked.
    pub(crate) fn of_streams(streams: usize) -> Self {
        Self {
            routes: vec![Some(Route::fixed(0, 0)); streams],
            elsewhere: Vec::new(),
            from_time_ns: None,
            to_time_ns: None,
            pace: Pace::Recorded { speed: dejaq_shared::units::Ratio::ONE },
            repeat: false,
            run_ns: None,
            marks: MarkPolicy::Off,
            timestamps: TimestampMode::Now,
            copies: Copies::default(),
            record_bytes_max: 100,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::MemoryFeed;

    fn batches(options: PlannerOptions, feed: &mut MemoryFeed, at_most: usize) -> Vec<Batch> {
        let mut planner = Planner::new(options);
        let mut out = Vec::new();
        loop {
            let more = planner.advance(feed).expect("memory");
            while let Some(batch) = planner.pop() {
                out.push(batch);
            }
            if !more || out.len() >= at_most {
                return out;
            }
        }
    }

    fn due(batches: &[Batch]) -> Vec<u64> {
        batches.iter().flat_map(|b| b.items.iter().map(|i| i.due_ns)).collect()
    }

    #[test]
    fn a_distant_record_does_not_hold_back_the_one_before() {
        let mut feed = MemoryFeed::of_times(&[0, 10, 3_600_000_000_000]);
        let batches = batches(PlannerOptions::of_streams(1), &mut feed, 9);
        assert_eq!(batches.iter().map(|b| b.items.len()).collect::<Vec<_>>(), [2, 1]);
    }

    #[test]
    fn the_time_window_is_half_open_and_outside_is_not_read() {
        let mut feed = MemoryFeed::of_times(&[5, 10, 15, 20, 25]);
        let window = PlannerOptions { from_time_ns: Some(10), to_time_ns: Some(20), ..PlannerOptions::of_streams(1) };
        let batches = batches(window, &mut feed, 9);
        assert_eq!(due(&batches), [0, 5]);
        assert!(batches.iter().all(|b| b.filtered.is_empty()));
    }

    #[test]
    fn streams_left_out_are_counted_as_filtered() {
        let mut feed = MemoryFeed::new(vec![(0, 1), (1, 0), (2, 1), (3, 1), (4, 0)]);
        let mut some = PlannerOptions::of_streams(2);
        some.routes[1] = None;
        let batches = batches(some, &mut feed, 9);
        assert_eq!(due(&batches), [0, 3]);
        assert_eq!(batches[0].filtered.iter().map(|f| f.count).sum::<u64>(), 3);
    }

    #[test]
    fn another_shard_s_records_keep_their_place_and_are_not_counted() {
        let whole = due(&batches(PlannerOptions::of_streams(3), &mut MemoryFeed::steady(30, 10, 3), 99));
        for pace in [
            Pace::Recorded { speed: dejaq_shared::units::Ratio::ONE },
            Pace::Rate(dejaq_shared::units::Ratio::new(1 << 30, 10).expect("rate")),
        ] {
            let all = due(&batches(
                PlannerOptions { pace: pace.clone(), ..PlannerOptions::of_streams(3) },
                &mut MemoryFeed::steady(30, 10, 3),
                99,
            ));
            let elsewhere = vec![true, false, true];
            let mine = batches(PlannerOptions { pace, elsewhere, ..PlannerOptions::of_streams(3) }, &mut MemoryFeed::steady(30, 10, 3), 99);
            assert_eq!(due(&mine), all.iter().skip(1).step_by(3).copied().collect::<Vec<_>>());
            assert!(mine.iter().all(|b| b.filtered.is_empty()));
        }
        assert_eq!(whole[3], 30);
    }

    #[test]
    fn what_is_left_out_is_counted_by_the_shard_that_has_it() {
        for (elsewhere, counted) in [(vec![false, true], 0), (vec![true, false], 10)] {
            let mut options = PlannerOptions { elsewhere, ..PlannerOptions::of_streams(2) };
            options.routes[1] = None;
            let found = batches(options, &mut MemoryFeed::steady(20, 10, 2), 99);
            assert_eq!(found.iter().flat_map(|b| &b.filtered).map(|f| f.count).sum::<u64>(), counted);
        }
    }

    #[test]
    fn a_record_is_not_held_back_while_many_others_are_passed_by() {
        // One of stream 0, then only others, all within what a batch spans.
        let records: Vec<(i64, StreamIx)> = std::iter::once((0, 0)).chain((1..40_000).map(|n| (n, 1))).collect();
        for (route, elsewhere) in [(None, vec![]), (Some(Route::fixed(0, 0)), vec![false, true])] {
            let mut options = PlannerOptions { elsewhere, ..PlannerOptions::of_streams(2) };
            options.routes[1] = route;
            let mut feed = MemoryFeed::new(records.clone());
            let mut planner = Planner::new(options);
            assert!(planner.advance(&mut feed).expect("memory"), "the batch is ready before the end");
            assert_eq!(planner.pop().map(|b| b.items.len()), Some(1));
        }
    }

    #[test]
    fn a_loop_without_a_record_of_this_shard_ends() {
        let mut feed = MemoryFeed::steady(30, 10, 3);
        let none = PlannerOptions { elsewhere: vec![true; 3], repeat: true, ..PlannerOptions::of_streams(3) };
        assert_eq!(due(&batches(none, &mut feed, 99)), [] as [u64; 0]);
    }

    #[test]
    fn a_loop_goes_on_with_the_seam() {
        let mut feed = MemoryFeed::of_times(&[100, 110, 120]);
        let batches = batches(PlannerOptions { repeat: true, run_ns: Some(75), ..PlannerOptions::of_streams(1) }, &mut feed, 99);
        assert_eq!(due(&batches), [0, 10, 20, 30, 40, 50, 60, 70]);
        assert_eq!(batches.iter().map(|b| b.pass).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn a_loop_over_nothing_ends() {
        let mut feed = MemoryFeed::of_times(&[1, 2]);
        let none = PlannerOptions { routes: vec![None], repeat: true, ..PlannerOptions::of_streams(1) };
        assert_eq!(due(&batches(none, &mut feed, 99)), [] as [u64; 0]);
    }

    #[test]
    fn an_error_keeps_what_was_read() {
        let ring = Ring::default();
        let mut feed = MemoryFeed::of_times(&[1, 2, 3]).failing_after(2);
        Planner::new(PlannerOptions::of_streams(1)).run(&mut feed, &ring);
        assert!(ring.take_error().is_some());
    }
}
