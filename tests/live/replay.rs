//! The whole loop on two real clusters: produced by an independent client, captured live, replayed, and compared by an
//! independent consumer.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::background::{Background, wait_until};
use crate::dejaq::*;
use crate::peer::{Peer, clusters, unique};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn url(bootstrap: &str) -> String {
    format!("kafka://{bootstrap}")
}

/// The run's report.
pub(crate) fn report(run: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(run.join("run.json")).expect("run.json")).expect("JSON")
}

/// The three equations of docs/MEASUREMENT.md, in total.
pub(crate) fn assert_books_balance(report: &Value) {
    let n = |name: &str| report["ledger"][name].as_u64().unwrap_or_else(|| panic!("{name} in {report:#}"));
    assert_eq!(n("read") + n("cloned"), n("scheduled") + n("filtered"), "{report:#}");
    assert_eq!(n("scheduled"), n("sent") + n("skipped"), "{report:#}");
    assert_eq!(n("sent"), n("acked") + n("failed") + n("unknown"), "{report:#}");
}

/// A verdict that is VALID, or INVALID for a reason of timing: these tests share two cores with the brokers.
pub(crate) fn assert_verdict_is_true(report: &Value) {
    let timing = ["late pacer", "recording ran dry", "client queue too small", "clock step", "too short"];
    let reasons = report["trust"].as_array().expect("trust");
    for reason in reasons {
        let word = reason["reason"].as_str().expect("a word");
        assert!(timing.contains(&word), "{reason:#}");
    }
    assert_eq!(report["verdict"], if reasons.is_empty() { "VALID" } else { "INVALID" });
}

/// Tells whoever reads the test's output.
#[expect(clippy::print_stderr, reason = "the test harness shows it")]
fn say(text: &str) {
    eprintln!("{text}");
}

/// Real event data beside the checkout, if it is there.
pub(crate) fn real_data(name: &str) -> Option<PathBuf> {
    let dir =
        std::env::var_os("DEJAQ_TEST_DATA").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let path = dir.join(name);
    if !path.exists() {
        say(&format!("{} is not there: made-up records take its place", path.display()));
        return None;
    }
    Some(path)
}

/// Everything that is fed into topics `PREFIX-…` while a capture is on; returns the number of records.
fn feed_live(bootstrap: &str, prefix: &str) -> u64 {
    let first = format!("{prefix}-first");
    let count = |summary: Value| summary["count"].as_u64().expect("a count");
    let hard = count(Peer::run(&["hard", "--bootstrap", bootstrap, "--topic", &first]));
    let prefix = format!("{prefix}-");
    let start = |file: PathBuf| {
        let feed = ["feed", "--bootstrap", bootstrap, "--file", text(&file), "--speed", "20"];
        Peer::start(&[&feed[..], &["--prefix", &prefix, "--create-partitions", "4"]].concat())
    };
    let files = ["zeek_wrccdc_2018.ndjson.zst", "crypto_ws_20210417.ndjson.zst"];
    // Both at once; collected, so that the second does not wait for the first.
    let feeds: Vec<_> = files.into_iter().filter_map(real_data).map(start).collect();
    if feeds.is_empty() {
        let made = ["feed-synthetic", "--bootstrap", bootstrap, "--topic", &first, "--count", "50000"];
        return hard + count(Peer::run(&[&made[..], &["--bytes", "200", "--rate", "10000"]].concat()));
    }
    hard + feeds.into_iter().map(|feed| count(feed.wait())).sum::<u64>()
}

