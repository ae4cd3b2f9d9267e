//! RabbitMQ → Kafka: properties and headers become Kafka headers.
//!
//! | of the message | at Kafka |
//! |---|---|
//! | a property that is there | a header `amqp.NAME`, before the others: strings as their bytes, numbers in decimal |
//! | the routing key, unless it is the key | the header `amqp.routing_key` |
//! | a header that is a string or a byte array | the header of that name with these bytes |
//! | a header that is a bool, an integer, a float, a decimal, a time stamp | its text: `true`, `-17`, `0.25`, `12.50`, seconds since 1970 |
//! | a header that is void | the header of that name with a null value |
//! | a header that is a table or a list | not carried |
//! | a header that brokers write | stripped |

use std::io::Write as _;

use dejaq_shared::amqp::{Properties, Value};
use dejaq_shared::record::{Headers, HeadersBuf};

use super::Buffers;
use super::counts::{Loss, Losses};
use super::owned::is_owned;

/// The headers to send; `out` keeps them.
pub(super) fn headers<'r>(
    routing_key: Option<&[u8]>,
    properties: Properties<'_>,
    out: &'r mut Buffers,
    losses: &mut Losses,
) -> Headers<'r> {
    let Buffers { headers, text, .. } = out;
    headers.clear();
    let basic = properties.basic();
    let number = |number: u64, text: &mut Vec<u8>, headers: &mut HeadersBuf, name: &[u8]| {
        text.clear();
        // Writing into memory does not fail.
        let _ = write!(text, "{number}");
        headers.push(name, Some(text));
    };
    let strings: [(&[u8], Option<&[u8]>); 11] = [
        (b"amqp.routing_key", routing_key),
        (b"amqp.content_type", basic.content_type),
        (b"amqp.content_encoding", basic.content_encoding),
        (b"amqp.correlation_id", basic.correlation_id),
        (b"amqp.reply_to", basic.reply_to),
        (b"amqp.expiration", basic.expiration),
        (b"amqp.message_id", basic.message_id),
        (b"amqp.type", basic.kind),
        (b"amqp.user_id", basic.user_id),
        (b"amqp.app_id", basic.app_id),
        (b"amqp.cluster_id", basic.cluster_id),
    ];
    for (name, value) in strings.into_iter().filter(|(_, value)| value.is_some()) {
        headers.push(name, value);
    }
    let numbers: [(&[u8], Option<u64>); 3] = [
        (b"amqp.delivery_mode", basic.delivery_mode.map(u64::from)),
        (b"amqp.priority", basic.priority.map(u64::from)),
        (b"amqp.timestamp", basic.timestamp),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            number(value, text, headers, name);
        }
    }
    for (name, value) in basic.headers.into_iter().flat_map(dejaq_shared::amqp::Table::iter) {
        if is_owned(name) {
            losses.add(Loss::BrokerHeaders);
            continue;
        }
        match carried(value, text) {
            Carried::Bytes(bytes) => headers.push(name, Some(bytes)),
            Carried::Text => headers.push(name, Some(text)),
            Carried::Null => headers.push(name, None),
            Carried::Not => losses.add(Loss::NestedHeaders),
        }
    }
    headers.as_headers()
}

/// The form of a header's value as plain bytes.
pub(crate) enum Carried<'a> {
    /// These.
    Bytes(&'a [u8]),
    /// What was written.
    Text,
    /// None, which is a value.
    Null,
    /// A table or a list has no such form.
    Not,
}

/// A header's value as bytes; its text is written into `text`.
pub(crate) fn carried<'a>(value: Value<'a>, text: &mut Vec<u8>) -> Carried<'a> {
    text.clear();
    // Writing into memory does not fail.
    let _ = match value {
        Value::String(bytes) | Value::Bytes(bytes) => return Carried::Bytes(bytes),
        Value::Void => return Carried::Null,
        Value::Array(_) | Value::Table(_) => return Carried::Not,
        Value::Bool(value) => write!(text, "{value}"),
        Value::I8(value) => write!(text, "{value}"),
        Value::U8(value) => write!(text, "{value}"),
        Value::I16(value) => write!(text, "{value}"),
        Value::U16(value) => write!(text, "{value}"),
        Value::I32(value) => write!(text, "{value}"),
        Value::U32(value) => write!(text, "{value}"),
        Value::I64(value) => write!(text, "{value}"),
        Value::F32(bits) => write!(text, "{}", f32::from_bits(bits)),
        Value::F64(bits) => write!(text, "{}", f64::from_bits(bits)),
        Value::Timestamp(seconds) => write!(text, "{seconds}"),
        Value::Decimal { scale, value } => decimal(scale, value, text),
    };
    Carried::Text
}

/// All digits, with the point where it belongs.
fn decimal(scale: u8, value: u32, text: &mut Vec<u8>) -> std::io::Result<()> {
    let scale = usize::from(scale);
    // At least one digit before the point.
    write!(text, "{value:0width$}", width = scale + 1)?;
    if scale > 0 {
        text.insert(text.len() - scale, b'.');
    }
    Ok(())
}
