//! Losses, replayed traffic, other selections, and how a capture ends.

use dejaq_capture::CaptureError;
use dejaq_capture::mirror::Deliveries;
use dejaq_shared::broker::mark::Mark;
use dejaq_shared::broker::mirror::{Loss, MirrorNotice, Snapshot};
use dejaq_shared::record::{GapReason, RecordFlags};

use super::model::Message;
use super::{Bench, deliveries};

fn loss(reason: GapReason, count: Option<u64>) -> MirrorNotice {
    MirrorNotice::Loss(Loss {
        lane: None,
        scope: "virtual host /".into(),
        from_time_ns: Some(10),
        to_time_ns: Some(20),
        count,
        exact: count.is_some(),
        reason,
        detail: "the mirror was full".into(),
    })
}

fn marked(body: &str) -> Message {
    let mark = Mark { run: "r".into(), clusters: vec!["elsewhere".into(), "further".into()] };
    Message::new("orders", body).marked(&mark.encode())
}

#[test]
fn a_loss_is_a_gap_with_its_time_and_count_and_shows_in_the_exit_code() {
    let bench = Bench::new();
    bench.world().publish(Message::new("orders", "before"));
    bench.world().then(|world| {
        world.notices.push(loss(GapReason::Drop, Some(7)));
        let MirrorNotice::Loss(of_lane) = loss(GapReason::Disconnect, None) else { panic!("a loss") };
        world.notices.push(MirrorNotice::Loss(Loss { lane: Some(0), to_time_ns: None, ..of_lane }));
    });
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.gaps, summary.books_balance, summary.outcome().code()), (2, true, 3));
    let gaps = bench.recording().gaps;
    assert_eq!((gaps[0].stream, &gaps[0].reason, gaps[0].count, gaps[0].exact), (None, &GapReason::Drop, Some(7), true));
    assert_eq!((gaps[0].from_time_ns, gaps[0].to_time_ns, gaps[0].scope.as_str()), (Some(10), Some(20), "virtual host /"));
    assert_eq!((gaps[1].stream, gaps[1].to_time_ns, gaps[1].exact), (Some(0), None, false));
    assert_eq!(bench.bodies(), ["before"]);
}

#[test]
fn what_could_not_be_read_counts_as_delivered() {
    let bench = Bench::new();
    bench.world().publish(Message::new("orders", "good"));
    bench.world().notices.push(loss(GapReason::Unparseable, Some(2)));
    let summary = bench.run().expect("a capture");
    let expected = Deliveries { delivered: 3, written: 1, unparseable: 2, ..Deliveries::default() };
    assert_eq!((deliveries(&summary), summary.books_balance, summary.outcome().code()), (expected, true, 3));
    assert_eq!(bench.attached()["unparseable"], 2);
}

#[test]
fn losses_that_only_the_end_shows_are_written_too() {
    let bench = Bench::new();
    bench.world().last_words.push(loss(GapReason::Drop, Some(1)));
    let snapshot = Snapshot { name: "topology.json".into(), media_type: "application/json".into(), bytes: b"[]".to_vec() };
    bench.world().notices.push(MirrorNotice::Snapshot(snapshot));
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.gaps, summary.outcome().code()), (1, 3));
    let attachments = bench.recording().attachments().expect("readable");
    let topologies: Vec<&[u8]> = attachments.iter().filter(|a| a.name == "topology.json").map(|a| a.bytes.as_slice()).collect();
    assert_eq!(topologies, [b"{}", b"[]"]);
}

#[test]
fn replayed_traffic_stops_its_stream_and_the_rest_of_it_is_left_out_and_acknowledged() {
    let bench = Bench::new();
    bench.world().publish(Message::new("orders", "own"));
    bench.world().publish(marked("replayed"));
    bench.world().publish(Message::new("orders", "after it"));
    bench.world().publish(Message::new("events", "another stream"));
    let summary = bench.run().expect("a capture");
    let expected = Deliveries { delivered: 4, written: 2, left_out: 2, ..Deliveries::default() };
    assert_eq!((deliveries(&summary), summary.books_balance, summary.outcome().code()), (expected, true, 3));
    assert_eq!((summary.replayed_streams, bench.bodies()), (1, vec!["own".to_owned(), "another stream".to_owned()]));
    assert_eq!((&bench.recording().gaps[0].reason, bench.recording().gaps[0].from), (&GapReason::Replay, Some(1)));
    bench.expect_all_acknowledged();

    // The next one knows that it had stopped, and writes no second gap.
    bench.world().publish(Message::new("orders", "later"));
    let summary = bench.run().expect("a capture");
    assert_eq!((deliveries(&summary).left_out, summary.gaps), (1, 0));
}

