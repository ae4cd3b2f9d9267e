//! The books of a run: what became of every record, in total and per stream.
//!
//! `read + cloned = scheduled + filtered` · `scheduled = sent + skipped` · `sent = acked + failed + unknown`. Each thread
//! keeps the part that it sees; the parts are added at the end and checked. Every skipped, failed, unknown and filtered
//! record has a reason.

use std::collections::BTreeMap;

use dejaq_shared::record::StreamIx;
use serde::{Deserialize, Serialize};

/// The counts of a stream, or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Counts {
    /// Records of the recording that were due in the run, anew in each pass of a loop.
    pub read: u64,
    /// Further copies made of them.
    pub cloned: u64,
    /// Left out by a rule.
    pub filtered: u64,
    /// To be sent.
    pub scheduled: u64,
    /// Scheduled and never taken by the client.
    pub skipped: u64,
    /// Taken by the client.
    pub sent: u64,
    /// Confirmed.
    pub acked: u64,
    /// Reported as not written.
    pub failed: u64,
    /// Without an answer.
    pub unknown: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.cloned += other.cloned;
        self.filtered += other.filtered;
        self.scheduled += other.scheduled;
        self.skipped += other.skipped;
        self.sent += other.sent;
        self.acked += other.acked;
        self.failed += other.failed;
        self.unknown += other.unknown;
    }

    /// Scheduled messages that have no confirmation: the infinities of the response time.
    #[must_use]
    pub fn unanswered(&self) -> u64 {
        self.scheduled.saturating_sub(self.acked)
    }

    /// The first equation that does not hold, in words.
    #[must_use]
    pub fn imbalance(&self) -> Option<String> {
        let Self { read, cloned, filtered, scheduled, skipped, sent, acked, failed, unknown } = self;
        if read + cloned != scheduled + filtered {
            Some(format!("read {read} + cloned {cloned} is not scheduled {scheduled} + filtered {filtered}"))
        } else if *scheduled != sent + skipped {
            Some(format!("scheduled {scheduled} is not sent {sent} + skipped {skipped}"))
        } else if *sent != acked + failed + unknown {
            Some(format!("sent {sent} is not acked {acked} + failed {failed} + unknown {unknown}"))
        } else {
            None
        }
    }
}

/// `{bucket: {reason: n}}`.
pub type Reasons = BTreeMap<String, BTreeMap<String, u64>>;

/// The buckets that need a reason.
const FILTERED: &str = "filtered";
const SKIPPED: &str = "skipped";
const FAILED: &str = "failed";
const UNKNOWN: &str = "unknown";

/// The books, or one thread's part of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    total: Counts,
    streams: Vec<Counts>,
    reasons: BTreeMap<(&'static str, &'static str), u64>,
}

impl Ledger {
    /// Empty books for this many streams.
    #[must_use]
    pub fn new(streams: usize) -> Self {
        Self { total: Counts::default(), streams: vec![Counts::default(); streams], reasons: BTreeMap::new() }
    }

    /// The sum of all streams, counted apart from them.
    #[must_use]
    pub fn total(&self) -> &Counts {
        &self.total
    }

    /// Each stream's counts.
    #[must_use]
    pub fn streams(&self) -> &[Counts] {
        &self.streams
    }

    /// Why records were left out, skipped, failed or unknown.
    #[must_use]
    pub fn reasons(&self) -> Reasons {
        let mut out = Reasons::new();
        for ((bucket, reason), count) in &self.reasons {
            out.entry((*bucket).to_owned()).or_default().insert((*reason).to_owned(), *count);
        }
        out
    }

    /// Counts a record that is read and scheduled.
    pub fn scheduled(&mut self, stream: StreamIx) {
        let counted = Counts { read: 1, scheduled: 1, ..Counts::default() };
        self.both(stream, &counted);
    }

    /// Counts a further copy of a record that is scheduled.
    pub fn scheduled_copy(&mut self, stream: StreamIx) {
        let counted = Counts { cloned: 1, scheduled: 1, ..Counts::default() };
        self.both(stream, &counted);
    }

    /// Counts further copies of records that are left out by a rule.
    pub fn filtered_copy(&mut self, stream: StreamIx, count: u64, reason: &'static str) {
        let counted = Counts { cloned: count, filtered: count, ..Counts::default() };
        self.both(stream, &counted);
        *self.reasons.entry((FILTERED, reason)).or_default() += count;
    }

    /// Counts records that are read and left out by a rule.
    pub fn filtered(&mut self, stream: StreamIx, count: u64, reason: &'static str) {
        self.both(stream, &Counts { read: count, filtered: count, ..Counts::default() });
        *self.reasons.entry((FILTERED, reason)).or_default() += count;
    }

