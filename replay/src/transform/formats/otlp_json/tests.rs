use proptest::prelude::*;

use super::super::laws;
use super::super::{FormatKind, Wanted};
use super::*;

const EXPORT: &str = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
 {"gauge":{"dataPoints":[{"timeUnixNano":"1700000000000000000","asInt":"5","attributes":[ {"value":{"intValue":"3"},"key":"core"}, {"key":"ok","value":{"boolValue":true}} ]},{"timeUnixNano":1700000000000000001}]},"name":"cpu\u0041"}],
 "scope":{"name":"lib","attributes":[{"key":"lang","value":{"stringValue":"rust"}}]}}],
 "resource":{"attributes":[{"key":"host","value":{"stringValue":"a\"b"}},{"key":"list","value":{"arrayValue":{"values":[{"stringValue":"x"}]}}},{"key":"load","value":{"doubleValue":1.50}}]}, "later": null}]}"#;

fn parsed(payload: &str) -> Result<Parsed, Malformed> {
    let mut parsed = Parsed::default();
    OtlpJson::default().parse(payload.as_bytes(), &mut parsed).map(|()| parsed)
}

fn said(parsed: &Parsed) -> Vec<(String, Vec<(String, String)>)> {
    let text = |span| String::from_utf8(parsed.get(span).to_vec()).expect("text");
    let tags = |s: &Sample| parsed.tags_of(s).map(|(_, t)| (text(t.name), text(t.value))).collect();
    parsed.samples.iter().map(|s| (text(s.metric), tags(s))).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

#[test]
fn members_in_any_order_give_samples_with_their_tags_and_times() {
    let found = parsed(EXPORT).expect("an export");
    let around = [("host", "a\"b"), ("load", "1.5"), ("lang", "rust")];
    let first = pairs(&[&around[..], &[("core", "3"), ("ok", "true")]].concat());
    assert_eq!(said(&found), [("cpuA".into(), first), ("cpuA".into(), pairs(&around))]);
    assert_eq!(found.stamps.iter().map(|s| s.ns).collect::<Vec<_>>(), [1_700_000_000_000_000_000, 1_700_000_000_000_000_001]);
}

fn rewritten(edit: impl FnOnce(&Parsed, &mut Edits)) -> String {
    let (mut format, mut found, mut edits, mut out) = (OtlpJson::default(), Parsed::default(), Edits::default(), Vec::new());
    format.parse(EXPORT.as_bytes(), &mut found).expect("an export");
    edit(&found, &mut edits);
    edits.seal();
    format.write(EXPORT.as_bytes(), &found, &edits, &mut out).expect("can be said");
    String::from_utf8(out).expect("text")
}

fn set(name: &str, value: &str) -> String {
    rewritten(|found, edits| {
        let ix = found.tags.iter().position(|t| found.get(t.name) == name.as_bytes()).expect("the tag");
        edits.replace(u32::try_from(ix).expect("few"), value.as_bytes());
    })
}

#[test]
fn a_value_keeps_its_kind_where_its_text_is_of_it() {
    assert_eq!(set("core", "17"), EXPORT.replace(r#""intValue":"3""#, r#""intValue":"17""#));
    assert_eq!(set("core", "web-1"), EXPORT.replace(r#""intValue":"3""#, r#""stringValue":"web-1""#));
    assert_eq!(set("ok", "false"), EXPORT.replace("true", "false"));
    assert_eq!(set("load", "2.5"), EXPORT.replace("1.50", "2.5"));
    assert_eq!(set("load", "NaN"), EXPORT.replace("1.50", "\"NaN\""));
    assert_eq!(set("load", "1.50"), EXPORT.replace(r#""doubleValue":1.50"#, r#""stringValue":"1.50""#));
    assert_eq!(set("host", "c\\d"), EXPORT.replace(r#"a\"b"#, r"c\\d"));
}

#[test]
fn an_attribute_is_added_behind_the_last_or_with_a_list_of_its_own() {
    let added = rewritten(|_, edits| {
        edits.add(0, b"x", b"1");
        edits.add(1, b"x", b"2");
        edits.add(1, b"y", b"3");
    });
    let found = parsed(&added).expect("an export");
    assert_eq!(said(&found)[0].1.last(), Some(&("x".into(), "1".into())));
    assert_eq!(said(&found)[1].1[3..], pairs(&[("x", "2"), ("y", "3")]));
    assert!(serde_json::from_str::<serde_json::Value>(&added).is_ok());
}

#[test]
fn times_move_and_the_numbers_stay_numbers() {
    let moved = rewritten(|_, edits| edits.shift(1_000_000_000));
    assert_eq!(moved, EXPORT.replace("17000000000", "17000000010"));
}

#[test]
fn what_is_no_export_or_could_be_read_in_two_ways_is_refused() {
    let point = |inside: &str| {
        format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"gauge":{{"dataPoints":[{{{inside}}}]}}}}]}}]}}]}}"#)
    };
    assert!(parsed(&point("")).is_ok());
    for bad in [
        "[]",
        "{}",
        r#"{"resourceMetrics":null}"#,
        r#"{"resourceMetrics":{}}"#,
        r#"{"resourceMetrics":[1]}"#,
        r#"{"resourceMetrics":[],"resourceMetrics":[]}"#,
        r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{},"sum":{}}]}]}]}"#,
        &point(r#""timeUnixNano":"soon""#),
        &point(r#""attributes":[],"attributes":[]"#),
        &point(r#""attributes":[{"key":"a","value":{"intValue":"x"}}]"#),
        &point(r#""attributes":[{"key":"a","value":{"boolValue":"true"}}]"#),
        &point(r#""attributes":[{"key":"a","value":{"stringValue":"b","intValue":1}}]"#),
    ] {
        assert!(parsed(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn the_laws_hold_whatever_is_edited(pick in any::<u8>()) {
        prop_assert!(laws::hold(FormatKind::OtlpJson, &Wanted::default(), EXPORT.as_bytes(), pick));
    }

    #[test]
    fn the_laws_hold_for_damaged_exports(pick in any::<u8>(), at in 0..EXPORT.len(), byte in any::<u8>()) {
        let mut payload = EXPORT.as_bytes().to_vec();
        payload[at] = byte;
        laws::hold(FormatKind::OtlpJson, &Wanted::default(), &payload, pick);
    }
}
