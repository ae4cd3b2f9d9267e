//! The open intervals of a run, fed by completions on the completing thread alone. It only fills histograms; what is closed
//! goes out, to be added up and written elsewhere ([`super::collector`]), so that no answer waits for it.
//!
//! A second of intended time (with `--max`: of sending) is open until the pacer has left it behind and each of its
//! messages is answered, timed out or given up; seconds are closed in order and then go out to be written. At most
//! [`OPEN_SECONDS_MAX`] are open: beyond that the oldest is closed *incomplete*, and answers that come later count in
//! the totals alone. Topics have intervals of ten seconds. Memory: 0.5 MB an open second, 0.3 MB a topic and open
//! interval.

use std::collections::VecDeque;
use std::sync::Arc;

use dejaq_shared::broker::sink::{Completion, Fate};

use super::counts::{BucketRow, OpenBucket, SecondRow, Series};
use dejaq_shared::record::StreamIx;

use super::latency::Latency;
use crate::inflight::{Sent, Slots};
use crate::ledger::Ledger;

/// The most seconds open at a time.
pub const OPEN_SECONDS_MAX: usize = 48;
/// The length of a topic's interval, in seconds.
pub const TOPIC_SECONDS: u64 = 10;
const SECOND_NS: u64 = 1_000_000_000;

/// The latencies of a set of messages.
#[derive(Debug, Clone, Default)]
pub struct Latencies<C: hdrhistogram::Counter> {
    /// Sent − intended, of all that were answered in any way.
    pub schedule_error: Latency<C>,
    /// Acked − sent.
    pub service: Latency<C>,
    /// Acked − intended.
    pub response: Latency<C>,
    /// Response less lateness: what it would be had the generator been on time.
    pub response_on_time: Latency<C>,
}

impl<C: hdrhistogram::Counter> Latencies<C> {
    /// Adds all values of another set.
    pub fn merge<D: hdrhistogram::Counter>(&mut self, other: &Latencies<D>) {
        self.schedule_error.merge(&other.schedule_error);
        self.service.merge(&other.service);
        self.response.merge(&other.response);
        self.response_on_time.merge(&other.response_on_time);
    }
}

/// One second, closed.
#[derive(Debug, Clone, Default)]
pub struct ClosedSecond {
    /// What the pacer counted.
    pub row: SecondRow,
    /// Confirmations.
    pub acked: u64,
    /// Failures.
    pub failed: u64,
    /// Without an answer.
    pub unknown: u64,
    /// Whether each of its messages is accounted for.
    pub complete: bool,
    /// The longest that one of them was held back, by a ceiling or a full queue.
    pub held_max_ns: u64,
    /// Its histograms.
    pub latencies: Latencies<u32>,
}

/// The latencies of a topic: service and response.
#[derive(Debug, Clone, Default)]
pub struct TopicLatency<C: hdrhistogram::Counter> {
    /// Acked − sent.
    pub service: Latency<C>,
    /// Acked − intended.
    pub response: Latency<C>,
}

/// Ten seconds of the measured topics, closed.
#[derive(Debug)]
pub struct ClosedTopics {
    /// The first second.
    pub second: u64,
    /// By class; `None` where nothing was acked.
    pub classes: Vec<Option<Box<TopicLatency<u32>>>>,
}

/// Something complete, to be written.
#[derive(Debug)]
pub enum Closed {
    /// A second of the whole run.
    Second(Box<ClosedSecond>),
    /// An interval of the topics.
    Topics(ClosedTopics),
    /// Answers that came too late for their intervals: for the totals alone.
    Stragglers(Box<Latencies<u32>>, ClosedTopics),
}

impl Closed {
    /// The second of intended time that it begins with. It never decreases by more than an open interval of topics, which
    /// never reaches over the end of an hour.
    #[must_use]
    pub fn second(&self) -> Option<u64> {
        match self {
            Self::Second(second) => Some(second.row.second),
            Self::Topics(topics) => Some(topics.second),
            Self::Stragglers(..) => None,
        }
    }
}

#[derive(Debug, Default)]
struct OpenSecond {
    closed: ClosedSecond,
    left_behind: bool,
}

impl OpenSecond {
    fn answered(&self) -> u64 {
        self.closed.acked + self.closed.failed + self.closed.unknown
    }

    fn is_complete(&self) -> bool {
        self.left_behind && self.answered() + self.closed.row.skipped >= self.closed.row.scheduled
    }
}

/// What the recorder knows at the end, beside what it closed.
#[derive(Debug, Clone, Default)]
pub struct RecorderBooks {
    /// Its part of the ledger.
    pub ledger: Ledger,
    /// Answers that came after their second had to be closed.
    pub after_close: u64,
    /// Answers with a tag that was not in flight.
    pub stray: u64,
    /// When the first and last confirmation came, on the run's clock.
    pub acked_span_ns: Option<(u64, u64)>,
}

