//! How much waits in a queue of RabbitMQ.
//!
//! Guarantees: nothing is consumed, made or changed. What is ready is asked of the queue itself, on a connection of its own, and true
//! when it is told. What consumers hold unacknowledged no question of AMQP tells: it comes from the management API's statistics,
//! which RabbitMQ brings up to date every 5 s, where that API answers the user; so the two are never added up.

use std::time::Duration;

use lapin::Connection;

use super::asking::{QueueNow, no_such_queue, place, queue_now};
use super::config::Settings;
use super::connect::{Connector, REPLY_SUCCESS};
use super::management::Management;
use super::rights::Needs;
use crate::broker::BrokerError;
use crate::broker::backlog::{Backlog, Membership, QueueDepth, Waiting};
use crate::broker::endpoint::AmqpEndpoint;
use crate::broker::source::SourceOptions;

/// What the connection is called at the broker.
const PURPOSE: &str = "lag";
/// The statistics are asked for at each of so many looks: they do not change more often.
const STATISTICS_EVERY: u64 = 5;
/// How long they may take.
const STATISTICS_TIMEOUT: Duration = Duration::from_secs(1);
/// How long saying good-bye may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A queue that is looked at.
pub struct AmqpQueue {
    // Dropped before what it runs on.
    connection: Option<Connection>,
    connector: Connector,
    vhost: String,
    name: String,
    /// `None`: it does not answer the user.
    management: Option<Management>,
    looks: u64,
    unacknowledged: Option<u64>,
}

impl AmqpQueue {
    /// Connects, and looks whether the queue is there. It is of the URL's virtual host; where that names none, `VHOST/QUEUE` is of
    /// another than `/`.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answered in `timeout`; at once when the user is refused, or the queue is not there.
    pub fn connect(endpoint: &AmqpEndpoint, named: &str, options: &SourceOptions, timeout: Duration) -> Result<Self, BrokerError> {
        let (vhost, name) = place(endpoint, named);
        let connector = Connector::new(endpoint, Settings::of(endpoint, &options.user)?, Needs::default())?;
        let management = connector.management()?.within(STATISTICS_TIMEOUT);
        let told = management.queue(vhost, name);
        let mut queue = Self {
            connection: None,
            vhost: vhost.to_owned(),
            name: name.to_owned(),
            management: told.is_ok().then_some(management),
            connector,
            looks: 0,
            unacknowledged: None,
        };
        queue.waiting(timeout)?;
        Ok(queue)
    }

    /// How the queue stands now, on a connection that is made anew where it was lost.
    fn now(&mut self, timeout: Duration) -> Result<QueueNow, BrokerError> {
        let connected = self.connection.take().filter(|connection| connection.status().connected());
        let connection = connected.map_or_else(|| self.connector.open(&self.vhost, PURPOSE, timeout), Ok)?;
        let now = queue_now(&self.connector, self.connection.insert(connection), &self.name, timeout)?;
        now.ok_or_else(|| no_such_queue(&self.vhost, &self.name))
    }
}

impl Backlog for AmqpQueue {
    fn waiting(&mut self, timeout: Duration) -> Result<Waiting, BrokerError> {
        let now = self.now(timeout)?;
        if self.looks.is_multiple_of(STATISTICS_EVERY) {
            let told = self.management.as_ref().and_then(|management| management.queue(&self.vhost, &self.name).ok().flatten());
            self.unacknowledged = told.and_then(|queue| queue.messages_unacknowledged);
        }
        self.looks += 1;
        Ok(Waiting::Queue(QueueDepth { ready: u64::from(now.ready), unacknowledged: self.unacknowledged }))
    }

    fn membership(&mut self, _timeout: Duration) -> Result<Option<Membership>, BrokerError> {
        Ok(None)
    }
}

impl Drop for AmqpQueue {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|connection| connection.status().connected()) {
            // One that is gone already is closed, too.
            let _ = self.connector.within(CLOSE_TIMEOUT, connection.close(REPLY_SUCCESS, "".into()));
        }
    }
}
