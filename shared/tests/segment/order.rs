//! Time order, against sorting in memory.

use std::path::Path;
use std::sync::Arc;

use dejaq_shared::record::{BrokerTime, Gap, GapReason};
use dejaq_shared::segment::codec::Compression;
use dejaq_shared::segment::order::TimeOrder;
use dejaq_shared::segment::ordered::Ordered;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::recording_writer::RecordingWriter;
use dejaq_shared::segment::sort::{Merge, SortLimits, Sorted};
use dejaq_shared::segment::sorted_copy::{SORTED_FROM, write_sorted};
use dejaq_shared::segment::time_index::TimeIndex;
use dejaq_shared::segment::timeline::{StreamClock, TimeStatistics, measure};
use dejaq_shared::segment::verify::verify_recording;
use proptest::prelude::*;

use crate::words::*;

fn write(dir: &Path, streams: u32, blocks: &[Vec<Owned>], roll_after: usize) {
    let mut writer = RecordingWriter::create(dir, new_recording()).expect("a new directory");
    let rows: Vec<_> = (0..streams).map(|p| (stream("t", p.cast_signed()), 0)).collect();
    writer.add_streams(&rows).expect("streams");
    for (n, block) in blocks.iter().enumerate() {
        if n > 0 && n % roll_after == 0 {
            writer.roll().expect("roll");
        }
        writer.block(&encode(block, Compression::Zstd(1))).expect("block");
    }
    writer.seal().expect("seal");
}

/// A recording and when its records are, by one clock or by the rule.
fn opened(dir: &Path, clock: Option<StreamClock>) -> (Arc<Recording>, Arc<TimeIndex>) {
    let recording = Arc::new(Recording::open(dir).expect("a recording"));
    let statistics = measure(&recording).expect("times");
    let clocks: Vec<_> = statistics.iter().map(|s| clock.unwrap_or_else(|| TimeStatistics::preferred_clock(s))).collect();
    let index = Arc::new(TimeIndex::build(&recording, &clocks, &statistics).expect("index"));
    (recording, index)
}

fn read(dir: &Path, clock: StreamClock, window: std::ops::RangeInclusive<i64>, batch: usize) -> Vec<(i64, u32, i64)> {
    let (recording, index) = opened(dir, Some(clock));
    let mut order = TimeOrder::new(recording, index, window).expect("zstd");
    let mut out = Vec::new();
    while order.next_batch(batch, &mut |time, record| out.push((time, record.stream, record.position))).expect("readable") > 0 {}
    out
}

/// Everything of every record, by way of scratch, with limits so small that there are many runs and several levels.
fn sorted(dir: &Path, clock: Option<StreamClock>, window: std::ops::RangeInclusive<i64>, limits: &SortLimits) -> Vec<(i64, Owned)> {
    let (recording, index) = opened(dir, clock);
    let scratch = tempfile::tempdir().expect("temporary directory");
    let sorted = Arc::new(Sorted::form(&recording, &index, &window, scratch.path(), limits, &mut |_| ()).expect("sorted"));
    assert_eq!(std::fs::read_dir(scratch.path()).expect("readable").count(), 0, "scratch has no name");
    let mut out = Vec::new();
    // A second reading of the same scratch gives the same.
    for _ in 0..2 {
        out.clear();
        let mut merge = Merge::new(Arc::clone(&sorted)).expect("runs");
        while merge.next_batch(7, &mut |time, record| out.push((time, Owned::of(record)))).expect("readable") > 0 {}
    }
    out
}

