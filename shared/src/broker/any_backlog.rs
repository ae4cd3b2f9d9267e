//! A backlog at any broker: one arm each.

use std::time::Duration;

use super::BrokerError;
use super::backlog::{Backlog, Membership, Waiting};
use super::endpoint::Endpoint;
use super::source::SourceOptions;

/// A backlog at any broker.
#[non_exhaustive]
pub enum AnyBacklog {
    /// A consumer group of Kafka.
    #[cfg(feature = "kafka")]
    Kafka(Box<super::kafka::groups::KafkaGroup>),
    /// A queue of RabbitMQ.
    #[cfg(feature = "amqp")]
    Amqp(Box<super::amqp::backlog::AmqpQueue>),
}

impl AnyBacklog {
    /// Connects, and waits for the first answer. `name` is that of a consumer group, which need not be there yet, or of a queue.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answered in `timeout`; others at once, a queue that is not there among them.
    pub fn connect(endpoint: &Endpoint, name: &str, options: &SourceOptions, timeout: Duration) -> Result<Self, BrokerError> {
        match endpoint {
            #[cfg(feature = "kafka")]
            Endpoint::Kafka(endpoint) => {
                super::kafka::groups::KafkaGroup::connect(endpoint, name, options, timeout).map(|group| Self::Kafka(Box::new(group)))
            }
            #[cfg(feature = "amqp")]
            Endpoint::Amqp(endpoint) => {
                super::amqp::backlog::AmqpQueue::connect(endpoint, name, options, timeout).map(|queue| Self::Amqp(Box::new(queue)))
            }
            #[cfg(not(all(feature = "kafka", feature = "amqp")))]
            other => {
                Err(BrokerError::Unsupported { endpoint: other.to_string(), reason: "this build of dejaq does not speak to that broker" })
            }
        }
    }
}

impl Backlog for AnyBacklog {
    fn waiting(&mut self, timeout: Duration) -> Result<Waiting, BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(group) => group.waiting(timeout),
            #[cfg(feature = "amqp")]
            Self::Amqp(queue) => queue.waiting(timeout),
        }
    }

    fn membership(&mut self, timeout: Duration) -> Result<Option<Membership>, BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(group) => group.membership(timeout),
            #[cfg(feature = "amqp")]
            Self::Amqp(queue) => queue.membership(timeout),
        }
    }
}
