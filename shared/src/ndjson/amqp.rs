//! AMQP's basic properties in JSON: typed, so that they come back as they were, bit for bit.
//!
//! Writing goes through the encoded properties and makes nothing of its own; reading makes a tree, whose depth serde_json
//! bounds, and then checks it as any properties are checked.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde::{Deserialize, Deserializer};

use super::{Bytes, Text};
use crate::amqp::{Array, Basic, Malformed, Properties, Table, TableBuf, Value};

/// Properties as a line writes them.
#[derive(Debug)]
pub struct ShownProperties<'a>(pub Properties<'a>);

struct ShownTable<'a>(Table<'a>);
struct ShownArray<'a>(Array<'a>);
struct ShownValue<'a>(Value<'a>);

impl Serialize for ShownProperties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let basic = self.0.basic();
        let mut map = serializer.serialize_map(None)?;
        let short = |map: &mut S::SerializeMap, name: &str, bytes: Option<&[u8]>| {
            bytes.map_or(Ok(()), |bytes| map.serialize_entry(name, &Bytes::from(bytes)))
        };
        short(&mut map, "content_type", basic.content_type)?;
        short(&mut map, "content_encoding", basic.content_encoding)?;
        if let Some(headers) = basic.headers {
            map.serialize_entry("headers", &ShownTable(headers))?;
        }
        if let Some(mode) = basic.delivery_mode {
            map.serialize_entry("delivery_mode", &mode)?;
        }
        if let Some(priority) = basic.priority {
            map.serialize_entry("priority", &priority)?;
        }
        short(&mut map, "correlation_id", basic.correlation_id)?;
        short(&mut map, "reply_to", basic.reply_to)?;
        short(&mut map, "expiration", basic.expiration)?;
        short(&mut map, "message_id", basic.message_id)?;
        if let Some(timestamp) = basic.timestamp {
            map.serialize_entry("timestamp", &timestamp)?;
        }
        short(&mut map, "type", basic.kind)?;
        short(&mut map, "user_id", basic.user_id)?;
        short(&mut map, "app_id", basic.app_id)?;
        short(&mut map, "cluster_id", basic.cluster_id)?;
        map.end()
    }
}

impl Serialize for ShownTable<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(name, value)| (Bytes::from(name), ShownValue(value))))
    }
}

impl Serialize for ShownArray<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ShownValue))
    }
}

impl Serialize for ShownValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Value::String(bytes) = self.0 {
            return Bytes::from(bytes).serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        match self.0 {
            Value::Bool(value) => map.serialize_entry("bool", &value),
            Value::I8(value) => map.serialize_entry("i8", &value),
            Value::U8(value) => map.serialize_entry("u8", &value),
            Value::I16(value) => map.serialize_entry("i16", &value),
            Value::U16(value) => map.serialize_entry("u16", &value),
            Value::I32(value) => map.serialize_entry("i32", &value),
            Value::U32(value) => map.serialize_entry("u32", &value),
            Value::I64(value) => map.serialize_entry("i64", &value),
            Value::F32(bits) => map.serialize_entry("f32_bits", &format_args!("{bits:08x}")),
            Value::F64(bits) => map.serialize_entry("f64_bits", &format_args!("{bits:016x}")),
            Value::Decimal { scale, value } => map.serialize_entry("decimal", &(scale, value)),
            Value::Array(array) => map.serialize_entry("array", &ShownArray(array)),
            Value::Timestamp(seconds) => map.serialize_entry("timestamp", &seconds),
            Value::Table(table) => map.serialize_entry("table", &ShownTable(table)),
            Value::Bytes(bytes) => map.serialize_entry("bytes", &Bytes::from(bytes)),
            Value::Void | Value::String(_) => map.serialize_entry("void", &()),
        }?;
        map.end()
    }
}

