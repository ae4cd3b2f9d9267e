//! What was planned and what was sent, per 100 ms and per second: the counts that fidelity and compare need.
//!
//! Planned counts are filed by intended time, sent ones by the time of sending. Both only move forward, each at its own
//! pace (when a target pushes back, hours apart), so a count goes out as soon as its bucket is left behind: memory is
//! flat, and the two series are separate rows of one file.

/// The length of a bucket.
pub const BUCKET_NS: u64 = 100_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// Which series a count belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// By intended time.
    Planned,
    /// By the time of sending.
    Sent,
}

impl Series {
    /// The name in `counts.csv`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Sent => "sent",
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
    planned: (u64, u64),
    sent: (u64, u64),
    second: SecondRow,
    peak_per_s: u64,
}

impl Tally {
    /// Nothing counted yet. Without a schedule there is no planned series.
    #[must_use]
    pub fn new(scheduled: bool) -> Self {
        Self { scheduled, planned: (0, 0), sent: (0, 0), second: SecondRow::default(), peak_per_s: 0 }
    }

    /// A record is due, `run_ns` after the start.
    pub fn planned(&mut self, run_ns: u64, log: &mut impl PaceLog) {
        if self.scheduled {
            step(&mut self.planned, run_ns / BUCKET_NS, Series::Planned, log);
        }
        let second = run_ns / SECOND_NS;
        if second > self.second.second {
            self.close_second(log);
            self.second = SecondRow { second, ..SecondRow::default() };
        }
        self.second.scheduled += 1;
    }

    /// The record given last was sent, `run_ns` after the start.
    pub fn sent(&mut self, run_ns: u64, log: &mut impl PaceLog) {
        step(&mut self.sent, run_ns / BUCKET_NS, Series::Sent, log);
    }

    /// The record given last was not sent.
    pub fn skipped(&mut self) {
        self.second.skipped += 1;
    }

    /// Gives out what is open.
    pub fn end(&mut self, log: &mut impl PaceLog) {
        self.close_second(log);
        for (series, (bucket, count)) in [(Series::Planned, self.planned), (Series::Sent, self.sent)] {
            if count > 0 {
                log.bucket(BucketRow { series, bucket, count });
            }
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

fn step(open: &mut (u64, u64), bucket: u64, series: Series, log: &mut impl PaceLog) {
    if bucket > open.0 {
        if open.1 > 0 {
            log.bucket(BucketRow { series, bucket: open.0, count: open.1 });
        }
        *open = (bucket, 0);
    }
    open.1 += 1;
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