    /// Counts a scheduled record that the client never took.
    pub fn skipped(&mut self, stream: StreamIx, reason: &'static str) {
        self.total.skipped += 1;
        self.stream(stream).skipped += 1;
        *self.reasons.entry((SKIPPED, reason)).or_default() += 1;
    }

    /// Counts a scheduled record that the client took.
    pub fn sent(&mut self, stream: StreamIx) {
        self.total.sent += 1;
        self.stream(stream).sent += 1;
    }

    /// Counts a confirmation.
    pub fn acked(&mut self, stream: StreamIx) {
        self.total.acked += 1;
        self.stream(stream).acked += 1;
    }

    /// Counts a failure.
    pub fn failed(&mut self, stream: StreamIx, reason: &'static str) {
        self.total.failed += 1;
        self.stream(stream).failed += 1;
        *self.reasons.entry((FAILED, reason)).or_default() += 1;
    }

    /// Counts a sent record without an answer.
    pub fn unknown(&mut self, stream: StreamIx, reason: &'static str) {
        self.total.unknown += 1;
        self.stream(stream).unknown += 1;
        *self.reasons.entry((UNKNOWN, reason)).or_default() += 1;
    }

    /// Adds another thread's part.
    pub fn merge(&mut self, other: &Self) {
        self.total.add(&other.total);
        if self.streams.len() < other.streams.len() {
            self.streams.resize(other.streams.len(), Counts::default());
        }
        for (mine, theirs) in self.streams.iter_mut().zip(&other.streams) {
            mine.add(theirs);
        }
        for (key, count) in &other.reasons {
            *self.reasons.entry(*key).or_default() += count;
        }
    }

    /// Checks every equation, in total and per stream, that the streams add up to the total, and the reasons to their
    /// buckets. Returns what does not hold, with the stream's number where it is one.
    #[must_use]
    pub fn imbalances(&self) -> Vec<(Option<StreamIx>, String)> {
        let mut found = Vec::new();
        found.extend(self.total.imbalance().map(|words| (None, words)));
        let mut sum = Counts::default();
        for (ix, counts) in self.streams.iter().enumerate() {
            sum.add(counts);
            found.extend(counts.imbalance().map(|words| (StreamIx::try_from(ix).ok(), words)));
        }
        if sum != self.total {
            found.push((None, format!("the streams add up to {sum:?}, the total is {:?}", self.total)));
        }
        let buckets =
            [(FILTERED, self.total.filtered), (SKIPPED, self.total.skipped), (FAILED, self.total.failed), (UNKNOWN, self.total.unknown)];
        for (bucket, count) in buckets {
            let explained: u64 = self.reasons.iter().filter(|((b, _), _)| *b == bucket).map(|(_, n)| n).sum();
            if explained != count {
                found.push((None, format!("{bucket} is {count}, its reasons add up to {explained}")));
            }
        }
        found
    }

    fn both(&mut self, stream: StreamIx, counted: &Counts) {
        self.total.add(counted);
        self.stream(stream).add(counted);
    }

    fn stream(&mut self, stream: StreamIx) -> &mut Counts {
        let ix = stream as usize;
        if ix >= self.streams.len() {
            self.streams.resize(ix + 1, Counts::default());
        }
        &mut self.streams[ix]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_story_that_ends_balances(stories in prop::collection::vec((0u32..5, 0u8..6), 0..200)) {
            let (mut pacer, mut completions) = (Ledger::new(2), Ledger::new(5));
            for (stream, story) in stories {
                if story == 0 {
                    pacer.filtered(stream, 3, "stream not selected");
                    continue;
                }
                pacer.scheduled(stream);
                if story == 1 {
                    pacer.skipped(stream, "too large");
                    continue;
                }
                pacer.sent(stream);
                match story {
                    2 => completions.failed(stream, "timed out"),
                    3 => completions.unknown(stream, "no answer"),
                    _ => completions.acked(stream),
                }
            }
            pacer.merge(&completions);
            prop_assert_eq!(pacer.imbalances(), vec![]);
        }

        #[test]
        fn one_lost_message_is_seen(lose in 0usize..3) {
            let mut ledger = Ledger::new(1);
            ledger.scheduled(0);
            match lose {
                0 => {}
                1 => ledger.sent(0),
                _ => { ledger.sent(0); ledger.acked(0); ledger.acked(0); }
            }
            prop_assert_eq!(ledger.imbalances().len(), 2, "in total and in the stream");
        }
    }
}
