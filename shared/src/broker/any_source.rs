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
}

impl AnySource {
    /// Connects, and waits for the first answer.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answered in `timeout`; others at once.
    pub fn connect(endpoint: &Endpoint, options: &SourceOptions, timeout: Duration) -> Result<Self, BrokerError> {
        match endpoint {
            Endpoint::Kafka(endpoint) => {
                super::kafka::source::KafkaSource::connect(endpoint, options, timeout).map(|source| Self::Kafka(Box::new(source)))
            }
            Endpoint::Amqp(_) => Err(BrokerError::Unsupported {
                endpoint: endpoint.to_string(),
                reason: "topics are Kafka's; RabbitMQ has exchanges and queues",
            }),
        }
    }

    /// What holds of the client's settings: `(name, value)`, secrets as `***`.
    #[must_use]
    pub fn describe(&self) -> Vec<(String, String)> {
        match self {
            Self::Kafka(source) => source.describe(),
        }
    }
}

impl Source for AnySource {
    fn cluster(&self) -> &str {
        match self {
            Self::Kafka(source) => source.cluster(),
        }
    }

    fn isolation(&self) -> Option<&str> {
        match self {
            Self::Kafka(source) => source.isolation(),
        }
    }

    fn topics(&mut self, wanted: &TopicSelection, timeout: Duration) -> Result<Vec<TopicInfo>, BrokerError> {
        match self {
            Self::Kafka(source) => source.topics(wanted, timeout),
        }
    }

    fn check_rights(&mut self, topics: &[String], timeout: Duration) -> Result<(), BrokerError> {
        match self {
            Self::Kafka(source) => source.check_rights(topics, timeout),
        }
    }

    fn topic_settings(&mut self, topics: &[String], timeout: Duration) -> Result<Vec<TopicSettings>, BrokerError> {
        match self {
            Self::Kafka(source) => source.topic_settings(topics, timeout),
        }
    }

    fn positions(&mut self, lanes: &[(String, i32)], at: StartAt, timeout: Duration) -> Result<Vec<i64>, BrokerError> {
        match self {
            Self::Kafka(source) => source.positions(lanes, at, timeout),
        }
    }

    fn start(&mut self, lanes: &[ReadFrom]) -> Result<(), BrokerError> {
        match self {
            Self::Kafka(source) => source.start(lanes),
        }
    }

    fn stop(&mut self, streams: &[StreamIx]) -> Result<(), BrokerError> {
        match self {
            Self::Kafka(source) => source.stop(streams),
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
            Self::Kafka(source) => source.poll(records_max, timeout, clock, handler),
        }
    }

    fn lag(&mut self) -> Option<u64> {
        match self {
            Self::Kafka(source) => source.lag(),
        }
    }

    fn withheld(&self) -> usize {
        match self {
            Self::Kafka(source) => source.withheld(),
        }
    }
}
