//! Topics as production has them: transactions, compaction, append time, retention, topics made anew, every codec.
//!
//! Each is compared with an independent consumer of the same isolation level. Holes are counted exactly, and there is a gap
//! only where something was lost.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::background::*;
use crate::dejaq::*;
use crate::held::*;
use crate::peer::{Peer, clusters, unique};

/// A recording to be made of one topic.
struct Bench {
    _scratch: tempfile::TempDir,
    dir: PathBuf,
    prod: String,
    url: String,
    topic: String,
}

impl Bench {
    fn new(topic: &str, partitions: u32, configs: &str) -> Self {
        let prod = clusters().prod;
        let scratch = tempfile::tempdir().expect("temporary directory");
        let topic = Peer::create_topic(&prod, topic, partitions, configs);
        Self { dir: scratch.path().join("rec"), url: format!("kafka://{prod}"), _scratch: scratch, prod, topic }
    }

    /// The same topic, for a recording of its own.
    fn beside(other: &Self) -> Self {
        let scratch = tempfile::tempdir().expect("temporary directory");
        let (prod, url, topic) = (other.prod.clone(), other.url.clone(), other.topic.clone());
        Self { dir: scratch.path().join("rec"), _scratch: scratch, prod, url, topic }
    }

    fn peer(&self, command: &str, more: &[&str]) -> Value {
        Peer::run(&[&[command, "--bootstrap", &self.prod], more].concat())
    }

    /// Sends `n` records of 100 bytes, in turn to the partitions.
    fn feed(&self, n: u32, more: &[&str]) {
        self.peer("feed-synthetic", &[&["--topic", &self.topic, "--count", &n.to_string(), "--bytes", "100"], more].concat());
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["--from", &self.url, "--topics", &self.topic, "--out", text(&self.dir), "--start", "beginning"], more].concat()
    }

    /// Captures all that is there.
    fn capture(&self, more: &[&str]) -> Ended {
        dejaq(&[&["capture"], &self.arguments(&[&["--until", "end"], more].concat())[..]].concat())
    }

    /// Captures beside the test, looking at the topics every second.
    fn capture_beside(&self, more: &[&str]) -> Background {
        let config = self.dir.with_extension("toml");
        std::fs::write(&config, "watch_every = \"1s\"\n").expect("config");
        Background::capture(&self.arguments(&[&["--config", text(&config)], more].concat()))
    }

    fn dump(&self, isolation: &str) -> Vec<Value> {
        dump(&self.prod, &self.topic, isolation)
    }
}

const LEVELS: [&str; 2] = ["read_uncommitted", "read_committed"];

fn with_level(level: &str) -> String {
    format!("isolation.level={level}")
}

#[test]
fn aborted_transactions_are_recorded_or_holes_as_the_isolation_level_says() {
    let bench = Bench::new("txn", 2, "");
    bench.peer("txn", &["--topic", &bench.topic, "--commit", "5", "--abort", "3"]);
    for (level, records) in LEVELS.into_iter().zip([80, 50]) {
        let at = Bench::beside(&bench);
        at.capture(&["-X", &with_level(level)]).expect(0);
        let theirs = at.dump(level);
        assert_eq!(theirs.len(), records, "{level}");
        assert_same(&at.dir, &theirs);
        let report = assert_lossless(&at.dir);
        assert_eq!(report["isolation"], level);
        // Each of the 8 transactions ends with a marker in both partitions.
        let holes: i64 = (0..2).map(|stream| of_stream(&report, stream, "holes")).sum();
        assert_eq!(holes, 80 + 16 - i64::try_from(records).expect("few"), "{level}: {report:#}");
        let said = dejaq(&["inspect", text(&at.dir)]).expect(0).stdout;
        assert!(said.contains(&format!("isolation {level}")), "{said}");
    }
}

#[test]
fn a_resume_with_another_isolation_level_is_refused() {
    let bench = Bench::new("level", 1, "");
    bench.feed(10, &[]);
    bench.capture(&[]).expect(0);
    let ended = bench.capture(&["-X", &with_level("read_committed")]).expect(1);
    let words = "was read with isolation level read_uncommitted, this is read_committed: take read_uncommitted, or choose another --out";
    assert!(ended.stderr.contains(words), "{}", ended.stderr);
    bench.feed(10, &[]);
    bench.capture(&["-X", &with_level("read_uncommitted")]).expect(0);
    assert_eq!(count(&assert_lossless(&bench.dir)), 20);
}

