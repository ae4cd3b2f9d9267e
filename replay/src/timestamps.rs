//! The time stamps of what is sent (`--timestamps`), and whether the target keeps them. Pure.
//!
//! `now`: the client's time when it takes the message. `shift`: origin + intended offset from the start of the run (with
//! `--max`: recorded offset from the first record), rounded down to milliseconds, so that the recorded distances, divided by
//! the speed, stay; a late message has the stamp it was to have. `original`: the recorded broker time as it was; a record
//! without one is sent without one (−1). The same recording, options and origin give the same stamps on any machine.
//!
//! Limits: a time stamp of exactly 0 cannot be sent (the client would write now instead): such a record is skipped and
//! counted. What the target would delete or refuse is found out before anything is sent ([`check`]).

use dejaq_shared::broker::sink::TargetTopic;
use dejaq_shared::record::BrokerTime;
use dejaq_shared::segment::timeline::TimeStatistics;
use dejaq_shared::units::{format_count, format_duration_ns, format_time_ns};

use crate::remap::TopicPlan;

const MILLISECOND_NS: i64 = 1_000_000;
/// How Kafka writes "no time stamp".
const NO_TIMESTAMP_MS: i64 = -1;

/// What time stamps are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampMode {
    /// The client's now.
    #[default]
    Now,
    /// The origin and the intended offset.
    Shift,
    /// As recorded.
    Original,
}

impl TimestampMode {
    /// The name on the command line and in `run.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Shift => "shift",
            Self::Original => "original",
        }
    }

    /// What an item keeps for [`Stamping`]; `offset_ns` counts from the start of the run.
    #[must_use]
    #[inline]
    pub fn stamp(self, recorded: BrokerTime, offset_ns: u64) -> i64 {
        match (self, recorded) {
            (Self::Now, _) => 0,
            (Self::Shift, _) => i64::try_from(offset_ns).unwrap_or(i64::MAX),
            (Self::Original, BrokerTime::None) => NO_TIMESTAMP_MS,
            (Self::Original, BrokerTime::Create(ms) | BrokerTime::Append(ms)) => ms,
        }
    }

    /// How the stamps of a run become time stamps, when its origin is known (nanoseconds since 1970).
    #[must_use]
    pub fn stamping(self, origin_ns: i64) -> Stamping {
        match self {
            Self::Now => Stamping::Now,
            Self::Shift => Stamping::Shift { origin_ns },
            Self::Original => Stamping::Original,
        }
    }
}

/// Turns an item's stamp into the message's time stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stamping {
    /// The client's now.
    #[default]
    Now,
    /// The stamp counts nanoseconds from the origin.
    Shift {
        /// Nanoseconds since 1970.
        origin_ns: i64,
    },
    /// The stamp is the time stamp.
    Original,
}

impl Stamping {
    /// Milliseconds since 1970; `None`: the client's now.
    #[must_use]
    #[inline]
    pub fn timestamp_ms(self, stamp: i64) -> Option<i64> {
        match self {
            Self::Now => None,
            Self::Shift { origin_ns } => Some(origin_ns.saturating_add(stamp).div_euclid(MILLISECOND_NS)),
            Self::Original => Some(stamp),
        }
    }
}

/// Time stamps that the target would not keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// The topic would delete them at once.
    #[error(
        "--timestamps {mode}: topic {topic:?} deletes what is older than {} (retention.ms={retention_ms}), and the first messages would be {} old; set its retention.ms to more than {age_ms}, or to -1, or give --timestamps {other}",
        words(*retention_ms),
        words(*age_ms)
    )]
    Retention {
        /// `shift` or `original`.
        mode: &'static str,
        /// The topic.
        topic: String,
        /// Its setting.
        retention_ms: u64,
        /// What it would have to be.
        age_ms: u64,
        /// What to use instead.
        other: &'static str,
    },
    /// The broker would refuse them.
    #[error(
        "--timestamps {mode}: topic {topic:?} refuses time stamps of more than {} {side} its broker's clock ({setting}={limit_ms}), and messages would have some that are {} {side} it; set {setting} to more than {distance_ms}, or give --timestamps {other}",
        words(*limit_ms),
        words(*distance_ms)
    )]
    Refused {
        /// `shift` or `original`.
        mode: &'static str,
        /// The topic.
        topic: String,
        /// The setting's name.
        setting: &'static str,
        /// Its value.
        limit_ms: u64,
        /// `before` or `after`.
        side: &'static str,
        /// What it would have to be.
        distance_ms: u64,
        /// What to use instead.
        other: &'static str,
    },
}

