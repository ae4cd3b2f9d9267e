//! Capture from a real cluster: nothing missing, nothing twice, holes and gaps told apart, nobody disturbed.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use crate::background::*;
use crate::dejaq::*;
use crate::held::*;
use crate::peer::{Peer, clusters};

#[test]
fn what_is_recorded_is_what_an_independent_consumer_reads() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (dir, url) = (scratch.path().join("rec"), format!("kafka://{}", at.prod));
    let topic = Peer::create_topic(&at.prod, "hard", 3, "max.message.bytes=2000000");
    Peer::run(&["hard", "--bootstrap", &at.prod, "--topic", &topic]);
    let before = Peer::run(&["offsets", "--bootstrap", &at.prod]);
    dejaq(&["capture", "--from", &url, "--topics", &topic, "--out", text(&dir), "--start", "beginning", "--until", "end"]).expect(0);
    let after = Peer::run(&["offsets", "--bootstrap", &at.prod]);
    assert_eq!(before["groups"], after["groups"], "a capture leaves no group behind and commits nothing");
    verify_clean(&dir);

    assert_same(&dir, &dump(&at.prod, &topic, "read_uncommitted"));
    assert_books(&dir);
}

#[test]
fn killed_ten_times_under_load_no_record_is_missing_and_none_is_twice() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (dir, url) = (scratch.path().join("rec"), format!("kafka://{}", at.prod));
    let topic = Peer::create_topic(&at.prod, "crash", 4, "");
    let idle = Peer::create_topic(&at.prod, "idle", 1, "");
    let list = format!("{topic},{idle}");
    let args = ["--from", &url, "--topics", &list, "--out", text(&dir)];
    const TOTAL: u64 = 400_000;
    let first = Background::capture(&args);
    let feed = Peer::start(&[
        "feed-synthetic",
        "--bootstrap",
        &at.prod,
        "--topic",
        &topic,
        "--count",
        "400000",
        "--bytes",
        "120",
        "--rate",
        "40000",
    ]);
    let mut running = Some(first);
    // Random instants, spread over the load by what has arrived.
    let mut random = u64::from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("past 1970").subsec_nanos());
    for round in 1..=10u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let instant = TOTAL * round / 12 + (random >> 33) % (TOTAL / 12);
        let seen = wait_until(&dir, "under load", |r| count(r) >= instant);
        running.take().expect("one runs").kill();
        if round == 5 {
            // Written while nobody captures, to a partition that was idle until now.
            Peer::run(&["feed-synthetic", "--bootstrap", &at.prod, "--topic", &idle, "--count", "100", "--bytes", "50"]);
        }
        let verify = dejaq(&["verify", text(&dir)]);
        assert_eq!(verify.code, Some(3), "an unsealed segment that nobody holds: {}", verify.stdout);
        running = Some(Background::capture(&args));
        let again = inspect(&dir);
        assert!(count(&again) >= count(&seen), "a resume loses nothing that was there: {seen} then {again}");
    }
    feed.wait();
    wait_until(&dir, "complete", |r| count(r) >= TOTAL + 100);
    let ended = running.expect("one runs").interrupt().expect(0);
    assert!(ended.stderr.contains("books balance"), "{}", ended.stderr);

    let found = positions(&dir);
    assert_eq!(found.len() as u64, TOTAL + 100, "none missing and none twice");
    let mut next: HashMap<&str, i64> = HashMap::new();
    for (stream, position) in &found {
        let expected = next.entry(stream).or_insert(0);
        assert_eq!(position, expected, "{stream}");
        *expected += 1;
    }
    assert_eq!(next.len(), 5);
    let report = dejaq(&["verify", text(&dir), "--json"]).json();
    assert_eq!(
        (&report["unbalanced"], &report["gaps"], &report["missing"]),
        (&Value::Array(vec![]), &Value::Array(vec![]), &Value::Array(vec![]))
    );
}

#[test]
fn partitions_and_topics_that_come_later_are_recorded_from_their_beginning() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (dir, url) = (scratch.path().join("rec"), format!("kafka://{}", at.prod));
    let topic = Peer::create_topic(&at.prod, "grow", 1, "");
    let config = scratch.path().join("capture.toml");
    std::fs::write(&config, "watch_every = \"1s\"\n").expect("config");
    let pattern = format!("^{topic}");
    let running = Background::capture(&["--config", text(&config), "--from", &url, "--topics", &pattern, "--out", text(&dir)]);
    Peer::run(&["add-partitions", "--bootstrap", &at.prod, "--topic", &format!("{topic}:3")]);
    let later = format!("{topic}-later");
    Peer::run(&["create-topics", "--bootstrap", &at.prod, "--topic", &format!("{later}:2")]);
    for (topic, n) in [(&topic, "300"), (&later, "200")] {
        Peer::run(&["feed-synthetic", "--bootstrap", &at.prod, "--topic", topic, "--count", n, "--bytes", "50"]);
    }
    wait_until(&dir, "complete", |r| count(r) >= 500);
    running.interrupt().expect(0);
    let report = inspect(&dir);
    assert_eq!(count(&report), 500);
    let streams = report["streams"].as_array().expect("streams");
    assert_eq!(streams.len(), 5, "{report:#}");
    assert!(streams.iter().all(|s| s["first_position"] == 0), "{report:#}");
    verify_clean(&dir);
}

