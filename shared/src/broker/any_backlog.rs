//! A backlog at any broker: one arm each.

use std::time::Duration;

use super::BrokerError;
use super::backlog::{Backlog, Depth, Membership};
use super::endpoint::Endpoint;
use super::source::SourceOptions;

/// A backlog at any broker.
#[non_exhaustive]
pub enum AnyBacklog {
    /// A consumer group of Kafka.
    #[cfg(feature = "kafka")]
    Kafka(Box<super::kafka::groups::KafkaGroup>),
}

impl AnyBacklog {
    /// Connects, and waits for the first answer. `name` is that of a consumer group.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answered in `timeout`; others at once.
    pub fn connect(endpoint: &Endpoint, name: &str, options: &SourceOptions, timeout: Duration) -> Result<Self, BrokerError> {
        match endpoint {
            Endpoint::Kafka(endpoint) => {
                super::kafka::groups::KafkaGroup::connect(endpoint, name, options, timeout).map(|group| Self::Kafka(Box::new(group)))
            }
            Endpoint::Amqp(_) => {
                Err(BrokerError::Unsupported { endpoint: endpoint.to_string(), reason: "consumer groups are Kafka's; RabbitMQ has queues" })
            }
        }
    }
}

impl Backlog for AnyBacklog {
    fn depths(&mut self, timeout: Duration) -> Result<Vec<Depth>, BrokerError> {
        match self {
            Self::Kafka(group) => group.depths(timeout),
        }
    }

    fn membership(&mut self, timeout: Duration) -> Result<Option<Membership>, BrokerError> {
        match self {
            Self::Kafka(group) => group.membership(timeout),
        }
    }
}
