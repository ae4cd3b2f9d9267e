//! lapin's properties and ours, both ways.
//!
//! Guarantees: what lapin read comes back as it was, every AMQP type and bit of it: [`read`] and [`write`] are inverses. What lapin
//! cannot carry is refused, never bent: texts that are not UTF-8, a header name that is there twice. So is what would make RabbitMQ
//! end the connection: a header that is not a number.
//!
//! Limits: lapin keeps a table by name, so the order of headers is that of their names, and of two with one name it kept the last.
//! Tables that lie in each other more than [`DEPTH_MAX`](crate::amqp::DEPTH_MAX) deep are refused.

use lapin::BasicProperties;
#[cfg(feature = "sink")]
use lapin::types::FieldArray;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::amqp::Value;
#[cfg(feature = "sink")]
use crate::amqp::{Array, Properties, Table};
#[cfg(feature = "source")]
use crate::amqp::{Basic, DEPTH_MAX, Malformed, TableBuf};
#[cfg(feature = "sink")]
use crate::broker::sink::Refusal;
#[cfg(feature = "sink")]
use crate::record::MARK_HEADER;

/// Appends a delivered message's properties, in our encoding, to `out`; `table` is memory to build in.
///
/// # Errors
/// [`Malformed`] when tables lie in each other too deep; `out` may then have a part of them at its end.
#[cfg(feature = "source")]
pub(super) fn read(from: &BasicProperties, table: &mut TableBuf, out: &mut Vec<u8>) -> Result<(), Malformed> {
    table.clear();
    let headers = match from.headers() {
        Some(headers) => {
            read_entries(headers, table, 1)?;
            Some(table.as_table()?)
        }
        None => None,
    };
    Basic {
        content_type: from.content_type().as_ref().map(bytes),
        content_encoding: from.content_encoding().as_ref().map(bytes),
        headers,
        delivery_mode: *from.delivery_mode(),
        priority: *from.priority(),
        correlation_id: from.correlation_id().as_ref().map(bytes),
        reply_to: from.reply_to().as_ref().map(bytes),
        expiration: from.expiration().as_ref().map(bytes),
        message_id: from.message_id().as_ref().map(bytes),
        timestamp: *from.timestamp(),
        kind: from.kind().as_ref().map(bytes),
        user_id: from.user_id().as_ref().map(bytes),
        app_id: from.app_id().as_ref().map(bytes),
        cluster_id: from.cluster_id().as_ref().map(bytes),
    }
    .write(out)
}

#[cfg(feature = "source")]
fn bytes(text: &ShortString) -> &[u8] {
    text.as_str().as_bytes()
}

#[cfg(feature = "source")]
fn read_entries(from: &FieldTable, to: &mut TableBuf, depth: usize) -> Result<(), Malformed> {
    for (name, value) in from {
        to.name(bytes(name));
        read_value(value, to, depth)?;
    }
    Ok(())
}

#[cfg(feature = "source")]
fn read_value(from: &AMQPValue, to: &mut TableBuf, depth: usize) -> Result<(), Malformed> {
    if depth > DEPTH_MAX {
        return Err(Malformed { offset: 0, what: "tables and arrays lie in each other more than 32 deep" });
    }
    to.value(match from {
        AMQPValue::Boolean(value) => Value::Bool(*value),
        AMQPValue::ShortShortInt(value) => Value::I8(*value),
        AMQPValue::ShortShortUInt(value) => Value::U8(*value),
        AMQPValue::ShortInt(value) => Value::I16(*value),
        AMQPValue::ShortUInt(value) => Value::U16(*value),
        AMQPValue::LongInt(value) => Value::I32(*value),
        AMQPValue::LongUInt(value) => Value::U32(*value),
        AMQPValue::LongLongInt(value) => Value::I64(*value),
        AMQPValue::Float(value) => Value::F32(value.to_bits()),
        AMQPValue::Double(value) => Value::F64(value.to_bits()),
        AMQPValue::DecimalValue(value) => Value::Decimal { scale: value.scale, value: value.value },
        // It has no letter on the wire: lapin never reads one.
        AMQPValue::ShortString(value) => Value::String(bytes(value)),
        AMQPValue::LongString(value) => Value::String(value.as_bytes()),
        AMQPValue::Timestamp(value) => Value::Timestamp(*value),
        AMQPValue::ByteArray(value) => Value::Bytes(value.as_slice()),
        AMQPValue::Void => Value::Void,
        AMQPValue::FieldTable(table) => {
            to.begin_table();
            read_entries(table, to, depth + 1)?;
            to.end();
            return Ok(());
        }
        AMQPValue::FieldArray(array) => {
            to.begin_array();
            array.as_slice().iter().try_for_each(|value| read_value(value, to, depth + 1))?;
            to.end();
            return Ok(());
        }
    });
    Ok(())
}

