//! What a hostile writer makes: every checksum is right, the content is not. Answered as damage, without a panic, and
//! without more time or memory than the bytes are worth.

use std::cell::Cell;
use std::io;
use std::path::Path;

use dejaq_shared::segment::block_read::{Block, BlockFault, Wanted};
use dejaq_shared::segment::codec::{ColumnDecoder, Compression};
use dejaq_shared::segment::facts::SegmentFacts;
use dejaq_shared::segment::frame::{FrameHead, frame_type, seal_metadata};
use dejaq_shared::segment::meta::{CheckpointV1, IntroducedStream, StreamBooksV1, tag, write};
use dejaq_shared::segment::reader::SegmentReader;
use dejaq_shared::segment::scan::read_header;
use dejaq_shared::segment::store::ReadAt;
use dejaq_shared::segment::verify::verify_segment;
use dejaq_shared::segment::{MUST_UNDERSTAND, STREAMS_MAX};
use dejaq_shared::varint::{write_i64, write_u64};

use crate::words::*;

/// A block's body: stream rows (number, records, kinds) and columns (number, bytes), as they are.
fn body(records: u64, rows: &[(u64, u64, u64)], columns: &[(u64, &[u8])]) -> Vec<u8> {
    let mut head = Vec::new();
    write_u64(&mut head, records);
    write_u64(&mut head, 0);
    write_i64(&mut head, 0);
    write_u64(&mut head, rows.len() as u64);
    for (stream, records, kinds) in rows {
        // first 0, last − first, epoch, raw bytes, largest, arrivals.
        [*stream, *records, 0, records - 1, 0, 0, 0, 0, 0, *kinds].iter().for_each(|n| write_u64(&mut head, *n));
        if kinds & 6 != 0 {
            head.extend_from_slice(&[0, 0]);
        }
    }
    write_u64(&mut head, columns.len() as u64);
    for (number, bytes) in columns {
        [*number, 1, 0, bytes.len() as u64, bytes.len() as u64].iter().for_each(|n| write_u64(&mut head, *n));
        head.extend_from_slice(&crc32c::crc32c(bytes).to_le_bytes());
    }
    let mut out = vec![0; 8];
    out.extend_from_slice(&crc32c::crc32c(&[0; 8]).to_le_bytes());
    let framed = [&u32::try_from(head.len()).expect("small").to_le_bytes(), head.as_slice()].concat();
    out.extend_from_slice(&framed);
    out.extend_from_slice(&crc32c::crc32c(&framed).to_le_bytes());
    columns.iter().for_each(|(_, bytes)| out.extend_from_slice(bytes));
    out
}

fn fault(body: &[u8]) -> String {
    let mut decoder = ColumnDecoder::new().expect("zstd");
    match Block::default().decode(&mut decoder, body, Wanted::ALL) {
        Ok(()) => "none".into(),
        Err(BlockFault::Damaged(what) | BlockFault::MustUnderstand(what)) => what,
    }
}

#[test]
fn blocks_that_contradict_themselves_are_damage() {
    assert_eq!(fault(&body(3, &[(0, 2, 1), (5, 1, 1)], &[(1, &[0, 2, 1, 1])])), "none");
    assert!(fault(&body(3, &[(5, 2, 1), (5, 1, 1)], &[(1, &[0, 2, 1, 1])])).contains("two rows"));
    assert!(fault(&body(3, &[(0, 2, 1), (5, 1, 1)], &[(1, &[0, 1, 1, 2])])).contains("more than the rows say"));
    assert!(fault(&body(3, &[(0, 3, 3)], &[])).contains("several kinds"));
    assert_eq!(fault(&body(3, &[(0, 3, 3)], &[(5, &[0, 1, 0])])), "none");
    // A dictionary has entries for its records, not for the whole memory.
    assert_eq!(fault(&body(2, &[(0, 2, 1)], &[(10, &[2, 2]), (11, b"ab"), (12, &[1, 2])])), "none");
    assert!(fault(&body(2, &[(0, 2, 1)], &[(10, &[1, 1, 1]), (12, &[1, 2])])).contains("lengths"));
}

/// An open segment with one more frame of metadata at its end.
fn with_metadata(frame_type: u16, list: Vec<u8>) -> Vec<u8> {
    let writer = begin(1);
    let body = seal_metadata(list);
    let length = u32::try_from(body.len()).expect("small");
    let facts = writer.facts();
    let (head, _) = FrameHead::encode(&header().segment.sync, frame_type, MUST_UNDERSTAND, facts.next_number, facts.last_head_crc, length);
    [writer.store().as_slice(), &head, &body].concat()
}

