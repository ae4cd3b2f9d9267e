//! A Kafka cluster that is about to be published to: who it is, which topics it has, and the making of topics.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::config::{self, Properties};
use super::connect::{Connected, connect};
use super::ffi::admin::{About, Created};
use super::ffi::topics::Operation;
use super::ffi::{Code, Role, TopicHandle};
use super::rights::Right;
use super::sink::{KafkaCompletions, KafkaSink};
use crate::broker::BrokerError;
use crate::broker::endpoint::KafkaEndpoint;
use crate::broker::sink::{NewTopic, SinkOptions, TargetTopic, TopicTimes};
use crate::broker::topic_settings;

/// The properties that shape what the target sees, by the names that the client gives back.
const SHAPING: [&str; 7] = [
    "acks",
    "batch.num.messages",
    "batch.size",
    "compression.type",
    "enable.idempotence",
    "linger.ms",
    "max.in.flight.requests.per.connection",
];

/// A connected cluster, before the first message.
pub struct KafkaTarget {
    connected: Connected,
    properties: Properties,
    endpoint: KafkaEndpoint,
    /// What could not be asked for lack of a right.
    notes: Mutex<BTreeSet<String>>,
}

impl KafkaTarget {
    /// Connects, and waits for the cluster's first answer. Nothing is sent.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answered in `timeout`; at once when the user is refused, TLS fails, there is no
    /// valid token, or a property is refused.
    pub fn connect(endpoint: &KafkaEndpoint, options: &SinkOptions, timeout: Duration) -> Result<Self, BrokerError> {
        Self::with_properties(endpoint, config::sink_properties(endpoint, options)?, timeout)
    }

    fn with_properties(endpoint: &KafkaEndpoint, properties: Properties, timeout: Duration) -> Result<Self, BrokerError> {
        let connected = connect(Role::Producer, endpoint, &properties, timeout)?;
        Ok(Self { connected, properties, endpoint: endpoint.clone(), notes: Mutex::default() })
    }

