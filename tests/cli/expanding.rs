//! Rule files that cannot be read are refused before anything is connected to, with file, line and column.

use crate::dejaq::dejaq;
use crate::kit::Scratch;

fn refused(rules: &str, more: &[&str]) -> String {
    let scratch = Scratch::new();
    let (lines, recording, file) = (scratch.arg("in.ndjson"), scratch.arg("rec"), scratch.arg("rules.toml"));
    let line = r#"{"broker":"kafka","cluster":"c","topic":"t","partition":0,"value":{"utf8":"m:1|c|#host:a"}}"#;
    std::fs::write(&lines, format!("{line}\n")).expect("written");
    dejaq(&["import", &lines, "--out", &recording]);
    std::fs::write(&file, rules).expect("written");
    let mut words = vec!["plan", &recording, "--to", "kafka://127.0.0.1:1", "--expand", &file];
    words.extend(more);
    let ended = dejaq(&words);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("rules.toml"), "it names the file: {}", ended.stderr);
    ended.stderr
}

#[test]
fn a_rule_file_that_makes_no_sense_is_a_usage_error_with_its_place() {
    let rule = |rest: &str| format!("[[expand]]\nstreams = \"t\"\nformat = \"dogstatsd\"\n{rest}");
    let cases = [
        (rule("tag = \"host\"\ndistinct = 5\ncolour = \"red\""), "colour"),
        (rule("tag = \"host\"\ndistinct = 0"), "line 5, column 12"),
        (rule("tag = \"host\"\ndistinct = 5\npick = { zipf = -1 }"), "pick"),
        (rule("tag = \"host\"\ndistinct = 5\nchurn = { share = 2, every = \"1s\" }"), "churn.share"),
        (rule("tag = \"host\"\ntags = [\"a\", \"b\"]\nseries = 5"), "contradict"),
        (rule("tag = \"host\"\ndistinct = 5").replace("dogstatsd", "avro"), "avro"),
        (String::new(), "no rule"),
        ("[[expand".to_owned(), "line 1"),
    ];
    for (rules, part) in cases {
        let said = refused(&rules, &[]);
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn rules_that_depend_on_time_contradict_a_flood() {
    let said = refused("[[retime]]\nstreams = \"t\"\nformat = \"influx\"\n", &["--max"]);
    assert!(said.contains("--max") && said.contains("no schedule"), "{said}");
}
