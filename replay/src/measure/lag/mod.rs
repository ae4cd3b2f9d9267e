//! How far behind the consumers of the system under test are, in messages and in time. Pure: what waits, and the time, are given.
//!
//! Of a consumer group: lag in messages is log end − committed position. Lag in time is how long ago the log ended where the group now stands: the
//! age of the newest message that it has committed past, so what a message that is read now has waited at least. It is read
//! from the ends that were seen, between them in a straight line. Where the group stands before the first end that was seen
//! (a backlog from before the run), it is only known to be *at least* that old.
//!
//! Of a queue: lag is the messages that no consumer was given yet. A queue has no positions, so how long these have waited is not
//! known. What consumers hold unacknowledged is told beside it, and never added: it is some seconds older.
//!
//! Limits: a group commits when it likes, every five seconds by Kafka's default, and what it has done since does not show: lag
//! is never below what is uncommitted. Memory is flat: [`PARTITIONS_MAX`] partitions of [`ENDS_MAX`] ends, older ones thinned.

mod ends;
pub mod rebalances;

use std::collections::BTreeMap;

use dejaq_shared::broker::backlog::{Depth, QueueDepth, Waiting};
use dejaq_shared::units::format_count;
use serde::{Deserialize, Serialize};

use ends::Ends;

/// The most partitions of a group that are followed in time; of further ones the messages are counted, and the report says how many.
pub const PARTITIONS_MAX: usize = 1_024;
/// The most log ends that are remembered for a partition.
pub const ENDS_MAX: usize = 512;

/// The lag of one partition, of a group, or of a queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Lag {
    /// Messages.
    pub messages: u64,
    /// In nanoseconds; that of the partition that is furthest behind, for a group; `null`: not known, of a queue.
    pub time_ns: Option<u64>,
    /// Whether it is only known that the lag in time is no less than that.
    pub at_least: bool,
}

/// What is known of a group or a queue over a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LagReport {
    /// The group; RabbitMQ: the queue.
    pub group: String,
    /// How often it was looked at.
    pub samples: u64,
    /// Partitions that it has committed a position for; 0 of a queue.
    pub partitions: u64,
    /// The most messages that it was behind, over all its partitions together; of a queue the most that were ready; `null`: never seen.
    pub messages_max: Option<u64>,
    /// The longest time that it was behind, in nanoseconds; `null`: never seen, and always of a queue.
    pub time_ns_max: Option<u64>,
    /// Its lag when it was looked at last.
    pub end: Option<Lag>,
    /// Of a queue: the most messages that its consumers held unacknowledged, by the broker's statistics, which are up to 5 s old;
    /// `null`: not told.
    #[serde(default)]
    pub unacknowledged_max: Option<u64>,
    /// The same when it was looked at last.
    #[serde(default)]
    pub unacknowledged_end: Option<u64>,
    /// Partitions beyond those that are followed: counted in messages, and not in time.
    pub left_out: u64,
    /// Partitions whose end the cluster did not tell, the most at one look: the last end that was seen counts for them.
    #[serde(default)]
    pub untold_max: u64,
    /// Looks without a total, since the end of some partition had never been told.
    #[serde(default)]
    pub without_total: u64,
}

impl LagReport {
    /// What its figures leave out, in words.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        let Self { group, left_out, untold_max, without_total, .. } = self;
        let count = format_count;
        [
            (*untold_max > 0).then(|| {
                format!("{group}: the ends of up to {} partitions were not told: the last ends that were seen count", count(*untold_max))
            }),
            (*without_total > 0).then(|| {
                format!("{group}: its lag is not known at {} looks: the end of a partition had never been told", count(*without_total))
            }),
            (*left_out > 0).then(|| format!("{group}: {} partitions are counted in messages and not in time", count(*left_out))),
        ]
        .into_iter()
        .flatten()
    }
}

/// Follows one group or queue.
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
    /// Where the log ends.
    pub end: i64,
    /// How far behind that is.
    pub lag: Lag,
}

impl LagMeter {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(group: &str) -> Self {
        Self { partitions: BTreeMap::new(), report: LagReport { group: group.to_owned(), ..LagReport::default() } }
    }

