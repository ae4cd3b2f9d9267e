//! What happens at the source while it is captured.

use dejaq_shared::broker::mark::Mark;
use dejaq_shared::broker::source::Notice;
use dejaq_shared::record::MARK_HEADER;

use super::fake::Log;
use super::{Bench, values};

fn mark(clusters: &[&str]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mark = Mark { run: "r1".into(), clusters: clusters.iter().map(|c| (*c).to_owned()).collect() };
    vec![(MARK_HEADER.to_vec(), mark.encode())]
}

#[test]
fn new_partitions_and_topics_are_recorded_from_their_beginning() {
    let mut bench = Bench::new(&["^a"]);
    bench.config.start = Some("end".into());
    bench.world().topic("a", 1, 1);
    bench.world().log("a", 0).push("before the start");
    bench.world().then(|w| {
        w.topic("a", 1, 2).logs.get_mut(&1).expect("made").push("new partition");
        w.topic("ab", 2, 1).logs.get_mut(&0).expect("made").push("new topic");
        w.topic("b", 3, 1).logs.get_mut(&0).expect("made").push("not asked for");
    });
    bench.world().await_looks(2);
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.streams, summary.gaps), (3, 0));
    assert_eq!(bench.values(), ["new partition", "new topic"]);
    let topics = bench.recording().attachments().expect("readable").into_iter().rfind(|a| a.name == "topics.json").expect("attached again");
    let text = String::from_utf8(topics.bytes).expect("JSON");
    assert!(text.contains("\"partitions\":2") && text.contains("\"ab\""), "{text}");
}

#[test]
fn a_recreated_topic_is_a_new_stream_from_its_beginning() {
    let bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 1);
    bench.world().log("a", 0).push_all(0..2);
    bench.world().await_looks(2);
    bench.world().then(|w| {
        // More records than before: a client that goes on by offset would not notice.
        *w.log("a", 0) = Log::default();
        w.topic("a", 2, 1).logs.get_mut(&0).expect("made").push_all(10..15);
    });
    bench.world().await_looks(2);
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.streams, summary.gaps, summary.books_balance), (2, 1, true));
    let new: Vec<String> = bench.records().into_iter().filter(|r| r.stream == 1).map(|r| r.value).collect();
    assert_eq!(new, values(10..15), "all of the new topic, in a stream of its own");
    let gap = bench.recording().gaps.remove(0);
    assert_eq!((gap.reason.name(), gap.stream, gap.from, gap.to), ("truncation", Some(0), Some(2), None));
    assert!(bench.recording().streams[0].books.ended && !bench.recording().streams[1].books.ended);
}

#[test]
fn a_recreated_topic_that_is_shorter_than_the_old_one_is_not_taken_for_a_log_that_was_cut_back() {
    let mut bench = Bench::new(&["a"]);
    // The source tells that the position is out of range long before the next look would be due.
    bench.config.watch_every = Some("30s".into());
    bench.world().topic("a", 1, 1);
    bench.world().log("a", 0).push_all(0..5);
    bench.world().then(|w| {
        *w.log("a", 0) = Log::default();
        w.topic("a", 2, 1).logs.get_mut(&0).expect("made").push_all(10..12);
    });
    bench.world().then(|w| w.log("a", 0).push_all(12..15));
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.streams, summary.gaps, summary.books_balance), (2, 1, true), "no stream between the two");
    let new: Vec<String> = bench.records().into_iter().filter(|r| r.stream == 1).map(|r| r.value).collect();
    assert_eq!(new, values(10..15), "all of the new topic, once");
    let recording = bench.recording();
    assert_ne!(recording.streams[0].stream.topic_id(), recording.streams[1].stream.topic_id());
    assert_eq!((recording.gaps[0].reason.name(), recording.gaps[0].to), ("truncation", None));
}

#[test]
fn a_deleted_topic_ends_its_streams_and_is_a_gap_only_if_it_was_not_read_to_its_end() {
    let bench = Bench::new(&["a", "b"]);
    bench.world().topic("a", 1, 1);
    bench.world().topic("b", 2, 1);
    bench.world().log("a", 0).push_all(0..2);
    bench.world().then(|w| {
        w.topics.remove("a");
    });
    bench.world().await_looks(3);
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.records, summary.gaps), (2, 0));
    let ended: Vec<bool> = bench.recording().streams.iter().map(|s| s.books.ended).collect();
    assert_eq!(ended, [true, false]);
}

#[test]
fn retention_that_overtakes_the_capture_is_a_gap_with_range_and_count() {
    let bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 1);
    bench.world().log("a", 0).push_all(0..2);
    bench.world().then(|w| {
        w.log("a", 0).push_all(2..9);
        w.log("a", 0).delete_before(6);
    });
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.records, summary.gaps, summary.books_balance), (5, 1, true));
    assert_eq!(bench.gaps(), [("retention".into(), Some(2), Some(6), Some(4))]);
    let mut expected = values(0..2);
    expected.extend(values(6..9));
    assert_eq!(bench.values(), expected);
}

