//! The pipeline with a recorder whose steps can fail, and with one that can be held up.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use dejaq_shared::clock::SystemClock;
use dejaq_shared::record::{BrokerTime, EPOCH_UNKNOWN, Headers, Lane, Record, RecordFlags};

use super::recorder::Ticket;
use super::*;
use crate::books::Books;

/// What the recorder was asked to do, in order.
#[derive(Default)]
struct Log {
    calls: Mutex<Vec<String>>,
    /// Blocks that the writer has come to.
    begun: AtomicUsize,
    written: AtomicUsize,
}

impl Log {
    fn note(&self, call: impl Into<String>) {
        self.calls.lock().expect("no panic").push(call.into());
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("no panic").clone()
    }
}

struct Fake {
    log: Arc<Log>,
    /// Writes that succeed before the disk is full.
    room: usize,
    sync_fails: bool,
    /// The writer waits here before each block, if there is a gate.
    gate: Option<Receiver<()>>,
    bytes: u64,
}

fn full() -> SegmentError {
    SegmentError::Io { action: "writing to", path: "x".into(), source: std::io::ErrorKind::StorageFull.into() }
}

impl Fake {
    fn write(&mut self, call: String) -> Result<(), SegmentError> {
        if self.room == 0 {
            return Err(full());
        }
        self.room -= 1;
        self.bytes += crate::checkpoint::SYNC_BYTES;
        self.log.note(call);
        Ok(())
    }
}

struct FakeTicket(bool);

impl Ticket for FakeTicket {
    fn sync(&self) -> Result<(), SegmentError> {
        if self.0 { Err(full()) } else { Ok(()) }
    }
}

impl Recorder for Fake {
    type Ticket = FakeTicket;

    fn add_streams(&mut self, new: &[(Stream, i64)]) -> Result<Vec<StreamIx>, SegmentError> {
        self.write("streams".into())?;
        Ok((0..).take(new.len()).collect())
    }
    fn block(&mut self, block: &EncodedBlock) -> Result<(), SegmentError> {
        self.log.begun.fetch_add(1, Ordering::SeqCst);
        if let Some(gate) = &self.gate {
            let _ = gate.recv();
        }
        self.write(format!("block from {}", block.streams()[0].first))?;
        self.log.written.fetch_add(block.records() as usize, Ordering::SeqCst);
        Ok(())
    }
    fn gap(&mut self, gap: &Gap) -> Result<(), SegmentError> {
        self.write(format!("gap {}", gap.detail))
    }
    fn attachment(&mut self, name: &str, _: &str, _: Vec<u8>) -> Result<(), SegmentError> {
        self.write(format!("attachment {name}"))
    }
    fn ancestor(&mut self, cluster: &str) -> Result<(), SegmentError> {
        self.write(format!("ancestor {cluster}"))
    }
    fn checkpoint(&mut self, books: &[LaneBooks]) -> Result<(), SegmentError> {
        self.write(format!("checkpoint {:?}", books.iter().map(|b| b.books.next).collect::<Vec<_>>()))
    }
    fn ticket(&mut self) -> Result<Option<FakeTicket>, SegmentError> {
        Ok(Some(FakeTicket(self.sync_fails)))
    }
    fn note_synced(&mut self, _: &FakeTicket) {}
    fn roll_due(&self) -> bool {
        false
    }
    fn roll(&mut self) -> Result<(), SegmentError> {
        Ok(())
    }
    fn bytes_stored(&self) -> u64 {
        self.bytes
    }
    fn seal(self) -> Result<(), SegmentError> {
        self.log.note("seal");
        Ok(())
    }
}

fn start(log: &Arc<Log>, change: impl FnOnce(&mut Fake)) -> Pipeline {
    let mut fake = Fake { log: Arc::clone(log), room: usize::MAX, sync_fails: false, gate: None, bytes: 0 };
    change(&mut fake);
    let stream = LaneBooks { stream: 0, books: Books::new(0), ended: false };
    Pipeline::start(fake, vec![stream], 4, 2, Arc::new(SystemClock::new()), crate::checkpoint::SYNC_AGE).expect("threads")
}

fn record(position: i64) -> Record<'static> {
    Record {
        stream: 0,
        position,
        leader_epoch: EPOCH_UNKNOWN,
        arrival_ns: 0,
        broker_time: BrokerTime::None,
        key: None,
        value: Some(b"value"),
        headers: Headers::EMPTY,
        flags: RecordFlags::default(),
        ..Record::EMPTY
    }
}

fn gap(detail: &str) -> Gap {
    Gap {
        stream: Some(0),
        scope: "t/0".into(),
        from: None,
        to: None,
        from_time_ns: None,
        to_time_ns: None,
        count: None,
        exact: false,
        reason: dejaq_shared::record::GapReason::Drop,
        detail: detail.into(),
    }
}

