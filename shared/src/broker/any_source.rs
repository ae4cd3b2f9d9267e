//! A source of any broker: one arm each. To add a broker, add an arm here and its folder.

use std::time::Duration;

use super::BrokerError;
use super::endpoint::Endpoint;
use super::source::{ReadFrom, Source, SourceHandler, SourceOptions, StartAt, TopicInfo, TopicSelection, TopicSettings};
use crate::record::StreamIx;

/// A source of any broker.
#[non_exhaustive]
pub enum AnySource {
    /// Kafka.
    #[cfg(feature = "kafka")]
    Kafka(Box<super::kafka::source::KafkaSource>),
    /// RabbitMQ: a stream queue.
    #[cfg(feature = "amqp")]
    AmqpStream(Box<super::amqp::stream::AmqpStreamSource>),
}

impl AnySource {
    /// Connects, and waits for the first answer. `wanted`: what will be asked for, for the words of a refusal.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answered in `timeout`; others at once.
    #[cfg_attr(not(feature = "amqp"), expect(unused_variables, reason = "Kafka's rights are asked for later"))]
    pub fn connect(endpoint: &Endpoint, wanted: &TopicSelection, options: &SourceOptions, timeout: Duration) -> Result<Self, BrokerError> {
        match endpoint {
            #[cfg(feature = "kafka")]
            Endpoint::Kafka(endpoint) => {
                super::kafka::source::KafkaSource::connect(endpoint, options, timeout).map(|source| Self::Kafka(Box::new(source)))
            }
            #[cfg(feature = "amqp")]
            Endpoint::Amqp(endpoint) => super::amqp::stream::AmqpStreamSource::connect(endpoint, wanted, options, timeout)
                .map(|source| Self::AmqpStream(Box::new(source))),
            #[cfg(not(all(feature = "kafka", feature = "amqp")))]
            other => {
                Err(BrokerError::Unsupported { endpoint: other.to_string(), reason: "this build of dejaq does not speak to that broker" })
            }
        }
    }

    /// What holds of the client's settings: `(name, value)`, secrets as `***`.
    #[must_use]
    pub fn describe(&self) -> Vec<(String, String)> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(source) => source.describe(),
            #[cfg(feature = "amqp")]
            Self::AmqpStream(source) => source.describe(),
        }
    }
}

impl Source for AnySource {
    fn cluster(&self) -> &str {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(source) => source.cluster(),
            #[cfg(feature = "amqp")]
            Self::AmqpStream(source) => source.cluster(),
        }
    }

    fn isolation(&self) -> Option<&str> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(source) => source.isolation(),
            #[cfg(feature = "amqp")]
            Self::AmqpStream(source) => source.isolation(),
        }
    }

    fn topics(&mut self, wanted: &TopicSelection, timeout: Duration) -> Result<Vec<TopicInfo>, BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(source) => source.topics(wanted, timeout),
            #[cfg(feature = "amqp")]
            Self::AmqpStream(source) => source.topics(wanted, timeout),
        }
    }

    fn check_rights(&mut self, topics: &[String], timeout: Duration) -> Result<(), BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(source) => source.check_rights(topics, timeout),
            #[cfg(feature = "amqp")]
            Self::AmqpStream(source) => source.check_rights(topics, timeout),
        }
    }

    fn topic_settings(&mut self, topics: &[String], timeout: Duration) -> Result<Vec<TopicSettings>, BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(source) => source.topic_settings(topics, timeout),
            #[cfg(feature = "amqp")]
            Self::AmqpStream(source) => source.topic_settings(topics, timeout),
        }
    }

    fn positions(&mut self, lanes: &[(String, i32)], at: StartAt, timeout: Duration) -> Result<Vec<i64>, BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(source) => source.positions(lanes, at, timeout),
            #[cfg(feature = "amqp")]
            Self::AmqpStream(source) => source.positions(lanes, at, timeout),
        }
    }

    fn start(&mut self, lanes: &[ReadFrom]) -> Result<(), BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(source) => source.start(lanes),
            #[cfg(feature = "amqp")]
            Self::AmqpStream(source) => source.start(lanes),
        }
    }

    fn stop(&mut self, streams: &[StreamIx]) -> Result<(), BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(source) => source.stop(streams),
            #[cfg(feature = "amqp")]
            Self::AmqpStream(source) => source.stop(streams),
        }
    }

    fn poll<H: SourceHandler>(
        &mut self,
        records_max: usize,
        timeout: Duration,
        clock: &mut dyn FnMut() -> i64,
        handler: &mut H,
    ) -> Result<usize, BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(source) => source.poll(records_max, timeout, clock, handler),
            #[cfg(feature = "amqp")]
            Self::AmqpStream(source) => source.poll(records_max, timeout, clock, handler),
        }
    }

    fn lag(&mut self) -> Option<u64> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(source) => source.lag(),
            #[cfg(feature = "amqp")]
            Self::AmqpStream(source) => source.lag(),
        }
    }

    fn withheld(&self) -> usize {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(source) => source.withheld(),
            #[cfg(feature = "amqp")]
            Self::AmqpStream(source) => source.withheld(),
        }
    }
}
