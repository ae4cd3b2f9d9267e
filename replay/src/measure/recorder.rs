//! All histograms of a run, fed by completions on the completing thread alone.
//!
//! A second of intended time (with `--max`: of sending) is open until the pacer has left it behind and each of its
//! messages is answered, timed out or given up; seconds are closed in order and then go out to be written. At most
//! [`OPEN_SECONDS_MAX`] are open: beyond that the oldest is closed *incomplete*, and answers that come later count in
//! the totals alone. Topics have intervals of ten seconds. Memory: 0.4 MB an open second, 0.8 MB a topic and 0.3 MB a
//! topic and open interval.

use std::collections::VecDeque;
use std::sync::Arc;

use dejaq_shared::broker::sink::{Completion, Fate};

use super::counts::SecondRow;
use super::latency::Latency;
use crate::inflight::{Sent, Slots};
use crate::ledger::Ledger;

/// The most seconds open at a time.
pub const OPEN_SECONDS_MAX: usize = 48;
/// The length of a topic's interval, in seconds.
pub const TOPIC_SECONDS: u64 = 10;
const SECOND_NS: u64 = 1_000_000_000;

/// The three latencies of a set of messages.
#[derive(Debug, Clone, Default)]
pub struct Latencies<C: hdrhistogram::Counter> {
    /// Sent − intended, of all that were answered in any way.
    pub schedule_error: Latency<C>,
    /// Acked − sent.
    pub service: Latency<C>,
    /// Acked − intended.
    pub response: Latency<C>,
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

/// The totals of a run so far. Seconds that are still open are not in them yet.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// The three latencies.
    pub latencies: Latencies<u64>,
    /// Response less lateness: what it would be had the generator been on time.
    pub response_on_time: Latency<u64>,
    /// By class of topic.
    pub topics: Vec<TopicLatency<u64>>,
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
    ledger: Ledger,
    totals: Totals,
    /// Open seconds, without holes: `seconds[i]` is second `first_second + i`.
    seconds: VecDeque<OpenSecond>,
    first_second: u64,
    topics: VecDeque<ClosedTopics>,
    closed: Vec<Closed>,
}

impl Recorder {
    /// A recorder for a run that starts at `t0_ns`; with `classes` classes of topics.
    #[must_use]
    pub fn new(slots: Arc<Slots>, t0_ns: u64, scheduled: bool, streams: usize, classes: usize) -> Self {
        let totals = Totals { topics: (0..classes).map(|_| TopicLatency::default()).collect(), ..Totals::default() };
        Self {
            slots,
            t0_ns,
            scheduled,
            ledger: Ledger::new(streams),
            totals,
            seconds: VecDeque::new(),
            first_second: 0,
            topics: VecDeque::new(),
            closed: Vec::new(),
        }
    }

