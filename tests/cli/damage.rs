//! Segments that are cut, changed, or newer than this build: never silent, whoever reads them.
//!
//! Every byte and every bit is tried in `shared/tests/segment/damage.rs`; here it is what a person sees.

use std::path::{Path, PathBuf};

use dejaq_shared::broker::kafka::embedded::EmbeddedKafka;
use serde_json::Value;

use crate::dejaq::dejaq;
use crate::kit::{Scratch, kafka, records, replay, run_json, text};

/// A recording of one segment, of which copies are damaged.
struct Subject {
    scratch: Scratch,
    target: EmbeddedKafka,
    name: String,
    bytes: Vec<u8>,
}

impl Subject {
    fn new() -> Self {
        let scratch = Scratch::new();
        let recording = scratch.recording("whole", &records(200, 2), Some("elsewhere"));
        let segment = segment(Path::new(&recording));
        let bytes = std::fs::read(&segment).expect("a segment");
        let name = segment.file_name().and_then(|n| n.to_str()).expect("UTF-8").to_owned();
        Self { scratch, target: kafka(&[("t", 2)]), name, bytes }
    }

    /// A recording with these bytes instead.
    fn with(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
        let dir = self.scratch.path(name);
        std::fs::create_dir(&dir).expect("a directory");
        let mut bytes = self.bytes.clone();
        change(&mut bytes);
        std::fs::write(dir.join(&self.name), bytes).expect("a segment");
        text(&dir)
    }

    /// All readers refuse it and say this.
    fn refused(&self, recording: &str, expected: &[&str]) {
        let url = self.target.url();
        let run = format!("{recording}-run");
        for args in [
            &["verify", recording][..],
            &["inspect", recording],
            &["export", recording],
            &["plan", recording, "--to", &url],
            &["replay", recording, "--to", &url, "--run", &run],
        ] {
            let ended = dejaq(args).expect(1);
            assert!(ended.stderr.contains(&self.name), "{args:?}: {}", ended.stderr);
            assert!(expected.iter().all(|e| ended.stderr.contains(e)), "{args:?} {expected:?}: {}", ended.stderr);
            assert_eq!(ended.stdout, "", "{args:?}");
        }
    }
}

fn segment(recording: &Path) -> PathBuf {
    let of = |e: std::io::Result<std::fs::DirEntry>| e.expect("an entry").path();
    std::fs::read_dir(recording).expect("a recording").map(of).find(|p| p.extension().is_some_and(|e| e == "dejaq")).expect("a segment")
}

#[test]
fn a_segment_of_a_future_version_is_refused_with_both_versions() {
    let subject = Subject::new();
    let future = subject.with("future", |bytes| bytes[8..10].copy_from_slice(&99u16.to_le_bytes()));
    subject.refused(&future, &["format version 99", "reads up to 1", "newer dejaq"]);
}

#[test]
fn a_header_that_claims_four_gibibytes_is_not_believed() {
    let subject = Subject::new();
    let huge = subject.with("huge", |bytes| bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes()));
    subject.refused(&huge, &["4294967295", "the limit is"]);
}

#[test]
fn a_segment_without_a_whole_header_is_refused() {
    let subject = Subject::new();
    for length in [0, 10, 40] {
        let cut = subject.with(&format!("cut{length}"), |bytes| bytes.truncate(length));
        subject.refused(&cut, &["damaged at byte"]);
    }
    let flipped = subject.with("flipped", |bytes| bytes[30] ^= 1);
    subject.refused(&flipped, &["checksum"]);
}

