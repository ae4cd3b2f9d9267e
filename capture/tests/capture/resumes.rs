//! A capture that goes on with a recording.

use dejaq_shared::segment::meta::{FiltersV1, SourceV1};
use dejaq_shared::segment::recording_writer::{NewRecording, RecordingWriter, RollPolicy};

use dejaq_shared::segment::reader::SegmentReader;

use super::fake::CLUSTER;
use super::{Bench, values};

#[test]
fn nothing_is_missing_and_nothing_twice_even_when_the_source_repeats_itself() {
    let bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 2);
    bench.world().log("a", 0).push_all(0..3);
    assert_eq!(bench.run().expect("a capture").records, 3);
    // Partition 1 was idle so far.
    bench.world().log("a", 1).push_all(3..5);
    bench.world().log("a", 0).push_all(5..7);
    bench.world().repeats = 2;
    let summary = bench.run().expect("a resume");
    assert_eq!((summary.records, summary.records_total, summary.duplicates, summary.gaps), (4, 7, 2, 0));
    let mut got = bench.values();
    got.sort();
    assert_eq!(got, values(0..7));
    let flags: Vec<bool> = bench.records().iter().map(|r| r.catch_up).collect();
    assert_eq!(flags, [true; 7], "all of it was there before it was read");
}

#[test]
fn a_writer_that_died_left_its_checkpoint_and_whole_blocks() {
    let bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 2);
    bench.world().log("a", 0).push_all(0..3);
    bench.run().expect("a capture");
    // A second writer dies right after it took the recording up: its segment stays open.
    let new = NewRecording {
        source: SourceV1 { broker: "kafka".into(), cluster: CLUSTER.into(), ancestors: Vec::new() },
        filters: FiltersV1 { topics: vec!["a".into()], replayed: "stop".into(), sampled_one_in: 1 },
        isolation: None,
        roll: RollPolicy::default(),
    };
    drop(RecordingWriter::resume(&bench.out(), new).expect("a recording"));
    bench.world().log("a", 0).push_all(3..5);
    bench.world().log("a", 1).push_all(5..6);
    let summary = bench.run().expect("a resume");
    assert_eq!((summary.records, summary.gaps, summary.books_balance), (3, 0, true));
    assert_eq!(bench.values().len(), 6);
}

#[test]
fn a_recording_that_was_never_begun_begins_where_it_is_asked_to() {
    let mut bench = Bench::new(&["a"]);
    bench.config.start = Some("end".into());
    bench.world().topic("a", 1, 1);
    bench.world().log("a", 0).push("before the start");
    let new = NewRecording {
        source: SourceV1 { broker: "kafka".into(), cluster: CLUSTER.into(), ancestors: Vec::new() },
        filters: FiltersV1 { topics: vec!["a".into()], replayed: "stop".into(), sampled_one_in: 1 },
        isolation: None,
        roll: RollPolicy::default(),
    };
    RecordingWriter::create(&bench.out(), new).and_then(RecordingWriter::seal).expect("an empty recording");
    bench.world().then(|w| w.log("a", 0).push_all(0..2));
    assert_eq!(bench.run().expect("a capture").gaps, 0);
    assert_eq!(bench.values(), values(0..2));
}

#[test]
fn what_the_source_deleted_meanwhile_is_a_gap() {
    let bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 1);
    bench.world().log("a", 0).push_all(0..3);
    bench.run().expect("a capture");
    bench.world().log("a", 0).push_all(3..9);
    bench.world().log("a", 0).delete_before(7);
    let summary = bench.run().expect("a resume");
    assert_eq!((summary.records, summary.gaps), (2, 1));
    assert_eq!(bench.gaps(), [("retention".into(), Some(3), Some(7), Some(4))]);
    assert_eq!(bench.recording().streams[0].books.lost, 4);
}

#[test]
fn a_log_that_is_shorter_than_what_was_read_was_cut_back() {
    let bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 1);
    bench.world().log("a", 0).push_all(0..5);
    bench.run().expect("a capture");
    bench.world().log("a", 0).cut_back_to(2);
    bench.world().then(|w| {
        w.log("a", 0).push("other 2");
    });
    let summary = bench.run().expect("a resume");
    assert_eq!((summary.records, summary.gaps, summary.books_balance), (1, 1, true));
    assert_eq!(bench.gaps(), [("truncation".into(), Some(2), Some(5), None)]);
    assert_eq!(bench.values().last().map(String::as_str), Some("other 2"));
}

#[test]
fn topics_that_were_made_anew_or_added_while_nobody_captured() {
    let bench = Bench::new(&["^."]);
    bench.world().topic("a", 1, 1);
    bench.world().topic("gone", 2, 1);
    bench.world().log("a", 0).push_all(0..2);
    bench.run().expect("a capture");
    bench.world().topics.clear();
    bench.world().topic("a", 9, 1).logs.get_mut(&0).expect("made").push_all(2..6);
    bench.world().topic("added", 3, 1).logs.get_mut(&0).expect("made").push_all(6..7);
    let summary = bench.run().expect("a resume");
    assert_eq!((summary.records, summary.streams), (5, 4));
    let mut got = bench.values();
    got.sort();
    assert_eq!(got, values(0..7));
    let reasons: Vec<String> = bench.gaps().into_iter().map(|g| g.0).collect();
    assert_eq!(reasons, ["truncation", "retention"], "what the old ones still got is not known");
    // A third capture finds everything in order.
    assert_eq!(bench.run().expect("a resume").gaps, 0);
}