    /// The cluster's own identity.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.connected.cluster
    }

    /// What people should know of the questions asked so far: settings that the user may not see.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// What holds of the properties that shape the sending to these topics, the client's own defaults included, and of every
    /// other one that dejaq or the person set; secrets as `***`.
    #[must_use]
    pub fn describe(&self, topics: &[TargetTopic]) -> Vec<(String, String)> {
        let fitted = self.fitted(topics);
        let properties = fitted.as_ref().unwrap_or(&self.properties);
        let mut all = properties.describe();
        for name in SHAPING {
            if properties.get(name).is_none()
                && let Some(value) = self.connected.client.property(name)
            {
                all.push((name.to_owned(), value));
            }
        }
        all.sort_unstable();
        all
    }

    /// The properties with batches that fit the topic that takes least; `None` when they fit already.
    fn fitted(&self, topics: &[TargetTopic]) -> Option<Properties> {
        self.properties.with_batches_of(topics.iter().filter_map(|topic| topic.message_bytes_max).min()?)
    }

    /// How many replicas of a new topic the cluster keeps by default; `None` when it does not tell.
    ///
    /// # Errors
    /// When the cluster does not answer in `timeout`.
    pub fn default_replicas(&self, timeout: Duration) -> Result<Option<u32>, BrokerError> {
        let settings = self.connected.client.broker_settings(timeout)?.unwrap_or_default();
        let value = settings.into_iter().find(|(name, _, _)| name == "default.replication.factor").and_then(|(_, value, _)| value);
        Ok(value.and_then(|value| value.parse().ok()))
    }

    /// What is known of these topics, in the order asked. What is there must be open to writing, too.
    ///
    /// # Errors
    /// When the cluster does not answer in `timeout`, or refuses one of them: [`BrokerError::MissingRight`].
    pub fn topics(&self, names: &[String], timeout: Duration) -> Result<Vec<TargetTopic>, BrokerError> {
        let mut topics = Vec::with_capacity(names.len());
        for name in names {
            let handle = TopicHandle::new(&self.connected.client, name)?;
            let partitions = self.partitions(name, &handle, timeout)?;
            topics.push(TargetTopic { name: name.clone(), partitions, message_bytes_max: None, times: TopicTimes::default() });
        }
        let there: Vec<&str> = topics.iter().filter(|t| t.partitions.is_some()).map(|t| t.name.as_str()).collect();
        let closed = self.connected.client.not_permitted(&there, Operation::Write, timeout)?;
        if !closed.is_empty() {
            return Err(self.connected.who.lacks(Right::Write, &closed, Right::Write));
        }
        let settings = self.connected.client.topic_settings(&there, timeout)?;
        let refused: Vec<&str> =
            settings.iter().filter(|(_, s)| matches!(s, Err(Code::TOPIC_AUTHORIZATION_FAILED))).map(|(name, _)| name.as_str()).collect();
        if !refused.is_empty() {
            let lacks = self.connected.who.lacks(Right::DescribeConfigs, &refused, Right::DescribeConfigs);
            let note = format!("the largest message that a topic takes is not known: {lacks}");
            self.notes.lock().unwrap_or_else(PoisonError::into_inner).insert(note);
        }
        for (name, settings) in settings {
            let Ok(settings) = settings else { continue };
            let get = |name: &str| settings.iter().find(|(key, _, _)| key == name).and_then(|(_, value, _)| value.as_deref());
            if let Some(topic) = topics.iter_mut().find(|t| t.name == name) {
                topic.message_bytes_max = get("max.message.bytes").and_then(|v| v.parse().ok());
                topic.times = topic_settings::times(&get);
            }
        }
        Ok(topics)
    }

    /// Asks whether the cluster would create these topics; one that cannot be asked is taken to say yes.
    ///
    /// # Errors
    /// When it refuses one of them, or does not answer in `timeout`.
    pub fn would_create(&self, topics: &[NewTopic], timeout: Duration) -> Result<(), BrokerError> {
        match self.connected.client.create_topics(topics, true, timeout)? {
            Ok(answers) => self.all_created(answers),
            Err(Code::UNSUPPORTED_FEATURE) => Ok(()),
            Err(code) => Err(code.request_error("asking whether topics can be created".to_owned())),
        }
    }

    /// Creates topics, replicated as the cluster does by default, and waits until they are there. One that somebody else has
    /// made meanwhile (another machine of the same run) is left as it is.
    ///
    /// # Errors
    /// When the cluster refuses one of them (the others may be there then), or `timeout` is over.
    pub fn create_topics(&self, topics: &[NewTopic], timeout: Duration) -> Result<(), BrokerError> {
        let deadline = Instant::now() + timeout;
        let answers = self.connected.client.create_topics(topics, false, timeout)?;
        self.all_created(answers.map_err(|code| code.request_error("creating topics".to_owned()))?)?;
        for topic in topics {
            let handle = TopicHandle::new(&self.connected.client, &topic.name)?;
            while self.partitions(&topic.name, &handle, timeout)?.is_none() {
                let Some(left) = deadline.checked_duration_since(Instant::now()) else {
                    return Err(Code::TIMED_OUT.request_error(format!("waiting for the new topic {:?}", topic.name)));
                };
                std::thread::sleep(left.min(Duration::from_millis(50)));
            }
        }
        Ok(())
    }

    /// Begins to publish to these topics; a [`TargetIx`](crate::broker::sink::TargetIx) counts them. All metadata is had
    /// before this returns, so that the first message does not wait for it.
    ///
    /// A topic may take less at once than the client batches; the broker would then refuse whole batches of messages that
    /// are small each. So batches are made no larger than the smallest topic takes, unless the person set `batch.size`.
    ///
    /// # Errors
    /// [`BrokerError::UnknownTopic`]; when the cluster does not answer in `timeout`.
    pub fn open(mut self, topics: &[String], timeout: Duration) -> Result<(KafkaSink, KafkaCompletions), BrokerError> {
        if let Some(properties) = self.fitted(&self.topics(topics, timeout)?) {
            self = Self::with_properties(&self.endpoint, properties, timeout)?;
        }
        let mut handles = Vec::with_capacity(topics.len());
        for name in topics {
            let handle = TopicHandle::new(&self.connected.client, name)?;
            if self.partitions(name, &handle, timeout)?.is_none() {
                let hint = ": create it first, or map it to one that exists (--map OLD=NEW)".to_owned();
                return Err(BrokerError::UnknownTopic { topic: name.clone(), cluster: self.connected.cluster, hint });
            }
            handles.push(handle);
        }
        Ok(super::sink::halves(self.connected, handles))
    }

    /// How many partitions a topic has; `None` when it is not there.
    fn partitions(&self, name: &str, handle: &TopicHandle, timeout: Duration) -> Result<Option<u32>, BrokerError> {
        let request = || format!("asking for topic {name:?}");
        let found = self.connected.client.metadata(About::Topic(handle), timeout).map_err(|code| code.request_error(request()))?;
        let Some(topic) = found.into_iter().find(|t| t.name == name) else { return Ok(None) };
        match topic.code {
            Code::NONE => Ok(Some(u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX))),
            Code::UNKNOWN_TOPIC_OR_PARTITION | Code::UNKNOWN_TOPIC => Ok(None),
            // Just created: no leader yet.
            Code::LEADER_NOT_AVAILABLE => Ok(None),
            Code::TOPIC_AUTHORIZATION_FAILED => Err(self.connected.who.lacks(Right::Describe, &[name], Right::Write)),
            code => Err(code.request_error(request())),
        }
    }

    /// The first refusal among the answers.
    fn all_created(&self, answers: Created) -> Result<(), BrokerError> {
        for (name, code, reason) in answers {
            if code == Code::NONE || code == Code::TOPIC_ALREADY_EXISTS {
                continue;
            }
            if matches!(code, Code::TOPIC_AUTHORIZATION_FAILED | Code::CLUSTER_AUTHORIZATION_FAILED) {
                return Err(self.connected.who.lacks(Right::Create, &[&name], Right::Create));
            }
            let mut reason = if reason.is_empty() { code.text() } else { reason };
            if matches!(code, Code::INVALID_CONFIG | Code::POLICY_VIOLATION) {
                reason.push_str("; make the topic yourself with settings that this cluster takes, and leave --create-topics out");
            }
            return Err(BrokerError::Request { request: format!("creating topic {name:?}"), reason, retryable: code.is_retryable() });
        }
        Ok(())
    }
}
