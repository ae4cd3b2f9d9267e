//! What comes out at the target: the same content whatever is in it, partitions, sizes, and the same again.

use std::collections::BTreeMap;

use base64::Engine as _;
use dejaq_shared::broker::kafka::embedded::EmbeddedKafka;
use serde_json::{Value, json};

use crate::dejaq::{Ended, dejaq};
use crate::kit::*;

const ELSEWHERE: Option<&str> = Some("elsewhere");

#[test]
fn null_empty_and_bytes_that_are_no_text_come_back_as_they_were() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 2)]));
    let bytes = |b: &[u8]| json!({"base64": base64::engine::general_purpose::STANDARD.encode(b)});
    let shapes = [Value::Null, json!({"utf8": ""}), json!({"utf8": "text"}), bytes(&[0xff, 0xfe]), json!({"utf8": "\u{0}"})];
    let mut records = Vec::new();
    for key in &shapes {
        for value in &shapes {
            let n = i64::try_from(records.len()).expect("few");
            let mut record = record(n % 2, 1_700_000_000_000 + n, key, value);
            record["headers"] = match n % 4 {
                0 => json!([]),
                // A key twice, in an order of its own; null and empty values.
                1 => json!([["b", {"utf8": "1"}], ["a", null], ["b", {"utf8": ""}]]),
                // Names that are no UTF-8, and one that is empty.
                2 => json!([[bytes(&[0xc3, 0x28]), bytes(&[0, 0xff])], [bytes(&[0xff]), null]]),
                _ => json!([["", null]]),
            };
            records.push(record);
        }
    }
    let recording = scratch.recording("rec", &records, ELSEWHERE);
    let sent = exported(&recording);
    let run = scratch.arg("run");
    let ended = replay(&recording, &target, &run, &["--mark", "off", "--max"]);
    assert_sent_in_full(&ended, &run_json(&run));
    assert_eq!(content(&held(&scratch, &target, "back")), content(&sent));
    // import is the inverse of export: the same lines but for nothing.
    let copy = scratch.recording("copy", &sent, None);
    assert_eq!(exported(&copy), sent);
    assert!(sent.iter().any(|r| r["headers"][0][0] == json!({"base64": "wyg="})), "a name that is no UTF-8 travelled as bytes");
}

#[test]
fn the_mark_is_the_only_difference() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 2)]));
    let recording = scratch.recording("rec", &records(20, 2), ELSEWHERE);
    replay(&recording, &target, &scratch.arg("run"), &["--mark", "all", "--max"]);
    let mut back = held(&scratch, &target, "back");
    for record in &mut back {
        let headers = record["headers"].as_array_mut().expect("headers");
        let mark = headers.pop().expect("a mark");
        assert_eq!(mark[0], json!({"utf8": "dejaq-run"}));
        assert!(mark[1]["utf8"].as_str().is_some_and(|v| v.starts_with("1;") && v.ends_with(";elsewhere")), "{mark}");
    }
    assert_eq!(content(&back), content(&exported(&recording)));
}

#[test]
fn a_target_with_fewer_partitions_needs_modulo_and_then_keeps_order() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 2)]));
    let recording = scratch.recording("rec", &records(90, 5), ELSEWHERE);
    let refused = replay(&recording, &target, &scratch.arg("run"), &[]).expect(1);
    assert!(refused.stderr.contains("\"t\" has 2 partitions at the target, the recording needs 5"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--partitions modulo"), "{}", refused.stderr);
    let run = scratch.arg("run");
    let ended = replay(&recording, &target, &run, &["--partitions", "modulo", "--mark", "off", "--rate", "2000/s"]);
    assert_sent_in_full(&ended, &run_json(&run));

    // Within a recorded partition nothing overtakes.
    let key_order = |records: &[Value]| -> BTreeMap<i64, Vec<i64>> {
        let mut lanes = BTreeMap::<i64, Vec<i64>>::new();
        for record in records {
            let n: i64 = record["value"]["utf8"].as_str().and_then(|v| v[1..].parse().ok()).expect("v<number>");
            assert_eq!(record["partition"], n % 5 % 2, "{record}");
            lanes.entry(n % 5).or_default().push(n);
        }
        lanes
    };
    let lanes = key_order(&held(&scratch, &target, "back"));
    assert_eq!(lanes.values().map(Vec::len).sum::<usize>(), 90);
    assert!(lanes.values().all(|lane| lane.is_sorted()), "{lanes:?}");
}

#[test]
fn a_message_that_the_client_may_not_send_is_counted_and_the_books_balance() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 1)]));
    let mut all = records(20, 1);
    for n in [3, 7] {
        all[n]["value"] = json!("x".repeat(5000));
    }
    let recording = scratch.recording("rec", &all, ELSEWHERE);
    let run = scratch.arg("run");
    let ended = replay(&recording, &target, &run, &["--mark", "off", "--max", "-X", "message.max.bytes=2000"]).expect(3);
    let report = run_json(&run);
    assert_balanced(&report);
    let ledger = &report["ledger"];
    assert_eq!((&ledger["read"], &ledger["acked"]), (&json!(20), &json!(18)), "{ledger}");
    assert_eq!(ledger["skipped"].as_u64().zip(ledger["failed"].as_u64()).map(|(s, f)| s + f), Some(2), "{ledger}");
    assert!(ended.stdout.contains("too large") || ended.stdout.contains("too Large"), "{}", ended.stdout);
    assert_eq!(held(&scratch, &target, "back").len(), 18);
}

