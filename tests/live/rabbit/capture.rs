//! What is recorded of exchanges is what pika published, and production's own consumers get what they would have got.

use serde_json::{Value, json};

use super::held::*;
use super::peer::{Node, Pika, World, required};
use super::*;
use crate::background::wait_until;
use crate::dejaq::{inspect, verify_clean};
use crate::held::count;
use crate::replay::real_data;

/// How many messages the big test sends. The issue's 200,000 take minutes: `DEJAQ_TEST_MESSAGES=200000`.
fn messages() -> String {
    std::env::var("DEJAQ_TEST_MESSAGES").unwrap_or_else(|_| "20000".into())
}

#[test]
fn four_kinds_of_exchange_are_recorded_and_every_service_gets_exactly_its_own() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "shop", &shop());
    let mut consumers: Vec<_> = SHOP_QUEUES.iter().map(|queue| (queue, Pika::consuming(&world.url, &[queue], &[]))).collect();
    let running = capturing(&world, &dir, &["--exchanges", SHOP]);
    let data = real_data("zeek_wrccdc_2018.ndjson.zst");
    let from_data: Vec<&str> = data.iter().flat_map(|path| ["--data", text(path)]).collect();
    let sent = Pika::publish(&world.url, &shop_routes(), &[&["--count", &messages(), "--mandatory"], &from_data[..]].concat());
    let total = sent.lines.len();
    assert_eq!(sent.summary, json!({"sent": total, "acked": total, "nacked": 0, "returned": 0, "blocked": 0}));

    for (queue, consumer) in consumers.drain(..) {
        let theirs: Vec<String> = sent.lines.iter().filter(|line| shop_queues(line).contains(queue)).map(essence).collect();
        let got: Vec<String> = consumer.next(theirs.len()).iter().map(essence).collect();
        assert_same_row(queue, theirs, got);
        let more = consumer.interrupt();
        assert_eq!((more.lines.len(), &more.summary["left"][queue]), (0, &json!(0)), "{queue}");
    }
    wait_until(&dir, "complete", |r| count(r) >= total as u64);
    let ended = running.interrupt().expect(0);
    assert!(ended.stderr.contains("books balance"), "{}", ended.stderr);
    verify_clean(&dir);
    let records = exported(&dir);
    assert_same_row("the recording", sent.lines.iter().map(essence), records.iter().map(essence));
    // The order between exchanges is in the times: no two are equal.
    assert!(records.windows(2).all(|pair| pair[0]["arrival_ns"].as_i64() < pair[1]["arrival_ns"].as_i64()));
    assert_eq!(inspect(&dir)["gaps"], json!([]));
    assert!(world.own_queues().is_empty(), "a capture leaves no queue behind");
}

#[test]
fn all_properties_and_every_type_of_header_are_recorded_as_they_were_sent() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "every", &shop());
    let running = capturing(&world, &dir, &["--exchanges", SHOP]);
    let sent = Pika::publish(&world.url, &shop_routes(), &["--count", "1000", "--properties", "every", "--no-ids"]);
    wait_until(&dir, "complete", |r| count(r) >= 1000);
    running.interrupt().expect(0);
    verify_clean(&dir);
    let records = exported(&dir);
    assert_same_row("the recording", sent.lines.iter().map(essence), records.iter().map(essence));
    // Each of the 14 was there, and absent headers are told from an empty table.
    let mut names: Vec<&String> = records.iter().filter_map(|r| r["properties"].as_object()).flat_map(serde_json::Map::keys).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 14, "{names:?}");
    assert!(records.iter().all(|r| r["vhost"] == world.vhost.as_str() && r["broker"] == "rabbitmq"));
}

#[test]
fn a_header_table_that_is_empty_is_told_from_none() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "empty", &shop());
    let running = capturing(&world, &dir, &["--exchanges", "news"]);
    for properties in ["{}", r#"{"headers": []}"#] {
        Pika::run(&["message", "--url", &world.url, "--exchange", "news", "--properties", properties, "--body", ""]);
    }
    wait_until(&dir, "complete", |r| count(r) >= 2);
    running.interrupt().expect(0);
    let records = exported(&dir);
    assert_eq!((records[0].get("properties"), &records[1]["properties"]), (None, &json!({"headers": []})));
    assert!(records.iter().all(|r| r["value"] == json!({"utf8": ""})), "an empty body is one, not none: {records:?}");
}

