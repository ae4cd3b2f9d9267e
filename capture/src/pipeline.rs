//! The threads of a capture, and what travels between them.
//!
//! ```text
//! reader (the caller's thread) ──slots──▶ encoders (N) ──slots──▶ writer ──▶ recording
//!        ▲                                                          │ ▲
//!        └──────────────────────── emptied slots ───────────────────┘ └── syncer
//! ```
//!
//! # What it guarantees
//! - One kind of thing travels: a [`Slot`], a block and what is to be written right before and after it. There is a fixed
//!   number of them, so memory is bounded and a slow disk makes the reader wait (it stops polling; nothing is dropped).
//! - Slots are written in the order in which they were sent, however the encoders finish.
//! - An error of any thread ends all of them: each closes its channels, nobody waits for somebody who has gone.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use dejaq_shared::clock::Clock;
use dejaq_shared::record::{Gap, Stream, StreamIx};
use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::block::{BlockBuilder, BlockEncoder, EncodedBlock};
use dejaq_shared::segment::codec::Compression;

use crate::checkpoint::BLOCK_BYTES;
use crate::intake::LaneBooks;

pub(crate) mod recorder;
mod writer;

use recorder::Recorder;

/// Something to be written besides records.
#[derive(Debug)]
pub(crate) enum Event {
    /// Something was lost.
    Gap(Gap),
    /// A file that travels in the recording.
    Attachment { name: Cow<'static, str>, media_type: Cow<'static, str>, bytes: Vec<u8> },
    /// A cluster that records were replayed from.
    Ancestor(String),
    /// New streams and where they begin; their numbers are answered once that is synced.
    Streams { new: Vec<(Stream, i64)>, reply: Sender<Vec<StreamIx>> },
    /// Everything written so far is to be synced at once; answered when it is.
    Flush { reply: Sender<()> },
}

/// What travels: a block, and what belongs to it. No checkpoint is written in the midst of one.
pub(crate) struct Slot {
    number: u64,
    pub(crate) builder: BlockBuilder,
    encoded: EncodedBlock,
    pub(crate) compression: Compression,
    /// Written before the block.
    pub(crate) before: Vec<Event>,
    /// Written after it.
    pub(crate) after: Vec<Event>,
    /// The streams that changed, as they stand after it.
    pub(crate) books: Vec<LaneBooks>,
}

impl Slot {
    fn new() -> Self {
        Self {
            number: 0,
            builder: BlockBuilder::new(),
            encoded: EncodedBlock::default(),
            compression: Compression::None,
            before: Vec::new(),
            after: Vec::new(),
            books: Vec::new(),
        }
    }

    /// Whether there is nothing in it to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.builder.is_empty() && self.before.is_empty() && self.after.is_empty() && self.books.is_empty()
    }

    /// Ready for the next block. One that a huge record has blown up gives its memory back.
    fn emptied(mut self) -> Self {
        if self.builder.bytes_raw() > 2 * BLOCK_BYTES {
            return Self::new();
        }
        self.builder.clear();
        self.before.clear();
        self.after.clear();
        self.books.clear();
        self
    }
}

/// Why the pipeline ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PipelineError {
    #[error(transparent)]
    Segment(#[from] SegmentError),
    #[error("compressing a block: {0}")]
    Compress(std::io::Error),
    #[error("starting a thread: {0}")]
    Thread(std::io::Error),
    #[error("the {0} thread ended without a word")]
    Lost(&'static str),
}

/// The pipeline has ended; [`Pipeline::finish`] says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// Figures that all threads share.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Bytes of the recording that this capture has written.
    pub(crate) bytes_stored: AtomicU64,
    /// Records that are written.
    pub(crate) records: AtomicU64,
    /// Records that are synced too.
    pub(crate) records_synced: AtomicU64,
    /// Gaps that are written.
    pub(crate) gaps: AtomicU64,
    /// The slots that are written and synced: all of those that were sent before so many. What is taken from a source that
    /// waits for acknowledgements is on disk when this has reached [`Pipeline::sent`] as it was then.
    pub(crate) slots_synced: AtomicU64,
}

impl Figures {
    pub(crate) fn get(of: &AtomicU64) -> u64 {
        of.load(Ordering::Relaxed)
    }
}

/// The reader's end of it.
pub(crate) struct Pipeline {
    free: Receiver<Slot>,
    to_encode: Option<Sender<Slot>>,
    to_write: Option<Sender<Slot>>,
    next_number: u64,
    encoders: Vec<JoinHandle<Result<(), PipelineError>>>,
    /// Disconnected when the writer has ended.
    writing: Receiver<Infallible>,
    writer: Option<JoinHandle<Result<(), PipelineError>>>,
    pub(crate) figures: Arc<Figures>,
}

