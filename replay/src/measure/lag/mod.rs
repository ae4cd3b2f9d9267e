//! How far behind the consumer groups of the system under test are, in messages and in time. Pure: positions and time are given.
//!
//! Lag in messages is log end − committed position. Lag in time is how long ago the log ended where the group now stands: the
//! age of the newest message that it has committed past, so what a message that is read now has waited at least. It is read
//! from the ends that were seen, between them in a straight line. Where the group stands before the first end that was seen
//! (a backlog from before the run), it is only known to be *at least* that old.
//!
//! Limits: a group commits when it likes, every five seconds by Kafka's default, and what it has done since does not show: lag
//! is never below what is uncommitted. Memory is flat: [`PARTITIONS_MAX`] partitions of [`ENDS_MAX`] ends, older ones thinned.

mod ends;
pub mod rebalances;

use std::collections::BTreeMap;

use dejaq_shared::broker::backlog::Depth;
use serde::{Deserialize, Serialize};

use ends::Ends;

/// The most partitions of a group that are followed; further ones are left out, and the report says how many.
pub const PARTITIONS_MAX: usize = 1_024;
/// The most log ends that are remembered for a partition.
pub const ENDS_MAX: usize = 512;

/// The lag of one partition, or of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lag {
    /// Messages.
    pub messages: u64,
    /// In nanoseconds; that of the partition that is furthest behind, for a group.
    pub time_ns: u64,
    /// Whether it is only known that the lag in time is no less than that.
    pub at_least: bool,
}

/// What is known of a group over a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LagReport {
    /// The group.
    pub group: String,
    /// How often it was looked at.
    pub samples: u64,
    /// Partitions that it has committed a position for.
    pub partitions: u64,
    /// The most messages that it was behind, over all its partitions together; `null`: never seen.
    pub messages_max: Option<u64>,
    /// The longest time that it was behind, in nanoseconds.
    pub time_ns_max: Option<u64>,
    /// Its lag when it was looked at last.
    pub end: Option<Lag>,
    /// Partitions beyond those that are followed.
    pub left_out: u64,
}

/// Follows one group.
#[derive(Debug)]
pub struct LagMeter {
    partitions: BTreeMap<(String, i32), Ends>,
    report: LagReport,
}

/// A partition's line.
#[derive(Debug, PartialEq, Eq)]
pub struct PartitionLag<'a> {
    /// Where the group stands.
    pub depth: &'a Depth,
    /// How far behind that is.
    pub lag: Lag,
}

impl LagMeter {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(group: &str) -> Self {
        Self { partitions: BTreeMap::new(), report: LagReport { group: group.to_owned(), ..LagReport::default() } }
    }

