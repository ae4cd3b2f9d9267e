//! How long sending was held back, by what, up to any instant that still matters.
//!
//! A hold is a span in which the pacer could not send for a reason outside it: a ceiling, a full client queue, a broker that asked
//! everybody to hold. *Lateness*
//! of a message is its schedule error less the hold time between its intended time and its sending: what no hold
//! explains.
//!
//! Memory is flat. Intended times never decrease, so spans before the current one are dropped. If more than
//! [`SPANS_MAX`] lie between (a target that pushes back for hours), neighbours are joined: the joined span knows its hold time
//! exactly and spreads it evenly, an error of at most its own length, about 1/8000 of the backlog's age.

use std::collections::VecDeque;
use std::ops::Range;

/// The most spans kept.
pub const SPANS_MAX: usize = 16_384;

/// What held sending back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldCause {
    /// `--max-rate` or `--max-bytes`.
    Ceiling,
    /// The client's queue was full.
    FullQueue,
    /// The broker asked everybody to hold (RabbitMQ: `connection.blocked`).
    Blocked,
}

/// A stretch of time of which `hold_ns` were held, evenly spread.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u64,
    end: u64,
    hold_ns: u64,
}

/// A stretch after the end of a hold in which the pacer still slept.
#[derive(Debug, Clone, Copy)]
struct Overslept {
    cause: HoldCause,
    start: u64,
    end: u64,
}

/// The holds of a run.
#[derive(Debug, Default)]
pub struct Holds {
    /// What the newest hold overslept, as long as it may yet turn out to be a hold.
    overslept: Option<Overslept>,
    spans: VecDeque<Span>,
    /// Hold time of all spans that were dropped.
    dropped_ns: u64,
    total_ns: u64,
    ceiling_ns: u64,
    full_queue_ns: u64,
    blocked_ns: u64,
}

impl Holds {
    /// Adds a hold that was to end at `until`. Sleeping on is the pacer's own lateness, unless the next try is held by the same: then it
    /// cost nothing, up to `slack_ns`.
    pub fn slept(&mut self, cause: HoldCause, span: Range<u64>, until: u64, slack_ns: u64) {
        let by_ceiling = |cause| cause == HoldCause::Ceiling;
        if let Some(slept) = self.overslept.take().filter(|slept| by_ceiling(slept.cause) == by_ceiling(cause)) {
            self.add(slept.cause, slept.start, slept.end);
        }
        let start = span.end.min(until);
        self.add(cause, span.start, start);
        let end = span.end.min(start.saturating_add(slack_ns));
        self.overslept = (end > start).then_some(Overslept { cause, start, end });
    }

    /// The target let a message through: it held nothing after its newest hold. A ceiling may hold the next.
    pub fn let_through(&mut self) {
        self.overslept.take_if(|slept| slept.cause != HoldCause::Ceiling);
    }

    /// Adds a hold from `start` to `end`; not before the end of the last one.
    fn add(&mut self, cause: HoldCause, start: u64, end: u64) {
        let hold_ns = end.saturating_sub(start);
        match cause {
            HoldCause::Ceiling => self.ceiling_ns += hold_ns,
            HoldCause::FullQueue => self.full_queue_ns += hold_ns,
            HoldCause::Blocked => self.blocked_ns += hold_ns,
        }
        if hold_ns == 0 {
            return;
        }
        self.total_ns += hold_ns;
        self.spans.push_back(Span { start, end, hold_ns });
        if self.spans.len() > SPANS_MAX {
            self.join_neighbours();
        }
    }

    /// The hold time from `intended` to now (the end of the last hold, or later). `intended` must not decrease from
    /// call to call.
    pub fn since(&mut self, intended: u64) -> u64 {
        while let Some(first) = self.spans.front() {
            if first.end > intended {
                break;
            }
            self.dropped_ns += first.hold_ns;
            self.spans.pop_front();
        }
        let within = self.spans.front().map_or(0, |span| {
            let part = u128::from(intended.saturating_sub(span.start)) * u128::from(span.hold_ns) / u128::from(span.end - span.start);
            u64::try_from(part).unwrap_or(span.hold_ns)
        });
        self.total_ns - self.dropped_ns - within
    }

    /// All hold time by ceilings, in nanoseconds.
    #[must_use]
    pub fn ceiling_ns(&self) -> u64 {
        self.ceiling_ns
    }

    /// All hold time by a full client queue, in nanoseconds.
    #[must_use]
    pub fn full_queue_ns(&self) -> u64 {
        self.full_queue_ns
    }

    /// All hold time by a broker that asked to hold, in nanoseconds.
    #[must_use]
    pub fn blocked_ns(&self) -> u64 {
        self.blocked_ns
    }

    fn join_neighbours(&mut self) {
        let spans = self.spans.make_contiguous();
        let half = spans.len() / 2;
        for i in 0..half {
            let (a, b) = (spans[2 * i], spans[2 * i + 1]);
            spans[i] = Span { start: a.start, end: b.end, hold_ns: a.hold_ns + b.hold_ns };
        }
        let odd = (spans.len() % 2 == 1).then(|| spans[2 * half]);
        self.spans.truncate(half);
        self.spans.extend(odd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_a_sum_over_all_holds(gaps in prop::collection::vec((0u64..50, 1u64..50), 1..200), queries in prop::collection::vec(0u64..10_000, 1..50)) {
            let mut holds = Holds::default();
            let mut at = 0;
            let mut all = Vec::new();
            for (gap, length) in gaps {
                holds.add(HoldCause::FullQueue, at + gap, at + gap + length);
                all.push((at + gap, at + gap + length));
                at += gap + length;
            }
            let mut queries = queries;
            queries.sort_unstable();
            for q in queries {
                let exact: u64 = all.iter().map(|(s, e)| e.saturating_sub((*s).max(q))).sum();
                prop_assert_eq!(holds.since(q), exact);
            }
        }
    }

    #[test]
    fn memory_stays_flat_and_the_error_small() {
        let mut holds = Holds::default();
        for i in 0..1_000_000u64 {
            holds.add(HoldCause::FullQueue, i * 1_000, i * 1_000 + 600);
        }
        assert!(holds.spans.len() <= SPANS_MAX);
        assert_eq!(holds.full_queue_ns(), 600_000_000);
        let half = holds.since(500_000_000);
        assert!(half.abs_diff(300_000_000) < 200_000, "{half}");
    }
}