fn damages(bytes: &Vec<u8>) -> Vec<String> {
    verify_segment(bytes, Path::new("memory")).expect("readable").damages.into_iter().map(|d| d.what).collect()
}

#[test]
fn metadata_that_contradicts_the_limits_is_damage() {
    let mut list = Vec::new();
    IntroducedStream::of(STREAMS_MAX, &stream("t", 0), 0).write(&mut list).expect("small");
    assert!(damages(&with_metadata(frame_type::STREAMS, list))[0].contains("limit is 1048576"));
    let mut list = Vec::new();
    for _ in 0..2 {
        write(&mut list, tag::CHECKPOINT, MUST_UNDERSTAND, &CheckpointV1 { streams: Vec::new() }).expect("small");
    }
    assert!(damages(&with_metadata(frame_type::CHECKPOINT, list))[0].contains("two entries"));
}

#[test]
fn a_header_that_says_a_thing_twice_is_damage() {
    let bytes = header().encode().expect("small");
    let list = &bytes[16..bytes.len() - 4];
    let mut twice = bytes[..12].to_vec();
    twice.extend_from_slice(&u32::try_from(list.len() * 2).expect("small").to_le_bytes());
    twice.extend_from_slice(&list.repeat(2));
    twice.extend_from_slice(&crc32c::crc32c(&twice).to_le_bytes());
    assert!(read_header(&twice, Path::new("memory")).expect_err("twice").to_string().contains("two entries with tag 1"));
}

#[test]
fn numbers_at_their_end_do_not_overflow() {
    let books = StreamBooksV1 {
        id: 0,
        next: i64::MIN,
        leader_epoch: 0,
        written: u64::MAX,
        holes: u64::MAX,
        lost: u64::MAX,
        filtered: u64::MAX,
        ended: false,
    };
    let mut writer = begin(1);
    writer.checkpoint(&[books]).expect("memory");
    let records = [i64::MAX - 1, i64::MAX].map(|position| Owned { position, ..Owned::at(0, 0) });
    writer.block(&encode(&records, Compression::None)).expect("memory");
    assert_eq!(writer.facts().books[&0].holes, u64::MAX);
    let mut bytes = writer.store().clone();
    assert_eq!(read_all(&bytes).expect("whole").len(), 2);
    // The last frame number there can be.
    let body = seal_metadata(Vec::new());
    let (head, _) = FrameHead::encode(&header().segment.sync, frame_type::STREAMS, MUST_UNDERSTAND, u64::MAX, 0, 4);
    for _ in 0..2 {
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(&body);
    }
    assert!(!damages(&bytes).is_empty());
}

/// Bytes that count how many of them are read.
struct Counting(Vec<u8>, Cell<u64>);

impl ReadAt for Counting {
    fn bytes(&self) -> io::Result<u64> {
        self.0.bytes()
    }

    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        self.1.set(self.1.get() + into.len() as u64);
        self.0.read_exact_at(into, offset)
    }
}

#[test]
fn a_thousand_bad_places_are_not_each_looked_for_in_a_megabyte() {
    let mut bytes = begin(1).store().clone();
    // Frames that are whole, a bad byte before each.
    let body = seal_metadata(Vec::new());
    for number in 10..1010 {
        let (head, _) = FrameHead::encode(&header().segment.sync, frame_type::STREAMS, MUST_UNDERSTAND, number, 0, 4);
        bytes.extend_from_slice(&[b'!'; 1]);
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(&body);
    }
    bytes.extend(vec![0; 1 << 20]);
    let store = Counting(bytes, Cell::new(0));
    let report = verify_segment(&store, Path::new("memory")).expect("readable");
    assert!(report.damages.len() >= 1000);
    assert!(store.1.get() < 8 << 20, "{} bytes were read of {}", store.1.get(), store.0.len());
}

#[test]
fn a_hundred_thousand_streams_are_introduced_in_one_pass() {
    // Quadratic, this would take minutes.
    let mut writer = begin(0);
    let rows: Vec<IntroducedStream> = (0..100_000).map(|id| IntroducedStream::of(id, &stream("t", id.cast_signed()), 0)).collect();
    writer.streams(&rows, &rows.iter().map(|r| format!("cluster {}", r.id)).collect::<Vec<_>>()).expect("memory");
    let facts: SegmentFacts = SegmentReader::read(writer.store(), Path::new("memory")).expect("open").facts;
    assert_eq!((facts.streams.len(), facts.ancestors.len()), (100_000, 100_000));
}