/// What the check goes by.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The mode.
    pub mode: TimestampMode,
    /// `--origin`, nanoseconds since 1970; `None`: the start of the run.
    pub origin_ns: Option<i64>,
    /// When the run starts, nanoseconds since 1970, as far as that is known.
    pub start_ns: i64,
    /// The time window of the recording.
    pub window_ns: (Option<i64>, Option<i64>),
    /// Each stream's times.
    pub times: &'a [TimeStatistics],
}

/// Holds the time stamps against what the target's topics do with them. Returns what is worth a note.
///
/// # Errors
/// [`TimestampError`] when the topics would delete or refuse them.
pub fn check(asked: &Asked<'_>, plan: &TopicPlan, at_target: &[TargetTopic]) -> Result<Vec<String>, TimestampError> {
    if asked.mode == TimestampMode::Now {
        return Ok(Vec::new());
    }
    let mode = asked.mode.name();
    let mut notes = Vec::new();
    for (ix, planned) in plan.topics.iter().enumerate() {
        let Some(topic) = at_target.iter().find(|t| t.name == planned.name) else { continue };
        if topic.times.append {
            let name = &topic.name;
            notes.push(format!(
                "topic {name:?} has message.timestamp.type=LogAppendTime: its broker writes its own time over --timestamps {mode}"
            ));
            continue;
        }
        if !topic.times.known {
            let name = &topic.name;
            notes.push(format!(
                "--timestamps {mode}: it is not known what topic {name:?} does with time stamps (it is not there yet, or its settings may not be described): nothing was held against its retention"
            ));
        }
        let of_topic = plan.of_stream.iter().zip(asked.times).filter(|(target, _)| target.is_some_and(|t| t as usize == ix));
        let times: Vec<&TimeStatistics> = of_topic.map(|(_, times)| times).collect();
        let Some(span) = asked.span(&times) else { continue };
        asked.hold_against(topic, span)?;
        notes.extend(asked.odd_ones(topic, &times));
    }
    notes.extend(asked.not_as_recorded(plan));
    Ok(notes)
}

impl Asked<'_> {
    /// The first and the last time stamp of a topic's usable ones, in milliseconds against the broker's clock at sending:
    /// negative is before it.
    fn span(&self, times: &[&TimeStatistics]) -> Option<(i64, i64)> {
        let start_ms = self.start_ns.div_euclid(MILLISECOND_NS);
        if self.mode == TimestampMode::Shift {
            // A message is sent as long after the start as its stamp is after the origin.
            let distance = self.origin_ns.map_or(0, |origin| origin.div_euclid(MILLISECOND_NS).saturating_sub(start_ms));
            return Some((distance, distance));
        }
        let (from, to) = self.window_ns;
        let (low, high) = times.iter().filter_map(|t| t.sane_ms).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        // The window leaves out what lies outside, if it goes by the same times.
        let whole = times.iter().all(|t| t.odd() == 0);
        let low = from.filter(|_| whole).map_or(low, |from| low.max(from.div_euclid(MILLISECOND_NS)));
        let high = to.filter(|_| whole).map_or(high, |to| high.min(to.div_euclid(MILLISECOND_NS)));
        Some((low.saturating_sub(start_ms), high.saturating_sub(start_ms)))
    }

    fn hold_against(&self, topic: &TargetTopic, (first, last): (i64, i64)) -> Result<(), TimestampError> {
        let (mode, name, times) = (self.mode.name(), topic.name.clone(), &topic.times);
        let other = if self.mode == TimestampMode::Original { "shift" } else { "now" };
        let age_ms = first.min(0).unsigned_abs();
        if let Some(retention_ms) = times.retention_ms.filter(|kept| age_ms > *kept) {
            return Err(TimestampError::Retention { mode, topic: name, retention_ms, age_ms, other });
        }
        let sides = [
            ("before", "message.timestamp.before.max.ms", times.before_max_ms, age_ms),
            ("after", "message.timestamp.after.max.ms", times.after_max_ms, last.max(0).unsigned_abs()),
        ];
        for (side, setting, limit_ms, distance_ms) in sides {
            if let Some(limit_ms) = limit_ms.filter(|limit| distance_ms > *limit) {
                return Err(TimestampError::Refused { mode, topic: name, setting, limit_ms, side, distance_ms, other });
            }
        }
        Ok(())
    }

    /// Unusable recorded times that the broker would refuse: not a reason against the run, but to be said.
    fn odd_ones(&self, topic: &TargetTopic, times: &[&TimeStatistics]) -> Option<String> {
        if self.mode != TimestampMode::Original || times.iter().all(|t| t.create_insane == 0) {
            return None;
        }
        let (low, high) = times.iter().filter_map(|t| t.raw_ms).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        let start_ms = self.start_ns.div_euclid(MILLISECOND_NS);
        let before = topic.times.before_max_ms.is_some_and(|limit| start_ms.saturating_sub(low).max(0).unsigned_abs() > limit);
        let after = topic.times.after_max_ms.is_some_and(|limit| high.saturating_sub(start_ms).max(0).unsigned_abs() > limit);
        (before || after).then(|| {
            format!(
                "topic {:?} refuses some recorded time stamps (they reach from {low} to {high} ms since 1970): such messages, and others in a batch with them, will fail, and are counted",
                topic.name
            )
        })
    }

    /// Records whose recorded time cannot be sent as it was.
    fn not_as_recorded(&self, plan: &TopicPlan) -> Vec<String> {
        let chosen = || plan.of_stream.iter().zip(self.times).filter(|(target, _)| target.is_some()).map(|(_, times)| times);
        let zero: u64 = chosen().map(|t| t.zero).sum();
        let none: u64 = chosen().map(|t| t.records.saturating_sub(t.create + t.append)).sum();
        let mut notes = Vec::new();
        if self.mode == TimestampMode::Original && zero > 0 {
            let count = format_count(zero);
            notes.push(format!("{count} records have the time stamp 0, which the client cannot send: they are skipped and counted"));
        }
        if self.mode == TimestampMode::Original && none > 0 {
            notes.push(format!("{} records have no broker time: they are sent without one (-1)", format_count(none)));
        }
        if let (TimestampMode::Shift, Some(origin)) = (self.mode, self.origin_ns) {
            notes.push(format!("time stamps count from {}", format_time_ns(origin)));
        }
        notes
    }
}