#[test]
fn an_open_transaction_is_told_and_does_not_hold_up_the_end() {
    let bench = Bench::new("open", 1, "");
    // 12 records and their markers: 14 offsets; the open transaction lies behind them, and more behind that.
    bench.peer("txn", &["--topic", &bench.topic, "--commit", "1", "--abort", "1", "--records", "6", "--open", "4"]);
    bench.feed(5, &[]);
    let ended = bench.capture(&["-X", &with_level("read_committed")]).expect(0);
    assert!(ended.stderr.contains("in 1 of the partitions a transaction is open"), "{}", ended.stderr);
    assert_same(&bench.dir, &bench.dump("read_committed"));
    let report = assert_lossless(&bench.dir);
    assert_eq!((count(&report), of_stream(&report, 0, "holes"), of_stream(&report, 0, "next_position")), (6, 8, 14), "{report:#}");

    // A capture that goes on waits there, says so, and does not count as holes what may still be committed.
    let mut running = bench.capture_beside(&["-X", &with_level("read_committed")]);
    running.wait_for("stands at position 14 before an open transaction");
    running.wait_for("lag 9 ");
    running.interrupt().expect(0);
    assert_eq!(of_stream(&assert_lossless(&bench.dir), 0, "next_position"), 14);

    let all = Bench::beside(&bench);
    all.capture(&[]).expect(0);
    assert_same(&all.dir, &all.dump("read_uncommitted"));
    let report = assert_lossless(&all.dir);
    assert_eq!((count(&report), of_stream(&report, 0, "holes")), (12 + 4 + 5, 2), "{report:#}");
}

#[test]
fn what_compaction_removed_is_holes_and_no_gaps() {
    let bench = Bench::new("compact", 1, "cleanup.policy=compact,segment.ms=200,min.cleanable.dirty.ratio=0.01,min.compaction.lag.ms=0");
    let feed = |n: &str| bench.feed(n.parse().expect("a number"), &["--partitions", "key", "--keys", "20"]);
    feed("2000");
    // The cleaner never touches the segment that is written to: a record after `segment.ms` closes the one with the others.
    let deadline = Instant::now() + Duration::from_secs(120);
    let theirs = loop {
        feed("1");
        let before = bench.dump("read_uncommitted");
        if before.len() < 1_000 {
            bench.capture(&[]).expect(0);
            // The cleaner may have come by once more meanwhile.
            if bench.dump("read_uncommitted") == before {
                break before;
            }
            std::fs::remove_dir_all(&bench.dir).expect("a recording");
        }
        assert!(Instant::now() < deadline, "the log cleaner has not cleaned: {} records", before.len());
    };
    assert_same(&bench.dir, &theirs);
    let report = assert_lossless(&bench.dir);
    let (records, holes) = (of_stream(&report, 0, "records"), of_stream(&report, 0, "holes"));
    assert!(holes > 1_000, "{report:#}");
    assert_eq!(records + holes, of_stream(&report, 0, "next_position"), "{report:#}");
}

#[test]
fn append_time_is_recorded_and_so_is_a_switch_in_mid_life() {
    let bench = Bench::new("append", 1, "message.timestamp.type=LogAppendTime");
    bench.feed(100, &[]);
    let running = bench.capture_beside(&[]);
    let alter = |to: &str| bench.peer("alter-topics", &["--topic", &format!("{}:message.timestamp.type={to}", bench.topic)]);
    alter("CreateTime");
    bench.feed(100, &["--first", "100"]);
    alter("LogAppendTime");
    bench.feed(100, &["--first", "200"]);
    wait_until(&bench.dir, "complete", |r| count(r) >= 300);
    running.interrupt().expect(0);
    let theirs = bench.dump("read_uncommitted");
    let of = |kind: &str| theirs.iter().filter(|r| r["ts_type"] == kind).count();
    assert_eq!((of("LogAppendTime"), of("CreateTime")), (200, 100), "the topic must have had both");
    assert_same(&bench.dir, &theirs);
    assert_lossless(&bench.dir);
}