    /// Its part of the ledger.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The totals of all closed seconds.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// What was closed since the last call.
    pub fn take_closed(&mut self) -> std::vec::Drain<'_, Closed> {
        self.closed.drain(..)
    }

    /// Takes answers that were seen at `now_ns`. Every row that the pacer gave out before it sent these messages must have
    /// been taken before ([`Recorder::left_behind`]).
    pub fn completed(&mut self, completions: &[Completion], now_ns: u64) {
        for completion in completions {
            match self.slots.take(completion.tag) {
                Some(sent) => self.answered(&sent, completion.fate, now_ns),
                None => self.totals.stray += 1,
            }
        }
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

    /// Closes whatever is open, at the end of the run.
    pub fn finish(&mut self) {
        while !self.seconds.is_empty() {
            self.close_first();
        }
        while !self.topics.is_empty() {
            self.close_topics();
        }
    }

    fn answered(&mut self, sent: &Sent, fate: Fate, now_ns: u64) {
        let error_ns = sent.sent_ns.saturating_sub(sent.intended_ns);
        let service_ns = now_ns.saturating_sub(sent.sent_ns);
        let response_ns = now_ns.saturating_sub(sent.intended_ns);
        let scheduled = self.scheduled;
        let acked = fate == Fate::Acked;
        match fate {
            Fate::Acked => self.ledger.acked(sent.stream),
            Fate::Failed(reason) => self.ledger.failed(sent.stream, reason),
            Fate::Unknown(reason) => self.ledger.unknown(sent.stream, reason),
        }
        if acked {
            let first = self.totals.acked_span_ns.map_or(now_ns, |(first, _)| first);
            self.totals.acked_span_ns = Some((first, now_ns));
            if scheduled {
                self.totals.response_on_time.record(response_ns.saturating_sub(sent.late_ns));
            }
        }
        let second = sent.intended_ns.saturating_sub(self.t0_ns) / SECOND_NS;
        let open = self.open_second(second).and_then(|ix| self.seconds.get_mut(ix));
        let late = open.is_none();
        let (latencies, complete) = match open {
            Some(open) => {
                match fate {
                    Fate::Acked => open.closed.acked += 1,
                    Fate::Failed(_) => open.closed.failed += 1,
                    Fate::Unknown(_) => open.closed.unknown += 1,
                }
                let complete = open.is_complete();
                (Some(&mut open.closed.latencies), complete)
            }
            None => (None, false),
        };
        match latencies {
            Some(latencies) => file(latencies, scheduled, acked, error_ns, service_ns, response_ns),
            None => {
                self.totals.after_close += 1;
                file(&mut self.totals.latencies, scheduled, acked, error_ns, service_ns, response_ns);
            }
        }
        if acked && !self.totals.topics.is_empty() {
            self.file_topic(second, sent.class as usize, late, service_ns, response_ns);
        }
        if complete {
            self.close_complete();
        }
    }

    fn file_topic(&mut self, second: u64, class: usize, late: bool, service_ns: u64, response_ns: u64) {
        let scheduled = self.scheduled;
        if late {
            if let Some(total) = self.totals.topics.get_mut(class) {
                total.service.record(service_ns);
                if scheduled {
                    total.response.record(response_ns);
                }
            }
            return;
        }
        let classes = self.totals.topics.len();
        let interval = second - second % TOPIC_SECONDS;
        let at = match self.topics.binary_search_by_key(&interval, |t| t.second) {
            Ok(at) => at,
            Err(at) => {
                self.topics.insert(at, ClosedTopics { second: interval, classes: (0..classes).map(|_| None).collect() });
                at
            }
        };
        if let Some(class) = self.topics[at].classes.get_mut(class) {
            let latency = class.get_or_insert_default();
            latency.service.record(service_ns);
            if scheduled {
                latency.response.record(response_ns);
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
        self.first_second += 1;
        let complete = open.is_complete();
        let closed = ClosedSecond { complete, ..open.closed };
        if closed.row.scheduled > 0 || open_has_answers(&closed) {
            let total = &mut self.totals.latencies;
            total.schedule_error.merge(&closed.latencies.schedule_error);
            total.service.merge(&closed.latencies.service);
            total.response.merge(&closed.latencies.response);
            self.closed.push(Closed::Second(Box::new(closed)));
        }
        // Intervals of topics that lie wholly before the first open second.
        while self.topics.front().is_some_and(|t| t.second + TOPIC_SECONDS <= self.first_second) {
            self.close_topics();
        }
    }

    fn close_topics(&mut self) {
        let Some(topics) = self.topics.pop_front() else { return };
        for (total, interval) in self.totals.topics.iter_mut().zip(&topics.classes) {
            if let Some(interval) = interval {
                total.service.merge(&interval.service);
                total.response.merge(&interval.response);
            }
        }
        self.closed.push(Closed::Topics(topics));
    }
}

fn open_has_answers(closed: &ClosedSecond) -> bool {
    closed.acked + closed.failed + closed.unknown > 0
}

fn file<C: hdrhistogram::Counter>(into: &mut Latencies<C>, scheduled: bool, acked: bool, error_ns: u64, service_ns: u64, response_ns: u64) {
    if scheduled {
        into.schedule_error.record(error_ns);
    }
    if acked {
        into.service.record(service_ns);
        if scheduled {
            into.response.record(response_ns);
        }
    }
}
