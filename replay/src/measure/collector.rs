//! The totals of a run: closed intervals added up. It lives on the writing thread; percentiles are made from merged
//! histograms, never from percentiles.

use super::latency::LatencySummary;
use super::recorder::{Closed, Latencies, TopicLatency};

/// Totals so far. Seconds that are still open are not in them.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Of all messages.
    pub latencies: Latencies<u64>,
    /// Of each class of topics.
    pub topics: Vec<TopicLatency<u64>>,
    /// Scheduled in closed seconds, and acked, failed, unknown of them: the books as far as they are closed.
    pub scheduled: u64,
    /// Confirmed.
    pub acked: u64,
    /// Seconds that had to be closed before all in them was answered.
    pub incomplete_seconds: u64,
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
                self.latencies.merge(&second.latencies);
                self.scheduled += second.row.scheduled;
                self.acked += second.acked;
                self.incomplete_seconds += u64::from(!second.complete);
            }
            Closed::Topics(topics) => self.add_topics(&topics.classes),
            Closed::Stragglers(latencies, topics) => {
                self.latencies.merge(latencies);
                self.acked += latencies.service.count();
                self.add_topics(&topics.classes);
            }
        }
    }

    /// The published latencies with `scheduled` messages in the denominator of response.
    #[must_use]
    pub fn summaries(&self, scheduled: u64) -> Summaries {
        let unanswered = scheduled.saturating_sub(self.latencies.response.count());
        Summaries {
            schedule_error: self.latencies.schedule_error.summary(0),
            service: self.latencies.service.summary(0),
            response: self.latencies.response.summary(unanswered),
            response_on_time: self.latencies.response_on_time.summary(unanswered),
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

/// The percentiles of a run.
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