    /// The group's positions and the logs' ends as they were at `now_ns`. Gives the lag of each partition, and in total.
    pub fn look<'a>(&mut self, depths: &'a [Depth], now_ns: u64) -> (Vec<PartitionLag<'a>>, Lag) {
        let mut lines = Vec::with_capacity(depths.len().min(PARTITIONS_MAX));
        let mut total = Lag::default();
        let mut left_out = 0;
        for depth in depths {
            let place = (depth.topic.clone(), depth.partition);
            if self.partitions.len() >= PARTITIONS_MAX && !self.partitions.contains_key(&place) {
                left_out += 1;
                continue;
            }
            let lag = self.partitions.entry(place).or_default().look(depth, now_ns);
            total.messages += lag.messages;
            if (lag.time_ns, lag.at_least) > (total.time_ns, total.at_least) {
                (total.time_ns, total.at_least) = (lag.time_ns, lag.at_least);
            }
            lines.push(PartitionLag { depth, lag });
        }
        let report = &mut self.report;
        report.samples += 1;
        report.partitions = report.partitions.max(depths.len() as u64);
        report.left_out = report.left_out.max(left_out);
        // A group that has committed nothing is not known to have kept up.
        if !lines.is_empty() {
            report.messages_max = report.messages_max.max(Some(total.messages));
            report.time_ns_max = report.time_ns_max.max(Some(total.time_ns));
            report.end = Some(total);
        }
        (lines, total)
    }

    /// What is known so far.
    #[must_use]
    pub fn report(&self) -> &LagReport {
        &self.report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: u64 = 1_000_000_000;

    fn depth(partition: i32, committed: i64, end: i64) -> Depth {
        Depth { topic: "in".into(), partition, committed, end }
    }

    fn lag(messages: u64, time_ns: u64, at_least: bool) -> Lag {
        Lag { messages, time_ns, at_least }
    }

    #[test]
    fn lag_in_time_is_the_age_of_the_end_that_the_group_has_come_to() {
        let mut meter = LagMeter::new("g");
        // A hundred a second come in; the group stands still at 150 until the fourth second.
        assert_eq!(meter.look(&[depth(0, 100, 100)], 0).1, lag(0, 0, false));
        assert_eq!(meter.look(&[depth(0, 150, 200)], S).1, lag(50, S / 2, false));
        assert_eq!(meter.look(&[depth(0, 150, 300)], 2 * S).1, lag(150, 3 * S / 2, false));
        assert_eq!(meter.look(&[depth(0, 400, 400)], 3 * S).1, lag(0, 0, false), "it has caught up");
        assert_eq!(meter.look(&[depth(0, 300, 400)], 4 * S).1, lag(100, 2 * S, false), "a group that was set back");
        let report = meter.report();
        assert_eq!((report.samples, report.messages_max, report.time_ns_max), (5, Some(150), Some(2 * S)));
    }

    #[test]
    fn a_backlog_from_before_is_at_least_as_old_as_the_run() {
        let mut meter = LagMeter::new("g");
        assert_eq!(meter.look(&[depth(0, 10, 500)], S).1, lag(490, 0, true));
        assert_eq!(meter.look(&[depth(0, 20, 500)], 4 * S).1, lag(480, 3 * S, true));
        assert_eq!(meter.look(&[depth(0, 500, 500)], 5 * S).1, lag(0, 0, false));
    }

    #[test]
    fn a_log_that_stood_still_does_not_make_what_came_after_older() {
        let mut meter = LagMeter::new("g");
        for second in 0..=10 {
            meter.look(&[depth(0, 100, 100)], second * S);
        }
        assert_eq!(meter.look(&[depth(0, 150, 200)], 11 * S).1, lag(50, S / 2, false));
    }

    #[test]
    fn a_group_adds_up_messages_and_is_as_late_as_its_latest_partition() {
        let mut meter = LagMeter::new("g");
        meter.look(&[depth(0, 0, 0), depth(1, 0, 0)], 0);
        let depths = [depth(0, 5, 10), depth(1, 2, 10)];
        let (lines, total) = meter.look(&depths, 10 * S);
        assert_eq!(total, lag(13, 8 * S, false));
        assert_eq!(lines.iter().map(|line| line.lag.messages).collect::<Vec<_>>(), [5, 8]);
        assert_eq!(LagMeter::new("g").look(&[], 0).1, Lag::default());
        assert_eq!(LagMeter::new("g").report().end, None, "a group that is not there has no lag of 0");
    }

    proptest! {
        #[test]
        fn a_group_that_follows_at_a_distance_is_that_late(rate in 1..1_000i64, behind_s in 1..900u64, more_s in 1..2_000u64) {
            // One sample a second, a steady rate: straight lines are exact, however many ends were thinned out.
            let mut meter = LagMeter::new("g");
            let mut last = Lag::default();
            for second in 0..=behind_s + more_s {
                let at = i64::try_from(second).expect("small") * rate;
                let committed = i64::try_from(second.saturating_sub(behind_s)).expect("small") * rate;
                last = meter.look(&[depth(0, committed, at)], second * S).1;
            }
            prop_assert_eq!(last.messages, behind_s * rate.unsigned_abs());
            prop_assert!(!last.at_least && last.time_ns.abs_diff(behind_s * S) <= 1, "{last:?}");
        }
    }
}