/// What each partition of the target holds after a replay with these options, and how the run ended.
fn replayed(scratch: &Scratch, recording: &str, name: &str, options: &[&str]) -> (Content, Ended, Value) {
    let target: EmbeddedKafka = kafka(&[("t", 3)]);
    let run = scratch.arg(name);
    let ended = replay(recording, &target, &run, options);
    let report = run_json(&run);
    (content(&held(scratch, &target, &format!("{name}-back"))), ended, report)
}

#[test]
fn the_same_recording_and_options_give_the_same_bytes_in_each_partition() {
    let scratch = Scratch::new();
    let recording = scratch.recording("rec", &records(600, 3), ELSEWHERE);
    let mut seen = Vec::new();
    for (n, options) in [
        &["--mark", "off", "--rate", "2000/s", "--seed", "7"][..],
        &["--mark", "off", "--rate", "2000/s", "--seed", "7"],
        &["--mark", "off", "--speed", "2"],
        &["--mark", "off", "--speed", "0.5"],
    ]
    .into_iter()
    .enumerate()
    {
        let (content, ended, report) = replayed(&scratch, &recording, &format!("run{n}"), options);
        assert_sent_in_full(&ended, &report);
        seen.push(content);
    }
    assert_eq!(seen[0], content(&exported(&recording)));
    assert!(seen.iter().all(|s| *s == seen[0]), "neither rate nor speed changes what is sent");
}

#[test]
fn a_selection_and_a_window_send_what_they_say_and_count_the_rest() {
    let scratch = Scratch::new();
    let recording = scratch.recording("rec", &records(600, 3), ELSEWHERE);
    let (seen, ended, report) = replayed(&scratch, &recording, "streams", &["--mark", "off", "--max", "--streams", "t/1"]);
    assert_sent_in_full(&ended, &report);
    assert_eq!(seen.keys().collect::<Vec<_>>(), [&1]);
    assert_eq!(seen[&1], content(&exported(&recording))[&1]);
    // 2023-11-14T22:13:20Z is the first record's time.
    let window = ["--from-time", "2023-11-14T22:13:20.1Z", "--to-time", "2023-11-14T22:13:20.2Z"];
    let (seen, ended, report) = replayed(&scratch, &recording, "window", &[&["--mark", "off", "--max"][..], &window].concat());
    assert_sent_in_full(&ended, &report);
    assert_eq!(seen.values().map(Vec::len).sum::<usize>(), 100);
}

#[test]
fn a_plan_sends_nothing_and_says_what_would_be() {
    let (scratch, target) = (Scratch::new(), kafka(&[("t", 3)]));
    let recording = scratch.recording("rec", &records(600, 3), ELSEWHERE);
    let url = target.url();
    let plan = dejaq(&["plan", &recording, "--to", &url, "--speed", "2", "--json"]).expect(0).json();
    assert_eq!(plan["ledger"]["scheduled"].as_u64().or(plan["messages"].as_u64()).or(plan["scheduled"].as_u64()), Some(600), "{plan:#}");
    assert_eq!(held(&scratch, &target, "back").len(), 0);
}

#[test]
fn what_the_recording_lacks_is_said_before_it_is_replayed() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("rec")).expect("a directory");
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/golden/books.dejaq");
    std::fs::copy(golden, scratch.path("rec").join("books.dejaq")).expect("a copy");
    let seen = dejaq(&["inspect", &scratch.arg("rec"), "--json"]).json();
    let gaps = seen["gaps"].as_array().expect("gaps").len();
    let streams = seen["streams"].as_array().expect("streams").iter().map(|s| s["name"].as_str().expect("a name"));
    let topics: std::collections::BTreeSet<&str> = streams.map(|s| s.rsplit_once('/').expect("topic/partition").0).collect();
    let cluster = kafka(&topics.iter().map(|t| (*t, 8)).collect::<Vec<_>>());
    let plan = dejaq(&["plan", &scratch.arg("rec"), "--to", &cluster.url(), "--clock", "arrival", "--allow-unknown-source"]).expect(0);
    assert!(gaps > 1 && plan.stdout.contains(&format!("the recording has {gaps} gaps")), "{}", plan.stdout);
}
