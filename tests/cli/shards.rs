//! Several machines that share a run: what they send together, and when they start.

use dejaq_shared::broker::kafka::embedded::EmbeddedKafka;
use dejaq_shared::clock::wall_now_ns;
use dejaq_shared::units::format_time_ns;
use serde_json::{Value, json};

use crate::dejaq::dejaq;
use crate::kit::*;

const ELSEWHERE: Option<&str> = Some("elsewhere");

/// All that must be the same: partition, key, value, time stamp and whether it is marked, in each partition's order.
fn sent(scratch: &Scratch, target: &EmbeddedKafka, name: &str) -> Vec<Value> {
    let marked = |r: &Value| r["headers"].as_array().is_some_and(|h| h.iter().any(|h| h[0] == json!({"utf8": "dejaq-run"})));
    let mut all: Vec<(i64, i64, Value)> = held(scratch, target, name)
        .iter()
        .map(|r| {
            let place = |of: &str| r[of].as_i64().expect("a number");
            let what = json!([r["partition"], r["key"], r["value"], r["broker_ts"], marked(r)]);
            (place("partition"), place("position"), what)
        })
        .collect();
    all.sort_by_key(|(partition, position, _)| (*partition, *position));
    all.into_iter().map(|(_, _, what)| what).collect()
}

#[test]
fn shards_send_together_the_bytes_and_times_that_one_machine_sends() {
    let scratch = Scratch::new();
    let recording = scratch.recording("rec", &records(600, 5), ELSEWHERE);
    for (name, pace) in [("speed", ["--speed", "2"]), ("rate", ["--rate", "3k/s"])] {
        let options = [&pace[..], &["--timestamps", "shift", "--origin", "2026-03-01T12:00:00.5Z", "--seed", "3"]].concat();
        let (one, again, shared) = (kafka(&[("t", 5)]), kafka(&[("t", 5)]), kafka(&[("t", 5)]));
        let mut ledgers = Vec::new();
        let mut run = |target: &EmbeddedKafka, name: String, more: &[&str]| {
            let run = scratch.arg(&name);
            let ended = replay(&recording, target, &run, &[&options[..], more].concat());
            let report = run_json(&run);
            assert_sent_in_full(&ended, &report);
            ledgers.push(report["ledger"]["acked"].as_u64().expect("a count"));
            report
        };
        assert_eq!(run(&one, format!("{name}-one"), &[])["shard"], Value::Null);
        run(&again, format!("{name}-again"), &[]);
        for shard in ["1/3", "2/3", "3/3"] {
            let report = run(&shared, format!("{name}-{}", &shard[..1]), &["--shard", shard]);
            assert_eq!((&report["shard"], &report["config"]["shard"]), (&json!(shard), &json!(shard)));
            let streams = std::fs::read_to_string(scratch.path(&format!("{name}-{}", &shard[..1])).join("streams.csv")).expect("there");
            assert!(
                streams.lines().any(|line| line.ends_with(",0,0,0,0,0,0,0,0,0")),
                "other shards' streams are not in the books: {streams}"
            );
        }
        assert_eq!(ledgers, [600, 600, 240, 240, 120], "whole streams, as even as they can be");
        let whole = sent(&scratch, &one, &format!("{name}-one-back"));
        assert_eq!(whole.len(), 600);
        assert_eq!(whole[0][3], 1_772_366_400_500i64, "the first one's stamp is the origin");
        assert!(whole == sent(&scratch, &again, &format!("{name}-again-back")), "the same again");
        assert!(whole == sent(&scratch, &shared, &format!("{name}-shared-back")), "and together");
    }
}

#[test]
fn a_plan_says_what_a_shard_sends_and_one_without_streams_is_refused() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 3)]));
    let recording = scratch.recording("rec", &records(300, 3), ELSEWHERE);
    let url = target.url();
    let plan = |shard: &str| dejaq(&["plan", &recording, "--to", &url, "--shard", shard]);
    let said = plan("2/2").expect(0).stdout;
    assert!(said.contains("shard 2/2: 1 of 3 streams, 100 records") && said.contains("messages   100"), "{said}");
    let refused = plan("4/4").expect(1).stderr;
    assert!(refused.contains("--shard 4/4") && refused.contains("fewer streams (3"), "{refused}");
}

#[test]
fn a_run_that_is_told_when_to_start_starts_then() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let recording = scratch.recording("rec", &records(200, 1), ELSEWHERE);
    let at = wall_now_ns() + 6_000_000_000;
    let run = scratch.arg("run");
    let ended = replay(&recording, &target, &run, &["--start-at", &format_time_ns(at), "--mark", "off"]);
    let report = run_json(&run);
    assert_sent_in_full(&ended, &report);
    assert_eq!((&report["t0_unix_ns"], &report["config"]["start-at-ns"]), (&json!(at), &json!(at)));
    assert!(ended.stderr.contains("ready: the first message is sent in"), "{}", ended.stderr);
}
