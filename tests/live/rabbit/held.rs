//! What a recording or a consumer has, against what pika sent.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::{Value, json};

use crate::dejaq::{dejaq, inspect};
use crate::held::text;

/// The records of a recording, in their order, as `export` writes them.
pub(super) fn exported(dir: &Path) -> Vec<Value> {
    let ended = dejaq(&["export", text(dir)]);
    assert!(matches!(ended.code, Some(0 | 3)), "{}", ended.stderr);
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// What makes a message the same: exchange, routing key, properties, body. A table has no order (lapin keeps none).
pub(super) fn essence(line: &Value) -> String {
    let mut properties = line["properties"].as_object().cloned().unwrap_or_default();
    if let Some(headers) = properties.get_mut("headers") {
        sort(headers);
    }
    json!([line["exchange"], line["routing_key"], properties, line["value"]]).to_string()
}

/// The essence of a message apart from dejaq's mark; a header table that held nothing else is none.
pub(super) fn unmarked(line: &Value) -> String {
    let mut line = line.clone();
    if let Some(headers) = line["properties"].get_mut("headers").and_then(Value::as_array_mut) {
        headers.retain(|entry| entry[0] != json!({"utf8": "dejaq-run"}));
        if headers.is_empty()
            && let Some(properties) = line["properties"].as_object_mut()
        {
            properties.remove("headers");
        }
    }
    essence(&line)
}

/// Whether a message carries dejaq's mark.
pub(super) fn is_marked(line: &Value) -> bool {
    line["properties"]["headers"].as_array().into_iter().flatten().any(|entry| entry[0] == json!({"utf8": "dejaq-run"}))
}

/// Sorts a table by its names, and the tables in it.
fn sort(table: &mut Value) {
    let entries = table.as_array_mut().expect("a table");
    for entry in entries.iter_mut() {
        sort_value(&mut entry[1]);
    }
    entries.sort_by_key(|entry| entry[0].to_string());
}

fn sort_value(value: &mut Value) {
    if let Some(table) = value.get_mut("table") {
        sort(table);
    } else if let Some(values) = value.get_mut("array").and_then(Value::as_array_mut) {
        values.iter_mut().for_each(sort_value);
    }
}

/// Two rows of messages are the same, in order.
pub(super) fn assert_same_row(what: &str, theirs: impl IntoIterator<Item = String>, ours: impl IntoIterator<Item = String>) {
    let (theirs, ours): (Vec<_>, Vec<_>) = (theirs.into_iter().collect(), ours.into_iter().collect());
    let differs = theirs.iter().zip(&ours).enumerate().find(|(_, (a, b))| a != b);
    assert!(differs.is_none(), "{what}: {differs:#?}");
    assert_eq!(theirs.len(), ours.len(), "{what}");
}

/// How often each message is there.
pub(super) fn multiset<'a>(lines: impl IntoIterator<Item = &'a Value>) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for line in lines {
        *counts.entry(essence(line)).or_default() += 1;
    }
    counts
}

/// Both have the same messages equally often, in any order.
pub(super) fn assert_same_messages<'a>(what: &str, theirs: impl IntoIterator<Item = &'a Value>, ours: impl IntoIterator<Item = &'a Value>) {
    let (theirs, ours) = (multiset(theirs), multiset(ours));
    let missing: Vec<_> = theirs.iter().filter(|(message, n)| ours.get(*message) != Some(n)).take(3).collect();
    let more: Vec<_> = ours.iter().filter(|(message, n)| theirs.get(*message) != Some(n)).take(3).collect();
    assert!(missing.is_empty() && more.is_empty(), "{what}: sent {missing:#?}, had {more:#?}");
}

/// The messages of one exchange each.
pub(super) fn by_exchange(lines: &[Value]) -> BTreeMap<&str, Vec<&Value>> {
    let mut exchanges: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for line in lines {
        exchanges.entry(line["exchange"].as_str().expect("an exchange")).or_default().push(line);
    }
    exchanges
}

/// Whether a record has a flag.
pub(super) fn flagged(line: &Value, flag: &str) -> bool {
    line["flags"].as_array().is_some_and(|flags| flags.contains(&json!(flag)))
}

/// The gaps of a recording; one that was told as open counts only when no later one closes it.
pub(super) fn gaps(dir: &Path) -> Vec<Value> {
    let gaps = inspect(dir)["gaps"].as_array().expect("gaps").clone();
    let same = |a: &Value, b: &Value| ["reason", "scope", "from_time_ns"].iter().all(|name| a[*name] == b[*name]);
    let is_closed = |open: &Value| gaps.iter().any(|gap| same(gap, open) && !gap["to_time_ns"].is_null());
    gaps.iter().filter(|gap| !gap["to_time_ns"].is_null() || !is_closed(gap)).cloned().collect()
}

/// How many messages its gaps say were lost. Whether a connection that broke cost any is not always known, all else must be.
pub(super) fn lost(dir: &Path) -> u64 {
    let known = |gap: &Value| gap["count"].as_u64().or((gap["reason"] == "disconnect").then_some(0));
    gaps(dir).iter().map(|gap| known(gap).unwrap_or_else(|| panic!("a number is missing: {gap:#}"))).sum()
}
