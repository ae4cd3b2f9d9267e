use dejaq_shared::amqp::{Basic, TableBuf};
use proptest::prelude::*;

use super::*;

fn properties(table: Option<&TableBuf>) -> Vec<u8> {
    let headers = table.map(|t| t.as_table().expect("built right"));
    let mut out = Vec::new();
    let basic = Basic { content_type: Some(b"text"), headers, priority: Some(7), app_id: Some(b"app"), ..Basic::default() };
    basic.write(&mut out).expect("short");
    out
}

fn written(payload: &[u8], edit: impl FnOnce(&Parsed, &mut Edits)) -> Result<Vec<u8>, Malformed> {
    let (mut format, mut parsed, mut edits) = (AmqpHeader::default(), Parsed::default(), Edits::default());
    format.parse(payload, &mut parsed)?;
    edit(&parsed, &mut edits);
    edits.seal();
    // What stands before in `out` is not touched.
    let mut out = b"before".to_vec();
    format.write(payload, &parsed, &edits, &mut out)?;
    Ok(out.split_off(6))
}

fn tag(parsed: &Parsed, name: &str) -> u32 {
    parsed.find(&parsed.samples[0], name.as_bytes()).unwrap_or_else(|| panic!("no tag {name}")).0
}

fn mixed() -> TableBuf {
    let mut table = TableBuf::default();
    table.name(b"host").value(Value::String(b"web1")).name(b"shard").value(Value::I32(5)).name(b"on").value(Value::Bool(true));
    table.name(b"in").begin_table().name(b"deep").begin_table().name(b"id").value(Value::U8(9)).end();
    table.name(b"list").begin_array().value(Value::Void).end().name(b"zone").value(Value::String(b"b")).end();
    table.name(b"ratio").value(Value::F64(0x7ff8_0000_0000_0001)).name(b"host").value(Value::String(b"twice"));
    table
}

#[test]
fn strings_integers_and_bools_are_tags_nested_ones_by_path() {
    let payload = properties(Some(&mixed()));
    let mut parsed = Parsed::default();
    AmqpHeader::default().parse(&payload, &mut parsed).expect("own encoding");
    let text = |span| String::from_utf8_lossy(parsed.get(span)).into_owned();
    let found: Vec<_> = parsed.tags.iter().map(|t| (text(t.name), text(t.value))).collect();
    let expected = [("host", "web1"), ("shard", "5"), ("on", "true"), ("in.deep.id", "9"), ("in.zone", "b"), ("host", "twice")];
    assert_eq!(found, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    assert_eq!(parsed.samples.len(), 1);
}

#[test]
fn a_new_value_keeps_the_type_where_it_is_of_that_type() {
    let payload = properties(Some(&mixed()));
    let new = written(&payload, |parsed, edits| {
        edits.replace(tag(parsed, "in.deep.id"), b"255");
        edits.replace(tag(parsed, "host"), b"a much longer name");
        edits.replace(tag(parsed, "shard"), b"no number");
        edits.replace(tag(parsed, "on"), b"false");
        edits.replace(tag(parsed, "in.zone"), b"");
        edits.add(0, b"new", b"tag");
    });
    let mut table = TableBuf::default();
    table.name(b"host").value(Value::String(b"a much longer name")).name(b"shard").value(Value::String(b"no number"));
    table.name(b"on").value(Value::Bool(false));
    table.name(b"in").begin_table().name(b"deep").begin_table().name(b"id").value(Value::U8(255)).end();
    table.name(b"list").begin_array().value(Value::Void).end().name(b"zone").value(Value::String(b"")).end();
    table.name(b"ratio").value(Value::F64(0x7ff8_0000_0000_0001)).name(b"host").value(Value::String(b"twice"));
    table.name(b"new").value(Value::String(b"tag"));
    assert_eq!(new.expect("can be said"), properties(Some(&table)));
    for text in ["+5", "05", "256", "-1", ""] {
        let new = written(&payload, |parsed, edits| edits.replace(tag(parsed, "in.deep.id"), text.as_bytes())).expect("a string");
        let mut parsed = Parsed::default();
        AmqpHeader::default().parse(&new, &mut parsed).expect("what was written parses");
        assert_eq!(parsed.get(parsed.tags[tag(&parsed, "in.deep.id") as usize].value), text.as_bytes());
    }
}

#[test]
fn a_table_is_made_where_there_is_none() {
    let mut table = TableBuf::default();
    table.name(b"n").value(Value::String(b"v"));
    assert_eq!(written(&properties(None), |_, edits| edits.add(0, b"n", b"v")).expect("added"), properties(Some(&table)));
    assert_eq!(
        written(&properties(Some(&TableBuf::default())), |_, edits| edits.add(0, b"n", b"v")).expect("added"),
        properties(Some(&table))
    );
    let mut alone = Vec::new();
    Basic { headers: Some(table.as_table().expect("right")), ..Basic::default() }.write(&mut alone).expect("short");
    assert_eq!(written(b"", |_, edits| edits.add(0, b"n", b"v")).expect("added"), alone);
    assert!(written(b"", |_, edits| edits.add(0, &[b'n'; 256], b"v")).is_err());
    assert!(AmqpHeader::default().parse(b"\x04\x00\xff\xff\xff\xff", &mut Parsed::default()).is_err());
}

proptest! {
    /// Flat and nested strings, any of them given any value: the table built by hand with these values.
    #[test]
    fn only_what_is_asked_for_changes(values in prop::collection::vec(("[a-z]{0,9}", any::<bool>(), prop::option::of("[a-z]{0,300}")), 0..12), add in any::<bool>()) {
        let build = |new: bool| {
            let mut table = TableBuf::default();
            for (n, (value, nested, replaced)) in values.iter().enumerate() {
                let text = if new { replaced.as_ref().unwrap_or(value) } else { value };
                let name = format!("n{n}");
                if *nested {
                    table.name(name.as_bytes()).begin_table().name(b"x").value(Value::Void).name(b"y").value(Value::String(text.as_bytes())).end();
                } else {
                    table.name(name.as_bytes()).value(Value::String(text.as_bytes()));
                }
            }
            if new && add {
                table.name(b"added").value(Value::String(b"z"));
            }
            table
        };
        let new = written(&properties(Some(&build(false))), |parsed, edits| {
            for (n, (_, nested, replaced)) in values.iter().enumerate() {
                if let Some(replaced) = replaced {
                    edits.replace(tag(parsed, &if *nested { format!("n{n}.y") } else { format!("n{n}") }), replaced.as_bytes());
                }
            }
            if add {
                edits.add(0, b"added", b"z");
            }
        });
        prop_assert_eq!(new.expect("can be said"), properties(Some(&build(true))));
    }
}
