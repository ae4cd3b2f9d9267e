//! What was planned, sent and confirmed, per 100 ms and per second: the counts that fidelity and compare need.
//!
//! Planned counts are filed by intended time, sent and confirmed ones by when that was. Each only moves forward, each at its own
//! pace (when a target pushes back, hours apart), so a count goes out as soon as its bucket is left behind: memory is
//! flat, and the series are separate rows of one file.

/// The length of a bucket.
pub const BUCKET_NS: u64 = 100_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// Which series a count belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// By intended time.
    Planned,
    /// By the time that a ceiling let it have; only in runs with one.
    Allowed,
    /// By the time of sending.
    Sent,
    /// By the time of the confirmation.
    Acked,
}

impl Series {
    /// The name in `counts.csv`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Allowed => "allowed",
            Self::Sent => "sent",
            Self::Acked => "acked",
        }
    }
}

/// The count of one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketRow {
    /// The series.
    pub series: Series,
    /// The number of the bucket: it begins `bucket · 100 ms` after the start.
    pub bucket: u64,
    /// How many.
    pub count: u64,
}

/// The bucket that a series is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenBucket(BucketRow);

impl OpenBucket {
    /// The first bucket of a series.
    #[must_use]
    pub fn new(series: Series) -> Self {
        Self(BucketRow { series, bucket: 0, count: 0 })
    }

    /// Counts so many, `run_ns` after the start; an earlier bucket than the open one counts as that. Returns the bucket that
    /// this leaves behind, if there is something in it.
    pub fn add(&mut self, run_ns: u64, count: u64) -> Option<BucketRow> {
        let bucket = run_ns / BUCKET_NS;
        let before = self.0;
        if bucket > before.bucket {
            self.0 = BucketRow { bucket, count: 0, ..before };
        }
        self.0.count += count;
        Some(before).filter(|row| row.count > 0 && row.bucket < bucket)
    }

    /// What is open, if there is something in it.
    #[must_use]
    pub fn end(self) -> Option<BucketRow> {
        Some(self.0).filter(|row| row.count > 0)
    }
}

/// One second of intended time (with `--max`: of sending), complete on the pacer's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SecondRow {
    /// Which one, from 0 at the start.
    pub second: u64,
    /// Records due in it.
    pub scheduled: u64,
    /// Those of them that the client never took.
    pub skipped: u64,
}

/// Where counts go. Must not wait.
pub trait PaceLog {
    /// A second is complete.
    fn second(&mut self, row: SecondRow);
    /// A bucket is complete.
    fn bucket(&mut self, row: BucketRow);
}

/// The open buckets.
#[derive(Debug)]
pub struct Tally {
    scheduled: bool,
    planned: OpenBucket,
    allowed: OpenBucket,
    sent: OpenBucket,
    second: SecondRow,
    peak_per_s: u64,
}

impl Tally {
    /// Nothing counted yet. Without a schedule there is no planned series.
    #[must_use]
    pub fn new(scheduled: bool) -> Self {
        let [planned, allowed, sent] = [Series::Planned, Series::Allowed, Series::Sent].map(OpenBucket::new);
        Self { scheduled, planned, allowed, sent, second: SecondRow::default(), peak_per_s: 0 }
    }

    /// A record is due, `run_ns` after the start.
    pub fn planned(&mut self, run_ns: u64, log: &mut impl PaceLog) {
        if self.scheduled
            && let Some(row) = self.planned.add(run_ns, 1)
        {
            log.bucket(row);
        }
        let second = run_ns / SECOND_NS;
        if second > self.second.second {
            self.close_second(log);
            self.second = SecondRow { second, ..SecondRow::default() };
        }
        self.second.scheduled += 1;
    }

    /// A ceiling lets the record given last be sent, `run_ns` after the start.
    pub fn allowed(&mut self, run_ns: u64, log: &mut impl PaceLog) {
        if let Some(row) = self.allowed.add(run_ns, 1) {
            log.bucket(row);
        }
    }

    /// The record given last was sent, `run_ns` after the start.
    pub fn sent(&mut self, run_ns: u64, log: &mut impl PaceLog) {
        if let Some(row) = self.sent.add(run_ns, 1) {
            log.bucket(row);
        }
    }

    /// The record given last was not sent.
    pub fn skipped(&mut self) {
        self.second.skipped += 1;
    }

    /// Gives out what is open.
    pub fn end(&mut self, log: &mut impl PaceLog) {
        self.close_second(log);
        for row in [self.planned, self.allowed, self.sent].into_iter().filter_map(OpenBucket::end) {
            log.bucket(row);
        }
    }

    /// The most records due in one second so far.
    #[must_use]
    pub fn peak_per_s(&self) -> u64 {
        self.peak_per_s.max(self.second.scheduled)
    }

    fn close_second(&mut self, log: &mut impl PaceLog) {
        if self.second.scheduled > 0 {
            self.peak_per_s = self.peak_per_s.max(self.second.scheduled);
            log.second(self.second);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default)]
    struct Rows(Vec<SecondRow>, Vec<BucketRow>);

    impl PaceLog for Rows {
        fn second(&mut self, row: SecondRow) {
            self.0.push(row);
        }
        fn bucket(&mut self, row: BucketRow) {
            self.1.push(row);
        }
    }

    proptest! {
        #[test]
        fn every_record_is_in_one_bucket_of_each_series(gaps in prop::collection::vec((0u64..400_000_000, 0u64..400_000_000, any::<bool>()), 1..200)) {
            let mut rows = Rows::default();
            let mut tally = Tally::new(true);
            let (mut due, mut at, mut sent) = (0, 0, 0);
            for (due_gap, sent_gap, is_sent) in &gaps {
                due += due_gap;
                at = due.max(at + sent_gap);
                tally.planned(due, &mut rows);
                if *is_sent { tally.sent(at, &mut rows); sent += 1; } else { tally.skipped(); }
            }
            tally.end(&mut rows);
            let total = gaps.len() as u64;
            let sum = |series| rows.1.iter().filter(|r| r.series == series).map(|r| r.count).sum::<u64>();
            prop_assert_eq!((sum(Series::Planned), sum(Series::Sent)), (total, sent));
            prop_assert_eq!(rows.0.iter().map(|r| r.scheduled).sum::<u64>(), total);
            prop_assert_eq!(rows.0.iter().map(|r| r.skipped).sum::<u64>(), total - sent);
            prop_assert!(rows.0.is_sorted_by(|a, b| a.second < b.second));
            prop_assert_eq!(tally.peak_per_s(), rows.0.iter().map(|r| r.scheduled).max().unwrap_or(0));
        }
    }
}
