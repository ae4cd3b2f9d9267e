//! The loop of a capture of deliveries: takes them, closes blocks in time, acknowledges what is on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dejaq_shared::broker::BrokerError;
use dejaq_shared::broker::mirror::Mirror;
use dejaq_shared::clock::{Clock, WallAnchor};

use super::counter::Counter;
use crate::gauge::{Gauge, room};
use crate::intake::Phase;
use crate::report::Report;
use crate::session::Ended;
use crate::until::StopReason;

/// Messages a poll brings at most: a few milliseconds of work.
const POLL_RECORDS: usize = 10_000;
/// How long a poll waits for the first message, and so how late a signal is seen.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// The same while something waits for the disk: a broker that sends no more before it is acknowledged waits no longer.
const ACKNOWLEDGE_WAIT: Duration = Duration::from_millis(5);

pub(super) struct Session<'a, M: Mirror> {
    pub(super) mirror: M,
    pub(super) counter: Counter,
    gauge: Gauge<'a>,
    clock: Arc<dyn Clock>,
    anchor: WallAnchor,
    observer: &'a mut dyn FnMut(&Report<'_>),
}

impl<'a, M: Mirror> Session<'a, M> {
    pub(super) fn new(
        mirror: M,
        counter: Counter,
        gauge: Gauge<'a>,
        clock: Arc<dyn Clock>,
        anchor: WallAnchor,
        observer: &'a mut dyn FnMut(&Report<'_>),
    ) -> Self {
        Self { mirror, counter, gauge, clock, anchor, observer }
    }

    /// Runs until it is time to stop.
    pub(super) fn run(&mut self, stop: &AtomicBool) -> Ended {
        loop {
            match self.turn(stop) {
                Ok(None) => {}
                Ok(Some(reason)) => return Ended::Stopped(reason),
                Err(ended) => return ended,
            }
        }
    }

    fn turn(&mut self, stop: &AtomicBool) -> Result<Option<StopReason>, Ended> {
        self.tell();
        if self.gauge.is_due() {
            let lag = self.mirror.lag();
            self.gauge.measure(&mut self.counter.taker, lag, self.observer);
        }
        if self.counter.taker.broken || self.counter.taker.pipeline.has_ended() {
            return Err(Ended::Pipeline);
        }
        if let Some(reason) = self.gauge.reached(&self.counter.taker, stop.load(Ordering::Relaxed)) {
            return Ok(Some(reason));
        }
        let patience = if self.counter.is_waiting() { ACKNOWLEDGE_WAIT } else { POLL_WAIT };
        if let Some(patience) = self.gauge.wait_if_held(patience) {
            self.poll(patience)?;
        }
        self.counter.taker.close_if_due();
        self.acknowledge();
        Ok(None)
    }

    fn poll(&mut self, patience: Duration) -> Result<(), Ended> {
        let before = self.counter.taker.bytes_raw();
        let (clock, anchor) = (Arc::clone(&self.clock), self.anchor);
        let room = room(&self.counter.taker, POLL_RECORDS);
        self.mirror.poll(room, patience, &mut || anchor.wall_at(clock.now_ns()), &mut self.counter)?;
        self.gauge.took(self.counter.taker.bytes_raw() - before);
        // Nothing can be stopped at the source: what is not wanted of a stream is taken and left out.
        self.counter.taker.intake.take_to_stop();
        Ok(())
    }

    /// Acknowledges what is on disk.
    pub(super) fn acknowledge(&mut self) {
        let due = self.counter.take_due();
        if !due.is_empty() {
            self.mirror.acknowledge(&due);
        }
    }

    /// Passes on what there is to say.
    pub(super) fn tell(&mut self) {
        for warning in std::mem::take(&mut self.counter.taker.warnings) {
            (self.observer)(&Report::Warning(&warning));
        }
    }

    /// Says that it has begun. `resumed`: the records that were there already.
    pub(super) fn started(&mut self, resumed: Option<u64>) {
        self.gauge.first_pace(&mut self.counter.taker);
        let streams = self.counter.taker.intake.in_phase(Phase::Reading).count();
        (self.observer)(&Report::Started { streams, resumed });
    }

    /// Ends at the source: with everything on disk acknowledged, the last losses are written and our queues removed.
    pub(super) fn settle(&mut self, timeout: Duration) -> Result<(), BrokerError> {
        let (clock, anchor) = (Arc::clone(&self.clock), self.anchor);
        self.mirror.settle(timeout, &mut || anchor.wall_at(clock.now_ns()), &mut self.counter)
    }
}
