//! Reading from a stream queue that RabbitMQ has already.
//!
//! Guarantees: nothing is consumed, made or changed: a stream's acknowledgements are credit only, and a queue of another kind is
//! refused before it is read. A record's position is the stream's offset. Records come in order from the position asked for; the
//! source connects again by itself and goes on behind the last one handed over. What cannot be had is a [`Notice`].
//!
//! The header `x-stream-offset` is the broker's word for the position and was not published: it is left out of the record, and so
//! is a header table that has nothing else.
//!
//! Limits: AMQP has no question for a stream's bounds, so they are found by reading (see `bounds`). An offset that is missing
//! between two deliveries is a hole (RabbitMQ keeps other things at offsets, too) unless the stream begins behind it by then. A
//! stream that was removed and made anew with at least as many messages looks the same. Before 3.13 RabbitMQ itself does not keep
//! every header in a stream. The exchange that a message came through is not recorded.
//!
//! `queue` questions about it · `bounds` where it begins and ends · `reader` a consumer of it.

mod bounds;
mod queue;
mod reader;

use std::sync::Arc;
use std::time::{Duration, Instant};

use lapin::message::Delivery;

use bounds::{Found, found};
use queue::{StreamQueue, offset_of};
use reader::Reader;

use super::backoff::Backoff;
use super::config::Settings;
use super::connect::{Connector, VHOST_DEFAULT};
use super::convert;
use super::deliveries::Ended;
use super::guard;
use super::rights::{Needs, exactly};
use super::trouble::words_of;
use crate::amqp::{Properties, TableBuf};
use crate::broker::BrokerError;
use crate::broker::endpoint::AmqpEndpoint;
use crate::broker::source::{Notice, ReadFrom, Source, SourceHandler, SourceOptions, StartAt, TopicInfo, TopicSelection, TopicSettings};
use crate::record::{Lane, Record, StreamIx};

/// The header by which RabbitMQ tells a message's offset.
const OFFSET_HEADER: &str = "x-stream-offset";
/// While nobody answers, that is told this often.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// A node that starts answers before it knows its queues: that one is not there proves nothing so soon after nobody answered.
const STARTING: Duration = Duration::from_secs(30);

/// A stream queue of RabbitMQ that is read from.
pub struct AmqpStreamSource {
    // Dropped before what it runs on.
    reader: Option<Reader>,
    queue: StreamQueue,
    cluster: String,
    settings: Settings,
    budget_bytes: u64,
    course: Option<Course>,
    outage: Option<Outage>,
    /// Memory that is used again.
    table: TableBuf,
    properties: Vec<u8>,
}

/// What is being read. There is one lane: the queue.
#[derive(Debug, Clone, Copy)]
struct Course {
    stream: StreamIx,
    /// The offset after the last one that was handed over.
    next: i64,
}

/// A time without a reader.
#[derive(Debug)]
struct Outage {
    backoff: Backoff,
    retry: Instant,
    told: Option<Instant>,
    /// When the node last failed to answer; `None`: it was there all the time.
    unanswered: Option<Instant>,
}

/// How a batch went.
enum Batch {
    /// All of it is handed over.
    Done,
    /// Reading goes on only when it is started again.
    Stopped,
}

impl AmqpStreamSource {
    /// Signs in, and asks which cluster it is. `wanted` names the queue.
    ///
    /// # Errors
    /// Why the broker does not take us, with what to do; [`BrokerError::Unreachable`] when nobody answered in `timeout`.
    pub fn connect(
        endpoint: &AmqpEndpoint,
        wanted: &TopicSelection,
        options: &SourceOptions,
        timeout: Duration,
    ) -> Result<Self, BrokerError> {
        let settings = Settings::of(endpoint, &options.user)?;
        let vhost = endpoint.vhost.clone().unwrap_or_else(|| VHOST_DEFAULT.to_owned());
        let needs = Needs { read: exactly(wanted.names().iter().map(String::as_str)), ..Needs::default() };
        let connector = Arc::new(Connector::new(endpoint, settings.clone(), needs)?);
        let name = wanted.names().first().cloned().unwrap_or_default();
        let queue = StreamQueue::connect(connector, vhost, name, timeout)?;
        Ok(Self {
            reader: None,
            cluster: queue.connector.cluster()?,
            queue,
            settings,
            budget_bytes: options.memory_budget_bytes as u64,
            course: None,
            outage: None,
            table: TableBuf::default(),
            properties: Vec::new(),
        })
    }

    /// What holds of the client's settings: `(name, value)`, secrets as `***`.
    #[must_use]
    pub fn describe(&self) -> Vec<(String, String)> {
        self.settings.describe()
    }

