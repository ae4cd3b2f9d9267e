//! What comes out of a system under test, read from now on.
//!
//! Guarantees: what can be missed is told: a [`Tap`] that has not seen everything since [`Tap::begin`] fails. Making one changes
//! nothing at the broker; beginning does no more than it says: a log is read without a trace, a queue is emptied, an exchange gets
//! a queue of ours.

use std::time::Duration;

use super::BrokerError;
use super::source::{Notice, ReadFrom, Source, SourceHandler, StartAt, TopicSelection};
use crate::record::Record;

/// Where a system puts out what it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outlet {
    /// A topic of Kafka.
    Topic(String),
    /// A queue of RabbitMQ that nobody consumes: what is in it is taken out.
    Queue(String),
    /// An exchange of RabbitMQ.
    Exchange {
        /// Its name.
        name: String,
        /// The key that a queue of ours is bound with; `None`: the one that takes everything, where the exchange's type has one.
        binding: Option<String>,
    },
}

/// Something that came out.
#[derive(Debug, Clone, Copy)]
pub enum Output<'a> {
    /// A message, with `arrival_ns` as given to [`Tap::poll`].
    Message(&'a Record<'a>),
    /// A message that the client cannot read.
    Unreadable,
}

/// Reads what comes out.
pub trait Tap: Send {
    /// Begins: what comes out from now on will be handed over.
    ///
    /// # Errors
    /// When the broker refuses, or does not answer in `timeout`.
    fn begin(&mut self, timeout: Duration) -> Result<(), BrokerError>;

    /// Hands over what has come, at most `most` messages, waiting at most `timeout` for the first. `clock` is asked once a batch for
    /// the arrival time.
    ///
    /// # Errors
    /// When it cannot be read on, or something that came out was missed.
    fn poll(
        &mut self,
        most: usize,
        timeout: Duration,
        clock: &mut dyn FnMut() -> i64,
        take: &mut dyn FnMut(Output<'_>),
    ) -> Result<(), BrokerError>;

    /// Looks, after the last poll, whether anything may have come out where this did not read. A broker that does not answer in
    /// `timeout` is no error: it may be what is tested.
    ///
    /// # Errors
    /// When something may have.
    fn end(&mut self, timeout: Duration) -> Result<(), BrokerError>;
}

/// A topic, read from its end with the partitions that it has when it is made. Whether it has got others meanwhile is asked once, by
/// [`Tap::end`]: a question in between would keep what came out from being seen in time.
#[derive(Debug)]
pub struct LogTap<S> {
    source: S,
    topic: String,
    lanes: Vec<ReadFrom>,
}

impl<S: Source> LogTap<S> {
    /// Looks whether the topic is there and may be read.
    ///
    /// # Errors
    /// When it is not, or nobody answered in `timeout`.
    pub fn new(mut source: S, topic: &str, timeout: Duration) -> Result<Self, BrokerError> {
        let lanes = partitions(&mut source, topic, timeout)?.into_iter().zip(0..);
        let lanes =
            lanes.map(|((topic, partition), stream)| ReadFrom { stream, topic, partition, position: 0, leader_epoch: -1 }).collect();
        source.check_rights(&[topic.to_owned()], timeout)?;
        Ok(Self { source, topic: topic.to_owned(), lanes })
    }
}

impl<S: Source> Tap for LogTap<S> {
    fn begin(&mut self, timeout: Duration) -> Result<(), BrokerError> {
        let partitions: Vec<(String, i32)> = self.lanes.iter().map(|lane| (lane.topic.clone(), lane.partition)).collect();
        let ends = self.source.positions(&partitions, StartAt::End, timeout)?;
        for (lane, end) in self.lanes.iter_mut().zip(ends) {
            lane.position = end;
        }
        self.source.start(&self.lanes)
    }

    fn poll(
        &mut self,
        most: usize,
        timeout: Duration,
        clock: &mut dyn FnMut() -> i64,
        take: &mut dyn FnMut(Output<'_>),
    ) -> Result<(), BrokerError> {
        let mut taker = Taker { take, ended: None };
        self.source.poll(most, timeout, clock, &mut taker)?;
        taker.ended.map_or(Ok(()), |reason| Err(self.missed(reason)))
    }

    fn end(&mut self, timeout: Duration) -> Result<(), BrokerError> {
        let Ok(now) = partitions(&mut self.source, &self.topic, timeout) else { return Ok(()) };
        if now.len() > self.lanes.len() {
            let reason = format!(
                "it got partitions ({} before, {} now), and what came out in the new ones was not read",
                self.lanes.len(),
                now.len()
            );
            return Err(self.missed(reason));
        }
        Ok(())
    }
}

impl<S> LogTap<S> {
    fn missed(&self, reason: String) -> BrokerError {
        BrokerError::Request { request: format!("reading topic {:?}", self.topic), reason, retryable: false }
    }
}

/// The partitions of a topic.
fn partitions<S: Source>(source: &mut S, topic: &str, timeout: Duration) -> Result<Vec<(String, i32)>, BrokerError> {
    let topics = source.topics(&TopicSelection::exactly(topic), timeout)?;
    Ok(topics.into_iter().flat_map(|topic| topic.lanes.into_iter().map(move |lane| (topic.name.clone(), lane.partition()))).collect())
}

struct Taker<'a> {
    take: &'a mut dyn FnMut(Output<'_>),
    /// Why nothing more comes.
    ended: Option<String>,
}

impl SourceHandler for Taker<'_> {
    fn record(&mut self, record: &Record<'_>) {
        (self.take)(Output::Message(record));
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::OutOfRange { low, high, .. } => {
                let detail = format!(
                    "messages were removed before they were read (it holds offsets {low} to {high} now): is its retention long enough?"
                );
                self.ended = Some(detail);
            }
            Notice::Gone { detail, .. } | Notice::Truncated { detail, .. } => self.ended = Some(detail),
            Notice::Unparseable { .. } => (self.take)(Output::Unreadable),
            Notice::End { .. } | Notice::Warning(_) => {}
        }
    }
}
