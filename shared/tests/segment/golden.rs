//! The fixtures: what earlier builds wrote reads as it did then, and each wrong segment is answered as it must be.
//!
//! Reads only: a fixture is never rewritten by a test (fixtures/README.md).

use std::path::{Path, PathBuf};

use dejaq_shared::ndjson::Exporter;
use dejaq_shared::record::GapReason;
use dejaq_shared::segment::reader::{SegmentReader, SegmentState};
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::verify::{SegmentReport, verify_segment};
use dejaq_shared::segment::{END_MAGIC, SegmentError};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(name)
}

fn read(folder_name: &str, name: &str) -> Vec<u8> {
    std::fs::read(folder(folder_name).join(name)).expect(name)
}

fn verify(folder_name: &str, name: &str) -> Result<SegmentReport, SegmentError> {
    verify_segment(&read(folder_name, name), Path::new(name))
}

/// Opens a fixture as a recording of one segment, in a directory of its own.
fn as_recording<T>(segment: &[u8], f: impl FnOnce(&Recording) -> T) -> T {
    let scratch = tempfile::tempdir().expect("temporary directory");
    std::fs::write(scratch.path().join("one.dejaq"), segment).expect("a file");
    f(&Recording::open(scratch.path()).expect("a recording"))
}

/// The names of all golden segments, so that one that is added is tested without a change here.
fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder("golden"))
        .expect("fixtures")
        .filter_map(|e| e.expect("an entry").file_name().to_str()?.strip_suffix(".dejaq").map(str::to_owned))
        .collect();
    names.sort();
    names
}

#[test]
fn golden_segments_read_as_the_builds_that_wrote_them_read_them() {
    let names = names();
    for expected in ["books", "empties", "isolation", "keys", "open", "recovered", "times"] {
        for form in ["", "-bound"] {
            assert!(names.contains(&format!("{expected}{form}")), "{expected}{form} is gone: golden files are kept for ever");
        }
    }
    assert!(names.contains(&"rabbit".to_owned()), "rabbit is gone: golden files are kept for ever");
    for name in names {
        // A younger form of a segment holds the same records.
        let records = name.trim_end_matches("-bound");
        let plain = folder("golden").join(format!("{records}.ndjson"));
        let expected = if plain.exists() {
            std::fs::read(plain).expect("readable")
        } else {
            zstd::stream::decode_all(read("golden", &format!("{records}.ndjson.zst")).as_slice()).expect("zstd")
        };
        let mut lines = Vec::new();
        as_recording(&read("golden", &format!("{name}.dejaq")), |r| {
            Exporter::new(r).write(&mut lines, |e| unreachable!("nothing is damaged: {e}")).expect("memory")
        });
        assert!(lines == expected, "{name} reads otherwise than it did");
    }
}

#[test]
fn golden_segments_verify() {
    for name in names() {
        let report = verify("golden", &format!("{name}.dejaq")).expect("readable");
        let what = name.trim_end_matches("-bound");
        assert_eq!(report.sealed, what != "open", "{name}");
        assert_eq!(report.recovered, what == "recovered", "{name}");
        assert_eq!(report.torn_at, None, "{name}");
        // Its bad block; the head of it is whole, so the chain is not broken.
        assert_eq!(report.damages.len(), usize::from(what == "recovered"), "{name}: {:?}", report.damages);
    }
}

#[test]
fn golden_books_hold_what_is_not_records() {
    for name in ["books.dejaq", "books-bound.dejaq"] {
        holds_what_is_not_records(&read("golden", name));
    }
}

