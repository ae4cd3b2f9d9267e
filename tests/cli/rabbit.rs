//! RabbitMQ's records, from a file of lines: every command that reads recordings takes them, and they can be replayed into Kafka.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::dejaq::dejaq;
use crate::kit::*;

/// Records of two exchanges and a stream queue, the first exchange's going back in time half-way.
fn lines() -> Vec<Value> {
    let exchange = |n: i64, vhost: &str, exchange: &str| {
        let headers = [json!(["host", {"utf8": format!("web{n}")}]), json!(["n", {"i32": n}])];
        json!({
            "broker": "rabbitmq", "vhost": vhost, "exchange": exchange, "routing_key": format!("orders.{}", n % 3), "position": n,
            "arrival_ns": 1_700_000_000_000_000_000 + (n % 50) * 1_000_000, "flags": if n == 7 { json!(["redelivered"]) } else { json!([]) },
            "properties": {"delivery_mode": 2, "headers": headers, "message_id": n.to_string()},
            "value": format!("v{n}"),
        })
    };
    let queue = |n: i64| json!({"broker": "rabbitmq", "vhost": "/", "queue": "log", "position": n, "arrival_ns": 1_700_000_000_000_000_000 + n, "value": null});
    let mut lines: Vec<Value> = (0..100).map(|n| exchange(n, "/", "")).collect();
    lines.extend((0..100).map(|n| exchange(n, "tenant", "orders")));
    lines.extend((40..50).map(queue));
    lines
}

#[test]
fn every_command_takes_a_recording_of_rabbitmq() {
    let scratch = Scratch::new();
    let recording = scratch.recording("rec", &lines(), Some("rabbit@prod"));
    let verified: Value = dejaq(&["verify", &recording, "--json"]).expect(0).json();
    assert_eq!(verified["records"], 210);

    let inspected: Value = dejaq(&["inspect", &recording, "--json"]).expect(0).json();
    let names: Vec<_> = inspected["streams"].as_array().expect("streams").iter().map(|s| (&s["name"], &s["records"])).collect();
    let of = |name: &str, records: i64| (json!(name), json!(records));
    let expected = [of("(default)", 100), of("tenant/orders", 100), of("queue:log", 10)];
    assert_eq!(names, expected.iter().map(|(n, r)| (n, r)).collect::<Vec<_>>());
    assert_eq!(inspected["broker"], "rabbitmq");
    let shown = dejaq(&["inspect", &recording]).expect(0).stdout;
    assert!(shown.contains("rabbitmq cluster rabbit@prod") && shown.contains("tenant/orders"), "{shown}");

    // The lines come back, and a sorted copy holds the same in the order of time.
    let exported = dejaq(&["export", &recording]).expect(0).stdout;
    let first: Value = serde_json::from_str(exported.lines().nth(7).expect("lines")).expect("JSON");
    assert_eq!(
        (&first["exchange"], &first["routing_key"], &first["flags"]),
        (&json!(""), &json!({"utf8": "orders.1"}), &json!(["redelivered"]))
    );
    assert_eq!(first["properties"]["headers"], json!([[{"utf8": "host"}, {"utf8": "web7"}], [{"utf8": "n"}, {"i32": 7}]]));
    let (again, sorted) = (scratch.arg("again"), scratch.arg("sorted"));
    dejaq(&["import", &scratch.file("again.ndjson", &exported), "--out", &again]).expect(0);
    assert_eq!(dejaq(&["export", &again]).expect(0).stdout, exported);
    dejaq(&["sort", &recording, "--out", &sorted]).expect(0);
    let in_time = dejaq(&["export", &sorted]).expect(0).stdout;
    let ordered = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert!(in_time != exported && ordered(&in_time) == ordered(&exported));
}

/// A recording of RabbitMQ's with a message that has a nested header, and one that was dead-lettered, at each exchange.
fn varied(scratch: &Scratch) -> String {
    let mut lines = lines();
    for line in &mut lines {
        let Some(headers) = line["properties"]["headers"].as_array_mut() else { continue };
        match headers[1][1]["i32"].as_i64() {
            Some(3) => headers.push(json!(["deep", {"table": [["a", {"i32": 1}]]}])),
            Some(5) => headers.push(json!(["x-death", {"array": []}])),
            _ => {}
        }
    }
    scratch.recording("rec", &lines, Some("rabbit@prod"))
}

const DEFAULT_TO: [&str; 2] = ["--map", "(default)=direct"];

