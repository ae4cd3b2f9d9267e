//! `--fail-if`: a run that is held against thresholds, at its end and before it starts.

use serde_json::{Value, json};

use crate::dejaq::dejaq;
use crate::kit::*;

/// A flood that takes 200 ms: nothing that a busy machine does makes it INVALID, or its service shorter.
fn flood(more: &[&str]) -> (Scratch, String, crate::dejaq::Ended) {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    target.round_trip_ms(1, 200).expect("a broker");
    let recording = scratch.recording("rec", &records(400, 1), Some("elsewhere"));
    let run = scratch.arg("run");
    let ended = replay(&recording, &target, &run, &[&["--max"], more].concat());
    (scratch, run, ended)
}

#[test]
fn what_is_crossed_ends_with_4_and_is_said_kept_and_shown() {
    let crossed = ["--fail-if", "p50(service)>=100ms", "--fail-if", "p99(service) > 1h", "--fail-if", "unanswered_share > 0.1%"];
    let (_scratch, run, ended) = flood(&crossed);
    let report = run_json(&run);
    assert_eq!((ended.code, &report["verdict"]), (Some(4), &json!("VALID")), "{report:#}");
    assert!(ended.stderr.contains("--fail-if p50(service) >= 100ms: crossed: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("--fail-if p99(service) > 1h: not crossed: "), "{}", ended.stderr);
    let thresholds = report["thresholds"].as_array().expect("thresholds");
    let of = |name: &str| thresholds.iter().map(|t| t[name].clone()).collect::<Vec<Value>>();
    assert_eq!(of("crossed"), [true, false, false]);
    assert_eq!(of("unit"), ["ns", "ns", "share"]);
    assert_eq!(thresholds[0]["value"].as_f64(), report["latency"]["service"]["p50_ns"].as_f64());
    assert_eq!(thresholds[2]["value"], 0.0);
    assert_eq!(report["config"]["fail-if"], json!(of("expr")), "as they held");

    let shown = dejaq(&["report", &run, "--markdown"]).expect(4).stdout;
    assert!(shown.contains("| p50(service) >= 100ms | **yes** |") && shown.contains("| p99(service) > 1h | no |"), "{shown}");
    let page = std::fs::read_to_string(std::path::Path::new(&run).join("report.html")).expect("a page");
    assert!(page.contains("p50(service) &gt;= 100ms</th><td class=\"text\"><strong>crossed</strong>"), "{page:.2000}");
}

#[test]
fn what_is_not_crossed_changes_nothing_and_a_file_can_ask_for_it() {
    let scratch = Scratch::new();
    let config = scratch.file("replay.toml", "fail-if = [\"p50(service) < 200ms\", \"achieved_rate > 100k/s\"]");
    let (_of_run, run, ended) = flood(&["--config", &config]);
    let ended = ended.expect(0);
    assert_eq!(ended.stderr.matches(": not crossed: ").count(), 2, "{}", ended.stderr);
    assert_eq!(run_json(&run)["thresholds"].as_array().map(Vec::len), Some(2));
}

#[test]
fn numbers_that_cannot_be_trusted_cross_nothing() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let recording = scratch.recording("rec", &records(20, 1), Some("elsewhere"));
    let run = scratch.arg("run");
    let ended = replay(&recording, &target, &run, &["--fail-if", "max(response) > 1ns"]).expect(3);
    let report = run_json(&run);
    assert_eq!((&report["verdict"], &report["thresholds"][0]["crossed"]), (&json!("INVALID"), &json!(true)), "{report:#}");
    assert!(ended.stderr.contains("max(response) > 1ns: crossed"), "it is said all the same: {}", ended.stderr);
}

#[test]
fn what_the_run_will_not_have_is_refused_by_replay_and_plan_before_anything_is_sent() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let recording = scratch.recording("rec", &records(200, 1), Some("elsewhere"));
    let (url, run) = (target.url(), scratch.arg("run"));
    for (more, words) in [
        (&["--max", "--fail-if", "p99(response) > 50ms"][..], "with --max there is no schedule"),
        (&["--fail-if", "p99(end_to_end) > 5s"], "with a --probe that has match= only"),
        (&["--fail-if", "lag_messages_max(billing) > 5"], "with --lag billing only"),
        (&["--fail-if", "p99(response) > 1.1x"], "\"1.1x\" is not a duration"),
        (&["--fail-if", "p99 > 5ms"], "no such measure"),
    ] {
        for command in [&["replay", &recording, "--to", &url, "--run", &run][..], &["plan", &recording, "--to", &url]] {
            let ended = dejaq(&[command, more].concat()).expect(2);
            assert!(ended.stderr.contains(words), "{more:?}: {}", ended.stderr);
        }
    }
    assert!(!std::path::Path::new(&run).exists(), "no run was begun");
    dejaq(&["plan", &recording, "--to", &url, "--fail-if", "p99(response) > 50ms"]).expect(0);
}
