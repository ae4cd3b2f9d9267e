//! RabbitMQ's records, from a file of lines: every command that reads recordings takes them, and replay says what it cannot do.

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
fn every_command_takes_a_recording_of_rabbitmq_and_replay_says_that_it_cannot() {
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

    let target = kafka(&[("orders", 1)]);
    for command in
        [&["plan", &recording, "--to", &target.url()][..], &["replay", &recording, "--to", &target.url(), "--run", &scratch.arg("run")]]
    {
        let ended = dejaq(command);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains("is RabbitMQ's: replaying RabbitMQ's records is not built yet"), "{}", ended.stderr);
    }
    let left = std::fs::read_dir(scratch.path("run")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "no result is left that looks like one");
}
