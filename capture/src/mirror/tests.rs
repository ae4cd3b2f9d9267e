//! A capture of deliveries into a recorder whose syncs come late: nothing is acknowledged before it is synced.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use dejaq_shared::broker::BrokerError;
use dejaq_shared::broker::mirror::{Delivery, Mirror, MirrorBegin, MirrorHandler, Receipt, Snapshot};
use dejaq_shared::clock::{Clock, SystemClock};
use dejaq_shared::record::{Gap, Lane, Record, Stream, StreamIx};
use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::block::EncodedBlock;
use proptest::prelude::*;

use super::again::Again;
use super::resume::Tail;
use super::run::Held;
use crate::Capture;
use crate::config::{CaptureConfig, Scalar};
use crate::intake::LaneBooks;
use crate::opening::Opened;
use crate::pipeline::recorder::{Recorder, Ticket};
use crate::report::{CaptureError, CaptureSummary};

/// What the broker and the disk know of each other, which only the test does.
#[derive(Debug, Default)]
struct Truth {
    /// Records that are written.
    written: AtomicU64,
    /// Records that are synced.
    synced: AtomicU64,
    /// Polls so far.
    polls: AtomicU64,
    /// Acknowledged messages.
    acknowledged: AtomicU64,
    /// How many acknowledgements were not for records on disk.
    too_early: AtomicU64,
    /// Nobody polls any more: a sync that waits for polls would wait for ever.
    over: AtomicBool,
}

/// A recorder whose sync ends only after so many polls more.
struct Late {
    truth: Arc<Truth>,
    polls: u64,
    /// The sync with this number fails.
    fails_at: Option<u64>,
    syncs: u64,
    bytes: u64,
}

struct LateTicket {
    truth: Arc<Truth>,
    written: u64,
    polls: u64,
    fails: bool,
}

impl Ticket for LateTicket {
    fn sync(&self) -> Result<(), SegmentError> {
        let until = self.truth.polls.load(Ordering::SeqCst) + self.polls;
        while self.truth.polls.load(Ordering::SeqCst) < until && !self.truth.over.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        if self.fails {
            return Err(SegmentError::Io { action: "syncing", path: "x".into(), source: std::io::ErrorKind::Other.into() });
        }
        self.truth.synced.fetch_max(self.written, Ordering::SeqCst);
        Ok(())
    }
}

impl Late {
    fn wrote(&mut self) -> Result<(), SegmentError> {
        self.bytes += 100;
        Ok(())
    }
}

impl Recorder for Late {
    type Ticket = LateTicket;

    fn add_streams(&mut self, new: &[(Stream, i64)]) -> Result<Vec<StreamIx>, SegmentError> {
        self.wrote()?;
        // As the real one: synced when it returns.
        self.truth.synced.store(self.truth.written.load(Ordering::SeqCst), Ordering::SeqCst);
        Ok((0..).take(new.len()).collect())
    }
    fn block(&mut self, block: &EncodedBlock) -> Result<(), SegmentError> {
        self.truth.written.fetch_add(u64::from(block.records()), Ordering::SeqCst);
        self.wrote()
    }
    fn gap(&mut self, _: &Gap) -> Result<(), SegmentError> {
        self.wrote()
    }
    fn attachment(&mut self, _: &str, _: &str, _: Vec<u8>) -> Result<(), SegmentError> {
        self.wrote()
    }
    fn ancestor(&mut self, _: &str) -> Result<(), SegmentError> {
        self.wrote()
    }
    fn checkpoint(&mut self, _: &[LaneBooks]) -> Result<(), SegmentError> {
        self.wrote()
    }
    fn ticket(&mut self) -> Result<Option<LateTicket>, SegmentError> {
        self.syncs += 1;
        let written = self.truth.written.load(Ordering::SeqCst);
        Ok(Some(LateTicket { truth: Arc::clone(&self.truth), written, polls: self.polls, fails: self.fails_at == Some(self.syncs) }))
    }
    fn note_synced(&mut self, _: &LateTicket) {}
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
        Ok(())
    }
}

/// Delivers messages without end until `total`, and holds acknowledgements against the truth.
struct Broker {
    truth: Arc<Truth>,
    window: u32,
    total: u64,
    delivered: u64,
    stop: Arc<AtomicBool>,
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.truth.over.store(true, Ordering::SeqCst);
    }
}

impl Mirror for Broker {
    fn cluster(&self) -> &str {
        "c"
    }
    fn filters(&self) -> Vec<String> {
        Vec::new()
    }
    fn describe(&self) -> Vec<(String, String)> {
        Vec::new()
    }
    fn window(&self) -> u32 {
        self.window
    }
    fn check(&mut self, _: Duration) -> Result<Vec<String>, BrokerError> {
        Ok(Vec::new())
    }
    fn begin(&mut self, _: &MirrorBegin, _: Duration) -> Result<Vec<Snapshot>, BrokerError> {
        Ok(Vec::new())
    }

