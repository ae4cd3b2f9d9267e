//! How messages leave: by which key, with which time stamp, through what kind of client, and what becomes of one that breaks.

use std::collections::BTreeMap;

use dejaq_shared::broker::kafka::embedded::Api;
use serde_json::{Value, json};

use crate::dejaq::dejaq;
use crate::kit::*;

const ELSEWHERE: Option<&str> = Some("elsewhere");

/// What Apache Kafka's Java client says of some keys among 3 and 50 partitions.
const JAVA_KEYS: &str = include_str!("../../replay/src/partitioner/java_keys.ndjson");

/// Records whose keys are those that the Java client was asked about, and the partitions (of 3) that it chooses.
fn keyed() -> (Vec<Value>, BTreeMap<String, i64>) {
    use base64::Engine as _;
    let (mut all, mut places) = (Vec::new(), BTreeMap::new());
    for (row, n) in JAVA_KEYS.lines().zip(0i64..) {
        let row: Value = serde_json::from_str(row).expect("a row");
        let hex = row["key"].as_str().expect("hexadecimal");
        let bytes: Vec<u8> = (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).expect("hexadecimal")).collect();
        let key = json!({"base64": base64::engine::general_purpose::STANDARD.encode(&bytes)});
        let value = format!("v{n}");
        places.insert(value.clone(), row["partitions"][0].as_i64().expect("a partition"));
        // Where it was recorded says nothing.
        all.push(record(n % 7, 1_700_000_000_000 + n, &key, &json!(value)));
    }
    (all, places)
}

#[test]
fn rekey_puts_keys_where_the_java_client_does_and_keyless_ones_by_their_partition() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 3)]));
    let (mut all, places) = keyed();
    for n in 0..21 {
        all.push(record(n % 7, 1_700_000_001_000 + n, &Value::Null, &json!(format!("none{n}"))));
    }
    let recording = scratch.recording("rec", &all, ELSEWHERE);
    let run = scratch.arg("run");
    let ended = replay(&recording, &target, &run, &["--partitions", "rekey", "--mark", "off", "--max"]);
    assert_sent_in_full(&ended, &run_json(&run));
    assert!(ended.stderr.contains("a key's records keep their order"), "{}", ended.stderr);
    let back = held(&scratch, &target, "back");
    assert_eq!(back.len(), all.len());
    for record in &back {
        let value = record["value"]["utf8"].as_str().expect("text");
        let expected = places.get(value).copied().unwrap_or_else(|| value[4..].parse::<i64>().expect("none<number>") % 7 % 3);
        assert_eq!(record["partition"], expected, "{record}");
    }
}

#[test]
fn a_plan_says_what_explains_the_recorded_partitions() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 3)]));
    let (all, places) = keyed();
    let as_java: Vec<Value> = all
        .into_iter()
        .filter(|r| r["key"] != json!({"base64": ""}))
        .map(|mut r| {
            r["partition"] = json!(places[r["value"].as_str().expect("text")]);
            r
        })
        .collect();
    let java = scratch.recording("java", &as_java, ELSEWHERE);
    let by_hand = scratch.recording("hand", &records(300, 3), ELSEWHERE);
    let url = target.url();
    let plan = |recording: &str, more: &[&str]| dejaq(&[&["plan", recording, "--to", &url], more].concat()).expect(0).stdout;
    assert!(plan(&java, &[]).contains("keys of t lie where murmur2 puts them (Kafka's Java client): at least 100 % of 88"));
    let said = plan(&by_hand, &["--partitions", "rekey"]);
    assert!(said.contains("keys of t lie neither where murmur2 nor where CRC-32") && said.contains("would lie elsewhere"), "{said}");
    let found = dejaq(&["plan", &java, "--to", &url, "--json"]).expect(0).json();
    assert_eq!(found["partitioners"][0]["partitioner"], "murmur2", "{found:#}");
    assert_eq!((&found["partitioners"][0]["partitions"], &found["partitioners"][0]["partitions_known"]), (&json!(3), &json!(false)));
}

