//! The lanes in which records keep an order: who they are at their broker.

use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_id_is_written_as_kafka_writes_it() {
        let id = TopicId::parse("mC1JGgDtRb2ZIuM2cNYUYQ").expect("22 characters");
        assert_eq!(id.to_string(), "mC1JGgDtRb2ZIuM2cNYUYQ");
        assert_eq!(TopicId::parse("short"), None);
    }
}
