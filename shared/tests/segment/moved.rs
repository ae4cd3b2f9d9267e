//! Frames and bodies that are not where they belong: seen by `verify`, and by who reads by the index.

use std::ops::Range;
use std::path::Path;

use dejaq_shared::segment::codec::Compression;
use dejaq_shared::segment::frame::HEAD_BYTES;
use dejaq_shared::segment::reader::{SegmentReader, SegmentState};
use dejaq_shared::segment::verify::verify_segment;
use dejaq_shared::segment::writer::SegmentWriter;

use crate::words::*;

/// Frames 0 and 1 introduce; 2, 3, 4 are blocks of equal length.
fn blocks(sync: [u8; 16]) -> SegmentWriter<Vec<u8>> {
    let mut header = header();
    header.segment.sync = sync;
    let mut writer = begin_with(&header, 1);
    for block in 0..3 {
        let records: Vec<Owned> = (0..4).map(|n| Owned { value: Some(b"same".to_vec()), ..Owned::at(0, 20 + block * 4 + n) }).collect();
        writer.block(&encode(&records, Compression::None)).expect("memory");
    }
    writer
}

fn open() -> Vec<u8> {
    blocks(header().segment.sync).store().clone()
}

fn sealed() -> Vec<u8> {
    blocks(header().segment.sync).seal(false).expect("memory")
}

/// Where each frame of an undamaged segment lies.
fn frames(bytes: &Vec<u8>) -> Vec<Range<usize>> {
    let facts = SegmentReader::read(bytes, Path::new("memory")).expect("whole").facts;
    let of = |offset: u64, body: u32| {
        usize::try_from(offset).expect("small")..usize::try_from(offset).expect("small") + HEAD_BYTES + body as usize
    };
    facts.frames.iter().map(|f| of(f.offset, f.body_bytes)).collect()
}

fn swap(bytes: &mut [u8], a: Range<usize>, b: Range<usize>) {
    assert_eq!(a.len(), b.len(), "this is about equal lengths");
    let kept = bytes[a.clone()].to_vec();
    bytes.copy_within(b.clone(), a.start);
    bytes[b].copy_from_slice(&kept);
}

fn body(frame: &Range<usize>) -> Range<usize> {
    frame.start + HEAD_BYTES..frame.end
}

/// What `verify` says of each damage.
fn damages(bytes: &Vec<u8>) -> Vec<String> {
    verify_segment(bytes, Path::new("memory")).expect("readable").damages.into_iter().map(|d| d.what).collect()
}

/// How many blocks can be read, and how many are told as damaged.
fn told(bytes: &Vec<u8>) -> (usize, usize) {
    let blocks = read_blocks(bytes).expect("readable");
    (blocks.iter().filter(|b| b.is_ok()).count(), blocks.iter().filter(|b| b.is_err()).count())
}

#[test]
fn two_bodies_of_equal_length_that_changed_places_are_seen_with_a_footer_and_without() {
    for (mut bytes, is_sealed) in [(open(), false), (sealed(), true)] {
        let frames = frames(&bytes);
        swap(&mut bytes, body(&frames[3]), body(&frames[4]));
        let found = damages(&bytes);
        assert!(found.len() == 2 && found.iter().all(|d| d.contains("that of another frame")), "{found:?}");
        // By the index both are met and refused; without one they are left out while the frames are looked for.
        assert_eq!(told(&bytes), (1, if is_sealed { 2 } else { 0 }));
    }
}

#[test]
fn two_bodies_of_metadata_that_changed_places_are_seen() {
    let mut writer = begin(1);
    let mut books: Vec<_> = writer.facts().books.values().copied().collect();
    books[0].next = 1;
    writer.checkpoint(&books).expect("memory");
    let mut bytes = writer.store().clone();
    let frames = frames(&bytes);
    swap(&mut bytes, body(&frames[1]), body(&frames[2]));
    assert_eq!(damages(&bytes).len(), 2, "the first checkpoint must not be taken for the second");
}

#[test]
fn a_body_of_the_same_place_in_another_segment_is_seen() {
    let other = blocks([8; 16]).store().clone();
    let mut bytes = open();
    let (mine, theirs) = (frames(&bytes), frames(&other));
    bytes[body(&mine[3])].copy_from_slice(&other[body(&theirs[3])]);
    assert_eq!(damages(&bytes), ["the frame's body is that of another frame"]);
}