/// A message's properties for lapin, with dejaq's mark as a header more.
///
/// # Errors
/// [`Refusal::Final`] for what lapin or RabbitMQ cannot carry.
#[cfg(feature = "sink")]
pub(super) fn write(properties: Properties<'_>, mark: Option<&[u8]>) -> Result<BasicProperties, Refusal> {
    let basic = properties.basic();
    let mut to = BasicProperties::default();
    let mut set = |value: Option<&[u8]>, with: fn(BasicProperties, ShortString) -> BasicProperties| -> Result<(), Refusal> {
        if let Some(value) = value {
            to = with(std::mem::take(&mut to), short(value)?);
        }
        Ok(())
    };
    set(basic.content_type, BasicProperties::with_content_type)?;
    set(basic.content_encoding, BasicProperties::with_content_encoding)?;
    set(basic.correlation_id, BasicProperties::with_correlation_id)?;
    set(basic.reply_to, BasicProperties::with_reply_to)?;
    set(basic.expiration, BasicProperties::with_expiration)?;
    set(basic.message_id, BasicProperties::with_message_id)?;
    set(basic.kind, BasicProperties::with_type)?;
    set(basic.user_id, BasicProperties::with_user_id)?;
    set(basic.app_id, BasicProperties::with_app_id)?;
    set(basic.cluster_id, BasicProperties::with_cluster_id)?;
    if basic.headers.is_some() || mark.is_some() {
        let mut headers = write_table(basic.headers.unwrap_or(Table::EMPTY))?;
        if let Some(mark) = mark {
            // A mark that was recorded is replaced: the newest one names the older clusters.
            headers.insert(short(MARK_HEADER)?, AMQPValue::LongString(mark.into()));
        }
        to = to.with_headers(headers);
    }
    if let Some(mode) = basic.delivery_mode {
        to = to.with_delivery_mode(mode);
    }
    if let Some(priority) = basic.priority {
        to = to.with_priority(priority);
    }
    Ok(match basic.timestamp {
        Some(seconds) => to.with_timestamp(seconds),
        None => to,
    })
}

/// A text of at most 255 bytes, as lapin carries it.
///
/// # Errors
/// [`Refusal::Final`].
#[cfg(feature = "sink")]
pub(super) fn short(bytes: &[u8]) -> Result<ShortString, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| Refusal::Final("text is not UTF-8"))?;
    ShortString::try_new(text).map_err(|_| Refusal::Final("text of more than 255 bytes"))
}

// Depth is bounded: properties were checked when they were made.
#[cfg(feature = "sink")]
fn write_table(from: Table<'_>) -> Result<FieldTable, Refusal> {
    let mut to = FieldTable::default();
    for (name, value) in from.iter() {
        let name = short(name)?;
        if to.contains_key(name.as_str()) {
            return Err(Refusal::Final("header name is there twice"));
        }
        to.insert(name, write_value(value)?);
    }
    Ok(to)
}

#[cfg(feature = "sink")]
fn write_array(from: Array<'_>) -> Result<FieldArray, Refusal> {
    from.iter().map(write_value).collect::<Result<Vec<_>, _>>().map(FieldArray::from)
}

