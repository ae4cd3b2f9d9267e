//! What replay needs of a broker: a submitting half that never waits, and a completing half that another thread polls.

use std::time::Duration;

use super::BrokerError;
use crate::amqp::Properties;
use crate::record::Headers;

/// A destination at the target, as an index into the list that the sink was opened with.
pub type TargetIx = u32;

/// Which broker a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// Kafka: topics with partitions, keys, headers of bytes.
    Kafka,
    /// RabbitMQ: exchanges, routing keys, properties.
    RabbitMq,
}

/// What messages are published to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// RabbitMQ: the virtual host; `None` is the one that the target's URL names (Kafka: always).
    pub vhost: Option<String>,
    /// The topic's or the exchange's name; empty is RabbitMQ's default exchange.
    pub name: String,
}

impl Destination {
    /// A Kafka topic, or an exchange of the URL's virtual host.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { vhost: None, name: name.into() }
    }
}

/// One message for the client. Borrowed for the length of the call: the client copies.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The topic or exchange.
    pub target: TargetIx,
    /// Kafka: the partition.
    pub partition: i32,
    /// RabbitMQ: which of the target's connections carries it, from 0.
    pub connection: u32,
    /// RabbitMQ: the routing key.
    pub routing_key: Option<&'a [u8]>,
    /// RabbitMQ: the basic properties, the header table among them.
    pub properties: Properties<'a>,
    /// The key; `None` is null.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is null.
    pub value: Option<&'a [u8]>,
    /// The headers as recorded.
    pub headers: Headers<'a>,
    /// The value of dejaq's mark, added as a last header.
    pub mark: Option<&'a [u8]>,
    /// The message's time stamp in milliseconds since 1970; `None` is the client's now.
    pub timestamp_ms: Option<i64>,
    /// Comes back with the completion.
    pub tag: usize,
}

impl Outgoing<'_> {
    /// A message with nothing in it: what to take the fields from that do not matter.
    pub const EMPTY: Self = Self {
        target: 0,
        partition: 0,
        connection: 0,
        routing_key: None,
        properties: Properties::EMPTY,
        key: None,
        value: None,
        headers: Headers::EMPTY,
        mark: None,
        timestamp_ms: None,
        tag: 0,
    };
}

/// Why the client did not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Its queue is full: poll for completions, then try again.
    QueueFull,
    /// The broker has asked everybody to hold (RabbitMQ: `connection.blocked`): try again.
    Blocked,
    /// Never going to be sent; a short stable word for the ledger's reasons ("too large", "unknown partition", …).
    Final(&'static str),
}

/// What became of a message that the client took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The broker confirmed it.
    Acked,
    /// The broker or the client reports that it was not written; a short stable word for the ledger's reasons.
    Failed(&'static str),
    /// Nobody can say: the connection was lost or the time ran out after it was sent.
    Unknown(&'static str),
}

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// The tag given at submission.
    pub tag: usize,
    /// What became of it.
    pub fate: Fate,
}

/// A topic at the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetTopic {
    /// Its name.
    pub name: String,
    /// How many partitions it has; `None` when it does not exist.
    pub partitions: Option<u32>,
    /// The largest message that it takes (Kafka: `max.message.bytes`), if that can be known.
    pub message_bytes_max: Option<u64>,
    /// What it does with time stamps.
    pub times: TopicTimes,
}

/// What a topic does with the time stamps of its messages, as far as that can be known. All in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopicTimes {
    /// Whether the topic's settings could be read: else what follows says nothing.
    pub known: bool,
    /// Messages whose time stamp is older than this are deleted (Kafka: `retention.ms`); `None`: never, or not known.
    pub retention_ms: Option<u64>,
    /// A time stamp further than this before the broker's clock is refused (Kafka: `message.timestamp.before.max.ms`).
    pub before_max_ms: Option<u64>,
    /// A time stamp further than this after the broker's clock is refused (Kafka: `message.timestamp.after.max.ms`).
    pub after_max_ms: Option<u64>,
    /// The broker writes its own time over the message's (Kafka: `message.timestamp.type=LogAppendTime`).
    pub append: bool,
}

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: u32,
    /// Settings of its own.
    pub settings: Vec<(String, String)>,
}

/// Whose batching a sink follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClientProfile {
    /// Every message leaves at once: `linger.ms=0`. The time of sending is the schedule's.
    #[default]
    Precise,
    /// The client's own defaults, and what the person sets of the production client: linger, batch, compression, acks.
    ProdLike,
}

impl ClientProfile {
    /// The name on the command line and in `run.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Precise => "precise",
            Self::ProdLike => "prod-like",
        }
    }
}

/// How a sink sends.
#[derive(Debug, Clone)]
pub struct SinkOptions {
    /// The limits of the client's queue.
    pub queue: QueueLimits,
    /// Kafka: whose batching.
    pub profile: ClientProfile,
    /// RabbitMQ: how many connections share the streams.
    pub connections: u32,
    /// What a person set (`-X`), in order; a later one wins.
    pub user: Vec<(String, String)>,
}

/// Limits of a client's own queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Messages.
    pub messages_max: usize,
    /// Bytes.
    pub bytes_max: usize,
}

/// The submitting half of a target.
pub trait Sink: Send {
    /// Hands one message to the client. Never waits.
    ///
    /// # Errors
    /// [`Refusal`]; the message was not taken.
    fn submit(&mut self, message: &Outgoing<'_>) -> Result<(), Refusal>;

    /// How many messages the client has taken and not completed.
    fn in_flight(&self) -> usize;
}

/// The completing half of a target.
pub trait Completions: Send {
    /// Waits at most `timeout` for answers and hands them over in batches.
    ///
    /// # Errors
    /// When the client is broken.
    fn poll(&mut self, timeout: Duration, handler: &mut dyn FnMut(&[Completion])) -> Result<(), BrokerError>;

    /// The newest thing worth telling people since the last call (a broker that is away, …).
    fn take_warning(&mut self) -> Option<String>;
}