#[test]
fn a_frame_of_another_segment_is_no_frame_here() {
    // Of another writer or an earlier segment of the same: each segment has a sync of its own.
    let other = blocks([8; 16]).store().clone();
    for (place, mut bytes) in [(3, open()), (3, sealed()), (4, sealed())] {
        let (mine, theirs) = (frames(&bytes), frames(&other));
        bytes[mine[place].clone()].copy_from_slice(&other[theirs[place].clone()]);
        let found = damages(&bytes);
        assert!(found[0].contains("expected a frame that starts with"), "{found:?}");
        let blocks = read_blocks(&bytes).expect("readable");
        assert_eq!(blocks.iter().filter(|b| b.is_ok()).count(), 2, "its place costs one block");
    }
    // And one more in between.
    let mut bytes = sealed();
    let at = frames(&bytes)[3].start;
    bytes.splice(at..at, other[frames(&other)[3].clone()].to_vec());
    assert_eq!((damages(&bytes).len(), told(&bytes)), (1, (3, 0)));
}

#[test]
fn a_frame_that_was_removed_or_repeated_under_a_whole_footer_costs_no_other() {
    let whole = sealed();
    let third = frames(&whole)[3].clone();
    let mut removed = whole.clone();
    removed.drain(third.clone());
    // The index does not fit the file any more: the frames are gone through.
    assert_eq!(told(&removed), (2, 0));
    let mut repeated = whole.clone();
    repeated.splice(third.end..third.end, whole[third].to_vec());
    assert_eq!(told(&repeated), (3, 0));
}

#[test]
fn frames_of_equal_length_that_changed_places_are_not_read_in_the_wrong_order() {
    let mut bytes = sealed();
    let frames = frames(&bytes);
    swap(&mut bytes, frames[3].clone(), frames[4].clone());
    // The index fits; each of the two has another number than its place.
    let told: Vec<String> = read_blocks(&bytes).expect("readable").into_iter().filter_map(|b| b.err().map(|e| e.to_string())).collect();
    assert!(told.len() == 2 && told[0].contains("frame 4 is where frame 3 was expected"), "{told:?}");
    assert_eq!(damages(&bytes).len(), 2);
}

#[test]
fn a_streams_frame_that_is_gone_is_made_up_for_by_the_footer() {
    let mut bytes = sealed();
    bytes.drain(frames(&sealed())[0].clone());
    let reader = SegmentReader::read(&bytes, Path::new("memory")).expect("readable");
    assert_eq!((reader.state, reader.facts.streams.len(), reader.facts.records), (SegmentState::Sealed, 1, 12));
}

#[test]
fn frames_in_a_payload_are_read_only_where_the_frame_around_them_is_damaged_and_never_in_silence() {
    // The worst case: the writer of a message has read the open segment, so that sync, number and chain all fit.
    let writer = blocks(header().segment.sync);
    let written = writer.store().clone();
    let (facts, end) = (writer.facts().clone(), written.len());
    let mut forger = SegmentWriter::go_on(written.clone(), Path::new("memory"), &header(), facts, end as u64).expect("memory");
    forger.block(&encode(&[Owned::at(0, 999)], Compression::None)).expect("memory");
    let forged = forger.store()[end..].to_vec();

    let facts = writer.facts().clone();
    let mut victim = SegmentWriter::go_on(written, Path::new("memory"), &header(), facts, end as u64).expect("memory");
    let carrier = Owned { value: Some(forged), ..Owned::at(0, 40) };
    victim.block(&encode(std::slice::from_ref(&carrier), Compression::None)).expect("memory");
    victim.block(&encode(&[Owned::at(0, 41)], Compression::None)).expect("memory");
    let whole = victim.store().clone();
    assert_eq!(damages(&whole), [""; 0]);
    assert!(!read_all(&whole).expect("whole").iter().any(|r| r.position == 999));
    // A bad column costs the block, not its length: nothing is looked for inside.
    let place = frames(&whole)[5].clone();
    let mut bad_body = whole.clone();
    bad_body[place.end - 1] ^= 1;
    assert!(!read_all(&bad_body).expect("readable").iter().any(|r| r.position == 999));
    // A bad head does: what is found behind it is told to be behind a damaged stretch.
    let mut bad_head = whole;
    bad_head[place.start + 30] ^= 1;
    assert!(!damages(&bad_head).is_empty());
    assert_eq!(read_all(&bad_head).expect("readable").iter().filter(|r| r.position == 41).count(), 1, "what follows is not lost");
}