#[test]
fn real_traffic_at_twenty_times_its_speed_comes_out_as_it_went_in() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (dir, run) = (scratch.path().join("rec"), scratch.path().join("run"));
    let prefix = unique("loop");
    let config = scratch.path().join("capture.toml");
    std::fs::write(&config, "watch_every = \"1s\"\n").expect("config");
    // A topic has to be there for the capture to begin.
    Peer::run(&["create-topics", "--bootstrap", &at.prod, "--topic", &format!("{prefix}-first:2")]);
    let (prod, staging, pattern) = (url(&at.prod), url(&at.staging), format!("^{prefix}"));
    let capture = Background::capture(&["--config", text(&config), "--from", &prod, "--topics", &pattern, "--out", text(&dir)]);
    let total = feed_live(&at.prod, &prefix);
    wait_until(&dir, "complete", |r| r["records"].as_u64() >= Some(total));
    let ended = capture.interrupt().expect(0);
    assert!(ended.stderr.contains("books balance"), "{}", ended.stderr);
    verify_clean(&dir);

    // What was fed at twenty times its speed was recorded so: its own time line is the fast one.
    let ended = dejaq(&["replay", text(&dir), "--to", &staging, "--run", text(&run), "--speed", "1", "--create-topics"]);
    let report = report(&run);
    assert_books_balance(&report);
    assert_verdict_is_true(&report);
    assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
    assert_eq!(report["ledger"]["acked"], total, "every record was confirmed");

    let recorded = inspect(&dir);
    let mut topics: Vec<String> = recorded["streams"].as_array().expect("streams").iter().map(topic_of).collect();
    topics.sort();
    topics.dedup();
    let (topics, clusters) = (topics.join(","), ["compare", "--source", &at.prod, "--target", &at.staging]);
    let same = Peer::run(&[&clusters[..], &["--topics", &topics, "--ignore-header", "dejaq-run"]].concat());
    assert_eq!(same["compared"], total, "{same:#}");
}

fn topic_of(stream: &Value) -> String {
    let name = stream["name"].as_str().expect("a name");
    name.rsplit_once('/').expect("topic/partition").0.to_owned()
}

/// A recording of `count` numbered records, `partitions` wide.
fn recorded(scratch: &Path, partitions: u32, count: &str, rate: &str) -> (PathBuf, String) {
    let at = clusters();
    let dir = scratch.join("rec");
    let topic = Peer::create_topic(&at.prod, "replay", partitions, "");
    Peer::run(&["feed-synthetic", "--bootstrap", &at.prod, "--topic", &topic, "--count", count, "--bytes", "100", "--rate", rate]);
    dejaq(&["capture", "--from", &url(&at.prod), "--topics", &topic, "--out", text(&dir), "--start", "beginning", "--until", "end"])
        .expect(0);
    (dir, topic)
}

#[test]
fn replay_refuses_the_source() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (dir, topic) = recorded(scratch.path(), 2, "100", "10000");
    let before = Peer::lines(&["dump", "--bootstrap", &at.prod, "--topics", &topic]).len();
    let run = scratch.path().join("run");
    let refused = dejaq(&["replay", text(&dir), "--to", &url(&at.prod), "--run", text(&run), "--allow-unknown-source"]).expect(1);
    assert!(refused.stderr.contains("never writes into its source"), "{}", refused.stderr);
    dejaq(&["plan", text(&dir), "--to", &url(&at.prod)]).expect(1);
    assert_eq!(Peer::lines(&["dump", "--bootstrap", &at.prod, "--topics", &topic]).len(), before);
}

#[test]
fn what_was_replayed_is_not_recorded_unless_asked_for_and_then_its_source_is_an_ancestor() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (dir, topic) = recorded(scratch.path(), 2, "400", "10000");
    dejaq(&[
        "replay",
        text(&dir),
        "--to",
        &url(&at.staging),
        "--run",
        text(&scratch.path().join("run")),
        "--create-topics",
        "--mark",
        "all",
        "--max",
    ]);
    let (stopped, included) = (scratch.path().join("stopped"), scratch.path().join("included"));
    let args = ["capture", "--from", &url(&at.staging), "--topics", &topic, "--start", "beginning", "--until", "end", "--out"];
    dejaq(&[&args[..], &[text(&stopped)]].concat()).expect(3);
    let seen = inspect(&stopped);
    assert_eq!(seen["records"], 0, "{seen:#}");
    assert!(seen["gaps"].as_array().expect("gaps").iter().all(|g| g["reason"] == "replay"), "{seen:#}");
    dejaq(&[&args[..], &[text(&included), "--replayed", "include"]].concat()).expect(0);
    let seen = inspect(&included);
    assert_eq!((&seen["records"], seen["ancestors"].as_array().map(Vec::len)), (&400.into(), Some(1)), "{seen:#}");
    let refused = dejaq(&["replay", text(&included), "--to", &url(&at.prod), "--run", text(&scratch.path().join("back"))]).expect(1);
    assert!(refused.stderr.contains("through an earlier replay"), "{}", refused.stderr);
}

