//! A tap at any broker: one arm each.

use std::time::Duration;

use super::BrokerError;
#[cfg(feature = "kafka")]
use super::any_source::AnySource;
use super::endpoint::Endpoint;
use super::source::SourceOptions;
#[cfg(feature = "kafka")]
use super::source::TopicSelection;
#[cfg(feature = "kafka")]
use super::tap::LogTap;
use super::tap::{Outlet, Output, Tap};

/// A tap at any broker.
#[non_exhaustive]
pub enum AnyTap {
    /// A topic of Kafka.
    #[cfg(feature = "kafka")]
    Kafka(Box<LogTap<AnySource>>),
    /// A queue or an exchange of RabbitMQ.
    #[cfg(feature = "amqp")]
    Amqp(Box<super::amqp::tap::AmqpTap>),
}

impl AnyTap {
    /// Connects, and looks whether it can be read there. Nothing is changed yet.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answered in `timeout`; at once when it is not there, may not be read, would be taken
    /// from somebody else, or the broker has no such thing.
    pub fn connect(endpoint: &Endpoint, outlet: &Outlet, options: &SourceOptions, timeout: Duration) -> Result<Self, BrokerError> {
        match (endpoint, outlet) {
            #[cfg(feature = "kafka")]
            (Endpoint::Kafka(_), Outlet::Topic(topic)) => {
                let source = AnySource::connect(endpoint, &TopicSelection::exactly(topic), options, timeout)?;
                LogTap::new(source, topic, timeout).map(|tap| Self::Kafka(Box::new(tap)))
            }
            #[cfg(feature = "amqp")]
            (Endpoint::Amqp(endpoint), Outlet::Queue(_) | Outlet::Exchange { .. }) => {
                super::amqp::tap::AmqpTap::connect(endpoint, outlet, options, timeout).map(|tap| Self::Amqp(Box::new(tap)))
            }
            _ => Err(BrokerError::Unsupported {
                endpoint: endpoint.to_string(),
                reason: "topics are Kafka's, queues and exchanges RabbitMQ's; or this build of dejaq does not speak to that broker",
            }),
        }
    }
}

impl Tap for AnyTap {
    fn begin(&mut self, timeout: Duration) -> Result<(), BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(tap) => tap.begin(timeout),
            #[cfg(feature = "amqp")]
            Self::Amqp(tap) => tap.begin(timeout),
        }
    }

    fn poll(
        &mut self,
        most: usize,
        timeout: Duration,
        clock: &mut dyn FnMut() -> i64,
        take: &mut dyn FnMut(Output<'_>),
    ) -> Result<(), BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(tap) => tap.poll(most, timeout, clock, take),
            #[cfg(feature = "amqp")]
            Self::Amqp(tap) => tap.poll(most, timeout, clock, take),
        }
    }

    fn end(&mut self, timeout: Duration) -> Result<(), BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(tap) => tap.end(timeout),
            #[cfg(feature = "amqp")]
            Self::Amqp(tap) => tap.end(timeout),
        }
    }
}
