//! Replay into a real node, seen by pika: what arrives is what was recorded, and what the books say is true.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::held::*;
use super::peer::{Node, Pika, World};
use super::*;
use crate::background::wait_until;
use crate::dejaq::dejaq;
use crate::held::count;
use crate::replay::{assert_books_balance, assert_verdict_is_true, report};

/// The source of recordings that no cluster of these tests is.
const ELSEWHERE: &str = "rabbit@elsewhere";

/// A recording of these messages, one each `every_us`, as if captured from a virtual host.
pub(super) fn recording(scratch: &Path, vhost: &str, messages: &[Value], every_us: usize) -> PathBuf {
    let (lines, dir) = (scratch.join("lines.ndjson"), scratch.join("rec"));
    let first = 1_700_000_000_000_000_000;
    let line = |(n, message): (usize, &Value)| {
        let mut line = message.clone();
        line["broker"] = json!("rabbitmq");
        line["vhost"] = json!(vhost);
        line["arrival_ns"] = json!(first + n * every_us * 1_000);
        line.to_string()
    };
    let all: Vec<String> = messages.iter().enumerate().map(line).collect();
    std::fs::write(&lines, all.join("\n")).expect("lines");
    dejaq(&["import", text(&lines), "--out", text(&dir), "--source-cluster", ELSEWHERE]).expect(0);
    dir
}

/// The arguments of a replay into a world.
pub(super) fn args(world: &World, dir: &Path, run: &Path, more: &[&str]) -> Vec<String> {
    let http = world.node.http();
    let args = ["replay", text(dir), "--to", &world.url, "--run", text(run), "-X", &http[0], "-X", &http[1]];
    args.iter().chain(more).map(|&arg| arg.to_owned()).collect()
}

/// Replays into a world, and checks that the books balance and that the verdict is what it should be on a busy machine.
pub(super) fn replayed(world: &World, dir: &Path, run: &Path, more: &[&str]) -> Value {
    let ended = dejaq(&strs(&args(world, dir, run, more)));
    assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.stderr);
    let report = report(run);
    assert_books_balance(&report);
    assert_verdict_is_true(&report);
    report
}

pub(super) fn ledger(report: &Value, name: &str) -> u64 {
    report["ledger"][name].as_u64().unwrap_or_else(|| panic!("no {name}: {report:#}"))
}

/// Every queue of the shop got these messages, in this order.
fn assert_delivered(world: &World, messages: &[Value]) {
    for queue in SHOP_QUEUES {
        let theirs: Vec<String> = messages.iter().filter(|line| shop_queues(line).contains(&queue)).map(unmarked).collect();
        let got = Pika::consume(&world.url, queue, theirs.len());
        assert_same_row(queue, theirs, got.iter().map(unmarked));
        assert_eq!(Pika::depth(&world.url, queue).0, 0, "{queue}");
    }
}

#[test]
fn what_was_captured_at_prod_arrives_at_staging_as_it_was() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (dir, run) = (scratch.path().join("rec"), scratch.path().join("run"));
    let prod = World::new(Node::Prod, "loop", &shop());
    let staging = World::new(Node::Staging, "loop", &shop());
    let running = capturing(&prod, &dir, &["--exchanges", SHOP]);
    let sent = Pika::publish(&prod.url, &shop_routes(), &["--count", "4000"]).lines;
    wait_until(&dir, "complete", |r| count(r) >= 4_000);
    running.interrupt().expect(0);
    let report = replayed(&staging, &dir, &run, &["--speed", "1"]);
    assert_eq!(ledger(&report, "acked"), 4_000);
    assert_delivered(&staging, &sent);

    // The source is refused, whatever its virtual host.
    let elsewhere = World::new(Node::Prod, "guard", &shop());
    for world in [&prod, &elsewhere] {
        let refused = dejaq(&strs(&args(world, &dir, &scratch.path().join("refused"), &[]))).expect(1);
        says(&refused.stderr, &["source"]);
        assert!(SHOP_QUEUES.iter().all(|queue| Pika::depth(&elsewhere.url, queue).0 == 0));
    }
}

#[test]
fn all_properties_arrive_but_the_user_id() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let run = scratch.path().join("run");
    let world = World::new(Node::Staging, "every", &shop());
    let mut messages = Pika::made(&shop_routes(), &["--count", "1000", "--properties", "every", "--no-ids"]);
    let dir = recording(scratch.path(), "shop", &messages, 500);
    let report = replayed(&world, &dir, &run, &[]);
    assert_eq!(ledger(&report, "acked"), 1_000);
    for message in &mut messages {
        message["properties"].as_object_mut().expect("an object").remove("user_id");
    }
    assert_delivered(&world, &messages);
    assert!(report.to_string().contains("user"), "it is said: {report:#}");
}

