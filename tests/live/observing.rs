//! A replay that looks at what is behind a real cluster: the lag of a group of Java consumers, and the output.

use serde_json::{Value, json};

use crate::background::Background;
use crate::dejaq::dejaq;
use crate::peer::{Peer, clusters, unique};

/// A recording of this many messages of `topic`, four milliseconds apart, from elsewhere.
fn recording(dir: &std::path::Path, topic: &str, count: i64) -> String {
    let line = |i: i64| {
        let ms = 1_700_000_000_000 + 4 * i;
        let record = json!({"broker": "kafka", "topic": topic, "partition": i % 2, "broker_ts": ms, "arrival_ns": ms * 1_000_000,
            "key": format!("k{i}"), "value": format!("{{\"id\": \"k{i}\"}}")});
        format!("{record}\n")
    };
    let (file, out) = (dir.join("records.ndjson"), dir.join("rec"));
    std::fs::write(&file, (0..count).map(line).collect::<String>()).expect("a file");
    let text = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    dejaq(&["import", &text(&file), "--out", &text(&out), "--source-cluster", "elsewhere"]).expect(0);
    text(&out)
}

fn offsets(bootstrap: &str, group: &str) -> Value {
    let all = Peer::run(&["offsets", "--bootstrap", bootstrap]);
    all["groups"].as_array().into_iter().flatten().find(|g| g["group"] == group).cloned().unwrap_or_default()
}

#[test]
fn a_group_s_lag_is_what_it_has_not_committed_and_the_group_is_left_alone() {
    let staging = clusters().staging;
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (topic, group) = (Peer::create_topic(&staging, "lagging", 2, ""), unique("billing"));
    Peer::run(&["feed-synthetic", "--bootstrap", &staging, "--topic", &topic, "--count", "500", "--bytes", "100"]);
    // It reads what is there and ends: whatever is replayed then is behind it.
    let consumed = Peer::run(&["consume", "--bootstrap", &staging, "--topic", &topic, "--group", &group, "--count", "500"]);
    assert_eq!(consumed["count"], 500);
    let before = offsets(&staging, &group);

    let (recording, run) = (recording(scratch.path(), &topic, 1_000), scratch.path().join("run"));
    let (url, run) = (format!("kafka://{staging}"), run.to_str().expect("UTF-8").to_owned());
    let probe = format!("topic={topic},match=json:$.id,from=key,deadline=20s");
    let ended = dejaq(&["replay", &recording, "--to", &url, "--run", &run, "--lag", &group, "--probe", &probe]);
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
    let report: Value = serde_json::from_slice(&std::fs::read(format!("{run}/run.json")).expect("run.json")).expect("JSON");

    let lag = &report["observed"]["lag"][0];
    assert_eq!((&lag["group"], &lag["partitions"], &lag["silent"]), (&json!(group), &json!(2), &json!([])), "{lag:#}");
    let end = lag["end"]["messages"].as_u64().expect("a lag");
    assert!((500..=1_000).contains(&end) && lag["messages_max"] == json!(end), "it only grew, up to the last look: {lag:#}");
    assert!(lag["end"]["time_ns"].as_u64() > Some(1_000_000_000) && lag["end"]["at_least"] == false, "{lag:#}");
    let rows = std::fs::read_to_string(format!("{run}/lag.csv")).expect("lag.csv");
    let rows: Vec<Vec<&str>> = rows.lines().skip(1).map(|row| row.split(',').collect()).collect();
    for row in rows.iter().filter(|row| !row[2].is_empty()) {
        let number = |ix: usize| row[ix].parse::<i64>().expect("a number");
        assert_eq!(number(5) - number(4), number(6), "{row:?}");
    }
    let total = |row: &&Vec<&str>| row[2].is_empty();
    assert_eq!(rows.iter().rfind(total).map(|row| row[6].parse()), Some(Ok(end)), "{rows:?}");

    let matched = &report["observed"]["probes"][0]["matched"];
    assert_eq!((&matched["answered"], &matched["lost"], &matched["unmatched"]), (&json!(1_000), &json!(0), &json!(0)), "{report:#}");
    // HdrHistogram's own library reads the same percentiles in the log, whatever second they are filed under.
    let (ours, file) = (&report["latency"]["end_to_end"], format!("{run}/latency.hlog"));
    let theirs = Peer::run(&["hlog", "--file", &file, "--tag", "end_to_end", "--from", "0"]);
    assert_eq!((&theirs["count"], &ours["count"]), (&json!(1_000), &json!(1_000)));
    let max = ours["max_ns"].as_u64().expect("all came");
    for name in ["p50_ns", "p90_ns", "p99_ns", "p999_ns"] {
        // They answer with the top of a bucket, which may lie above every value.
        assert_eq!(theirs[name].as_u64().map(|ns| ns.min(max)), ours[name].as_u64(), "{name}");
    }
    let after = offsets(&staging, &group);
    assert_eq!((&before["offsets"], &before["state"]), (&after["offsets"], &after["state"]));
    let groups = Peer::run(&["offsets", "--bootstrap", &staging]);
    let ours = groups["groups"].as_array().into_iter().flatten().filter(|g| g["group"].as_str().is_some_and(|g| g.starts_with("dejaq-")));
    assert_eq!(ours.count(), 0, "dejaq is no group: {groups:#}");
}

