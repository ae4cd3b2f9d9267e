//! The latencies of the last seconds, for those who watch a run go on. Memory: [`SECONDS`] seconds of two histograms.

use std::collections::VecDeque;

use super::latency::{Latency, LatencySummary};
use super::recorder::{Closed, ClosedSecond};

/// How many seconds count as the last ones.
pub const SECONDS: usize = 5;

/// The newest seconds that are whole. A second is whole when all in it are answered, so these lie a little back.
#[derive(Debug, Default)]
pub struct Recent(VecDeque<Second>);

#[derive(Debug)]
struct Second {
    acked: u64,
    response: Latency<u32>,
    service: Latency<u32>,
    schedule_error: Latency<u32>,
}

/// What the last seconds came to; percentiles are of answered messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecentLatency {
    /// Seconds that it is of.
    pub seconds: u64,
    /// Messages confirmed in them.
    pub acked: u64,
    /// Acked − intended.
    pub response: LatencySummary,
    /// Acked − sent.
    pub service: LatencySummary,
    /// Sent − intended.
    pub schedule_error: LatencySummary,
}

impl Recent {
    /// Takes what was closed.
    pub fn add(&mut self, closed: &Closed) {
        let Closed::Second(second) = closed else { return };
        if self.0.len() == SECONDS {
            self.0.pop_front();
        }
        let ClosedSecond { acked, latencies, .. } = second.as_ref();
        self.0.push_back(Second {
            acked: *acked,
            response: latencies.response.clone(),
            service: latencies.service.clone(),
            schedule_error: latencies.schedule_error.clone(),
        });
    }

    /// The last seconds together.
    #[must_use]
    pub fn now(&self) -> RecentLatency {
        let summary = |of: fn(&Second) -> &Latency<u32>| {
            let mut all = Latency::<u64>::default();
            self.0.iter().for_each(|second| all.merge(of(second)));
            all.summary(0)
        };
        RecentLatency {
            seconds: self.0.len() as u64,
            acked: self.0.iter().map(|second| second.acked).sum(),
            response: summary(|second| &second.response),
            service: summary(|second| &second.service),
            schedule_error: summary(|second| &second.schedule_error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_last_seconds_does_not_count() {
        let mut recent = Recent::default();
        for number in 0..SECONDS as u64 + 1 {
            let mut second = ClosedSecond { acked: 1, ..ClosedSecond::default() };
            second.latencies.response.record(if number == 0 { 1_000_000 } else { number * 1_000 });
            recent.add(&Closed::Second(Box::new(second)));
        }
        let now = recent.now();
        assert_eq!((now.seconds, now.acked, now.response.count), (SECONDS as u64, SECONDS as u64, SECONDS as u64));
        assert_eq!(now.response.max_ns, Some(SECONDS as u64 * 1_000), "the slow one is too long ago");
        assert_eq!(now.service.p50_ns, None);
    }
}
