//! What comes again: after a broken connection, on several queues, and after a capture that was interrupted.

use dejaq_shared::record::RecordFlags;

use super::model::{Message, Queue};
use super::{Bench, deliveries};

const REDELIVERED: RecordFlags = RecordFlags::REDELIVERED;

fn possible() -> RecordFlags {
    REDELIVERED.with(RecordFlags::POSSIBLE_DUPLICATE)
}

/// Publishes `messages`, breaks the connection while they are unacknowledged, and lets them come again.
fn delivered_twice(bench: &Bench, messages: &[Message]) {
    for message in messages {
        bench.world().publish(message.clone());
    }
    // Less than a quarter of the window, so that they wait for the block's age.
    let count = messages.len();
    bench.world().then(move |world| {
        assert_eq!(world.queues[0].unacknowledged(), count, "nothing is acknowledged yet");
        world.queues[0].reconnect();
    });
}

#[test]
fn after_a_broken_connection_what_names_itself_is_left_out_and_the_rest_is_flagged() {
    let bench = Bench::new();
    delivered_twice(&bench, &[Message::new("orders", "named").with_id("1"), Message::new("orders", "nameless")]);
    let summary = bench.run().expect("a capture");
    let books = deliveries(&summary);
    assert_eq!((books.delivered, books.written, books.duplicates, books.redelivered, books.possible_duplicates), (4, 3, 1, 1, 1));
    assert!(summary.books_balance);
    assert_eq!((summary.duplicates, summary.outcome().code()), (1, 0));
    let rows: Vec<_> = bench.records().into_iter().map(|r| (r.body, r.flags)).collect();
    let none = RecordFlags::default();
    assert_eq!(rows, [("named".into(), none), ("nameless".into(), none), ("nameless".into(), possible())]);
    bench.expect_all_acknowledged();
}

#[test]
fn what_comes_a_third_time_is_known_too() {
    let bench = Bench::new();
    delivered_twice(&bench, &[Message::new("orders", "named").with_id("1"), Message::new("orders", "nameless")]);
    bench.world().then(|world| world.queues[0].reconnect());
    let books = deliveries(&bench.run().expect("a capture"));
    assert_eq!((books.delivered, books.written, books.duplicates, books.possible_duplicates), (6, 4, 2, 2));
    bench.expect_all_acknowledged();
}

#[test]
fn an_id_alone_proves_nothing_where_the_body_differs() {
    let bench = Bench::new();
    bench.world().publish(Message::new("orders", "one body").with_id("same"));
    bench.world().then(|world| {
        // What was unacknowledged is acknowledged by nobody: another message of the same id comes as redelivered.
        world.queues[0] = Queue::default();
        world.queues[0].reconnect();
        world.queues[0].publish(Message::new("orders", "another").with_id("same"));
        world.queues[0].redeliver_all();
    });
    let books = deliveries(&bench.run().expect("a capture"));
    assert_eq!((books.written, books.duplicates, books.possible_duplicates, books.redelivered), (2, 0, 0, 1));
    let rows: Vec<_> = bench.records().into_iter().map(|r| (r.body, r.flags)).collect();
    assert_eq!(rows, [("one body".into(), RecordFlags::default()), ("another".into(), REDELIVERED)]);
}

#[test]
fn what_was_acknowledged_is_not_expected_again() {
    let bench = Bench::new();
    bench.world().publish(Message::new("orders", "hello").with_id("1"));
    bench.world().until(|world| world.queues[0].unacknowledged() == 0);
    bench.world().then(|world| {
        // The producer says it once more, and this time the connection breaks before we have it.
        world.queues[0].reconnect();
        world.queues[0].publish(Message::new("orders", "hello").with_id("1"));
        world.queues[0].redeliver_all();
    });
    let books = deliveries(&bench.run().expect("a capture"));
    assert_eq!((books.written, books.duplicates), (2, 0));
    assert_eq!(bench.records()[1].flags, REDELIVERED);
}

#[test]
fn each_queue_has_its_own_connections() {
    let bench = Bench::new();
    bench.world().queues.push(Queue::default());
    bench.world().queues[0].publish(Message::new("orders", "on the first"));
    bench.world().queues[1].publish(Message::new("events", "on the second"));
    bench.world().then(|world| world.queues[1].reconnect());
    let books = deliveries(&bench.run().expect("a capture"));
    assert_eq!((books.delivered, books.written, books.possible_duplicates), (3, 3, 1));
    let flagged: Vec<_> = bench.records().into_iter().filter(|r| r.flags == possible()).map(|r| r.body).collect();
    assert_eq!(flagged, ["on the second"]);
    bench.expect_all_acknowledged();
}

#[test]
fn the_end_of_the_recording_is_known_to_the_next_capture() {
    let bench = Bench::new();
    for n in 0..10 {
        bench.world().publish(Message::new("orders", format!("named {n}")).with_id(n.to_string()));
        bench.world().publish(Message::new("orders", "always the same"));
    }
    bench.world().broken_after = Some(20);
    bench.run().expect_err("the client gave up");
    bench.world().broken_after = None;
    let acknowledged = bench.world().queues[0].acknowledged.len();
    assert_eq!(acknowledged, 20, "what was taken is on disk, and acknowledged while the connection lasts");
    // As if the acknowledgements had not arrived.
    let messages = std::mem::take(&mut bench.world().queues[0].acknowledged);
    messages.into_iter().for_each(|message| bench.world().publish(message));
    bench.world().queues[0].redeliver_all();
    bench.world().publish(Message::new("orders", "always the same"));
    let summary = bench.run().expect("a capture");
    let books = deliveries(&summary);
    assert_eq!((books.delivered, books.written, books.duplicates, books.possible_duplicates), (21, 11, 10, 10));
    assert!(summary.books_balance);
    assert_eq!(bench.records().last().map(|r| r.flags), Some(RecordFlags::default()), "a new one that looks the same is new");
    bench.expect_all_acknowledged();
}