fn holds_what_is_not_records(bytes: &[u8]) {
    as_recording(bytes, |recording| {
        assert_eq!(recording.ancestors, ["grandparent-cluster", "parent-cluster"]);
        let names: Vec<_> = recording.streams.iter().map(|s| (s.stream.name(), s.start, s.records, s.books.ended)).collect();
        // One identity twice: the second time its log had been cut back.
        assert_eq!(names, [("orders/0".into(), 10, 4, true), ("orders/0".into(), 0, 2, false), ("late/3".into(), 0, 1, false)]);
        let first = recording.streams[0].books;
        assert_eq!((first.next, first.written, first.holes, first.lost), (31, 4, 7, 10));
        let attachments = recording.attachments().expect("readable");
        assert_eq!(attachments.iter().map(|a| (a.name.as_str(), a.bytes.len())).collect::<Vec<_>>(), [("plan.toml", 10), ("", 2)]);
        assert_eq!(recording.gaps.len(), 9);
        assert!(recording.gaps.iter().all(|g| g.exact == g.from.is_some() && g.exact == g.detail.is_empty()));
        assert_eq!((recording.gaps[5].stream, recording.gaps[5].scope.as_str()), (None, "all streams"));
        assert_eq!(recording.gaps[8].reason, GapReason::Other("of a later dejaq".into()));
        assert_eq!(recording.gaps.iter().filter(|g| matches!(g.reason, GapReason::Other(_))).count(), 1);
    });
    let reader = SegmentReader::read(&bytes.to_vec(), Path::new("books")).expect("sealed");
    assert_eq!((reader.state, reader.header.filters.topics.len()), (SegmentState::Sealed, 2));
    // The footer only repeats: without its last bytes the frames say the same.
    let open = SegmentReader::read(&bytes[..bytes.len() - END_MAGIC.len()].to_vec(), Path::new("books")).expect("torn");
    assert_eq!((open.state, &open.facts), (SegmentState::Torn, &reader.facts));
}

#[test]
fn the_isolation_level_is_stated_where_it_was_known() {
    for name in names() {
        let stated = as_recording(&read("golden", &format!("{name}.dejaq")), |r| r.isolation().cloned());
        assert_eq!(stated.as_deref(), name.starts_with("isolation").then_some("read_committed"), "{name}");
    }
}

#[test]
fn damaged_segments_are_told_for_what_they_are() {
    for (name, records, sealed, torn, damages) in [
        ("bad-block", 8, true, false, &["checksum of column"][..]),
        ("bad-footer", 12, false, false, &["the footer's checksum"]),
        ("torn-tail", 8, false, true, &[]),
        ("removed-frame", 8, true, false, &["frame 4 follows, frame 3 was expected"]),
        ("repeated-frame", 12, true, false, &["frame 3 comes again after frame 3"]),
        ("swapped-frames", 8, true, false, &["frame 4 follows, frame 3 was expected", "frame 3 comes again after frame 4"]),
        ("swapped-bodies", 4, true, false, &["that of another frame", "that of another frame"]),
        ("unknown-frame", 0, false, false, &[]),
        // Checksums are right: what is in the columns is seen by who reads them.
        ("properties", 3, true, false, &[]),
    ] {
        for form in ["", "-bound"].into_iter().filter(|form| folder("damaged").join(format!("{name}{form}.dejaq")).exists()) {
            is_told(&format!("{name}{form}"), (records, sealed, torn), damages);
        }
    }
}

fn is_told(name: &str, (records, sealed, torn): (u64, bool, bool), damages: &[&str]) {
    let report = verify("damaged", &format!("{name}.dejaq")).expect("readable");
    assert_eq!((report.records, report.sealed, report.torn_at.is_some()), (records, sealed, torn), "{name}: {report:?}");
    assert_eq!(report.damages.len(), damages.len(), "{name}: {:?}", report.damages);
    for (found, expected) in report.damages.iter().zip(damages) {
        assert!(found.what.contains(expected), "{name}: {}", found.what);
    }
}

#[test]
fn malformed_properties_cost_their_block() {
    as_recording(&read("damaged", "properties.dejaq"), |recording| {
        let (mut lines, mut told) = (Vec::new(), Vec::new());
        let written = Exporter::new(recording).write(&mut lines, |e| told.push(e.to_string())).expect("memory");
        assert_eq!((written, told.len()), (1, 1));
        assert!(told[0].contains("properties are malformed at byte"), "{}", told[0]);
    });
}

#[test]
fn segments_that_cannot_be_read_are_refused_with_the_reason() {
    assert!(matches!(verify("damaged", "future-version.dejaq"), Err(SegmentError::FutureVersion { version: 2, supported: 1, .. })));
    let error = verify("damaged", "unknown-frame-must.dejaq").expect_err("must be understood");
    assert!(matches!(error, SegmentError::MustUnderstand { .. }) && error.to_string().contains("frame type 77"), "{error}");
    let error = verify("damaged", "unknown-stream-must.dejaq").expect_err("must be understood");
    assert!(error.to_string().contains("metadata with tag 19"), "{error}");
    let error = verify("damaged", "header-4-gib.dejaq").expect_err("too long");
    assert!(error.to_string().contains("claims 4294967295 bytes of metadata, the limit is 1048576"), "{error}");
}