#[test]
fn what_reaches_no_queue_is_counted_as_failed_to_the_message() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let run = scratch.path().join("run");
    let world = World::new(Node::Staging, "returned", &shop());
    let routes = json!([
        {"exchange": "orders", "keys": ["order.new.eu", "nobody.wants.this"]}, {"exchange": "", "keys": ["no-such-queue", "mail"]},
        {"exchange": "jobs", "keys": ["mail", "unknown"]},
    ]);
    let messages = Pika::made(&routes, &["--count", "3000"]);
    let lost =
        |line: &&Value| ["nobody.wants.this", "no-such-queue", "unknown"].contains(&line["routing_key"]["utf8"].as_str().expect("a key"));
    let unroutable = messages.iter().filter(lost).count() as u64;
    let dir = recording(scratch.path(), "shop", &messages, 300);
    let report = replayed(&world, &dir, &run, &["--mark", "off"]);
    assert_eq!((ledger(&report, "failed"), ledger(&report, "acked")), (unroutable, 3_000 - unroutable), "{report:#}");
    says(&report["ledger"]["reasons"].to_string(), &["returned as unroutable", &unroutable.to_string()]);
    let mail: Vec<_> = messages.iter().filter(|line| line["routing_key"]["utf8"] == "mail").map(essence).collect();
    assert_same_row("mail", mail.clone(), Pika::consume(&world.url, "mail", mail.len()).iter().map(essence));
}

#[test]
fn an_alarm_at_the_target_is_push_back_by_the_target() {
    let _nodes = alone();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let run = scratch.path().join("run");
    let world = World::new(Node::Staging, "alarm", &shop());
    let messages = Pika::made(&shop_routes(), &["--count", "8000"]);
    let dir = recording(scratch.path(), "shop", &messages, 500);
    let consumer = Pika::consuming(&world.url, &["feed"], &[]);
    let mut running = Background::start(&strs(&args(&world, &dir, &run, &[])));
    consumer.next(1);
    let alarm = Alarm::raise(world.node);
    running.wait_for("asks to hold");
    // The recording is over by then.
    running.wait_for("5 s  ");
    drop(alarm);
    running.wait().expect(3);
    let report = report(&run);
    assert_books_balance(&report);
    assert_eq!(ledger(&report, "acked"), 8_000, "{report:#}");
    assert!(report["holds"]["blocked_ns"].as_u64() > Some(1_000_000_000) && report["delivered"].as_f64() < Some(0.99), "{report:#}");
    // On a busy machine the generator may be late as well, and then says so.
    assert!(report["verdict"] == "INVALID" || report["limited_by"] == "target", "{report:#}");
    consumer.interrupt();
}

#[test]
fn a_target_that_is_restarted_leaves_books_that_balance() {
    const COUNT: u64 = 3_000;
    let _nodes = alone();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let run = scratch.path().join("run");
    let world = World::new(Node::Staging, "restart", &shop());
    let routes = json!([{"exchange": "news", "keys": ["x"]}]);
    let messages = Pika::made(&routes, &["--count", &COUNT.to_string(), "--persistent"]);
    let dir = recording(scratch.path(), "shop", &messages, 3_000);
    let mut running = Background::start(&strs(&args(&world, &dir, &run, &["--mark", "off"])));
    eventually("under way", || Pika::depth(&world.url, "feed").0 > 200);
    let stopped = Stopped::stop(world.node);
    running.wait_for("connection");
    drop(stopped);
    let ended = running.wait().expect(3);
    let report = report(&run);
    assert_books_balance(&report);
    let (acked, unknown) = (ledger(&report, "acked"), ledger(&report, "unknown"));
    assert_eq!(acked + unknown, COUNT, "{report:#}\n{}", ended.stderr);
    assert_eq!(report["limited_by"], "target", "it waited for the target");
    // All that was confirmed is there; of what was in flight, nobody knows.
    let there = Pika::depth(&world.url, "feed").0;
    assert!((acked..=COUNT).contains(&there), "{there} of {report:#}");
    let places: HashMap<String, usize> = messages.iter().map(essence).zip(0..).collect();
    let got = Pika::consume(&world.url, "feed", usize::try_from(there).expect("few"));
    let got: Vec<usize> = got.iter().map(|line| places[&essence(line)]).collect();
    assert!(got.is_sorted_by(|a, b| a < b), "in order, and none twice");
}

