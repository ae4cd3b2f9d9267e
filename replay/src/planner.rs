//! The planner: feed → filter → remap → copies → schedule → transform → fit → batches. It runs ahead on its own thread, and is pure:
//! it reads the recording and no clock, so the same recording and options give the same batches on any machine. It is a
//! single thread by nature: each due time follows from the record before.
//!
//! Records of another shard take their place in the schedule like all others, and go no further: so the shards of a run
//! share one time line, and none of it is in this run's books.

use std::collections::VecDeque;
use std::sync::Arc;

use dejaq_shared::record::{Record, StreamIx};
use dejaq_shared::units::{format_bytes, format_duration_ns, format_ns};

use crate::batch::{Batch, LeftOut, Route, Times};
use crate::copies::{Copies, CopyKeys, Kept, LoopKeys, Merge, Thinning, WINDOW_BYTES_MAX, key_hash};
use crate::feed::{FeedError, RecordFeed};
use crate::fit::{Fit, FitCounts, Fitter, RoutingKeys};
use crate::hash;
use crate::marks::{MarkPolicy, Marks};
use crate::ring::Ring;
use crate::schedule::{Pace, Schedule};
use crate::timestamps::TimestampMode;
use crate::transform::{Occasion, Transform, TransformJob};

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
    /// What is done to records.
    pub transform: TransformJob,
    /// How they are made into messages of the target.
    pub fit: Arc<Fit>,
    /// The largest record of the recording, in bytes: bounds what is asked of the feed at once.
    pub record_bytes_max: usize,
}

/// What a planner did to the records.
#[derive(Debug)]
pub struct PlannerBooks {
    /// The transform, which knows what it did.
    pub transform: Transform,
    /// What messages lost on their way to the target.
    pub fitted: FitCounts,
    /// What became of `--map-key`.
    pub address_notes: Vec<String>,
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
    routing_keys: RoutingKeys,
    fitter: Fitter,
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
        let merge = Merge::new(copies, options.transform.is_active());
        let thinning = copies.last_share.map(|share| Thinning::new(share, options.routes.len(), copies.seed));
        let keys = CopyKeys::new(&copies.suffix);
        let marks = Marks::new(options.marks, options.routes.len());
        let transform = Transform::of(&options.transform);
        let (routing_keys, fitter) = (RoutingKeys::new(Arc::clone(&options.fit)), Fitter::new(Arc::clone(&options.fit)));
        Self {
            options,
            schedule,
            marks,
            transform,
            merge,
            thinning,
            keys,
            routing_keys,
            fitter,
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

    /// Lets the pass that it is in be the last.
    pub fn end_after_pass(&mut self) {
        self.options.repeat = false;
    }

    /// What was done to the records.
    #[must_use]
    pub fn into_books(self) -> PlannerBooks {
        PlannerBooks { fitted: self.fitter.counts().clone(), address_notes: self.routing_keys.notes(), transform: self.transform }
    }

    /// Runs to the end of the recording or until nobody wants more, and says what was done. `planned` sees each batch before it
    /// can be sent.
    pub fn run<F: RecordFeed + ?Sized>(mut self, feed: &mut F, ring: &Ring, planned: &mut dyn FnMut(&Batch)) -> PlannerBooks {
        loop {
            let more = self.advance(feed);
            while let Some(batch) = self.pop() {
                planned(&batch);
                match ring.push(batch) {
                    Some(spare) => self.reuse(spare),
                    None => return self.into_books(),
                }
            }
            match more {
                Ok(true) => continue,
                Ok(false) => ring.end(None),
                Err(error) => ring.end(Some(error)),
            }
            return self.into_books();
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
        let record = &self.options.fit.keyed(record);
        let left_out = match self.route(record.stream) {
            Some(route) if !self.options.fit.leaves_out(record) => Ok(route),
            Some(_) => Err(LeftOut::DeadLettered),
            None => Err(LeftOut::Stream),
        };
        let route = match left_out {
            Ok(route) => route,
            Err(why) => {
                if own {
                    self.building.push_filtered(record.stream, why);
                }
                return self.passed_by();
            }
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
        let draw = || hash::key(hash::key(u64::from(record.stream), u64::from(*pass)), record.position.cast_unsigned() ^ copies.seed);
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
        let occasion = Occasion { pass: self.pass, copy, due_ns: place.due_ns };
        let key = self.keys.key(record.key, copy, if kept.renewed { self.pass } else { 0 });
        let record = &Record { key, routing_key: self.routing_keys.of(record), ..*record };
        if !kept.own {
            // Which value an occurrence gets depends on those before it, whoever sends them.
            self.transform.apply(record, occasion);
            return self.passed_by();
        }
        if self.building.items.first().is_some_and(|first| place.due_ns - first.due_ns > BATCH_SPAN_NS) {
            close(&mut self.building, &mut self.ready, self.pass);
        }
        let mark = self.marks.next(record.stream, place.mark_ns);
        let stamp = self.options.timestamps.stamp(record.broker_time, place.mark_ns);
        let record = self.transform.apply(record, occasion);
        let record = self.fitter.fit(&record);
        self.building.push(&record, route, Times { due_ns: place.due_ns, stamp }, copy, mark);
        self.building.show(self.transform.shown());
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
        close(&mut self.building, &mut self.ready, self.pass);
    }
}

fn close(building: &mut Batch, ready: &mut VecDeque<Batch>, pass: u32) {
    if !building.is_empty() {
        ready.push_back(std::mem::replace(building, Batch::of_pass(pass)));
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
            transform: TransformJob::default(),
            fit: Arc::default(),
            copies: Copies::default(),
            record_bytes_max: 100,
        }
    }
}

#[cfg(test)]
mod tests;