fn send_block(pipeline: &mut Pipeline, position: i64) -> Result<(), Broken> {
    let mut slot = pipeline.slot()?;
    slot.builder.push(&record(position));
    let books = Books { next: position + 1, written: 1, ..Books::new(position) };
    slot.books.push(LaneBooks { stream: 0, books, ended: false });
    pipeline.send(slot)
}

#[test]
fn everything_is_written_in_the_order_in_which_it_was_sent() {
    let log = Arc::default();
    let mut pipeline = start(&log, |_| {});
    let mut slot = pipeline.slot().expect("free");
    slot.before.push(Event::Ancestor("c".into()));
    slot.builder.push(&record(1));
    slot.after.push(Event::Gap(gap("g")));
    slot.books.push(LaneBooks { stream: 0, books: Books { next: 2, ..Books::new(0) }, ended: false });
    pipeline.send(slot).expect("whole");
    let stream = Stream { cluster: "c".into(), lane: Lane::Kafka { topic: "t".into(), topic_id: None, partition: 1 } };
    assert_eq!(pipeline.add_streams(vec![(stream, 9)]), Ok(vec![0]));
    for position in 2..20 {
        send_block(&mut pipeline, position).expect("whole");
    }
    pipeline.finish().expect("whole");
    let mut expected: Vec<String> = ["ancestor c", "block from 1", "gap g", "checkpoint [2]", "streams"].map(String::from).into();
    expected.extend((2..20).map(|n| format!("block from {n}")));
    expected.extend(["checkpoint [20, 9]".to_owned(), "seal".to_owned()]);
    assert_eq!(log.calls(), expected);
}

#[test]
fn a_full_disk_ends_it_with_what_is_whole_sealed_and_no_checkpoint() {
    let log = Arc::default();
    let mut pipeline = start(&log, |fake| fake.room = 3);
    let sent = (0..1000).take_while(|n| send_block(&mut pipeline, *n).is_ok()).count();
    assert!(sent < 1000, "the reader is told");
    let error = pipeline.finish().expect_err("full");
    assert!(matches!(&error, PipelineError::Segment(e) if e.is_disk_full()), "{error}");
    assert_eq!(log.calls(), ["block from 0", "block from 1", "block from 2", "seal"]);
}

#[test]
fn a_sync_that_fails_ends_it() {
    let log = Arc::default();
    let mut pipeline = start(&log, |fake| fake.sync_fails = true);
    while send_block(&mut pipeline, 0).is_ok() {}
    assert!(matches!(pipeline.finish(), Err(PipelineError::Segment(_))));
    assert_eq!(log.calls().last().map(String::as_str), Some("seal"));
}

#[test]
fn who_waits_for_an_answer_learns_that_the_writer_ended_before_it_came_to_the_question() {
    let (log, (open, gate)) = (Arc::new(Log::default()), bounded(1));
    let mut pipeline = start(&log, |fake| (fake.room, fake.gate) = (0, Some(gate)));
    send_block(&mut pipeline, 0).expect("it runs");
    while log.begun.load(Ordering::SeqCst) == 0 {
        std::thread::yield_now();
    }
    let (reply, answer) = bounded(1);
    let mut slot = pipeline.slot().expect("there are four");
    slot.after.push(Event::Streams { new: Vec::new(), reply });
    pipeline.send(slot).expect("there is room");
    open.send(()).expect("it waits");
    assert_eq!(pipeline.answered(&answer), Err(Broken));
    assert!(matches!(pipeline.finish(), Err(PipelineError::Segment(SegmentError::Io { .. }))));
}

#[test]
fn a_stalled_disk_holds_the_reader_and_no_more_than_the_slots_are_taken() {
    let log: Arc<Log> = Arc::default();
    let (open, gate) = bounded(100);
    let mut pipeline = start(&log, |fake| fake.gate = Some(gate));
    for position in 0..4 {
        send_block(&mut pipeline, position).expect("there are four slots");
    }
    assert!(pipeline.free.recv_timeout(Duration::from_millis(20)).is_err(), "none is free");
    assert_eq!(log.written.load(Ordering::SeqCst), 0);
    for _ in 0..4 {
        open.send(()).expect("the writer waits");
    }
    send_block(&mut pipeline, 4).expect("one is free again");
    open.send(()).expect("the writer waits");
    pipeline.finish().expect("whole");
    assert_eq!(log.written.load(Ordering::SeqCst), 5);
}

#[test]
fn a_slot_that_a_huge_record_has_blown_up_gives_its_memory_back() {
    let mut slot = Slot::new();
    let huge = vec![1u8; 20 << 20];
    slot.builder.push(&Record { value: Some(&huge), ..record(0) });
    assert!(slot.builder.memory() >= 20 << 20);
    assert!(slot.emptied().builder.memory() < 1 << 20);
}