    /// Begins to consume at the course's next offset; `false`: it is not there, which is told.
    fn open<H: SourceHandler>(&mut self, course: Course, handler: &mut H) -> Result<bool, BrokerError> {
        self.queue.status()?;
        let (low, high) = match (self.queue.beginning()?, self.queue.end()?) {
            (Some(low), Some(high)) => (low, high),
            // A node that was just started may not know its streams yet: that proves nothing.
            _ if course.next > 0 => return Err(self.queue.emptied(course.next)),
            _ => (0, 0),
        };
        if course.next < low || course.next > high {
            self.stop_reading();
            handler.notice(Notice::OutOfRange { stream: course.stream, low, high });
            return Ok(false);
        }
        self.reader = Some(Reader::open(&self.queue, course.next, self.budget_bytes, self.settings.prefetch)?);
        Ok(true)
    }

    /// Has a reader, if there can be one now; waits at most `timeout` for the time to try.
    fn has_reader<H: SourceHandler>(&mut self, timeout: Duration, handler: &mut H) -> bool {
        if self.reader.is_some() {
            return true;
        }
        let until_retry = self.outage.as_ref().map_or(Duration::ZERO, |outage| outage.retry.saturating_duration_since(Instant::now()));
        let Some(course) = self.course.filter(|_| until_retry < timeout) else {
            std::thread::sleep(timeout);
            return false;
        };
        std::thread::sleep(until_retry);
        match self.open(course, handler) {
            Ok(true) => {
                if self.outage.take().is_some_and(|outage| outage.told.is_some()) {
                    handler.notice(Notice::Warning(format!("{}: connected again", self.queue.words())));
                }
                true
            }
            Ok(false) => false,
            Err(error) if error.is_retryable() => {
                self.is_away(&error.to_string(), true, handler);
                false
            }
            Err(error) if matches!(error, BrokerError::UnknownTopic { .. }) && self.may_be_starting() => {
                self.is_away(&error.to_string(), false, handler);
                false
            }
            Err(error) => {
                self.stop_reading();
                handler.notice(Notice::Gone { stream: course.stream, detail: error.to_string() });
                false
            }
        }
    }

    fn may_be_starting(&self) -> bool {
        self.outage.as_ref().and_then(|outage| outage.unanswered).is_some_and(|unanswered| unanswered.elapsed() < STARTING)
    }

    /// There is no reader now. It is told, at most once in a while. `node_too`: not even the node answers.
    fn is_away<H: SourceHandler>(&mut self, why: &str, node_too: bool, handler: &mut H) {
        self.reader = None;
        let now = Instant::now();
        let outage = self.outage.get_or_insert_with(|| Outage { backoff: Backoff::new(), retry: now, told: None, unanswered: None });
        outage.retry = now + outage.backoff.wait();
        if node_too {
            outage.unanswered = Some(now);
        }
        if outage.told.is_none_or(|told| now.duration_since(told) >= TELL_EVERY) {
            outage.told = Some(now);
            handler.notice(Notice::Warning(format!("{}: {why}; connecting again", self.queue.words())));
        }
    }

    fn stop_reading(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.end(&self.queue);
        }
        self.course = None;
        self.outage = None;
    }

    /// Hands over what came, until something other than the next message shows.
    fn hand_over<H: SourceHandler>(&mut self, deliveries: &[Delivery], arrival_ns: i64, handler: &mut H) -> Result<Batch, BrokerError> {
        // Asked at most once a batch, after it came.
        let mut oldest = None;
        for delivery in deliveries {
            let Some(Course { stream, next }) = self.course else { return Ok(Batch::Stopped) };
            let Some(offset) = offset_of(delivery) else {
                self.stop_reading();
                let detail = format!("a delivery says no offset ({OFFSET_HEADER}): it is no stream any more");
                handler.notice(Notice::Gone { stream, detail });
                return Ok(Batch::Stopped);
            };
            if offset > next && oldest.is_none() {
                oldest = self.queue.beginning()?;
            }
            match found(next, offset, oldest.unwrap_or(next)) {
                Found::Next => {}
                Found::Removed { low } => {
                    self.stop_reading();
                    handler.notice(Notice::OutOfRange { stream, low, high: offset + 1 });
                    return Ok(Batch::Stopped);
                }
                Found::Back => {
                    self.stop_reading();
                    let detail = format!("offset {offset} came where {next} was to come: the stream was made anew, or cut back");
                    handler.notice(Notice::Truncated { stream, position: None, detail });
                    return Ok(Batch::Stopped);
                }
            }
            self.record(stream, offset, delivery, arrival_ns, handler);
            self.course = Some(Course { stream, next: offset + 1 });
        }
        Ok(Batch::Done)
    }

    fn record<H: SourceHandler>(&mut self, stream: StreamIx, position: i64, from: &Delivery, arrival_ns: i64, handler: &mut H) {
        self.properties.clear();
        if let Some(detail) = guard::unreadable(&from.properties) {
            handler.notice(Notice::Unparseable { stream, position, detail });
            return;
        }
        if let Err(malformed) = convert::read(&from.properties, Some(OFFSET_HEADER), &mut self.table, &mut self.properties) {
            handler.notice(Notice::Unparseable { stream, position, detail: malformed.to_string() });
            return;
        }
        handler.record(&Record {
            stream,
            position,
            arrival_ns,
            value: Some(&from.data),
            routing_key: Some(from.routing_key.as_str().as_bytes()),
            properties: Properties::from_checked(&self.properties),
            ..Record::EMPTY
        });
    }

    /// The consumer has ended: what to do next.
    fn ended<H: SourceHandler>(&mut self, ended: Ended, handler: &mut H) {
        self.reader = None;
        match ended {
            Ended::Cancelled => self.is_away("the broker ended our consumer: the queue was removed, or has moved", false, handler),
            Ended::Broken(error) => self.is_away(&format!("the connection ended: {}", words_of(&error)), true, handler),
        }
    }
}

