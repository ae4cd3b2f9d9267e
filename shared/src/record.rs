//! One message, as the broker showed it, in broker-neutral terms.
//!
//! A [`Record`] borrows: its bytes live in the block (or in the client's buffer) that it was read from. Nothing on a hot
//! path makes a heap object of a record. Absent (`None`) and empty (`Some(b"")`) are different everywhere; bytes are
//! bytes, no encoding is assumed anywhere.

use std::fmt;

use crate::amqp::Properties;

/// A stream's number inside one reader, writer or run: an index into its table of [`Stream`]s.
pub type StreamIx = u32;

/// A leader epoch that the broker did not tell.
pub const EPOCH_UNKNOWN: i32 = -1;

/// The most bytes ([`Record::bytes_raw`]) that one record may have. Larger messages become a gap.
pub const RECORD_BYTES_MAX: usize = 128 << 20;

/// Who defined the broker's time stamp of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BrokerTime {
    /// The broker gave none.
    #[default]
    None,
    /// The producer's clock, as it was sent (Kafka: milliseconds since 1970, negative and absurd values included).
    Create(i64),
    /// The broker's clock when it appended the record (Kafka: milliseconds since 1970).
    Append(i64),
}

impl BrokerTime {
    /// The raw number, 0 where there is none.
    #[must_use]
    pub fn raw(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Create(raw) | Self::Append(raw) => raw,
        }
    }
}

/// What is known about how a record was had. A set of bits; the values are those of the segment format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RecordFlags(pub u8);

impl RecordFlags {
    /// The broker said that it delivered this message before.
    pub const REDELIVERED: Self = Self(1);
    /// This record may be in the recording twice: nothing proves that it is not.
    pub const POSSIBLE_DUPLICATE: Self = Self(1 << 1);
    /// It carries dejaq's mark: it was replayed from another recording.
    pub const REPLAYED: Self = Self(1 << 2);
    /// It was read while the capture was behind, so its arrival time says little.
    pub const CATCH_UP: Self = Self(1 << 3);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One message. See the module's words on borrowing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Record<'a> {
    /// The stream it belongs to.
    pub stream: StreamIx,
    /// Its place in the stream (Kafka: the offset).
    pub position: i64,
    /// The epoch of the partition's leader, or [`EPOCH_UNKNOWN`].
    pub leader_epoch: i32,
    /// When the capture received it: nanoseconds since 1970.
    pub arrival_ns: i64,
    /// The broker's time stamp.
    pub broker_time: BrokerTime,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null (Kafka: a tombstone).
    pub value: Option<&'a [u8]>,
    /// The headers, in order (Kafka's; RabbitMQ's are among the properties).
    pub headers: Headers<'a>,
    /// How it was had.
    pub flags: RecordFlags,
    /// RabbitMQ: the routing key; `None` where there is no such thing.
    pub routing_key: Option<&'a [u8]>,
    /// RabbitMQ: the basic properties, the header table among them.
    pub properties: Properties<'a>,
}

impl Record<'_> {
    /// A record with nothing in it: what to take the fields from that do not matter.
    pub const EMPTY: Self = Self {
        stream: 0,
        position: 0,
        leader_epoch: EPOCH_UNKNOWN,
        arrival_ns: 0,
        broker_time: BrokerTime::None,
        key: None,
        value: None,
        headers: Headers::EMPTY,
        flags: RecordFlags(0),
        routing_key: None,
        properties: Properties::EMPTY,
    };

    /// Key, value and header bytes (RabbitMQ: with the routing key and the properties as they are encoded): the size that
    /// limits, budgets and `bytes_raw` count.
    #[must_use]
    pub fn bytes_raw(&self) -> usize {
        let strings = [self.key, self.value, self.routing_key, Some(self.properties.as_bytes())];
        strings.into_iter().flatten().map(<[u8]>::len).sum::<usize>() + self.headers.bytes_raw()
    }
}

/// A record's headers in dejaq's encoding: for each header `varint(name length) name varint(0 = null, else value
/// length + 1) value`, in order, duplicates kept. The same bytes stand in a segment.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Headers<'a>(&'a [u8]);

/// Why bytes are not a header set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("header set is malformed at byte {offset} of {length}")]
pub struct MalformedHeaders {
    /// Where in the set it went wrong.
    pub offset: usize,
    /// The set's length.
    pub length: usize,
}

impl<'a> Headers<'a> {
    /// No headers.
    pub const EMPTY: Self = Self(&[]);

