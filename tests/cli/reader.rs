//! The format as another program reads it: `tests/reader/reader.py`, written from docs/FORMAT.md alone, prints what export prints.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::dejaq::{Ended, dejaq, ended};
use crate::kit::{Scratch, capture, kafka, record, records, replay, text};

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
    let entries = std::fs::read_dir(dir).expect("fixtures").map(|e| e.expect("an entry").path());
    let mut paths: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "dejaq")).collect();
    paths.sort();
    paths
}

/// What the other reader makes of a recording.
fn read(recording: &str) -> Ended {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reader/reader.py");
    let output = Command::new("python3").arg(reader).arg(recording).output();
    let output = output.unwrap_or_else(|e| panic!("python3 is needed ({e}): install it, or run scripts/test, which does"));
    let ended = ended(&output);
    assert!(!ended.stderr.contains("'zstd'"), "the command zstd is needed: install it, or run scripts/test, which does\n{}", ended.stderr);
    assert!(!ended.stderr.contains("Traceback"), "{}", ended.stderr);
    ended
}

/// Both readers' lines and exit codes.
fn both(recording: &str) -> (Ended, Ended) {
    (dejaq(&["export", recording]), read(recording))
}

/// Both print the same, and find it whole (or not).
fn agree(recording: &str) -> Ended {
    let (ours, theirs) = both(recording);
    assert!(
        ours.stdout == theirs.stdout,
        "{recording}: export and the other reader print different records\n{}\n{}",
        ours.stderr,
        theirs.stderr
    );
    assert_eq!(ours.code, theirs.code, "{recording}:\n{}\n{}", ours.stderr, theirs.stderr);
    ours
}

/// A segment as a recording of its own.
fn alone(scratch: &Scratch, segment: &Path, bytes: &[u8]) -> String {
    let name = segment.file_stem().and_then(|n| n.to_str()).expect("UTF-8");
    let dir = scratch.path(name);
    std::fs::create_dir_all(&dir).expect("a directory");
    std::fs::write(dir.join("one.dejaq"), bytes).expect("a segment");
    text(&dir)
}

#[test]
fn golden_and_damaged_segments_give_the_same_records() {
    let scratch = Scratch::new();
    let (golden, damaged) = (fixtures("golden"), fixtures("damaged"));
    assert!(golden.len() >= 12 && damaged.len() >= 10);
    for segment in golden.iter().chain(&damaged) {
        let recording = alone(&scratch, segment, &std::fs::read(segment).expect("readable"));
        let name = segment.file_stem().and_then(|n| n.to_str()).expect("UTF-8");
        if name.starts_with("swapped-frames") {
            // By the index export meets each in the other's place; who goes through the frames may use the first.
            let (ours, theirs) = both(&recording);
            assert_eq!((ours.code, theirs.code), (Some(3), Some(3)));
            assert!(ours.stdout.lines().all(|line| theirs.stdout.contains(line)));
        } else {
            agree(&recording);
        }
    }
}

#[test]
fn a_fresh_recording_gives_the_same_records() {
    let scratch = Scratch::new();
    // Imported: several streams, null and empty, bytes that are no text, more than one block.
    let value = "x".repeat(600);
    let mut lines = records(9_000, 3);
    lines.extend((0..3_000i64).map(|i| record(3, 1_700_000_000_000 - i, &json!(null), &json!(format!("{i}{value}")))));
    lines.extend([
        json!({"broker": "kafka", "topic": "t", "partition": 4, "value": null, "key": {"base64": "/wA="}, "headers": [["n", null], ["n", ""]]}),
        json!({"broker": "kafka", "topic": "\u{1f980}\n\u{7f}\"", "partition": 0, "value": "\u{0}\u{1b}\\ \u{2028}", "position": i64::MAX - 1}),
        json!({"broker": "kafka", "topic": "t", "partition": 4, "value": "", "broker_ts": -5, "broker_ts_kind": "append", "flags": ["replayed"]}),
    ]);
    let imported = scratch.recording("imported", &lines, Some("elsewhere"));
    assert_eq!(agree(&imported).expect(0).stdout.lines().count(), 12_003);
    // Captured, and resumed: two segments.
    let cluster = kafka(&[("t", 5)]);
    let (out, run) = (scratch.arg("captured"), scratch.arg("run"));
    let some = scratch.recording("some", &records(500, 5), Some("elsewhere"));
    for round in 1..=2 {
        let code = replay(&some, &cluster, &format!("{run}{round}"), &["--max"]).code;
        assert!(matches!(code, Some(0 | 3)), "{code:?}");
        capture(&cluster, "t", &out, &["--replayed", "include"]).expect(0);
        assert_eq!(agree(&out).expect(0).stdout.lines().count(), round * 500);
    }
}

/// A cheap source of numbers; the same in every run.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap_or(0)
    }
}

/// The first words of the damage rules (section 7) leave nothing to a reader's taste: both readers find the same records in a
/// file that was changed anywhere. By the index export may find less in a sealed one, never other records.
#[test]
fn segments_that_were_changed_anywhere_give_the_same_records() {
    let scratch = Scratch::new();
    let mut number = numbers();
    let golden = fixtures("golden");
    for round in 0..60 {
        let segment = &golden[round % golden.len()];
        let mut bytes = std::fs::read(segment).expect("readable");
        for _ in 0..=number(2) {
            let (at, length) = (number(bytes.len()), 1 + number(60));
            let end = (at + length).min(bytes.len());
            match number(5) {
                0 => bytes[at] ^= 1 << number(8),
                1 => drop(bytes.drain(at..end)),
                2 => bytes.splice(at..at, vec![0xa5; length]).for_each(drop),
                3 => bytes.splice(at..at, bytes[at..end].to_vec()).for_each(drop),
                _ => bytes.truncate(at),
            }
            if bytes.is_empty() {
                bytes.push(0);
            }
        }
        let recording = alone(&scratch, segment, &bytes);
        let (ours, theirs) = both(&recording);
        let told = format!("round {round}, {}:\n{}\n{}", segment.display(), ours.stderr, theirs.stderr);
        assert_eq!(ours.code == Some(1), theirs.code == Some(1), "{told}");
        let sealed = !theirs.stderr.contains("it is not sealed");
        if sealed {
            // What export does not look at (a checkpoint, an attachment) is not its damage.
            assert!(ours.code <= theirs.code, "{told}");
            assert!(ours.stdout.lines().all(|line| theirs.stdout.contains(line)), "{told}");
            assert!(ours.code == Some(3) || ours.stdout == theirs.stdout, "{told}");
        } else {
            assert!(ours.stdout == theirs.stdout, "{told}");
            assert_eq!(ours.code, theirs.code, "{told}");
        }
    }
}
