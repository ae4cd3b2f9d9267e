//! `compare` and `fidelity` on runs against the cluster in this process.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::dejaq::{Ended, dejaq};
use crate::kit::{Scratch, kafka, record, replay, run_json};

/// Four seconds of traffic: 1,000 messages a second, some keys more often than others.
fn recording(scratch: &Scratch, name: &str) -> String {
    let records: Vec<Value> = (0..4_000i64)
        .map(|i| record(i % 2, 1_700_000_000_000 + i, &json!({"utf8": format!("k{}", i % 7 % 4)}), &json!({"utf8": format!("v{i}")})))
        .collect();
    scratch.recording(name, &records, Some("prod"))
}

fn compared(args: &[&str]) -> Ended {
    dejaq(&[&["compare"], args].concat())
}

#[test]
fn a_run_is_the_same_as_itself_and_what_is_not_comparable_is_refused_with_the_reason() {
    let scratch = Scratch::new();
    let rec = recording(&scratch, "rec");
    let cluster = kafka(&[("t", 2)]);
    let [a, fast] = ["a", "fast"].map(|name| scratch.arg(name));
    replay(&rec, &cluster, &a, &[]);
    replay(&rec, &cluster, &fast, &["--speed", "4"]);

    let itself = compared(&[&a, &a, "--anyway", "--json", "--fail-if", "p50(response) > 1.2x", "--seed", "7"]);
    let found = itself.json();
    assert!(matches!(itself.code, Some(0 | 3)), "3 where this machine was too busy: {itself:?}");
    assert_eq!((&found["seed"], &found["within_run_only"], &found["paired"]), (&json!(7), &json!(true), &json!(true)), "{found:#}");
    let measures = found["measures"].as_array().expect("measures");
    let primary: Vec<(&Value, &Value)> = measures.iter().filter(|m| m["primary"] == true).map(|m| (&m["name"], &m["quantile"])).collect();
    let expected = [
        (json!("response"), json!(0.5)),
        (json!("response"), json!(0.99)),
        (json!("achieved_rate"), Value::Null),
        (json!("unanswered_share"), Value::Null),
    ];
    assert_eq!(primary, expected.iter().map(|(name, quantile)| (name, quantile)).collect::<Vec<_>>());
    let response = &run_json(&a)["latency"]["response"];
    assert_eq!(measures[0]["base"].as_f64(), response["p50_ns"].as_f64(), "the published value is that of the run: {found:#}");
    assert_eq!(measures[0]["ratio"], 1.0);
    assert!(itself.stderr.contains("--fail-if 'p50(response) > 1.2x': not crossed"), "{}", itself.stderr);

    let page = scratch.path("comparison.html");
    for _ in 0..2 {
        let ended = compared(&[&a, &a, "--anyway", "--html", &scratch.arg("comparison.html")]);
        assert!(ended.stdout.contains("NEW/BASE") && ended.stderr.contains("comparison.html"), "a page besides: {ended:?}");
        let written = std::fs::read_to_string(&page).expect("a page");
        let verdict = found["verdict"].as_str().expect("a verdict").to_uppercase();
        assert!(written.contains(&format!("<h1>{verdict}</h1>")) && written.contains("id=\"chart-latency\""), "{written:.3000}");
        assert_eq!(std::fs::metadata(&page).expect("there").permissions().mode() & 0o777, 0o600);
    }
    let nowhere = compared(&[&a, &a, "--anyway", "--html", &scratch.arg("none/page.html")]).expect(1);
    assert!(nowhere.stderr.contains("none/page.html"), "{}", nowhere.stderr);

    let refused = compared(&[&a, &fast]).expect(1);
    for part in ["not comparable", "--anyway", "speed is \"1\"", "\"4\""] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    let markdown = compared(&[&a, &fast, "--anyway", "--markdown"]);
    assert!(markdown.stdout.contains("| **p99\\(") || markdown.stdout.contains("**p99(response)**"), "{}", markdown.stdout);
    assert!(markdown.stdout.contains("not paired") && markdown.stdout.contains("compared although"), "{}", markdown.stdout);
}

