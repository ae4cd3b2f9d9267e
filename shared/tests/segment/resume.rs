//! A writer that dies, and the one that goes on.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::codec::Compression;
use dejaq_shared::segment::meta::StreamBooksV1;
use dejaq_shared::segment::recording::{Recording, segment_paths};
use dejaq_shared::segment::recording_writer::{RecordingWriter, StreamState};
use dejaq_shared::segment::verify::verify_recording;

use crate::words::*;

fn records(from: i64, to: i64) -> Vec<Owned> {
    (from..to).map(|n| Owned::at(0, n)).collect()
}

/// A recording whose writer died after blocks `0..10` (synced), `10..20` and `20..30`.
fn died(dir: &Path) -> PathBuf {
    let mut writer = RecordingWriter::create(dir, new_recording()).expect("new");
    writer.add_streams(&[(stream("t", 0), 0), (stream("idle", 0), 77)]).expect("streams");
    writer.block(&encode(&records(0, 10), Compression::None)).expect("block");
    let ticket = writer.sync_ticket().expect("ticket").expect("something to sync");
    ticket.sync().expect("sync");
    writer.note_synced(&ticket);
    writer.block(&encode(&records(10, 20), Compression::None)).expect("block");
    writer.block(&encode(&records(20, 30), Compression::None)).expect("block");
    let path = segment_paths(dir).expect("listing").remove(0);
    drop(writer);
    path
}

fn next_of(states: &[StreamState]) -> Vec<i64> {
    states.iter().map(|s| s.books.next).collect()
}

#[test]
fn it_goes_on_after_the_last_whole_block_and_an_idle_stream_at_its_start() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let dir = dir.path().join("r");
    died(&dir);
    let (mut writer, states) = RecordingWriter::resume(&dir, new_recording()).expect("resume");
    assert_eq!(next_of(&states), [30, 77]);
    writer.block(&encode(&records(30, 35), Compression::None)).expect("block");
    writer.seal().expect("seal");
    let report = verify_recording(&dir, |_| ()).expect("a recording");
    assert!(report.is_clean(), "{report:?}");
    assert!(report.segments[0].recovered && report.segments[1].sealed);
    assert_eq!(Recording::open(&dir).expect("a recording").records(), 35);
}

#[test]
fn a_segment_is_unsealed_only_when_nobody_writes_it() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let dir = dir.path().join("r");
    let left = died(&dir);
    let told = Recording::open(&dir).expect("a recording").unsealed();
    assert!(told.len() == 1 && told[0].contains(left.to_str().expect("UTF-8")), "{told:?}");
    // Going on seals what was left, and has a segment of its own open.
    let (writer, _) = RecordingWriter::resume(&dir, new_recording()).expect("resume");
    assert_eq!(Recording::open(&dir).expect("a recording").unsealed(), [""; 0]);
    writer.seal().expect("seal");
    assert_eq!(Recording::open(&dir).expect("a recording").unsealed(), [""; 0]);
}

#[test]
fn cut_at_every_byte_after_the_sync_nothing_that_was_whole_is_lost() {
    let source = tempfile::tempdir().expect("temporary directory");
    let path = died(&source.path().join("r"));
    let bytes = std::fs::read(&path).expect("segment");
    let recording = Recording::open(&source.path().join("r")).expect("a recording");
    let synced = recording.blocks[1].offset;
    for length in (usize::try_from(synced).expect("small")..bytes.len()).step_by(7) {
        let dir = tempfile::tempdir().expect("temporary directory");
        let copy = dir.path().join(path.file_name().expect("a name"));
        std::fs::write(&copy, &bytes[..length]).expect("copy");
        let (writer, states) = RecordingWriter::resume(dir.path(), new_recording()).expect("resume");
        let whole = recording.blocks[1..].iter().filter(|b| b.offset + 40 + u64::from(b.bytes_stored) <= length as u64).count();
        assert_eq!(next_of(&states), [10 + 10 * i64::try_from(whole).expect("small"), 77], "{length} bytes");
        writer.seal().expect("seal");
        assert!(verify_recording(dir.path(), |_| ()).expect("a recording").is_clean(), "{length} bytes");
    }
}

