//! A stream queue, and what is asked about it.

use std::sync::Arc;
use std::time::Duration;

use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, Consumer};

use super::OFFSET_HEADER;
use crate::broker::BrokerError;
use crate::broker::amqp::asking::{no_such_queue, queue_now};
use crate::broker::amqp::connect::{Connector, REPLY_SUCCESS};
use crate::broker::amqp::management::{Management, QueueStatus};
use crate::broker::amqp::trouble::{code, code_of, failed};

/// How long the broker may take for an answer.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// The consumer's tag.
const CONSUMER: &str = "dejaq";
/// What streams are called among the kinds of queues.
const STREAM: &str = "stream";

/// A stream queue.
pub(super) struct StreamQueue {
    // Dropped before what it runs on.
    asking: Option<Arc<Connection>>,
    management: Management,
    pub(super) connector: Arc<Connector>,
    pub(super) vhost: String,
    pub(super) name: String,
}

/// Where a consumer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offset {
    /// At the first message.
    First,
    /// At the last chunk: what was written at once.
    Last,
    /// At the first chunk that was written at or after this time (seconds since 1970).
    Time(u64),
    /// At this offset.
    At(i64),
}

impl Offset {
    fn argument(self) -> AMQPValue {
        match self {
            Self::First => AMQPValue::LongString("first".into()),
            Self::Last => AMQPValue::LongString("last".into()),
            Self::Time(seconds) => AMQPValue::Timestamp(seconds),
            Self::At(offset) => AMQPValue::LongLongInt(offset),
        }
    }
}

/// The offset of a delivery; `None`: it is not from a stream.
pub(super) fn offset_of(delivery: &Delivery) -> Option<i64> {
    match delivery.properties.headers().as_ref()?.inner().get(OFFSET_HEADER)? {
        AMQPValue::LongLongInt(offset) => Some(*offset),
        _ => None,
    }
}

impl StreamQueue {
    /// Signs in.
    ///
    /// # Errors
    /// Why the broker does not take us.
    pub(super) fn connect(connector: Arc<Connector>, vhost: String, name: String, timeout: Duration) -> Result<Self, BrokerError> {
        let asking = Some(Arc::new(connector.open(&vhost, "questions", timeout)?));
        Ok(Self { asking, management: connector.management()?, connector, vhost, name })
    }

    /// The queue, for people.
    pub(super) fn words(&self) -> String {
        format!("stream queue {:?} of virtual host {:?}", self.name, self.vhost)
    }

    /// What holds of the queue right now: it is there, and it is a stream. Any other kind would be consumed by reading it.
    ///
    /// # Errors
    /// [`BrokerError::UnknownTopic`]; when it is of another kind; when the management API does not say.
    pub(super) fn status(&self) -> Result<QueueStatus, BrokerError> {
        match self.management.queue(&self.vhost, &self.name)? {
            None => Err(BrokerError::UnknownTopic {
                topic: self.name.clone(),
                cluster: self.words(),
                hint: format!(": there is no queue of that name in virtual host {:?}", self.vhost),
            }),
            Some(status) if status.kind == STREAM => Ok(status),
            Some(status) => Err(BrokerError::Request {
                request: format!("reading queue {:?} of virtual host {:?} as a stream", self.name, self.vhost),
                reason: format!(
                    "it is a {} queue: reading would take its messages from production; record the exchanges it is bound to (--exchanges)",
                    status.kind
                ),
                retryable: false,
            }),
        }
    }

    /// It seems to be empty, where this offset was to come.
    pub(super) fn emptied(&self, next: i64) -> BrokerError {
        BrokerError::Request {
            request: format!("reading {} from offset {next}", self.words()),
            reason: "it seems to be empty: the node may have been started just now, or the queue was made anew".to_owned(),
            retryable: true,
        }
    }

    /// The arguments that it was declared with, and what policies say.
    ///
    /// # Errors
    /// As [`StreamQueue::status`].
    pub(super) fn settings(&self) -> Result<Vec<(String, String)>, BrokerError> {
        let status = self.status()?;
        let all = [Some(status.arguments), status.effective_policy_definition].into_iter().flatten();
        let texts = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Ok(all
            .filter_map(|settings| settings.as_object().map(|o| o.iter().map(|(k, v)| (k.clone(), texts(v))).collect::<Vec<_>>()))
            .flatten()
            .collect())
    }

    /// A connection for questions. One of its own: a message that the client cannot read takes its connection with it.
    ///
    /// # Errors
    /// When nobody answers.
    pub(super) fn asking(&mut self) -> Result<Arc<Connection>, BrokerError> {
        if let Some(connection) = self.asking.as_ref().filter(|connection| connection.status().connected()) {
            return Ok(Arc::clone(connection));
        }
        let connection = Arc::new(self.connector.open(&self.vhost, "questions", ANSWER)?);
        self.asking = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// How many messages the broker thinks are in it. Some seconds old.
    ///
    /// # Errors
    /// When nobody answers.
    pub(super) fn messages(&mut self) -> Result<u32, BrokerError> {
        let connection = self.asking()?;
        let now = queue_now(&self.connector, &connection, &self.name, ANSWER)?;
        now.map(|queue| queue.ready).ok_or_else(|| no_such_queue(&self.vhost, &self.name))
    }

    /// Begins to consume, on a channel of its own.
    ///
    /// # Errors
    /// When the user may not, or the queue has no node that could be read from.
    pub(super) fn consume(&self, connection: &Connection, prefetch: u16, from: Offset) -> Result<(Channel, Consumer), BrokerError> {
        let channel = self.connector.channel(connection, ANSWER)?;
        self.wait(channel.basic_qos(prefetch, BasicQosOptions::default()))?;
        let mut arguments = FieldTable::default();
        arguments.insert(OFFSET_HEADER.into(), from.argument());
        let (queue, tag) = (self.name.as_str().into(), CONSUMER.into());
        let consumer = self.wait(channel.basic_consume(queue, tag, BasicConsumeOptions::default(), arguments))?;
        Ok((channel, consumer))
    }

    /// Waits for an answer.
    ///
    /// # Errors
    /// The right that is missing; what else the broker says.
    pub(super) fn wait<T>(&self, answer: impl Future<Output = lapin::Result<T>>) -> Result<T, BrokerError> {
        let request = || format!("reading {}", self.words());
        match self.connector.try_wait(ANSWER, &request, answer)? {
            Ok(answer) => Ok(answer),
            Err(error) if code_of(&error) == Some(code::ACCESS_REFUSED) => {
                let asked = self.connector.opener().asked();
                Err(asked.who.lacks("read", format!("queue {:?}", self.name), &self.vhost, &asked.needs))
            }
            Err(error) => Err(failed(request(), &error)),
        }
    }

    /// A channel is not needed any more.
    pub(super) fn close(&self, channel: &Channel) {
        // One that is gone already is closed, too.
        let _ = self.wait(channel.close(REPLY_SUCCESS, "".into()));
    }

    /// A connection is not needed any more.
    pub(super) fn hang_up(&self, connection: &Connection) {
        if connection.status().connected() {
            // As above.
            let _ = self.wait(connection.close(REPLY_SUCCESS, "".into()));
        }
    }
}

impl Drop for StreamQueue {
    fn drop(&mut self) {
        if let Some(connection) = self.asking.take() {
            self.hang_up(&connection);
        }
    }
}
