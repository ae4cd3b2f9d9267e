//! Directories that are something else, that cannot be written, that are taken; and a reader that goes away.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::dejaq::{Ended, command, dejaq, ended};
use crate::kit::{Scratch, capture, kafka, records, replay};

const NOWHERE: &str = "kafka://127.0.0.1:1";

/// The error is told once, not once by us and once more by the system.
fn says(ended: &Ended, expected: &[&str]) {
    assert!(expected.iter().all(|e| ended.stderr.contains(e)), "{expected:?}: {}", ended.stderr);
    assert!(ended.stderr.matches("os error").count() <= 1, "{}", ended.stderr);
}

#[test]
fn a_directory_that_is_no_recording_is_refused_by_every_reader() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("empty")).expect("a directory");
    std::fs::create_dir(scratch.path("other")).expect("a directory");
    scratch.file("other/notes.txt", "hello");
    scratch.file("file", "hello");
    for (name, why) in
        [("empty", "holds no segment"), ("other", "holds no segment"), ("file", "it is a file"), ("absent", "no such directory")]
    {
        let dir = scratch.arg(name);
        let run = scratch.arg("run");
        for args in [
            &["inspect", &dir][..],
            &["verify", &dir],
            &["export", &dir],
            &["plan", &dir, "--to", NOWHERE],
            &["replay", &dir, "--to", NOWHERE, "--run", &run],
        ] {
            let ended = dejaq(args).expect(1);
            says(&ended, &[&dir, "is not a recording", why]);
            assert_eq!(ended.stdout, "", "{args:?}");
        }
    }
}

#[test]
fn a_file_that_only_has_the_name_of_a_segment_is_told_from_one() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("rec")).expect("a directory");
    scratch.file("rec/0.dejaq", "this is no segment at all");
    for command in ["inspect", "verify", "export"] {
        says(&dejaq(&[command, &scratch.arg("rec")]).expect(1), &["0.dejaq is not a dejaq segment", "DEJAQSEG"]);
    }
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let scratch = Scratch::new();
    let kafka = kafka(&[("t", 1)]);
    let recording = scratch.recording("rec", &records(3, 1), Some("elsewhere"));
    replay(&recording, &kafka, &scratch.arg("seed"), &["--max", "--mark", "off"]);
    let lines = scratch.arg("rec.ndjson");
    // Under a file, and where even root cannot make anything.
    let under_a_file = scratch.arg("rec.ndjson/x");
    for place in [under_a_file.as_str(), "/proc/dejaq-test"] {
        says(&capture(&kafka, "t", place, &[]).expect(1), &[place]);
        says(&dejaq(&["import", &lines, "--out", place]).expect(1), &[place]);
        says(&replay(&recording, &kafka, place, &["--mark", "off"]).expect(1), &[place]);
    }
}

#[test]
fn what_is_there_is_not_written_over() {
    let scratch = Scratch::new();
    let kafka = kafka(&[("t", 1)]);
    let recording = scratch.recording("rec", &records(3, 1), Some("elsewhere"));
    says(&dejaq(&["import", &scratch.arg("rec.ndjson"), "--out", &recording]).expect(1), &[&recording, "exists already"]);
    std::fs::create_dir(scratch.path("run")).expect("a directory");
    scratch.file("run/notes.txt", "hello");
    says(&replay(&recording, &kafka, &scratch.arg("run"), &[]).expect(1), &["is not empty", "--run"]);
    assert_eq!(std::fs::read_dir(scratch.path("run")).expect("readable").count(), 1);
    std::fs::create_dir(scratch.path("photos")).expect("a directory");
    scratch.file("photos/cat.jpg", "meow");
    scratch.file("photos/cat.tmp", "half a cat");
    says(&capture(&kafka, "t", &scratch.arg("photos"), &[]).expect(1), &["photos", "not empty"]);
    let mut left: Vec<_> = std::fs::read_dir(scratch.path("photos")).expect("readable").map(|e| e.expect("an entry").file_name()).collect();
    left.sort();
    assert_eq!(left, ["cat.jpg", "cat.tmp"]);
}

#[test]
fn a_run_that_is_refused_can_be_tried_again_with_the_same_directory() {
    let scratch = Scratch::new();
    let kafka = kafka(&[("t", 1)]);
    let recording = scratch.recording("rec", &records(3, 1), None);
    replay(&recording, &kafka, &scratch.arg("run"), &[]).expect(1);
    let again = replay(&recording, &kafka, &scratch.arg("run"), &["--allow-unknown-source", "--max"]);
    assert_ne!(again.code, Some(1), "{again:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let scratch = Scratch::new();
    // More than a pipe and every buffer between hold.
    let recording = scratch.recording("rec", &records(50_000, 4), None);
    let mut child = command(&["export", &recording]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut first = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    stdout.read_line(&mut first).expect("a line");
    drop(stdout);
    let ended = ended(&child.wait_with_output().expect("it ends"));
    assert!(first.contains("\"v0\""), "{first}");
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}
