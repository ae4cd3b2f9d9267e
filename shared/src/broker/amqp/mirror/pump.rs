//! What runs beside the line's thread while a session is up: the pump takes deliveries from the client, the acknowledger sends
//! acknowledgements in order, the canary's sender sends. They decide nothing.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Consumer, PublisherConfirm};
use tokio::sync::mpsc::{Sender, UnboundedReceiver, UnboundedSender};

use super::canary::{KIND, Token};
use super::session::CONSUMER;
use crate::broker::amqp::deliveries::{Ended, take};
use crate::broker::amqp::trouble::words_of;
use crate::broker::amqp::window::Window;
use crate::broker::mirror::MirrorNotice;

/// The most deliveries in one batch.
const BATCH_MAX: usize = 256;
/// How often a canary is sent.
const CANARY_INTERVAL: Duration = Duration::from_millis(100);
/// A message that lives no longer than its queue.
const TRANSIENT: u8 = 1;

/// What reaches the thread that polls.
#[derive(Debug)]
pub(super) enum Event {
    /// A connection of this link stands: acknowledgements of its deliveries go here.
    Up { link: u32, generation: u32, acknowledge: UnboundedSender<Acknowledge> },
    /// Deliveries, in order.
    Batch { link: u32, generation: u32, deliveries: Vec<Delivery> },
    /// Something else.
    Notice(MirrorNotice),
}

/// An acknowledgement. They are sent in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Acknowledge {
    /// This delivery alone: a canary, or what cannot be recorded.
    One(u64),
    /// This one and all before it.
    UpTo(u64),
}

/// What reaches the line's thread.
#[derive(Debug)]
pub(super) enum Signal {
    /// A canary came; its message id.
    Canary(String),
    /// The pump of this generation has ended.
    Ended { generation: u32, end: End },
    /// The capture ends; our queue is removed, or left for the next one.
    Stop { remove: bool },
}

/// Why a pump ended.
#[derive(Debug)]
pub(super) enum End {
    /// The broker has cancelled the consumer: the queue is gone, or has moved.
    Cancelled,
    /// The connection or the channel is gone.
    Broken(lapin::Error),
    /// Nobody polls any more.
    Unwanted,
}

impl From<Ended> for End {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Cancelled => Self::Cancelled,
            Ended::Broken(error) => Self::Broken(error),
        }
    }
}

/// Which tags are acknowledged: all up to one, and single ones after it. Pure.
#[derive(Debug, Default)]
struct Acknowledged {
    up_to: u64,
    single: BTreeSet<u64>,
}

impl Acknowledged {
    fn note(&mut self, tags: Acknowledge) {
        match tags {
            Acknowledge::One(tag) => {
                self.single.insert(tag);
            }
            Acknowledge::UpTo(tag) => {
                self.up_to = self.up_to.max(tag);
                self.single = self.single.split_off(&(tag + 1));
            }
        }
        while self.single.remove(&(self.up_to + 1)) {
            self.up_to += 1;
        }
    }
}

/// Takes deliveries, and hands them on in batches.
pub(super) struct Pump {
    pub(super) link: u32,
    pub(super) generation: u32,
    pub(super) queue: String,
    pub(super) consumer: Consumer,
    /// Where the consumer was begun.
    pub(super) channel: Channel,
    /// How many may be on their way.
    pub(super) window: Window,
    pub(super) acknowledge: UnboundedSender<Acknowledge>,
    pub(super) events: Sender<Event>,
    pub(super) signals: std::sync::mpsc::Sender<Signal>,
    /// The tag of the newest canary.
    pub(super) canary: Option<u64>,
    /// Whether the consumer was told to end, for another window.
    pub(super) turning: bool,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("the broker ended our consumer: the queue was removed, or has moved"),
            Self::Broken(error) => write!(f, "the connection ended: {}", words_of(error)),
            Self::Unwanted => f.write_str("the consumer was ended"),
        }
    }
}

impl Pump {
    /// Runs until the consumer ends.
    pub(super) async fn run(mut self) {
        let end = self.pump().await;
        // A line that does not listen any more has ended.
        let _ = self.signals.send(Signal::Ended { generation: self.generation, end });
    }

    async fn pump(&mut self) -> End {
        loop {
            let (deliveries, ended) = take(&mut self.consumer, BATCH_MAX).await;
            let end = ended.map(End::from);
            let bytes = deliveries.iter().map(|delivery| delivery.data.len()).sum();
            let wider = self.window.came(deliveries.len(), bytes).filter(|_| end.is_none() && !self.turning);
            let deliveries = self.without_canaries(deliveries);
            let (link, generation) = (self.link, self.generation);
            if !deliveries.is_empty() && self.events.send(Event::Batch { link, generation, deliveries }).await.is_err() {
                return End::Unwanted;
            }
            match end {
                // The consumer was ended by us, and all that it got has come.
                Some(End::Cancelled) if self.turning => {
                    if let Err(error) = self.consume_again().await {
                        return End::Broken(error);
                    }
                }
                Some(end) => return end,
                None => {}
            }
            if wider.is_some() {
                self.turning = true;
                if let Err(error) = self.channel.basic_cancel(CONSUMER.into(), BasicCancelOptions::default()).await {
                    return End::Broken(error);
                }
            }
        }
    }

