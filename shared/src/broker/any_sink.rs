//! A target of any broker: one arm each. To add a broker, add an arm here and its folder.

use std::time::Duration;

use super::BrokerError;
#[cfg(feature = "amqp")]
use super::amqp::sink::{AmqpCompletions, AmqpSink, AmqpTarget};
use super::endpoint::Endpoint;
#[cfg(feature = "kafka")]
use super::kafka::sink::{KafkaCompletions, KafkaSink, KafkaTarget};
use super::sink::{Completion, Completions, Destination, NewTopic, Outgoing, Refusal, Sink, SinkOptions, TargetKind, TargetTopic};

/// A connected target of any broker, before the first message.
#[non_exhaustive]
pub enum AnyTarget {
    /// Kafka.
    #[cfg(feature = "kafka")]
    Kafka(Box<KafkaTarget>),
    /// RabbitMQ.
    #[cfg(feature = "amqp")]
    Amqp(Box<AmqpTarget>),
}

/// The submitting half of any broker.
#[non_exhaustive]
pub enum AnySink {
    /// Kafka.
    #[cfg(feature = "kafka")]
    Kafka(KafkaSink),
    /// RabbitMQ.
    #[cfg(feature = "amqp")]
    Amqp(Box<AmqpSink>),
}

/// The completing half of any broker.
#[non_exhaustive]
pub enum AnyCompletions {
    /// Kafka.
    #[cfg(feature = "kafka")]
    Kafka(Box<KafkaCompletions>),
    /// RabbitMQ.
    #[cfg(feature = "amqp")]
    Amqp(Box<AmqpCompletions>),
}

impl AnyTarget {
    /// Connects, and waits for the first answer. Nothing is sent.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answered in `timeout`; others at once.
    pub fn connect(endpoint: &Endpoint, options: &SinkOptions, timeout: Duration) -> Result<Self, BrokerError> {
        match endpoint {
            #[cfg(feature = "kafka")]
            Endpoint::Kafka(endpoint) => KafkaTarget::connect(endpoint, options, timeout).map(|target| Self::Kafka(Box::new(target))),
            #[cfg(feature = "amqp")]
            Endpoint::Amqp(endpoint) => AmqpTarget::connect(endpoint, options, timeout).map(|target| Self::Amqp(Box::new(target))),
            #[cfg(not(all(feature = "kafka", feature = "amqp")))]
            other => {
                Err(BrokerError::Unsupported { endpoint: other.to_string(), reason: "this build of dejaq does not speak to that broker" })
            }
        }
    }

