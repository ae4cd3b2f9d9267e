//! Where a stream begins and ends, found by reading it.
//!
//! A consumer at `first` gets the oldest message first, one at `last` the chunk that was written last. RabbitMQ reads a stream as
//! it is given credit and answers a channel in order, so whatever the acknowledgement of the last delivery brings has come before the
//! answer to the next question: when nothing has, that delivery was the last one.
//!
//! Limits: of a stream that delivers nothing it is known only that it is silent. It counts as empty when that lasts, and the broker
//! counts no messages in it (a number that is some seconds old). Where a chunk has more than 65 536 messages (a client of the stream protocol that packs them), the
//! end may be found too early.

use std::time::{Duration, Instant};

use lapin::options::{BasicAckOptions, BasicQosOptions};
use lapin::{Channel, Consumer};

use super::queue::{ANSWER, Offset, StreamQueue, offset_of};
use crate::broker::BrokerError;
use crate::broker::amqp::deliveries::{Ended, take};
use crate::broker::amqp::trouble::failed;

/// How long a consumer of a stream that is not empty is silent at most: the broker has only to read a file.
const SILENCE: Duration = Duration::from_secs(2);
/// Deliveries on their way to a question.
const PREFETCH: u16 = 64;
/// The most entries of a chunk: they are counted in 16 bits.
const CHUNK_MAX: usize = 1 << 16;

/// What an offset says that was delivered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is the next message; what is missing before it are holes.
    Next,
    /// What is missing before it was removed: the stream begins at `low` now, or this is what was read of the removed part.
    Removed {
        /// Where reading can go on.
        low: i64,
    },
    /// It came before.
    Back,
}

/// Judges a delivery by its offset. `next`: the offset that was to come; `oldest`: where the stream begins, asked after that came.
pub(super) fn found(next: i64, offset: i64, oldest: i64) -> Found {
    if offset < next {
        Found::Back
    } else if offset > next && oldest > next {
        Found::Removed { low: oldest.min(offset) }
    } else {
        Found::Next
    }
}

impl StreamQueue {
    /// The offset of the oldest message; `None`: it seems to be empty.
    ///
    /// # Errors
    /// When nobody answers, the user may not read it, or the oldest message cannot be read.
    pub(super) fn beginning(&mut self) -> Result<Option<i64>, BrokerError> {
        let mut probe = self.probe(Offset::First)?;
        let first = self.first(&mut probe.1);
        self.close(&probe.0);
        Ok(first?.map(|(offset, _)| offset))
    }

    /// The offset after the newest message; `None`: it seems to be empty.
    ///
    /// # Errors
    /// As [`StreamQueue::beginning`].
    pub(super) fn end(&mut self) -> Result<Option<i64>, BrokerError> {
        let (channel, mut consumer) = self.probe(Offset::Last)?;
        let end = match self.first(&mut consumer) {
            Ok(Some((offset, tag))) => self.last(&channel, &mut consumer, offset, tag).map(|last| Some(last + 1)),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        self.close(&channel);
        end
    }

    /// The offset of the first message of the chunk that was being written at a time (nanoseconds since 1970), to the second; the end,
    /// when there is none.
    ///
    /// # Errors
    /// As [`StreamQueue::beginning`].
    pub(super) fn at(&mut self, ns: i64) -> Result<Option<i64>, BrokerError> {
        let seconds = u64::try_from(ns.div_euclid(1_000_000_000)).unwrap_or(0);
        let (channel, mut consumer) = self.probe(Offset::Time(seconds))?;
        let came = self.connector.within(SILENCE, take(&mut consumer, 1));
        self.close(&channel);
        match came {
            Some((deliveries, None)) => Ok(deliveries.first().and_then(offset_of)),
            Some((_, Some(ended))) => Err(self.broken(ended)),
            None => self.end(),
        }
    }

    fn probe(&mut self, from: Offset) -> Result<(Channel, Consumer), BrokerError> {
        let connection = self.asking()?;
        self.consume(&connection, PREFETCH, from)
    }

    /// The first delivery's offset and tag; `None`: the stream is empty.
    fn first(&mut self, consumer: &mut Consumer) -> Result<Option<(i64, u64)>, BrokerError> {
        let began = Instant::now();
        loop {
            match self.connector.within(SILENCE, take(consumer, 1)) {
                Some((_, Some(ended))) => return Err(self.broken(ended)),
                Some((deliveries, None)) => return Ok(deliveries.first().and_then(|d| Some((offset_of(d)?, d.delivery_tag)))),
                None if self.messages()? == 0 => return Ok(None),
                None if began.elapsed() > ANSWER => {
                    return Err(BrokerError::Request {
                        request: format!("reading {}", self.words()),
                        reason: format!("nothing came within {} s, and it is not empty", ANSWER.as_secs()),
                        retryable: true,
                    });
                }
                None => {}
            }
        }
    }

    /// The newest delivery's offset, after this one.
    fn last(&self, channel: &Channel, consumer: &mut Consumer, mut offset: i64, mut tag: u64) -> Result<i64, BrokerError> {
        let mut count = 0;
        while count < CHUNK_MAX {
            self.wait(channel.basic_ack(tag, BasicAckOptions { multiple: true }))?;
            self.wait(channel.basic_qos(PREFETCH, BasicQosOptions::default()))?;
            let Some((deliveries, ended)) = self.connector.within(Duration::ZERO, take(consumer, CHUNK_MAX)) else { break };
            if let Some(ended) = ended {
                return Err(self.broken(ended));
            }
            count += deliveries.len();
            if let Some(newest) = deliveries.last() {
                (offset, tag) = (offset_of(newest).unwrap_or(offset), newest.delivery_tag);
            }
        }
        Ok(offset)
    }

    fn broken(&self, ended: Ended) -> BrokerError {
        let request = format!("reading {}", self.words());
        match ended {
            Ended::Broken(error) => failed(request, &error),
            Ended::Cancelled => BrokerError::Request { request, reason: "the broker ended our consumer".to_owned(), retryable: true },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_lost_only_where_the_stream_begins_behind_it() {
        assert_eq!(found(7, 7, 7), Found::Next);
        assert_eq!(found(7, 9, 7), Found::Next, "a hole: the stream still begins before it");
        assert_eq!(found(7, 9, 0), Found::Next);
        assert_eq!(found(7, 9, 8), Found::Removed { low: 8 });
        assert_eq!(found(7, 9, 9), Found::Removed { low: 9 });
        assert_eq!(found(7, 9, 50), Found::Removed { low: 9 }, "what came is not given away");
        assert_eq!(found(7, 6, 0), Found::Back);
    }
}
