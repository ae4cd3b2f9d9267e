//! `inspect --tags` and `expand --suggest`, as a user meets them.

use serde_json::{Value, json};

use crate::dejaq::dejaq;
use crate::kit::*;

#[test]
fn payloads_of_no_format_are_said_to_be_none() {
    let scratch = Scratch::new();
    let payload = |ms: i64| record(ms % 2, 1_700_000_000_000 + ms, &Value::Null, &json!({"base64": "AQIDAP8="}));
    let recording = scratch.recording("rec", &(0..200).map(payload).collect::<Vec<_>>(), None);
    let seen = dejaq(&["inspect", &recording, "--tags", "--json"]).expect(0).json();
    assert_eq!((&seen["tags"], &seen["records"], &seen["damaged_blocks"]), (&json!([]), &json!(200), &json!(0)), "{seen:#}");
    let [left_out] = &seen["unrecognised"].as_array().expect("a list")[..] else { panic!("{seen:#}") };
    assert_eq!((&left_out["topic"], &left_out["streams"]), (&json!("t"), &json!(2)));
    assert!(left_out["why"].as_str().is_some_and(|why| why.contains("any of 64 payloads")), "{left_out}");
    let text = dejaq(&["inspect", &recording, "--tags"]).expect(0).stdout;
    assert!(text.contains("no gaps") && text.contains("t (2 streams)  not recognised"), "{text}");
    let plain = dejaq(&["inspect", &recording, "--json"]).expect(0).json();
    assert!(plain.get("tags").is_none(), "payloads are read only when asked");
    let rules = dejaq(&["expand", "--suggest", &recording]).expect(0).stdout;
    assert!(rules.lines().all(|line| line.is_empty() || line.starts_with('#')) && rules.contains("not recognised"), "{rules}");
}

#[test]
fn what_is_no_recording_is_said() {
    let scratch = Scratch::new();
    for args in [&["inspect", &scratch.arg("none"), "--tags"][..], &["expand", "--suggest", &scratch.arg("none")]] {
        let refused = dejaq(args).expect(1);
        assert!(refused.stderr.contains("none") && refused.stdout.is_empty(), "{refused:?}");
    }
    assert!(dejaq(&["expand"]).expect(2).stderr.contains("--suggest"));
}