impl Drop for AmqpStreamSource {
    fn drop(&mut self) {
        self.stop_reading();
    }
}

impl Source for AmqpStreamSource {
    fn cluster(&self) -> &str {
        &self.cluster
    }

    fn isolation(&self) -> Option<&str> {
        None
    }

    fn topics(&mut self, wanted: &TopicSelection, _timeout: Duration) -> Result<Vec<TopicInfo>, BrokerError> {
        if !wanted.accepts(&self.queue.name) {
            return Ok(Vec::new());
        }
        match self.queue.status() {
            Ok(_) => {
                let lane = Lane::RabbitQueue { vhost: self.queue.vhost.clone(), queue: self.queue.name.clone() };
                Ok(vec![TopicInfo { name: self.queue.name.clone(), id: None, lanes: vec![lane] }])
            }
            Err(BrokerError::UnknownTopic { topic, hint, .. }) => {
                Err(BrokerError::UnknownTopic { topic, cluster: self.cluster.clone(), hint })
            }
            Err(error) => Err(error),
        }
    }

    fn check_rights(&mut self, _topics: &[String], _timeout: Duration) -> Result<(), BrokerError> {
        self.queue.status()?;
        self.queue.end().map(|_| ())
    }

    fn topic_settings(&mut self, _topics: &[String], _timeout: Duration) -> Result<Vec<TopicSettings>, BrokerError> {
        Ok(vec![(self.queue.name.clone(), self.queue.settings()?)])
    }

    fn positions(&mut self, lanes: &[(String, i32)], at: StartAt, _timeout: Duration) -> Result<Vec<i64>, BrokerError> {
        let mut position = || match at {
            StartAt::Beginning => self.queue.beginning(),
            StartAt::End => self.queue.end(),
            StartAt::Time(ns) => self.queue.at(ns),
        };
        // A stream that never had a message begins at 0.
        lanes.iter().map(|_| position().map(Option::unwrap_or_default)).collect()
    }

    fn start(&mut self, lanes: &[ReadFrom]) -> Result<(), BrokerError> {
        if let Some(lane) = lanes.last() {
            self.stop_reading();
            self.course = Some(Course { stream: lane.stream, next: lane.position });
        }
        Ok(())
    }

    fn stop(&mut self, streams: &[StreamIx]) -> Result<(), BrokerError> {
        if self.course.is_some_and(|course| streams.contains(&course.stream)) {
            self.stop_reading();
        }
        Ok(())
    }

    fn poll<H: SourceHandler>(
        &mut self,
        records_max: usize,
        timeout: Duration,
        clock: &mut dyn FnMut() -> i64,
        handler: &mut H,
    ) -> Result<usize, BrokerError> {
        if !self.has_reader(timeout, handler) {
            return Ok(0);
        }
        let Some(reader) = &mut self.reader else { return Ok(0) };
        let Some((deliveries, ended)) = reader.take(&self.queue.connector, records_max, timeout) else { return Ok(0) };
        match self.hand_over(&deliveries, clock(), handler) {
            Ok(Batch::Done) => {}
            Ok(Batch::Stopped) => return Ok(deliveries.len()),
            Err(error) => {
                self.is_away(&error.to_string(), true, handler);
                return Ok(0);
            }
        }
        match (ended, &mut self.reader, self.course) {
            (Some(ended), ..) => self.ended(ended, handler),
            (None, Some(reader), Some(course)) => {
                if let Err(error) = reader.credit(&self.queue, &deliveries, course.next) {
                    self.is_away(&error.to_string(), true, handler);
                }
            }
            (None, ..) => {}
        }
        Ok(deliveries.len())
    }

    fn lag(&mut self) -> Option<u64> {
        None
    }

    fn withheld(&self) -> usize {
        0
    }
}
