//! The damage policy, sentence by sentence.

use std::path::Path;

use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::frame::{FrameHead, HEAD_BYTES};
use dejaq_shared::segment::reader::SegmentReader;
use dejaq_shared::segment::recovery::recover;
use dejaq_shared::segment::scan::read_header;
use dejaq_shared::segment::verify::verify_segment;
use proptest::prelude::*;

use crate::words::*;

fn small() -> (Vec<u8>, Vec<Owned>) {
    let records: Vec<Owned> = (0..12).map(|n| Owned::at(u32::from(n % 3 == 0), n)).collect();
    let bytes = segment(2, &[&records[..4], &records[4..8], &records[8..]]).seal(false).expect("memory");
    (bytes, records)
}

/// Damage that verification finds, or a refusal: anything but a clean bill.
fn is_seen(bytes: &Vec<u8>) -> bool {
    match verify_segment(bytes, Path::new("memory")) {
        Ok(report) => !report.sealed || !report.damages.is_empty(),
        Err(_) => true,
    }
}

#[test]
fn each_flipped_byte_is_seen_and_costs_at_most_its_block() {
    let (bytes, records) = small();
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x55;
        assert!(is_seen(&flipped), "byte {at} of {}", bytes.len());
        // What can still be read is as it was written.
        if let Ok(found) = read_all(&flipped) {
            assert!(found.iter().all(|r| records.contains(r)), "byte {at} changed a record");
        }
    }
}

#[test]
fn truncated_at_every_byte_it_is_never_taken_for_whole() {
    let (bytes, records) = small();
    for length in 0..bytes.len() {
        let cut = bytes[..length].to_vec();
        assert!(is_seen(&cut), "{length} of {} bytes", bytes.len());
        if let Ok(found) = read_all(&cut) {
            assert_eq!(found, records[..found.len()], "{length} bytes");
        }
    }
}

#[test]
fn a_bad_block_costs_that_block() {
    let (bytes, records) = small();
    let reader = SegmentReader::read(&bytes, Path::new("memory")).expect("whole");
    let middle = reader.facts.frames[3].offset;
    let mut damaged = bytes;
    let last = usize::try_from(middle).expect("small") + HEAD_BYTES + reader.facts.frames[3].body_bytes as usize - 1;
    damaged[last] ^= 1;
    let report = verify_segment(&damaged, Path::new("memory")).expect("readable");
    assert_eq!(report.damages.len(), 1, "{:?}", report.damages);
    assert_eq!((report.damages[0].from, report.records), (middle, records.len() as u64 - 4));
}

#[test]
fn a_removed_a_repeated_and_a_swapped_frame_are_seen() {
    let (bytes, _) = small();
    let reader = SegmentReader::read(&bytes, Path::new("memory")).expect("whole");
    let frame = |n: usize| {
        let entry = &reader.facts.frames[n];
        let start = usize::try_from(entry.offset).expect("small");
        start..start + HEAD_BYTES + entry.body_bytes as usize
    };
    let with = |order: &[usize]| {
        let mut out = bytes[..frame(0).start].to_vec();
        order.iter().for_each(|n| out.extend_from_slice(&bytes[frame(*n)]));
        out.extend_from_slice(&bytes[frame(4).end..]);
        out
    };
    assert!(!is_seen(&with(&[0, 1, 2, 3, 4])));
    for order in [&[0, 1, 2, 4][..], &[0, 1, 2, 3, 3, 4], &[0, 1, 2, 4, 3], &[0, 1, 2, 3], &[1, 2, 3, 4]] {
        assert!(is_seen(&with(order)), "{order:?}");
    }
}

#[test]
fn bytes_that_look_like_frames_inside_a_payload_are_not_taken_for_frames() {
    let (inner, _) = small();
    let records = vec![Owned { value: Some(inner.clone()), ..Owned::at(0, 0) }, Owned { value: Some(inner), ..Owned::at(0, 1) }];
    let mut writer = begin(1);
    writer.block(&encode(&records, dejaq_shared::segment::codec::Compression::None)).expect("memory");
    let mut bytes = writer.seal(false).expect("memory");
    assert!(!is_seen(&bytes));
    assert_eq!(read_all(&bytes).expect("whole"), records);
    // Damage before it: the reader resynchronises over the payload. The inner segment has the same sync bytes here (the
    // tests' header is fixed), the worst case; its frames do not fit the chain's numbers and are told as damage.
    let at = usize::try_from(read_header(&bytes, Path::new("memory")).expect("header").2).expect("small") + 4;
    bytes[at] ^= 1;
    assert!(is_seen(&bytes));
}

