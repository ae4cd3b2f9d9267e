//! What may lie in a recording's directory, and what is made of it.

use std::path::{Path, PathBuf};

use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::codec::Compression;
use dejaq_shared::segment::frame::SegmentHeader;
use dejaq_shared::segment::recording::{Recording, segment_paths};
use dejaq_shared::segment::recording_writer::RecordingWriter;
use dejaq_shared::segment::verify::verify_recording;

use crate::words::*;

/// A sealed recording of three segments with ten records of `t/0` each.
fn three_segments(dir: &Path) {
    let mut writer = RecordingWriter::create(dir, new_recording()).expect("new");
    writer.add_streams(&[(stream("t", 0), 0)]).expect("streams");
    for segment in 0..3 {
        if segment > 0 {
            writer.roll().expect("roll");
        }
        let records: Vec<Owned> = (segment * 10..segment * 10 + 10).map(|n| Owned::at(0, n)).collect();
        writer.block(&encode(&records, Compression::None)).expect("block");
    }
    writer.seal().expect("seal");
}

/// A segment of writer `writer` of one recording, whose only stream is partition `partition`, with positions `0..records`.
fn segment_of(writer: u8, partition: u32, records: i64) -> Vec<u8> {
    let mut header: SegmentHeader = header();
    header.segment.writer_id = [writer; 16];
    header.segment.sync = [writer; 16];
    // The words' streams are t/0, t/1, …
    let mut segment = begin_with(&header, partition + 1);
    let records: Vec<Owned> = (0..records).map(|n| Owned::at(partition, n)).collect();
    segment.block(&encode(&records, Compression::None)).expect("memory");
    segment.seal(false).expect("memory")
}

fn scratch() -> (tempfile::TempDir, PathBuf) {
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("r");
    (scratch, dir)
}

#[test]
fn files_of_others_are_not_read_and_names_of_segments_do_not_matter() {
    let (_scratch, dir) = scratch();
    three_segments(&dir);
    std::fs::write(dir.join("notes.txt"), "mine").expect("write");
    std::fs::write(dir.join("x.dejaq.tmp"), "half made").expect("write");
    std::fs::create_dir(dir.join("folder")).expect("a directory");
    // By the headers they are in order, whatever they are called.
    for (number, path) in segment_paths(&dir).expect("listing").iter().enumerate() {
        std::fs::rename(path, dir.join(format!("{}.dejaq", 9 - number))).expect("rename");
    }
    let recording = Recording::open(&dir).expect("a recording");
    assert_eq!(recording.segments.iter().map(|s| s.header.segment.number).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(verify_recording(&dir, |_| ()).expect("a recording").is_clean());
    let (writer, states) = RecordingWriter::resume(&dir, new_recording()).expect("resume");
    assert_eq!(states[0].books.next, 30);
    writer.seal().expect("seal");
    assert!(dir.join("notes.txt").exists());
    assert!(!dir.join("x.dejaq.tmp").exists(), "what a writer left half made goes");
}

#[test]
fn a_copy_of_a_segment_under_another_name_is_refused() {
    let (_scratch, dir) = scratch();
    three_segments(&dir);
    let one = segment_paths(&dir).expect("listing").remove(1);
    std::fs::copy(&one, dir.join("backup.dejaq")).expect("copy");
    for error in [Recording::open(&dir).map(drop), RecordingWriter::resume(&dir, new_recording()).map(drop)] {
        let error = error.expect_err("its records would be there twice");
        assert!(matches!(error, SegmentError::Conflict { .. }) && error.to_string().contains("the same segment as"), "{error}");
    }
}

#[test]
fn a_segment_of_another_recording_is_refused() {
    let (_scratch, dir) = scratch();
    three_segments(&dir);
    let (_other_scratch, other) = scratch();
    three_segments(&other);
    let foreign = segment_paths(&other).expect("listing").remove(0);
    std::fs::copy(&foreign, dir.join(foreign.file_name().expect("a name"))).expect("copy");
    for error in [Recording::open(&dir).map(drop), RecordingWriter::resume(&dir, new_recording()).map(drop)] {
        assert!(error.expect_err("two recordings").to_string().contains("another recording"));
    }
}

#[test]
fn something_with_a_segments_name_that_is_no_file_is_refused_and_not_waited_for() {
    for make in [
        |path: &Path| std::fs::create_dir(path).expect("a directory"),
        |path: &Path| {
            // Opening a pipe waits until somebody writes.
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).expect("a pipe");
        },
    ] {
        let (_scratch, dir) = scratch();
        three_segments(&dir);
        make(&dir.join("pipe.dejaq"));
        let error = Recording::open(&dir).expect_err("no file").to_string();
        assert!(error.contains("pipe.dejaq") && error.contains("is no file"), "{error}");
    }
}

#[test]
fn two_writers_of_one_recording_are_read_together_and_what_both_recorded_is_told() {
    let (_scratch, dir) = scratch();
    std::fs::create_dir(&dir).expect("a directory");
    std::fs::write(dir.join("a.dejaq"), segment_of(1, 0, 5)).expect("write");
    std::fs::write(dir.join("b.dejaq"), segment_of(2, 1, 7)).expect("write");
    // Writer 2 knows t/0 and has nothing of it; the books of the newest segment are the stream's.
    let recording = Recording::open(&dir).expect("a recording");
    let names: Vec<_> = recording.streams.iter().map(|s| (s.stream.name(), s.records)).collect();
    assert_eq!(names, [("t/0".to_owned(), 5), ("t/1".to_owned(), 7)]);
    assert!(recording.missing.is_empty());
    // It cannot be gone on with: which writer's numbers and books would be meant?
    let error = RecordingWriter::resume(&dir, new_recording()).expect_err("two writers").to_string();
    assert!(error.contains("several writers"), "{error}");
    // Both recorded t/0: positions come twice, and the books say so.
    std::fs::write(dir.join("b.dejaq"), segment_of(2, 0, 5)).expect("write");
    let report = verify_recording(&dir, |_| ()).expect("a recording");
    assert!(report.unbalanced.iter().any(|u| u.contains("t/0")) && !report.is_clean(), "{report:?}");
}