    /// Goes over to another window: a consumer keeps the one with which it was begun.
    async fn consume_again(&mut self) -> lapin::Result<()> {
        self.turning = false;
        self.channel.basic_qos(self.window.present(), BasicQosOptions::default()).await?;
        let queue = self.queue.as_str().into();
        self.consumer = self.channel.basic_consume(queue, CONSUMER.into(), BasicConsumeOptions::default(), FieldTable::default()).await?;
        Ok(())
    }

    fn without_canaries(&mut self, mut deliveries: Vec<Delivery>) -> Vec<Delivery> {
        deliveries.retain(|delivery| {
            let Some(id) = canary_of(delivery, &self.queue) else { return true };
            let _ = self.signals.send(Signal::Canary(id));
            // The newest one stays unacknowledged (see `canary`).
            let tag = self.canary.replace(delivery.delivery_tag);
            let _ = tag.map(|tag| self.acknowledge.send(Acknowledge::One(tag)));
            false
        });
        deliveries
    }
}

/// The message id, if it is a canary.
fn canary_of(delivery: &Delivery, queue: &str) -> Option<String> {
    let ours = delivery.exchange.as_str().is_empty() && delivery.routing_key.as_str() == queue;
    let kind = delivery.properties.kind().as_ref()?;
    (ours && kind.as_str() == KIND).then(|| delivery.properties.message_id().as_ref().map_or(String::new(), ToString::to_string))
}

/// Sends acknowledgements, one after the other: one that overtook another would acknowledge twice, which closes the channel. Ends
/// with the channel (its pump tells) or with the last sender.
pub(super) async fn acknowledge(channel: Channel, mut wanted: UnboundedReceiver<Acknowledge>) {
    let mut acknowledged = Acknowledged::default();
    while let Some(next) = wanted.recv().await {
        let (tag, multiple) = match next {
            // What is acknowledged already must not be again: the broker would close the channel.
            Acknowledge::UpTo(tag) | Acknowledge::One(tag) if tag <= acknowledged.up_to => continue,
            Acknowledge::UpTo(tag) => (tag, true),
            Acknowledge::One(tag) => (tag, false),
        };
        if channel.basic_ack(tag, BasicAckOptions { multiple }).await.is_err() {
            return;
        }
        acknowledged.note(next);
    }
}

/// A series of canaries.
pub(super) struct Series {
    pub(super) channel: Channel,
    pub(super) queue: String,
    pub(super) nonce: String,
    pub(super) series: u64,
    /// How many are sent.
    pub(super) sent: Arc<AtomicU64>,
    /// The time, nanoseconds since 1970.
    pub(super) clock: fn() -> i64,
}

impl Series {
    /// Sends the first one, and waits for the broker's confirmation.
    pub(super) async fn first(&self) -> lapin::Result<()> {
        self.channel.confirm_select(ConfirmSelectOptions::default()).await?;
        self.send().await?.await.map(|_| ())
    }

    /// Sends more until the channel ends. Under a memory alarm it waits, and no number is lost.
    pub(super) async fn run(self) {
        let mut interval = tokio::time::interval(CANARY_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            if self.send().await.is_err() {
                return;
            }
        }
    }

    /// The number counts once the client has taken the message.
    async fn send(&self) -> lapin::Result<PublisherConfirm> {
        let number = self.sent.load(Ordering::Acquire);
        let id = Token { nonce: &self.nonce, series: self.series, number, sent_ns: (self.clock)() }.message_id();
        let properties = BasicProperties::default().with_type(KIND.into()).with_message_id(id.into()).with_delivery_mode(TRANSIENT);
        let queue = self.queue.as_str().into();
        let sent = self.channel.basic_publish("".into(), queue, BasicPublishOptions::default(), b"", properties).await?;
        self.sent.store(number + 1, Ordering::Release);
        Ok(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_acknowledged_alone_joins_what_is_acknowledged_up_to_it() {
        let mut acknowledged = Acknowledged::default();
        let mut after = |tags| {
            acknowledged.note(tags);
            (acknowledged.up_to, acknowledged.single.len())
        };
        assert_eq!(after(Acknowledge::One(1)), (1, 0));
        assert_eq!(after(Acknowledge::One(4)), (1, 1));
        assert_eq!(after(Acknowledge::One(7)), (1, 2));
        assert_eq!(after(Acknowledge::UpTo(3)), (4, 1), "4 is next to it");
        assert_eq!(after(Acknowledge::UpTo(6)), (7, 0));
        assert_eq!(after(Acknowledge::One(10)), (7, 1));
        assert_eq!(after(Acknowledge::UpTo(10)), (10, 0), "once");
    }
}