#[test]
fn a_torn_block_before_a_whole_one_is_cut_when_it_was_not_synced_and_kept_as_damage_when_it_was() {
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("r");
    let path = died(&dir);
    let recording = Recording::open(&dir).expect("a recording");
    let flip = |block: usize| {
        let mut bytes = std::fs::read(&path).expect("segment");
        let at = recording.blocks[block];
        bytes[usize::try_from(at.offset).expect("small") + 40 + at.bytes_stored as usize - 1] ^= 1;
        std::fs::write(&path, bytes).expect("segment");
    };
    let original = std::fs::read(&path).expect("segment");
    // The second block was not synced: it and the third go, and are read again from the source.
    flip(1);
    let (writer, states) = RecordingWriter::resume(&dir, new_recording()).expect("resume");
    assert_eq!(next_of(&states), [10, 77]);
    writer.seal().expect("seal");
    assert!(verify_recording(&dir, |_| ()).expect("a recording").is_clean());
    // The first was: it is damage, and what follows it is kept.
    std::fs::write(&path, original).expect("segment");
    segment_paths(&dir).expect("listing").into_iter().filter(|p| *p != path).for_each(|p| std::fs::remove_file(p).expect("remove"));
    flip(0);
    let (writer, states) = RecordingWriter::resume(&dir, new_recording()).expect("resume");
    assert_eq!(next_of(&states), [30, 77]);
    writer.seal().expect("seal");
    let report = verify_recording(&dir, |_| ()).expect("a recording");
    assert_eq!(report.segments[0].damages.len(), 1, "{:?}", report.segments[0].damages);
    assert_eq!(report.segments[0].records, 20);
}

#[test]
fn a_recording_that_is_being_written_is_locked_and_can_be_read() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let dir = dir.path().join("r");
    let mut writer = RecordingWriter::create(&dir, new_recording()).expect("new");
    writer.add_streams(&[(stream("t", 0), 0)]).expect("streams");
    writer.block(&encode(&records(0, 10), Compression::None)).expect("block");
    let error = RecordingWriter::resume(&dir, new_recording()).expect_err("locked").to_string();
    assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
    let report = verify_recording(&dir, |_| ()).expect("a recording");
    assert!(report.live && report.is_clean(), "{report:?}");
    assert_eq!(Recording::open(&dir).expect("a recording").records(), 10);
    drop(writer);
    assert!(!verify_recording(&dir, |_| ()).expect("a recording").is_clean(), "open, and nobody holds it");
}

#[test]
fn another_cluster_and_a_missing_segment_are_refused() {
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("r");
    let mut writer = RecordingWriter::create(&dir, new_recording()).expect("new");
    writer.roll().expect("roll");
    writer.roll().expect("roll");
    writer.seal().expect("seal");
    let mut other = new_recording();
    other.source.cluster = "cluster-b".into();
    let error = RecordingWriter::resume(&dir, other).expect_err("another cluster").to_string();
    assert!(error.contains("cluster-a") && error.contains("cluster-b"), "{error}");
    std::fs::remove_file(&segment_paths(&dir).expect("listing")[1]).expect("remove");
    let error = RecordingWriter::resume(&dir, new_recording()).expect_err("missing").to_string();
    assert!(error.contains("segment 1 is missing"), "{error}");
    let report = verify_recording(&dir, |_| ()).expect("a recording");
    assert_eq!(report.missing.len(), 1);
    let recording = Recording::open(&dir).expect("a recording");
    assert!(recording.damages().iter().any(|d| d.contains("segment 1 of writer")), "{:?}", recording.damages());
    assert!(!report.is_clean());
}

