//! A replay that looks at a system behind a real node: pika, which consumes a queue and publishes to an exchange.

use std::path::Path;

use serde_json::{Value, json};

use super::peer::{Node, Pika, PikaRunning, World};
use super::replay::{args, ledger, recording, replayed};
use super::*;
use crate::background::Background;

/// Where messages go in and outputs come out, and who else there is: `work` is the system's, `audit` gets each output, nobody
/// consumes `results`, which gets each too; `idle` and `held` are bound to nothing.
fn plant() -> Value {
    json!({
        "exchanges": [{"name": "in", "type": "topic"}, {"name": "out", "type": "topic"}, {"name": "lane", "type": "direct"}],
        "queues": [{"name": "work"}, {"name": "audit"}, {"name": "results"}, {"name": "idle"}, {"name": "held"}],
        "bindings": [
            {"source": "in", "destination": "work", "routing_key": "#"},
            {"source": "out", "destination": "audit", "routing_key": "#"},
            {"source": "out", "destination": "results", "routing_key": "#"},
        ],
    })
}

/// So many messages for `in`, five milliseconds apart; each has an id.
fn messages(scratch: &Path, count: usize, every_us: usize) -> std::path::PathBuf {
    let routes = json!([{"exchange": "in", "keys": ["eu.order", "us.order"]}]);
    recording(scratch, "shop", &Pika::made(&routes, &["--count", &count.to_string()]), every_us)
}

fn system(world: &World, more: &[&str]) -> PikaRunning {
    Pika::serving(&world.url, "work", "out", more)
}

fn matched(report: &Value) -> &Value {
    &report["observed"]["probes"][0]["matched"]
}

const PROBE: &str = "match=property:correlation_id,from=property:message_id";

#[test]
fn each_output_of_an_exchange_is_seen_and_the_system_is_left_alone() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let world = World::new(Node::Staging, "observed", &plant());
    let (dir, run) = (messages(scratch.path(), 400, 5_000), scratch.path().join("run"));
    let serving = system(&world, &["--hold", "0.3"]);
    let consumers = || ["work", "audit", "results", "idle"].map(|queue| Pika::depth(&world.url, queue).1);
    let before = consumers();
    let report = replayed(&world, &dir, &run, &["--probe", &format!("exchange=out,{PROBE},deadline=60s"), "--lag", "work"]);
    assert_eq!((before, consumers()), ([1, 0, 0, 0], [1, 0, 0, 0]));
    let books = serving.interrupt().summary;
    assert_eq!((&books["received"], &books["answered"]), (&json!(400), &json!(400)));
    let found = matched(&report);
    assert_eq!((&found["expected"], &found["answered"], &found["lost"]), (&json!(400), &json!(400), &json!(0)), "{report:#}");
    assert_eq!((&found["duplicates"], &found["unmatched"], &found["without_value"]), (&json!(0), &json!(0), &json!(0)), "{report:#}");
    // The system holds each for 0.3 s.
    let end_to_end = &report["latency"]["end_to_end"];
    assert!(end_to_end["p50_ns"].as_u64() >= Some(300_000_000), "{end_to_end:#}");
    assert_eq!(end_to_end["unanswered"], 0);
    // A copy was read: whoever is bound has everything.
    assert_eq!((Pika::depth(&world.url, "audit").0, Pika::depth(&world.url, "results").0), (400, 400));
    assert!(world.own_queues().is_empty(), "nothing of ours is left");
    let lag = &report["observed"]["lag"][0];
    assert_eq!((&lag["group"], &lag["partitions"], &lag["silent"]), (&json!("work"), &json!(0), &json!([])), "{lag:#}");
    assert!(lag["samples"].as_u64() > Some(1), "{lag:#}");
}