impl Pipeline {
    /// Starts the threads. `books`: the streams that the recording has already.
    pub(crate) fn start<R: Recorder>(
        recorder: R,
        books: Vec<LaneBooks>,
        slots: usize,
        encoders: usize,
        clock: Arc<dyn Clock>,
        sync_age: Duration,
    ) -> Result<Self, PipelineError> {
        let (free_in, free) = bounded(slots);
        let (to_encode, encode_from) = bounded::<Slot>(slots);
        let (to_write, write_from) = bounded::<Slot>(slots);
        for _ in 0..slots {
            // The channel has room for all of them.
            let _ = free_in.send(Slot::new());
        }
        let figures = Arc::new(Figures::default());
        let writer = writer::Writer::new(recorder, books, clock, Arc::clone(&figures), sync_age);
        let (until_written, writing) = bounded(0);
        let writer = spawn("dejaq-writer", move || {
            let _until_written: Sender<Infallible> = until_written;
            writer.run(&write_from, free_in)
        })?;
        let mut threads = Vec::new();
        for _ in 0..encoders {
            let (from, to) = (encode_from.clone(), to_write.clone());
            threads.push(spawn("dejaq-encoder", move || encode_all(&from, &to))?);
        }
        Ok(Self {
            free,
            to_encode: Some(to_encode),
            to_write: Some(to_write),
            next_number: 0,
            encoders: threads,
            writing,
            writer: Some(writer),
            figures,
        })
    }

    /// An empty slot; waits until there is one.
    pub(crate) fn slot(&self) -> Result<Slot, Broken> {
        self.free.recv().map_err(|_| Broken)
    }

    /// Sends a slot on its way.
    pub(crate) fn send(&mut self, mut slot: Slot) -> Result<(), Broken> {
        slot.number = self.next_number;
        self.next_number += 1;
        let way = if slot.builder.is_empty() { &self.to_write } else { &self.to_encode };
        way.as_ref().ok_or(Broken)?.send(slot).map_err(|_| Broken)
    }

    /// Writes and syncs where these streams begin, and returns their numbers.
    pub(crate) fn add_streams(&mut self, new: Vec<(Stream, i64)>) -> Result<Vec<StreamIx>, Broken> {
        let (reply, answer) = bounded(1);
        let mut slot = self.slot()?;
        slot.after.push(Event::Streams { new, reply });
        self.send(slot)?;
        self.answered(&answer)
    }

    /// Waits for the writer's answer. A slot that it did not come to stays in its channel, with the other end of this one: that the writer
    /// has ended must be learnt from itself.
    fn answered<T>(&self, answer: &Receiver<T>) -> Result<T, Broken> {
        select! {
            recv(answer) -> answer => answer.map_err(|_| Broken),
            recv(self.writing) -> _ => answer.try_recv().map_err(|_| Broken),
        }
    }

    /// How many slots were sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.next_number
    }

    /// Whether it has ended early. Whoever waits for the disk and sends nothing meanwhile learns it here only.
    pub(crate) fn has_ended(&self) -> bool {
        self.writer.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Returns when everything that was sent is on stable storage.
    pub(crate) fn flush(&mut self) -> Result<(), Broken> {
        let (reply, answer) = bounded(1);
        let mut slot = self.slot()?;
        slot.after.push(Event::Flush { reply });
        self.send(slot)?;
        self.answered(&answer)
    }

    /// Writes out what is under way, seals the recording and ends the threads.
    pub(crate) fn finish(mut self) -> Result<(), PipelineError> {
        self.to_encode = None;
        let mut failed = None;
        for thread in self.encoders.drain(..) {
            if let Err(error) = thread.join().unwrap_or(Err(PipelineError::Lost("compressing"))) {
                failed.get_or_insert(error);
            }
        }
        self.to_write = None;
        if let Some(thread) = self.writer.take() {
            thread.join().unwrap_or(Err(PipelineError::Lost("writing")))?;
        }
        failed.map_or(Ok(()), Err)
    }
}

fn spawn<T: Send + 'static>(name: &str, run: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>, PipelineError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(PipelineError::Thread)
}

/// Encodes what comes. When an encoder fails its slot is missing, so the writer stops there: what is before it is whole.
fn encode_all(from: &Receiver<Slot>, to: &Sender<Slot>) -> Result<(), PipelineError> {
    let mut encoder = BlockEncoder::new().map_err(PipelineError::Compress)?;
    for mut slot in from {
        encoder.encode(&slot.builder, slot.compression, &mut slot.encoded).map_err(PipelineError::Compress)?;
        if to.send(slot).is_err() {
            // The writer has ended and says why.
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
