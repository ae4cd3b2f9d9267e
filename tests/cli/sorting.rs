//! Recordings that are too far out of time order for memory: sorted before the first message, and said.

use std::path::Path;

use dejaq_shared::record::{BrokerTime, Headers, Lane, Record, RecordFlags, Stream};
use dejaq_shared::segment::append::RecordAppender;
use dejaq_shared::segment::meta::{FiltersV1, SourceV1};
use dejaq_shared::segment::recording_writer::{NewRecording, RollPolicy};
use serde_json::Value;

use crate::dejaq::dejaq;
use crate::kit::*;

const PARTITIONS: u32 = 20;

/// Partitions that were read one after the other, each over the same four seconds and with 4 MiB: 80 MiB overlap.
fn far_out_of_order(dir: &Path) {
    let source = SourceV1 { broker: "kafka".into(), cluster: "elsewhere".into(), ancestors: Vec::new() };
    let filters = FiltersV1 { topics: vec!["t".into()], replayed: "stop".into(), sampled_one_in: 1 };
    let mut recording =
        RecordAppender::create(dir, NewRecording { source, filters, isolation: None, roll: RollPolicy::default() }).expect("new");
    let lane = |partition: u32| Lane::Kafka { topic: "t".into(), topic_id: None, partition: partition.cast_signed() };
    let streams: Vec<_> = (0..PARTITIONS).map(|p| (Stream { cluster: "elsewhere".into(), lane: lane(p) }, 0)).collect();
    recording.recording().add_streams(&streams).expect("streams");
    let value = vec![b'v'; 1 << 20];
    for (partition, position) in (0..PARTITIONS).flat_map(|p| (0..4i64).map(move |n| (p, n))) {
        let ms = 1_700_000_000_000 + position * 1_000 + i64::from(partition);
        let record = Record {
            stream: partition,
            position,
            leader_epoch: -1,
            arrival_ns: ms * 1_000_000,
            broker_time: BrokerTime::Create(ms),
            key: None,
            value: Some(&value),
            headers: Headers::EMPTY,
            flags: RecordFlags::default(),
            ..Record::EMPTY
        };
        recording.push(&record).expect("written");
    }
    let books = recording.books().expect("books");
    recording.seal(&books).expect("sealed");
}

fn entries(dir: &Path) -> usize {
    std::fs::read_dir(dir).expect("a directory").count()
}

#[test]
fn history_is_sorted_before_the_first_message_and_plan_says_what_that_takes() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", PARTITIONS)]));
    let (recording, place, url) = (scratch.arg("rec"), scratch.arg("place"), target.url());
    far_out_of_order(&scratch.path("rec"));
    std::fs::create_dir(scratch.path("place")).expect("a directory");

    let plan = dejaq(&["plan", &recording, "--to", &url, "--scratch", &place, "--json"]).expect(0);
    let plan: Value = plan.json();
    let needed = plan["sort"]["scratch_bytes"].as_u64().expect("it must be sorted");
    assert_eq!(plan["sort"]["open_bytes"].as_u64().map(|b| b >> 20), Some(80));
    assert_eq!(plan["span_ns"], 3_019_000_000u64);
    assert_eq!(entries(&scratch.path("place")), 0, "nothing is left in the scratch directory");

    let run = scratch.arg("run");
    let ended = replay(&recording, &target, &run, &["--max", "--mark", "off"]);
    let report: Value = serde_json::from_str(&std::fs::read_to_string(scratch.path("run/run.json")).expect("run.json")).expect("JSON");
    assert_eq!(report["ledger"]["acked"], 80, "{}", ended.stderr);
    let sorted = ended.stderr.lines().find(|l| l.contains("out of time order")).expect("it says that it sorted");
    assert!(sorted.contains("80 MiB") && sorted.contains("of scratch in"), "{sorted}");
    assert!(needed < 80 << 20, "the same bytes over and over are compressed: {needed}");

    let copy = scratch.arg("copy");
    dejaq(&["sort", &recording, "--out", &copy]).expect(0);
    dejaq(&["verify", &copy]).expect(0);
    let plan_of_copy = dejaq(&["plan", &copy, "--to", &url, "--json"]).expect(0);
    let plan_of_copy: Value = serde_json::from_str(&plan_of_copy.stdout).expect("JSON");
    assert_eq!(plan_of_copy["sort"], Value::Null, "a sorted copy needs no sorting");
    assert_eq!((&plan_of_copy["scheduled"], &plan_of_copy["span_ns"]), (&plan["scheduled"], &plan["span_ns"]));
    dejaq(&["sort", &recording, "--out", &format!("{copy}-2/")]).expect(0);
    let again = dejaq(&["sort", &recording, "--out", &copy]).expect(1);
    assert!(again.stderr.contains("it exists already"), "{}", again.stderr);
}

#[test]
fn a_scratch_directory_that_is_not_there_is_an_error_that_names_it() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", PARTITIONS)]));
    far_out_of_order(&scratch.path("rec"));
    let ended = dejaq(&["plan", &scratch.arg("rec"), "--to", &target.url(), "--scratch", &scratch.arg("nowhere")]).expect(1);
    assert!(ended.stderr.contains("making a scratch file in") && ended.stderr.contains("nowhere"), "{}", ended.stderr);
}