    /// Which broker it is.
    #[must_use]
    pub fn kind(&self) -> TargetKind {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => TargetKind::Kafka,
            #[cfg(feature = "amqp")]
            Self::Amqp(_) => TargetKind::RabbitMq,
        }
    }

    /// The cluster's own identity.
    #[must_use]
    pub fn cluster(&self) -> &str {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(target) => target.cluster(),
            #[cfg(feature = "amqp")]
            Self::Amqp(target) => target.cluster(),
        }
    }

    /// What holds of the client's settings when it sends to these topics: `(name, value)`, secrets as `***`.
    #[must_use]
    #[cfg_attr(not(feature = "kafka"), expect(unused_variables, reason = "topics and their settings are Kafka's"))]
    pub fn describe(&self, topics: &[TargetTopic]) -> Vec<(String, String)> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(target) => target.describe(topics),
            #[cfg(feature = "amqp")]
            Self::Amqp(target) => target.describe(),
        }
    }

    /// How many replicas of a new topic the cluster keeps by default; `None` when it does not tell.
    ///
    /// # Errors
    /// When the cluster does not answer in `timeout`.
    #[cfg_attr(not(feature = "kafka"), expect(unused_variables, reason = "topics and their settings are Kafka's"))]
    pub fn default_replicas(&self, timeout: Duration) -> Result<Option<u32>, BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(target) => target.default_replicas(timeout),
            #[cfg(feature = "amqp")]
            Self::Amqp(_) => Ok(None),
        }
    }

    /// Asks whether the cluster would create these topics; one that cannot be asked is taken to say yes.
    ///
    /// # Errors
    /// When it refuses one of them, or does not answer in `timeout`.
    #[cfg_attr(not(feature = "kafka"), expect(unused_variables, reason = "topics and their settings are Kafka's"))]
    pub fn would_create(&self, topics: &[NewTopic], timeout: Duration) -> Result<(), BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(target) => target.would_create(topics, timeout),
            #[cfg(feature = "amqp")]
            Self::Amqp(_) => no_topics(topics),
        }
    }

    /// What is known of these topics or exchanges, in the order asked.
    ///
    /// # Errors
    /// When the cluster does not answer in `timeout`, or refuses.
    pub fn topics(&self, destinations: &[Destination], timeout: Duration) -> Result<Vec<TargetTopic>, BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(target) => target.topics(&names(destinations), timeout),
            #[cfg(feature = "amqp")]
            Self::Amqp(target) => target.exchanges(destinations, timeout),
        }
    }

    /// What people should know of the questions asked so far: settings that the user may not see.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(target) => target.notes(),
            #[cfg(feature = "amqp")]
            Self::Amqp(_) => Vec::new(),
        }
    }

    /// Creates topics and waits until they are there.
    ///
    /// # Errors
    /// When the cluster refuses one of them, or `timeout` is over.
    #[cfg_attr(not(feature = "kafka"), expect(unused_variables, reason = "topics and their settings are Kafka's"))]
    pub fn create_topics(&self, topics: &[NewTopic], timeout: Duration) -> Result<(), BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(target) => target.create_topics(topics, timeout),
            #[cfg(feature = "amqp")]
            Self::Amqp(_) => no_topics(topics),
        }
    }

    /// Makes what a recording's topology (its attachment) has and the target has not; says what was made, and what was left out.
    ///
    /// # Errors
    /// When the target is no RabbitMQ, `snapshot` is no topology, the user may not, or nobody answers in `timeout`.
    #[cfg_attr(not(feature = "amqp"), expect(unused_variables, reason = "a topology is RabbitMQ's"))]
    pub fn create_topology(&self, snapshot: &[u8], timeout: Duration) -> Result<Vec<String>, BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(_) => Err(BrokerError::Request {
                request: "making a recording's topology".to_owned(),
                reason: "it is RabbitMQ's; Kafka's topics are made by --create-topics".to_owned(),
                retryable: false,
            }),
            #[cfg(feature = "amqp")]
            Self::Amqp(target) => target.create_topology(snapshot, timeout),
        }
    }

    /// Begins to publish to these topics or exchanges; a [`TargetIx`](super::sink::TargetIx) counts them.
    ///
    /// # Errors
    /// When one of them is not there, or the cluster does not answer in `timeout`.
    pub fn open(self, destinations: &[Destination], timeout: Duration) -> Result<(AnySink, AnyCompletions), BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(target) => {
                let (sink, completions) = target.open(&names(destinations), timeout)?;
                Ok((AnySink::Kafka(sink), AnyCompletions::Kafka(Box::new(completions))))
            }
            #[cfg(feature = "amqp")]
            Self::Amqp(target) => {
                let (sink, completions) = target.open(destinations, timeout)?;
                Ok((AnySink::Amqp(Box::new(sink)), AnyCompletions::Amqp(Box::new(completions))))
            }
        }
    }
}

/// RabbitMQ has none to create: what it has is made from a recording's topology.
#[cfg(feature = "amqp")]
fn no_topics(topics: &[NewTopic]) -> Result<(), BrokerError> {
    match topics.first() {
        None => Ok(()),
        Some(topic) => Err(BrokerError::Request {
            request: format!("creating topic {:?}", topic.name),
            reason: "topics are Kafka's; exchanges and queues are made by --create-topology".to_owned(),
            retryable: false,
        }),
    }
}

/// The names of Kafka's topics.
#[cfg(feature = "kafka")]
fn names(destinations: &[Destination]) -> Vec<String> {
    destinations.iter().map(|destination| destination.name.clone()).collect()
}

impl AnySink {
    /// Sends what the client holds back, and waits at most `timeout` until all is answered. The other half must be polled
    /// meanwhile.
    pub fn flush(&self, timeout: Duration) {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(sink) => sink.flush(timeout),
            #[cfg(feature = "amqp")]
            Self::Amqp(sink) => sink.flush(timeout),
        }
    }

    /// Gives up on every message that is not answered yet: their completions come at once.
    pub fn give_up(&self) {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(sink) => sink.give_up(),
            #[cfg(feature = "amqp")]
            Self::Amqp(sink) => sink.give_up(),
        }
    }
}

impl Sink for AnySink {
    #[inline]
    fn submit(&mut self, message: &Outgoing<'_>) -> Result<(), Refusal> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(sink) => sink.submit(message),
            #[cfg(feature = "amqp")]
            Self::Amqp(sink) => sink.submit(message),
        }
    }

    fn in_flight(&self) -> usize {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(sink) => sink.in_flight(),
            #[cfg(feature = "amqp")]
            Self::Amqp(sink) => sink.in_flight(),
        }
    }
}

impl Completions for AnyCompletions {
    fn poll(&mut self, timeout: Duration, handler: &mut dyn FnMut(&[Completion])) -> Result<(), BrokerError> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(completions) => completions.poll(timeout, handler),
            #[cfg(feature = "amqp")]
            Self::Amqp(completions) => completions.poll(timeout, handler),
        }
    }

    fn take_warning(&mut self) -> Option<String> {
        match self {
            #[cfg(feature = "kafka")]
            Self::Kafka(completions) => completions.take_warning(),
            #[cfg(feature = "amqp")]
            Self::Amqp(completions) => completions.take_warning(),
        }
    }
}
