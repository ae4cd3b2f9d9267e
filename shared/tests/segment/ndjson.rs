//! export and import are inverses for records.

use std::path::Path;

use dejaq_shared::ndjson::{Exporter, ImportError, import};
use dejaq_shared::segment::codec::Compression;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::recording_writer::RecordingWriter;
use dejaq_shared::segment::verify::verify_recording;
use proptest::prelude::*;

use crate::words::*;

fn export(dir: &Path) -> String {
    let recording = Recording::open(dir).expect("a recording");
    let mut out = Vec::new();
    Exporter::new(&recording).write(&mut out, |e| unreachable!("nothing is damaged: {e}")).expect("memory");
    String::from_utf8(out).expect("JSON is UTF-8")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_is_exported_imports_to_the_same_records(records in prop::collection::vec(any_record(4), 1..80), cut in 1usize..50) {
        let scratch = tempfile::tempdir().expect("temporary directory");
        let (first, second) = (scratch.path().join("first"), scratch.path().join("second"));
        let mut writer = RecordingWriter::create(&first, new_recording()).expect("new");
        writer.add_streams(&(0..4).map(|p| (stream("t", p), 0)).collect::<Vec<_>>()).expect("streams");
        for part in numbered(records).chunks(cut) {
            writer.block(&encode(part, Compression::Zstd(1))).expect("block");
        }
        writer.seal().expect("seal");
        let lines = export(&first);
        import(lines.as_bytes(), "lines", &second, None, |_| ()).expect("own lines");
        prop_assert_eq!(export(&second), lines);
        let report = verify_recording(&second, |_| ()).expect("a recording");
        prop_assert!(report.is_clean(), "{:?}", report);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_exported_of_rabbitmq_imports_to_the_same_records(records in prop::collection::vec(any_rabbit_record(4), 1..40), cut in 1usize..30) {
        let scratch = tempfile::tempdir().expect("temporary directory");
        let (first, second) = (scratch.path().join("first"), scratch.path().join("second"));
        let mut new = new_recording();
        new.source.broker = "rabbitmq".into();
        let mut writer = RecordingWriter::create(&first, new).expect("new");
        writer.add_streams(&[(exchange(""), 0), (exchange("orders"), 0), (queue("orders"), 0), (queue("log"), 0)]).expect("streams");
        for part in numbered(records).chunks(cut) {
            writer.block(&encode(part, Compression::Zstd(1))).expect("block");
        }
        writer.seal().expect("seal");
        let lines = export(&first);
        import(lines.as_bytes(), "lines", &second, None, |_| ()).expect("own lines");
        prop_assert_eq!(export(&second), lines);
        prop_assert!(verify_recording(&second, |_| ()).expect("a recording").is_clean());
    }
}

#[test]
fn a_bad_line_of_rabbitmq_is_named() {
    let good = r#"{"broker":"rabbitmq","vhost":"/","exchange":"","routing_key":"q","value":"x"}"#;
    let with = |more: &str| format!(r#"{{"broker":"rabbitmq","vhost":"/","exchange":"e","routing_key":"k","value":null,{more}}}"#);
    let deep = |n: usize| format!(r#""properties":{{"headers":[["a",{}{{"i8":1}}{}]]}}"#, r#"{"array":["#.repeat(n), "]}".repeat(n));
    for (bad, why) in [
        (r#"{"broker":"rabbitmq","exchange":"","routing_key":"q","value":"x"}"#.to_owned(), "missing field `vhost`"),
        (r#"{"broker":"rabbitmq","vhost":"/","exchange":"e","value":"x"}"#.to_owned(), "missing field `routing_key`"),
        (r#"{"broker":"rabbitmq","vhost":"/","value":"x"}"#.to_owned(), "expected one of the two"),
        (with(r#""queue":"q""#), "expected one of the two"),
        (with(r#""topic":"t""#), "are Kafka's"),
        (r#"{"broker":"rabbitmq","vhost":"/","queue":"","value":"x"}"#.to_owned(), "is no stream"),
        (with(r#""properties":{"headers":[["a",{"i8":200}]]}"#), "200"),
        (with(r#""properties":{"headers":[["a",{"f32_bits":"7fc"}]]}"#), "8 hexadecimal digits"),
        (with(r#""properties":{"headers":[["a",{"base64":"%"}]]}"#), "not base64"),
        (with(r#""properties":{"prioritaet":1}"#), "unknown field"),
        (with(&format!(r#""properties":{{"app_id":"{}"}}"#, "s".repeat(256))), "255 bytes"),
        (with(&deep(32)), "32 deep"),
        (with(&deep(10_000)), "recursion limit"),
    ] {
        let scratch = tempfile::tempdir().expect("temporary directory");
        let error = import(format!("{good}\n{bad}\n").as_bytes(), "dump.ndjson", &scratch.path().join("r"), None, |_| ()).expect_err(&bad);
        assert!(matches!(error, ImportError::Line { line: 2, .. }) && error.to_string().contains(why), "{error}");
        assert_eq!(std::fs::read_dir(scratch.path()).expect("listing").count(), 0, "{bad}");
    }
    let scratch = tempfile::tempdir().expect("temporary directory");
    import(format!("{good}\n{}\n", with(&deep(31))).as_bytes(), "deep", &scratch.path().join("r"), None, |_| ())
        .expect("as deep as may be");
    assert!(export(&scratch.path().join("r")).contains("\"i8\":1"));
}

#[test]
fn the_least_that_import_needs() {
    let scratch = tempfile::tempdir().expect("temporary directory");
    let lines = "{\"broker\":\"kafka\",\"topic\":\"t\",\"partition\":0,\"value\":\"plain\",\"broker_ts\":1700000000000}\n\n{\"broker\":\"kafka\",\"topic\":\"t\",\"partition\":0,\"value\":null}\n";
    let summary = import(lines.as_bytes(), "lines", &scratch.path().join("r"), None, |_| ()).expect("enough");
    assert_eq!((summary.records, summary.source_unknown), (2, true));
    let back = export(&scratch.path().join("r"));
    let first: serde_json::Value = serde_json::from_str(back.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        (&first["value"]["utf8"], &first["broker_ts_kind"], &first["position"], &first["arrival_ns"]),
        (&"plain".into(), &"create".into(), &0.into(), &1_700_000_000_000_000_000i64.into())
    );
    let second: serde_json::Value = serde_json::from_str(back.lines().nth(1).expect("a line")).expect("JSON");
    assert_eq!((&second["value"], &second["position"]), (&serde_json::Value::Null, &1.into()));
}

#[test]
fn a_bad_line_is_named_and_nothing_is_left() {
    let good = r#"{"broker":"kafka","topic":"t","partition":0,"position":5,"value":{"utf8":"x"}}"#;
    for (bad, why) in [
        ("{", "EOF"),
        ("not json", "expected"),
        (r#"{"broker":"kafka","topic":"t","partition":0}"#, "missing field `value`"),
        (r#"{"broker":"kafka","partition":0,"value":null}"#, "missing field `topic`"),
        (r#"{"broker":"kafka","topic":"t","partition":0,"position":5,"value":null}"#, "position 5 of stream t/0 comes after position 5"),
        (r#"{"broker":"kafka","topic":"t","partition":-1,"value":null}"#, "is no stream"),
        (r#"{"broker":"nats","topic":"t","partition":0,"value":null}"#, "a recording has one"),
        (r#"{"broker":"kafka","topic":"t","partition":0,"value":{"base64":"%%%"}}"#, "not base64"),
        (r#"{"broker":"kafka","topic":"t","partition":0,"value":null,"valeu":1}"#, "unknown field `valeu`"),
        (r#"{"broker":"kafka","topic":"t","partition":0,"value":null,"broker_ts_kind":"append"}"#, "does not go with"),
        (r#"{"broker":"kafka","topic":"t","topic_id":"x","partition":0,"value":null}"#, "no topic id"),
        (r#"{"broker":"kafka","topic":"t","partition":0,"value":null,"routing_key":"k"}"#, "are RabbitMQ's"),
    ] {
        let scratch = tempfile::tempdir().expect("temporary directory");
        let error = import(format!("{good}\n{bad}\n").as_bytes(), "dump.ndjson", &scratch.path().join("r"), None, |_| ()).expect_err(bad);
        assert!(matches!(error, ImportError::Line { line: 2, .. }), "{error}");
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(std::fs::read_dir(scratch.path()).expect("listing").count(), 0, "{bad}");
    }
}
