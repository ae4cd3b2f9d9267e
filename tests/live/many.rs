//! Many topics and partitions, and production's own consumers beside a capture.

use serde_json::Value;

use crate::background::*;
use crate::dejaq::*;
use crate::held::*;
use crate::peer::{Peer, clusters, unique};

/// 300 topics with 1,000 partitions together.
const TOPICS: usize = 300;

#[test]
fn three_hundred_topics_with_a_thousand_partitions_are_recorded_whole() {
    let prod = clusters().prod;
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (dir, url) = (scratch.path().join("rec"), format!("kafka://{prod}"));
    let prefix = unique("many");
    let names: Vec<String> = (0..TOPICS).map(|n| format!("{prefix}-{n}")).collect();
    // 100 of eight partitions and 200 of one.
    let specs: Vec<String> = names.iter().enumerate().map(|(n, name)| format!("{name}:{}", if n % 3 == 0 { 8 } else { 1 })).collect();
    let with = |command: &'static str, topics: &[String], more: &[&str]| {
        let mut args = vec![command, "--bootstrap", &prod];
        args.extend(topics.iter().flat_map(|topic| ["--topic", topic.as_str()]));
        args.extend_from_slice(more);
        Peer::run(&args);
    };
    with("create-topics", &specs, &[]);
    with("feed-synthetic", &names, &["--count", "20000", "--bytes", "100"]);
    let pattern = format!("^{prefix}-");
    let running = Background::capture(&["--from", &url, "--topics", &pattern, "--out", text(&dir), "--start", "beginning"]);
    with("feed-synthetic", &names, &["--count", "20000", "--bytes", "100", "--first", "20000"]);
    wait_until(&dir, "complete", |r| count(r) >= 40_000);
    running.interrupt().expect(0);
    let report = assert_lossless(&dir);
    assert_eq!(report["streams"].as_array().map(Vec::len), Some(1_000));
    assert_same(&dir, &dump(&prod, &names.join(","), "read_uncommitted"));

    // A resume asks for each of the thousand positions, and has its epoch checked.
    with("feed-synthetic", &names, &["--count", "5000", "--bytes", "100", "--first", "40000"]);
    dejaq(&["capture", "--from", &url, "--topics", &pattern, "--out", text(&dir), "--until", "end"]).expect(0);
    assert_eq!(count(&assert_lossless(&dir)), 45_000);
    with("delete-topics", &names, &[]);
}

#[test]
fn a_group_that_consumes_and_commits_is_not_disturbed() {
    let prod = clusters().prod;
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (dir, url) = (scratch.path().join("rec"), format!("kafka://{prod}"));
    let (topic, group) = (Peer::create_topic(&prod, "shared", 4, ""), unique("production"));
    let feed = |first: &str| {
        let feed = ["feed-synthetic", "--bootstrap", &prod, "--topic", &topic, "--count", "5000", "--bytes", "100", "--first", first];
        Peer::run(&feed);
    };
    let consumer = Peer::start(&["consume", "--bootstrap", &prod, "--topic", &topic, "--group", &group, "--count", "15000"]);
    feed("0");
    let before = group_at(&prod, &group, 5_000);
    let running = Background::capture(&["--from", &url, "--topics", &topic, "--out", text(&dir), "--start", "beginning"]);
    feed("5000");
    let during = group_at(&prod, &group, 10_000);
    wait_until(&dir, "all of it", |r| count(r) >= 10_000);
    running.interrupt().expect(0);
    let after = group_at(&prod, &group, 10_000);
    // Its offsets are those that it committed itself, and nobody made it share its partitions anew.
    assert_eq!(during["offsets"], after["offsets"]);
    for (name, of) in [("state", "Stable"), ("protocol", "consumer")] {
        assert!([&before, &during, &after].iter().all(|group| group[name] == of), "{before:#} {during:#} {after:#}");
    }
    assert_eq!((&before["members"], &during["members"]), (&during["members"], &after["members"]));
    assert_eq!(before["members"].as_array().map(Vec::len), Some(1), "{before:#}");
    let groups = Peer::run(&["offsets", "--bootstrap", &prod]);
    let ours = groups["groups"].as_array().into_iter().flatten().filter(|g| g["group"].as_str().is_some_and(|g| g.starts_with("dejaq-")));
    assert_eq!(ours.count(), 0, "{groups:#}");
    feed("10000");
    assert_eq!(consumer.wait()["count"], 15_000, "the group goes on");
}

/// The group, once it has committed so many records.
fn group_at(bootstrap: &str, group: &str, committed: i64) -> Value {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        let all = Peer::run(&["offsets", "--bootstrap", bootstrap]);
        let found = all["groups"].as_array().into_iter().flatten().find(|g| g["group"] == group);
        let offsets = found.and_then(|g| g["offsets"].as_array()).into_iter().flatten();
        if offsets.filter_map(|o| o["offset"].as_i64()).sum::<i64>() == committed {
            return found.cloned().unwrap_or_default();
        }
        assert!(std::time::Instant::now() < deadline, "the group never committed {committed}: {all:#}");
    }
}
