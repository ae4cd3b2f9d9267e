//! Takes what the source delivers: asks intake about it, puts records into blocks, sends full blocks on.
//!
//! Per record: one copy of its bytes into the block; no allocation, no lock, no log line, no look at the clock.

use std::collections::HashSet;
use std::sync::Arc;

use dejaq_shared::broker::mark::{Mark, marks};
use dejaq_shared::broker::source::{Notice, SourceHandler};
use dejaq_shared::clock::{Clock, WallAnchor};
use dejaq_shared::record::{Gap, Record, StreamIx};
use dejaq_shared::segment::codec::Compression;

use crate::checkpoint::{BLOCK_BYTES, BlockAge, Cadence};
use crate::intake::{Intake, Recovery, Verdict, bytes_at_most};
use crate::pipeline::{Broken, Event, Pipeline, Slot};

/// Something that needs the source, to be done when it has handed over what it had.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Todo {
    /// Read this stream on from where intake says.
    Restart(StreamIx),
    /// Begin a new stream of this one's identity there.
    Rewind { stream: StreamIx, at: i64 },
    /// The log seems to be cut back. A topic that was made anew looks the same, so the topics are looked at first.
    CutBack { stream: StreamIx, cut: Cut },
    /// The stream cannot be read.
    Gone { stream: StreamIx, detail: String },
}

/// What is known of a log that was cut back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It reaches from `low` to `high` now, which is below what was read of it.
    Shorter { low: i64, high: i64 },
    /// The logs part at this position.
    At { position: i64, detail: String },
    /// Nobody says where: its end must be asked for.
    Somewhere { detail: String },
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is in a block.
    Written,
    /// It was left out: not wanted, or in a gap.
    LeftOut,
    /// The pipeline has ended.
    Broken,
}

pub(crate) struct Taker {
    pub(crate) intake: Intake,
    pub(crate) pipeline: Pipeline,
    /// The compression of the blocks to come.
    pub(crate) compression: Compression,
    /// Records taken so far.
    pub(crate) records: u64,
    bytes_closed: u64,
    pub(crate) todo: Vec<Todo>,
    pub(crate) warnings: Vec<String>,
    pub(crate) broken: bool,
    slot: Option<Slot>,
    /// A gap that the next notice may lengthen: a damaged batch is told position by position.
    growing: Option<Gap>,
    cadence: Cadence,
    age: BlockAge,
    ancestors: HashSet<String>,
    clock: Arc<dyn Clock>,
    anchor: WallAnchor,
}

impl Taker {
    pub(crate) fn new(
        intake: Intake,
        pipeline: Pipeline,
        compression: Compression,
        cadence: Cadence,
        clock: Arc<dyn Clock>,
        anchor: WallAnchor,
    ) -> Self {
        Self {
            intake,
            pipeline,
            compression,
            records: 0,
            bytes_closed: 0,
            todo: Vec::new(),
            warnings: Vec::new(),
            broken: false,
            slot: None,
            growing: None,
            cadence,
            age: BlockAge::new(cadence.block_age),
            ancestors: HashSet::new(),
            clock,
            anchor,
        }
    }

    /// Wall time now, by the monotonic clock.
    pub(crate) fn wall_now(&self) -> i64 {
        self.anchor.wall_at(self.clock.now_ns())
    }

    /// Key, value and header bytes taken so far.
    pub(crate) fn bytes_raw(&self) -> u64 {
        self.bytes_closed + self.slot.as_ref().map_or(0, |s| s.builder.bytes_raw() as u64)
    }

    /// Writes a gap, after everything that was taken before it.
    pub(crate) fn gap(&mut self, gap: Gap) {
        self.end_growing();
        self.put_gap(gap);
        self.close_block();
    }

    /// Writes an event after everything that was taken before it.
    pub(crate) fn event(&mut self, event: Event) {
        self.end_growing();
        self.put(event);
        self.close_block();
    }

