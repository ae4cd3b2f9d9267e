//! What runs beside the line's thread while a session is up: the pump takes deliveries from the client, the acknowledger sends
//! acknowledgements in order, the canary's sender sends. They decide nothing.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Consumer, PublisherConfirm};
use tokio::sync::mpsc::{Sender, UnboundedReceiver, UnboundedSender};
use tokio::time::timeout;

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
/// How long a canary keeps acknowledgements back at most.
const CANARY_HELD_MAX: Duration = Duration::from_secs(1);
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
    /// This delivery alone: one that cannot be recorded.
    One(u64),
    /// This one and all before it.
    UpTo(u64),
    /// The newest canary, when the next one came.
    Canary(u64),
    /// The newest canary does not keep anything back any more.
    LetGo,
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

/// Which tags are acknowledged: all up to one, and single ones after it. Pure. The newest canary is kept back, and with it what was
/// delivered behind it, until the next one came (see `canary`).
#[derive(Debug, Default)]
struct Acknowledged {
    up_to: u64,
    single: BTreeSet<u64>,
    canary: Option<u64>,
    /// Up to where acknowledging is asked for.
    wanted: u64,
}

impl Acknowledged {
    /// What is sent for this, in order. What is acknowledged already must not be again: the broker would close the channel.
    fn next(&mut self, asked: Acknowledge) -> [Option<Acknowledge>; 2] {
        match asked {
            Acknowledge::One(tag) => [self.one(tag), None],
            Acknowledge::UpTo(tag) => {
                self.wanted = self.wanted.max(tag);
                [self.all(), None]
            }
            Acknowledge::Canary(tag) => {
                let before = self.canary.replace(tag);
                [self.all(), before.and_then(|before| self.one(before))]
            }
            Acknowledge::LetGo => {
                self.canary = None;
                [self.all(), None]
            }
        }
    }

    /// Whether a canary keeps something back.
    fn is_holding(&self) -> bool {
        self.canary.is_some() && self.wanted > self.up_to
    }

    fn one(&mut self, tag: u64) -> Option<Acknowledge> {
        let new = tag > self.up_to && self.single.insert(tag);
        self.join();
        new.then_some(Acknowledge::One(tag))
    }

    fn all(&mut self) -> Option<Acknowledge> {
        let mut tag = self.canary.map_or(self.wanted, |canary| self.wanted.min(canary.saturating_sub(1)));
        while self.single.contains(&tag) {
            tag -= 1;
        }
        if tag <= self.up_to {
            return None;
        }
        self.up_to = tag;
        self.single = self.single.split_off(&(tag + 1));
        self.join();
        Some(Acknowledge::UpTo(tag))
    }

    fn join(&mut self) {
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
            let _ = self.acknowledge.send(Acknowledge::Canary(delivery.delivery_tag));
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
pub(super) async fn acknowledge(channel: Channel, mut asked: UnboundedReceiver<Acknowledge>) {
    let mut acknowledged = Acknowledged::default();
    let mut came = Instant::now();
    loop {
        let next = if acknowledged.is_holding() {
            // Canaries that do not come any more (an alarm holds up who publishes) must not hold up who consumes.
            let left = CANARY_HELD_MAX.saturating_sub(came.elapsed());
            if left.is_zero() { Some(Acknowledge::LetGo) } else { timeout(left, asked.recv()).await.unwrap_or(Some(Acknowledge::LetGo)) }
        } else {
            asked.recv().await
        };
        let Some(next) = next else { return };
        if matches!(next, Acknowledge::Canary(_)) {
            came = Instant::now();
        }
        for tags in acknowledged.next(next).into_iter().flatten() {
            let (tag, multiple) = match tags {
                Acknowledge::UpTo(tag) => (tag, true),
                Acknowledge::One(tag) | Acknowledge::Canary(tag) => (tag, false),
                Acknowledge::LetGo => continue,
            };
            if channel.basic_ack(tag, BasicAckOptions { multiple }).await.is_err() {
                return;
            }
        }
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

    use Acknowledge::{Canary, LetGo, One, UpTo};

    #[test]
    fn what_is_acknowledged_alone_joins_what_is_acknowledged_up_to_it() {
        let mut acknowledged = Acknowledged::default();
        let mut after = |tags| {
            let _sent = acknowledged.next(tags);
            (acknowledged.up_to, acknowledged.single.len())
        };
        assert_eq!(after(One(1)), (1, 0));
        assert_eq!(after(One(4)), (1, 1));
        assert_eq!(after(One(7)), (1, 2));
        assert_eq!(after(UpTo(3)), (4, 1), "4 is next to it");
        assert_eq!(after(UpTo(6)), (7, 0));
        assert_eq!(after(One(10)), (7, 1));
        assert_eq!(after(UpTo(11)), (11, 0), "once");
    }

    #[test]
    fn the_newest_canary_is_kept_until_the_next_one_or_for_a_while() {
        let mut acknowledged = Acknowledged::default();
        assert_eq!(acknowledged.next(UpTo(2)), [Some(UpTo(2)), None]);
        assert_eq!(acknowledged.next(Canary(3)), [None, None]);
        assert_eq!((acknowledged.next(UpTo(9)), acknowledged.is_holding()), ([None, None], true), "3 would go with it");
        assert_eq!(acknowledged.next(Canary(10)), [Some(UpTo(9)), None], "3 among them");
        assert_eq!((acknowledged.next(Canary(11)), acknowledged.is_holding()), ([None, Some(One(10))], false));
        assert_eq!(acknowledged.next(UpTo(15)), [None, None], "what is before the canary is acknowledged already");
        assert_eq!(acknowledged.next(LetGo), [Some(UpTo(15)), None]);
        assert_eq!(acknowledged.next(One(15)), [None, None], "once");
    }

    proptest::proptest! {
        /// The broker closes the channel of who acknowledges what is not there.
        #[test]
        fn nothing_is_acknowledged_twice_and_in_the_end_everything(kinds in proptest::collection::vec(0..3u8, 1..200), lag in 0..40usize) {
            let mut acknowledged = Acknowledged::default();
            let mut there: BTreeSet<u64> = BTreeSet::new();
            let mut sent = |asked: Acknowledge, there: &mut BTreeSet<u64>| {
                for tags in acknowledged.next(asked).into_iter().flatten() {
                    let (One(tag) | UpTo(tag) | Canary(tag)) = tags else { continue };
                    assert!(there.contains(&tag), "{tags:?}");
                    if let UpTo(tag) = tags { *there = there.split_off(&(tag + 1)) } else { there.remove(&tag); }
                }
            };
            let records: Vec<u64> = kinds.iter().zip(1..).filter(|(kind, _)| **kind == 0).map(|(_, tag)| tag).collect();
            let mut written = 0;
            for (kind, tag) in kinds.iter().zip(1..) {
                there.insert(tag);
                match kind {
                    0 => {
                        written += 1;
                        if written > lag { sent(UpTo(records[written - lag - 1]), &mut there) }
                    }
                    1 => sent(Canary(tag), &mut there),
                    _ => sent(One(tag), &mut there),
                }
            }
            if let Some(last) = records.last() { sent(UpTo(*last), &mut there) }
            sent(LetGo, &mut there);
            // Canaries behind the last record stay, with nothing else.
            let newest = kinds.iter().zip(1..).filter(|(kind, _)| **kind == 1).map(|(_, tag)| tag).last();
            let behind = |tag: &u64| records.last().is_none_or(|last| tag > last) && Some(*tag) == newest;
            proptest::prop_assert!(there.iter().all(behind), "{there:?}");
        }
    }
}
