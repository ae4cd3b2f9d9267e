//! A session of a line: its connections, our queue declared and bound, the consumer begun.
//!
//! One connection consumes and asks; it never publishes, so that a memory alarm at the broker does not block it (L8). Another one
//! sends the canaries. Everything here waits for the broker, each step under a timeout.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lapin::options::{BasicConsumeOptions, BasicQosOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};

use super::bonds::{Bond, TRACE_EXCHANGE, Wanted};
use super::ours::OurQueue;
use crate::broker::BrokerError;
use crate::broker::amqp::arguments;
use crate::broker::amqp::connect::Connector;
use crate::broker::amqp::management::Management;
use crate::broker::amqp::prometheus::Prometheus;
use crate::broker::amqp::rights::{Needs, exactly};
use crate::broker::amqp::trouble::{code, code_of, failed, words_of};
use crate::broker::mirror::MirrorBy;

/// What a line is about, and whom it asks.
pub(super) struct Site {
    pub(super) link: u32,
    pub(super) vhost: String,
    /// All virtual hosts that are recorded.
    pub(super) vhosts: Vec<String>,
    pub(super) wanted: Wanted,
    pub(super) ours: OurQueue,
    /// The most deliveries on their way, and the bytes that they may take.
    pub(super) prefetch: u16,
    pub(super) budget_bytes: u64,
    pub(super) resync: Duration,
    pub(super) connector: Arc<Connector>,
    pub(super) management: Arc<Management>,
    pub(super) prometheus: Arc<Prometheus>,
    /// The time, nanoseconds since 1970.
    pub(super) clock: fn() -> i64,
}

/// The connections of a session.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) channel: Channel,
}

/// How long the broker may take for an answer.
const ANSWER: Duration = Duration::from_secs(10);

impl Site {
    pub(super) fn now_ns(&self) -> i64 {
        (self.clock)()
    }

    /// Connects.
    ///
    /// # Errors
    /// When nobody answers, or we are refused.
    pub(super) fn connect(&self, purpose: &str, timeout: Duration) -> Result<Session, BrokerError> {
        let connection = self.connector.open(&self.vhost, purpose, timeout)?;
        let channel = self.channel(&connection)?;
        Ok(Session { connection, channel })
    }

