//! What happens to a node, or to what stands there, while a capture runs: it goes on, and says what was lost.

use serde_json::json;

use super::held::*;
use super::peer::{Node, Pika, World};
use super::*;
use crate::background::wait_until;
use crate::held::count;

#[test]
fn a_message_that_cannot_be_parsed_is_a_gap_between_good_ones() {
    for place in ["header", "message-id", "routing-key"] {
        let _nodes = beside();
        let scratch = tempfile::tempdir().expect("temporary directory");
        let dir = scratch.path().join("rec");
        let world = World::new(Node::Prod, "poison", &shop());
        let running = capturing(&world, &dir, &["--exchanges", SHOP]);
        let mut sent = Vec::new();
        for round in ["1", "2", "3"] {
            sent.extend(Pika::publish(&world.url, &shop_routes(), &["--count", "200", "--seed", round]).lines);
            if round != "3" {
                Pika::run(&["poison", "--url", &world.url, "--exchange", "news", "--place", place]);
            }
        }
        eventually("past both", || exported(&dir).iter().any(|record| essence(record) == essence(&sent[599])));
        let ended = running.interrupt().expect(3);
        says(&ended.stderr, &["books balance"]);
        assert!(!ended.stderr.contains("connecting again"), "{}", ended.stderr);
        let found = gaps(&dir);
        assert!(found.iter().all(|gap| gap["reason"] == "unparseable"), "{found:#?}");
        assert_eq!(lost(&dir), 2, "{found:#?}");
        let records = exported(&dir);
        // The connection stood all the time: nothing came again.
        assert_same_messages("the recording", &sent, &records);
        assert!(world.own_queues().is_empty());
    }
}

#[test]
fn tables_nested_however_deep_are_gaps_and_do_not_end_the_capture() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "deep", &shop());
    let running = capturing(&world, &dir, &["--exchanges", "news"]);
    // A recording takes 32 levels; the client's stack some thousand; a frame 18,000.
    for depth in ["20", "40", "60", "70", "5000", "18000"] {
        Pika::run(&["deep", "--depth", depth, "--url", &world.url, "--exchange", "news"]);
    }
    let sent = Pika::publish(&world.url, &json!([{"exchange": "news", "keys": ["x"]}]), &["--count", "10"]).lines;
    eventually("past them", || exported(&dir).iter().any(|record| essence(record) == essence(&sent[9])));
    let ended = running.interrupt().expect(3);
    assert!(!ended.stderr.contains("connecting again"), "{}", ended.stderr);
    // The shallow one is a record like any other.
    assert_eq!((count(&crate::dejaq::inspect(&dir)), lost(&dir)), (11, 5), "{:#?}", gaps(&dir));
    assert!(gaps(&dir).iter().all(|gap| gap["reason"] == "unparseable"), "{:#?}", gaps(&dir));
}

#[test]
fn a_queue_that_is_deleted_under_the_capture_is_made_anew_and_the_time_between_is_a_gap() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "deleted", &shop());
    let running = capturing(&world, &dir, &["--exchanges", SHOP]);
    let before = Pika::publish(&world.url, &shop_routes(), &["--count", "200", "--seed", "before"]).lines;
    wait_until(&dir, "the first part", |r| count(r) >= 200);
    let own = world.own_queues();
    world.api("DELETE", "queues", &format!("/{}", own[0]), None);
    eventually("made anew", || world.own_queues() == own && Pika::depth(&world.url, &own[0]).1 == 1);
    let after = Pika::publish(&world.url, &shop_routes(), &["--count", "200", "--seed", "after"]).lines;
    wait_until(&dir, "the second part", |r| count(r) >= 400);
    running.interrupt().expect(3);
    assert_same_messages("the recording", before.iter().chain(&after), &exported(&dir));
    let found = gaps(&dir);
    assert!(found.iter().any(|gap| gap["reason"] == "disconnect"), "{found:#?}");
    for gap in &found {
        assert!(gap["from_time_ns"].as_i64().is_some() && gap["from_time_ns"].as_i64() <= gap["to_time_ns"].as_i64(), "{gap:#}");
    }
}

#[test]
fn a_node_that_is_stopped_and_started_is_captured_again() {
    let _nodes = alone();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "restart", &shop());
    let mut running = capturing(&world, &dir, &["--exchanges", SHOP]);
    let before = Pika::publish(&world.url, &shop_routes(), &["--count", "200", "--seed", "before", "--persistent"]).lines;
    wait_until(&dir, "the first part", |r| count(r) >= 200);
    let stopped = Stopped::stop(world.node);
    running.wait_for("connecting again");
    drop(stopped);
    // Published as soon as anybody can: our queue outlived the node, so what comes before the capture is back is there, too.
    let after = Pika::publish(&world.url, &shop_routes(), &["--count", "200", "--seed", "after", "--persistent"]).lines;
    wait_until(&dir, "the second part", |r| count(r) >= 400);
    let ended = running.interrupt();
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
    assert_same_messages("the recording", before.iter().chain(&after), &exported(&dir));
    // Whether anything could have been missed is for it to say; that nothing was, is known here.
    assert!(gaps(&dir).iter().all(|gap| gap["reason"] == "disconnect" && gap["exact"] == json!(false)), "{:#?}", gaps(&dir));
}

#[test]
fn a_binding_that_production_adds_is_a_gap_until_ours_is_there() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "bound", &shop());
    let mut running = capturing(&world, &dir, &["--exchanges", SHOP, "-X", "resync=1s"]);
    world.declare(&json!({"bindings": [{"source": "jobs", "destination": "mail", "routing_key": "letter"}]}));
    running.wait_for("gap in jobs");
    let routes = json!([{"exchange": "jobs", "keys": ["letter"]}]);
    let sent = Pika::publish(&world.url, &routes, &["--count", "100"]).lines;
    wait_until(&dir, "following", |r| count(r) >= 100);
    running.interrupt().expect(3);
    assert_same_messages("the recording", &sent, &exported(&dir));
    let found = gaps(&dir);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0]["from_time_ns"].as_i64() < found[0]["to_time_ns"].as_i64(), "{found:#?}");
}

#[test]
fn a_memory_alarm_at_production_stops_nothing_that_was_sent() {
    let _nodes = alone();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "alarm", &shop());
    let running = capturing(&world, &dir, &["--exchanges", SHOP]);
    let before = Pika::publish(&world.url, &shop_routes(), &["--count", "200", "--seed", "before"]).lines;
    let alarm = Alarm::raise(world.node);
    let publishing = Pika::publishing(&world.url, &shop_routes(), &["--count", "2000", "--seed", "blocked"]);
    // The canary is held up like every publisher: that is no loss.
    wait_until(&dir, "all of before the alarm", |r| count(r) >= 200);
    eventually("held up", || blocked_connections(world.node) > 0);
    drop(alarm);
    let during = publishing.wait();
    wait_until(&dir, "all of it", |r| count(r) >= 2_200);
    running.interrupt().expect(0);
    assert_same_messages("the recording", before.iter().chain(&during.lines), &exported(&dir));
    assert_eq!(gaps(&dir), Vec::<Value>::new());
}

/// How many connections a node holds up because of an alarm.
fn blocked_connections(node: Node) -> usize {
    let connections = node.api("GET", "/api/connections?columns=state", None);
    connections.as_array().expect("connections").iter().filter(|one| one["state"] == "blocked").count()
}
