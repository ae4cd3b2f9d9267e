//! The segment rows: writing, reading and size against the `mcap` crate, in one process, one thread, in memory.
//!
//! Both sides get the same messages with the same two times, one channel (or stream) known beforehand, zstd 3 and chunks
//! of 4 MiB. Both read sides sum up every message's time, length and first byte, and the sums must agree.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use dejaq_shared::record::{BrokerTime, EPOCH_UNKNOWN, Headers, Lane, Record, RecordFlags, Stream};
use dejaq_shared::segment::block::{BlockBuilder, BlockEncoder, EncodedBlock};
use dejaq_shared::segment::block_read::{Block, Wanted};
use dejaq_shared::segment::codec::Compression;
use dejaq_shared::segment::frame::{SegmentHeader, frame_type};
use dejaq_shared::segment::meta::{FiltersV1, IntroducedStream, SegmentV1, SourceV1};
use dejaq_shared::segment::reader::{BlockReader, SegmentReader};
use dejaq_shared::segment::writer::SegmentWriter;

use crate::mcap_side;
use crate::payloads::Payloads;
use crate::table::{Row, Target};

/// Bytes of messages in a block or chunk.
pub(crate) const CHUNK_BYTES: usize = 4 << 20;
/// Blocks close at so many records too, as in a capture.
const BLOCK_RECORDS: usize = 64 << 10;
/// zstd's level.
pub(crate) const LEVEL: i32 = 3;
/// Bytes of messages in one measurement: long enough to be timed, short enough for many rounds.
const MEASURED_BYTES: u64 = 120 << 20;

/// What one side is asked to write: the payloads, several times over with times that go on.
pub(crate) struct Input<'a> {
    payloads: &'a Payloads,
    passes: u32,
}

impl<'a> Input<'a> {
    fn new(payloads: &'a Payloads) -> Self {
        let passes = MEASURED_BYTES.div_ceil(payloads.bytes().max(1));
        Self { payloads, passes: u32::try_from(passes).unwrap_or(1).clamp(1, 32) }
    }

    /// Arrival (nanoseconds), create time (milliseconds) and bytes of each message.
    pub(crate) fn each(&self) -> impl Iterator<Item = (i64, i64, &'a [u8])> {
        let all = &self.payloads.messages;
        let first = all.first().map_or(0, |m| m.0);
        let span = all.last().map_or(0, |m| m.0) - first + 1_000;
        (0..i64::from(self.passes)).flat_map(move |pass| {
            all.iter().map(move |(ts, value)| {
                let ts = ts + pass * span;
                (ts * 1_000, ts / 1_000, value.as_slice())
            })
        })
    }

    fn records(&self) -> u64 {
        self.payloads.messages.len() as u64 * u64::from(self.passes)
    }
}

/// What reading a message adds to a side's sum.
#[inline]
pub(crate) fn sum(so_far: u64, arrival_ns: i64, value: &[u8]) -> u64 {
    so_far
        .rotate_left(1)
        .wrapping_add(arrival_ns.cast_unsigned())
        .wrapping_add(value.len() as u64)
        .wrapping_add(value.first().copied().map_or(0, u64::from))
}

/// Measures one set of payloads; `judged`: what is wanted was stated for such messages.
///
/// # Errors
/// When a side fails, or the two read different things.
pub(crate) fn measure(payloads: &Payloads, judged: bool, rounds: usize, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    measure_against(payloads, true, judged, rounds, rows)?;
    measure_against(payloads, false, false, rounds, rows)
}

fn measure_against(payloads: &Payloads, indexes: bool, judged: bool, rounds: usize, rows: &mut Vec<Row>) -> anyhow::Result<()> {
    let input = Input::new(payloads);
    let of = |what: &str| format!("segment {what}: {}", payloads.name);
    // What is wanted holds against the peer as it comes.
    let mcap = if indexes { "mcap 0.24" } else { "mcap 0.24, no message indexes" };
    let wanted = |target| if judged { target } else { Target::None };
    let mut write = Row::new(of("write"), mcap, "records/s", wanted(Target::AtLeast(2.5)));
    let mut write_bytes = Row::new(of("write"), mcap, "MB/s", Target::None);
    let mut read = Row::new(of("read, all columns"), mcap, "records/s", wanted(Target::AtLeast(3.0)));
    let mut times = Row::new(of("read, times only"), "our read of all columns", "records/s", wanted(Target::AtLeast(50.0)));
    let mut size = Row::new(of("size"), mcap, "bytes", wanted(Target::AtMost(0.5)));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // One round that is not counted: buffers grow, caches warm.
    for round in 0..=rounds {
        let (mut written, mut read_sums) = ((0.0, 0.0), ((0, 0.0), (0, 0.0)));
        for ours_now in in_turn(round) {
            if ours_now {
                (ours, written.0) = timed(|| write_ours(&input, std::mem::take(&mut ours)))?;
            } else {
                (theirs, written.1) = timed(|| mcap_side::write(&input, indexes, std::mem::take(&mut theirs)))?;
            }
        }
        for ours_now in in_turn(round) {
            if ours_now {
                read_sums.0 = timed(|| read_all(&ours))?;
            } else {
                read_sums.1 = timed(|| mcap_side::read(&theirs))?;
            }
        }
        let ((sum_ours, read_ours), (sum_theirs, read_theirs)) = read_sums;
        ensure!(sum_ours == sum_theirs, "the two sides read different things");
        let (_, read_times) = timed(|| read_times(&ours))?;
        if round == 0 {
            continue;
        }
        let records = input.records() as f64;
        let megabytes = payloads.bytes() as f64 * f64::from(input.passes) / 1e6;
        write.pairs.push((records / written.0, records / written.1));
        write_bytes.pairs.push((megabytes / written.0, megabytes / written.1));
        read.pairs.push((records / read_ours, records / read_theirs));
        times.pairs.push((records / read_times, records / read_ours));
        size.pairs.push((ours.len() as f64, theirs.len() as f64));
    }
    rows.extend([write, write_bytes, read, size]);
    if indexes {
        rows.push(times);
    }
    Ok(())
}