#[test]
fn runs_that_followed_other_rules_are_refused_whatever_the_file_is_called() {
    let scratch = Scratch::new();
    let metrics: Vec<Value> = (0..400i64)
        .map(|i| record(i % 2, 1_700_000_000_000 + i, &json!({"utf8": "k"}), &json!({"utf8": format!("hits:1|c|#host:h{}", i % 4)})))
        .collect();
    let (rec, cluster) = (scratch.recording("rec", &metrics, Some("prod")), kafka(&[("t", 2)]));
    // What cardinality.json is asked for is the same in all of them.
    let rule = |rest: &str| format!("[[expand]]\nstreams = \"t\"\nformat = \"dogstatsd\"\ntag = \"host\"\ndistinct = 50\n{rest}");
    let files = [("plain", rule("")), ("said", format!("# fifty hosts\n{}", rule("\n"))), ("zipf", rule("pick = { zipf = 1.5 }\n"))];
    for (name, rules) in &files {
        let file = scratch.file(&format!("{name}.toml"), rules);
        replay(&rec, &cluster, &scratch.arg(name), &["--expand", &file]);
        assert_eq!(&run_json(&scratch.arg(name))["expand_rules"], rules, "word for word");
    }
    let [plain, said, zipf] = files.each_ref().map(|(name, _)| scratch.arg(name));
    let refused = compared(&[&plain, &zipf]).expect(1);
    assert!(refused.stderr.contains("the rules of --expand are others"), "{}", refused.stderr);
    let same = compared(&[&plain, &said]);
    assert!(!same.stderr.contains("the rules of --expand"), "a comment is no other rule: {}", same.stderr);
    let page = std::fs::read_to_string(scratch.path("zipf/report.html")).expect("a page");
    assert!(page.contains("pick = { zipf = 1.5 }"), "it is there to run it again");
    let large = scratch.file("large.toml", &"#".repeat((1 << 20) + 1));
    let refused = replay(&rec, &cluster, &scratch.arg("large"), &["--expand", &large]).expect(1);
    assert!(refused.stderr.contains("large.toml") && refused.stderr.contains("larger than 1 MiB"), "{}", refused.stderr);
}

#[test]
fn what_is_typed_wrong_is_a_usage_error() {
    let scratch = Scratch::new();
    for (args, said) in [
        (&["a", "b", "--margin", "5"][..], "5%"),
        (&["a", "b,", "--json"], "NEW is a run directory"),
        (&["a", "b", "--fail-if", "p99(response) > 1.1"], "ends with x"),
    ] {
        let ended = compared(args).expect(2);
        assert!(ended.stderr.contains(said), "{said}: {}", ended.stderr);
    }
    let none = scratch.arg("none");
    assert!(compared(&[&none, &none]).expect(1).stderr.contains("none"));
    let ended = dejaq(&["fidelity", &none, &none, "--fail-below", "7"]).expect(2);
    assert!(ended.stderr.contains("from 0 to 1"), "{}", ended.stderr);
}

#[test]
fn a_run_and_a_recording_are_held_against_what_was_replayed() {
    let scratch = Scratch::new();
    let (rec, other) = (recording(&scratch, "rec"), recording(&scratch, "other"));
    let cluster = kafka(&[("t", 2)]);
    let run = scratch.arg("run");
    replay(&rec, &cluster, &run, &[]);

    let found = dejaq(&["fidelity", &run, &rec, "--json"]).expect(0).json();
    let part = |name: &str| found["parts"].as_array().expect("parts").iter().find(|p| p["name"] == name).expect("a part")["score"].clone();
    // What a busy machine does to timing is its own affair; the rest is exact.
    for name in ["sizes", "key ranks", "stream shares", "order"] {
        assert_eq!(part(name), 1.0, "{name}: {found:#}");
    }
    let scores: Vec<f64> = found["parts"].as_array().expect("parts").iter().filter_map(|p| p["score"].as_f64()).collect();
    assert_eq!(found["score"].as_f64(), scores.iter().copied().reduce(f64::min), "{found:#}");

    let shown = &dejaq(&["report", &run, "--json"]).json()["fidelity"];
    assert_eq!((&shown["score"], &shown["parts"]), (&found["score"], &found["parts"]), "the report says the same");

    let refused = dejaq(&["fidelity", &run, &other]).expect(1);
    assert!(refused.stderr.contains("the run replayed recording"), "{}", refused.stderr);
    let same = dejaq(&["fidelity", &other, &rec, "--fail-below", "0.999"]).expect(0);
    assert!(same.stdout.starts_with("fidelity 1.0000"), "{}", same.stdout);
    let thinned: Vec<Value> =
        (0..2_000i64).map(|i| record(i % 2, 1_700_000_000_000 + 2 * i, &json!({"utf8": "k"}), &json!({"utf8": "v"}))).collect();
    let thinned = scratch.recording("thinned", &thinned, Some("prod"));
    let ended = dejaq(&["fidelity", &thinned, &rec, "--fail-below", "0.9"]).expect(4);
    assert!(ended.stderr.contains("below 0.9"), "{}", ended.stderr);
}