/// What the order must be: per stream the running maximum of the time, then sorted by (time, stream), stably.
fn model(blocks: &[Vec<Owned>]) -> Vec<(i64, u32, i64)> {
    let mut largest = std::collections::HashMap::new();
    let mut all: Vec<(i64, u32, i64)> = blocks
        .iter()
        .flatten()
        .map(|r| {
            let last = largest.entry(r.stream).or_insert(i64::MIN);
            *last = r.arrival_ns.max(*last);
            (*last, r.stream, r.position)
        })
        .collect();
    all.sort_by_key(|(time, stream, _)| (*time, *stream));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_disorder_comes_out_sorted_and_streams_keep_their_order(
        steps in prop::collection::vec((0u32..6, -2i64..4), 1..200), cut in 1usize..30, roll in 1usize..5, batch in 1usize..50, from in 0i64..2_000, length in 0i64..5_000,
    ) {
        let mut position = std::collections::HashMap::new();
        let mut clock = std::collections::HashMap::new();
        let records: Vec<Owned> = steps.iter().map(|(stream, step)| {
            let p = position.entry(*stream).or_insert(0i64);
            *p += 1;
            // Coarse, so that streams meet at the same times.
            let t = clock.entry(*stream).or_insert(500i64 * i64::from(*stream));
            *t += step * 25;
            Owned { arrival_ns: *t, broker_time: BrokerTime::None, ..Owned::at(*stream, *p) }
        }).collect();
        let blocks: Vec<Vec<Owned>> = records.chunks(cut).map(<[Owned]>::to_vec).collect();
        let dir = tempfile::tempdir().expect("temporary directory");
        write(&dir.path().join("r"), 6, &blocks, roll);
        let expected = model(&blocks);
        prop_assert_eq!(&read(&dir.path().join("r"), StreamClock::Arrival, i64::MIN..=i64::MAX, batch), &expected);
        let window = from..=from + length;
        let inside: Vec<_> = expected.into_iter().filter(|(time, _, _)| window.contains(time)).collect();
        prop_assert_eq!(&read(&dir.path().join("r"), StreamClock::Arrival, window.clone(), batch), &inside);
        let limits = SortLimits { run_bytes: 1 + 40 * cut, merge_bytes: 1, chunk_bytes: 1 + 10 * roll };
        let by_scratch: Vec<_> =
            sorted(&dir.path().join("r"), Some(StreamClock::Arrival), window, &limits).into_iter().map(|(t, r)| (t, r.stream, r.position)).collect();
        prop_assert_eq!(by_scratch, inside);
    }

    #[test]
    fn by_way_of_scratch_comes_the_same_as_from_the_blocks(records in prop::collection::vec(any_record(4), 1..120), cut in 1usize..40, run_bytes in 1usize..4_000) {
        let records = numbered(records);
        let blocks: Vec<Vec<Owned>> = records.chunks(cut).map(<[Owned]>::to_vec).collect();
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("r");
        write(&path, 4, &blocks, 3);
        let (recording, index) = opened(&path, None);
        let mut order = TimeOrder::new(recording, index, i64::MIN..=i64::MAX).expect("zstd");
        let mut expected = Vec::new();
        while order.next_batch(64, &mut |time, record| expected.push((time, Owned::of(record)))).expect("readable") > 0 {}
        prop_assert_eq!(expected.len(), records.len());
        let limits = SortLimits { run_bytes, merge_bytes: 2_000, chunk_bytes: 300 };
        prop_assert_eq!(sorted(&path, None, i64::MIN..=i64::MAX, &limits), expected);
    }
}

#[test]
fn partitions_read_one_after_the_other_need_few_open_blocks() {
    // 8 partitions of 40 blocks each, every one over the same hour: read to the end one after the other. 8 of the 320 blocks cover any instant.
    let dir = tempfile::tempdir().expect("temporary directory");
    let block = |p: u32, n: i64| -> Vec<Owned> {
        (0..10).map(|i| Owned { arrival_ns: (n * 10 + i) * 1_000_000, broker_time: BrokerTime::None, ..Owned::at(p, n * 10 + i) }).collect()
    };
    let blocks: Vec<Vec<Owned>> = (0..8).flat_map(|p| (0..40).map(move |n| (p, n))).map(|(p, n)| block(p, n)).collect();
    write(&dir.path().join("r"), 8, &blocks, 50);
    let (recording, index) = opened(&dir.path().join("r"), Some(StreamClock::Arrival));
    let one = recording.blocks[0].bytes_raw + 10 * 58;
    let open = index.open_bytes_max(&recording, &(i64::MIN..=i64::MAX));
    assert!(open <= 17 * one, "{open} of {one}");
    let times = read(&dir.path().join("r"), StreamClock::Arrival, i64::MIN..=i64::MAX, 64);
    assert_eq!(times.len(), 3_200);
    assert!(times.is_sorted_by_key(|t| t.0));
}

