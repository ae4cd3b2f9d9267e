//! The writer thread: slots in order onto the disk, syncs, checkpoints, segments.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use dejaq_shared::clock::Clock;
use dejaq_shared::segment::SegmentError;

use super::recorder::{Recorder, Syncer};
use super::{Event, Figures, PipelineError, Slot, spawn};
use crate::books::Books;
use crate::checkpoint::{CheckpointPolicy, SyncPolicy};
use crate::intake::LaneBooks;

/// How often the policies are asked when nothing comes.
const TICK: Duration = Duration::from_millis(100);

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
    /// The sync under way is of a segment that has been sealed since: what it says does not count for this one.
    sync_is_stale: bool,
}

impl<R: Recorder> Writer<R> {
    pub(super) fn new(recorder: R, books: Vec<LaneBooks>, clock: Arc<dyn Clock>, figures: Arc<Figures>) -> Self {
        Self {
            recorder,
            books,
            clock,
            figures,
            sync: SyncPolicy::default(),
            checkpoint: CheckpointPolicy::default(),
            waiting: BTreeMap::new(),
            next: 0,
            records_syncing: 0,
            sync_is_stale: false,
        }
    }

    /// Writes until the slots' channel is closed, then seals. `free` is dropped with it: so the reader learns of an error.
    pub(super) fn run(mut self, slots: &Receiver<Slot>, free: Sender<Slot>) -> Result<(), PipelineError> {
        let (request, requests) = bounded::<R::Syncer>(1);
        let (answer, answers) = bounded(1);
        let syncer = spawn("dejaq-syncer", move || {
            for mut syncer in requests {
                if answer.send(syncer.sync()).is_err() {
                    break;
                }
            }
        })?;
        let written = self.write_all(slots, &free, &request, &answers);
        drop(request);
        if syncer.join().is_err() {
            self.recorder.give_up();
            return Err(PipelineError::Lost("syncing"));
        }
        // A sync that was under way has left its answer.
        let synced = answers.try_recv().unwrap_or(Ok(0));
        match written.and(synced.map(|_| ())).and_then(|()| self.recorder.checkpoint(&self.books)) {
            Ok(()) => {
                self.recorder.seal()?;
                self.figures.records_synced.store(Figures::get(&self.figures.records), Ordering::Relaxed);
                Ok(())
            }
            Err(error) => {
                self.recorder.give_up();
                Err(error.into())
            }
        }
    }

    fn write_all(
        &mut self,
        slots: &Receiver<Slot>,
        free: &Sender<Slot>,
        request: &Sender<R::Syncer>,
        answers: &Receiver<Result<u64, SegmentError>>,
    ) -> Result<(), SegmentError> {
        loop {
            select! {
                recv(slots) -> slot => match slot {
                    Ok(slot) => self.take(slot, free)?,
                    Err(_) => return Ok(()),
                },
                recv(answers) -> durable => if let Ok(durable) = durable {
                    let durable = durable?;
                    if !std::mem::take(&mut self.sync_is_stale) {
                        self.recorder.note_durable(durable);
                    }
                    self.sync.ended();
                    self.figures.records_synced.fetch_max(self.records_syncing, Ordering::Relaxed);
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
        let mut bytes = 0;
        for event in slot.before.drain(..) {
            bytes += self.event(event)?;
        }
        if !slot.builder.is_empty() {
            self.recorder.block(&slot.encoded)?;
            bytes += slot.encoded.bytes_stored();
            self.figures.records.fetch_add(u64::from(slot.encoded.records()), Ordering::Relaxed);
        }
        for event in slot.after.drain(..) {
            bytes += self.event(event)?;
        }
        for books in &slot.books {
            if let Some(row) = self.books.get_mut(books.stream as usize) {
                *row = *books;
            }
            self.checkpoint.changed(now);
        }
        if bytes > 0 {
            self.sync.wrote(bytes, now);
            self.figures.bytes_stored.fetch_add(bytes, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Writes one thing that is no block; returns about how many bytes that took.
    fn event(&mut self, event: Event) -> Result<u64, SegmentError> {
        Ok(match event {
            Event::Gap(gap) => {
                self.recorder.gap(&gap)?;
                self.figures.gaps.fetch_add(1, Ordering::Relaxed);
                256
            }
            Event::Attachment { name, media_type, bytes } => {
                self.recorder.attachment(name, media_type, &bytes)?;
                bytes.len() as u64
            }
            Event::Ancestor(cluster) => {
                self.recorder.ancestor(&cluster)?;
                128
            }
            Event::Streams { new, reply } => {
                let numbers = self.recorder.add_streams(&new)?;
                for (&stream, (_, start)) in numbers.iter().zip(&new) {
                    let row = LaneBooks { stream, books: Books::new(*start), ended: false };
                    let at = stream as usize;
                    if at == self.books.len() {
                        self.books.push(row);
                    }
                }
                // The reader waits for it; if it has gone, it needs no answer.
                let _ = reply.send(numbers);
                128 * new.len() as u64
            }
        })
    }

    fn tick(&mut self, request: &Sender<R::Syncer>) -> Result<(), SegmentError> {
        let now = self.clock.now_ns();
        if self.recorder.roll_due(now) {
            self.recorder.roll(&self.books)?;
            self.checkpoint.written();
            self.sync_is_stale = self.sync.is_under_way();
            self.sync.all_synced();
            self.figures.records_synced.store(Figures::get(&self.figures.records), Ordering::Relaxed);
        } else if self.checkpoint.is_due(now) {
            self.recorder.checkpoint(&self.books)?;
            self.checkpoint.written();
            self.sync.wrote(64 + 16 * self.books.len() as u64, now);
        }
        if self.sync.begin(now) {
            self.records_syncing = Figures::get(&self.figures.records);
            // There is room for one, and one is under way at most.
            let _ = request.send(self.recorder.syncer()?);
        }
        Ok(())
    }
}
