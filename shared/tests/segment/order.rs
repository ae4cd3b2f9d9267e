//! Time order, against sorting in memory.

use std::path::Path;
use std::sync::Arc;

use dejaq_shared::record::BrokerTime;
use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::codec::Compression;
use dejaq_shared::segment::order::{TimeIndex, TimeOrder};
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::recording_writer::RecordingWriter;
use dejaq_shared::segment::timeline::{StreamClock, measure};
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

fn read(dir: &Path, clock: StreamClock, window: std::ops::RangeInclusive<i64>, batch: usize) -> Vec<(i64, u32, i64)> {
    let recording = Arc::new(Recording::open(dir).expect("a recording"));
    let statistics = measure(&recording).expect("times");
    let clocks = vec![clock; statistics.len()];
    let index = Arc::new(TimeIndex::build(&recording, &clocks, &statistics).expect("index"));
    let mut order = TimeOrder::new(recording, index, window).expect("within the budget");
    let mut out = Vec::new();
    while order.next_batch(batch, &mut |time, record| out.push((time, record.stream, record.position))).expect("readable") > 0 {}
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
        steps in prop::collection::vec((0u32..6, -50i64..100), 1..200), cut in 1usize..30, roll in 1usize..5, batch in 1usize..50, from in 0i64..2_000, length in 0i64..5_000,
    ) {
        let mut position = std::collections::HashMap::new();
        let mut clock = std::collections::HashMap::new();
        let records: Vec<Owned> = steps.iter().map(|(stream, step)| {
            let p = position.entry(*stream).or_insert(0i64);
            *p += 1;
            let t = clock.entry(*stream).or_insert(1_000i64 * i64::from(*stream));
            *t += step;
            Owned { arrival_ns: *t, broker_time: BrokerTime::None, ..Owned::at(*stream, *p) }
        }).collect();
        let blocks: Vec<Vec<Owned>> = records.chunks(cut).map(<[Owned]>::to_vec).collect();
        let dir = tempfile::tempdir().expect("temporary directory");
        write(&dir.path().join("r"), 6, &blocks, roll);
        let expected = model(&blocks);
        prop_assert_eq!(&read(&dir.path().join("r"), StreamClock::Arrival, i64::MIN..=i64::MAX, batch), &expected);
        let window = from..=from + length;
        let inside: Vec<_> = expected.into_iter().filter(|(time, _, _)| window.contains(time)).collect();
        prop_assert_eq!(read(&dir.path().join("r"), StreamClock::Arrival, window, batch), inside);
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
    let recording = Recording::open(&dir.path().join("r")).expect("a recording");
    let statistics = measure(&recording).expect("times");
    let index = TimeIndex::build(&recording, &[StreamClock::Arrival; 8], &statistics).expect("index");
    let one = recording.blocks[0].bytes_raw;
    let open = index.open_bytes_max(&recording, &(i64::MIN..=i64::MAX));
    assert!(open <= 17 * one, "{open} of {one}");
    let times = read(&dir.path().join("r"), StreamClock::Arrival, i64::MIN..=i64::MAX, 64);
    assert_eq!(times.len(), 3_200);
    assert!(times.is_sorted_by_key(|t| t.0));
}

#[test]
fn disorder_beyond_the_read_budget_is_an_error_that_says_so() {
    // 20 blocks of 4 MiB that cover the same four seconds, and before them three that follow each other.
    let dir = tempfile::tempdir().expect("temporary directory");
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
    write(&dir.path().join("r"), 21, &blocks, 100);
    let recording = Arc::new(Recording::open(&dir.path().join("r")).expect("a recording"));
    let statistics = measure(&recording).expect("times");
    let index = Arc::new(TimeIndex::build(&recording, &[StreamClock::Arrival; 21], &statistics).expect("index"));
    let error = TimeOrder::new(Arc::clone(&recording), Arc::clone(&index), i64::MIN..=i64::MAX).err().expect("too far out of order");
    assert!(matches!(error, SegmentError::Disorder { needed_mib: 80, budget_mib: 64, .. }), "{error}");
    // As the error says: a window in which few blocks overlap can be read.
    let mut order = TimeOrder::new(recording, index, i64::MIN..=-1).expect("within the budget");
    assert_eq!(order.next_batch(100, &mut |_, _| ()).expect("readable"), 3);
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

        let recording = Arc::new(Recording::open(&path).expect("a recording"));
        let statistics = measure(&recording).expect("times");
        let index = Arc::new(TimeIndex::build(&recording, &[StreamClock::Create; 2], &statistics).expect("index"));
        let mut order = TimeOrder::new(recording, index, i64::MIN..=i64::MAX).expect("in order");
        let mut positions = Vec::new();
        while order.next_batch(16, &mut |_, record| positions.push(record.position)).expect("goes on") > 0 {}
        positions.sort_unstable();
        let expected: Vec<i64> = (0..50).filter(|p| !(20..30).contains(p)).collect();
        assert_eq!(positions, expected);
        assert_eq!(order.damages().len(), 1, "in its head: {in_head}");
        assert_eq!(order.damages()[0].1.from, third.offset);
    }
}