#[test]
fn a_header_that_claims_4_gib_asks_for_no_memory() {
    let (mut bytes, _) = small();
    bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = read_all(&bytes).expect_err("too long").to_string();
    assert!(error.contains("claims 4294967295 bytes") && error.contains("limit"), "{error}");
}

#[test]
fn a_frame_that_claims_4_gib_asks_for_no_memory() {
    let (mut bytes, _) = small();
    let start = usize::try_from(read_header(&bytes, Path::new("memory")).expect("header").2).expect("small");
    let (head, _) = FrameHead::encode(&header().segment.sync, 1, 0, 0, 0, u32::MAX);
    bytes[start..start + HEAD_BYTES].copy_from_slice(&head);
    let report = verify_segment(&bytes, Path::new("memory")).expect("readable");
    assert!(report.damages[0].what.contains("limit"), "{:?}", report.damages);
}

#[test]
fn something_else_is_no_segment() {
    for bytes in [b"PK\x03\x04 this is a zip file".to_vec(), vec![0; 4096]] {
        assert!(matches!(read_all(&bytes), Err(SegmentError::NotASegment { .. })), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_after_a_good_header_are_answered(tail in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = header().encode().expect("small");
        bytes.extend_from_slice(&tail);
        let _ = verify_segment(&bytes, Path::new("memory"));
        let _ = read_all(&bytes);
    }

    /// A body with right checksums and wrong content: what a hostile writer would make.
    #[test]
    fn a_block_whose_checksums_are_right_and_whose_content_is_not_is_answered(at in 0usize..2_000, to in any::<u8>()) {
        use dejaq_shared::segment::block_read::{Block, Wanted};
        let (bytes, _) = small();
        let reader = SegmentReader::read(&bytes, Path::new("memory")).expect("whole");
        let entry = &reader.facts.frames[2];
        let start = usize::try_from(entry.offset).expect("small") + HEAD_BYTES;
        let mut body = bytes[start..start + entry.body_bytes as usize].to_vec();
        let head_length = u32::from_le_bytes([body[12], body[13], body[14], body[15]]) as usize;
        let at = 16 + at % head_length;
        body[at] = to;
        let crc = crc32c::crc32c(&body[12..16 + head_length]);
        body[16 + head_length..20 + head_length].copy_from_slice(&crc.to_le_bytes());
        let mut decoder = dejaq_shared::segment::codec::ColumnDecoder::new().expect("zstd");
        let mut block = Block::default();
        if block.decode(&mut decoder, &body, Wanted::ALL).is_ok() {
            for record in 0..block.len() {
                let _ = Owned::of(&block.record(record));
            }
        }
    }
}

#[test]
fn a_damaged_footer_costs_no_frame_in_reading_nor_in_recovery() {
    let (bytes, records) = small();
    let reader = SegmentReader::read(&bytes, Path::new("memory")).expect("whole");
    let last = reader.facts.frames.last().expect("a block");
    let frames_end = last.offset + HEAD_BYTES as u64 + u64::from(last.body_bytes);
    for at in usize::try_from(frames_end).expect("small")..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert!(is_seen(&flipped), "byte {at}, bit {bit}");
            assert_eq!(read_all(&flipped).expect("the frames say it all"), records, "byte {at}, bit {bit}");
            let recovered = recover(&flipped, Path::new("memory")).expect("readable");
            assert_eq!((recovered.sealed, recovered.keep_bytes), (false, frames_end), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn a_payload_that_is_a_whole_segment_does_not_seal_the_one_it_is_in() {
    let (mut inner, _) = small();
    // Another segment: another sync.
    let other = [7u8; 16];
    while let Some(at) = inner.windows(16).position(|w| *w == header().segment.sync) {
        inner[at..at + 16].copy_from_slice(&other);
    }
    let end = inner.len() - 12;
    let footer = inner.windows(8).rposition(|w| *w == dejaq_shared::segment::FOOTER_MAGIC).expect("sealed");
    let crc = crc32c::crc32c(&inner[footer..end]).to_le_bytes();
    inner[end..end + 4].copy_from_slice(&crc);
    let records = vec![Owned { value: Some(inner), ..Owned::at(0, 0) }];
    let mut writer = begin(1);
    writer.block(&encode(&records, dejaq_shared::segment::codec::Compression::None)).expect("memory");
    let bytes = writer.store().clone();
    assert!(bytes.ends_with(&dejaq_shared::segment::END_MAGIC));
    let report = verify_segment(&bytes, Path::new("memory")).expect("readable");
    assert!(!report.sealed && report.damages.is_empty(), "{report:?}");
    assert_eq!(read_all(&bytes).expect("open"), records);
}

#[test]
fn what_a_block_accepts_can_be_read() {
    use dejaq_shared::segment::block::{BlockBuilder, BlockEncoder, EncodedBlock};
    use dejaq_shared::segment::block_read::{Block, Wanted};
    let mut builder = BlockBuilder::new();
    // No payload, and numbers as long as they get: nothing but the count of records can close it.
    let mut state = 1u64;
    let mut position = i64::MIN;
    loop {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        position += 1 << 43;
        let record = dejaq_shared::record::Record {
            stream: u32::from(state >> 63 == 1),
            position,
            leader_epoch: 0,
            arrival_ns: state.cast_signed(),
            broker_time: dejaq_shared::record::BrokerTime::Create(state.cast_signed()),
            key: None,
            value: None,
            headers: dejaq_shared::record::Headers::EMPTY,
            flags: dejaq_shared::record::RecordFlags(1),
            ..dejaq_shared::record::Record::EMPTY
        };
        if !builder.accepts(&record) {
            break;
        }
        builder.push(&record);
    }
    let mut encoded = EncodedBlock::default();
    BlockEncoder::new().expect("zstd").encode(&builder, dejaq_shared::segment::codec::Compression::None, &mut encoded).expect("memory");
    let mut writer = begin(2);
    writer.block(&encoded).expect("memory");
    let reader = SegmentReader::read(writer.store(), Path::new("memory")).expect("open");
    let offset = reader.facts.frames.last().expect("a block").offset;
    let mut blocks = dejaq_shared::segment::reader::BlockReader::new().expect("zstd");
    let mut block = Block::default();
    blocks.read(writer.store(), Path::new("memory"), &header().segment.sync, offset, Wanted::ALL, &mut block).expect("readable");
    assert_eq!(block.len(), builder.records());
}

#[test]
fn a_damaged_streams_frame_costs_no_other_segment_and_only_blocks_that_nothing_names() {
    use dejaq_shared::segment::recording::{Recording, segment_paths};
    use dejaq_shared::segment::recording_writer::RecordingWriter;
    for damaged in [0usize, 1] {
        let scratch = tempfile::tempdir().expect("temporary directory");
        let dir = scratch.path().join("r");
        let mut writer = RecordingWriter::create(&dir, new_recording()).expect("new");
        if damaged == 1 {
            writer.add_streams(&[(stream("t", 0), 0)]).expect("streams");
            writer.block(&encode(&[Owned::at(0, 0)], dejaq_shared::segment::codec::Compression::None)).expect("block");
        }
        writer.roll().expect("roll");
        if damaged == 0 {
            writer.add_streams(&[(stream("t", 0), 0)]).expect("streams");
        }
        writer.block(&encode(&[Owned::at(0, 1)], dejaq_shared::segment::codec::Compression::None)).expect("block");
        drop(writer);
        // The newest segment is open; in it the frame that introduces the stream.
        let path = segment_paths(&dir).expect("segments").pop().expect("two");
        let mut bytes = std::fs::read(&path).expect("readable");
        let frames = SegmentReader::read(&bytes, &path).expect("open").facts.frames;
        let names = frames.iter().rev().find(|f| f.frame_type == 2).expect("streams");
        bytes[usize::try_from(names.offset).expect("small") + HEAD_BYTES + 9] ^= 1;
        std::fs::write(&path, bytes).expect("writable");
        let recording = Recording::open(&dir).expect("the rest of it can be read");
        let nameless = recording.segments[1].damages.iter().filter(|d| d.what.contains("introduces it")).count();
        assert_eq!((recording.records(), nameless), if damaged == 1 { (2, 0) } else { (0, 1) });
    }
}
