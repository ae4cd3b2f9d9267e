//! Capture and replay with exactly the ACLs that docs/OPERATIONS.md names, and with each of them missing.

use std::path::Path;

use super::{SEED_RECORDS, User, admit, listener, report, says, seed, seed_recording, text};
use crate::background::{Background, wait_until};
use crate::dejaq::{Ended, inspect};
use crate::peer::{Peer, clusters, unique};

#[test]
fn capture_needs_read_and_nothing_else() {
    let (at, topic, scratch) = (clusters(), seed(), tempfile::tempdir().expect("temporary directory"));
    let out = |name: &str| scratch.path().join(name);
    let [full, bare, describer, stranger] = ["full", "bare", "describer", "stranger"].map(User::named);
    let (read, configs, describe) =
        (format!("Read:topic:{topic}"), format!("DescribeConfigs:topic:{topic}"), format!("Describe:topic:{topic}"));
    let rights = [(&full, read.as_str()), (&full, &configs), (&bare, &read), (&describer, &describe), (&describer, &configs)];
    admit(&at.prod, &[&full, &bare, &describer, &stranger], &rights);

    // No right on any group: what the client asks about its own is refused, and that is nothing to tell.
    let ended = full.capture(topic, &out("full")).expect(0);
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
    assert_eq!(inspect(&out("full"))["records"], SEED_RECORDS);

    // Optional, with a warning.
    let ended = bare.capture(topic, &out("bare")).expect(0);
    says(&ended.stderr, &["warning", &bare.name, "may not DESCRIBE_CONFIGS topic", topic, "--operation DescribeConfigs --topic"]);
    assert_eq!(inspect(&out("bare"))["records"], SEED_RECORDS);

    // Without READ there is no recording, not even an empty one; with a pattern neither.
    for topics in [topic.to_owned(), format!("^{topic}$")] {
        let ended = describer.capture(&topics, &out("none")).expect(1);
        says(&ended.stderr, &[&describer.name, "may not READ topic", topic]);
        assert!(!out("none").exists());
    }
    // What may not be described looks as if it were not there.
    let ended = stranger.capture(&format!("^{topic}$"), &out("none")).expect(1);
    says(&ended.stderr, &["no topic", "whether this user may see them"]);
    let ended = stranger.capture(topic, &out("none")).expect(1);
    says(&ended.stderr, &[&stranger.name, "may not DESCRIBE topic", topic, "--operation Read --topic"]);
    assert!(!out("none").exists());

    // The command that the error names is enough; an administrator runs it where it is allowed.
    let (_, advice) = ended.stderr.trim_end().split_once("to allow it: kafka-acls.sh ").expect("a command");
    let advice = advice.replace(&listener("PROD", "SASL"), &at.prod);
    let classpath = std::env::var("DEJAQ_KAFKA_CLASSPATH").expect("set by scripts/brokers env");
    let mut acls = std::process::Command::new("java");
    acls.args(["-XX:TieredStopAtLevel=1", "-cp", &classpath, "org.apache.kafka.tools.AclCommand"]).args(advice.split(' '));
    let done = acls.output().expect("java starts");
    assert!(done.status.success(), "{advice}: {}", String::from_utf8_lossy(&done.stderr));
    // The command does not wait until the brokers act on it.
    let began = std::time::Instant::now();
    while stranger.capture(topic, &out("granted")).code != Some(0) {
        assert!(began.elapsed() < std::time::Duration::from_secs(30), "the right that was granted is none");
    }
    assert_eq!(inspect(&out("granted"))["records"], SEED_RECORDS);
}

/// Replays as a user into staging, as fast as it goes.
fn replay(user: &User, recording: &Path, run: &Path, more: &[&str]) -> Ended {
    let url = user.url(&listener("STAGING", "SASL"));
    user.run(&[&["replay", text(recording), "--to", &url, "--run", text(run), "--max"], more].concat())
}