#[test]
fn what_retention_took_while_no_capture_ran_is_a_gap_with_range_and_number() {
    let bench = Bench::new("retention", 2, "");
    bench.feed(1_000, &[]);
    bench.capture(&[]).expect(0);
    bench.feed(1_000, &["--first", "1000"]);
    // Of partition 0 what was read and 200 more; of partition 1 only what was read.
    let before = |partition: u32, offset: u32| format!("{}:{partition}:{offset}", bench.topic);
    bench.peer("delete-records", &["--topic", &before(0, 700), "--topic", &before(1, 400)]);
    bench.capture(&[]).expect(3);
    let report = assert_books(&bench.dir);
    let gaps = report["gaps"].as_array().expect("gaps");
    assert_eq!(gaps.len(), 1, "{report:#}");
    assert_gap(&gaps[0], &format!("{}/0", bench.topic), "retention", 500, 700);
    let held = held(&bench.dir);
    assert_eq!(held.len(), 2_000 - 200);
    assert!(held.keys().all(|(_, partition, offset)| *partition == 1 || !(500..700).contains(offset)));
}

/// An exact gap of these positions.
fn assert_gap(gap: &Value, stream: &str, reason: &str, from: i64, to: i64) {
    let expected = json!({"stream": stream, "reason": reason, "from": from, "to": to, "count": to - from, "exact": true});
    for (name, value) in expected.as_object().expect("an object") {
        assert_eq!(gap[name], *value, "{name} of {gap:#}");
    }
}

#[test]
fn what_retention_took_before_a_slow_capture_came_to_it_is_a_gap_with_range_and_number() {
    let bench = Bench::new("overtaken", 1, "");
    bench.feed(30_000, &[]);
    // Small fetches and a small queue: else the client has all of it before it is deleted.
    let small = ["queued.min.messages=1", "queued.max.messages.kbytes=16", "fetch.message.max.bytes=8192"];
    let small: Vec<&str> = small.iter().flat_map(|property| ["-X", property]).chain(["--fetch-rate", "256KiB/s"]).collect();
    let running = bench.capture_beside(&small);
    bench.peer("delete-records", &["--topic", &format!("{}:0:29000", bench.topic)]);
    bench.feed(1_000, &["--first", "30000"]);
    wait_until(&bench.dir, "past the gap, to the end", |r| r["streams"][0]["next_position"] == 31_000);
    let ended = running.interrupt().expect(3);
    assert!(ended.stderr.contains("had deleted these positions"), "{}", ended.stderr);
    let report = assert_books(&bench.dir);
    let gaps = report["gaps"].as_array().expect("gaps");
    assert_eq!(gaps.len(), 1, "{report:#}");
    let from = gaps[0]["from"].as_i64().expect("a position");
    assert!((0..29_000).contains(&from), "{report:#}");
    assert_gap(&gaps[0], &format!("{}/0", bench.topic), "retention", from, 29_000);
    let positions: Vec<i64> = held(&bench.dir).into_keys().map(|(_, _, offset)| offset).collect();
    assert_eq!(positions, (0..from).chain(29_000..31_000).collect::<Vec<_>>());
}

#[test]
fn a_topic_made_anew_is_another_stream_whether_a_capture_runs_or_not() {
    for runs in [true, false] {
        let bench = Bench::new("anew", 1, "");
        bench.feed(50, &[]);
        let first = bench.dump("read_uncommitted");
        let running = if runs {
            let running = bench.capture_beside(&[]);
            wait_until(&bench.dir, "the first incarnation", |r| count(r) >= 50);
            Some(running)
        } else {
            bench.capture(&[]).expect(0);
            None
        };
        bench.peer("recreate-topics", &["--topic", &format!("{}:1", bench.topic)]);
        // More records than before: the old offset exists in the new log, too.
        bench.feed(120, &["--seed", "2"]);
        let ended = if let Some(running) = running {
            wait_until(&bench.dir, "the second incarnation", |r| count(r) >= 170);
            running.interrupt()
        } else {
            bench.capture(&[])
        };
        let report = assert_books(&bench.dir);
        assert_eq!(report["streams"].as_array().map(Vec::len), Some(2), "{report:#}");
        let (old, new) = (&report["streams"][0], &report["streams"][1]);
        assert_ne!(old["topic_id"], new["topic_id"]);
        assert_eq!((&old["ended"], &new["ended"]), (&json!(true), &json!(false)), "{report:#}");
        assert_eq!((&old["records"], &new["records"], &new["first_position"]), (&json!(50), &json!(120), &json!(0)));
        // Whether the old one had more is not known to anybody: a gap without an end says so. But a capture that looked twice
        // while the topic was away (this machine stood still) has seen it deleted with all of it read.
        let seen_deleted = ended.stderr.contains("was deleted at the source: its stream ends");
        let gaps = report["gaps"].as_array().expect("gaps");
        assert_eq!((gaps.len(), ended.code), if runs && seen_deleted { (0, Some(0)) } else { (1, Some(3)) }, "{report:#}");
        assert!(gaps.iter().all(|gap| (&gap["reason"], &gap["to"]) == (&json!("truncation"), &Value::Null)), "{report:#}");
        assert_incarnations(&bench.dir, &[first, bench.dump("read_uncommitted")]);
    }
}

