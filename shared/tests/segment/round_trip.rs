//! What is written comes back, whatever it is.

use std::path::Path;

use dejaq_shared::segment::codec::Compression;
use dejaq_shared::segment::reader::{SegmentReader, SegmentState};
use dejaq_shared::segment::verify::verify_segment;
use proptest::prelude::*;

use crate::words::*;

proptest! {
    #[test]
    fn every_record_comes_back(records in prop::collection::vec(prop_oneof![any_record(5), any_rabbit_record(5)], 1..120), level in -1i32..5, cut in 1usize..100) {
        let records = numbered(records);
        let compression = if level < 0 { Compression::None } else { Compression::Zstd(level) };
        let mut writer = begin(5);
        for part in records.chunks(cut) {
            writer.block(&encode(part, compression)).expect("memory");
        }
        prop_assert_eq!(&read_all(writer.store()).expect("open segment"), &records);
        let sealed = writer.seal(false).expect("memory");
        prop_assert_eq!(&read_all(&sealed).expect("sealed segment"), &records);
        let report = verify_segment(&sealed, Path::new("memory")).expect("readable");
        prop_assert!(report.sealed && report.damages.is_empty(), "{:?}", report);
        prop_assert_eq!(report.records, records.len() as u64);
    }
}

#[test]
fn keys_that_repeat_and_keys_that_do_not_both_come_back() {
    for distinct in [1i64, 200, 300, 5_000] {
        let records: Vec<Owned> = (0..5_000)
            .map(|n| Owned { key: (n % 11 != 0).then(|| format!("k{}", n % distinct).into_bytes()), ..Owned::at(0, n) })
            .collect();
        assert_eq!(read_all(segment(1, &[&records]).store()).expect("open"), records, "{distinct} distinct keys");
    }
}

#[test]
fn the_footer_only_repeats_what_the_frames_say() {
    let records: Vec<Owned> = (0..100).map(|n| Owned::at(0, n * 2)).collect();
    let mut writer = segment(2, &[&records[..50], &records[50..]]);
    writer.gap(&gap(0, 199, 250)).expect("memory");
    let open = SegmentReader::read(writer.store(), Path::new("memory")).expect("open");
    let sealed = SegmentReader::read(&writer.seal(false).expect("memory"), Path::new("memory")).expect("sealed");
    assert_eq!((open.state, sealed.state), (SegmentState::Open, SegmentState::Sealed));
    assert_eq!(open.facts, sealed.facts);
}

#[test]
fn holes_and_gaps_are_told_apart_in_the_books() {
    let mut writer = begin(1);
    writer.block(&encode(&[Owned::at(0, 0), Owned::at(0, 1), Owned::at(0, 4)], Compression::None)).expect("memory");
    writer.gap(&gap(0, 5, 9)).expect("memory");
    writer.block(&encode(&[Owned::at(0, 11)], Compression::None)).expect("memory");
    let books = writer.facts().books[&0];
    assert_eq!((books.next, books.written, books.holes, books.lost), (12, 4, 4, 4));
}

fn gap(stream: u32, from: i64, to: i64) -> dejaq_shared::record::Gap {
    dejaq_shared::record::Gap {
        stream: Some(stream),
        scope: "t/0".into(),
        from: Some(from),
        to: Some(to),
        from_time_ns: None,
        to_time_ns: None,
        count: Some(from.abs_diff(to)),
        exact: true,
        reason: dejaq_shared::record::GapReason::Retention,
        detail: String::new(),
    }
}