#[test]
fn what_the_system_loses_or_says_twice_is_counted_to_the_message() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let world = World::new(Node::Staging, "loses", &plant());
    let (dir, run) = (messages(scratch.path(), 400, 2_000), scratch.path().join("run"));
    let serving = system(&world, &["--drop", "10", "--twice", "7"]);
    // Longer than the system takes on a busy machine: what has not come by then was never sent.
    let report = replayed(&world, &dir, &run, &["--probe", &format!("exchange=out,binding=*.order,{PROBE},deadline=20s")]);
    let books = serving.interrupt().summary;
    assert_eq!((&books["dropped"], &books["twice"]), (&json!(40), &json!(51)), "{books}");
    let found = matched(&report);
    assert_eq!((&found["expected"], &found["answered"], &found["lost"]), (&json!(400), &json!(360), &json!(40)), "{report:#}");
    assert_eq!((&found["duplicates"], &found["unmatched"]), (&json!(51), &json!(0)), "{report:#}");
    let end_to_end = &report["latency"]["end_to_end"];
    assert_eq!((&end_to_end["count"], &end_to_end["unanswered"], &end_to_end["p99_ns"]), (&json!(360), &json!(40), &Value::Null));
    let trust = report["trust"].as_array().expect("reasons");
    assert!(!trust.iter().any(|t| t["reason"] == "probe failed"), "what the system loses is a result: {report:#}");
}

#[test]
fn a_queue_that_nobody_consumes_is_read_and_emptied() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let world = World::new(Node::Staging, "emptied", &plant());
    let (dir, run) = (messages(scratch.path(), 300, 3_000), scratch.path().join("run"));
    let _serving = system(&world, &[]);
    let report = replayed(&world, &dir, &run, &["--probe", &format!("queue=results,{PROBE},deadline=60s")]);
    let found = matched(&report);
    assert_eq!((&found["answered"], &found["lost"], &found["unmatched"]), (&json!(300), &json!(0), &json!(0)), "{report:#}");
    assert_eq!((Pika::depth(&world.url, "results"), Pika::depth(&world.url, "audit").0), ((0, 0), 300));
    // A plan looks, and takes nothing.
    let audit = "queue=audit,match=key";
    let plan = args(&world, &dir, &run, &["--probe", audit]);
    let plan: Vec<&str> = plan.iter().map(String::as_str).filter(|&arg| arg != "--run" && arg != text(&run)).collect();
    dejaq(&[&["plan"], &plan[1..]].concat()).expect(0);
    assert_eq!(Pika::depth(&world.url, "audit").0, 300);
}

#[test]
fn the_depth_of_a_queue_is_told_as_it_is_and_no_time_with_it() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let world = World::new(Node::Staging, "depth", &plant());
    Pika::publish(&world.url, &json!([{"exchange": "", "keys": ["idle"]}]), &["--count", "250"]);
    Pika::publish(&world.url, &json!([{"exchange": "", "keys": ["held"]}]), &["--count", "30"]);
    // It has all of them in hand, and is done with none while this test goes on; the node's statistics have heard of it.
    let _holding = Pika::serving(&world.url, "held", "out", &["--hold", "3600"]);
    eventually("held", || world.api("GET", "queues", "/held", None)["messages_unacknowledged"] == 30);
    let (dir, run) = (messages(scratch.path(), 500, 2_000), scratch.path().join("run"));
    // Nobody consumes. Outputs that never come keep the run going until all that is sent has been looked at.
    let probe = format!("exchange=out,{PROBE},deadline=3s");
    let report = replayed(&world, &dir, &run, &["--lag", "work", "--lag", "idle", "--lag", "held", "--probe", &probe]);
    assert_eq!((ledger(&report, "acked"), &matched(&report)["lost"]), (500, &json!(500)), "{report:#}");
    let end = |ready: u64| json!({"messages": ready, "time_ns": null, "at_least": false});
    for (ix, (name, ready)) in [("work", 500), ("idle", 250), ("held", 0)].into_iter().enumerate() {
        let lag = &report["observed"]["lag"][ix];
        assert_eq!((&lag["group"], &lag["end"], &lag["messages_max"]), (&json!(name), &end(ready), &json!(ready)), "{lag:#}");
        assert_eq!((&lag["time_ns_max"], &lag["silent"]), (&Value::Null, &json!([])), "{lag:#}");
        assert_eq!(Pika::depth(&world.url, name).0, ready, "nothing was taken");
        let held = u64::from(name == "held") * 30;
        assert_eq!((&lag["unacknowledged_max"], &lag["unacknowledged_end"]), (&json!(held), &json!(held)), "{lag:#}");
    }
    let rows = std::fs::read_to_string(run.join("lag.csv")).expect("lag.csv");
    let depths: Vec<u64> = rows
        .lines()
        .filter_map(|row| row.split_once(",work,,,,,"))
        .map(|(_, cells)| cells.strip_suffix(",,").expect("no time").parse().expect("a number"))
        .collect();
    assert!(depths.is_sorted() && depths.last() == Some(&500), "it only grew: {rows}");
}