/// Whether it is our turn, for both turns of a round: who goes first changes from round to round.
pub(crate) fn in_turn(round: usize) -> [bool; 2] {
    if round.is_multiple_of(2) { [true, false] } else { [false, true] }
}

/// One of our passes, over and over, for a profiler to look at; records a second.
///
/// # Errors
/// When it fails.
pub(crate) fn profile(pass: Pass, payloads: &Payloads, rounds: usize) -> anyhow::Result<f64> {
    let input = Input::new(payloads);
    let mut store = write_ours(&input, Vec::new())?;
    let ((), seconds) = timed(|| {
        for _ in 0..rounds {
            match pass {
                Pass::Write => store = write_ours(&input, std::mem::take(&mut store))?,
                Pass::Read => _ = black_box(read_all(&store)?),
                Pass::Times => _ = black_box(read_times(&store)?),
            }
        }
        Ok(())
    })?;
    Ok(input.records() as f64 * rounds as f64 / seconds)
}

/// What to do over and over.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Pass {
    /// Write a segment.
    Write,
    /// Read all columns.
    Read,
    /// Read the times.
    Times,
}

fn timed<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<(T, f64)> {
    let start = Instant::now();
    let done = work()?;
    Ok((done, start.elapsed().as_secs_f64()))
}

fn header() -> SegmentHeader {
    let segment = SegmentV1::first([1; 16], [2; 16], *b"bench only, sync", "dejaq-bench");
    let filters = FiltersV1 { topics: vec!["bench".into()], replayed: "stop".into(), sampled_one_in: 1 };
    let source = SourceV1 { broker: "kafka".into(), cluster: "bench".into(), ancestors: Vec::new() };
    SegmentHeader { filters, ..SegmentHeader::new(segment, source) }
}

fn write_ours(input: &Input<'_>, mut store: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    store.clear();
    let mut writer = SegmentWriter::begin(store, Path::new("bench"), &header())?;
    let stream = IntroducedStream::of(
        0,
        &Stream { cluster: "bench".into(), lane: Lane::Kafka { topic: "bench".into(), topic_id: None, partition: 0 } },
        0,
    );
    writer.streams(&[stream], &[])?;
    let (mut builder, mut encoder, mut block) = (BlockBuilder::new(), BlockEncoder::new()?, EncodedBlock::default());
    for (position, (arrival_ns, create_ms, value)) in (0..).zip(input.each()) {
        builder.push(&Record {
            stream: 0,
            position,
            leader_epoch: EPOCH_UNKNOWN,
            arrival_ns,
            broker_time: BrokerTime::Create(create_ms),
            key: None,
            value: Some(value),
            headers: Headers::EMPTY,
            flags: RecordFlags::default(),
            ..Record::EMPTY
        });
        if builder.bytes_raw() >= CHUNK_BYTES || builder.records() >= BLOCK_RECORDS {
            encoder.encode(&builder, Compression::Zstd(LEVEL), &mut block)?;
            writer.block(&block)?;
            builder.clear();
        }
    }
    if !builder.is_empty() {
        encoder.encode(&builder, Compression::Zstd(LEVEL), &mut block)?;
        writer.block(&block)?;
    }
    Ok(writer.seal(false)?)
}

fn each_block(store: &Vec<u8>, wanted: Wanted, mut with: impl FnMut(&Block)) -> anyhow::Result<()> {
    let path = Path::new("bench");
    let segment = SegmentReader::read(store, path)?;
    let (mut reader, mut block) = (BlockReader::new()?, Block::default());
    for frame in segment.facts.frames.iter().filter(|f| f.frame_type == frame_type::RECORDS) {
        reader.read(store, path, &segment.header.segment.sync, frame.offset, wanted, &mut block).context("our read")?;
        with(&block);
    }
    Ok(())
}

fn read_all(store: &Vec<u8>) -> anyhow::Result<u64> {
    let mut total = 0;
    each_block(store, Wanted::ALL, |block| {
        for record in 0..block.len() {
            let record = black_box(block.record(record));
            total = sum(total, record.arrival_ns, record.value.unwrap_or_default());
        }
    })?;
    Ok(total)
}

fn read_times(store: &Vec<u8>) -> anyhow::Result<i64> {
    let mut total = 0i64;
    each_block(store, Wanted::TIMES, |block| {
        for record in 0..block.len() {
            total = total.wrapping_add(block.arrival_ns(record)).wrapping_add(block.broker_time(record).raw());
        }
    })?;
    Ok(black_box(total))
}