#[test]
fn rabbitmq_s_messages_go_into_kafka_and_what_is_not_carried_is_told() {
    let scratch = Scratch::new();
    let (recording, target) = (varied(&scratch), kafka(&[("direct", 3), ("orders", 2), ("log", 1)]));
    let url = target.url();
    let planned = |more: &[&str]| dejaq(&[&["plan", &recording, "--to", &url, "--json"], more].concat());
    let refused = planned(&[]).expect(1).stderr;
    assert!(refused.contains("default exchange") && refused.contains("--map '(default)=TOPIC'"), "{refused}");
    let plan = planned(&DEFAULT_TO).expect(0).json();
    assert_eq!((&plan["scheduled"], &plan["filtered"]), (&json!(210), &json!(0)));
    assert_eq!(plan["not_carried"], json!([{"what": "nested headers", "messages": 2}]));
    assert_eq!(plan["stripped"], json!([{"what": "broker headers", "messages": 2}]));
    assert!(
        plan["notes"]
            .as_array()
            .expect("notes")
            .iter()
            .any(|n| n.as_str().is_some_and(|n| n.starts_with("--key routing-key: a key's messages"))),
        "{plan}"
    );

    let run = scratch.arg("run");
    let ended = replay(&recording, &target, &run, &[&DEFAULT_TO[..], &["--rate", "1000/s", "--mark", "off"]].concat());
    let report = run_json(&run);
    assert_sent_in_full(&ended, &report);
    assert_eq!((&report["not_carried"], &report["stripped"]), (&plan["not_carried"], &plan["stripped"]));
    assert!(ended.stdout.contains("nested headers of 2 messages are not carried"), "{}", ended.stdout);

    let out = scratch.arg("back");
    capture(&target, "direct", &out, &[]).expect(0);
    let back = exported(&out);
    assert_eq!(back.len(), 100);
    let mut of_key = BTreeMap::new();
    for record in &back {
        let headers = record["headers"].as_array().expect("headers");
        let of = |name: &str| headers.iter().find(|h| h[0]["utf8"] == name).map(|h| h[1]["utf8"].as_str().expect("text"));
        let n = of("n").expect("n");
        let number: i64 = n.parse().expect("a number");
        assert_eq!(record["key"]["utf8"], format!("orders.{}", number % 3));
        assert_eq!((&record["value"]["utf8"], of("host")), (&json!(format!("v{n}")), Some(format!("web{n}").as_str())));
        assert_eq!((of("amqp.message_id"), of("amqp.delivery_mode"), of("deep"), of("x-death")), (Some(n), Some("2"), None, None));
        of_key.entry(record["key"].to_string()).or_insert_with(Vec::new).push((record["partition"].clone(), number));
    }
    // A key's messages lie in one partition, in the order of their stream.
    for (key, messages) in &of_key {
        assert!(messages.iter().all(|(partition, _)| *partition == messages[0].0), "{key}: {messages:?}");
        assert!(messages.is_sorted_by_key(|(_, number)| *number), "{key}: {messages:?}");
    }
    assert_eq!(of_key.len(), 3);
}

#[test]
fn what_was_dead_lettered_is_left_out_when_asked_and_counted() {
    let scratch = Scratch::new();
    let (recording, target) = (varied(&scratch), kafka(&[("direct", 1), ("orders", 1), ("log", 1)]));
    let run = scratch.arg("run");
    replay(&recording, &target, &run, &[&DEFAULT_TO[..], &["--max", "--dead-lettered", "skip", "--key", "header:host"]].concat());
    let report = run_json(&run);
    assert_balanced(&report);
    assert_eq!(report["ledger"]["reasons"]["filtered"], json!({"dead-lettered at the source": 2}));
    assert_eq!((&report["ledger"]["acked"], &report["stripped"]), (&json!(208), &json!([])));
    assert_eq!((&report["config"]["key"], &report["config"]["dead-lettered"]), (&json!("header:host"), &json!("skip")));
}

#[test]
fn options_of_another_broker_are_usage_errors() {
    let scratch = Scratch::new();
    let (recording, target) = (varied(&scratch), kafka(&[("direct", 1)]));
    for (option, said) in [
        (&["--connections", "2"][..], "the target is Kafka"),
        (&["--expiration", "strip"], "the target is Kafka"),
        (&["--map-key", "a=b"], "--key"),
        (&["--partitions", "exact"], "rekey"),
    ] {
        let refused = dejaq(&[&["plan", &recording, "--to", &target.url()], &DEFAULT_TO[..], option].concat()).expect(2);
        assert!(refused.stderr.contains(option[0]) && refused.stderr.contains(said), "{}", refused.stderr);
    }
}