    fn poll<H: MirrorHandler>(
        &mut self,
        records_max: usize,
        _: Duration,
        clock: &mut dyn FnMut() -> i64,
        handler: &mut H,
    ) -> Result<usize, BrokerError> {
        self.truth.polls.fetch_add(1, Ordering::SeqCst);
        if self.delivered == 0 {
            let lane = Lane::RabbitExchange { vhost: "/".into(), exchange: "e".into() };
            handler.lane(0, &Stream { cluster: "c".into(), lane });
        }
        let room = u64::from(self.window) - (self.delivered - self.truth.acknowledged.load(Ordering::SeqCst));
        let count = room.min(records_max as u64).min(self.total - self.delivered);
        let arrival_ns = clock();
        for _ in 0..count {
            self.delivered += 1;
            let receipt = Receipt { link: 0, generation: 0, tag: self.delivered };
            handler.delivery(&Delivery { lane: 0, receipt, record: Record { arrival_ns, value: Some(b"body"), ..Record::EMPTY } });
        }
        if count == 0 {
            if self.delivered == self.total {
                self.truth.over.store(true, Ordering::SeqCst);
                self.stop.store(true, Ordering::SeqCst);
            }
            std::thread::yield_now();
        }
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn acknowledge(&mut self, receipts: &[Receipt]) {
        for receipt in receipts {
            self.truth.acknowledged.fetch_max(receipt.tag, Ordering::SeqCst);
            if receipt.tag > self.truth.synced.load(Ordering::SeqCst) {
                self.truth.too_early.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn lag(&mut self) -> Option<u64> {
        None
    }

    fn settle<H: MirrorHandler>(&mut self, _: Duration, _: &mut dyn FnMut() -> i64, _: &mut H) -> Result<(), BrokerError> {
        Ok(())
    }
}

/// Captures `total` messages, on a thread of its own: one that hangs fails the test.
fn capture(window: u32, total: u64, polls: u64, fails_at: Option<u64>) -> (Arc<Truth>, Result<CaptureSummary, CaptureError>) {
    let truth = Arc::new(Truth::default());
    let (done, result) = mpsc::channel();
    let known = Arc::clone(&truth);
    std::thread::spawn(move || {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = CaptureConfig {
            from: Some("amqp://fake".into()),
            exchanges: Some(vec!["e".into()]),
            out: Some(dir.path().join("rec")),
            compress: Some(Scalar::Text("none".into())),
            ..CaptureConfig::default()
        };
        let plan = config.plan().expect("valid");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let stop = Arc::new(AtomicBool::new(false));
        let broker = Broker { truth: Arc::clone(&known), window, total, delivered: 0, stop: Arc::clone(&stop) };
        let recorder = Late { truth: known, polls, fails_at, syncs: 0, bytes: 0 };
        let opened = Opened { recorder, streams: Vec::new(), before: None };
        let held = Held { id: "r".into(), records: 0, resumed: false, tail: Tail::default(), again: Again::default() };
        let capture = Capture { plan: &plan, client: &[], clock: &clock, stop: &stop };
        // The test has given up on it, or takes it.
        let _ = done.send(capture.mirror_into(broker, opened, held, &mut |_| {}));
    });
    let result = result.recv_timeout(Duration::from_secs(120)).expect("the capture neither hangs nor panics");
    (truth, result)
}

#[test]
fn a_broker_that_sends_nothing_before_it_is_acknowledged_does_not_wait_for_a_block_to_get_old() {
    // At one message a second this would take ten minutes.
    let (truth, summary) = capture(1, 600, 0, None);
    assert_eq!((truth.acknowledged.load(Ordering::SeqCst), summary.expect("a capture").records), (600, 600));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_acknowledged_before_it_is_synced_and_all_of_it_is_in_the_end(
        window in 1u32..200,
        total in 0u64..600,
        polls in 0u64..40,
    ) {
        let (truth, summary) = capture(window, total, polls, None);
        let summary = summary.expect("a capture");
        prop_assert_eq!(truth.too_early.load(Ordering::SeqCst), 0);
        prop_assert_eq!(truth.acknowledged.load(Ordering::SeqCst), total);
        prop_assert_eq!((summary.records, summary.books_balance), (total, true));
    }

    #[test]
    fn after_a_sync_that_failed_nothing_more_is_acknowledged(window in 4u32..100, fails_at in 1u64..8, polls in 0u64..10) {
        let (truth, summary) = capture(window, 100_000, polls, Some(fails_at));
        prop_assert!(summary.is_err());
        prop_assert_eq!(truth.too_early.load(Ordering::SeqCst), 0);
        prop_assert!(truth.acknowledged.load(Ordering::SeqCst) <= truth.synced.load(Ordering::SeqCst));
    }
}