    /// Takes bytes that claim to be a header set, and checks the whole of them.
    ///
    /// # Errors
    /// [`MalformedHeaders`] when a length runs past the end.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MalformedHeaders> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if next_header(&mut rest).is_none() {
                return Err(MalformedHeaders { offset: bytes.len() - rest.len(), length: bytes.len() });
            }
        }
        Ok(Self(bytes))
    }

    /// Takes bytes that [`HeadersBuf`] wrote or that [`Headers::parse`] has checked before. Bytes that are no header
    /// set do no harm: iteration ends at the first malformed one.
    #[must_use]
    pub fn from_checked(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The encoded bytes.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Each header's name and value (`None` is null), in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let mut rest = self.0;
        std::iter::from_fn(move || next_header(&mut rest))
    }

    /// The bytes of all names and values, without the encoding's own.
    #[must_use]
    pub fn bytes_raw(self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len)).sum()
    }
}

impl fmt::Debug for Headers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(n, v)| (n.escape_ascii().to_string(), v.map(|v| v.escape_ascii().to_string())))).finish()
    }
}

fn next_header<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    if rest.is_empty() {
        return None;
    }
    let mut at = *rest;
    let name_len = usize::try_from(crate::varint::read_u64(&mut at)?).ok()?;
    let name = at.split_off(..name_len)?;
    let value_len = usize::try_from(crate::varint::read_u64(&mut at)?).ok()?;
    let value = match value_len.checked_sub(1) {
        None => None,
        Some(len) => Some(at.split_off(..len)?),
    };
    *rest = at;
    Some((name, value))
}

/// Builds a header set. Reuse it: `clear` keeps its memory.
#[derive(Debug, Clone, Default)]
pub struct HeadersBuf(Vec<u8>);

impl HeadersBuf {
    /// Removes all headers.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds one header at the end.
    pub fn push(&mut self, name: &[u8], value: Option<&[u8]>) {
        crate::varint::write_u64(&mut self.0, name.len() as u64);
        self.0.extend_from_slice(name);
        match value {
            None => crate::varint::write_u64(&mut self.0, 0),
            Some(value) => {
                crate::varint::write_u64(&mut self.0, value.len() as u64 + 1);
                self.0.extend_from_slice(value);
            }
        }
    }

    /// What was built.
    #[must_use]
    pub fn as_headers(&self) -> Headers<'_> {
        Headers(&self.0)
    }
}

/// The name of the header by which dejaq marks what it replays (see [`crate::broker::mark`]).
pub const MARK_HEADER: &[u8] = b"dejaq-run";

/// An ordered lane at the source: who it is, apart from any numbering.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stream {
    /// The identity of the cluster; empty when it is unknown (imported without one).
    pub cluster: String,
    /// The lane within it.
    pub lane: Lane,
}

/// A stream's place inside its cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// One partition of one incarnation of a Kafka topic.
    Kafka {
        /// The topic's name.
        topic: String,
        /// The topic's id; a recreated topic has another. `None` when the cluster gives none.
        topic_id: Option<TopicId>,
        /// The partition's number.
        partition: i32,
    },
    /// What is published to one of RabbitMQ's exchanges; the routing key is a field of the record.
    RabbitExchange {
        /// The virtual host.
        vhost: String,
        /// The exchange's name; empty is the default exchange.
        exchange: String,
    },
    /// One of RabbitMQ's stream queues.
    RabbitQueue {
        /// The virtual host.
        vhost: String,
        /// The queue's name.
        queue: String,
    },
}

/// What the default exchange, whose name is empty, is called.
pub const DEFAULT_EXCHANGE: &str = "(default)";

impl Lane {
    /// As [`Stream::topic`].
    #[must_use]
    pub fn topic(&self) -> &str {
        match self {
            Self::Kafka { topic, .. } => topic,
            Self::RabbitExchange { exchange, .. } if exchange.is_empty() => DEFAULT_EXCHANGE,
            Self::RabbitExchange { exchange, .. } => exchange,
            Self::RabbitQueue { queue, .. } => queue,
        }
    }

    /// As [`Stream::partition`].
    #[must_use]
    pub fn partition(&self) -> i32 {
        match self {
            Self::Kafka { partition, .. } => *partition,
            Self::RabbitExchange { .. } | Self::RabbitQueue { .. } => -1,
        }
    }
}

