//! Streams that production has: read from a place, consumed by nobody, each message once.

use serde_json::{Value, json};

use super::held::*;
use super::peer::{Node, Pika, World};
use super::*;
use crate::background::{positions, wait_until};
use crate::dejaq::{inspect, verify_clean};
use crate::held::{assert_books, assert_lossless, count};

fn log() -> Value {
    json!({"queues": [{"name": "log", "arguments": {"x-queue-type": "stream"}}]})
}

fn to_log() -> Value {
    json!([{"exchange": "", "keys": ["log"]}])
}

/// The essence of a message of a stream: RabbitMQ adds a header with its offset on delivery, which is no part of it.
fn of_stream(line: &Value) -> String {
    let mut line = line.clone();
    if let Some(headers) = line["properties"].get_mut("headers").and_then(Value::as_array_mut) {
        headers.retain(|entry| entry[0] != json!({"utf8": "x-stream-offset"}));
    }
    // A stream of this version does not tell an empty table from none.
    if line["properties"]["headers"] == json!([]) {
        line["properties"].as_object_mut().expect("an object").remove("headers");
    }
    json!([line["routing_key"], line["properties"], line["value"]]).to_string()
}

#[test]
fn a_stream_is_recorded_from_its_beginning_and_nobody_notices() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "stream", &log());
    Pika::publish(&world.url, &to_log(), &["--count", "2000"]);
    capture(&world, &dir, &["--stream-queue", "log", "--start", "beginning", "--until", "end"]).expect(0);
    assert_lossless(&dir);
    // An independent consumer finds all of it still there.
    let theirs = Pika::consuming(&world.url, &["log"], &["--offset", "first", "--count", "2000"]).wait().lines;
    let ours = exported(&dir);
    assert_same_row("the recording", theirs.iter().map(of_stream), ours.iter().map(of_stream));
    assert!(ours.iter().enumerate().all(|(n, record)| record["position"] == n && record["queue"] == "log"));
    assert!(world.own_queues().is_empty());
}

#[test]
fn a_stream_is_resumed_after_a_kill_with_nothing_missing_and_nothing_twice() {
    const TOTAL: u64 = 20_000;
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "resumed", &log());
    let args = ["--stream-queue", "log", "--start", "beginning"];
    let mut running = Some(capturing(&world, &dir, &args));
    let publisher = Pika::publishing(&world.url, &to_log(), &["--count", &TOTAL.to_string(), "--rate", "4000"]);
    for round in 1..=5 {
        wait_until(&dir, "under load", |r| count(r) >= TOTAL * round / 6);
        running.take().expect("one runs").kill();
        running = Some(capturing(&world, &dir, &args));
    }
    let sent = publisher.wait().lines;
    wait_until(&dir, "complete", |r| count(r) >= TOTAL);
    running.expect("one runs").interrupt().expect(0);
    verify_clean(&dir);
    let found: Vec<i64> = positions(&dir).into_iter().map(|(_, position)| position).collect();
    assert!(found.iter().copied().eq(0..i64::try_from(TOTAL).expect("few")), "none missing, none twice");
    assert_same_row("the recording", sent.iter().map(of_stream), exported(&dir).iter().map(of_stream));
}

#[test]
fn from_the_end_only_what_comes_is_recorded() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "tail", &log());
    Pika::publish(&world.url, &to_log(), &["--count", "300", "--seed", "early"]);
    let running = capturing(&world, &dir, &["--stream-queue", "log"]);
    let sent = Pika::publish(&world.url, &to_log(), &["--count", "300", "--seed", "late"]).lines;
    wait_until(&dir, "complete", |r| count(r) >= 300);
    running.interrupt().expect(0);
    assert_same_row("the recording", sent.iter().map(of_stream), exported(&dir).iter().map(of_stream));
}

