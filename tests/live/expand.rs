//! Expansion into a real cluster, counted by an independent client.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::dejaq::*;
use crate::peer::{Peer, clusters, unique};

/// Datagrams of ten lines each, over seven hosts.
fn recorded(dir: &std::path::Path, topic: &str, messages: u32) -> String {
    let mut lines = String::new();
    for n in 0..messages {
        let datagram: Vec<String> = (0..10).map(|m| format!("m{m}:{n}|c|#host:web-{:03},env:prod", n % 7)).collect();
        let value = Value::from(datagram.join("\n"));
        let (partition, position, at) = (n % 4, n / 4, 1_700_000_000_000u64 + u64::from(n));
        let _ = writeln!(
            lines,
            r#"{{"broker":"kafka","cluster":"elsewhere","topic":"{topic}","partition":{partition},"position":{position},"broker_ts":{at},"broker_ts_kind":"create","arrival_ns":{at}000000,"value":{{"utf8":{value}}}}}"#
        );
    }
    let (from, to) = (dir.join("in.ndjson"), dir.join("rec"));
    std::fs::write(&from, lines).expect("written");
    dejaq(&["import", from.to_str().expect("UTF-8"), "--out", to.to_str().expect("UTF-8")]).expect(0);
    to.to_str().expect("UTF-8").to_owned()
}

#[test]
fn as_many_hosts_arrive_as_were_asked_for() {
    let (scratch, topic) = (tempfile::tempdir().expect("tmp"), unique("expand"));
    let recording = recorded(scratch.path(), &topic, 6_000);
    let (rules, run) = (scratch.path().join("rules.toml"), scratch.path().join("run"));
    let text = "[[expand]]\nstreams = \"*\"\nformat = \"auto\"\ntag = \"host\"\ndistinct = 50_000\npick = { zipf = 1.1 }\nderive = { rack = \"r{host % 40}\" }\n";
    std::fs::write(&rules, text).expect("written");
    let (to, at) = (format!("kafka://{}", clusters().staging), |p: &std::path::Path| p.to_str().expect("UTF-8").to_owned());
    let ended =
        dejaq(&["replay", &recording, "--to", &to, "--run", &at(&run), "--expand", &at(&rules), "--create-topics", "--mark", "off"]);
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");

    let (mut hosts, mut racks, mut samples) = (BTreeSet::new(), BTreeSet::new(), 0);
    for message in Peer::lines(&["dump", "--bootstrap", &clusters().staging, "--topics", &topic]) {
        let value = STANDARD.decode(message["value"].as_str().expect("base64")).expect("base64");
        let value = String::from_utf8(value).expect("text");
        for line in value.lines() {
            let tags: Vec<&str> = line.split("|#").nth(1).expect("tags").split(',').collect();
            let tag = |name: &str| tags.iter().find_map(|t| t.strip_prefix(name)).expect("the tag").to_owned();
            hosts.insert(tag("host:"));
            racks.insert(tag("rack:"));
            assert_eq!(tag("env:"), "prod");
            samples += 1;
        }
    }
    assert_eq!((samples, hosts.len(), racks.len()), (60_000, 50_000, 40));
    let cardinality: Value = serde_json::from_slice(&std::fs::read(run.join("cardinality.json")).expect("written")).expect("JSON");
    let rule = &cardinality["rules"][0];
    assert_eq!((&rule["asked"], &rule["sent_distinct"], &rule["written"]), (&50_000.into(), &50_000.into(), &60_000.into()));
    assert_eq!(rule["metrics"].as_array().map(Vec::len), Some(10));
}