impl Stream {
    /// The stream's name for people, and for globs: `topic/partition`; `exchange` or `queue:NAME`, with `vhost/` in front where
    /// that is not `/`.
    #[must_use]
    pub fn name(&self) -> String {
        let within = |vhost: &str, name: String| if vhost == "/" { name } else { format!("{vhost}/{name}") };
        match &self.lane {
            Lane::Kafka { topic, partition, .. } => format!("{topic}/{partition}"),
            Lane::RabbitExchange { vhost, .. } => within(vhost, self.topic().to_owned()),
            Lane::RabbitQueue { vhost, queue } => within(vhost, format!("queue:{queue}")),
        }
    }

    /// The name of what has the stream as a part or as its whole (the unit of `--map`, of per-topic latency and of globs): the
    /// topic, the exchange or the queue.
    #[must_use]
    pub fn topic(&self) -> &str {
        self.lane.topic()
    }

    /// The partition's number; -1 where there are none.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.lane.partition()
    }

    /// The topic's id, where there is one.
    #[must_use]
    pub fn topic_id(&self) -> Option<TopicId> {
        match &self.lane {
            Lane::Kafka { topic_id, .. } => *topic_id,
            Lane::RabbitExchange { .. } | Lane::RabbitQueue { .. } => None,
        }
    }
}

/// A Kafka topic's id: 16 bytes, written as Kafka's tools write it (URL-safe base64 without padding).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(pub [u8; 16]);

impl TopicId {
    /// Reads the text form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        use base64::Engine as _;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use base64::Engine as _;
        f.write_str(&base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicId({self})")
    }
}

/// Why something was lost. Written in recordings by its name; a name from a later dejaq is kept as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// The source deleted it before it was read.
    Retention,
    /// The source's log was cut back (unclean leader election), or the topic was made anew.
    Truncation,
    /// The source threw it away to hold a bound.
    Drop,
    /// It could not be read by the client.
    Unparseable,
    /// It is larger than [`RECORD_BYTES_MAX`].
    Oversize,
    /// The connection was away, and what passed meanwhile cannot be had.
    Disconnect,
    /// What the capture was asked to record changed.
    FilterChange,
    /// The stream carries replayed traffic, and recording it was not asked for.
    Replay,
    /// A reason that this build does not know.
    Other(String),
}

impl GapReason {
    /// The name in recordings and in JSON.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Retention => "retention",
            Self::Truncation => "truncation",
            Self::Drop => "drop",
            Self::Unparseable => "unparseable",
            Self::Oversize => "oversize",
            Self::Disconnect => "disconnect",
            Self::FilterChange => "filter change",
            Self::Replay => "replay",
            Self::Other(name) => name,
        }
    }

    /// The inverse of [`GapReason::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "retention" => Self::Retention,
            "truncation" => Self::Truncation,
            "drop" => Self::Drop,
            "unparseable" => Self::Unparseable,
            "oversize" => Self::Oversize,
            "disconnect" => Self::Disconnect,
            "filter change" => Self::FilterChange,
            "replay" => Self::Replay,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Something lost, with its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The stream it was lost from; `None` when it concerns several (then `scope` says which).
    pub stream: Option<StreamIx>,
    /// What the gap covers, for people: a stream's name, or "all streams".
    pub scope: String,
    /// The first position lost.
    pub from: Option<i64>,
    /// The position after the last one lost; `None` when the gap is open-ended.
    pub to: Option<i64>,
    /// The start of the time it covers, nanoseconds since 1970.
    pub from_time_ns: Option<i64>,
    /// The end of the time it covers.
    pub to_time_ns: Option<i64>,
    /// How many positions or messages were lost, if it is known.
    pub count: Option<u64>,
    /// Whether range and count are exact (false: bounds).
    pub exact: bool,
    /// Why.
    pub reason: GapReason,
    /// More about it, for people.
    pub detail: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_come_back_as_they_went_in(set in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..9), prop::option::of(prop::collection::vec(any::<u8>(), 0..200))), 0..12)) {
            let mut buf = HeadersBuf::default();
            for (name, value) in &set {
                buf.push(name, value.as_deref());
            }
            let parsed = Headers::parse(buf.as_headers().as_bytes()).expect("own encoding");
            let back: Vec<_> = parsed.iter().map(|(n, v)| (n.to_vec(), v.map(<[u8]>::to_vec))).collect();
            prop_assert_eq!(back, set);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(headers) = Headers::parse(&bytes) {
                let _ = headers.iter().count();
            }
        }
    }

    #[test]
    fn a_topic_id_is_written_as_kafka_writes_it() {
        let id = TopicId::parse("mC1JGgDtRb2ZIuM2cNYUYQ").expect("22 characters");
        assert_eq!(id.to_string(), "mC1JGgDtRb2ZIuM2cNYUYQ");
        assert_eq!(TopicId::parse("short"), None);
    }
}