#[test]
fn what_is_no_recording_says_why() {
    let scratch = tempfile::tempdir().expect("temporary directory");
    for (path, why) in [(scratch.path().join("nowhere"), "no such directory"), (scratch.path().to_owned(), "holds no segment")] {
        let error = Recording::open(&path).expect_err("no recording");
        assert!(matches!(error, SegmentError::NotARecording { .. }) && error.to_string().contains(why), "{error}");
    }
    let file = scratch.path().join("file");
    OpenOptions::new().create(true).truncate(true).write(true).open(&file).expect("file");
    assert!(Recording::open(&file).expect_err("a file").to_string().contains("it is a file"));
}

#[test]
fn books_that_a_checkpoint_changed_survive() {
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("r");
    let mut writer = RecordingWriter::create(&dir, new_recording()).expect("new");
    writer.add_streams(&[(stream("t", 0), 0)]).expect("streams");
    writer.block(&encode(&records(0, 10), Compression::None)).expect("block");
    // A transaction marker and an aborted record behind the last one that was delivered.
    writer
        .checkpoint(&[StreamBooksV1 { id: 0, next: 12, leader_epoch: 4, written: 10, holes: 2, lost: 0, filtered: 0, ended: false }])
        .expect("checkpoint");
    drop(writer);
    let (writer, states) = RecordingWriter::resume(&dir, new_recording()).expect("resume");
    assert_eq!((states[0].books.next, states[0].books.holes, states[0].books.leader_epoch), (12, 2, 4));
    writer.seal().expect("seal");
    assert!(verify_recording(&dir, |_| ()).expect("a recording").is_clean());
}

#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("r");
    RecordingWriter::create(&dir, new_recording()).expect("new").seal().expect("seal");
    assert_eq!(std::fs::metadata(&dir).expect("directory").permissions().mode() & 0o777, 0o700);
    for entry in std::fs::read_dir(&dir).expect("listing") {
        let entry = entry.expect("entry");
        assert_eq!(entry.metadata().expect("metadata").permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn a_segment_is_full_when_its_index_is() {
    let scratch = tempfile::tempdir().expect("temporary directory");
    let mut writer = RecordingWriter::create(&scratch.path().join("r"), new_recording()).expect("new");
    let gap = dejaq_shared::record::Gap {
        stream: None,
        scope: "all streams".into(),
        from: None,
        to: None,
        from_time_ns: Some(1),
        to_time_ns: Some(2),
        count: None,
        exact: false,
        reason: dejaq_shared::record::GapReason::Unparseable,
        detail: "x".repeat(1 << 20),
    };
    let gaps = (0..100).take_while(|_| {
        writer.gap(&gap).expect("gap");
        !writer.roll_due()
    });
    assert!(gaps.count() < 9, "gaps alone fill a segment");
}

#[test]
fn a_writer_that_died_before_its_first_segment_leaves_a_directory_to_begin_in() {
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("r");
    RecordingWriter::create(&dir, new_recording()).expect("new").seal().expect("seal");
    // As a kill leaves it at any earlier step: the lock, the reserve, a segment without its name.
    let segment = segment_paths(&dir).expect("listing").remove(0);
    std::fs::rename(&segment, format!("{}.tmp", segment.display())).expect("rename");
    std::fs::remove_file(dir.join("recording.toml")).expect("remove");
    std::fs::write(dir.join(".reserve"), b"").expect("write");
    RecordingWriter::create(&dir, new_recording()).expect("begins").seal().expect("seal");
    // And after the first segment, before the description.
    std::fs::remove_file(dir.join("recording.toml")).expect("remove");
    RecordingWriter::resume(&dir, new_recording()).expect("goes on").0.seal().expect("seal");
    assert!(dir.join("recording.toml").exists());
    assert!(verify_recording(&dir, |_| ()).expect("a recording").is_clean());
}