#[test]
fn a_log_that_is_cut_back_goes_on_as_another_stream_and_survives_a_resume() {
    let bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 1);
    bench.world().log("a", 0).push_all(0..6);
    bench.world().then(|w| {
        w.log("a", 0).cut_back_to(4);
        w.notices.push(Notice::Truncated { stream: 0, position: Some(4), detail: "epoch 1".into() });
        w.log("a", 0).push("other 4").epoch = 1;
        w.log("a", 0).push("other 5").epoch = 1;
    });
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.streams, summary.gaps, summary.books_balance), (2, 1, true));
    assert_eq!(bench.gaps(), [("truncation".into(), Some(4), Some(6), None)]);
    bench.world().log("a", 0).push("other 6").epoch = 1;
    assert_eq!(bench.run().expect("a resume").gaps, 0);
    let mut expected = values(0..6);
    expected.extend(["other 4", "other 5", "other 6"].map(String::from));
    assert_eq!(bench.values(), expected);
}

#[test]
fn a_log_that_is_cut_back_below_its_end_does_not_hold_up_until_end() {
    let mut bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 1);
    bench.world().log("a", 0).push_all(0..6);
    bench.run().expect("a capture");
    bench.config.until = Some("end".into());
    bench.world().log("a", 0).push_all(6..9);
    bench.world().repeats = 0;
    bench.world().notices.push(Notice::Truncated { stream: 0, position: Some(4), detail: "epoch 1".into() });
    bench.world().cut = Some(5);
    bench.world().until(|_| false);
    let summary = bench.run().expect("it ends");
    assert_eq!((summary.stopped, summary.gaps), ("every stream has reached its end", 1));
    assert_eq!(bench.recording().streams[1].books.next, 5);
}

#[test]
fn an_epoch_that_falls_is_a_gap() {
    let bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 1);
    bench.world().log("a", 0).push("first").epoch = 5;
    bench.world().log("a", 0).push("second").epoch = 4;
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.records, summary.gaps, summary.books_balance), (2, 1, true));
    assert_eq!(bench.gaps(), [("truncation".into(), None, Some(1), None)]);
    assert_eq!(bench.values(), ["first", "second"]);
}

#[test]
fn a_stream_with_replayed_traffic_is_stopped_with_a_gap_and_others_go_on() {
    let mut bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 2);
    bench.world().log("a", 0).push("own");
    bench.world().log("a", 0).push("replayed").headers = mark(&["origin"]);
    bench.world().log("a", 0).push("after it");
    bench.world().log("a", 1).push("other");
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.records, summary.gaps, summary.replayed_streams), (2, 1, 1));
    assert_eq!(bench.values(), ["own", "other"]);
    assert_eq!(bench.gaps(), [("replay".into(), Some(1), None, None)]);
    assert!(bench.world().stopped.contains(&0), "the source does not go on fetching it");
    assert!(bench.recording().ancestors.is_empty());

    // Resumed, it is not looked at again, nor is the gap written again; asked for, it goes on where it was stopped.
    assert_eq!(bench.run().expect("a resume").gaps, 0);
    bench.config.replayed = Some("include".into());
    assert_eq!(bench.run().expect("a resume").records, 2);
    assert_eq!(bench.values(), ["own", "other", "replayed", "after it"]);
}

#[test]
fn replayed_traffic_that_is_asked_for_is_flagged_and_its_origins_are_inherited() {
    let mut bench = Bench::new(&["a"]);
    bench.config.replayed = Some("include".into());
    bench.world().topic("a", 1, 1);
    bench.world().log("a", 0).push("own");
    bench.world().log("a", 0).push("replayed").headers = mark(&["origin", "older"]);
    bench.world().log("a", 0).push("unreadable mark").headers = vec![(MARK_HEADER.to_vec(), b"?".to_vec())];
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.records, summary.gaps, summary.replayed_streams), (3, 0, 1));
    let flags: Vec<bool> = bench.records().iter().map(|r| r.replayed).collect();
    assert_eq!(flags, [false, true, true]);
    assert_eq!(bench.recording().ancestors, ["origin", "older"]);
}

#[test]
fn a_partition_that_cannot_be_read_for_a_while_loses_nothing() {
    let bench = Bench::new(&["a"]);
    bench.world().topic("a", 1, 1);
    bench.world().log("a", 0).push_all(0..2);
    bench.world().then(|w| {
        w.notices.push(Notice::Gone { stream: 0, detail: "not permitted".into() });
    });
    bench.world().then(|w| w.log("a", 0).push_all(2..4));
    bench.world().await_looks(2);
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.records, summary.gaps), (4, 0));
    assert_eq!(bench.values(), values(0..4));
}

#[test]
fn a_partition_that_can_never_be_read_does_not_hold_up_until_end() {
    let mut bench = Bench::new(&["a"]);
    bench.config.until = Some("end".into());
    bench.world().topic("a", 1, 2);
    bench.world().log("a", 0).push_all(0..2);
    bench.world().log("a", 1).push_all(2..4);
    bench.world().until(|_| false);
    bench.world().forbidden = Some(("a".into(), 1));
    let summary = bench.run().expect("it ends");
    assert_eq!((summary.records, summary.gaps, summary.stopped), (2, 1, "every stream has reached its end"));
    assert_eq!(bench.gaps(), [("disconnect".into(), Some(0), Some(2), None)]);
}
