//! The totals of a run: closed intervals added up. It lives on the writing thread; percentiles are made from merged
//! histograms, never from percentiles.
//!
//! The first seconds are kept apart, since they may turn out to be warm-up ([`crate::warm_up`]), which is left out of the
//! measured window. Memory: half a megabyte for each of at most [`WARM_UP_MAX`] seconds.

use super::latency::LatencySummary;
use super::recorder::{Closed, ClosedSecond, Latencies, TopicLatency};
use crate::warm_up::{LOOKED_AT_MAX, SecondFacts, WARM_UP_MAX, WarmUp, recognise};

/// Totals so far. Seconds that are still open are not in them.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Of each class of topics, warm-up included.
    pub topics: Vec<TopicLatency<u64>>,
    /// Scheduled in closed seconds, and acked, failed, unknown of them: the books as far as they are closed.
    pub scheduled: u64,
    /// Confirmed.
    pub acked: u64,
    /// Seconds that had to be closed before all in them was answered.
    pub incomplete_seconds: u64,
    /// What may be warm-up.
    first: Vec<Latencies<u32>>,
    /// What is known of these and of those that say what is normal.
    facts: Vec<SecondFacts>,
    /// Of all messages but those of `first`.
    rest: Latencies<u64>,
}

/// What a run measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    /// The percentiles of the measured window.
    pub window: Summaries,
    /// Messages scheduled in it.
    pub scheduled: u64,
    /// What was left out of it.
    pub warm_up: Option<Excluded>,
    /// How many seconds of a short run were slower than the rest, when it never settled; then nothing is left out.
    pub unsettled_s: Option<u64>,
}

/// The warm-up of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excluded {
    /// The first second after it, counted from the start of the run.
    pub until_s: u64,
    /// Messages scheduled in it; all were confirmed.
    pub scheduled: u64,
    /// Their percentiles.
    pub latencies: Summaries,
}

impl Totals {
    /// Empty totals for this many classes of topics.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self { topics: (0..classes).map(|_| TopicLatency::default()).collect(), ..Self::default() }
    }

    /// Adds what was closed.
    pub fn add(&mut self, closed: &Closed) {
        match closed {
            Closed::Second(second) => {
                self.add_second(second);
                self.scheduled += second.row.scheduled;
                self.acked += second.acked;
                self.incomplete_seconds += u64::from(!second.complete);
            }
            Closed::Topics(topics) => self.add_topics(&topics.classes),
            Closed::Stragglers(latencies, topics) => {
                self.rest.merge(latencies);
                self.acked += latencies.service.count();
                self.add_topics(&topics.classes);
            }
        }
    }

    /// The published latencies, with `scheduled` messages in the run: those of the measured window are in the denominator of
    /// response.
    #[must_use]
    pub fn measured(&self, scheduled: u64) -> Measured {
        let (left_out, unsettled) = match recognise(&self.facts) {
            WarmUp::Ends(seconds) => (seconds, None),
            WarmUp::NeverEnds(seconds) => (0, self.facts.get(seconds - 1)),
        };
        let (warm_up, measured) = self.first.split_at(left_out.min(self.first.len()));
        let mut window = self.rest.clone();
        measured.iter().for_each(|second| window.merge(second));
        let excluded = self.facts[..warm_up.len()].last().map(|last| {
            let mut all = Latencies::<u64>::default();
            warm_up.iter().for_each(|second| all.merge(second));
            let scheduled = self.facts[..warm_up.len()].iter().map(|s| s.scheduled).sum();
            Excluded { until_s: last.second + 1, scheduled, latencies: all.summaries(scheduled) }
        });
        let scheduled = scheduled.saturating_sub(excluded.map_or(0, |e| e.scheduled));
        Measured { window: window.summaries(scheduled), scheduled, warm_up: excluded, unsettled_s: unsettled.map(|last| last.second + 1) }
    }

    fn add_second(&mut self, second: &ClosedSecond) {
        if self.facts.len() < LOOKED_AT_MAX {
            self.facts.push(SecondFacts {
                second: second.row.second,
                scheduled: second.row.scheduled,
                acked: second.acked,
                held_max_ns: second.held_max_ns,
                service_p99_ns: second.latencies.service.summary(0).p99_ns,
            });
        }
        if self.first.len() < WARM_UP_MAX {
            self.first.push(second.latencies.clone());
        } else {
            self.rest.merge(&second.latencies);
        }
    }

    fn add_topics(&mut self, classes: &[Option<Box<TopicLatency<u32>>>]) {
        for (total, interval) in self.topics.iter_mut().zip(classes) {
            if let Some(interval) = interval {
                total.service.merge(&interval.service);
                total.response.merge(&interval.response);
            }
        }
    }
}

/// The percentiles of a set of messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summaries {
    /// Sent − intended.
    pub schedule_error: LatencySummary,
    /// Acked − sent.
    pub service: LatencySummary,
    /// Acked − intended, every scheduled message in the denominator.
    pub response: LatencySummary,
    /// The same without the generator's own lateness.
    pub response_on_time: LatencySummary,
}

impl Latencies<u64> {
    /// The percentiles, with `scheduled` messages in the denominator of response.
    fn summaries(&self, scheduled: u64) -> Summaries {
        let unanswered = scheduled.saturating_sub(self.response.count());
        Summaries {
            schedule_error: self.schedule_error.summary(0),
            service: self.service.summary(0),
            response: self.response.summary(unanswered),
            response_on_time: self.response_on_time.summary(unanswered),
        }
    }
}