#[test]
fn replay_needs_write_and_to_create_topics_create() {
    let (at, topic, scratch) = (clusters(), seed(), tempfile::tempdir().expect("temporary directory"));
    let recording = seed_recording(scratch.path());
    let run = |name: &str| scratch.path().join(name);
    let [full, bare, describer, stranger, creator] = ["full", "bare", "describer", "stranger", "creator"].map(User::named);
    let (fresh, other) = (unique("fresh"), unique("other"));
    let rights = [
        (&full, format!("Write:topic:{topic}")),
        (&full, format!("DescribeConfigs:topic:{topic}")),
        (&bare, format!("Write:topic:{topic}")),
        (&describer, format!("Describe:topic:{topic}")),
        (&creator, format!("Write:topic:{fresh}")),
        (&creator, format!("Create:topic:{fresh}")),
        (&creator, format!("Write:topic:{other}")),
    ];
    let rights: Vec<(&User, &str)> = rights.iter().map(|(user, right)| (*user, right.as_str())).collect();
    admit(&at.staging, &[&full, &bare, &describer, &stranger, &creator], &rights);
    let sent = |name: &str| report(&run(name))["ledger"]["acked"].clone();

    let ended = replay(&full, &recording, &run("full"), &[]);
    assert!(!ended.stderr.contains("may not"), "{}", ended.stderr);
    assert_eq!(sent("full"), SEED_RECORDS, "{ended:?}");

    let ended = replay(&bare, &recording, &run("bare"), &[]);
    says(&ended.stderr, &["note: ", &bare.name, "may not DESCRIBE_CONFIGS topic", topic]);
    assert_eq!(sent("bare"), SEED_RECORDS, "{ended:?}");

    // Refused before anything is sent.
    let ended = replay(&describer, &recording, &run("describer"), &[]).expect(1);
    says(&ended.stderr, &[&describer.name, "may not WRITE topic", topic, "--operation Write --topic"]);
    let ended = replay(&stranger, &recording, &run("stranger"), &[]).expect(1);
    says(&ended.stderr, &[&stranger.name, "may not DESCRIBE topic", topic, "--operation Write --topic"]);

    let ended = replay(&creator, &recording, &run("creator"), &["--create-topics", "--map", &format!("{topic}={fresh}")]);
    assert_eq!(sent("creator"), SEED_RECORDS, "{ended:?}");
    let ended = replay(&creator, &recording, &run("other"), &["--create-topics", "--map", &format!("{topic}={other}")]).expect(1);
    says(&ended.stderr, &[&creator.name, "may not CREATE topic", &other, "--operation Create --topic"]);
}

#[test]
fn a_right_that_is_taken_from_a_running_capture_is_named_and_given_back_nothing_is_lost() {
    let (at, scratch) = (clusters(), tempfile::tempdir().expect("temporary directory"));
    let (dir, user, trusted) = (scratch.path().join("rec"), User::named("taken"), super::trusted());
    let topic = Peer::create_topic(&at.prod, "taken", 1, "");
    let right = format!("Read:topic:{topic}");
    admit(&at.prod, &[&user], &[(&user, &right)]);
    let feed = |count: &str| Peer::run(&["feed-synthetic", "--bootstrap", &at.prod, "--topic", &topic, "--count", count, "--bytes", "50"]);
    let (url, config) = (user.url(&listener("PROD", "SASL")), scratch.path().join("capture.toml"));
    std::fs::write(&config, "watch_every = \"1s\"\n").expect("config");
    let args = ["capture", "--config", text(&config), "--from", &url, "--topics", &topic, "--out", text(&dir), "-X", &trusted];
    let mut running = Background::spawn(user.command(&[&args[..], &["--start", "beginning"]].concat()));
    running.wait_for("capturing");
    feed("50");
    wait_until(&dir, "the first", |r| r["records"] == 50);
    Peer::run(&["access", "--bootstrap", &at.prod, "--revoke", &format!("{}:{right}", user.name)]);
    running.wait_for(&format!("user {:?} may not READ topic {topic:?}; to allow it: kafka-acls.sh", user.name));
    feed("30");
    admit(&at.prod, &[], &[(&user, &right)]);
    wait_until(&dir, "the rest", |r| r["records"] == 80);
    running.interrupt().expect(0);
    let seen = inspect(&dir);
    assert_eq!((&seen["records"], seen["gaps"].as_array().map(Vec::len)), (&80.into(), Some(0)), "{seen:#}");
}

#[test]
fn a_right_that_is_taken_from_a_running_replay_is_named_and_counted() {
    let (at, topic, scratch) = (clusters(), seed(), tempfile::tempdir().expect("temporary directory"));
    let recording = seed_recording(scratch.path());
    let (run, user, trusted) = (scratch.path().join("run"), User::named("taken"), super::trusted());
    let right = format!("Write:topic:{topic}");
    admit(&at.staging, &[&user], &[(&user, &right)]);
    let url = user.url(&listener("STAGING", "SASL"));
    let args = ["replay", text(&recording), "--to", &url, "--run", text(&run), "--rate", "200/s", "--loop", "-X", &trusted];
    let mut running = Background::spawn(user.command(&args));
    running.wait_for("scheduled");
    Peer::run(&["access", "--bootstrap", &at.staging, "--revoke", &format!("{}:{right}", user.name)]);
    running.wait_for(&format!("user {:?} may not WRITE topic {topic:?}; to allow it: kafka-acls.sh", user.name));
    running.interrupt().expect(3);
    let report = report(&run);
    assert!(report["ledger"]["reasons"]["failed"]["not authorized"].as_u64() > Some(0), "{report:#}");
    assert!(report["ledger"]["acked"].as_u64() > Some(0), "{report:#}");
}