#[test]
fn replayed_traffic_that_is_asked_for_is_flagged_and_its_clusters_are_remembered() {
    let mut bench = Bench::new();
    bench.config.replayed = Some("include".into());
    bench.world().publish(marked("replayed"));
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.records, summary.gaps, summary.replayed_streams), (1, 0, 1));
    assert!(bench.records()[0].flags.has(RecordFlags::REPLAYED));
    assert_eq!(bench.recording().ancestors, ["elsewhere", "further"]);
}

#[test]
fn another_selection_than_before_is_a_gap_for_each_that_came_or_went() {
    let bench = Bench::new();
    bench.world().publish(Message::new("orders", "first"));
    bench.run().expect("a capture");
    bench.world().filters = vec!["exchange events".into()];
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.gaps, summary.outcome().code()), (2, 3));
    let rows: Vec<_> = bench.recording().gaps.into_iter().map(|g| (g.scope, g.reason.name().to_owned(), g.to_time_ns.is_some())).collect();
    let change = "filter change".to_owned();
    assert_eq!(rows, [("exchange orders".into(), change.clone(), false), ("exchange events".into(), change, true)]);
    assert_eq!(bench.run().expect("a capture").gaps, 0, "the same selection again is no change");
}

#[test]
fn it_ends_at_the_number_of_records_and_acknowledges_no_more_than_it_wrote() {
    let mut bench = Bench::new();
    bench.config.records = Some(3);
    for n in 0..10 {
        bench.world().publish(Message::new("orders", format!("order {n}")));
    }
    let summary = bench.run().expect("a capture");
    assert_eq!((summary.stopped, summary.records, summary.books_balance), ("the number of records is reached", 3, true));
    assert_eq!(bench.world().queues[0].acknowledged.len(), 3);
    assert_eq!(bench.world().settled, 1);
}

#[test]
fn a_client_that_gives_up_leaves_its_queues_and_what_it_took_whole() {
    let bench = Bench::new();
    for n in 0..10 {
        bench.world().publish(Message::new("orders", format!("order {n}")));
    }
    bench.world().broken_after = Some(4);
    let error = bench.run().expect_err("it gave up");
    assert!(matches!(error, CaptureError::Interrupted { .. }), "{error}");
    assert_eq!(bench.bodies().len(), 4);
    let world = bench.world();
    assert_eq!((world.queues[0].acknowledged.len(), world.settled), (4, 0));
}

#[test]
fn queues_that_could_not_be_removed_are_an_error_that_says_how_and_the_recording_is_whole() {
    let bench = Bench::new();
    bench.world().publish(Message::new("orders", "first"));
    bench.world().settle_fails = true;
    let error = bench.run().expect_err("a queue is left");
    assert!(error.to_string().contains("rabbitmqctl delete_queue dejaq.1") && error.to_string().contains("whole"), "{error}");
    assert_eq!(bench.bodies(), ["first"]);
    bench.expect_all_acknowledged();
}

#[test]
fn a_recording_of_kafka_is_refused() {
    use dejaq_shared::segment::meta::{FiltersV1, SourceV1};
    use dejaq_shared::segment::recording_writer::{NewRecording, RecordingWriter, RollPolicy};

    let bench = Bench::new();
    let source = SourceV1 { broker: "kafka".into(), cluster: "other".into(), ancestors: Vec::new() };
    let new = NewRecording { source, filters: FiltersV1::none(), isolation: None, roll: RollPolicy::default() };
    RecordingWriter::create(&bench.out(), new).expect("made").seal().expect("sealed");
    let error = bench.run().expect_err("of another broker").to_string();
    assert!(error.contains("kafka") && error.contains("rabbitmq") && error.contains("--out"), "{error}");
    assert!(bench.world().begun.is_empty(), "nothing was made at the broker");
}
