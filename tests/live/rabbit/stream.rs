//! Streams that production has: read from a place, consumed by nobody, each message once.

use serde_json::{Value, json};

use super::held::*;
use super::peer::{Node, Pika, World};
use super::*;
use crate::background::{positions, wait_until};
use crate::dejaq::verify_clean;
use crate::held::{assert_lossless, count};

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