/// See the module's words.
#[derive(Debug)]
pub struct Recorder {
    slots: Arc<Slots>,
    t0_ns: u64,
    scheduled: bool,
    classes: usize,
    books: RecorderBooks,
    stragglers: Latencies<u32>,
    straggling_topics: ClosedTopics,
    /// Open seconds, without holes: `seconds[i]` is second `first_second + i`.
    seconds: VecDeque<OpenSecond>,
    first_second: u64,
    topics: VecDeque<ClosedTopics>,
    closed: Vec<Closed>,
    confirmed: OpenBucket,
    buckets: Vec<BucketRow>,
}

impl Recorder {
    /// A recorder for a run that starts at `t0_ns`; with `classes` classes of topics.
    #[must_use]
    pub fn new(slots: Arc<Slots>, t0_ns: u64, scheduled: bool, streams: usize, classes: usize) -> Self {
        Self {
            slots,
            t0_ns,
            scheduled,
            classes,
            books: RecorderBooks { ledger: Ledger::new(streams), ..RecorderBooks::default() },
            stragglers: Latencies::default(),
            straggling_topics: ClosedTopics::new(0, classes),
            seconds: VecDeque::new(),
            first_second: 0,
            topics: VecDeque::new(),
            closed: Vec::new(),
            confirmed: OpenBucket::new(Series::Acked),
            buckets: Vec::new(),
        }
    }

