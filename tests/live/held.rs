//! What a recording holds, against what an independent consumer reads, and whether its books are right.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::dejaq::{dejaq, inspect, verify_clean};
use crate::peer::Peer;

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// How many records there are, by `inspect`.
pub(crate) fn count(of: &Value) -> u64 {
    of["records"].as_u64().expect("a count")
}

/// Every record of topics, as the independent consumer reads them.
pub(crate) fn dump(bootstrap: &str, topics: &str, isolation: &str) -> Vec<Value> {
    Peer::lines(&["dump", "--bootstrap", bootstrap, "--topics", topics, "--isolation", isolation])
}

/// Where a record lies: topic, partition, offset.
type Place = (String, i64, i64);

fn place(record: &Value, offset: &str) -> Place {
    let number = |name: &str| record[name].as_i64().unwrap_or_else(|| panic!("no {name}: {record}"));
    (record["topic"].as_str().expect("a topic").to_owned(), number("partition"), number(offset))
}

/// The records that a recording holds, by place, none twice.
pub(crate) fn held(dir: &Path) -> BTreeMap<Place, Value> {
    let exported = dejaq(&["export", text(dir)]);
    assert!(matches!(exported.code, Some(0 | 3)), "{}", exported.stderr);
    let mut held = BTreeMap::new();
    for line in exported.stdout.lines() {
        let record: Value = serde_json::from_str(line).expect("JSON");
        let place = place(&record, "position");
        assert!(held.insert(place.clone(), record).is_none(), "{place:?} twice");
    }
    held
}

/// The recording holds these records and no others: keys, values, headers, times, each once.
pub(crate) fn assert_same(dir: &Path, theirs: &[Value]) {
    let ours = held(dir);
    let theirs: BTreeMap<Place, &Value> = theirs.iter().map(|record| (place(record, "offset"), record)).collect();
    let missing: Vec<_> = theirs.keys().filter(|place| !ours.contains_key(*place)).take(10).collect();
    let more: Vec<_> = ours.keys().filter(|place| !theirs.contains_key(*place)).take(10).collect();
    assert!(missing.is_empty() && more.is_empty(), "missing {missing:?}, not at the source {more:?}");
    for (place, record) in theirs {
        let mine = &ours[&place];
        assert_eq!(base64_of(&mine["key"]), record["key"], "{place:?}");
        assert_eq!(base64_of(&mine["value"]), record["value"], "{place:?}");
        let kind = match record["ts_type"].as_str() {
            Some("CreateTime") => "create",
            Some("LogAppendTime") => "append",
            _ => "none",
        };
        assert_eq!((&mine["broker_ts"], mine["broker_ts_kind"].as_str()), (&record["ts"], Some(kind)), "{place:?}");
        assert_eq!(mine["headers"].as_array().map_or(0, Vec::len), record["headers"].as_array().map_or(0, Vec::len), "{place:?}");
        let pairs = mine["headers"].as_array().into_iter().flatten().zip(record["headers"].as_array().into_iter().flatten());
        for (mine, theirs) in pairs {
            assert_eq!(base64_of(&mine[0]), base64_of(&json!({"utf8": theirs["name"]})), "{place:?}");
            assert_eq!(base64_of(&mine[1]), theirs["value"], "{place:?}");
        }
    }
}

/// Our bytes as the peer writes them.
fn base64_of(bytes: &Value) -> Value {
    use base64::Engine as _;
    let encode = |b: &[u8]| Value::from(base64::engine::general_purpose::STANDARD.encode(b));
    match (bytes["utf8"].as_str(), bytes["base64"].as_str()) {
        (Some(text), _) => encode(text.as_bytes()),
        (_, Some(base64)) => Value::from(base64),
        _ => Value::Null,
    }
}

/// The books of every stream balance, and what they say was written is there. Returns what `inspect` tells.
pub(crate) fn assert_books(dir: &Path) -> Value {
    let report = inspect(dir);
    for stream in report["streams"].as_array().expect("streams") {
        let of = |name: &str| stream[name].as_i64().unwrap_or_else(|| panic!("no {name}: {stream:#}"));
        let accounted = of("records") + of("holes") + of("lost") + of("filtered");
        assert_eq!(of("next_position") - of("start_position"), accounted, "{stream:#}");
    }
    report
}

/// The same of a recording in which nothing was lost: no gap, and `verify` finds nothing.
pub(crate) fn assert_lossless(dir: &Path) -> Value {
    verify_clean(dir);
    let report = assert_books(dir);
    assert_eq!(report["gaps"], json!([]), "{report:#}");
    report
}

/// One number of a stream of an inspected recording.
pub(crate) fn of_stream(report: &Value, stream: usize, name: &str) -> i64 {
    report["streams"][stream][name].as_i64().unwrap_or_else(|| panic!("no {name} of stream {stream}: {report:#}"))
}
