//! What replay makes of keys, time stamps and topics at a real cluster, seen by an independent client.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dejaq_shared::record::{BrokerTime, Headers, Lane, Record, RecordFlags, Stream};
use dejaq_shared::segment::block::{BlockBuilder, BlockEncoder, EncodedBlock};
use dejaq_shared::segment::codec::Compression;
use dejaq_shared::segment::meta::{FiltersV1, SourceV1};
use dejaq_shared::segment::recording_writer::{NewRecording, RecordingWriter, RollPolicy};
use serde_json::Value;

use crate::background::Background;
use crate::dejaq::*;
use crate::peer::{Peer, clusters, unique};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn url(bootstrap: &str) -> String {
    format!("kafka://{bootstrap}")
}

fn feed(bootstrap: &str, topic: &str, count: &str, more: &[&str]) {
    let made = ["feed-synthetic", "--bootstrap", bootstrap, "--topic", topic, "--count", count, "--bytes", "40"];
    Peer::run(&[&made[..], more].concat());
}

/// All that is in a topic of prod.
fn captured(scratch: &Path, topic: &str) -> PathBuf {
    let (at, dir) = (clusters(), scratch.join(topic));
    let from = url(&at.prod);
    dejaq(&["capture", "--from", &from, "--topics", topic, "--out", text(&dir), "--start", "beginning", "--until", "end"]).expect(0);
    dir
}

/// Replays into staging; what it says, whatever a busy machine makes of its timing.
fn replayed(dir: &Path, run: &Path, map: &str, more: &[&str]) -> (Ended, Value) {
    let to = url(&clusters().staging);
    let args = ["replay", text(dir), "--to", &to, "--run", text(run), "--mark", "off", "--map", map];
    let ended = dejaq(&[&args[..], more].concat());
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
    let report = serde_json::from_slice(&std::fs::read(run.join("run.json")).expect("run.json")).expect("JSON");
    (ended, report)
}

fn dump(bootstrap: &str, topic: &str) -> Vec<Value> {
    Peer::lines(&["dump", "--bootstrap", bootstrap, "--topics", topic])
}

#[test]
fn the_hashes_that_the_unit_tests_know_are_the_java_client_s() {
    let known = include_str!("../../replay/src/partitioner/java_keys.ndjson");
    let known: Vec<Value> = known.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    assert_eq!(Peer::lines(&["partition-keys", "--partitions", "3,50"]), known);
}

#[test]
fn rekey_puts_each_key_where_the_java_client_puts_it() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let keyed = ["--partitions", "key", "--keys", "300", "--seed", "7"];
    let source = Peer::create_topic(&at.prod, "keyed", 5, "");
    feed(&at.prod, &source, "3000", &keyed);
    let dir = captured(scratch.path(), &source);
    let plan = dejaq(&["plan", text(&dir), "--to", &url(&at.staging), "--create-topics", "--json"]).expect(0).json();
    let found = &plan["partitioners"][0];
    assert_eq!((&found["partitioner"], &found["partitions"], &found["partitions_known"]), (&"murmur2".into(), &5.into(), &true.into()));
    assert_eq!(found["murmur2"], 1.0, "{plan:#}");

    // The same traffic, once replayed into fewer partitions, once sent there by the Java client itself.
    let (ours, theirs) = (Peer::create_topic(&at.staging, "rekeyed", 3, ""), Peer::create_topic(&at.staging, "java", 3, ""));
    feed(&at.staging, &theirs, "3000", &keyed);
    let map = format!("{source}={ours}");
    let (ended, report) = replayed(&dir, &scratch.path().join("run"), &map, &["--partitions", "rekey", "--max"]);
    assert_eq!(report["ledger"]["acked"], 3000, "{ended:?}");
    let placed = |topic: &str| -> BTreeMap<(String, String), i64> {
        let of = |r: &Value, what: &str| r[what].as_str().expect("bytes").to_owned();
        dump(&at.staging, topic).iter().map(|r| ((of(r, "key"), of(r, "value")), r["partition"].as_i64().expect("a partition"))).collect()
    };
    let placed_by_us = placed(&ours);
    assert_eq!(placed_by_us.len(), 3000);
    assert_eq!(placed_by_us, placed(&theirs));
    // A key's records, whose values count up, keep their order.
    let mut newest: BTreeMap<String, String> = BTreeMap::new();
    for record in dump(&at.staging, &ours) {
        let (key, value) = (record["key"].as_str().expect("a key").to_owned(), record["value"].as_str().expect("a value").to_owned());
        let number = digits(&value);
        assert!(newest.insert(key, number.clone()).is_none_or(|before| before < number), "{record}");
    }
}

