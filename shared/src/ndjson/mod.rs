//! Records as lines of JSON: `export` writes them, `import` reads them, and the two are inverses for records.
//!
//! One object a line. Bytes are `{"utf8": "…"}` or, where they are not UTF-8, `{"base64": "…"}`; absent (null) is `null`.
//! import also takes a plain string for bytes. It needs `broker`, the parts of the stream (`topic` and `partition`; RabbitMQ:
//! `vhost`, and `exchange` with `routing_key` or `queue`) and `value`; the rest has defaults (docs/FORMAT.md, section 11). Gaps and attachments do not travel through this form.

mod amqp;
mod export;
mod import;

use std::borrow::Cow;

use base64::Engine as _;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};

pub use amqp::{ReadProperties, ShownProperties};
pub use export::Exporter;
pub use import::{ImportError, ImportSummary, import};

use crate::record::RecordFlags;

/// One record as a line: `P` is how the properties are read, or written ([`ShownProperties`]).
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line<'a, P = ReadProperties<'a>> {
    /// "kafka" or "rabbitmq".
    #[serde(borrow)]
    pub broker: Cow<'a, str>,
    /// The cluster's identity. Default: unknown.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Cow<'a, str>>,
    /// Kafka: the topic.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<Cow<'a, str>>,
    /// The topic's id. Default: unknown.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub topic_id: Option<Cow<'a, str>>,
    /// Kafka: the partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<i32>,
    /// RabbitMQ: the virtual host.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub vhost: Option<Cow<'a, str>>,
    /// RabbitMQ: the exchange, empty for the default one.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<Cow<'a, str>>,
    /// RabbitMQ: the stream queue.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Cow<'a, str>>,
    /// The stream's name for people; not read.
    #[serde(borrow, default)]
    pub stream: Option<Cow<'a, str>>,
    /// The offset. Default: the stream's previous one + 1, from 0.
    #[serde(default)]
    pub position: Option<i64>,
    /// The leader's epoch. Default: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_epoch: Option<i32>,
    /// When it was received, nanoseconds since 1970. Default: the broker's time stamp, else the import's now.
    #[serde(default)]
    pub arrival_ns: Option<i64>,
    /// The broker's time stamp, raw (Kafka: milliseconds since 1970). Default: none.
    #[serde(default)]
    pub broker_ts: Option<i64>,
    /// Who made it: "none", "create" or "append". Default: "create" with `broker_ts`, else "none".
    #[serde(default)]
    pub broker_ts_kind: Option<Kind>,
    /// How it was had. Default: nothing special.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Flag>,
    /// RabbitMQ: the routing key. Default, in a stream queue: none.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub routing_key: Option<Bytes<'a>>,
    /// RabbitMQ: the basic properties. Default: none.
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub properties: Option<P>,
    /// The key. Default: null.
    #[serde(borrow, default)]
    pub key: Option<Bytes<'a>>,
    /// The headers: name and value. Default: none.
    #[serde(borrow, default)]
    pub headers: Vec<(Bytes<'a>, Option<Bytes<'a>>)>,
    /// The value; must be there, null is a tombstone.
    #[serde(borrow, deserialize_with = "there")]
    pub value: Option<Bytes<'a>>,
}

/// Without a default: a line that lacks the field is refused, one that says null is not.
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes<'de>>, D::Error> {
    Option::deserialize(deserializer)
}

/// Who made a time stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Nobody.
    None,
    /// The producer.
    Create,
    /// The broker.
    Append,
}

/// [`RecordFlags`], by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// [`RecordFlags::REDELIVERED`].
    Redelivered,
    /// [`RecordFlags::POSSIBLE_DUPLICATE`].
    PossibleDuplicate,
    /// [`RecordFlags::REPLAYED`].
    Replayed,
    /// [`RecordFlags::CATCH_UP`].
    CatchUp,
}

impl Flag {
    const ALL: [(Self, RecordFlags); 4] = [
        (Self::Redelivered, RecordFlags::REDELIVERED),
        (Self::PossibleDuplicate, RecordFlags::POSSIBLE_DUPLICATE),
        (Self::Replayed, RecordFlags::REPLAYED),
        (Self::CatchUp, RecordFlags::CATCH_UP),
    ];

    /// The names of a set.
    #[must_use]
    pub fn of(flags: RecordFlags) -> Vec<Self> {
        Self::ALL.iter().filter(|(_, bit)| flags.has(*bit)).map(|(name, _)| *name).collect()
    }

    /// The set of names.
    #[must_use]
    pub fn set(names: &[Self]) -> RecordFlags {
        Self::ALL.iter().filter(|(name, _)| names.contains(name)).fold(RecordFlags::default(), |set, (_, bit)| set.with(*bit))
    }
}

/// Bytes in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes<'a>(pub Cow<'a, [u8]>);

impl<'a> From<&'a [u8]> for Bytes<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self(Cow::Borrowed(bytes))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form<'a> {
    #[serde(borrow)]
    Utf8(Text<'a>),
    #[serde(borrow)]
    Base64(Text<'a>),
}

/// A string that is borrowed from the line where it has no escapes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Serialize for Bytes<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => Form::Utf8(Text(text.into())).serialize(serializer),
            Err(_) => Form::Base64(Text(base64::engine::general_purpose::STANDARD.encode(&self.0).into())).serialize(serializer),
        }
    }
}

fn owned_or_borrowed(text: Cow<'_, str>) -> Bytes<'_> {
    Bytes(match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    })
}

impl<'de: 'a, 'a> Deserialize<'de> for Bytes<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Bytes<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes: {\"utf8\": \"…\"}, {\"base64\": \"…\"} or a string")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(owned_or_borrowed(text.into()))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Bytes(Cow::Owned(text.as_bytes().to_vec())))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                match Form::deserialize(de::value::MapAccessDeserializer::new(map))? {
                    Form::Utf8(text) => Ok(owned_or_borrowed(text.0)),
                    Form::Base64(text) => match base64::engine::general_purpose::STANDARD.decode(text.0.as_bytes()) {
                        Ok(bytes) => Ok(Bytes(Cow::Owned(bytes))),
                        Err(e) => Err(de::Error::custom(format!("not base64: {e}"))),
                    },
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}