    /// What was closed since the last call.
    pub fn take_closed(&mut self) -> std::vec::Drain<'_, Closed> {
        self.closed.drain(..)
    }

    /// The buckets of confirmations that were left behind since the last call.
    pub fn take_buckets(&mut self) -> std::vec::Drain<'_, BucketRow> {
        self.buckets.drain(..)
    }

    /// Takes answers that were seen at `now_ns`. Every row that the pacer gave out before it sent these messages must have
    /// been taken before ([`Recorder::left_behind`]).
    pub fn completed(&mut self, completions: &[Completion], now_ns: u64) {
        let mut acked = 0;
        for completion in completions {
            match self.slots.take(completion.tag) {
                Some(sent) => {
                    acked += u64::from(completion.fate == Fate::Acked);
                    self.answered(&sent, completion.fate, now_ns);
                }
                None => self.books.stray += 1,
            }
        }
        self.buckets.extend(self.confirmed.add(now_ns.saturating_sub(self.t0_ns), acked));
    }

    /// The pacer has left a second behind.
    pub fn left_behind(&mut self, row: SecondRow) {
        if let Some(open) = self.open_second(row.second).and_then(|ix| self.seconds.get_mut(ix)) {
            open.closed.row = row;
        }
        // Seconds before it in which nothing was due are behind as well.
        let until = usize::try_from(row.second.saturating_sub(self.first_second)).unwrap_or(usize::MAX);
        for (open, ix) in self.seconds.iter_mut().zip(0..=until) {
            open.closed.row.second = self.first_second + ix as u64;
            open.left_behind = true;
        }
        self.close_complete();
    }

    /// Gives up on everything that is in flight. Only when nothing is submitted any more.
    pub fn give_up(&mut self, reason: &'static str, now_ns: u64) {
        let slots = Arc::clone(&self.slots);
        slots.take_all(|sent| self.answered(&sent, Fate::Unknown(reason), now_ns));
    }

    /// Closes whatever is open, at the end of the run; [`Recorder::take_closed`] gives it.
    pub fn finish(&mut self) -> RecorderBooks {
        while !self.seconds.is_empty() {
            self.close_first();
        }
        while let Some(topics) = self.topics.pop_front() {
            self.closed.push(Closed::Topics(topics));
        }
        self.buckets.extend(self.confirmed.end());
        if self.books.after_close > 0 {
            let topics = std::mem::replace(&mut self.straggling_topics, ClosedTopics::new(0, self.classes));
            self.closed.push(Closed::Stragglers(Box::new(std::mem::take(&mut self.stragglers)), topics));
        }
        std::mem::take(&mut self.books)
    }

    fn answered(&mut self, sent: &Sent, fate: Fate, now_ns: u64) {
        match fate {
            Fate::Acked => self.acked(sent.stream, now_ns),
            Fate::Failed(reason) => self.books.ledger.failed(sent.stream, reason),
            Fate::Unknown(reason) => self.books.ledger.unknown(sent.stream, reason),
        }
        let second = sent.intended_ns.saturating_sub(self.t0_ns) / SECOND_NS;
        let open = self.open_second(second).and_then(|ix| self.seconds.get_mut(ix));
        let late = open.is_none();
        let mut complete = false;
        match open {
            Some(open) => {
                match fate {
                    Fate::Acked => open.closed.acked += 1,
                    Fate::Failed(_) => open.closed.failed += 1,
                    Fate::Unknown(_) => open.closed.unknown += 1,
                }
                complete = open.is_complete();
                if self.scheduled {
                    let held_ns = sent.sent_ns.saturating_sub(sent.intended_ns).saturating_sub(sent.late_ns);
                    open.closed.held_max_ns = open.closed.held_max_ns.max(held_ns);
                }
                file(&mut open.closed.latencies, self.scheduled, sent, fate, now_ns);
            }
            None => {
                self.books.after_close += 1;
                file(&mut self.stragglers, self.scheduled, sent, fate, now_ns);
            }
        }
        if fate == Fate::Acked && self.classes > 0 {
            self.file_topic(second, late, sent, now_ns);
        }
        if complete {
            self.close_complete();
        }
    }

    fn acked(&mut self, stream: StreamIx, now_ns: u64) {
        self.books.ledger.acked(stream);
        let first = self.books.acked_span_ns.map_or(now_ns, |(first, _)| first);
        self.books.acked_span_ns = Some((first, now_ns));
    }

    fn file_topic(&mut self, second: u64, late: bool, sent: &Sent, now_ns: u64) {
        let interval = second - second % TOPIC_SECONDS;
        let topics = if late {
            &mut self.straggling_topics
        } else {
            let at = match self.topics.binary_search_by_key(&interval, |t| t.second) {
                Ok(at) => at,
                Err(at) => {
                    self.topics.insert(at, ClosedTopics::new(interval, self.classes));
                    at
                }
            };
            &mut self.topics[at]
        };
        if let Some(class) = topics.classes.get_mut(sent.class as usize) {
            let latency = class.get_or_insert_default();
            latency.service.record(now_ns.saturating_sub(sent.sent_ns));
            if self.scheduled {
                latency.response.record(now_ns.saturating_sub(sent.intended_ns));
            }
        }
    }

    /// The place of the open second of that number; `None` when it is closed already.
    fn open_second(&mut self, second: u64) -> Option<usize> {
        let mut ix = usize::try_from(second.checked_sub(self.first_second)?).ok()?;
        // Nothing is open: whatever was sent in the seconds between has been answered, or its row had opened one.
        if self.seconds.is_empty() {
            self.first_second = second;
            ix = 0;
        }
        while ix >= OPEN_SECONDS_MAX {
            if self.seconds.is_empty() {
                self.first_second = second;
                ix = 0;
            } else {
                self.close_first();
                ix -= 1;
            }
        }
        while self.seconds.len() <= ix {
            let row = SecondRow { second: self.first_second + self.seconds.len() as u64, ..SecondRow::default() };
            self.seconds.push_back(OpenSecond { closed: ClosedSecond { row, ..ClosedSecond::default() }, left_behind: false });
        }
        Some(ix)
    }

    fn close_complete(&mut self) {
        while self.seconds.front().is_some_and(OpenSecond::is_complete) {
            self.close_first();
        }
    }

    fn close_first(&mut self) {
        let Some(open) = self.seconds.pop_front() else { return };
        // Intervals of topics that lie wholly before this second: they go out first, so that each hour is whole.
        let first = self.first_second;
        while self.topics.front().is_some_and(|t| t.second + TOPIC_SECONDS <= first) {
            self.closed.extend(self.topics.pop_front().map(Closed::Topics));
        }
        self.first_second += 1;
        let complete = open.is_complete();
        let closed = ClosedSecond { complete, ..open.closed };
        if closed.row.scheduled + closed.acked + closed.failed + closed.unknown > 0 {
            self.closed.push(Closed::Second(Box::new(closed)));
        }
    }
}

impl ClosedTopics {
    fn new(second: u64, classes: usize) -> Self {
        Self { second, classes: (0..classes).map(|_| None).collect() }
    }
}

fn file(into: &mut Latencies<u32>, scheduled: bool, sent: &Sent, fate: Fate, now_ns: u64) {
    let response_ns = now_ns.saturating_sub(sent.intended_ns);
    if scheduled {
        into.schedule_error.record(sent.sent_ns.saturating_sub(sent.intended_ns));
    }
    if fate == Fate::Acked {
        into.service.record(now_ns.saturating_sub(sent.sent_ns));
        if scheduled {
            into.response.record(response_ns);
            into.response_on_time.record(response_ns.saturating_sub(sent.late_ns));
        }
    }
}