#[test]
fn original_time_stamps_arrive_as_recorded_and_what_cannot_be_sent_is_counted() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let mut all = records(200, 1);
    all[7]["broker_ts"] = json!(0);
    all[9]["broker_ts"] = json!(-5);
    all[11]["broker_ts"] = Value::Null;
    all[11]["broker_ts_kind"] = json!("none");
    let recording = scratch.recording("rec", &all, ELSEWHERE);
    let run = scratch.arg("run");
    let ended = replay(&recording, &target, &run, &["--timestamps", "original", "--clock", "arrival", "--mark", "off", "--max"]).expect(3);
    for said in ["1 records have the time stamp 0", "1 records have no broker time"] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
    let report = run_json(&run);
    assert_balanced(&report);
    assert_eq!(report["ledger"]["reasons"]["skipped"]["time stamp 0"], 1, "{report:#}");
    let stamps =
        |records: &[Value]| -> Vec<(Value, Value)> { records.iter().map(|r| (r["value"].clone(), r["broker_ts"].clone())).collect() };
    let mut expected = stamps(&exported(&recording));
    // How Kafka writes that there is none.
    expected[11].1 = json!(-1);
    expected.remove(7);
    assert_eq!(stamps(&held(&scratch, &target, "back")), expected);
}

#[test]
fn the_client_s_kind_is_said_and_held_to() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let recording = scratch.recording("rec", &records(200, 1), ELSEWHERE);
    let url = target.url();
    let plan = |more: &[&str]| dejaq(&[&["plan", &recording, "--to", &url], more].concat()).expect(0).stdout;
    let precise = plan(&[]);
    assert!(
        precise.contains("client     linger.ms=0 ") && precise.contains("acks=all") && precise.contains("enable.idempotence=true"),
        "{precise}"
    );
    let own =
        ["--client", "prod-like", "-X", "batch.size=16384", "-X", "compression.type=lz4", "-X", "acks=1", "-X", "ssl.key.password=hunter2"];
    let like = plan(&own);
    assert!(
        like.contains("linger.ms=5 batch.size=16384") && like.contains("compression.type=lz4 acks=1 enable.idempotence=false"),
        "{like}"
    );
    let all = dejaq(&[&["plan", &recording, "--to", &url, "--json"], &own[..]].concat()).expect(0).stdout;
    assert!(!all.contains("hunter2") && all.contains("\"ssl.key.password\": \"***\""), "{all}");
    let run = scratch.arg("run");
    let ended = replay(&recording, &target, &run, &["--client", "prod-like", "--mark", "off"]);
    assert_sent_in_full(&ended, &run_json(&run));
    assert_eq!(run_json(&run)["config"]["client"], "prod-like");
}

#[test]
fn a_client_that_the_cluster_breaks_ends_the_run_with_the_reason() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let recording = scratch.recording("rec", &records(20_000, 1), ELSEWHERE);
    // Out of order sequence number, at the first batch: an idempotent producer cannot go on.
    target.fail_requests(Api::Produce, &[45]);
    let run = scratch.arg("run");
    let ended = replay(&recording, &target, &run, &["--mark", "off"]).expect(3);
    let report = run_json(&run);
    assert_balanced(&report);
    assert_eq!((&report["finished"], &report["verdict"]), (&json!(true), &json!("INVALID")), "{report:#}");
    let failed = report["trust"].as_array().and_then(|t| t.iter().find(|r| r["reason"] == "client failed"));
    let detail = failed.and_then(|r| r["detail"].as_str()).unwrap_or_else(|| panic!("no reason: {report:#}"));
    assert!(detail.contains("the client gave up") && detail.contains("sequence"), "{detail}");
    assert!(ended.stdout.contains("client failed"), "{}", ended.stdout);
    assert_eq!(report["ledger"]["acked"], 0, "{report:#}");
    assert!(report["ledger"]["scheduled"].as_u64().is_some_and(|n| n < 20_000), "it ended long before the recording did: {report:#}");
}
