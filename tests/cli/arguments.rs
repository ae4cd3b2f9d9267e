//! What is typed wrongly: exit code 2, and a text that says what is expected.

use crate::dejaq::dejaq;
use crate::kit::{Scratch, records};

const NOWHERE: &str = "kafka://127.0.0.1:1";

#[test]
fn an_unknown_key_in_a_configuration_is_named_and_so_are_the_known_ones() {
    let scratch = Scratch::new();
    let config = scratch.file("bad.toml", "topiks = \"a\"\n");
    let capture = dejaq(&["capture", "--config", &config, "--from", NOWHERE, "--topics", "a", "--out", &scratch.arg("rec")]).expect(2);
    assert!(
        capture.stderr.contains("topiks") && capture.stderr.contains("`topics`") && capture.stderr.contains("bad.toml"),
        "{}",
        capture.stderr
    );
    assert!(!scratch.path("rec").exists());

    let recording = scratch.recording("rec", &records(1, 1), None);
    let config = scratch.file("bad.toml", "sped = 4\n");
    for command in [&["replay", &recording, "--run", &scratch.arg("run")][..], &["plan", &recording]] {
        let replay = dejaq(&[command, &["--to", NOWHERE, "--config", &config]].concat()).expect(2);
        assert!(
            replay.stderr.contains("sped") && replay.stderr.contains("`speed`") && replay.stderr.contains("bad.toml"),
            "{}",
            replay.stderr
        );
    }
    assert!(!scratch.path("run").exists());
}

#[test]
fn flags_that_contradict_each_other_are_both_named_before_anything_is_done() {
    let scratch = Scratch::new();
    let recording = scratch.recording("rec", &records(1, 1), None);
    let run = scratch.arg("run");
    let contradictions: [(&[&str], [&str; 2]); 12] = [
        (&["--profile", "hold 5/s 1s", "--rate", "5/s"], ["--profile", "--rate"]),
        (&["--profile", "hold 5/s 1s", "--speed", "2"], ["--profile", "--speed"]),
        (&["--profile", "hold 5/s 1s", "--max"], ["--profile", "--max"]),
        (&["--copy-jitter", "1s"], ["--copy-jitter", "--copies"]),
        (&["--copies", "0.5", "--copy-jitter", "1s"], ["--copy-jitter", "--copies"]),
        (&["--copy-suffix", "+"], ["--copy-suffix", "--copies"]),
        (&["--loop-keys", "all"], ["--loop-keys", "--loop"]),
        (&["--speed", "2", "--rate", "5/s"], ["--speed", "--rate"]),
        (&["--speed", "2", "--max"], ["--speed", "--max"]),
        (&["--rate", "5/s", "--max"], ["--rate", "--max"]),
        (&["--origin", "2026-03-01T12:00:00Z"], ["--origin", "--timestamps"]),
        (&["--origin", "2026-03-01T12:00:00Z", "--timestamps", "original"], ["--origin", "--timestamps"]),
    ];
    for (flags, named) in contradictions {
        let ended = dejaq(&[&["replay", &recording, "--to", NOWHERE, "--run", &run], flags].concat()).expect(2);
        assert!(named.iter().all(|n| ended.stderr.contains(n)), "{flags:?}: {}", ended.stderr);
        assert!(!scratch.path("run").exists(), "{flags:?}");
    }
}

#[test]
fn a_value_that_cannot_be_read_is_shown_with_what_is_expected() {
    let scratch = Scratch::new();
    let recording = scratch.recording("rec", &records(1, 1), None);
    let (out, run) = (scratch.arg("new"), scratch.arg("run"));
    let capture = ["capture", "--from", NOWHERE, "--topics", "t", "--out", &out];
    let replay = ["replay", &recording, "--to", NOWHERE, "--run", &run];
    let wrong: [(&[&str], &[&str], &str); 26] = [
        (&capture, &["--start", "nonsense"], "2026-01-31T12:00:00Z"),
        (&capture, &["--until", "tomorrow"], "\"end\""),
        (&capture, &["--for", "soon"], "10m"),
        (&capture, &["--records", "0"], "at least 1"),
        (&capture, &["--replayed", "maybe"], "\"include\""),
        (&capture, &["--compress", "99"], "1 to 19"),
        (&capture, &["--fetch-rate", "fast"], "50MB/s"),
        (&capture, &["--topics", "^("], "regular expression"),
        (&capture, &["--topics", "a,,b"], "none of them empty"),
        (&replay, &["--speed", "0"], "--speed"),
        (&replay, &["--rate=-5/s"], "--rate"),
        (&replay, &["--clock", "sundial"], "arrival"),
        (&replay, &["--mark", "some"], "first"),
        (&replay, &["--partitions", "rekeyed"], "modulo or rekey"),
        (&replay, &["--timestamps", "then"], "now, shift or original"),
        (&replay, &["--timestamps", "shift", "--origin", "noon"], "--origin"),
        (&replay, &["--client", "fast"], "precise or prod-like"),
        (&replay, &["--start-at", "soon"], "--start-at"),
        (&replay, &["--start-at", "2026-03-01T12:00:00Z"], "--start-at 2026-03-01T12:00:00Z has passed"),
        (&replay, &["--shard", "3/2"], "the i-th of n machines, such as 2/3"),
        (&replay, &["--shard", "0/2"], "--shard"),
        (&replay, &["--shard", "1/0"], "--shard"),
        (&replay, &["--shard", "one"], "--shard"),
        (&replay, &["--from-time", "noon"], "--from-time"),
        (&replay, &["--late", "5s"], "skip="),
        (&replay, &["--map", "old"], "--map"),
    ];
    for (command, flags, expected) in wrong {
        let args: Vec<&str> = if flags[0] == "--topics" {
            command.iter().copied().filter(|a| *a != "--topics" && *a != "t").chain(flags.iter().copied()).collect()
        } else {
            [command, flags].concat()
        };
        let ended = dejaq(&args).expect(2);
        assert!(ended.stderr.contains(expected), "{flags:?} should speak of {expected}: {}", ended.stderr);
    }
    assert!(!scratch.path("new").exists() && !scratch.path("run").exists());
}