#[test]
fn a_cut_segment_is_never_taken_for_the_whole() {
    let subject = Subject::new();
    let length = subject.bytes.len();
    // In the footer, and in the block.
    for (name, keep, records) in [("tail", length - 1, 200), ("middle", length / 2, 0)] {
        let cut = subject.with(name, |bytes| bytes.truncate(keep));
        let verify = dejaq(&["verify", &cut, "--json"]).expect(3).json();
        assert_eq!((&verify["clean"], &verify["segments"][0]["sealed"]), (&Value::from(false), &Value::from(false)), "{verify:#}");
        // It was perhaps only the writer that died: inspect warns, and what writes the records elsewhere says it by its code.
        let inspect = dejaq(&["inspect", &cut, "--json"]).expect(0);
        assert!(inspect.stderr.contains("not sealed") && inspect.stderr.contains(&subject.name), "{}", inspect.stderr);
        assert_eq!(inspect.json()["records"], records);
        assert_eq!(inspect.json()["unsealed"].as_array().map(Vec::len), Some(1));
        let export = dejaq(&["export", &cut]).expect(3);
        assert_eq!(export.stdout.lines().count(), records);
        assert!(export.stderr.contains("not sealed"), "{}", export.stderr);
        let run = format!("{cut}-run");
        let replay = replay(&cut, &subject.target, &run, &["--max"]);
        if records == 0 {
            assert!(replay.expect(1).stderr.contains("no records"));
            continue;
        }
        let replay = replay.expect(3);
        assert!(replay.stdout.contains("INVALID") && replay.stdout.contains("not sealed"), "{}", replay.stdout);
        let trust = &run_json(&run)["trust"];
        assert!(trust.as_array().expect("trust").iter().any(|r| r["reason"] == "recording damaged" && r["cause"] == "input"), "{trust:#}");
    }
}

#[test]
fn a_changed_byte_is_told_by_every_reader() {
    let subject = Subject::new();
    // The block is the largest thing in it: the middle is one of its columns.
    let flipped = subject.with("flipped", |bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x40;
    });
    let verify = dejaq(&["verify", &flipped]).expect(3);
    assert!(verify.stdout.contains("NOT CLEAN") && verify.stdout.contains("bytes "), "{}", verify.stdout);
    let export = dejaq(&["export", &flipped]).expect(3);
    assert_eq!(export.stdout, "");
    assert!(export.stderr.contains("is damaged at byte") && export.stderr.contains(&subject.name), "{}", export.stderr);
    let run = subject.scratch.arg("run");
    let replay = replay(&flipped, &subject.target, &run, &["--max"]);
    assert!(matches!(replay.code, Some(1 | 3)), "{replay:?}");
    assert!(format!("{}{}", replay.stdout, replay.stderr).contains("damaged"), "{replay:?}");
}

#[test]
fn a_block_whose_times_are_lost_is_told_by_inspect() {
    let subject = Subject::new();
    let block = {
        let report = dejaq(&[
            "verify",
            &subject.with("probe", |bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0x40;
            }),
            "--json",
        ])
        .json();
        usize::try_from(report["segments"][0]["damages"][0]["from"].as_u64().expect("a place")).expect("small")
    };
    // In the block's own head, behind the frame's.
    let flipped = subject.with("flipped", |bytes| bytes[block + 60] ^= 1);
    let inspect = dejaq(&["inspect", &flipped]).expect(3);
    assert!(inspect.stderr.contains("200 records") && inspect.stderr.contains("dejaq verify"), "{}", inspect.stderr);
}

#[test]
fn a_copy_of_a_segment_beside_it_is_refused() {
    let subject = Subject::new();
    let doubled = subject.with("doubled", |_| ());
    std::fs::write(Path::new(&doubled).join("Copy of it.dejaq"), &subject.bytes).expect("copied");
    subject.refused(&doubled, &["the same segment as", "move one of the two away"]);
}

#[test]
fn a_segment_of_another_recording_is_not_mixed_in() {
    let subject = Subject::new();
    let other = subject.scratch.recording("other", &records(3, 1), Some("elsewhere"));
    let mixed = subject.with("mixed", |_| ());
    std::fs::copy(segment(Path::new(&other)), Path::new(&mixed).join("other.dejaq")).expect("copied");
    for command in ["verify", "inspect", "export"] {
        let ended = dejaq(&[command, &mixed]).expect(1);
        assert!(ended.stderr.contains("another recording"), "{command}: {}", ended.stderr);
    }
}