/// The group when it has come to rest with so many members.
fn settled(bootstrap: &str, group: &str, members: usize) {
    // Each look starts a program: they are seconds apart, and two minutes are enough for any rebalance.
    let at_rest = |_: &usize| {
        let seen = offsets(bootstrap, group);
        seen["state"] == "Stable" && seen["members"].as_array().is_some_and(|m| m.len() == members)
    };
    assert!((0..120).any(|look| at_rest(&look)), "{group} never had {members} members: {}", offsets(bootstrap, group));
}

#[test]
fn a_member_that_joins_while_the_run_goes_on_is_a_rebalance_on_its_time_axis() {
    let staging = clusters().staging;
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (topic, group) = (Peer::create_topic(&staging, "rebalanced", 2, ""), unique("billing"));
    let consume = ["consume", "--bootstrap", &staging, "--topic", &topic, "--group", &group, "--count", "1000000000"];
    let _first = Peer::start(&consume);
    settled(&staging, &group, 1);

    let (recording, run) = (recording(scratch.path(), &topic, 500), scratch.path().join("run"));
    let (url, run) = (format!("kafka://{staging}"), run.to_str().expect("UTF-8").to_owned());
    let mut running = Background::start(&["replay", &recording, "--to", &url, "--run", &run, "--lag", &group, "--loop"]);
    // Progress is said every few seconds: by the second time the group has been looked at.
    running.wait_for(" in flight ");
    running.wait_for(" in flight ");
    let _second = Peer::start(&consume);
    settled(&staging, &group, 2);
    running.wait_for(" in flight ");
    running.wait_for(" in flight ");
    let ended = running.interrupt();
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");

    let shown = dejaq(&["report", &run, "--json"]).json();
    let lag = &shown["run"]["observed"]["lag"][0];
    let rebalances = lag["rebalances"].as_array().expect("a list");
    let joined = rebalances.iter().map(|r| r["joined"].as_u64().expect("a number")).sum::<u64>();
    assert!(!rebalances.is_empty() && joined == 1, "one joined, and nobody before: {lag:#}");
    assert!(rebalances.iter().all(|r| r["left"] == 0 && r["from_ns"].as_u64() < r["to_ns"].as_u64()), "it is over: {lag:#}");
    let events = shown["events"].as_array().expect("events");
    let marks: Vec<&Value> = events.iter().filter(|e| e["kind"] == "rebalance").collect();
    assert_eq!(marks.len(), rebalances.len(), "{events:#?}");
    assert!(marks[0]["label"].as_str().is_some_and(|label| label.starts_with(&format!("{group} rebalanced"))), "{marks:#?}");
}

#[test]
fn a_probe_s_topic_that_gets_a_partition_was_not_seen_whole() {
    let staging = clusters().staging;
    let scratch = tempfile::tempdir().expect("temporary directory");
    let [topic, output] = ["asked", "answers"].map(|what| Peer::create_topic(&staging, what, 2, ""));
    let (recording, run) = (recording(scratch.path(), &topic, 500), scratch.path().join("run"));
    let (url, run) = (format!("kafka://{staging}"), run.to_str().expect("UTF-8").to_owned());
    let probe = format!("topic={output},match=json:$.id,from=key,deadline=1s");
    let mut running = Background::start(&["replay", &recording, "--to", &url, "--run", &run, "--probe", &probe, "--loop"]);
    running.wait_for(" in flight ");
    Peer::run(&["add-partitions", "--bootstrap", &staging, "--topic", &format!("{output}:3")]);
    running.wait_for(" in flight ");
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let report: Value = serde_json::from_slice(&std::fs::read(format!("{run}/run.json")).expect("run.json")).expect("JSON");
    let trust = report["trust"].as_array().expect("reasons");
    let told = |reason: &Value| reason["reason"] == "probe failed" && reason["detail"].to_string().contains("(2 before, 3 now)");
    assert!(trust.iter().any(told), "{trust:?}");
}