#[test]
fn a_target_with_fewer_partitions_is_refused_and_modulo_keeps_order() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (dir, topic) = recorded(scratch.path(), 4, "1000", "100000");
    let narrow = Peer::create_topic(&at.staging, "narrow", 2, "");
    let map = format!("{topic}={narrow}");
    let run = |name: &str, more: &[&str]| {
        dejaq(
            &[&["replay", text(&dir), "--to", &url(&at.staging), "--run", text(&scratch.path().join(name)), "--map", &map, "--max"], more]
                .concat(),
        )
    };
    let refused = run("exact", &[]).expect(1);
    assert!(
        refused.stderr.contains("has 2 partitions at the target, the recording needs 4") && refused.stderr.contains("--partitions modulo"),
        "{}",
        refused.stderr
    );
    run("modulo", &["--partitions", "modulo"]);
    assert_books_balance(&report(&scratch.path().join("modulo")));
    let source = Peer::lines(&["dump", "--bootstrap", &at.prod, "--topics", &topic]);
    let target = Peer::lines(&["dump", "--bootstrap", &at.staging, "--topics", &narrow]);
    assert_eq!(target.len(), 1000);
    for partition in 0..4 {
        let values = |records: &[Value], wanted: i64| -> Vec<Value> {
            records.iter().filter(|r| r["partition"] == wanted).map(|r| r["value"].clone()).collect()
        };
        let sent = values(&source, partition);
        let arrived = values(&target, partition % 2);
        let mine: Vec<&Value> = arrived.iter().filter(|v| sent.contains(v)).collect();
        assert_eq!(mine, sent.iter().collect::<Vec<_>>(), "order of partition {partition}");
    }
}

#[test]
fn messages_that_the_target_does_not_take_are_counted_and_the_run_says_so() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (dir, topic) = recorded(scratch.path(), 1, "500", "100000");
    let small = Peer::create_topic(&at.staging, "small", 1, "max.message.bytes=120");
    let map = format!("{topic}={small}");
    let run = scratch.path().join("run");
    let ended = dejaq(&["replay", text(&dir), "--to", &url(&at.staging), "--run", text(&run), "--map", &map, "--max"]).expect(3);
    assert!(ended.stderr.contains("max.message.bytes"), "{}", ended.stderr);
    let report = report(&run);
    assert_books_balance(&report);
    assert_eq!(report["ledger"]["acked"], 0, "{report:#}");
    assert_eq!(report["latency"]["service"]["count"], 0);
    assert_eq!(report["ledger"]["failed"].as_u64().unwrap_or(0) + report["ledger"]["skipped"].as_u64().unwrap_or(0), 500);
}

#[test]
fn time_window_speed_and_loop_do_what_plan_said() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    // Ten seconds of 100 a second.
    let (dir, topic) = recorded(scratch.path(), 2, "1000", "100");
    let plan = |more: &[&str]| {
        dejaq(&[&["plan", text(&dir), "--to", &url(&at.staging), "--create-topics", "--json"], more].concat()).expect(0).json()
    };
    let whole = plan(&[]);
    assert_eq!(whole["scheduled"], 1000);
    let span = |p: &Value| p["span_ns"].as_f64().expect("a span");
    let fast = plan(&["--speed", "4"]);
    assert!((span(&whole) / span(&fast) - 4.0).abs() < 1e-6, "{whole:#} {fast:#}");
    assert!(Peer::lines(&["dump", "--bootstrap", &at.staging, "--topics", &Peer::create_topic(&at.staging, "probe", 1, "")]).is_empty());
    let run = scratch.path().join("run");
    dejaq(&[
        "replay",
        text(&dir),
        "--to",
        &url(&at.staging),
        "--run",
        text(&run),
        "--create-topics",
        "--speed",
        "10",
        "--loop",
        "--for",
        "3s",
    ]);
    let report = report(&run);
    assert_books_balance(&report);
    // 100 a second at ten times the speed for 3 s; the seam is a mean gap.
    let scheduled = report["ledger"]["scheduled"].as_f64().expect("a count");
    assert!((2950.0..=3050.0).contains(&scheduled), "{report:#}");
    let sent = Peer::lines(&["dump", "--bootstrap", &at.staging, "--topics", &topic]).len();
    assert_eq!(report["ledger"]["acked"], sent);
}

#[test]
fn interrupted_a_run_ends_properly() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (dir, _) = recorded(scratch.path(), 2, "1000", "100");
    let run = scratch.path().join("run");
    let mut running =
        Background::start(&["replay", text(&dir), "--to", &url(&at.staging), "--run", text(&run), "--create-topics", "--loop"]);
    running.wait_for("scheduled");
    running.interrupt();
    let report = report(&run);
    assert_eq!(report["finished"], true, "{report:#}");
    assert_books_balance(&report);
}
