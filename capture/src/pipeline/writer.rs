//! The writer thread: slots in order onto the disk, syncs, checkpoints, segments.
//!
//! When a write fails (a full disk), the recorder has cut the segment back to its last whole frame; the thread seals what
//! is there and ends with the error. No checkpoint is written then: half a slot may be on disk, and the recorder's own
//! books know which half.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use dejaq_shared::clock::Clock;
use dejaq_shared::segment::SegmentError;

use super::recorder::{Recorder, Ticket};
use super::{Event, Figures, PipelineError, Slot, spawn};
use crate::books::Books;
use crate::checkpoint::{CheckpointPolicy, SyncPolicy};
use crate::intake::LaneBooks;

/// How often the policies are asked when nothing comes.
const TICK: Duration = Duration::from_millis(100);

type Synced<T> = Result<T, SegmentError>;

pub(super) struct Writer<R: Recorder> {
    recorder: R,
    books: Vec<LaneBooks>,
    clock: Arc<dyn Clock>,
    figures: Arc<Figures>,
    sync: SyncPolicy,
    checkpoint: CheckpointPolicy,
    waiting: BTreeMap<u64, Slot>,
    next: u64,
    /// Records that the sync under way will have made durable.
    records_syncing: u64,
    /// The same of slots.
    slots_syncing: u64,
    /// Who waits for all of it.
    flushing: Vec<Sender<()>>,
}

impl<R: Recorder> Writer<R> {
    pub(super) fn new(recorder: R, books: Vec<LaneBooks>, clock: Arc<dyn Clock>, figures: Arc<Figures>, sync_age: Duration) -> Self {
        figures.bytes_stored.store(recorder.bytes_stored(), Ordering::Relaxed);
        Self {
            recorder,
            books,
            clock,
            figures,
            sync: SyncPolicy::new(sync_age),
            checkpoint: CheckpointPolicy::default(),
            waiting: BTreeMap::new(),
            next: 0,
            records_syncing: 0,
            slots_syncing: 0,
            flushing: Vec::new(),
        }
    }

    /// Writes until the slots' channel is closed, then seals. `free` is dropped at the end: so the reader learns of an error.
    pub(super) fn run(mut self, slots: &Receiver<Slot>, free: Sender<Slot>) -> Result<(), PipelineError> {
        let (request, requests) = bounded::<R::Ticket>(1);
        let (answer, answers) = bounded::<Synced<R::Ticket>>(1);
        let syncer = spawn("dejaq-syncer", move || {
            for ticket in requests {
                let synced = ticket.sync().map(|()| ticket);
                if answer.send(synced).is_err() {
                    break;
                }
            }
        })?;
        let written = self.write_all(slots, &free, &request, &answers);
        drop(free);
        drop(request);
        let joined = syncer.join();
        // A sync that was under way has left its answer.
        let synced = answers.try_recv().map_or(Ok(()), |answer| answer.map(drop));
        let checkpointed = written.and(synced).and_then(|()| self.recorder.checkpoint(&self.books));
        let Self { recorder, figures, .. } = self;
        let sealed = recorder.seal();
        checkpointed.and(sealed)?;
        joined.map_err(|_| PipelineError::Lost("syncing"))?;
        figures.records_synced.store(Figures::get(&figures.records), Ordering::Relaxed);
        Ok(())
    }

    fn write_all(
        &mut self,
        slots: &Receiver<Slot>,
        free: &Sender<Slot>,
        request: &Sender<R::Ticket>,
        answers: &Receiver<Synced<R::Ticket>>,
    ) -> Result<(), SegmentError> {
        loop {
            select! {
                recv(slots) -> slot => match slot {
                    Ok(slot) => self.take(slot, free)?,
                    Err(_) => return Ok(()),
                },
                recv(answers) -> ticket => if let Ok(ticket) = ticket {
                    self.recorder.note_synced(&ticket?);
                    self.sync.ended();
                    self.figures.records_synced.fetch_max(self.records_syncing, Ordering::Relaxed);
                    self.figures.slots_synced.fetch_max(self.slots_syncing, Ordering::Relaxed);
                },
                default(TICK) => {}
            }
            self.tick(request)?;
        }
    }