#[cfg(feature = "sink")]
fn write_value(from: Value<'_>) -> Result<AMQPValue, Refusal> {
    // RabbitMQ ends the connection of whoever sends another one.
    let number = |finite: bool| if finite { Ok(()) } else { Err(Refusal::Final("header is not a number")) };
    Ok(match from {
        Value::Bool(value) => AMQPValue::Boolean(value),
        Value::I8(value) => AMQPValue::ShortShortInt(value),
        Value::U8(value) => AMQPValue::ShortShortUInt(value),
        Value::I16(value) => AMQPValue::ShortInt(value),
        Value::U16(value) => AMQPValue::ShortUInt(value),
        Value::I32(value) => AMQPValue::LongInt(value),
        Value::U32(value) => AMQPValue::LongUInt(value),
        Value::I64(value) => AMQPValue::LongLongInt(value),
        Value::F32(bits) => {
            let value = f32::from_bits(bits);
            number(value.is_finite())?;
            AMQPValue::Float(value)
        }
        Value::F64(bits) => {
            let value = f64::from_bits(bits);
            number(value.is_finite())?;
            AMQPValue::Double(value)
        }
        Value::Decimal { scale, value } => AMQPValue::DecimalValue(lapin::types::DecimalValue { scale, value }),
        Value::String(bytes) => AMQPValue::LongString(bytes.into()),
        Value::Array(array) => AMQPValue::FieldArray(write_array(array)?),
        Value::Timestamp(seconds) => AMQPValue::Timestamp(seconds),
        Value::Table(table) => AMQPValue::FieldTable(write_table(table)?),
        Value::Bytes(bytes) => AMQPValue::ByteArray(bytes.into()),
        Value::Void => AMQPValue::Void,
    })
}