/// Properties as a line has them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadProperties<'a> {
    #[serde(borrow, default)]
    content_type: Option<Bytes<'a>>,
    #[serde(borrow, default)]
    content_encoding: Option<Bytes<'a>>,
    #[serde(borrow, default)]
    headers: Option<Vec<(Bytes<'a>, ReadValue<'a>)>>,
    #[serde(default)]
    delivery_mode: Option<u8>,
    #[serde(default)]
    priority: Option<u8>,
    #[serde(borrow, default)]
    correlation_id: Option<Bytes<'a>>,
    #[serde(borrow, default)]
    reply_to: Option<Bytes<'a>>,
    #[serde(borrow, default)]
    expiration: Option<Bytes<'a>>,
    #[serde(borrow, default)]
    message_id: Option<Bytes<'a>>,
    #[serde(default)]
    timestamp: Option<u64>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Bytes<'a>>,
    #[serde(borrow, default)]
    user_id: Option<Bytes<'a>>,
    #[serde(borrow, default)]
    app_id: Option<Bytes<'a>>,
    #[serde(borrow, default)]
    cluster_id: Option<Bytes<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReadValue<'a> {
    #[serde(borrow)]
    Utf8(Text<'a>),
    #[serde(deserialize_with = "base64")]
    Base64(Vec<u8>),
    Bool(bool),
    I8(i8),
    U8(u8),
    I16(i16),
    U16(u16),
    I32(i32),
    U32(u32),
    I64(i64),
    #[serde(deserialize_with = "bits32")]
    F32Bits(u32),
    #[serde(deserialize_with = "bits64")]
    F64Bits(u64),
    Decimal(u8, u32),
    Timestamp(u64),
    #[serde(borrow)]
    Bytes(Bytes<'a>),
    #[serde(borrow)]
    Array(Vec<ReadValue<'a>>),
    #[serde(borrow)]
    Table(Vec<(Bytes<'a>, ReadValue<'a>)>),
    Void(()),
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    use base64::Engine as _;
    let text = Text::deserialize(deserializer)?;
    base64::engine::general_purpose::STANDARD
        .decode(text.0.as_bytes())
        .map_err(|e| serde::de::Error::custom(format_args!("not base64: {e}")))
}

fn bits<'de, D: Deserializer<'de>>(deserializer: D, digits: usize) -> Result<u64, D::Error> {
    let text = Text::deserialize(deserializer)?;
    let right = text.0.len() == digits && text.0.bytes().all(|b| b.is_ascii_hexdigit());
    right
        .then(|| u64::from_str_radix(&text.0, 16).ok())
        .flatten()
        .ok_or_else(|| serde::de::Error::custom(format_args!("{:?} are no bits, expected {digits} hexadecimal digits", text.0)))
}

fn bits32<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    bits(deserializer, 8).map(|bits| u32::try_from(bits).unwrap_or(0))
}

fn bits64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    bits(deserializer, 16)
}

fn short<'s>(bytes: &'s Option<Bytes<'_>>) -> Option<&'s [u8]> {
    bytes.as_ref().map(|bytes| bytes.0.as_ref())
}

impl ReadProperties<'_> {
    /// Appends the properties in their encoding; `table` is memory to use again.
    pub(super) fn encode(&self, table: &mut TableBuf, out: &mut Vec<u8>) -> Result<(), Malformed> {
        table.clear();
        put_entries(self.headers.as_deref().unwrap_or_default(), table);
        let headers = match &self.headers {
            Some(_) => Some(table.as_table()?),
            None => None,
        };
        Basic {
            content_type: short(&self.content_type),
            content_encoding: short(&self.content_encoding),
            headers,
            delivery_mode: self.delivery_mode,
            priority: self.priority,
            correlation_id: short(&self.correlation_id),
            reply_to: short(&self.reply_to),
            expiration: short(&self.expiration),
            message_id: short(&self.message_id),
            timestamp: self.timestamp,
            kind: short(&self.kind),
            user_id: short(&self.user_id),
            app_id: short(&self.app_id),
            cluster_id: short(&self.cluster_id),
        }
        .write(out)
    }
}

fn put_entries(entries: &[(Bytes<'_>, ReadValue<'_>)], out: &mut TableBuf) {
    for (name, value) in entries {
        out.name(&name.0);
        put_value(value, out);
    }
}

fn put_value(value: &ReadValue<'_>, out: &mut TableBuf) {
    let value = match value {
        ReadValue::Array(values) => {
            out.begin_array();
            values.iter().for_each(|value| put_value(value, out));
            out.end();
            return;
        }
        ReadValue::Table(entries) => {
            out.begin_table();
            put_entries(entries, out);
            out.end();
            return;
        }
        ReadValue::Utf8(text) => Value::String(text.0.as_bytes()),
        ReadValue::Base64(bytes) => Value::String(bytes),
        ReadValue::Bytes(bytes) => Value::Bytes(&bytes.0),
        ReadValue::Bool(value) => Value::Bool(*value),
        ReadValue::I8(value) => Value::I8(*value),
        ReadValue::U8(value) => Value::U8(*value),
        ReadValue::I16(value) => Value::I16(*value),
        ReadValue::U16(value) => Value::U16(*value),
        ReadValue::I32(value) => Value::I32(*value),
        ReadValue::U32(value) => Value::U32(*value),
        ReadValue::I64(value) => Value::I64(*value),
        ReadValue::F32Bits(bits) => Value::F32(*bits),
        ReadValue::F64Bits(bits) => Value::F64(*bits),
        ReadValue::Decimal(scale, value) => Value::Decimal { scale: *scale, value: *value },
        ReadValue::Timestamp(seconds) => Value::Timestamp(*seconds),
        ReadValue::Void(()) => Value::Void,
    };
    out.value(value);
}
