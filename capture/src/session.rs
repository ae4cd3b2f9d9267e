//! One capture while it runs: the loop that polls the source, does what the decisions ask for, and watches.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dejaq_shared::broker::BrokerError;
use dejaq_shared::broker::source::{ReadFrom, Source, StartAt, TopicSelection};
use dejaq_shared::clock::{Clock, WallAnchor};
use dejaq_shared::record::{Stream, StreamIx};

use crate::books::Books;
use crate::config::CapturePlan;
use crate::gauge::{Gauge, nanos, room};
use crate::intake::{NewLane, Phase};
use crate::pipeline::Broken;
use crate::report::Report;
use crate::taker::{Cut, Taker, Todo};
use crate::takeup::{Begin, Cluster};
use crate::until::StopReason;
use crate::watch::Watch;

mod attach;
mod look;

/// How long a request at the start may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a look at the metadata may keep the reader from polling.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);
/// Records a poll brings at most: a few milliseconds of work.
const POLL_RECORDS: usize = 10_000;
/// How long a poll waits for the first record, and so how late a signal is seen.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// A stream that cannot be read is looked after this soon.
const GONE_LOOK: Duration = Duration::from_secs(1);
/// After so many looks at the metadata a stream that cannot be read no longer holds up `--until end`.
const ATTEMPTS: u32 = 3;

/// Why the loop ended.
pub(crate) enum Ended {
    /// As planned.
    Stopped(StopReason),
    /// The source is broken.
    Broker(BrokerError),
    /// The pipeline is; it knows why.
    Pipeline,
}

impl From<BrokerError> for Ended {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
}

pub(crate) struct Session<'a, S: Source> {
    pub(crate) source: S,
    pub(crate) taker: Taker,
    plan: &'a CapturePlan,
    clock: Arc<dyn Clock>,
    anchor: WallAnchor,
    observer: &'a mut dyn FnMut(&Report<'_>),
    watch: Watch,
    pub(crate) gauge: Gauge<'a>,
    topics: &'a TopicSelection,
    /// How often a stream was found unreadable.
    attempts: HashMap<StreamIx, (u32, String)>,
    look_at_ns: u64,
}

