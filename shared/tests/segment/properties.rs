//! AMQP properties: what went in comes out, and what is wrong is told.

use dejaq_shared::amqp::{Basic, DEPTH_MAX, Properties, Table, TableBuf, Value};
use proptest::prelude::*;

use crate::words::any_properties;

proptest! {
    #[test]
    fn properties_come_back_byte_for_byte(bytes in any_properties()) {
        let properties = Properties::parse(&bytes).expect("own encoding");
        let mut again = Vec::new();
        properties.basic().write(&mut again).expect("short");
        prop_assert_eq!(again, bytes.clone());
        // Value by value, too: what is read of a value is all of it.
        if let Some(table) = properties.basic().headers {
            let mut rebuilt = TableBuf::default();
            table.iter().for_each(|(name, value)| rebuild(rebuilt.name(name), value));
            prop_assert_eq!(rebuilt.as_table().expect("right").as_bytes(), table.as_bytes());
        }
    }

    #[test]
    fn changed_bytes_are_refused_or_read_without_a_panic(bytes in any_properties(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = bytes;
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if cut { bytes.truncate(at); }
        }
        let _ = format!("{:?}", Properties::from_checked(&bytes));
        if let Ok(properties) = Properties::parse(&bytes) {
            let mut again = Vec::new();
            properties.basic().write(&mut again).expect("short");
            prop_assert_eq!(again, bytes, "one form only");
        }
    }
}

fn rebuild(out: &mut TableBuf, value: Value<'_>) {
    assert_eq!(value.encoded_bytes(), {
        let mut bytes = Vec::new();
        value.write(&mut bytes);
        bytes.len()
    });
    match value {
        Value::Array(array) => {
            out.begin_array();
            array.iter().for_each(|value| rebuild(out, value));
            out.end();
        }
        Value::Table(table) => {
            out.begin_table();
            table.iter().for_each(|(name, value)| rebuild(out.name(name), value));
            out.end();
        }
        value => {
            out.value(value);
        }
    }
}

/// A table that has `depth` tables in each other, itself included.
fn nested(depth: usize) -> TableBuf {
    let mut table = TableBuf::default();
    for _ in 1..depth {
        table.name(b"in").begin_table();
    }
    for _ in 1..depth {
        table.end();
    }
    table
}

#[test]
fn tables_are_as_deep_as_they_may_be_and_no_deeper() {
    assert!(nested(DEPTH_MAX).as_table().is_ok());
    assert!(nested(DEPTH_MAX + 1).as_table().expect_err("too deep").to_string().contains("32 deep"));
    // 5 MB of nothing but beginnings: refused at once, on no stack.
    assert!(nested(100_000).as_table().is_err());
}

#[test]
fn absent_and_empty_differ_and_order_and_repetitions_stay() {
    let of = |basic: Basic<'_>| {
        let mut out = Vec::new();
        basic.write(&mut out).expect("short");
        out
    };
    assert_eq!(of(Basic::default()), b"");
    assert_eq!(of(Basic { headers: Some(Table::EMPTY), ..Basic::default() }), b"\x04\x00\x00\x00\x00\x00");
    assert_eq!(of(Basic { priority: Some(0), ..Basic::default() }), b"\x10\x00\x00");
    let mut table = TableBuf::default();
    table.name(b"z").value(Value::Void).name(b"a").value(Value::F32(0x7fc0_0001)).name(b"z").value(Value::Bool(true));
    let found: Vec<_> = table.as_table().expect("right").iter().collect();
    assert_eq!(found, [(&b"z"[..], Value::Void), (b"a", Value::F32(0x7fc0_0001)), (b"z", Value::Bool(true))]);
}

/// At the ends of each type, and NaNs that a floating-point register would change.
#[test]
fn each_value_is_read_as_it_was_written() {
    let values = [
        Value::Bool(true),
        Value::I8(i8::MIN),
        Value::U8(u8::MAX),
        Value::I16(i16::MIN + 1),
        Value::U16(u16::MAX - 1),
        Value::I32(i32::MIN + 2),
        Value::U32(u32::MAX - 2),
        Value::I64(i64::MIN + 3),
        Value::F32(0x7f80_0001),
        Value::F64(0x7ff0_0000_0000_0001),
        Value::Decimal { scale: 200, value: u32::MAX - 4 },
        Value::String(b"\xff"),
        Value::Timestamp(u64::MAX - 5),
        Value::Bytes(b"x"),
        Value::Void,
    ];
    let mut table = TableBuf::default();
    for value in values {
        table.name(b"n").value(value).name(b"").value(Value::Void);
    }
    let read: Vec<_> = table.as_table().expect("right").iter().filter(|(name, _)| *name == b"n").map(|(_, value)| value).collect();
    assert_eq!(read, values);
}

#[test]
fn what_is_wrong_is_refused() {
    for (bytes, why) in [
        (&b"\x00\x00"[..], "no property, said in two bytes"),
        (b"\x01", "cut"),
        (b"\x00\x40", "a property that is not known"),
        (b"\x01\x00\x05abc", "a string past the end"),
        (b"\x01\x00\x01ab", "a byte left over"),
        (b"\x04\x00\xff\xff\xff\xff", "a table of 4 GiB"),
        (b"\x04\x00\x03\x00\x00\x00\x01nL", "a type that is not known"),
        (b"\x04\x00\x04\x00\x00\x00\x01nt\x02", "a bool of 2"),
        (b"\x04\x00\x02\x00\x00\x00\x01n", "a name without a value"),
    ] {
        assert!(Properties::parse(bytes).is_err(), "{why}");
    }
    assert!(TableBuf::default().name(&[b'n'; 256]).value(Value::Void).as_table().is_err());
    let long = [b's'; 256];
    assert!(Basic { app_id: Some(&long), ..Basic::default() }.write(&mut Vec::new()).is_err());
}