/// Each incarnation of a topic is there as its consumer read it.
fn assert_incarnations(dir: &Path, incarnations: &[Vec<Value>]) {
    use base64::Engine as _;
    let exported = dejaq(&["export", text(dir)]).expect(0).stdout;
    let mut ours: Vec<(String, i64, String)> = Vec::new();
    for line in exported.lines() {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let position = record["position"].as_i64().expect("a position");
        ours.push((record["topic_id"].to_string(), position, record["value"]["utf8"].as_str().expect("text").to_owned()));
    }
    let mut ids: Vec<String> = ours.iter().map(|(id, ..)| id.clone()).collect();
    ids.dedup();
    assert_eq!(ids.len(), incarnations.len(), "{ids:?}");
    for (id, theirs) in ids.iter().zip(incarnations) {
        let mine: Vec<_> = ours.iter().filter(|(of, ..)| of == id).map(|(_, position, value)| (*position, value.clone())).collect();
        let decode = |r: &Value| {
            let value = base64::engine::general_purpose::STANDARD.decode(r["value"].as_str().expect("a value")).expect("base64");
            (r["offset"].as_i64().expect("an offset"), String::from_utf8(value).expect("text"))
        };
        assert_eq!(mine, theirs.iter().map(decode).collect::<Vec<_>>());
    }
}

#[test]
fn batches_of_every_codec_are_read() {
    let bench = Bench::new("codecs", 2, "");
    let feeds = ["none", "gzip", "snappy", "lz4", "zstd"].map(|codec| {
        let command = ["feed-synthetic", "--bootstrap", &bench.prod, "--topic", &bench.topic, "--count", "2000", "--bytes", "300"];
        Peer::start(&[&command[..], &["--compression", codec, "--seed", &codec.len().to_string()]].concat())
    });
    for feed in feeds {
        feed.wait();
    }
    bench.capture(&[]).expect(0);
    let theirs = bench.dump("read_uncommitted");
    assert_eq!(theirs.len(), 10_000);
    assert_same(&bench.dir, &theirs);
    assert_lossless(&bench.dir);
}

#[test]
fn messages_of_20_mb_are_captured_and_replayed() {
    let staging = clusters().staging;
    let bench = Bench::new("large", 1, "max.message.bytes=20971520");
    for _ in 0..2 {
        bench.peer("hard", &["--topic", &bench.topic, "--largest", "20000000"]);
    }
    bench.capture(&[]).expect(0);
    assert_same(&bench.dir, &bench.dump("read_uncommitted"));
    assert_lossless(&bench.dir);

    let (target, run) = (unique("large-target"), bench.dir.with_extension("run"));
    let (to, map) = (format!("kafka://{staging}"), format!("{}={target}", bench.topic));
    let replay = ["replay", text(&bench.dir), "--to", &to, "--run", text(&run), "--map", &map, "--create-topics", "--max"];
    let ended = dejaq(&replay);
    assert!(matches!(ended.code, Some(0 | 3)), "{}\n{}", ended.stdout, ended.stderr);
    let compared = Peer::run(&[
        "compare",
        "--source",
        &bench.prod,
        "--target",
        &staging,
        "--topics",
        &bench.topic,
        "--map",
        &map,
        "--ignore-header",
        "dejaq-run",
    ]);
    assert_eq!(compared["equal"], true, "{compared:#}");
}
