//! What an older build does with what a newer one wrote.

use std::path::Path;

use dejaq_shared::segment::codec::Compression;
use dejaq_shared::segment::frame::{FrameHead, HEAD_BYTES, seal_metadata};
use dejaq_shared::segment::meta::FrameEntryV1;
use dejaq_shared::segment::scan::read_header;
use dejaq_shared::segment::verify::verify_segment;
use dejaq_shared::segment::writer::SegmentWriter;
use dejaq_shared::segment::{MUST_UNDERSTAND, SegmentError};

use crate::words::*;

#[test]
fn a_future_version_is_refused_by_its_number() {
    let mut bytes = segment(1, &[&[Owned::at(0, 0)]]).seal(false).expect("memory");
    bytes[8] = 2;
    let error = read_all(&bytes).expect_err("newer");
    assert!(matches!(error, SegmentError::FutureVersion { version: 2, supported: 1, .. }));
    assert!(error.to_string().contains("use a newer dejaq"), "{error}");
}

/// An open segment: a frame of an unknown type, and a block behind it.
fn with_unknown_frame(flags: u16) -> Vec<u8> {
    let written = begin(1);
    let (mut facts, mut bytes) = (written.facts().clone(), written.store().clone());
    let body = seal_metadata(b"whatever".to_vec());
    let length = u32::try_from(body.len()).expect("small");
    let (head, crc) = FrameHead::encode(&header().segment.sync, 77, flags, facts.next_number, facts.last_head_crc, length);
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&body);
    (facts.next_number, facts.last_head_crc) = (facts.next_number + 1, crc);
    let end = bytes.len() as u64;
    let mut writer = SegmentWriter::go_on(bytes, Path::new("memory"), &header(), facts, end).expect("memory");
    writer.block(&encode(&[Owned::at(0, 0)], Compression::None)).expect("memory");
    writer.store().clone()
}

#[test]
fn an_unknown_frame_is_skipped_by_its_length() {
    let bytes = with_unknown_frame(0);
    assert_eq!(read_all(&bytes).expect("skipped").len(), 1);
    assert!(verify_segment(&bytes, Path::new("memory")).expect("readable").damages.is_empty());
}

#[test]
fn an_unknown_frame_that_must_be_understood_is_refused() {
    let error = read_all(&with_unknown_frame(MUST_UNDERSTAND)).expect_err("must be understood");
    assert!(error.to_string().contains("frame type 77"), "{error}");
}

/// A block whose head has one more column, of one byte, with an unknown number.
fn with_unknown_column(flags: u8) -> Vec<u8> {
    let written = segment(1, &[&[Owned::at(0, 0)]]);
    let bytes = written.store();
    let frame = written.facts().frames.last().expect("a block").clone();
    let at = usize::try_from(frame.offset).expect("small");
    let body = &bytes[at + HEAD_BYTES..];
    let head_length = u32::from_le_bytes([body[12], body[13], body[14], body[15]]) as usize;
    let mut head = body[16..16 + head_length].to_vec();
    let column_row = [99, flags, 0, 1, 1];
    let crc = crc32c::crc32c(b"!");
    let rows = decode_rows(&head);
    head[rows.0] = rows.1 + 1;
    head.extend_from_slice(&column_row);
    head.extend_from_slice(&crc.to_le_bytes());
    // The frame gets longer, and its head another checksum: column 0, the first, holds it.
    let (header, _, _) = read_header(bytes, Path::new("memory")).expect("header");
    let previous = u32::from_le_bytes(bytes[at + 28..at + 32].try_into().expect("4 bytes"));
    let length = frame.body_bytes + u32::try_from(column_row.len()).expect("small") + 4 + 1;
    let (frame_head, frame_crc) = FrameHead::encode(&header.segment.sync, 1, MUST_UNDERSTAND, 2, previous, length);
    head[rows.0 + 6..][..4].copy_from_slice(&crc32c::crc32c(&frame_crc.to_le_bytes()).to_le_bytes());
    let mut out_body = body[..12].to_vec();
    let mut framed = u32::try_from(head.len()).expect("small").to_le_bytes().to_vec();
    framed.extend_from_slice(&head);
    out_body.extend_from_slice(&framed);
    out_body.extend_from_slice(&crc32c::crc32c(&framed).to_le_bytes());
    out_body.extend_from_slice(&frame_crc.to_le_bytes());
    out_body.extend_from_slice(&body[24 + head_length..]);
    out_body.push(b'!');
    assert_eq!(out_body.len(), length as usize);
    let mut out = bytes[..at].to_vec();
    out.extend_from_slice(&frame_head);
    out.extend_from_slice(&out_body);
    out
}

/// Where in a block's head the number of columns is, and what it is.
fn decode_rows(head: &[u8]) -> (usize, u8) {
    use dejaq_shared::varint::read_u64;
    let mut rest = head;
    // records, raw bytes, base, streams; then one stream row of 10 numbers and 2 broker times.
    for _ in 0..4 + 12 {
        read_u64(&mut rest).expect("a number");
    }
    (head.len() - rest.len(), rest[0])
}

#[test]
fn an_unknown_column_is_skipped_by_its_length() {
    let bytes = with_unknown_column(0);
    assert_eq!(read_all(&bytes).expect("skipped"), [Owned::at(0, 0)]);
    assert!(verify_segment(&bytes, Path::new("memory")).expect("readable").damages.is_empty());
}

#[test]
fn an_unknown_column_that_must_be_understood_is_refused() {
    let error = read_all(&with_unknown_column(1)).expect_err("must be understood");
    assert!(error.to_string().contains("column 99"), "{error}");
}

#[test]
fn an_unknown_frame_is_checked_by_the_checksum_that_closes_it() {
    let mut bytes = with_unknown_frame(0);
    let at = bytes.windows(8).position(|w| w == b"whatever").expect("the unknown body");
    bytes[at] ^= 1;
    let report = verify_segment(&bytes, Path::new("memory")).expect("readable");
    assert_eq!(report.damages.len(), 1, "{report:?}");
}

#[test]
fn a_sealed_segment_whose_index_names_an_unknown_frame_that_must_be_understood_is_refused() {
    let bytes = with_unknown_frame(MUST_UNDERSTAND);
    // As a later build would seal it: the index names the frame, by its type alone.
    let mut facts = segment(1, &[&[Owned::at(0, 0)]]).facts().clone();
    let block = facts.frames.pop().expect("a block");
    let unknown = FrameEntryV1 { offset: block.offset, frame_type: 77, body_bytes: 12, block: None };
    let after = unknown.offset + HEAD_BYTES as u64 + u64::from(unknown.body_bytes);
    facts.frames.extend([unknown, FrameEntryV1 { offset: after, ..block }]);
    (facts.next_number, facts.last_head_crc) = (4, 0);
    let end = bytes.len() as u64;
    let sealed = SegmentWriter::go_on(bytes, Path::new("memory"), &header(), facts, end).expect("memory").seal(false).expect("memory");
    let error = read_all(&sealed).expect_err("must be understood");
    assert!(error.to_string().contains("frame type 77"), "{error}");
}