#[cfg(all(test, feature = "source", feature = "sink"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Any value of lapin's that travels, and NaN and infinity never.
    fn value() -> impl Strategy<Value = AMQPValue> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(AMQPValue::Boolean),
            any::<i8>().prop_map(AMQPValue::ShortShortInt),
            any::<u8>().prop_map(AMQPValue::ShortShortUInt),
            any::<i16>().prop_map(AMQPValue::ShortInt),
            any::<u16>().prop_map(AMQPValue::ShortUInt),
            any::<i32>().prop_map(AMQPValue::LongInt),
            any::<u32>().prop_map(AMQPValue::LongUInt),
            any::<i64>().prop_map(AMQPValue::LongLongInt),
            any::<f32>().prop_map(|v| AMQPValue::Float(if v.is_finite() { v } else { -0.0 })),
            any::<f64>().prop_map(|v| AMQPValue::Double(if v.is_finite() { v } else { -0.0 })),
            (any::<u8>(), any::<u32>()).prop_map(|(scale, value)| AMQPValue::DecimalValue(lapin::types::DecimalValue { scale, value })),
            prop::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| AMQPValue::LongString(bytes.into())),
            any::<u64>().prop_map(AMQPValue::Timestamp),
            prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| AMQPValue::ByteArray(bytes.into())),
            Just(AMQPValue::Void),
        ];
        leaf.prop_recursive(6, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(|values| AMQPValue::FieldArray(values.into())),
                table(inner).prop_map(AMQPValue::FieldTable),
            ]
        })
    }

    fn table(value: impl Strategy<Value = AMQPValue>) -> impl Strategy<Value = FieldTable> {
        let entries = prop::collection::btree_map("\\PC{0,40}".prop_map(ShortString::from), value, 0..6);
        entries.prop_map(FieldTable::from)
    }

    fn properties() -> impl Strategy<Value = BasicProperties> {
        let text = || prop::option::of("\\PC{0,60}".prop_map(ShortString::from));
        let texts = (text(), text(), text(), text(), text(), (text(), text(), text(), text(), text()));
        let rest = (
            prop::option::of(table(value())),
            prop::option::of(any::<u8>()),
            prop::option::of(any::<u8>()),
            prop::option::of(any::<u64>()),
        );
        (texts, rest).prop_map(|((a, b, c, d, e, (f, g, h, i, j)), (headers, mode, priority, timestamp))| {
            let mut made = BasicProperties::default();
            let mut set = |value: Option<ShortString>, with: fn(BasicProperties, ShortString) -> BasicProperties| {
                if let Some(value) = value {
                    made = with(made.clone(), value);
                }
            };
            set(a, BasicProperties::with_content_type);
            set(b, BasicProperties::with_content_encoding);
            set(c, BasicProperties::with_correlation_id);
            set(d, BasicProperties::with_reply_to);
            set(e, BasicProperties::with_expiration);
            set(f, BasicProperties::with_message_id);
            set(g, BasicProperties::with_type);
            set(h, BasicProperties::with_user_id);
            set(i, BasicProperties::with_app_id);
            set(j, BasicProperties::with_cluster_id);
            made = headers.map_or(made.clone(), |headers| made.with_headers(headers));
            made = mode.map_or(made.clone(), |mode| made.with_delivery_mode(mode));
            made = priority.map_or(made.clone(), |priority| made.with_priority(priority));
            timestamp.map_or(made.clone(), |timestamp| made.with_timestamp(timestamp))
        })
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_as_it_was(from in properties()) {
            let mut bytes = Vec::new();
            read(&from, &mut TableBuf::default(), &mut bytes).expect("not too deep");
            let ours = Properties::parse(&bytes).expect("own encoding");
            prop_assert_eq!(write(ours, None).expect("all of it travels"), from);
        }
    }

    fn with_headers(build: impl FnOnce(&mut TableBuf)) -> Vec<u8> {
        let mut table = TableBuf::default();
        build(&mut table);
        let mut bytes = Vec::new();
        Basic { headers: Some(table.as_table().expect("a table")), ..Basic::default() }.write(&mut bytes).expect("short texts");
        bytes
    }

    #[test]
    fn what_would_end_the_connection_or_come_out_bent_is_refused() {
        let refused = |bytes: &[u8]| write(Properties::from_checked(bytes), None).expect_err("refused");
        for bits in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(f64::to_bits) {
            let bytes = with_headers(|t| {
                t.name(b"deep").begin_array().value(Value::F64(bits)).end();
            });
            assert_eq!(refused(&bytes), Refusal::Final("header is not a number"));
        }
        let bytes = with_headers(|t| {
            t.name(b"f").value(Value::F32(f32::NAN.to_bits()));
        });
        assert_eq!(refused(&bytes), Refusal::Final("header is not a number"));
        let bytes = with_headers(|t| {
            t.name(b"a").value(Value::Void).name(b"a").value(Value::Void);
        });
        assert_eq!(refused(&bytes), Refusal::Final("header name is there twice"));
        let bytes = with_headers(|t| {
            t.name(b"\xff").value(Value::Void);
        });
        assert_eq!(refused(&bytes), Refusal::Final("text is not UTF-8"));
    }

    #[test]
    fn the_mark_is_one_header_more_and_the_newest_holds() {
        let bytes = with_headers(|t| {
            t.name(MARK_HEADER).value(Value::String(b"older")).name(b"a").value(Value::Void);
        });
        for (properties, count) in [(Properties::EMPTY, 1), (Properties::from_checked(&bytes), 2)] {
            let written = write(properties, Some(b"1;run;")).expect("travels");
            let headers = written.headers().as_ref().expect("a header");
            assert_eq!(headers.inner().len(), count);
            assert_eq!(headers.inner().get("dejaq-run"), Some(&AMQPValue::LongString(b"1;run;".as_slice().into())));
        }
    }

    #[test]
    fn tables_too_deep_are_refused_and_do_not_end_the_thread() {
        let nested = |depth: usize| (1..depth).fold(AMQPValue::Void, |inner, _| AMQPValue::FieldArray(vec![inner].into()));
        let read_of = |depth: usize| {
            let headers = FieldTable::from(std::collections::BTreeMap::from([(ShortString::from("a"), nested(depth))]));
            read(&BasicProperties::default().with_headers(headers), &mut TableBuf::default(), &mut Vec::new())
        };
        assert!(read_of(DEPTH_MAX).is_ok());
        assert!(read_of(DEPTH_MAX + 1).is_err());
        assert!(read_of(1_000).is_err());
    }
}
