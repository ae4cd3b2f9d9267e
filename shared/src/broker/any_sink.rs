//! A target of any broker: one arm each. To add a broker, add an arm here and its folder.

use std::time::Duration;

use super::BrokerError;
use super::endpoint::Endpoint;
use super::kafka::sink::{KafkaCompletions, KafkaSink, KafkaTarget};
use super::sink::{Completion, Completions, NewTopic, Outgoing, Refusal, Sink, SinkOptions, TargetTopic};

/// A connected target of any broker, before the first message.
#[non_exhaustive]
pub enum AnyTarget {
    /// Kafka.
    #[cfg(feature = "kafka")]
    Kafka(Box<KafkaTarget>),
}

/// The submitting half of any broker.
#[non_exhaustive]
pub enum AnySink {
    /// Kafka.
    #[cfg(feature = "kafka")]
    Kafka(KafkaSink),
}

/// The completing half of any broker.
#[non_exhaustive]
pub enum AnyCompletions {
    /// Kafka.
    #[cfg(feature = "kafka")]
    Kafka(KafkaCompletions),
}

impl AnyTarget {
    /// Connects, and waits for the first answer. Nothing is sent.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answered in `timeout`; others at once.
    pub fn connect(endpoint: &Endpoint, options: &SinkOptions, timeout: Duration) -> Result<Self, BrokerError> {
        match endpoint {
            Endpoint::Kafka(endpoint) => KafkaTarget::connect(endpoint, options, timeout).map(|target| Self::Kafka(Box::new(target))),
            Endpoint::Amqp(_) => Err(BrokerError::Unsupported {
                endpoint: endpoint.to_string(),
                reason: "this build of dejaq cannot replay into RabbitMQ yet",
            }),
        }
    }

    /// The cluster's own identity.
    #[must_use]
    pub fn cluster(&self) -> &str {
        match self {
            Self::Kafka(target) => target.cluster(),
        }
    }

    /// What holds of the client's settings when it sends to these topics: `(name, value)`, secrets as `***`.
    #[must_use]
    pub fn describe(&self, topics: &[TargetTopic]) -> Vec<(String, String)> {
        match self {
            Self::Kafka(target) => target.describe(topics),
        }
    }

    /// How many replicas of a new topic the cluster keeps by default; `None` when it does not tell.
    ///
    /// # Errors
    /// When the cluster does not answer in `timeout`.
    pub fn default_replicas(&self, timeout: Duration) -> Result<Option<u32>, BrokerError> {
        match self {
            Self::Kafka(target) => target.default_replicas(timeout),
        }
    }

    /// Asks whether the cluster would create these topics; one that cannot be asked is taken to say yes.
    ///
    /// # Errors
    /// When it refuses one of them, or does not answer in `timeout`.
    pub fn would_create(&self, topics: &[NewTopic], timeout: Duration) -> Result<(), BrokerError> {
        match self {
            Self::Kafka(target) => target.would_create(topics, timeout),
        }
    }

    /// What is known of these topics, in the order asked.
    ///
    /// # Errors
    /// When the cluster does not answer in `timeout`, or refuses.
    pub fn topics(&self, names: &[String], timeout: Duration) -> Result<Vec<TargetTopic>, BrokerError> {
        match self {
            Self::Kafka(target) => target.topics(names, timeout),
        }
    }

    /// What people should know of the questions asked so far: settings that the user may not see.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        match self {
            Self::Kafka(target) => target.notes(),
        }
    }

    /// Creates topics and waits until they are there.
    ///
    /// # Errors
    /// When the cluster refuses one of them, or `timeout` is over.
    pub fn create_topics(&self, topics: &[NewTopic], timeout: Duration) -> Result<(), BrokerError> {
        match self {
            Self::Kafka(target) => target.create_topics(topics, timeout),
        }
    }

    /// Begins to publish to these topics; a [`TargetIx`](super::sink::TargetIx) counts them.
    ///
    /// # Errors
    /// When one of them is not there, or the cluster does not answer in `timeout`.
    pub fn open(self, topics: &[String], timeout: Duration) -> Result<(AnySink, AnyCompletions), BrokerError> {
        match self {
            Self::Kafka(target) => {
                let (sink, completions) = target.open(topics, timeout)?;
                Ok((AnySink::Kafka(sink), AnyCompletions::Kafka(completions)))
            }
        }
    }
}

impl AnySink {
    /// Sends what the client holds back, and waits at most `timeout` until all is answered. The other half must be polled
    /// meanwhile.
    pub fn flush(&self, timeout: Duration) {
        match self {
            Self::Kafka(sink) => sink.flush(timeout),
        }
    }

    /// Gives up on every message that is not answered yet: their completions come at once.
    pub fn give_up(&self) {
        match self {
            Self::Kafka(sink) => sink.give_up(),
        }
    }
}

impl Sink for AnySink {
    #[inline]
    fn submit(&mut self, message: &Outgoing<'_>) -> Result<(), Refusal> {
        match self {
            Self::Kafka(sink) => sink.submit(message),
        }
    }

    fn in_flight(&self) -> usize {
        match self {
            Self::Kafka(sink) => sink.in_flight(),
        }
    }
}

impl Completions for AnyCompletions {
    fn poll(&mut self, timeout: Duration, handler: &mut dyn FnMut(&[Completion])) -> Result<(), BrokerError> {
        match self {
            Self::Kafka(completions) => completions.poll(timeout, handler),
        }
    }

    fn take_warning(&mut self) -> Option<String> {
        match self {
            Self::Kafka(completions) => completions.take_warning(),
        }
    }
}