    /// A channel of its own: one that fails takes nothing else with it.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(super) fn channel(&self, connection: &Connection) -> Result<Channel, BrokerError> {
        self.wait(Step::Channel, connection.create_channel())
    }

    /// Waits for the broker's answer to a step.
    ///
    /// # Errors
    /// What it refused, or that it did not answer.
    pub(super) fn wait<T>(&self, step: Step<'_>, answer: impl Future<Output = lapin::Result<T>>) -> Result<T, BrokerError> {
        let request = || format!("{step} in virtual host {:?}", self.vhost);
        match self.connector.try_wait(ANSWER, &request, answer)? {
            Ok(answer) => Ok(answer),
            Err(error) if code_of(&error) == Some(code::ACCESS_REFUSED) => Err(self.lacks(step, &words_of(&error))),
            Err(error) => Err(failed(request(), &error)),
        }
    }

    /// The right that a step takes. Before 3.11 RabbitMQ says only of what: queue or exchange.
    fn lacks(&self, step: Step<'_>, words: &str) -> BrokerError {
        let ours = format!("queue {:?}", self.ours.name);
        let (operation, resource) = match step {
            // To make a queue with a dead-letter exchange takes the right to read it, and to write there.
            Step::Declare if words.contains("access to exchange") => ("write", format!("exchange \"{}.nowhere\"", self.ours.name)),
            Step::Declare => ("configure and read", ours),
            Step::Remove => ("configure", ours),
            Step::Bind(exchange) if words.contains("access to exchange") => ("read", format!("exchange {exchange:?}")),
            Step::Bind(_) => ("write", ours),
            Step::Canary => ("write", "the default exchange (for the canary, which goes into our queue only)".to_owned()),
            Step::Channel | Step::Look | Step::Consume => ("read", ours),
        };
        let asked = self.connector.opener().asked();
        asked.who.lacks(operation, resource, &self.vhost, &asked.needs)
    }

    /// How many messages wait in our queue; `None`: it is not there.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(super) fn waiting(&self, connection: &Connection) -> Result<Option<u32>, BrokerError> {
        let channel = self.channel(connection)?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let asked = channel.queue_declare(self.ours.name.as_str().into(), passive, FieldTable::default());
        let asked = async {
            match asked.await {
                Ok(queue) => Ok(Some(queue.message_count())),
                Err(error) if code_of(&error) == Some(code::NOT_FOUND) => Ok(None),
                Err(error) => Err(error),
            }
        };
        let waiting = self.wait(Step::Look, asked)?;
        if waiting.is_some() {
            self.wait(Step::Channel, channel.close(REPLY_SUCCESS, "".into()))?;
        }
        Ok(waiting)
    }

    /// Makes our queue, or finds it as it is to be.
    ///
    /// # Errors
    /// When there is one of that name with other bounds, or a right is missing.
    pub(super) fn declare(&self, channel: &Channel) -> Result<(), BrokerError> {
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        let name = &self.ours.name;
        let declared = self.wait(Step::Declare, channel.queue_declare(name.as_str().into(), options, self.ours.arguments()));
        match declared {
            Err(BrokerError::Request { request, reason, .. }) if reason.contains("PRECONDITION_FAILED") => Err(BrokerError::Request {
                request,
                reason: format!(
                    "there is one already, of an earlier capture with other bounds ({reason}); give it the same -X queue.…, or remove it, with what waits in it: {}",
                    self.ours.removal(&self.vhost)
                ),
                retryable: false,
            }),
            other => other.map(|_| ()),
        }
    }

    /// Makes and removes bindings of our queue.
    ///
    /// # Errors
    /// When a right is missing or an exchange is gone; `bound` says how far it came.
    pub(super) fn rebind(&self, channel: &Channel, bind: &[Bond], unbind: &[Bond], bound: &mut BTreeSet<Bond>) -> Result<(), BrokerError> {
        let queue = || self.ours.name.as_str().into();
        for bond in bind {
            let (source, key) = (bond.source.as_str().into(), bond.routing_key.as_str().into());
            self.wait(
                Step::Bind(&bond.source),
                channel.queue_bind(queue(), source, key, QueueBindOptions::default(), arguments::table(&bond.arguments())),
            )?;
            bound.insert(bond.clone());
        }
        for bond in unbind {
            let (source, key) = (bond.source.as_str().into(), bond.routing_key.as_str().into());
            self.wait(Step::Bind(&bond.source), channel.queue_unbind(queue(), source, key, arguments::table(&bond.arguments())))?;
            bound.remove(bond);
        }
        Ok(())
    }

    /// Begins to consume.
    ///
    /// # Errors
    /// When a right is missing.
    pub(super) fn consume(&self, channel: &Channel, prefetch: u16) -> Result<Consumer, BrokerError> {
        self.wait(Step::Consume, channel.basic_qos(prefetch, BasicQosOptions::default()))?;
        let (queue, tag) = (self.ours.name.as_str().into(), CONSUMER.into());
        self.wait(Step::Consume, channel.basic_consume(queue, tag, BasicConsumeOptions::default(), FieldTable::default()))
    }

    /// Removes our queue, and all that waits in it.
    ///
    /// # Errors
    /// How to do it by hand.
    pub(super) fn remove(&self, connection: &Connection) -> Result<(), BrokerError> {
        let removed = self.channel(connection).and_then(|channel| {
            self.wait(Step::Remove, channel.queue_delete(self.ours.name.as_str().into(), QueueDeleteOptions::default()))
        });
        removed.map(|_| ()).map_err(|error| self.not_removed(&error))
    }

    pub(super) fn not_removed(&self, error: &BrokerError) -> BrokerError {
        BrokerError::Request {
            request: format!("removing our queue from virtual host {:?}", self.vhost),
            reason: format!("{error}; to do it by hand: {}", self.ours.removal(&self.vhost)),
            retryable: false,
        }
    }
}

/// What a user must be allowed, to record what is wanted.
pub(super) fn needs(wanted: &Wanted) -> Needs {
    let own = r"dejaq\..*";
    let read = match wanted.mode {
        MirrorBy::Firehose => exactly([TRACE_EXCHANGE]),
        _ if wanted.exchanges.has_patterns() => ".*".to_owned(),
        _ => exactly(wanted.exchanges.names().iter().map(String::as_str)),
    };
    Needs { configure: format!("^{own}$"), write: format!("^({own}|amq\\.default)$"), read: format!("^{own}$|{read}") }
}

/// The consumer's tag.
pub(super) const CONSUMER: &str = "dejaq";
/// The code of a connection or channel that is closed because it is not needed any more.
pub(super) const REPLY_SUCCESS: u16 = 200;

/// What is asked of the broker.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step<'a> {
    Channel,
    Look,
    Declare,
    Bind(&'a str),
    Consume,
    Canary,
    Remove,
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Channel => "opening a channel",
            Self::Look => "looking for our queue",
            Self::Declare => "making our queue",
            Self::Bind(exchange) => return write!(f, "binding our queue to exchange {exchange:?}"),
            Self::Consume => "consuming from our queue",
            Self::Canary => "sending the canary",
            Self::Remove => "removing our queue",
        })
    }
}
