//! Streams as segments introduce them: each broker's kind of stream has a struct and a tag of its own. A broker is one arm here.

use bincode::{Decode, Encode};

use super::{Entry, tag, write};
use crate::record::{Lane, Stream, StreamIx, TopicId};
use crate::segment::{MUST_UNDERSTAND, STREAMS_MAX};

/// A Kafka partition, and where its recording began.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct KafkaStreamV1 {
    /// Its number in this writer's segments.
    pub id: u32,
    /// The cluster's identity; empty when unknown.
    pub cluster: String,
    /// The topic's name.
    pub topic: String,
    /// The topic's id.
    pub topic_id: Option<[u8; 16]>,
    /// The partition.
    pub partition: i32,
    /// The first offset that was asked for.
    pub start: i64,
}

/// What RabbitMQ's clients published to an exchange, and where its recording began.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RabbitExchangeV1 {
    /// Its number in this writer's segments.
    pub id: u32,
    /// The cluster's identity; empty when unknown.
    pub cluster: String,
    /// The virtual host.
    pub vhost: String,
    /// The exchange; empty is the default one.
    pub exchange: String,
    /// The first position: RabbitMQ gives none, the capture counts.
    pub start: i64,
}

/// A RabbitMQ stream queue, and where its recording began.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RabbitQueueV1 {
    /// Its number in this writer's segments.
    pub id: u32,
    /// The cluster's identity; empty when unknown.
    pub cluster: String,
    /// The virtual host.
    pub vhost: String,
    /// The queue.
    pub queue: String,
    /// The first offset that was asked for.
    pub start: i64,
}

/// A stream as a segment introduces it: in a struct, and under a tag, of its broker's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntroducedStream {
    /// Its number in this writer's segments.
    pub id: StreamIx,
    /// Who it is.
    pub stream: Stream,
    /// The first position that was asked for.
    pub start: i64,
}

impl IntroducedStream {
    /// A stream, its number and its start.
    #[must_use]
    pub fn of(id: StreamIx, stream: &Stream, start: i64) -> Self {
        Self { id, stream: stream.clone(), start }
    }

    /// Appends the entry.
    ///
    /// # Errors
    /// As [`write()`].
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), String> {
        let (id, cluster, start) = (self.id, self.stream.cluster.clone(), self.start);
        match self.stream.lane.clone() {
            Lane::Kafka { topic, topic_id, partition } => {
                let topic_id = topic_id.map(|t| t.0);
                write(out, tag::KAFKA_STREAM, MUST_UNDERSTAND, &KafkaStreamV1 { id, cluster, topic, topic_id, partition, start })
            }
            Lane::RabbitExchange { vhost, exchange } => {
                write(out, tag::RABBIT_EXCHANGE, MUST_UNDERSTAND, &RabbitExchangeV1 { id, cluster, vhost, exchange, start })
            }
            Lane::RabbitQueue { vhost, queue } => {
                write(out, tag::RABBIT_QUEUE, MUST_UNDERSTAND, &RabbitQueueV1 { id, cluster, vhost, queue, start })
            }
        }
    }

    /// The stream that an entry introduces; `None` when its tag is none of a stream.
    ///
    /// # Errors
    /// When its value is not the tag's struct, or the number is too large, in words.
    pub fn read(entry: &Entry<'_>) -> Result<Option<Self>, String> {
        let (id, cluster, lane, start) = match entry.tag {
            tag::KAFKA_STREAM => {
                let KafkaStreamV1 { id, cluster, topic, topic_id, partition, start } = entry.decode()?;
                (id, cluster, Lane::Kafka { topic, topic_id: topic_id.map(TopicId), partition }, start)
            }
            tag::RABBIT_EXCHANGE => {
                let RabbitExchangeV1 { id, cluster, vhost, exchange, start } = entry.decode()?;
                (id, cluster, Lane::RabbitExchange { vhost, exchange }, start)
            }
            tag::RABBIT_QUEUE => {
                let RabbitQueueV1 { id, cluster, vhost, queue, start } = entry.decode()?;
                (id, cluster, Lane::RabbitQueue { vhost, queue }, start)
            }
            _ => return Ok(None),
        };
        if id >= STREAMS_MAX {
            return Err(format!("stream number {id} is introduced, the limit is {STREAMS_MAX}"));
        }
        Ok(Some(Self { id, stream: Stream { cluster, lane }, start }))
    }
}