#[test]
fn an_address_that_is_none_is_refused_with_the_reason() {
    let scratch = Scratch::new();
    let out = scratch.arg("rec");
    for (url, expected) in [
        ("prod:9092", "kafka://"),
        ("http://prod:9092", "kafka://"),
        ("kafka://prod:99999", "65535"),
        ("kafka://", "host"),
        ("kafka://prod:9092/topic", "topic"),
    ] {
        let ended = dejaq(&["capture", "--from", url, "--topics", "t", "--out", &out]).expect(2);
        assert!(ended.stderr.contains(expected), "{url} should speak of {expected}: {}", ended.stderr);
    }
    assert!(!scratch.path("rec").exists());
}

#[test]
fn what_is_missing_is_asked_for() {
    let out = |args: &[&str]| dejaq(args).expect(2).stderr;
    assert!(out(&["capture", "--topics", "a", "--out", "x"]).contains("--from"));
    assert!(out(&["capture", "--from", NOWHERE, "--out", "x"]).contains("--topics"));
    assert!(out(&["capture", "--from", NOWHERE, "--topics", "a"]).contains("--out"));
    assert!(out(&["replay", "rec", "--to", NOWHERE]).contains("--run"));
    assert!(out(&["replay", "rec", "--run", "x"]).contains("--to"));
    assert!(out(&["import", "x"]).contains("--out"));
    assert!(out(&["capture", "--from", NOWHERE, "--topics", "a", "--out", "x", "-X", "novalue"]).contains("KEY=VALUE"));
    assert!(out(&["frobnicate"]).contains("frobnicate"));
}

#[test]
fn a_line_that_is_no_record_is_named_by_number_and_leaves_nothing() {
    let scratch = Scratch::new();
    let good = records(1, 1)[0].to_string();
    for (bad, expected) in [
        ("nonsense", "line 2"),
        ("{\"broker\":\"kafka\",\"value\":null}", "missing field `topic`"),
        ("{\"broker\":\"kafka\",\"topic\":\"t\",\"partition\":0}", "missing field `value`"),
        ("{\"broker\":\"carrier pigeon\",\"topic\":\"t\",\"partition\":0,\"value\":null}", "carrier pigeon"),
        ("{\"broker\":\"kafka\",\"topic\":\"t\",\"partition\":-1,\"value\":null}", "partition -1"),
        ("{\"broker\":\"kafka\",\"topic\":\"t\",\"partition\":0,\"value\":{\"base64\":\"?\"}}", "base64"),
        ("{\"broker\":\"kafka\",\"topic\":\"t\",\"partition\":0,\"value\":null,\"vaule\":1}", "vaule"),
        ("{\"broker\":\"kafka\",\"topic\":\"t\",\"partition\":0,\"value\":null,\"position\":0}", "positions of a stream must rise"),
    ] {
        let file = scratch.file("bad.ndjson", &format!("{good}\n{bad}\n"));
        let ended = dejaq(&["import", &file, "--out", &scratch.arg("rec")]).expect(1);
        assert!(ended.stderr.contains("bad.ndjson, line 2") && ended.stderr.contains(expected), "{bad}: {}", ended.stderr);
        assert!(!scratch.path("rec").exists() && !scratch.path("rec.importing").exists(), "{bad}");
    }
    let ended = dejaq(&["import", &scratch.file("empty.ndjson", ""), "--out", &scratch.arg("rec")]).expect(1);
    assert!(ended.stderr.contains("holds no record"), "{}", ended.stderr);
}

#[test]
fn volume_that_cannot_be_is_refused_with_the_place() {
    let scratch = Scratch::new();
    let recording = scratch.recording("rec", &records(1, 1), None);
    for (flags, said) in [
        (&["--copies", "0"][..], "--copies: \"0\" is not a positive number"),
        (&["--copies", "many"], "--copies: \"many\""),
        (&["--copies", "99999999999999999999"], "--copies"),
        (&["--copies", "100001"], "100000 at most"),
        (&["--copies", "2", "--copy-suffix", "copy2"], "without a digit"),
        (&["--copies", "2", "--copy-jitter", "soon"], "--copy-jitter"),
        (&["--loop", "--loop-keys", "new"], "same, one-shot or all"),
        (&["--profile", "ramp 1k/s..50k/s 10m, hald 30m"], "column 23: \"hald\""),
        (&["--profile", "hold 1/s 584years, hold 1/s 1y"], "584 years"),
        (&["--profile", "hold 9999999999G/s 1s"], "at most 1G/s"),
        (&["--rate", "99999999999999999999/s"], "--rate"),
        (&["--loop", "--for", "600years"], "--for"),
    ] {
        let refused = dejaq(&[&["plan", &recording, "--to", NOWHERE], flags].concat()).expect(2);
        assert!(refused.stderr.contains(said), "{flags:?}: {}", refused.stderr);
        if flags[0] == "--profile" {
            let lines: Vec<&str> = refused.stderr.lines().collect();
            assert!(lines.last().is_some_and(|l| l.trim() == "^"), "{lines:?}");
        }
    }
}
