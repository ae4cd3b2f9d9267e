//! A log that was cut back by an election of a leader that lacked its end. The embedded cluster raises leader epochs, but
//! never loses a record: so the recording is made to claim that more had been read in the old epoch than there was.

use dejaq_shared::broker::kafka::embedded::EmbeddedKafka;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::recording_writer::{NewRecording, RecordingWriter, RollPolicy};
use serde_json::json;

use crate::dejaq::{dejaq, inspect};
use crate::kit::*;

#[test]
fn a_resume_finds_by_its_epoch_that_the_log_was_cut_back_and_goes_on_where_the_logs_part() {
    let scratch = Scratch::new();
    let cluster = EmbeddedKafka::start_brokers(2, &[("t", 1)]).expect("an embedded cluster");
    cluster.set_leader("t", 0, 1).expect("a leader");
    let send = |name: &str, count: i64| {
        let recording = scratch.recording(name, &records(count, 1), Some("elsewhere"));
        replay(&recording, &cluster, &scratch.arg(&format!("{name}-run")), &["--max", "--mark", "off"]);
    };
    send("first", 5);
    let out = scratch.arg("rec");
    capture(&cluster, "t", &out, &[]).expect(0);
    claim(&scratch, 10);
    cluster.set_leader("t", 0, 2).expect("a leader");
    send("second", 10);

    let ended = capture(&cluster, "t", &out, &[]).expect(3);
    assert!(ended.stderr.contains("the log goes on from position 5, as another stream"), "{}", ended.stderr);
    let report = inspect(&scratch.path("rec"));
    let gap = &report["gaps"][0];
    assert_eq!((report["gaps"].as_array().map(Vec::len), &gap["reason"]), (Some(1), &json!("truncation")), "{report:#}");
    assert_eq!((&gap["from"], &gap["to"]), (&json!(5), &json!(10)), "{report:#}");
    let streams = report["streams"].as_array().expect("streams");
    assert_eq!(streams.len(), 2, "{report:#}");
    assert_eq!((&streams[0]["ended"], &streams[1]["first_position"], &streams[1]["records"]), (&json!(true), &json!(5), &json!(10)));
    assert_eq!(dejaq(&["verify", &out, "--json"]).json()["unbalanced"], json!([]));

    // It stays as it is: the new stream has the new epoch.
    capture(&cluster, "t", &out, &[]).expect(0);
    assert_eq!(inspect(&scratch.path("rec"))["records"], 15);
}

/// Writes into the recording that its one stream was read to `next`, in the epoch that it was read in.
fn claim(scratch: &Scratch, next: i64) {
    let dir = scratch.path("rec");
    let header = Recording::open(&dir).expect("a recording").segments.remove(0).header;
    let new = NewRecording { source: header.source, filters: header.filters, isolation: header.isolation, roll: RollPolicy::default() };
    let (mut writer, states) = RecordingWriter::resume(&dir, new).expect("nobody else writes");
    let mut books = states[0].books;
    assert!(books.leader_epoch >= 0, "{books:?}");
    books.holes += next.abs_diff(books.next);
    books.next = next;
    writer.checkpoint(&[books]).expect("room");
    writer.seal().expect("room");
}