#[test]
fn a_given_number_of_records_is_exact_and_a_second_capture_goes_on() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (dir, url) = (scratch.path().join("rec"), format!("kafka://{}", at.prod));
    let topic = Peer::create_topic(&at.prod, "exact", 4, "");
    Peer::run(&["feed-synthetic", "--bootstrap", &at.prod, "--topic", &topic, "--count", "10000", "--bytes", "50"]);
    dejaq(&["capture", "--from", &url, "--topics", &topic, "--out", text(&dir), "--start", "beginning", "--records", "1234"]).expect(0);
    assert_eq!(count(&inspect(&dir)), 1234);
    dejaq(&["capture", "--from", &url, "--topics", &topic, "--out", text(&dir), "--until", "end"]).expect(0);
    assert_eq!(count(&inspect(&dir)), 10_000);
    verify_clean(&dir);
}

#[test]
fn on_a_full_disk_it_stops_cleanly_and_the_recording_verifies() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let disk = Tmpfs::mount(scratch.path(), "12m");
    let (dir, url) = (disk.path.join("rec"), format!("kafka://{}", at.prod));
    let topic = Peer::create_topic(&at.prod, "full", 2, "");
    Peer::run(&["feed-synthetic", "--bootstrap", &at.prod, "--topic", &topic, "--count", "300000", "--bytes", "200"]);
    let args = [
        "capture",
        "--from",
        &url,
        "--topics",
        &topic,
        "--out",
        text(&dir),
        "--start",
        "beginning",
        "--until",
        "end",
        "--compress",
        "none",
    ];
    let ended = dejaq(&args).expect(1);
    assert!(ended.stderr.contains("disk is full") && ended.stderr.contains("run the same command again"), "{}", ended.stderr);
    verify_clean(&dir);
    let held = count(&inspect(&dir));
    assert!(held > 10_000, "{held}");
    disk.grow("256m");
    dejaq(&args).expect(0);
    assert_eq!(count(&inspect(&dir)), 300_000);
    verify_clean(&dir);
}

/// A small disk of its own.
struct Tmpfs {
    path: std::path::PathBuf,
}

impl Tmpfs {
    fn mount(under: &Path, size: &str) -> Self {
        let path = under.join("disk");
        std::fs::create_dir(&path).expect("mount point");
        let disk = Self { path };
        disk.run("mount", &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        disk
    }

    fn grow(&self, size: &str) {
        self.run("mount", &["-o", &format!("remount,size={size}")]);
    }

    fn run(&self, program: &str, args: &[&str]) {
        // As root at once; else by sudo, as on a CI machine.
        let attempt = |sudo: bool| {
            let mut command = std::process::Command::new(if sudo { "sudo" } else { program });
            if sudo {
                command.args(["-n", program]);
            }
            command.args(args).arg(&self.path).status().is_ok_and(|s| s.success())
        };
        assert!(attempt(false) || attempt(true), "this test needs to {program} a small tmpfs: run it as root or with sudo -n");
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        self.run("umount", &[]);
    }
}

#[test]
fn a_recording_that_is_being_written_is_refused_to_a_second_capture() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (dir, url) = (scratch.path().join("rec"), format!("kafka://{}", at.prod));
    let topic = Peer::create_topic(&at.prod, "lock", 1, "");
    let args = ["--from", url.as_str(), "--topics", &topic, "--out", text(&dir)];
    let running = Background::capture(&args);
    let second = dejaq(&[&["capture"], &args[..]].concat()).expect(1);
    assert!(second.stderr.contains("is being written by process"), "{}", second.stderr);
    verify_clean(&dir);
    running.interrupt().expect(0);
}

#[test]
fn an_unknown_topic_leaves_nothing_behind() {
    let at = clusters();
    let scratch = tempfile::tempdir().expect("temporary directory");
    let (dir, url) = (scratch.path().join("rec"), format!("kafka://{}", at.prod));
    let ended = dejaq(&["capture", "--from", &url, "--topics", "no-such-topic", "--out", text(&dir)]).expect(1);
    assert!(ended.stderr.contains("topic \"no-such-topic\" does not exist"), "{}", ended.stderr);
    assert!(!dir.exists());
}
