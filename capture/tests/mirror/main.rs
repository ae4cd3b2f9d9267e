//! A whole capture of deliveries against a scripted broker, through the public interface, into real recordings.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::Duration;

use dejaq_capture::mirror::Deliveries;
use dejaq_capture::{Capture, CaptureConfig, CaptureError, CaptureSummary};
use dejaq_shared::clock::{Clock, SystemClock};
use dejaq_shared::record::RecordFlags;
use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::verify::verify_recording;
use dejaq_shared::segment::walk::each_record;

mod again;
mod ends;
mod kills;
mod model;

use model::{FakeMirror, Message, World};

/// A recorded message, as far as tests compare it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    stream: String,
    position: i64,
    body: String,
    flags: RecordFlags,
}

/// After this a capture counts as hung.
const HUNG: Duration = Duration::from_secs(120);

struct Bench {
    dir: tempfile::TempDir,
    world: Arc<Mutex<World>>,
    config: CaptureConfig,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = CaptureConfig {
            from: Some("amqp://fake".into()),
            exchanges: Some(vec!["orders".into()]),
            out: Some(dir.path().join("rec")),
            ..CaptureConfig::default()
        };
        Self { dir, world: Arc::default(), config }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no test panics while holding it")
    }

    /// Captures on a thread of its own: one that never ends fails the test.
    fn run(&self) -> Result<CaptureSummary, CaptureError> {
        let (config, world) = (self.config.clone(), Arc::clone(&self.world));
        let (done, result) = mpsc::channel();
        std::thread::spawn(move || {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
            let stop = Arc::new(AtomicBool::new(false));
            let plan = config.plan().expect("a valid plan");
            let client = [("prefetch".to_owned(), "1000".to_owned())];
            let capture = Capture { plan: &plan, client: &client, clock: &clock, stop: &stop };
            // The test has given up on it, or takes it.
            let _ = done.send(capture.mirror(FakeMirror::new(&world, &stop), &mut |_| {}));
        });
        result.recv_timeout(HUNG).expect("the capture neither hangs nor panics")
    }

    fn out(&self) -> PathBuf {
        self.config.out.clone().expect("set")
    }

    fn recording(&self) -> Recording {
        Recording::open(&self.out()).expect("a recording")
    }

    /// All records, and that the recording is whole, sealed and balanced.
    fn records(&self) -> Vec<Got> {
        let report = verify_recording(&self.out(), |_| {}).expect("a recording");
        assert!(report.segments.iter().all(|s| s.sealed && s.damages.is_empty()), "{report:?}");
        assert!(report.missing.is_empty() && report.unbalanced.is_empty(), "{report:?}");
        read(&self.out())
    }

    fn bodies(&self) -> Vec<String> {
        self.records().into_iter().map(|r| r.body).collect()
    }

    /// The newest books in the recording.
    fn attached(&self) -> serde_json::Value {
        let attachments = self.recording().attachments().expect("readable");
        let newest = attachments.iter().rfind(|a| a.name == "deliveries.json").expect("attached");
        serde_json::from_slice(&newest.bytes).expect("JSON")
    }

    /// The broker has nothing left, and nothing waits to be acknowledged.
    fn expect_all_acknowledged(&self) {
        assert!(self.world().queues.iter().all(model::Queue::is_empty), "{:?}", self.world().queues);
    }
}

fn read(dir: &Path) -> Vec<Got> {
    let recording = Recording::open(dir).expect("a recording");
    let mut got = Vec::new();
    let damaged = each_record::<SegmentError>(
        &recording,
        |_| true,
        |stream, record| {
            got.push(Got {
                stream: recording.streams[stream as usize].stream.name(),
                position: record.position,
                body: String::from_utf8_lossy(record.value.unwrap_or(b"<null>")).into_owned(),
                flags: record.flags,
            });
            Ok(())
        },
    );
    assert_eq!(damaged.expect("readable"), 0);
    got
}

fn deliveries(summary: &CaptureSummary) -> Deliveries {
    summary.mirror.expect("a capture of deliveries")
}

#[test]
fn what_is_delivered_is_recorded_by_exchange_acknowledged_and_in_the_books() {
    let bench = Bench::new();
    for n in 0..3 {
        bench.world().publish(Message::new("orders", format!("order {n}")));
        bench.world().publish(Message::new("events", format!("event {n}")));
    }
    let summary = bench.run().expect("a capture");
    let expected = Deliveries { delivered: 6, written: 6, ..Deliveries::default() };
    assert_eq!((deliveries(&summary), summary.books_balance, summary.outcome().code()), (expected, true, 0));
    assert_eq!((summary.streams, summary.records, summary.stopped), (2, 6, "asked to"));
    let rows: Vec<_> = bench.records().into_iter().map(|r| (r.stream, r.position, r.body)).collect();
    let row = |stream: &str, position: i64, body: &str| (stream.to_owned(), position, body.to_owned());
    assert_eq!(rows[..3], [row("orders", 0, "order 0"), row("events", 0, "event 0"), row("orders", 1, "order 1")]);
    bench.expect_all_acknowledged();
    assert_eq!(bench.world().settled, 1);
    let names: Vec<String> = bench.recording().attachments().expect("readable").into_iter().map(|a| a.name).collect();
    assert_eq!(names, ["capture.toml", "client.json", "topology.json", "deliveries.json"]);
    assert_eq!((bench.attached()["delivered"].as_u64(), bench.attached()["written"].as_u64()), (Some(6), Some(6)));
    assert_eq!(bench.recording().segments[0].header.filters.topics, ["exchange orders"]);
    assert_eq!(bench.recording().broker(), "rabbitmq");
}

#[test]
fn a_broker_that_waits_for_acknowledgements_is_not_kept_waiting() {
    let bench = Bench::new();
    bench.world().window = 8;
    for n in 0..2_000 {
        bench.world().publish(Message::new("orders", format!("order {n}")));
    }
    // By its age: the last block is not full, and the capture is not asked to end before it is acknowledged.
    bench.world().until(|world| world.queues[0].unacknowledged() == 0);
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.records, summary.books_balance), (2_000, true));
    assert_eq!(bench.bodies(), (0..2_000).map(|n| format!("order {n}")).collect::<Vec<_>>());
    bench.expect_all_acknowledged();
}

#[test]
fn a_resumed_capture_goes_on_with_the_sequence_and_says_when_it_left_off() {
    let bench = Bench::new();
    bench.world().publish(Message::new("orders", "first"));
    bench.run().expect("a capture");
    bench.world().publish(Message::new("events", "second"));
    bench.world().publish(Message::new("orders", "third"));
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.records, summary.records_total, summary.gaps), (2, 3, 0));
    let rows: Vec<_> = bench.records().into_iter().map(|r| (r.stream, r.position)).collect();
    assert_eq!(rows, [("orders".into(), 0), ("events".into(), 0), ("orders".into(), 1)]);
    let recording = bench.recording();
    let world = bench.world();
    let [first, second] = world.begun.as_slice() else { panic!("begun twice") };
    assert_eq!((first.resumed_from_ns, &first.recording), (None, &recording.id_text()));
    assert!(second.resumed_from_ns.is_some_and(|at| at > 0 && at <= second.now_ns) && second.recording == first.recording);
}