#[test]
fn bodies_of_sixteen_mebibytes_are_recorded() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "large", &shop());
    let running = capturing(&world, &dir, &["--exchanges", "news"]);
    let routes = json!([{"exchange": "news", "keys": ["big"]}]);
    let size = (16 * 1024 * 1024).to_string();
    let sent = Pika::publish(&world.url, &routes, &["--count", "2", "--size", &size, &size, "--properties", "none"]);
    wait_until(&dir, "complete", |r| count(r) >= 2);
    running.interrupt().expect(0);
    verify_clean(&dir);
    let same: Vec<bool> = sent.lines.iter().zip(&exported(&dir)).map(|(theirs, ours)| essence(theirs) == essence(ours)).collect();
    assert_eq!(same, [true, true]);
}

#[test]
fn several_virtual_hosts_make_one_recording() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let worlds = [World::new(Node::Prod, "first", &shop()), World::new(Node::Prod, "second", &shop())];
    let list = format!("{},{}", worlds[0].vhost, worlds[1].vhost);
    let running = capturing(&worlds[0], &dir, &["--exchanges", SHOP, "--vhosts", &list]);
    let publishing = worlds.iter().map(|world| Pika::publishing(&world.url, &shop_routes(), &["--count", "1000", "--seed", &world.vhost]));
    let sent: Vec<_> = publishing.collect::<Vec<_>>().into_iter().map(|publisher| publisher.wait().lines).collect();
    wait_until(&dir, "complete", |r| count(r) >= 2000);
    running.interrupt().expect(0);
    verify_clean(&dir);
    let records = exported(&dir);
    for (world, sent) in worlds.iter().zip(sent) {
        let ours = records.iter().filter(|record| record["vhost"] == world.vhost.as_str());
        assert_same_row(&world.vhost, sent.iter().map(essence), ours.map(essence));
        assert!(world.own_queues().is_empty());
    }
    assert_eq!(inspect(&dir)["streams"].as_array().map(Vec::len), Some(8));
}

#[test]
fn it_captures_by_tls() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "tls", &shop());
    let url = world.node.tls_url(&world.vhost);
    let ca = format!("ca={}/ca.pem", required("DEJAQ_AMQP_CERTIFICATES"));
    let running = Background::capture(&strs(&at(world.node, &url, &dir, &["--exchanges", SHOP, "-X", &ca])));
    let sent = Pika::publish(&world.url, &shop_routes(), &["--count", "100"]);
    wait_until(&dir, "complete", |r| count(r) >= 100);
    running.interrupt().expect(0);
    assert_same_row("the recording", sent.lines.iter().map(essence), exported(&dir).iter().map(essence));

    let other = format!("ca={}/other-ca.pem", required("DEJAQ_AMQP_CERTIFICATES"));
    let out = scratch.path().join("untrusted");
    let args = at(world.node, &url, &out, &["--exchanges", SHOP, "-X", &other]);
    let refused = dejaq(&[&["capture"], &strs(&args)[..]].concat()).expect(1);
    says(&refused.stderr, &["certificate"]);
    assert!(!out.exists());
}

