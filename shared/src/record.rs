//! One message, as the broker showed it, in broker-neutral terms.
//!
//! A [`Record`] borrows: its bytes live in the block (or in the client's buffer) that it was read from. Nothing on a hot
//! path makes a heap object of a record. Absent (`None`) and empty (`Some(b"")`) are different everywhere; bytes are
//! bytes, no encoding is assumed anywhere.

use crate::amqp::Properties;

mod gap;
mod headers;
mod stream;

pub use gap::{Gap, GapReason};
pub use headers::{Headers, HeadersBuf, MalformedHeaders};
pub use stream::{DEFAULT_EXCHANGE, Lane, Stream, TopicId};

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

/// The name of the header by which dejaq marks what it replays (see [`crate::broker::mark`]).
pub const MARK_HEADER: &[u8] = b"dejaq-run";