#[test]
fn a_queue_that_is_removed_meanwhile_is_silent_with_the_reason() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let world = World::new(Node::Staging, "removed", &plant());
    let (dir, run) = (messages(scratch.path(), 10, 1_000_000), scratch.path().join("run"));
    let running = Background::start(&strs(&args(&world, &dir, &run, &["--lag", "idle"])));
    let rows = run.join("lag.csv.part");
    let looked_at = || std::fs::read_to_string(run.join("run.json")).is_ok_and(|text| text.contains("\"messages_max\": 0"));
    eventually("looked at", looked_at);
    world.api("DELETE", "queues", "/idle", None);
    let ended = running.wait();
    assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.stderr);
    assert!(!rows.exists(), "the file is whole");
    let report = crate::replay::report(&run);
    let silent = report["observed"]["lag"][0]["silent"].as_array().expect("silences");
    assert!(silent.len() == 1 && silent[0]["to_ns"].is_null(), "{report:#}");
    says(silent[0]["why"].as_str().expect("words"), &["\"idle\"", "does not exist"]);
}

#[test]
fn what_the_probe_s_own_queue_throws_away_is_not_blamed_on_the_system() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let world = World::new(Node::Staging, "small", &plant());
    // All at once, through a queue for one message of which one is on its way: what went in is the output.
    let (dir, run) = (messages(scratch.path(), 2_000, 0), scratch.path().join("run"));
    let probe = "exchange=in,match=property:message_id,deadline=60s";
    let ended = dejaq(&strs(&args(&world, &dir, &run, &["--probe", probe, "-X", "queue.messages=1", "-X", "prefetch=1"])));
    ended.expect(3);
    let report = crate::replay::report(&run);
    let failed = report["observed"]["probes"][0]["failed"].as_str().expect("it failed");
    says(failed, &["the probe is too small", "-X queue.messages"]);
    let trust = report["trust"].as_array().expect("reasons");
    assert!(trust.iter().any(|t| t["reason"] == "probe failed"), "{report:#}");
    assert!(world.own_queues().is_empty());
}

#[test]
fn what_cannot_be_looked_at_is_refused_before_anything_is_sent() {
    let _nodes = beside();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let world = World::new(Node::Staging, "refused", &plant());
    let (dir, run) = (messages(scratch.path(), 10, 1_000), scratch.path().join("run"));
    let serving = system(&world, &[]);
    for (flag, value, code, words) in [
        ("--probe", "topic=out,match=key", 2, "exchange=NAME"),
        ("--probe", "queue=work,match=key", 1, "1 consumers"),
        ("--probe", "queue=nowhere,match=key", 1, "does not exist"),
        ("--probe", "exchange=nowhere,match=key", 1, "does not exist"),
        ("--probe", "exchange=lane,match=key", 1, "binding=KEY"),
        ("--lag", "nowhere", 1, "does not exist"),
    ] {
        let ended = dejaq(&strs(&args(&world, &dir, &run, &[flag, value]))).expect(code);
        says(&ended.stderr, &[words]);
    }
    // A user who may publish, and no more.
    let user = crate::peer::unique("player");
    let rights = |configure: &str, tags: &str| {
        let permissions = json!({"VHOST": [configure, ".*", ".*"]});
        world.declare(&json!({"users": [{"name": user, "password": "pw", "tags": tags, "permissions": permissions}]}));
        let url = world.node.url_as(&user, "pw", &world.vhost);
        let with_url: Vec<String> = args(&world, &dir, &run, &["--probe", "exchange=out,match=key"]);
        let with_url: Vec<&str> = with_url.iter().map(|arg| if *arg == world.url { &url } else { arg }.as_str()).collect();
        dejaq(&with_url).expect(1).stderr
    };
    says(&rights("^$", "monitoring"), &["rabbitmqctl set_permissions -p", r"'^dejaq\..*$'"]);
    says(&rights(".*", ""), &["rabbitmqctl set_user_tags", "monitoring"]);
    world.node.api("DELETE", &format!("/api/users/{user}"), None);
    assert_eq!(serving.interrupt().summary["received"], 0, "nothing was sent");
    assert!(world.own_queues().is_empty());
}