/// The sequence number that a synthetic value begins with.
fn digits(base64: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64).expect("base64");
    String::from_utf8_lossy(&bytes[..12]).into_owned()
}

#[test]
fn original_time_stamps_are_kept_where_the_topic_keeps_them_and_refused_where_not() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = old_recording(scratch.path(), "{}");
    let topic = |configs: &str| Peer::create_topic(&at.staging, "old", 1, configs);
    let run = |name: &str, target: &str, more: &[&str]| {
        let to = url(&at.staging);
        let (map, run) = (format!("old={target}"), scratch.path().join(name));
        dejaq(&[&["replay", text(&dir), "--to", &to, "--run", text(&run), "--map", &map, "--max", "--mark", "off"], more].concat())
    };
    // A week is the brokers' default; the records are from 2023.
    let short = topic("retention.ms=86400000");
    let refused = run("short", &short, &["--timestamps", "original"]).expect(1);
    for part in ["retention.ms=86400000", &short, "--timestamps shift", "or to -1"] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    let strict = topic("retention.ms=-1,message.timestamp.before.max.ms=86400000");
    let refused = run("strict", &strict, &["--timestamps", "original"]).expect(1);
    assert!(refused.stderr.contains("message.timestamp.before.max.ms=86400000"), "{}", refused.stderr);
    // Two hours ahead of the clock: Kafka 4 takes one.
    let ahead = dejaq_shared::units::format_time_ns(dejaq_shared::clock::wall_now_ns() + 7_200_000_000_000);
    let refused = run("ahead", &short, &["--timestamps", "shift", "--origin", &ahead]).expect(1);
    assert!(refused.stderr.contains("message.timestamp.after.max.ms=3600000"), "{}", refused.stderr);
    assert_eq!(dump(&at.staging, &short).len() + dump(&at.staging, &strict).len(), 0, "nothing was sent");

    let kept = topic("retention.ms=-1");
    run("kept", &kept, &["--timestamps", "original"]);
    let stamps: Vec<Value> = dump(&at.staging, &kept).iter().map(|r| r["ts"].clone()).collect();
    let recorded = |n| match n {
        50 => -1,
        60 => -5,
        n => FIRST_MS + n,
    };
    assert_eq!(stamps, (0..200).map(|n| Value::from(recorded(n))).collect::<Vec<_>>(), "as recorded, and none where there was none");

    let append = topic("message.timestamp.type=LogAppendTime");
    let ended = run("append", &append, &["--timestamps", "original"]);
    assert!(ended.stderr.contains("LogAppendTime"), "{}", ended.stderr);
    assert_eq!(dump(&at.staging, &append).len(), 200);

    let shifted = topic("retention.ms=86400000");
    let origin = dejaq_shared::clock::wall_now_ns() / 1_000_000 - 3_600_000;
    let origin_text = dejaq_shared::units::format_time_ns(origin * 1_000_000);
    run("shifted", &shifted, &["--timestamps", "shift", "--origin", &origin_text]);
    let stamps: Vec<i64> = dump(&at.staging, &shifted).iter().map(|r| r["ts"].as_i64().expect("a time")).collect();
    assert_eq!((stamps.len(), stamps[0], stamps[199] - stamps[0]), (200, origin, 199), "recorded distances from the origin");
}

/// 2023-11-14T22:13:20Z.
const FIRST_MS: i64 = 1_700_000_000_000;