    fn put_gap(&mut self, gap: Gap) {
        self.warnings.push(format!("gap in {}: {}: {}", gap.scope, gap.reason.name(), gap.detail));
        self.put(Event::Gap(gap));
    }

    fn put(&mut self, event: Event) {
        if self.ensure_slot().is_ok()
            && let Some(slot) = &mut self.slot
        {
            slot.after.push(event);
        }
    }

    /// Takes a gap that begins where the growing one ends together with it.
    fn grow(&mut self, gap: Gap) {
        match &mut self.growing {
            Some(growing) if growing.stream == gap.stream && growing.reason == gap.reason && growing.to == gap.from => {
                growing.to = gap.to;
                growing.to_time_ns = gap.to_time_ns;
                growing.count = growing.count.zip(gap.count).map(|(a, b)| a + b);
            }
            _ => {
                if self.growing.is_some() {
                    self.close_block();
                }
                self.growing = Some(gap);
            }
        }
    }

    /// A gap must be in the slot whose books are past it.
    fn end_growing(&mut self) {
        if let Some(gap) = self.growing.take() {
            self.put_gap(gap);
        }
    }

    /// Closes the open block if it is old enough, or has as many records as it may: the next one, which would close it, may wait for this
    /// one to be acknowledged.
    pub(crate) fn close_if_due(&mut self) {
        let now = self.clock.now_ns();
        if self.slot.as_ref().is_some_and(|s| !s.builder.is_empty()) {
            self.age.opened(now);
        } else if self.intake.has_changed() {
            // Positions moved without a record (holes at a log's end): they travel alone, as late as a block would.
            self.age.opened(now);
        }
        let full = self.slot.as_ref().is_some_and(|s| s.builder.records() >= self.cadence.block_records);
        if full || self.age.is_due(now) {
            self.close_block();
        }
    }

    /// Sends the open block on, with the books as they stand after it.
    pub(crate) fn close_block(&mut self) {
        self.end_growing();
        if self.slot.is_none() && (!self.intake.has_changed() || self.ensure_slot().is_err()) {
            return;
        }
        let Some(mut slot) = self.slot.take() else { return };
        self.intake.drain_changed(&mut slot.books);
        self.age.closed();
        if slot.is_empty() {
            self.slot = Some(slot);
            return;
        }
        slot.compression = self.compression;
        self.bytes_closed += slot.builder.bytes_raw() as u64;
        if self.pipeline.send(slot).is_err() {
            self.broken = true;
        }
    }

    fn ensure_slot(&mut self) -> Result<(), Broken> {
        if self.slot.is_none() && !self.broken {
            match self.pipeline.slot() {
                Ok(slot) => self.slot = Some(slot),
                Err(Broken) => self.broken = true,
            }
        }
        if self.broken { Err(Broken) } else { Ok(()) }
    }

    /// Makes room, *before* intake counts the record: the books that go with a block must not be ahead of it.
    #[inline]
    fn make_room(&mut self, record: &Record<'_>) -> bool {
        if let Some(slot) = &self.slot {
            let block = &slot.builder;
            let full = !block.is_empty()
                && (block.bytes_raw() + bytes_at_most(record) > BLOCK_BYTES
                    || block.records() >= self.cadence.block_records
                    || !block.accepts(record));
            if full && self.intake.is_next_or_later(record) {
                self.close_block();
            }
        }
        self.slot.is_some() || self.ensure_slot().is_ok()
    }

    /// Remembers whose traffic it was that was replayed; before the records, so that no crash can separate them.
    fn inherit(&mut self, record: &Record<'_>) {
        let marks = marks(record.headers, record.properties).filter_map(|value| Mark::decode(value?));
        for cluster in marks.flat_map(|m| m.clusters) {
            if let Some(slot) = self.slot.as_mut().filter(|_| !self.ancestors.contains(&cluster)) {
                slot.before.push(Event::Ancestor(cluster.clone()));
                self.ancestors.insert(cluster);
            }
        }
    }