/// 20 blocks of 4 MiB that cover the same four seconds, and before them three that follow each other.
fn far_out_of_order(path: &Path) {
    let block = |n: i64| -> Vec<Owned> {
        (0..4)
            .map(|i| Owned {
                arrival_ns: i * 1_000_000_000 + n,
                value: Some(vec![0; 1 << 20]),
                ..Owned::at(u32::try_from(n).expect("small"), i)
            })
            .collect()
    };
    let alone = |n: i64| vec![Owned { arrival_ns: (n - 10) * 1_000_000_000, ..Owned::at(20, n) }];
    let blocks: Vec<Vec<Owned>> = (0..3).map(alone).chain((0..20).map(block)).collect();
    write(path, 21, &blocks, 100);
}

#[test]
fn disorder_beyond_the_read_budget_is_sorted_through_scratch_and_a_window_that_fits_is_not() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("r");
    far_out_of_order(&path);
    let (recording, index) = opened(&path, Some(StreamClock::Arrival));
    let mut seen = Vec::new();
    let mut ordered =
        Ordered::open(Arc::clone(&recording), Arc::clone(&index), i64::MIN..=i64::MAX, dir.path(), &mut |p| seen.push(p)).expect("sorted");
    let cost = ordered.sort_cost().expect("80 MiB are more than the budget");
    assert_eq!(cost.open_bytes >> 20, 80);
    assert!(cost.scratch_bytes > 0 && seen.iter().all(|p| p.scratch_bytes <= cost.scratch_bytes), "{cost:?}");
    assert_eq!(seen.last().map(|p| p.done_bytes), seen.last().map(|p| p.all_bytes));
    for _ in 0..2 {
        let mut places = Vec::new();
        while ordered.next_batch(10, &mut |time, record| places.push((time, record.stream))).expect("readable") > 0 {}
        assert_eq!(places.len(), 83);
        assert!(places.is_sorted(), "by time, then by stream");
        ordered.rewind().expect("again");
    }
    let mut early = Ordered::open(recording, index, i64::MIN..=-1, dir.path(), &mut |_| ()).expect("within the budget");
    assert_eq!(early.sort_cost(), None);
    assert_eq!(early.next_batch(100, &mut |_, _| ()).expect("readable"), 3);
}

#[test]
fn a_directory_that_is_not_there_is_told() {
    let dir = tempfile::tempdir().expect("temporary directory");
    far_out_of_order(&dir.path().join("r"));
    let (recording, index) = opened(&dir.path().join("r"), Some(StreamClock::Arrival));
    let error = Ordered::open(recording, index, i64::MIN..=i64::MAX, &dir.path().join("none"), &mut |_| ()).err().expect("no directory");
    assert!(error.to_string().starts_with("making a scratch file in "), "{error}");
}

fn gap_of(stream: u32, from: i64, to: i64) -> Gap {
    Gap {
        stream: Some(stream),
        scope: "t/3".into(),
        from: Some(from),
        to: Some(to),
        from_time_ns: None,
        to_time_ns: None,
        count: Some(to.abs_diff(from)),
        exact: true,
        reason: GapReason::Retention,
        detail: String::new(),
    }
}