#[test]
fn a_changed_selection_is_a_gap_once() {
    let mut bench = Bench::new(&["a"]);
    bench.config.start = Some("end".into());
    bench.world().topic("a", 1, 1);
    bench.world().topic("b", 2, 1);
    bench.world().then(|w| w.log("a", 0).push_all(0..2));
    bench.run().expect("a capture");
    bench.world().log("b", 0).push("not asked for yet");
    bench.config.topics = Some(vec!["b".into()]);
    bench.world().then(|w| {
        w.log("a", 0).push("no longer asked for");
        w.log("b", 0).push_all(2..3);
    });
    assert_eq!(bench.run().expect("a resume").gaps, 2);
    assert_eq!(bench.run().expect("a resume").gaps, 0);
    assert_eq!(bench.values(), values(0..3));
    assert_eq!(bench.gaps(), [("filter change".into(), Some(2), None, None), ("filter change".into(), None, Some(1), None)]);
}

#[test]
fn a_recording_of_another_cluster_or_under_a_lock_is_refused() {
    let bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 1);
    let new = NewRecording {
        source: SourceV1 { broker: "kafka".into(), cluster: "another".into(), ancestors: Vec::new() },
        filters: FiltersV1 { topics: vec!["a".into()], replayed: "stop".into(), sampled_one_in: 1 },
        isolation: None,
        roll: RollPolicy::default(),
    };
    let writer = RecordingWriter::create(&bench.out(), new).expect("a recording");
    let error = bench.run().expect_err("locked").to_string();
    assert!(error.contains("being written by process"), "{error}");
    writer.seal().expect("sealed");
    let error = bench.run().expect_err("another cluster").to_string();
    assert!(error.contains("\"another\"") && error.contains("fake-cluster"), "{error}");
}

/// A capture that dies leaves a prefix of its segment. From any of them, the next one must come to the same records.
#[test]
fn from_every_prefix_of_a_segment_the_same_records_are_reached() {
    let mut bench = Bench::new(&["a"]);
    bench.config.until = Some("end".into());
    bench.world().topic("a", 1, 2);
    for n in 0..30usize {
        let mut world = bench.world();
        let log = world.log("a", i32::from(n % 3 == 0));
        if n % 4 == 1 {
            log.skip(2);
        }
        if n % 7 == 2 {
            log.push("bad").unparseable = true;
        }
        // Each epoch begins a block.
        log.push(&format!("value {n}")).epoch = i32::try_from(n / 5).expect("small");
    }
    bench.world().log("a", 0).skip(1);
    let whole = bench.run().expect("a capture");
    assert_eq!(whole.records, 30);
    let sorted = |bench: &Bench| {
        let mut values = bench.values();
        values.sort();
        values
    };
    let (expected, books): (_, Vec<_>) = (sorted(&bench), bench.recording().streams.iter().map(|s| s.books).collect());

    let path = bench.recording().segments[0].path.clone();
    let bytes = std::fs::read(&path).expect("a segment");
    let reader = SegmentReader::open(&path).expect("a segment");
    // What is on disk before a segment gets its name: its header, the (empty) stream table and the first checkpoint.
    let begun = reader.facts.frames[2].offset;
    let ends: Vec<u64> = reader.facts.frames.iter().map(|f| f.offset).filter(|at| *at >= begun).chain([bytes.len() as u64]).collect();
    let cuts: Vec<u64> = ends.windows(2).flat_map(|w| [w[0], w[0] + 20, w[1] - 1]).collect();
    assert!(cuts.len() > 40);
    for cut in cuts {
        std::fs::remove_dir_all(bench.out()).expect("removed");
        std::fs::create_dir(bench.out()).expect("made anew");
        std::fs::write(&path, &bytes[..usize::try_from(cut).expect("small")]).expect("cut");
        let summary = bench.run().expect("a resume");
        assert!(summary.books_balance, "cut at {cut}");
        assert_eq!(sorted(&bench), expected, "cut at {cut}");
        let again: Vec<_> = bench.recording().streams.iter().map(|s| s.books).collect();
        assert_eq!(again, books, "cut at {cut}");
    }
}

#[test]
fn another_isolation_level_than_the_recordings_is_refused() {
    let bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 1);
    bench.world().log("a", 0).push_all(0..3);
    bench.run().expect("a source that states none");
    assert_eq!(bench.recording().isolation(), None);
    bench.world().isolation = Some("read_committed");
    bench.run().expect("what is not stated contradicts nothing");
    assert_eq!(bench.recording().isolation().map(String::as_str), Some("read_committed"));

    let segments = bench.recording().segments.len();
    bench.world().isolation = Some("read_uncommitted");
    let error = bench.run().expect_err("another level").to_string();
    assert!(error.contains("read with isolation level read_committed, this is read_uncommitted"), "{error}");
    assert_eq!(bench.recording().segments.len(), segments, "a refusal leaves the recording as it was");
    bench.world().isolation = Some("read_committed");
    bench.run().expect("the same level");
}