#[test]
fn a_catch_all_records_what_no_binding_takes_and_warns_of_what_it_changes() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "catch", &shop());
    world.declare(&json!({
        "exchanges": [{"name": "lost", "type": "fanout"},
            {"name": "offers", "type": "topic", "arguments": {"alternate-exchange": "lost"}}],
        "queues": [{"name": "unroutable"}],
        "bindings": [{"source": "lost", "destination": "unroutable"}],
    }));
    let mut running =
        Background::start(&[&["capture"], &strs(&capture_args(&world, &dir, &["--exchanges", "offers", "--catch-all"]))[..]].concat());
    running.wait_for("lost");
    running.wait_for("capturing");
    let routes = json!([{"exchange": "offers", "keys": ["nobody.wants.this"]}]);
    let sent = Pika::publish(&world.url, &routes, &["--count", "50", "--mandatory"]);
    wait_until(&dir, "complete", |r| count(r) >= 50);
    let ended = running.interrupt().expect(0);
    says(&ended.stderr, &["offers", "alternate exchange", "mandatory"]);
    assert_same_row("the recording", sent.lines.iter().map(essence), exported(&dir).iter().map(essence));
    // What the warning says is true: the alternate exchange gets nothing while the catch-all is bound.
    assert_eq!((Pika::depth(&world.url, "unroutable").0, &sent.summary["returned"]), (0, &json!(0)));
    let after = Pika::publish(&world.url, &routes, &["--count", "5", "--mandatory"]);
    assert_eq!((Pika::depth(&world.url, "unroutable").0, &after.summary["returned"]), (5, &json!(0)));
}

#[test]
fn the_firehose_records_what_no_binding_could() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "hose", &shop());
    let all = format!("{SHOP},(default)");
    let refused = capture(&world, &dir, &["--firehose", "--exchanges", &all]).expect(1);
    says(&refused.stderr, &["rabbitmqctl trace_on -p", &world.vhost]);
    assert!(!dir.exists());

    world.node.ctl(&["trace_on", "-p", &world.vhost]);
    let running = capturing(&world, &dir, &["--firehose", "--exchanges", &all]);
    let routes = json!([
        {"exchange": "orders", "keys": ["order.new.eu", "nobody.wants.this"]},
        {"exchange": "", "keys": ["mail", "no-such-queue"]},
        {"exchange": "jobs", "keys": ["mail"], "headers": [[{"utf8": "BCC"}, {"array": [{"utf8": "count"}]}]]},
    ]);
    let mut sent = Pika::publish(&world.url, &routes, &["--count", "500", "--properties", "every"]);
    wait_until(&dir, "complete", |r| count(r) >= 500);
    let ended = running.interrupt().expect(0);
    says(&ended.stderr, &["firehose"]);
    world.node.ctl(&["trace_off", "-p", &world.vhost]);
    // RabbitMQ takes BCC out of the headers before anybody sees them.
    for headers in sent.lines.iter_mut().filter_map(|line| line["properties"].get_mut("headers").and_then(Value::as_array_mut)) {
        headers.retain(|entry| entry[0] != json!({"utf8": "BCC"}));
    }
    assert_same_row("the recording", sent.lines.iter().map(essence), exported(&dir).iter().map(essence));
}

#[test]
fn a_queue_of_production_that_is_mirrored_into_keeps_its_messages_and_arguments() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = scratch.path().join("rec");
    let world = World::new(Node::Prod, "still", &shop());
    let describe = |kind: &str| world.api("GET", kind, if kind == "queues" { "?columns=name,arguments,durable" } else { "" }, None);
    let before: Vec<Value> = ["queues", "exchanges", "bindings"].map(describe).to_vec();
    let running = capturing(&world, &dir, &["--exchanges", SHOP]);
    // Nobody consumes: all of it must still be there afterwards.
    let sent = Pika::publish(&world.url, &shop_routes(), &["--count", "300", "--persistent"]);
    wait_until(&dir, "complete", |r| count(r) >= 300);
    running.interrupt().expect(0);
    for queue in SHOP_QUEUES {
        let theirs = sent.lines.iter().filter(|line| shop_queues(line).contains(&queue)).count();
        assert_eq!(Pika::depth(&world.url, queue), (theirs as u64, 0), "{queue}");
    }
    let names = |rows: &[Value]| rows.iter().map(strip_statistics).collect::<Vec<_>>();
    assert_eq!(names(&before), names(&["queues", "exchanges", "bindings"].map(describe)), "what stands at production is as it was");
}

/// A listing of the management API without what it counts.
fn strip_statistics(listing: &Value) -> Value {
    let mut listing = listing.clone();
    for row in listing.as_array_mut().expect("a list") {
        row.as_object_mut().expect("an object").remove("message_stats");
    }
    listing
}