    /// What waited at `now_ns`. Gives the lag of each partition, and in total; `None`: the group has committed nothing, or
    /// the end of a partition was never told, so that nobody knows whether it has kept up.
    pub fn look<'a>(&mut self, waiting: &'a Waiting, now_ns: u64) -> (Vec<PartitionLag<'a>>, Option<Lag>) {
        let (lines, total) = match waiting {
            Waiting::Log(depths) => self.look_at_log(depths, now_ns),
            Waiting::Queue(depth) => (Vec::new(), Some(self.look_at_queue(*depth))),
        };
        let report = &mut self.report;
        report.samples += 1;
        if let Some(total) = total {
            report.messages_max = report.messages_max.max(Some(total.messages));
            report.time_ns_max = report.time_ns_max.max(total.time_ns);
        }
        report.end = total;
        (lines, total)
    }

    fn look_at_log<'a>(&mut self, depths: &'a [Depth], now_ns: u64) -> (Vec<PartitionLag<'a>>, Option<Lag>) {
        let mut lines = Vec::with_capacity(depths.len().min(PARTITIONS_MAX));
        let mut total = Lag { time_ns: Some(0), ..Lag::default() };
        let (mut left_out, mut untold, mut unknown) = (0, 0, false);
        for depth in depths {
            let place = (depth.topic.clone(), depth.partition);
            let lag = match (depth.end, self.partitions.len() < PARTITIONS_MAX || self.partitions.contains_key(&place)) {
                (Some(end), true) => {
                    let lag = self.partitions.entry(place).or_default().look(depth.committed, end, now_ns);
                    lines.push(PartitionLag { depth, end, lag });
                    Some(lag)
                }
                (Some(end), false) => {
                    left_out += 1;
                    let messages = ends::messages(depth.committed, end);
                    Some(Lag { messages, time_ns: Some(0), at_least: messages > 0 })
                }
                (None, _) => {
                    untold += 1;
                    self.partitions.get(&place).and_then(|ends| ends.at_least(depth.committed, now_ns))
                }
            };
            let Some(lag) = lag else {
                unknown = true;
                continue;
            };
            total.messages += lag.messages;
            total.time_ns = total.time_ns.max(lag.time_ns);
            // One that may be further behind than it is known to be may be the one that is furthest behind.
            total.at_least |= lag.at_least;
        }
        let report = &mut self.report;
        report.partitions = report.partitions.max(depths.len() as u64);
        report.left_out = report.left_out.max(left_out);
        report.untold_max = report.untold_max.max(untold);
        report.without_total += u64::from(unknown);
        (lines, (!depths.is_empty() && !unknown).then_some(total))
    }

    fn look_at_queue(&mut self, depth: QueueDepth) -> Lag {
        self.report.unacknowledged_max = self.report.unacknowledged_max.max(depth.unacknowledged);
        self.report.unacknowledged_end = depth.unacknowledged;
        Lag { messages: depth.ready, ..Lag::default() }
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
        Depth { topic: "in".into(), partition, committed, end: Some(end) }
    }

    fn lag(messages: u64, time_ns: u64, at_least: bool) -> Option<Lag> {
        Some(Lag { messages, time_ns: Some(time_ns), at_least })
    }

    /// The total of a group that stands so.
    fn total(meter: &mut LagMeter, depths: &[Depth], now_ns: u64) -> Option<Lag> {
        meter.look(&Waiting::Log(depths.to_vec()), now_ns).1
    }

    #[test]
    fn lag_in_time_is_the_age_of_the_end_that_the_group_has_come_to() {
        let mut meter = LagMeter::new("g");
        // A hundred a second come in; the group stands still at 150 until the fourth second.
        assert_eq!(total(&mut meter, &[depth(0, 100, 100)], 0), lag(0, 0, false));
        assert_eq!(total(&mut meter, &[depth(0, 150, 200)], S), lag(50, S / 2, false));
        assert_eq!(total(&mut meter, &[depth(0, 150, 300)], 2 * S), lag(150, 3 * S / 2, false));
        assert_eq!(total(&mut meter, &[depth(0, 400, 400)], 3 * S), lag(0, 0, false), "it has caught up");
        assert_eq!(total(&mut meter, &[depth(0, 300, 400)], 4 * S), lag(100, 2 * S, false), "a group that was set back");
        let report = meter.report();
        assert_eq!((report.samples, report.messages_max, report.time_ns_max), (5, Some(150), Some(2 * S)));
    }

    #[test]
    fn a_backlog_from_before_is_at_least_as_old_as_the_run() {
        let mut meter = LagMeter::new("g");
        assert_eq!(total(&mut meter, &[depth(0, 10, 500)], S), lag(490, 0, true));
        assert_eq!(total(&mut meter, &[depth(0, 20, 500)], 4 * S), lag(480, 3 * S, true));
        assert_eq!(total(&mut meter, &[depth(0, 500, 500)], 5 * S), lag(0, 0, false));
    }

    #[test]
    fn a_log_that_stood_still_does_not_make_what_came_after_older() {
        let mut meter = LagMeter::new("g");
        for second in 0..=10 {
            total(&mut meter, &[depth(0, 100, 100)], second * S);
        }
        assert_eq!(total(&mut meter, &[depth(0, 150, 200)], 11 * S), lag(50, S / 2, false));
    }

    #[test]
    fn a_group_adds_up_messages_and_is_as_late_as_its_latest_partition() {
        let mut meter = LagMeter::new("g");
        total(&mut meter, &[depth(0, 0, 0), depth(1, 0, 0)], 0);
        let waiting = Waiting::Log(vec![depth(0, 5, 10), depth(1, 2, 10)]);
        let (lines, total) = meter.look(&waiting, 10 * S);
        assert_eq!(total, lag(13, 8 * S, false));
        assert_eq!(lines.iter().map(|line| line.lag.messages).collect::<Vec<_>>(), [5, 8]);
        let mut nobody = LagMeter::new("g");
        assert_eq!(nobody.look(&Waiting::Log(Vec::new()), 0).1, None);
        assert_eq!((nobody.report().samples, nobody.report().end), (1, None), "a group that is not there has no lag of 0");
    }

    #[test]
    fn a_partition_whose_end_is_not_told_keeps_its_last_and_one_that_was_never_told_leaves_no_total() {
        let untold = |partition, committed| Depth { end: None, ..depth(partition, committed, 0) };
        let mut meter = LagMeter::new("g");
        assert_eq!(total(&mut meter, &[depth(0, 10, 10), depth(1, 0, 0)], 0), lag(0, 0, false));
        assert_eq!(total(&mut meter, &[depth(0, 10, 10), depth(1, 0, 40)], S), lag(40, S, false));
        assert_eq!(total(&mut meter, &[depth(0, 10, 10), untold(1, 0)], 3 * S), lag(40, 3 * S, true));
        assert_eq!((meter.report().untold_max, meter.report().without_total), (1, 0));
        assert_eq!(total(&mut meter, &[depth(0, 10, 10), untold(2, 5)], 4 * S), None);
        let report = meter.report();
        assert_eq!((report.without_total, report.end, report.messages_max), (1, None, Some(40)));
    }

    #[test]
    fn partitions_beyond_those_that_are_followed_count_in_messages() {
        let more = i32::try_from(PARTITIONS_MAX).expect("small") + 2;
        let mut meter = LagMeter::new("g");
        let depths: Vec<Depth> = (0..more).map(|partition| depth(partition, 0, 0)).collect();
        assert_eq!(total(&mut meter, &depths, 0), lag(0, 0, false));
        let depths: Vec<Depth> = (0..more).map(|partition| depth(partition, 0, 3 * i64::from(partition == more - 1))).collect();
        assert_eq!(total(&mut meter, &depths, S), lag(3, 0, true));
        assert_eq!((meter.report().left_out, meter.report().partitions), (2, more.unsigned_abs().into()));
    }

    #[test]
    fn a_queue_s_lag_is_what_is_ready_and_no_time_is_made_up_for_it() {
        let mut meter = LagMeter::new("q");
        for (second, ready, unacknowledged) in [(0, 3, Some(7)), (1, 40, Some(9)), (2, 0, None)] {
            let waiting = Waiting::Queue(QueueDepth { ready, unacknowledged });
            let (lines, total) = meter.look(&waiting, second * S);
            assert_eq!((lines.len(), total), (0, Some(Lag { messages: ready, time_ns: None, at_least: false })));
        }
        let report = meter.report();
        assert_eq!((report.samples, report.partitions, report.messages_max, report.time_ns_max), (3, 0, Some(40), None));
        assert_eq!(report.end, Some(Lag::default()), "an empty queue is known to be empty");
        assert_eq!((report.unacknowledged_max, report.unacknowledged_end), (Some(9), None));
    }

    proptest! {
        #[test]
        fn a_group_that_follows_at_a_distance_is_that_late(rate in 1..1_000i64, behind_s in 1..900u64, more_s in 1..2_000u64) {
            // One sample a second, a steady rate: straight lines are exact, however many ends were thinned out.
            let mut meter = LagMeter::new("g");
            let mut last = None;
            for second in 0..=behind_s + more_s {
                let at = i64::try_from(second).expect("small") * rate;
                let committed = i64::try_from(second.saturating_sub(behind_s)).expect("small") * rate;
                last = total(&mut meter, &[depth(0, committed, at)], second * S);
            }
            let last = last.expect("looked at");
            prop_assert_eq!(last.messages, behind_s * rate.unsigned_abs());
            prop_assert!(!last.at_least && last.time_ns.expect("known").abs_diff(behind_s * S) <= 1, "{last:?}");
        }
    }
}