    /// Writes the slots whose turn it is.
    fn take(&mut self, slot: Slot, free: &Sender<Slot>) -> Result<(), SegmentError> {
        self.waiting.insert(slot.number, slot);
        while let Some(mut slot) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.write(&mut slot)?;
            // The reader may have gone: then nobody needs the slot.
            let _ = free.send(slot.emptied());
        }
        Ok(())
    }

    fn write(&mut self, slot: &mut Slot) -> Result<(), SegmentError> {
        let now = self.clock.now_ns();
        let before = self.recorder.bytes_stored();
        let mut lost = false;
        for event in slot.before.drain(..) {
            self.event(event)?;
        }
        if !slot.builder.is_empty() {
            self.recorder.block(&slot.encoded)?;
            self.figures.records.fetch_add(u64::from(slot.encoded.records()), Ordering::Relaxed);
        }
        for event in slot.after.drain(..) {
            lost |= matches!(event, Event::Gap(_));
            self.event(event)?;
        }
        for books in &slot.books {
            if let Some(row) = self.books.get_mut(books.stream as usize) {
                *row = *books;
            }
            self.checkpoint.changed(now);
        }
        if lost {
            // A gap moves positions in ways that blocks do not show (holes before it, streams that end with it).
            self.recorder.checkpoint(&self.books)?;
            self.checkpoint.written();
        }
        self.account(before, now);
        Ok(())
    }

    fn account(&mut self, before: u64, now: u64) {
        let bytes = self.recorder.bytes_stored();
        if bytes > before {
            self.sync.wrote(bytes - before, now);
            self.figures.bytes_stored.store(bytes, Ordering::Relaxed);
        }
    }

    fn event(&mut self, event: Event) -> Result<(), SegmentError> {
        match event {
            Event::Gap(gap) => {
                self.recorder.gap(&gap)?;
                self.figures.gaps.fetch_add(1, Ordering::Relaxed);
            }
            Event::Attachment { name, media_type, bytes } => self.recorder.attachment(&name, &media_type, bytes)?,
            Event::Ancestor(cluster) => self.recorder.ancestor(&cluster)?,
            // By the syncs that are due anyway, one at a time: of two at once, the one that fails could be the other.
            Event::Flush { reply } => self.flushing.push(reply),
            Event::Streams { new, reply } => {
                let numbers = self.recorder.add_streams(&new)?;
                self.books.extend(numbers.iter().zip(&new).map(|(&stream, (_, start))| LaneBooks {
                    stream,
                    books: Books::new(*start),
                    ended: false,
                }));
                // The reader waits for it; if it has gone, it needs no answer.
                let _ = reply.send(numbers);
            }
        }
        Ok(())
    }

    fn tick(&mut self, request: &Sender<R::Ticket>) -> Result<(), SegmentError> {
        let now = self.clock.now_ns();
        let before = self.recorder.bytes_stored();
        if self.recorder.roll_due() {
            // Before the segment is sealed, so that the next one begins with these books.
            self.recorder.checkpoint(&self.books)?;
            self.recorder.roll()?;
            self.checkpoint.written();
            self.sync.all_synced();
            self.all_synced();
        } else if self.checkpoint.is_due(now) {
            self.recorder.checkpoint(&self.books)?;
            self.checkpoint.written();
        }
        self.account(before, now);
        if self.sync.begin(now) {
            self.records_syncing = Figures::get(&self.figures.records);
            self.slots_syncing = self.next;
            match self.recorder.ticket()? {
                // There is room for one, and one is under way at most.
                Some(ticket) => drop(request.send(ticket)),
                None => self.sync.ended(),
            }
        }
        if self.sync.is_clean() {
            // A slot may have had nothing to write, or a sync nothing to do: streams are synced as they are added.
            self.all_synced();
            for reply in self.flushing.drain(..) {
                // Whoever has gone needs no answer.
                let _ = reply.send(());
            }
        }
        Ok(())
    }

    /// Everything that is written is on stable storage.
    fn all_synced(&self) {
        self.figures.records_synced.fetch_max(Figures::get(&self.figures.records), Ordering::Relaxed);
        self.figures.slots_synced.fetch_max(self.next, Ordering::Relaxed);
    }
}