#[test]
fn an_exchange_that_is_deleted_under_the_replay_fails_its_own_messages_only() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let run = scratch.path().join("run");
    let world = World::new(Node::Staging, "gone", &shop());
    let messages = Pika::made(&shop_routes(), &["--count", "4000"]);
    let dir = recording(scratch.path(), "shop", &messages, 1_000);
    let running = Background::start(&strs(&args(&world, &dir, &run, &[])));
    eventually("under way", || Pika::depth(&world.url, "feed").0 > 100);
    world.api("DELETE", "exchanges", "/news", None);
    running.wait().expect(3);
    let report = report(&run);
    assert_books_balance(&report);
    let of = by_exchange(&messages);
    let news = of["news"].len() as u64;
    // What was in flight on the channel that the broker closed is unknown; the rest of that exchange is not sent.
    let (skipped, unknown, acked) = (ledger(&report, "skipped"), ledger(&report, "unknown"), ledger(&report, "acked"));
    assert!(skipped > 100 && skipped < news, "{report:#}");
    assert_eq!(report["ledger"]["reasons"]["skipped"], json!({"exchange missing": skipped}), "{report:#}");
    assert!(acked + unknown + skipped == 4_000, "{report:#}");
    for (exchange, queue) in [("files", "images"), ("jobs", "mail")] {
        let theirs = messages.iter().filter(|line| line["exchange"] == exchange && shop_queues(line).contains(&queue)).count() as u64;
        let there = Pika::depth(&world.url, queue).0;
        assert!(there <= theirs && there + unknown >= theirs, "{queue}: {there} of {theirs}: {report:#}");
    }
}

#[test]
fn a_topology_is_made_from_the_recording_in_an_empty_virtual_host() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (dir, run) = (scratch.path().join("rec"), scratch.path().join("run"));
    let prod = World::new(Node::Prod, "topology", &shop());
    let staging = World::new(Node::Staging, "topology", &json!({}));
    let running = capturing(&prod, &dir, &["--exchanges", SHOP]);
    let sent = Pika::publish(&prod.url, &shop_routes(), &["--count", "500"]).lines;
    wait_until(&dir, "complete", |r| count(r) >= 500);
    running.interrupt().expect(0);

    let refused = dejaq(&strs(&args(&staging, &dir, &run, &[]))).expect(1);
    says(&refused.stderr, &["orders", "--create-topology"]);
    let report = replayed(&staging, &dir, &scratch.path().join("run2"), &["--create-topology"]);
    assert_eq!(ledger(&report, "acked"), 500);
    assert_delivered(&staging, &sent);
    assert!(staging.own_queues().is_empty(), "the mirror's own queue is no part of production");
}

#[test]
fn two_connections_keep_the_order_within_an_exchange() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let run = scratch.path().join("run");
    let world = World::new(Node::Staging, "two", &shop());
    let messages = Pika::made(&shop_routes(), &["--count", "4000"]);
    let dir = recording(scratch.path(), "shop", &messages, 250);
    let report = replayed(&world, &dir, &run, &["--connections", "2"]);
    assert_eq!(ledger(&report, "acked"), 4_000);
    for queue in SHOP_QUEUES {
        let theirs: Vec<&Value> = messages.iter().filter(|line| shop_queues(line).contains(&queue)).collect();
        let got = Pika::consume(&world.url, queue, theirs.len());
        for exchange in SHOP.split(',') {
            let of =
                |lines: &[&Value]| lines.iter().filter(|line| line["exchange"] == exchange).map(|line| unmarked(line)).collect::<Vec<_>>();
            assert_same_row(queue, of(&theirs), of(&got.iter().collect::<Vec<_>>()));
        }
    }
}

#[test]
fn the_mark_is_on_the_first_message_of_each_exchange_and_a_capture_tells_it() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (run, second) = (scratch.path().join("run"), scratch.path().join("second"));
    let world = World::new(Node::Staging, "marked", &shop());
    let messages = Pika::made(&shop_routes(), &["--count", "400"]);
    let dir = recording(scratch.path(), "shop", &messages, 500);
    let running = capturing(&world, &second, &["--exchanges", SHOP, "--replayed", "include"]);
    replayed(&world, &dir, &run, &[]);
    wait_until(&second, "complete", |r| count(r) >= 400);
    running.interrupt().expect(0);
    let records = exported(&second);
    assert_same_row("the recording", messages.iter().map(unmarked), records.iter().map(unmarked));
    for (exchange, records) in by_exchange(&records) {
        assert!(is_marked(records[0]), "{exchange}: {:#}", records[0]);
    }
    // What the second recording holds came from elsewhere by way of staging: neither is a target for it.
    let refused = dejaq(&strs(&args(&world, &second, &scratch.path().join("refused"), &[]))).expect(1);
    says(&refused.stderr, &["source"]);
}