fn words(ms: u64) -> String {
    format_duration_ns(ms.saturating_mul(MILLISECOND_NS.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remap::PlannedTopic;
    use dejaq_shared::broker::sink::{Destination, TopicTimes};

    const DAY_MS: u64 = 86_400_000;
    const NOW_MS: i64 = 1_800_000_000_000;

    fn plan() -> TopicPlan {
        let topic = PlannedTopic { name: "t".into(), destination: Destination::named("t"), sources: vec!["t".into()], partitions: 1 };
        TopicPlan { topics: vec![topic], of_stream: vec![Some(0), None] }
    }

    /// Recorded over an hour, 30 days ago; the second stream, which is not selected, a year ago.
    fn recorded() -> Vec<TimeStatistics> {
        let ago = |days: i64| NOW_MS - days * 86_400_000;
        let of = |first: i64| TimeStatistics {
            records: 10,
            create: 10,
            sane_ms: Some((first, first + 3_600_000)),
            raw_ms: Some((first, first + 3_600_000)),
            ..TimeStatistics::default()
        };
        vec![of(ago(30)), of(ago(365))]
    }

    fn checked(
        mode: TimestampMode,
        origin_ms: Option<i64>,
        window_ms: Option<i64>,
        recorded: &[TimeStatistics],
        times: TopicTimes,
    ) -> Result<Vec<String>, String> {
        let topic =
            TargetTopic { name: "t".into(), partitions: Some(1), message_bytes_max: None, times: TopicTimes { known: true, ..times } };
        let asked = Asked {
            mode,
            origin_ns: origin_ms.map(|ms| ms * MILLISECOND_NS),
            start_ns: NOW_MS * MILLISECOND_NS,
            window_ns: (window_ms.map(|ms| ms * MILLISECOND_NS), None),
            times: recorded,
        };
        check(&asked, &plan(), &[topic]).map_err(|e| e.to_string())
    }

    fn keeps(days: u64) -> TopicTimes {
        TopicTimes { retention_ms: Some(days * DAY_MS), ..TopicTimes::default() }
    }

    #[test]
    fn stamps_become_time_stamps() {
        let stamped = |mode: TimestampMode, time, offset| mode.stamping(5_000_000_000).timestamp_ms(mode.stamp(time, offset));
        assert_eq!(stamped(TimestampMode::Now, BrokerTime::Create(7), 9), None);
        assert_eq!(stamped(TimestampMode::Shift, BrokerTime::Create(7), 1_999_999), Some(5_001));
        for ms in [7, 0, -5, i64::MIN] {
            assert_eq!(stamped(TimestampMode::Original, BrokerTime::Create(ms), 9), Some(ms));
            assert_eq!(stamped(TimestampMode::Original, BrokerTime::Append(ms), 9), Some(ms));
        }
        assert_eq!(stamped(TimestampMode::Original, BrokerTime::None, 9), Some(-1));
    }

    #[test]
    fn what_would_be_deleted_at_once_is_refused_with_the_numbers() {
        let original = |days| checked(TimestampMode::Original, None, None, &recorded(), keeps(days));
        let refused = original(1).expect_err("30 days are more than one");
        for part in ["\"t\"", "retention.ms=86400000", "1 d 0 h", "30 d 0 h", "2592000000", "--timestamps shift"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        assert_eq!(original(31), Ok(vec![]));
        assert_eq!(checked(TimestampMode::Original, None, None, &recorded(), TopicTimes::default()), Ok(vec![]), "kept for ever");
        let window = Some(NOW_MS - 3_600_000);
        assert_eq!(checked(TimestampMode::Original, None, window, &recorded(), keeps(1)), Ok(vec![]), "only what is younger is sent");
        assert_eq!(checked(TimestampMode::Now, None, None, &recorded(), keeps(1)), Ok(vec![]));
    }

    #[test]
    fn settings_that_cannot_be_read_are_said() {
        let topic = TargetTopic { name: "t".into(), partitions: Some(1), message_bytes_max: None, times: TopicTimes::default() };
        let (times, start_ns) = (recorded(), NOW_MS * MILLISECOND_NS);
        let asked = |mode| Asked { mode, origin_ns: None, start_ns, window_ns: (None, None), times: &times };
        let notes = check(&asked(TimestampMode::Original), &plan(), std::slice::from_ref(&topic)).expect("nothing is known");
        assert!(notes.len() == 1 && notes[0].contains("it is not known what topic \"t\" does"), "{notes:?}");
        assert_eq!(check(&asked(TimestampMode::Now), &plan(), &[topic]), Ok(vec![]));
    }

    #[test]
    fn shift_is_as_old_as_its_origin() {
        let shift = |origin| checked(TimestampMode::Shift, origin, None, &recorded(), keeps(1));
        assert_eq!(shift(None), Ok(vec![]));
        let refused = shift(Some(NOW_MS - 2 * 86_400_000)).expect_err("two days");
        assert!(refused.contains("2 d 0 h") && refused.contains("--timestamps now"), "{refused}");
        let after = TopicTimes { after_max_ms: Some(3_600_000), ..TopicTimes::default() };
        let refused = checked(TimestampMode::Shift, Some(NOW_MS + 3_600_001), None, &recorded(), after).expect_err("after");
        assert!(refused.contains("message.timestamp.after.max.ms=3600000") && refused.contains("3600001"), "{refused}");
        assert!(checked(TimestampMode::Shift, Some(NOW_MS + 3_600_000), None, &recorded(), after).is_ok());
    }

    #[test]
    fn what_the_broker_refuses_is_refused_before() {
        let before = TopicTimes { before_max_ms: Some(DAY_MS), ..TopicTimes::default() };
        let refused = checked(TimestampMode::Original, None, None, &recorded(), before).expect_err("before");
        assert!(refused.contains("message.timestamp.before.max.ms=86400000") && refused.contains("before its broker's clock"), "{refused}");
        let append = TopicTimes { append: true, ..before };
        let notes = checked(TimestampMode::Original, None, None, &recorded(), append).expect("overwritten anyway");
        assert!(notes[0].contains("LogAppendTime"), "{notes:?}");
    }

    #[test]
    fn odd_times_are_said_and_do_not_decide() {
        let mut odd = recorded();
        odd[0] = TimeStatistics { zero: 2, create: 9, create_insane: 3, raw_ms: Some((0, i64::MAX)), ..odd[0] };
        let after = TopicTimes { after_max_ms: Some(3_600_000), ..TopicTimes::default() };
        let notes = checked(TimestampMode::Original, None, None, &odd, after).expect("three of ten thousand are no reason");
        for part in ["refuses some recorded time stamps", "2 records have the time stamp 0", "1 records have no broker time"] {
            assert!(notes.iter().any(|n| n.contains(part)), "{part}: {notes:?}");
        }
    }
}