#[test]
fn what_retention_removed_while_no_capture_ran_is_a_gap_of_exactly_that() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let small = json!({"x-queue-type": "stream", "x-max-length-bytes": 200_000, "x-stream-max-segment-size-bytes": 50_000});
    let world = World::new(Node::Prod, "retention", &json!({"queues": [{"name": "log", "arguments": small}]}));
    let args = ["--stream-queue", "log", "--start", "beginning", "--until", "end"];
    let publish = |count: &str| Pika::publish(&world.url, &to_log(), &["--count", count, "--size", "1000", "1000"]);
    publish("50");
    capture(&world, &dir, &args).expect(0);
    // RabbitMQ keeps other things at offsets, too: 50 messages may have 51 of them.
    let next = inspect(&dir)["streams"][0]["next_position"].as_u64().expect("a position");
    let sent = publish("2000").lines;
    let ended = capture(&world, &dir, &args).expect(3);
    says(&ended.stderr, &["retention", "books balance"]);
    let report = assert_books(&dir);
    let found = gaps(&dir);
    assert_eq!(
        (found.len(), &found[0]["reason"], &found[0]["from"], &found[0]["exact"]),
        (1, &json!("retention"), &json!(next), &json!(true))
    );
    let oldest = found[0]["to"].as_u64().expect("a position");
    assert_eq!(lost(&dir), oldest - next);
    // An independent consumer finds the same messages left, up to the last one that was published.
    let ours = exported(&dir)[50..].to_vec();
    let theirs = Pika::consuming(&world.url, &["log"], &["--offset", "first", "--count", &ours.len().to_string()]).wait().lines;
    assert_same_row("behind the gap", theirs.iter().map(of_stream), ours.iter().map(of_stream));
    assert_eq!((&ours[0]["position"], of_stream(&ours[ours.len() - 1])), (&json!(oldest), of_stream(&sent[sent.len() - 1])));
    assert_eq!(count(&report), 50 + ours.len() as u64);
}

#[test]
fn a_message_that_cannot_be_parsed_is_a_gap_between_good_ones() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let parts = json!({
        "exchanges": [{"name": "news", "type": "fanout"}], "queues": log()["queues"],
        "bindings": [{"source": "news", "destination": "log"}],
    });
    let world = World::new(Node::Prod, "poison", &parts);
    let routes = json!([{"exchange": "news", "keys": ["x"]}]);
    let mut sent = Pika::publish(&world.url, &routes, &["--count", "100", "--seed", "1"]).lines;
    Pika::run(&["poison", "--url", &world.url, "--exchange", "news", "--place", "message-id"]);
    sent.extend(Pika::publish(&world.url, &routes, &["--count", "100", "--seed", "2"]).lines);
    let ended = capture(&world, &dir, &["--stream-queue", "log", "--start", "beginning", "--until", "end"]).expect(3);
    says(&ended.stderr, &["unparseable", "books balance"]);
    assert_books(&dir);
    let found = gaps(&dir);
    assert_eq!((found.len(), &found[0]["from"], lost(&dir)), (1, &json!(100), 1), "{found:#?}");
    assert_same_row("the recording", sent.iter().map(of_stream), exported(&dir).iter().map(of_stream));
}

#[test]
fn a_node_that_is_stopped_and_started_loses_nothing_of_a_stream() {
    let _nodes = alone();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "restarted", &log());
    let mut running = capturing(&world, &dir, &["--stream-queue", "log", "--start", "beginning"]);
    let mut sent = Pika::publish(&world.url, &to_log(), &["--count", "500", "--seed", "before"]).lines;
    wait_until(&dir, "the first part", |r| count(r) >= 500);
    let stopped = Stopped::stop(world.node);
    running.wait_for("connecting again");
    drop(stopped);
    // A node takes and confirms messages before it routes to its streams again, and drops them: they were never in the stream.
    running.wait_for("connected again");
    let after = Pika::publish(&world.url, &to_log(), &["--count", "500", "--seed", "after", "--mandatory"]);
    assert_eq!(after.summary["returned"], 0, "the node routes to its stream again");
    sent.extend(after.lines);
    wait_until(&dir, "the second part", |r| count(r) >= 1000);
    running.interrupt().expect(0);
    assert_lossless(&dir);
    assert_same_row("the recording", sent.iter().map(of_stream), exported(&dir).iter().map(of_stream));
}

#[test]
fn a_queue_that_is_no_stream_is_refused() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "classic", &shop());
    for (queue, words) in [("billing", ["billing", "stream"]), ("no-such-log", ["no-such-log", &world.vhost])] {
        let refused = capture(&world, &dir, &["--stream-queue", queue]).expect(1);
        says(&refused.stderr, &words);
        assert!(!dir.exists());
    }
}
