//! What the tests share: recordings from lines, clusters in this process, and what is in them afterwards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dejaq_shared::broker::kafka::embedded::EmbeddedKafka;
use serde_json::{Value, json};

use crate::dejaq::{Ended, dejaq};

/// An empty fetch of the embedded cluster waits that long.
pub(crate) const PROMPT: [&str; 2] = ["-X", "fetch.wait.max.ms=10"];

/// A directory of the test's own.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("temporary directory"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A path in it, as an argument.
    pub(crate) fn arg(&self, name: &str) -> String {
        text(&self.path(name))
    }

    /// Writes a file and returns its path.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        std::fs::write(self.path(name), content).expect("a file");
        self.arg(name)
    }

    /// Imports records into a recording called `name`, from the cluster `source` or an unknown one.
    pub(crate) fn recording(&self, name: &str, records: &[Value], source: Option<&str>) -> String {
        let lines: String = records.iter().map(|r| format!("{r}\n")).collect();
        let (file, out) = (self.file(&format!("{name}.ndjson"), &lines), self.arg(name));
        let mut args = vec!["import", &file, "--out", &out];
        args.extend(source.iter().flat_map(|s| ["--source-cluster", s]));
        dejaq(&args).expect(0);
        out
    }
}

pub(crate) fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// A Kafka in this process.
pub(crate) fn kafka(topics: &[(&str, u32)]) -> EmbeddedKafka {
    EmbeddedKafka::start(topics).expect("an embedded cluster")
}

/// `count` records of topic `t`, a millisecond apart, spread over `partitions`, each with a key and a value of its own.
pub(crate) fn records(count: i64, partitions: i64) -> Vec<Value> {
    (0..count).map(|i| record(i % partitions, 1_700_000_000_000 + i, &json!(format!("k{i}")), &json!(format!("v{i}")))).collect()
}

/// A record of topic `t`, received when it was created.
pub(crate) fn record(partition: i64, ms: i64, key: &Value, value: &Value) -> Value {
    json!({"broker": "kafka", "topic": "t", "partition": partition, "broker_ts": ms, "arrival_ns": ms * 1_000_000, "key": key, "value": value})
}

/// Replays; `more` are further flags.
pub(crate) fn replay(recording: &str, to: &EmbeddedKafka, run: &str, more: &[&str]) -> Ended {
    let url = to.url();
    dejaq(&[&["replay", recording, "--to", &url, "--run", run], more].concat())
}

/// Captures all that is in a topic.
pub(crate) fn capture(from: &EmbeddedKafka, topic: &str, out: &str, more: &[&str]) -> Ended {
    let url = from.url();
    dejaq(
        &[&["capture", "--from", &url, "--topics", topic, "--out", out, "--start", "beginning", "--until", "end"], &PROMPT[..], more]
            .concat(),
    )
}

/// The records of a recording, in its order.
pub(crate) fn exported(recording: &str) -> Vec<Value> {
    let lines = dejaq(&["export", recording]).expect(0).stdout;
    lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// Key, headers and value of each partition's records, in order.
pub(crate) type Content = BTreeMap<i64, Vec<(Value, Value, Value)>>;

/// What must be the same after a replay: key, headers and value of each partition's records, in order.
pub(crate) fn content(records: &[Value]) -> Content {
    let mut by_partition = BTreeMap::<_, Vec<_>>::new();
    for record in records {
        let partition = record["partition"].as_i64().expect("a partition");
        by_partition.entry(partition).or_default().push((record["key"].clone(), record["headers"].clone(), record["value"].clone()));
    }
    by_partition
}

/// What is in topic `t` of a cluster, by capture and export.
pub(crate) fn held(scratch: &Scratch, cluster: &EmbeddedKafka, name: &str) -> Vec<Value> {
    let out = scratch.arg(name);
    capture(cluster, "t", &out, &["--replayed", "include"]).expect(0);
    exported(&out)
}

/// A run's report.
pub(crate) fn run_json(run: &str) -> Value {
    serde_json::from_slice(&std::fs::read(Path::new(run).join("run.json")).expect("run.json")).expect("JSON")
}

/// Whether the books of a run balance, recomputed from what it wrote.
pub(crate) fn assert_balanced(report: &Value) {
    let ledger = &report["ledger"];
    let of = |name: &str| ledger[name].as_u64().unwrap_or_else(|| panic!("no {name}: {ledger}"));
    assert_eq!(of("read") + of("cloned"), of("scheduled") + of("filtered"), "{ledger}");
    assert_eq!(of("scheduled"), of("sent") + of("skipped"), "{ledger}");
    assert_eq!(of("sent"), of("acked") + of("failed") + of("unknown"), "{ledger}");
    for bucket in ["filtered", "skipped", "failed", "unknown"] {
        let reasons = ledger["reasons"][bucket].as_object().map_or(0, |r| r.values().filter_map(Value::as_u64).sum());
        assert_eq!(of(bucket), reasons, "{bucket}: {ledger}");
    }
}

/// The only reasons against a run that a busy machine may give.
pub(crate) fn assert_sent_in_full(ended: &Ended, report: &Value) {
    assert_balanced(report);
    let ledger = &report["ledger"];
    assert_eq!(ledger["scheduled"], ledger["acked"], "{ledger}");
    match ended.code {
        Some(0) => assert_eq!(report["verdict"], "VALID", "{report:#}"),
        Some(3) => {
            let undelivered = report["delivered"].as_f64().is_some_and(|d| d < 0.99);
            let trust = report["trust"].as_array().expect("trust");
            assert!(undelivered || !trust.is_empty(), "a doubt has a reason: {report:#}");
            // Where there is no time to read a recording in, it runs dry; nothing else is wrong with it.
            assert!(trust.iter().all(|r| r["cause"] != "input" || r["reason"] == "recording ran dry"), "{report:#}");
            assert_eq!(report["verdict"] == "INVALID", !trust.is_empty(), "{report:#}");
        }
        _ => panic!("{ended:?}"),
    }
}
