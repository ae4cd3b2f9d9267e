//! A consumer of a stream, with as much on its way as fits into memory.
//!
//! RabbitMQ sends whole chunks, so up to one more than the window can be on its way.

use std::time::Duration;

use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use lapin::{Channel, Connection, Consumer};

use super::queue::{ANSWER, Offset, StreamQueue};
use crate::broker::BrokerError;
use crate::broker::amqp::connect::Connector;
use crate::broker::amqp::deliveries::{Ended, take};
use crate::broker::amqp::window::Window;

/// Reads on.
pub(super) struct Reader {
    connection: Connection,
    channel: Channel,
    consumer: Consumer,
    window: Window,
}

impl Reader {
    /// Connects, and begins at `position`.
    ///
    /// # Errors
    /// As [`StreamQueue::consume`].
    pub(super) fn open(queue: &StreamQueue, position: i64, budget_bytes: u64, prefetch: u16) -> Result<Self, BrokerError> {
        let connection = queue.connector.open(&queue.vhost, "stream", ANSWER)?;
        let window = Window::new(budget_bytes, prefetch);
        let (channel, consumer) = queue.consume(&connection, window.present(), Offset::At(position))?;
        Ok(Self { connection, channel, consumer, window })
    }

    /// What has come, and whether that was all. `None`: nothing did in time.
    pub(super) fn take(&mut self, connector: &Connector, most: usize, timeout: Duration) -> Option<(Vec<Delivery>, Option<Ended>)> {
        connector.within(timeout, take(&mut self.consumer, most))
    }

    /// No more is wanted.
    pub(super) fn end(&self, queue: &StreamQueue) {
        queue.hang_up(&self.connection);
    }

    /// These are done with: more may come. The next one is at `next`.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(super) fn credit(&mut self, queue: &StreamQueue, done: &[Delivery], next: i64) -> Result<(), BrokerError> {
        let Some(newest) = done.last() else { return Ok(()) };
        if self.window.came(done.len(), done.iter().map(|delivery| delivery.data.len()).sum()).is_some() {
            // A consumer keeps the window with which it was begun. What is on its way to this one comes again to the next.
            queue.close(&self.channel);
            (self.channel, self.consumer) = queue.consume(&self.connection, self.window.present(), Offset::At(next))?;
            return Ok(());
        }
        queue.wait(self.channel.basic_ack(newest.delivery_tag, BasicAckOptions { multiple: true }))
    }
}