impl<'a, S: Source> Session<'a, S> {
    pub(crate) fn new(
        source: S,
        taker: Taker,
        plan: &'a CapturePlan,
        topics: &'a TopicSelection,
        clock: Arc<dyn Clock>,
        anchor: WallAnchor,
        observer: &'a mut dyn FnMut(&Report<'_>),
    ) -> Self {
        let now = clock.now_ns();
        Self {
            source,
            plan,
            anchor,
            observer,
            watch: Watch::default(),
            gauge: Gauge::new(plan, &taker, &clock),
            taker,
            topics,
            attempts: HashMap::new(),
            look_at_ns: now.saturating_add(nanos(plan.watch_every)),
            clock,
        }
    }

    /// Begins streams: finds their positions, writes them down, and only then reads. `until_end`: they have an end to reach.
    pub(crate) fn begin(&mut self, begin: &[Begin], cluster: &Cluster, until_end: bool) -> Result<(), Ended> {
        let (old, new): (Vec<&Begin>, Vec<&Begin>) = begin.iter().partition(|b| b.at == StartAt::Beginning);
        for (group, at) in [(old, StartAt::Beginning), (new, self.plan.start)] {
            if group.is_empty() {
                continue;
            }
            let lanes: Vec<(String, i32)> = group.iter().map(|b| (b.stream.topic().to_owned(), b.stream.partition())).collect();
            let starts = self.source.positions(&lanes, at, REQUEST_TIMEOUT)?;
            let rows: Vec<(Stream, i64)> = group.iter().zip(starts).map(|(b, start)| (b.stream.clone(), start)).collect();
            let numbers = self.register(&rows, |stream, start| cluster.end(stream).unwrap_or(start), until_end)?;
            let now = self.taker.wall_now();
            let gaps: Vec<_> = group.iter().zip(&rows).zip(&numbers).filter_map(|((b, (_, start)), ix)| b.gap(*ix, *start, now)).collect();
            gaps.into_iter().for_each(|gap| self.taker.gap(gap));
            self.read(&numbers)?;
        }
        Ok(())
    }

    /// Writes down where streams begin, and takes them in.
    fn register(&mut self, rows: &[(Stream, i64)], end: impl Fn(&Stream, i64) -> i64, until_end: bool) -> Result<Vec<StreamIx>, Ended> {
        let numbers = self.taker.pipeline.add_streams(rows.to_vec()).map_err(|Broken| Ended::Pipeline)?;
        for (stream, start) in rows {
            let end = end(stream, *start);
            let until = until_end.then_some(end);
            self.taker.intake.add(NewLane { stream: stream.clone(), books: Books::new(*start), end, until, phase: Phase::Reading });
        }
        Ok(numbers)
    }

    /// Reads streams from where intake says.
    pub(crate) fn read(&mut self, streams: &[StreamIx]) -> Result<(), Ended> {
        let lanes: Vec<ReadFrom> = streams.iter().filter_map(|ix| self.taker.intake.read_from(*ix)).collect();
        if !lanes.is_empty() {
            self.source.start(&lanes)?;
        }
        Ok(())
    }

    /// Runs until it is time to stop.
    pub(crate) fn run(&mut self, stop: &AtomicBool) -> Ended {
        loop {
            match self.turn(stop) {
                Ok(None) => {}
                Ok(Some(reason)) => return Ended::Stopped(reason),
                Err(ended) => return ended,
            }
        }
    }

    fn turn(&mut self, stop: &AtomicBool) -> Result<Option<StopReason>, Ended> {
        self.follow_up()?;
        if self.gauge.is_due() {
            let lag = self.source.lag();
            self.gauge.measure(&mut self.taker, lag, self.observer);
        }
        if self.taker.broken {
            return Err(Ended::Pipeline);
        }
        if let Some(reason) = self.gauge.reached(&self.taker, stop.load(Ordering::Relaxed)) {
            return Ok(Some(reason));
        }
        if let Some(patience) = self.gauge.wait_if_held(POLL_WAIT) {
            self.poll(patience)?;
        }
        self.taker.close_if_due();
        if self.clock.now_ns() >= self.look_at_ns {
            self.look()?;
        }
        Ok(None)
    }

    fn poll(&mut self, patience: Duration) -> Result<(), Ended> {
        let before = self.taker.bytes_raw();
        let (clock, anchor) = (Arc::clone(&self.clock), self.anchor);
        let room = room(&self.taker, POLL_RECORDS);
        self.source.poll(room, patience, &mut || anchor.wall_at(clock.now_ns()), &mut self.taker)?;
        self.gauge.took(self.taker.bytes_raw() - before);
        Ok(())
    }

    /// Does what records and notices have asked for, and passes on what there is to say.
    fn follow_up(&mut self) -> Result<(), Ended> {
        let done = self.taker.intake.take_to_stop();
        if !done.is_empty() {
            self.source.stop(&done)?;
        }
        // What is done here can ask for more, which is done next: a stream that ends where its log was cut back has its
        // successor before anybody looks again. What must wait for the cluster is left for the next turn.
        let mut later = Vec::new();
        let mut now = std::mem::take(&mut self.taker.todo);
        now.reverse();
        // Once for all of them: an election can concern every partition of a broker.
        let looked = !now.iter().any(|todo| matches!(todo, Todo::CutBack { .. })) || self.look()?;
        while let Some(todo) = now.pop() {
            later.extend(if looked || !matches!(todo, Todo::CutBack { .. }) { self.follow_one(todo)? } else { Some(todo) });
            now.extend(std::mem::take(&mut self.taker.todo).into_iter().rev());
        }
        self.taker.todo = later;
        for warning in std::mem::take(&mut self.taker.warnings) {
            (self.observer)(&Report::Warning(&warning));
        }
        Ok(())
    }

    /// Gives it back when it must wait.
    fn follow_one(&mut self, todo: Todo) -> Result<Option<Todo>, Ended> {
        match todo {
            Todo::Restart(ix) => self.read(&[ix])?,
            Todo::Rewind { stream, at } => self.rewind(stream, at)?,
            Todo::CutBack { stream, cut } => return self.cut_back(stream, cut),
            Todo::Gone { stream, detail } => {
                let name = self.taker.intake.stream(stream).map_or_else(String::new, Stream::name);
                self.taker.warnings.push(format!("{name} cannot be read, it is tried again: {detail}"));
                let attempt = self.attempts.entry(stream).or_default();
                *attempt = (attempt.0 + 1, detail);
                self.look_at_ns = self.look_at_ns.min(self.clock.now_ns().saturating_add(nanos(GONE_LOOK)));
            }
        }
        Ok(None)
    }

    /// Begins a stream anew where its log was cut back to.
    fn rewind(&mut self, stream: StreamIx, at: i64) -> Result<(), Ended> {
        let Some(identity) = self.taker.intake.stream(stream).cloned() else { return Ok(()) };
        let until_end = self.taker.intake.until(stream).is_some();
        let lane = (identity.topic().to_owned(), identity.partition());
        // The end that it had at the start is no more; without an answer, what is there now counts as not wanted.
        let end = self.source.positions(&[lane], StartAt::End, LOOK_TIMEOUT).ok().and_then(|ends| ends.first().copied());
        let numbers = self.register(&[(identity, at)], |_, start| end.unwrap_or(start), until_end)?;
        self.read(&numbers)
    }

    /// Decides, after a look, about a log that seems to be cut back: if its topic was made anew, the look has ended the stream.
    fn cut_back(&mut self, stream: StreamIx, cut: Cut) -> Result<Option<Todo>, Ended> {
        let Some(identity) = self.taker.intake.stream(stream).filter(|_| self.taker.intake.phase(stream) == Some(Phase::Reading)) else {
            return Ok(None);
        };
        let lane = (identity.topic().to_owned(), identity.partition());
        let ends =
            if matches!(cut, Cut::Somewhere { .. }) { self.source.positions(&[lane], StartAt::End, LOOK_TIMEOUT) } else { Ok(Vec::new()) };
        match ends {
            Ok(ends) => self.taker.cut_back(stream, &cut, ends.first().copied().unwrap_or(0)),
            Err(error) if error.is_retryable() => {
                self.taker.warnings.push(format!("where a log was cut back could not be asked yet: {error}"));
                return Ok(Some(Todo::CutBack { stream, cut }));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(None)
    }

    /// Says what stays at the source although every stream has reached its end.
    pub(crate) fn tell_withheld(&mut self) {
        let partitions = self.source.withheld();
        if partitions > 0 {
            let level = self.source.isolation().unwrap_or_default();
            let words = format!(
                "in {partitions} of the partitions a transaction is open: its records, and those behind it, are not recorded yet (isolation.level={level}); run the same command again when it has ended"
            );
            (self.observer)(&Report::Warning(&words));
        }
    }

    /// Says that reading has begun. `resumed`: the records that were there already.
    pub(crate) fn started(&mut self, resumed: Option<u64>) {
        let streams = self.taker.intake.in_phase(Phase::Reading).count();
        (self.observer)(&Report::Started { streams, resumed });
    }
}