#[test]
fn a_sorted_copy_holds_all_that_the_recording_holds_in_time_order() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (path, copy) = (dir.path().join("r"), dir.path().join("copy"));
    let blocks: Vec<Vec<Owned>> =
        (0..8u32).flat_map(|p| (0..5i64).map(move |n| (0..20).map(|i| Owned::at(p, n * 40 + i)).collect())).collect();
    {
        let mut writer = RecordingWriter::create(&path, new_recording()).expect("new");
        let rows: Vec<_> = (0..8).map(|p| (stream("t", p), 0)).collect();
        writer.add_streams(&rows).expect("streams");
        writer.attachment("topics.json", "application/json", b"[]".to_vec()).expect("attached");
        writer.ancestor("older").expect("ancestor");
        for block in &blocks {
            writer.block(&encode(block, Compression::Zstd(1))).expect("block");
        }
        let mut books = writer.books();
        // What one of the holes of stream 3 really was.
        books[3].holes -= 20;
        books[3].lost += 20;
        writer.gap(&gap_of(3, 20, 40)).expect("gap");
        writer.checkpoint(&books).expect("checkpoint");
        writer.seal().expect("sealed");
    }
    let (recording, index) = opened(&path, None);
    let mut ordered = Ordered::open(Arc::clone(&recording), index, i64::MIN..=i64::MAX, dir.path(), &mut |_| ()).expect("in order");
    assert_eq!(write_sorted(&mut ordered, &copy, |_| ()).expect("copied"), 800);

    let (copied, copied_index) = opened(&copy, None);
    let of = |r: &Recording| r.streams.iter().map(|s| (s.stream.clone(), s.start, s.records, s.positions, s.books)).collect::<Vec<_>>();
    assert_eq!(of(&copied), of(&recording));
    assert_eq!(copied.gaps, recording.gaps);
    assert_eq!(copied.ancestors, recording.ancestors);
    assert_ne!(copied.id, recording.id);
    let attachments: Vec<String> = copied.attachments().expect("readable").into_iter().map(|a| a.name).collect();
    assert_eq!(attachments, ["topics.json", SORTED_FROM]);
    let report = verify_recording(&copy, |_| ()).expect("a recording");
    assert!(report.unbalanced.is_empty() && report.segments.iter().all(|s| s.sealed && s.damages.is_empty()), "{report:?}");

    let mut before = ordered;
    before.rewind().expect("again");
    let mut expected = Vec::new();
    while before.next_batch(99, &mut |_, record| expected.push(Owned::of(record))).expect("readable") > 0 {}
    let mut in_storage = Vec::new();
    let mut order = TimeOrder::new(copied, copied_index, i64::MIN..=i64::MAX).expect("zstd");
    while order.next_batch(99, &mut |_, record| in_storage.push(Owned::of(record))).expect("readable") > 0 {}
    let by_place = |records: &[Owned]| {
        let mut records = records.to_vec();
        records.sort_by_key(|r| (r.stream, r.position));
        records
    };
    assert_eq!(by_place(&in_storage), by_place(&expected));
    assert!(in_storage.iter().map(|r| r.broker_time.raw()).is_sorted());
}

#[test]
fn a_recording_that_is_not_whole_is_not_copied() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (path, copy) = (dir.path().join("r"), dir.path().join("copy"));
    write(&path, 1, &[vec![Owned::at(0, 1)], vec![Owned::at(0, 2)]], 1);
    let first = Recording::open(&path).expect("a recording").segments[0].path.clone();
    std::fs::remove_file(first).expect("removed");
    let (recording, index) = opened(&path, None);
    let mut ordered = Ordered::open(recording, index, i64::MIN..=i64::MAX, dir.path(), &mut |_| ()).expect("in order");
    let error = write_sorted(&mut ordered, &copy, |_| ()).expect_err("a segment is missing");
    assert!(error.to_string().contains("it is not whole"), "{error}");
    assert!(!copy.exists());
}

#[test]
fn a_damaged_block_costs_that_block_is_told_and_no_stream_waits_for_it() {
    // In its last byte (a value), and in its head, so that not even its times can be read.
    for in_head in [false, true] {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("r");
        let blocks: Vec<Vec<Owned>> = (0..5).map(|n| (0..10).map(|i| Owned::at(u32::from(i % 2 == 0), n * 10 + i)).collect()).collect();
        write(&path, 2, &blocks, 100);
        let recording = Recording::open(&path).expect("a recording");
        let third = recording.blocks[2];
        let file = &recording.segments[0].path;
        let mut bytes = std::fs::read(file).expect("segment");
        let at = if in_head { 20 } else { third.bytes_stored as usize - 1 };
        bytes[usize::try_from(third.offset).expect("small") + 40 + at] ^= 1;
        std::fs::write(file, bytes).expect("segment");

        let (recording, index) = opened(&path, Some(StreamClock::Create));
        let by_scratch =
            sorted(&path, Some(StreamClock::Create), i64::MIN..=i64::MAX, &SortLimits { run_bytes: 500, merge_bytes: 1, chunk_bytes: 100 });
        let mut order = TimeOrder::new(recording, index, i64::MIN..=i64::MAX).expect("zstd");
        let mut positions = Vec::new();
        while order.next_batch(16, &mut |_, record| positions.push(record.position)).expect("goes on") > 0 {}
        positions.sort_unstable();
        let expected: Vec<i64> = (0..50).filter(|p| !(20..30).contains(p)).collect();
        assert_eq!(positions, expected);
        assert_eq!(by_scratch.len(), expected.len());
        assert_eq!(order.damages().len(), 1, "in its head: {in_head}");
        assert_eq!(order.damages()[0].1.from, third.offset);
    }
}