/// A recording of topic `old`: 200 records of 2023, a millisecond apart, one without a time stamp and one of before 1970; and
/// settings of its own.
fn old_recording(scratch: &Path, settings: &str) -> PathBuf {
    let dir = scratch.join(unique("old"));
    let source = SourceV1 { broker: "kafka".into(), cluster: "long-gone".into(), ancestors: Vec::new() };
    let filters = FiltersV1 { topics: vec!["old".into()], replayed: "stop".into(), sampled_one_in: 1 };
    let mut writer =
        RecordingWriter::create(&dir, NewRecording { source, filters, isolation: None, roll: RollPolicy::default() }).expect("new");
    let lane = Lane::Kafka { topic: "old".into(), topic_id: None, partition: 0 };
    writer.add_streams(&[(Stream { cluster: "long-gone".into(), lane }, 0)]).expect("a stream");
    let topics = format!(r#"[{{"name":"old","id":null,"partitions":1,"settings":{settings}}}]"#);
    writer.attachment("topics.json", "application/json", topics.into_bytes()).expect("attached");
    let mut builder = BlockBuilder::new();
    for n in 0..200 {
        builder.push(&Record {
            stream: 0,
            position: n,
            leader_epoch: -1,
            arrival_ns: (FIRST_MS + n) * 1_000_000,
            broker_time: match n {
                50 => BrokerTime::None,
                60 => BrokerTime::Create(-5),
                n => BrokerTime::Create(FIRST_MS + n),
            },
            key: None,
            value: Some(b"value"),
            headers: Headers::EMPTY,
            flags: RecordFlags::default(),
            ..Record::EMPTY
        });
    }
    let mut block = EncodedBlock::default();
    BlockEncoder::new().expect("zstd").encode(&builder, Compression::Zstd(1), &mut block).expect("encoded");
    writer.block(&block).expect("a block");
    writer.seal().expect("sealed");
    dir
}

#[test]
fn a_topic_that_needs_more_brokers_than_there_are_is_made_so_that_messages_get_through() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let source = Peer::create_topic(&at.prod, "replicated", 2, "segment.bytes=20971520");
    feed(&at.prod, &source, "500", &[]);
    let throttled = ["leader.replication.throttled.replicas=*", "follower.replication.throttled.replicas=*"];
    let set = ["--set", "min.insync.replicas=2", "--set", throttled[0], "--set", throttled[1]];
    let at_source = Peer::run(&[&["topic-configs", "--bootstrap", &at.prod, "--topic", &source][..], &set].concat());
    assert_eq!(at_source["min.insync.replicas"], "2", "{at_source:#}");
    let dir = captured(scratch.path(), &source);
    let made = unique("made");
    let (ended, report) = replayed(&dir, &scratch.path().join("run"), &format!("{source}={made}"), &["--create-topics", "--max"]);
    for said in ["min.insync.replicas is 1 instead of 2", "leader.replication.throttled.replicas is left out", "follower.replication"] {
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
    assert_eq!(report["ledger"]["acked"], 500, "{report:#}");
    assert_eq!(dump(&at.staging, &made).len(), 500);
    let own = Peer::run(&["topic-configs", "--bootstrap", &at.staging, "--topic", &made]);
    assert_eq!(own, serde_json::json!({"min.insync.replicas": "1", "segment.bytes": "20971520"}));
}

#[test]
fn a_setting_that_the_target_does_not_know_is_named_and_nothing_is_made() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let dir = old_recording(scratch.path(), r#"{"no.such.setting":"7"}"#);
    let (to, run, made) = (url(&at.staging), scratch.path().join("run"), unique("unmade"));
    let map = format!("old={made}");
    for command in [&["plan", text(&dir)][..], &["replay", text(&dir), "--run", text(&run)]] {
        let refused = dejaq(&[command, &["--to", &to, "--map", &map, "--create-topics"]].concat()).expect(1);
        for part in [&made, "no.such.setting", "leave --create-topics out"] {
            assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
        }
    }
    let missing = dejaq(&["plan", text(&dir), "--to", &to, "--map", &map]).expect(1);
    assert!(missing.stderr.contains("has no topic"), "{}", missing.stderr);
}

#[test]
fn two_machines_that_share_a_run_make_its_topic_once_and_send_all_of_it() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let source = Peer::create_topic(&at.prod, "shared", 4, "");
    feed(&at.prod, &source, "1000", &[]);
    let dir = captured(scratch.path(), &source);
    let (to, start) = (url(&at.staging), dejaq_shared::clock::wall_now_ns() + 12_000_000_000);
    let start_at = dejaq_shared::units::format_time_ns(start);
    let runs = ["1/2", "2/2"].map(|shard| (shard, scratch.path().join(&shard[..1])));
    let running = runs.each_ref().map(|(shard, run)| {
        let args = ["replay", text(&dir), "--to", &to, "--run", text(run), "--create-topics", "--mark", "off", "--rate", "2k/s"];
        Background::start(&[&args[..], &["--start-at", &start_at, "--shard", shard]].concat())
    });
    for running in running {
        let ended = running.wait();
        assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
    }
    for (shard, run) in &runs {
        let report: Value = serde_json::from_slice(&std::fs::read(run.join("run.json")).expect("run.json")).expect("JSON");
        let said = (&report["shard"], &report["t0_unix_ns"], &report["ledger"]["acked"], &report["ledger"]["read"]);
        assert_eq!(said, (&Value::from(*shard), &start.into(), &500.into(), &500.into()), "{report:#}");
    }
    let same = Peer::run(&["compare", "--source", &at.prod, "--target", &at.staging, "--topics", &source]);
    assert_eq!((&same["compared"], &same["equal"]), (&1000.into(), &true.into()), "{same:#}");
}
