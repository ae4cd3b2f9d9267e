//! A whole capture against a scripted source, through the public interface, into real recordings.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use dejaq_capture::{Capture, CaptureConfig, CaptureError, CaptureSummary};
use dejaq_shared::broker::source::TopicSelection;
use dejaq_shared::clock::{Clock, SystemClock};
use dejaq_shared::record::{RecordFlags, StreamIx};
use dejaq_shared::segment::block_read::{Block, Wanted};
use dejaq_shared::segment::reader::BlockReader;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::verify::verify_recording;

mod changes;
mod ends;
mod fake;
mod resumes;

use fake::{FakeSource, World};

/// A recorded message, as far as tests compare it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Got {
    stream: StreamIx,
    position: i64,
    value: String,
    catch_up: bool,
    replayed: bool,
}

/// A gap's reason, from, to, count.
type GapRow = (String, Option<i64>, Option<i64>, Option<u64>);

struct Bench {
    dir: tempfile::TempDir,
    world: Arc<Mutex<World>>,
    config: CaptureConfig,
}

impl Bench {
    fn new(topics: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let config = CaptureConfig {
            from: Some("kafka://fake:9092".into()),
            topics: Some(topics.iter().map(|t| (*t).to_owned()).collect()),
            out: Some(dir.path().join("rec")),
            start: Some("beginning".into()),
            watch_every: Some("10ms".into()),
            ..CaptureConfig::default()
        };
        Self { dir, world: Arc::default(), config }
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().expect("no test panics while holding it")
    }

    fn run(&self) -> Result<CaptureSummary, CaptureError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let stop = Arc::new(AtomicBool::new(false));
        let plan = self.config.clone().plan().expect("a valid plan");
        let client = [("isolation.level".to_owned(), "read_uncommitted".to_owned())];
        let capture = Capture { plan: &plan, client: &client, clock: &clock, stop: &stop };
        let topics = TopicSelection::parse(self.config.topics.iter().flatten().map(String::as_str)).expect("valid patterns");
        capture.run(FakeSource::new(&self.world, &stop), &topics, &mut |_| {})
    }

    fn out(&self) -> std::path::PathBuf {
        self.dir.path().join("rec")
    }

    fn recording(&self) -> Recording {
        Recording::open(&self.out()).expect("a recording")
    }

    /// All records, and that the recording is whole, sealed and balanced.
    fn records(&self) -> Vec<Got> {
        let report = verify_recording(&self.out(), |_| {}).expect("a recording");
        assert!(report.segments.iter().all(|s| s.sealed && s.damages.is_empty()), "{report:?}");
        assert!(report.missing.is_empty() && report.unbalanced.is_empty(), "{report:?}");
        read(&self.recording())
    }

    fn values(&self) -> Vec<String> {
        self.records().into_iter().map(|r| r.value).collect()
    }

    fn gaps(&self) -> Vec<GapRow> {
        self.recording().gaps.into_iter().map(|g| (g.reason.name().to_owned(), g.from, g.to, g.count)).collect()
    }
}

fn read(recording: &Recording) -> Vec<Got> {
    let mut reader = BlockReader::new().expect("zstd");
    let mut block = Block::default();
    let mut got = Vec::new();
    for at in &recording.blocks {
        let segment = &recording.segments[at.segment as usize];
        let file = std::fs::File::open(&segment.path).expect("a segment");
        reader.read(&file, Path::new("test"), &segment.header.segment.sync, at.offset, Wanted::ALL, &mut block).expect("whole");
        got.extend((0..block.len()).map(|i| {
            let record = block.record(i);
            Got {
                stream: segment.streams[&record.stream],
                position: record.position,
                value: String::from_utf8_lossy(record.value.unwrap_or(b"<null>")).into_owned(),
                catch_up: record.flags.has(RecordFlags::CATCH_UP),
                replayed: record.flags.has(RecordFlags::REPLAYED),
            }
        }));
    }
    got
}

fn values(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("value {n}")).collect()
}

#[test]
fn what_is_there_and_what_comes_is_recorded_once_and_flagged() {
    let bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 2);
    bench.world().log("a", 0).push_all(0..3);
    bench.world().then(|w| w.log("a", 1).push_all(3..5));
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.records, summary.streams, summary.gaps, summary.holes), (5, 2, 0, 0));
    assert!(summary.books_balance);
    assert_eq!(summary.stopped, "asked to");
    assert_eq!(bench.values(), values(0..5));
    let flags: Vec<bool> = bench.records().iter().map(|r| r.catch_up).collect();
    assert_eq!(flags, [true, true, true, false, false]);
    let attachments: Vec<String> = bench.recording().attachments().expect("readable").into_iter().map(|a| a.name).collect();
    assert_eq!(attachments, ["capture.toml", "client.json", "topics.json"]);
}

#[test]
fn holes_are_counted_and_are_no_gaps() {
    let bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 1);
    let mut world = bench.world();
    let log = world.log("a", 0);
    log.push("first");
    log.skip(4);
    log.push("second").epoch = 3;
    log.skip(1);
    drop(world);
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.records, summary.holes, summary.gaps), (2, 5, 0));
    assert_eq!(bench.values(), ["first", "second"]);
    assert_eq!(bench.recording().streams[0].books.next, 7, "the marker at the end is counted too");
}

#[test]
fn a_damaged_batch_is_one_gap() {
    let bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 1);
    let mut world = bench.world();
    let log = world.log("a", 0);
    log.push("first");
    for _ in 0..50 {
        log.push("bad").unparseable = true;
    }
    log.skip(1);
    log.push("bad, but not beside them").unparseable = true;
    log.push("second");
    drop(world);
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.records, summary.gaps, summary.books_balance), (2, 2, true));
    assert_eq!(bench.values(), ["first", "second"]);
    assert_eq!(bench.gaps(), [("unparseable".into(), Some(1), Some(51), Some(50)), ("unparseable".into(), Some(52), Some(53), Some(1))]);
    assert_eq!(bench.recording().streams[0].books.lost, 51);
}

#[test]
fn what_cannot_be_read_is_a_gap_of_one() {
    let bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 1);
    let mut world = bench.world();
    let log = world.log("a", 0);
    log.push("first");
    log.skip(1);
    log.push("bad").unparseable = true;
    log.push("second");
    drop(world);
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.records, summary.holes, summary.gaps), (2, 1, 1));
    assert_eq!(summary.outcome().code(), 3);
    assert_eq!(bench.values(), ["first", "second"]);
    assert_eq!(bench.gaps(), [("unparseable".into(), Some(2), Some(3), Some(1))]);
}

#[test]
fn many_blocks_keep_their_order_whatever_the_encoders_do() {
    let mut bench = Bench::new(&["a"]);
    bench.config.compress_threads = std::num::NonZeroUsize::new(4);
    bench.world().topic("a", 1, 1);
    let long = "x".repeat(3 << 20);
    for n in 0..20 {
        // Sizes differ, so that encoders overtake one another.
        let size = if n % 3 == 0 { 3 << 20 } else { 1000 * n };
        bench.world().log("a", 0).push(&long[..size]);
    }
    let summary = bench.run().expect("a capture");
    assert!(summary.books_balance);
    let positions: Vec<i64> = bench.records().iter().map(|r| r.position).collect();
    assert_eq!(positions, (0..20).collect::<Vec<_>>());
    assert!(bench.recording().blocks.len() >= 7);
}
