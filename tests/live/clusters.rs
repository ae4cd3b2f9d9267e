//! What all other live tests stand on: both clusters answer, they are two, and the peer's comparison can fail.

use crate::peer::{Peer, clusters};

#[test]
fn both_clusters_answer_and_are_two() {
    let at = clusters();
    let prod = Peer::run(&["offsets", "--bootstrap", &at.prod]);
    let staging = Peer::run(&["offsets", "--bootstrap", &at.staging]);
    let id = |of: &serde_json::Value| of["cluster_id"].as_str().expect("a cluster id").to_owned();
    assert!(!id(&prod).is_empty());
    assert_ne!(id(&prod), id(&staging), "prod and staging must be different clusters");
    assert!(prod["groups"].is_array());
}

#[test]
fn hard_records_come_back_as_they_are() {
    let at = clusters();
    let topic = Peer::create_topic(&at.prod, "hard", 2, "max.message.bytes=2000000");
    let sent = Peer::run(&["hard", "--bootstrap", &at.prod, "--topic", &topic]);
    let records = Peer::lines(&["dump", "--bootstrap", &at.prod, "--topics", &topic]);
    assert_eq!(Some(records.len() as u64), sent["count"].as_u64());
    // Null, empty and binary must be three different things, or no later comparison means anything.
    let keys = |wanted: &serde_json::Value| records.iter().filter(|r| &r["key"] == wanted).count();
    assert!(keys(&serde_json::Value::Null) > 0 && keys(&"".into()) > 0);
    assert_eq!(keys(&serde_json::Value::Null), keys(&"".into()));
}

#[test]
fn compare_sees_a_difference_and_refuses_to_compare_nothing() {
    let at = clusters();
    let (left, right) = (Peer::create_topic(&at.prod, "left", 2, ""), Peer::create_topic(&at.staging, "right", 2, ""));
    let map = format!("{left}={right}");
    let compare = ["compare", "--source", &at.prod, "--target", &at.staging, "--topics", &left, "--map", &map];
    assert_eq!(Peer::run_expecting_failure(&compare)["compared"], 0, "two empty topics prove nothing");

    let feed = |bootstrap: &str, topic: &str, seed: &str| {
        Peer::run(&["feed-synthetic", "--bootstrap", bootstrap, "--topic", topic, "--count", "1000", "--bytes", "40", "--seed", seed]);
    };
    feed(&at.prod, &left, "1");
    feed(&at.staging, &right, "1");
    let same = Peer::run(&compare);
    assert_eq!((&same["compared"], &same["equal"]), (&1000.into(), &true.into()));

    feed(&at.prod, &left, "2");
    feed(&at.staging, &right, "3");
    let different = Peer::run_expecting_failure(&compare);
    assert_eq!(different["equal"], false);
    assert_eq!(different["first_differences"][0]["what"], "value");
    assert_eq!(different["first_differences"][0]["record"], 500, "the first thousand were equal: 500 in each partition");
}

#[test]
fn a_feed_runs_beside_the_test_and_keeps_its_rate() {
    let at = clusters();
    let topic = Peer::create_topic(&at.prod, "beside", 1, "");
    let feed = Peer::start(&[
        "feed-synthetic",
        "--bootstrap",
        &at.prod,
        "--topic",
        &topic,
        "--count",
        "500",
        "--bytes",
        "20",
        "--rate",
        "1000",
        "--partitions",
        "key",
    ]);
    let summary = feed.wait();
    assert_eq!((&summary["count"], &summary["failed"]), (&500.into(), &0.into()));
    // The last one is due after 0.499 s; how much later it went depends on the machine.
    assert!(summary["seconds"].as_f64().is_some_and(|s| s >= 0.499), "{summary}");
}
