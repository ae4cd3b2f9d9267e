//! Replay refuses the source, directly and through earlier replays; capture keeps replayed traffic out.

use serde_json::{Value, json};

use crate::dejaq::{dejaq, inspect};
use crate::kit::{Scratch, capture, content, exported, held, kafka, records, replay};

#[test]
fn replay_into_the_source_is_refused_and_writes_nothing() {
    let (scratch, prod) = (Scratch::new(), kafka(&[("t", 2)]));
    let seed = scratch.recording("seed", &records(20, 2), Some("elsewhere"));
    replay(&seed, &prod, &scratch.arg("seed-run"), &["--max", "--mark", "off"]);
    capture(&prod, "t", &scratch.arg("rec"), &[]).expect(0);
    let before = exported(&scratch.arg("rec"));
    assert_eq!(before.len(), 20);
    let cluster = before[0]["cluster"].as_str().expect("a cluster").to_owned();
    for (n, more) in [&[][..], &["--allow-unknown-source"], &["--create-topics", "--map", "t=other"]].into_iter().enumerate() {
        let ended = replay(&scratch.arg("rec"), &prod, &scratch.arg(&format!("run{n}")), more).expect(1);
        assert!(ended.stderr.contains(&cluster) && ended.stderr.contains("replay never writes into its source"), "{}", ended.stderr);
    }
    let url = prod.url();
    dejaq(&["plan", &scratch.arg("rec"), "--to", &url]).expect(1);
    assert_eq!(held(&scratch, &prod, "after").len(), 20, "nothing was written");
    // What export and import carry over is refused as well.
    let copy = scratch.recording("copy", &before, None);
    assert!(replay(&copy, &prod, &scratch.arg("run-copy"), &["--allow-unknown-source"]).expect(1).stderr.contains(&cluster));
}

#[test]
fn replay_into_an_ancestor_is_refused() {
    let scratch = Scratch::new();
    let (prod, staging, third) = (kafka(&[("t", 2)]), kafka(&[("t", 2)]), kafka(&[("t", 2)]));
    let seed = scratch.recording("seed", &records(20, 2), Some("elsewhere"));
    replay(&seed, &prod, &scratch.arg("run0"), &["--max", "--mark", "off"]);
    capture(&prod, "t", &scratch.arg("first"), &[]).expect(0);
    replay(&scratch.arg("first"), &staging, &scratch.arg("run1"), &["--max", "--mark", "all"]);
    capture(&staging, "t", &scratch.arg("second"), &["--replayed", "include"]).expect(0);
    let (first, second) = (inspect(&scratch.path("first")), inspect(&scratch.path("second")));
    assert_eq!(second["ancestors"], first["clusters"], "{second:#}");

    let ended = replay(&scratch.arg("second"), &prod, &scratch.arg("run2"), &[]).expect(1);
    assert!(ended.stderr.contains("through an earlier replay"), "{}", ended.stderr);
    assert_eq!(held(&scratch, &prod, "after").len(), 20, "nothing was written");
    // And one generation further.
    replay(&scratch.arg("second"), &third, &scratch.arg("run3"), &["--max"]);
    capture(&third, "t", &scratch.arg("fourth"), &["--replayed", "include"]).expect(0);
    for cluster in [&prod, &staging] {
        let run = scratch.arg("run4");
        assert!(replay(&scratch.arg("fourth"), cluster, &run, &[]).expect(1).stderr.contains("through an earlier replay"));
    }
    assert_eq!(exported(&scratch.arg("fourth")).len(), 20);
    // What export and import carry over, too: the marks are in the records.
    let copy = scratch.recording("copy", &exported(&scratch.arg("fourth")), None);
    assert_eq!(inspect(&scratch.path("copy"))["ancestors"], inspect(&scratch.path("fourth"))["ancestors"]);
    for cluster in [&prod, &staging] {
        let run = scratch.arg("run5");
        assert!(replay(&copy, cluster, &run, &["--allow-unknown-source"]).expect(1).stderr.contains("through an earlier replay"));
    }
}

#[test]
fn replayed_traffic_stops_the_recording_of_its_streams_unless_told_otherwise() {
    let scratch = Scratch::new();
    let target = kafka(&[("t", 2)]);
    let seed = scratch.recording("seed", &records(20, 2), Some("elsewhere"));
    replay(&seed, &target, &scratch.arg("run"), &["--max"]);
    let stopped = capture(&target, "t", &scratch.arg("stopped"), &[]).expect(3);
    assert!(stopped.stderr.contains("replayed traffic"), "{}", stopped.stderr);
    let report = inspect(&scratch.path("stopped"));
    let gaps = report["gaps"].as_array().expect("gaps");
    assert!(!gaps.is_empty() && gaps.iter().all(|g| g["reason"] == "replay"), "{report:#}");
    assert_eq!(report["records"], 0, "{report:#}");
    dejaq(&["verify", &scratch.arg("stopped")]).expect(3);
    // Included, it is flagged.
    let all = held(&scratch, &target, "all");
    assert_eq!(all.len(), 20);
    assert!(all.iter().any(|r| r["flags"].as_array().is_some_and(|f| f.contains(&json!("replayed")))));
}

#[test]
fn an_unknown_source_must_be_accepted() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 2)]));
    let recording = scratch.recording("rec", &records(20, 2), None);
    let refused = replay(&recording, &target, &scratch.arg("run"), &[]).expect(1);
    assert!(refused.stderr.contains("--allow-unknown-source") && refused.stderr.contains("--source-cluster"), "{}", refused.stderr);
    replay(&recording, &target, &scratch.arg("run"), &["--allow-unknown-source", "--max", "--mark", "off"]);
    let sent = held(&scratch, &target, "after");
    assert_eq!(content(&sent), content(&exported(&recording)));
    assert!(sent.iter().all(|r| r["headers"] == Value::Array(vec![])));
}
