//! Takes what a mirror delivers: numbers it, finds out whether it came before, hands it on to the blocks, keeps the books.
//!
//! Per message: a hash of it and one copy of its bytes into the block; no lock, no log line.

use dejaq_shared::broker::mirror::{Delivery, LaneIx, Loss, MirrorHandler, MirrorNotice, Receipt, Snapshot};
use dejaq_shared::record::{EPOCH_UNKNOWN, Gap, GapReason, Record, RecordFlags, Stream, StreamIx};

use super::again::{Again, Known};
use super::deliveries::Deliveries;
use super::receipts::Receipts;
use crate::books::Books;
use crate::intake::{NewLane, Phase};
use crate::pipeline::{Broken, Event, Figures};
use crate::taker::{Taken, Taker};

pub(super) struct Counter {
    pub(super) taker: Taker,
    again: Again,
    receipts: Receipts,
    /// Each lane's stream.
    lanes: Vec<StreamIx>,
    books: Deliveries,
    /// The arrival of the newest message.
    newest_ns: i64,
    /// The capture ends: what is still delivered belongs to no recording.
    ending: bool,
}

impl Counter {
    pub(super) fn new(taker: Taker, again: Again) -> Self {
        Self {
            taker,
            again,
            receipts: Receipts::default(),
            lanes: Vec::new(),
            books: Deliveries::default(),
            newest_ns: i64::MIN,
            ending: false,
        }
    }

    /// What became of all deliveries so far; those that are written only when the pipeline has written them.
    pub(super) fn books(&self) -> Deliveries {
        Deliveries { written: Figures::get(&self.taker.pipeline.figures.records), ..self.books }
    }

    /// What is on disk and was not acknowledged yet, one receipt a link at most. It counts as acknowledged then.
    pub(super) fn take_due(&mut self) -> Vec<Receipt> {
        let due = self.receipts.take(Figures::get(&self.taker.pipeline.figures.slots_synced));
        due.iter().for_each(|receipt| self.again.acknowledged(*receipt));
        due
    }

    /// Whether something waits to be acknowledged.
    pub(super) fn is_waiting(&self) -> bool {
        self.receipts.is_waiting()
    }

    /// Puts everything on disk. From here on deliveries are dropped.
    pub(super) fn end(&mut self) -> Result<(), Broken> {
        self.ending = true;
        self.taker.close_block();
        if self.taker.broken { Err(Broken) } else { self.taker.pipeline.flush() }
    }

    /// Attaches what stands at the source.
    pub(super) fn snapshot(&mut self, snapshot: Snapshot) {
        let Snapshot { name, media_type, bytes } = snapshot;
        self.taker.event(Event::Attachment { name: name.into(), media_type: media_type.into(), bytes });
    }

    /// Begins a stream at position 0.
    fn add(&mut self, stream: &Stream) -> Result<StreamIx, Broken> {
        let numbers = self.taker.pipeline.add_streams(vec![(stream.clone(), 0)])?;
        let lane = NewLane { stream: stream.clone(), books: Books::new(0), end: 0, until: None, phase: Phase::Reading };
        let ix = self.taker.intake.add(lane);
        debug_assert_eq!(numbers, [ix], "both count streams from the same number");
        Ok(ix)
    }

    fn lost(&mut self, loss: Loss) {
        if loss.reason == GapReason::Unparseable {
            let count = loss.count.unwrap_or(0);
            self.books.delivered += count;
            self.books.unparseable += count;
        }
        let stream = loss.lane.and_then(|lane| self.stream_of(lane));
        let Loss { lane: _, scope, from_time_ns, to_time_ns, count, exact, reason, detail } = loss;
        self.taker.gap(Gap { stream, scope, from: None, to: None, from_time_ns, to_time_ns, count, exact, reason, detail });
    }

    fn stream_of(&self, lane: LaneIx) -> Option<StreamIx> {
        self.lanes.get(usize::try_from(lane).ok()?).copied()
    }

    /// Writes a message, or leaves it out.
    fn take(&mut self, stream: StreamIx, receipt: Receipt, record: &Record<'_>) {
        let hash = self.again.hash(stream, record);
        let known = self.again.judge(receipt, record, hash);
        if known == Known::Proven {
            self.books.duplicates += 1;
            self.again.note(receipt, hash);
            return;
        }
        let flags = if known == Known::Perhaps { record.flags.with(RecordFlags::POSSIBLE_DUPLICATE) } else { record.flags };
        let position = self.taker.intake.books(stream).map_or(0, |books| books.next);
        // Each a nanosecond later at least: a queue has one order for all exchanges, and in the recording only time keeps it.
        self.newest_ns = record.arrival_ns.max(self.newest_ns.saturating_add(1));
        let arrival_ns = self.newest_ns;
        match self.taker.take(&Record { stream, position, leader_epoch: EPOCH_UNKNOWN, arrival_ns, flags, ..*record }) {
            Taken::Written => {
                self.books.redelivered += u64::from(flags.has(RecordFlags::REDELIVERED));
                self.books.possible_duplicates += u64::from(flags.has(RecordFlags::POSSIBLE_DUPLICATE));
                self.again.note(receipt, hash);
            }
            Taken::LeftOut => self.books.left_out += 1,
            Taken::Broken => {}
        }
    }
}

impl MirrorHandler for Counter {
    fn lane(&mut self, _: LaneIx, stream: &Stream) {
        let known = self.taker.intake.streams().find(|(_, known, phase)| *known == stream && *phase != Phase::Ended).map(|(ix, ..)| ix);
        match known.map_or_else(|| self.add(stream), Ok) {
            Ok(ix) => self.lanes.push(ix),
            Err(Broken) => self.taker.broken = true,
        }
    }

    fn delivery(&mut self, delivery: &Delivery<'_>) {
        // What a full recording has no room for is left to the queue, and goes with it.
        if self.ending || self.taker.broken || self.taker.intake.records_left() == Some(0) {
            return;
        }
        self.books.delivered += 1;
        // Without a lane there is no stream to write it to: the books say that it is missing.
        let Some(stream) = self.stream_of(delivery.lane) else { return };
        self.take(stream, delivery.receipt, &delivery.record);
        if !self.taker.broken {
            self.receipts.note(delivery.receipt, self.taker.slots_needed());
        }
    }

    fn notice(&mut self, notice: MirrorNotice) {
        match notice {
            MirrorNotice::Loss(loss) => self.lost(loss),
            MirrorNotice::Snapshot(snapshot) => self.snapshot(snapshot),
            MirrorNotice::Warning(words) => self.taker.warnings.push(words),
        }
    }
}