    /// Puts a record into the open block, or does with it what intake says.
    #[inline]
    pub(crate) fn take(&mut self, record: &Record<'_>) -> Taken {
        if self.growing.is_some() {
            self.close_block();
        }
        if self.broken || !self.make_room(record) {
            return Taken::Broken;
        }
        let marked = marks(record.headers, record.properties).next().is_some();
        loop {
            match self.intake.admit(record, marked) {
                Verdict::Write(flags) => {
                    if marked {
                        self.inherit(record);
                    }
                    return self.push(&Record { flags, ..*record });
                }
                Verdict::Skip => return Taken::LeftOut,
                Verdict::Lost(gap) => {
                    self.gap(*gap);
                    return Taken::LeftOut;
                }
                Verdict::LostBefore(gap) => {
                    self.gap(*gap);
                    if !self.make_room(record) {
                        return Taken::Broken;
                    }
                }
            }
        }
    }

    #[inline]
    fn push(&mut self, record: &Record<'_>) -> Taken {
        let Some(slot) = &mut self.slot else { return Taken::Broken };
        slot.builder.push(record);
        self.records += 1;
        if slot.builder.bytes_raw() >= BLOCK_BYTES {
            self.close_block();
        }
        Taken::Written
    }

    /// How many slots must be on disk before everything that was taken so far is.
    #[inline]
    pub(crate) fn slots_needed(&self) -> u64 {
        self.pipeline.sent() + u64::from(self.slot.as_ref().is_some_and(|slot| !slot.is_empty()))
    }

    fn recover(&mut self, stream: StreamIx, recovery: Recovery) {
        match recovery {
            Recovery::Nothing => {}
            Recovery::Restart(gap) => {
                if let Some(gap) = gap {
                    self.gap(*gap);
                }
                self.todo.push(Todo::Restart(stream));
            }
            Recovery::Rewind { gap, at } => {
                self.gap(*gap);
                self.todo.push(Todo::Rewind { stream, at });
            }
        }
    }

    /// The log of `stream` was cut back, and its topic is the same. `high`: its end now, for [`Cut::Somewhere`].
    pub(crate) fn cut_back(&mut self, stream: StreamIx, cut: &Cut, high: i64) {
        let now = self.wall_now();
        let recovery = match cut {
            Cut::Shorter { low, high } => self.intake.out_of_range(stream, *low, *high, now),
            Cut::At { position, detail } => self.intake.truncated(stream, Some(*position), *position, detail, now),
            Cut::Somewhere { detail } => self.intake.truncated(stream, None, high, detail, now),
        };
        self.recover(stream, recovery);
    }
}

impl SourceHandler for Taker {
    #[inline]
    fn record(&mut self, record: &Record<'_>) {
        self.take(record);
    }

    fn notice(&mut self, notice: Notice) {
        if self.broken {
            return;
        }
        let now = self.wall_now();
        match notice {
            Notice::End { stream, position } => self.intake.end_reached(stream, position),
            Notice::OutOfRange { stream, low, high } if self.intake.books(stream).is_some_and(|books| books.next > high) => {
                self.todo.push(Todo::CutBack { stream, cut: Cut::Shorter { low, high } });
            }
            Notice::OutOfRange { stream, low, high } => {
                let recovery = self.intake.out_of_range(stream, low, high, now);
                self.recover(stream, recovery);
            }
            Notice::Truncated { stream, position, detail } => {
                let cut = match position {
                    Some(position) => Cut::At { position, detail },
                    None => Cut::Somewhere { detail },
                };
                self.todo.push(Todo::CutBack { stream, cut });
            }
            Notice::Unparseable { stream, position, detail } => {
                if let Some(gap) = self.intake.unparseable(stream, position, &detail, now) {
                    self.grow(*gap);
                }
            }
            Notice::Gone { stream, detail } => {
                self.intake.park(stream);
                self.todo.push(Todo::Gone { stream, detail });
            }
            Notice::Warning(words) => self.warnings.push(words),
        }
    }
}
