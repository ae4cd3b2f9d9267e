//! `replay --fail-if 'p99(response) > 50ms'`: a threshold for a run itself, held against `run.json` at its end.
//!
//! A percentile that falls among the unanswered, or over the hour that a histogram reaches, is infinite here. What is not known
//! at the end (a rate of no messages, the lag of a group that never committed) counts as crossed: nothing says that it is not.
//! A measure that the run cannot have is refused before it starts.

use std::fmt;

use dejaq_shared::broker::sink::TargetKind;
use dejaq_shared::units::{duration_ns, format_count, format_ns, format_percent, format_rate, parse_duration, parse_percent, parse_rate};
use serde::{Deserialize, Serialize};

use super::{Expression, FailIfError};
use crate::measure::latency::{LATENCY_NS_MAX, LatencySummary};
use crate::run::report::RunReport;

/// A threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct RunThreshold {
    expression: Expression,
    measure: Measure,
    bound: f64,
}

/// What a run can be held against.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Measure {
    /// A percentile of a latency.
    Latency(Latency, Percentile),
    /// `achieved_rate`
    AchievedRate,
    /// `unanswered_share`
    UnansweredShare,
    /// `delivered`
    Delivered,
    /// `lag_messages_max(GROUP)`
    LagMessagesMax(String),
    /// `lag_time_max(GROUP)`
    LagTimeMax(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Latency {
    Response,
    Service,
    ScheduleError,
    EndToEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Percentile {
    P50,
    P90,
    P99,
    P999,
    Max,
}

/// What values and bounds are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Unit {
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Ns,
    /// Messages per second.
    #[serde(rename = "1/s")]
    PerSecond,
    /// A share, from 0 to 1.
    #[serde(rename = "share")]
    Share,
    /// Messages.
    #[serde(rename = "messages")]
    Messages,
}

/// What became of a threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ThresholdReport {
    /// The expression.
    pub expr: String,
    /// What the run came to; `null`: infinite, or not known.
    pub value: Option<f64>,
    /// What the value is counted in.
    pub unit: Unit,
    /// The value in words.
    pub found: String,
    /// Whether it is beyond the bound; what is not known is.
    pub crossed: bool,
}

impl fmt::Display for ThresholdReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let crossed = if self.crossed { "crossed" } else { "not crossed" };
        write!(f, "{}: {crossed}: {}", self.expr, self.found)
    }
}

/// What is known ahead of what a run will measure.
#[derive(Debug, Clone, Copy)]
pub struct Measurable<'a> {
    /// Whether there is a schedule (not with `--max`).
    pub scheduled: bool,
    /// Whether a probe matches outputs.
    pub end_to_end: bool,
    /// The groups of `--lag`.
    pub lag: &'a [String],
    /// The broker; `None` while only the options are known.
    pub target: Option<TargetKind>,
}

const EXAMPLE: &str = "--fail-if 'p99(response) > 50ms' or --fail-if 'achieved_rate < 9k/s'";
const KNOWN: &str = "no such measure: there are p50, p90, p99, p99.9 and max of response, service, schedule_error and end_to_end, as in \
    p99(response); achieved_rate, unanswered_share, delivered; lag_messages_max(GROUP), lag_time_max(GROUP)";

const LATENCIES: [(&str, Latency); 4] = [
    ("response", Latency::Response),
    ("service", Latency::Service),
    ("schedule_error", Latency::ScheduleError),
    ("end_to_end", Latency::EndToEnd),
];

const PERCENTILES: [(&str, Percentile); 5] =
    [("p50", Percentile::P50), ("p90", Percentile::P90), ("p99", Percentile::P99), ("p99.9", Percentile::P999), ("max", Percentile::Max)];

fn named<T: Copy>(known: &[(&str, T)], name: &str) -> Option<T> {
    known.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

/// Without a percentile or a group.
const PLAIN: [(&str, Measure); 3] =
    [("achieved_rate", Measure::AchievedRate), ("unanswered_share", Measure::UnansweredShare), ("delivered", Measure::Delivered)];

fn refuse(text: &str, reason: impl Into<String>) -> FailIfError {
    FailIfError { text: text.to_owned(), reason: reason.into(), example: EXAMPLE }
}

/// What the run came to.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    Known(f64),
    Infinite,
    NotKnown,
}

impl Measure {
    fn of(expression: &Expression) -> Option<Self> {
        let name = expression.name.as_str();
        match expression.function.as_deref() {
            None => PLAIN.iter().find(|(known, _)| *known == name).map(|(_, measure)| measure.clone()),
            Some("lag_messages_max") => Some(Self::LagMessagesMax(name.to_owned())),
            Some("lag_time_max") => Some(Self::LagTimeMax(name.to_owned())),
            Some(percentile) => Some(Self::Latency(named(&LATENCIES, name)?, named(&PERCENTILES, percentile)?)),
        }
    }

    fn unit(&self) -> Unit {
        match self {
            Self::Latency(..) | Self::LagTimeMax(_) => Unit::Ns,
            Self::AchievedRate => Unit::PerSecond,
            Self::UnansweredShare | Self::Delivered => Unit::Share,
            Self::LagMessagesMax(_) => Unit::Messages,
        }
    }

    /// Why a run will not have it.
    fn missing(&self, run: &Measurable<'_>) -> Option<String> {
        let unscheduled = "with --max there is no schedule, and so no response, schedule_error or delivered";
        match self {
            Self::Latency(Latency::Response | Latency::ScheduleError, _) | Self::Delivered if !run.scheduled => {
                Some(unscheduled.to_owned())
            }
            Self::Latency(Latency::EndToEnd, _) if !run.end_to_end => {
                Some("end_to_end is known with a --probe that has match= only".to_owned())
            }
            Self::LagMessagesMax(group) | Self::LagTimeMax(group) if !run.lag.contains(group) => {
                Some(format!("the lag of {group} is known with --lag {group} only"))
            }
            Self::LagTimeMax(queue) if run.target == Some(TargetKind::RabbitMq) => Some(format!(
                "the target is RabbitMQ, where a queue has no positions: its lag is known in messages, lag_messages_max({queue})"
            )),
            _ => None,
        }
    }

    fn value(&self, run: &RunReport) -> Value {
        let known = |value: Option<f64>| value.map_or(Value::NotKnown, Value::Known);
        // Without a total at some look nobody knows how far behind the group was then.
        let lag = |group: &str| {
            let groups = run.observed.iter().flat_map(|observed| &observed.lag);
            groups.map(|group| &group.lag).find(|lag| lag.group == group && lag.without_total == 0)
        };
        match self {
            Self::Latency(latency, percentile) => latency.of(run).map_or(Value::NotKnown, |summary| percentile.of(summary)),
            Self::AchievedRate => known(run.rate.achieved_per_s),
            Self::UnansweredShare => {
                let counts = &run.ledger.counts;
                known((counts.scheduled > 0).then(|| counts.unanswered() as f64 / counts.scheduled as f64))
            }
            Self::Delivered => known(run.delivered),
            Self::LagMessagesMax(group) => known(lag(group).and_then(|lag| lag.messages_max).map(|n| n as f64)),
            Self::LagTimeMax(group) => {
                known(lag(group).filter(|lag| lag.left_out == 0).and_then(|lag| lag.time_ns_max).map(|ns| ns as f64))
            }
        }
    }
}

impl Latency {
    fn of(self, run: &RunReport) -> Option<&LatencySummary> {
        match self {
            Self::Response => run.latency.response.as_ref(),
            Self::Service => Some(&run.latency.service),
            Self::ScheduleError => run.latency.schedule_error.as_ref(),
            Self::EndToEnd => run.latency.end_to_end.as_ref(),
        }
    }
}

impl Percentile {
    fn of(self, summary: &LatencySummary) -> Value {
        let ns = match self {
            Self::P50 => summary.p50_ns,
            Self::P90 => summary.p90_ns,
            Self::P99 => summary.p99_ns,
            Self::P999 => summary.p999_ns,
            Self::Max => summary.max_ns,
        };
        match ns {
            Some(ns) => Value::Known(ns as f64),
            None if summary.unanswered > 0 || summary.overflow > 0 => Value::Infinite,
            None => Value::NotKnown,
        }
    }
}

impl Unit {
    /// Reads a bound; `Err` is the reason.
    fn parse(self, typed: &str) -> Result<f64, String> {
        match self {
            Self::Ns => Ok(duration_ns(parse_duration(typed).map_err(|e| e.to_string())?) as f64),
            Self::PerSecond => Ok(parse_rate(typed).map_err(|e| e.to_string())?.as_f64()),
            Self::Share => share(typed).ok_or_else(|| format!("{typed:?} is not a share such as 0.1% or 0.999")),
            Self::Messages => {
                let count: u64 = typed.parse().map_err(|_| format!("{typed:?} is not a number of messages such as 1000"))?;
                Ok(count as f64)
            }
        }
    }

    /// A value for people.
    fn words(self, value: f64) -> String {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole numbers of nanoseconds or messages, for people")]
        let whole = value as u64;
        match self {
            Self::Ns => format_ns(whole),
            Self::PerSecond => format_rate(value),
            Self::Share => format_percent(value),
            Self::Messages => format_count(whole),
        }
    }
}

/// `0.1%`, `0.001`, `0`: from 0 to 1.
fn share(typed: &str) -> Option<f64> {
    let share = if typed.ends_with('%') {
        parse_percent(typed).ok()?
    } else {
        typed.parse().ok().filter(|_| typed.bytes().all(|b| b.is_ascii_digit() || b == b'.'))?
    };
    (0.0..=1.0).contains(&share).then_some(share)
}

impl RunThreshold {
    /// Reads one.
    ///
    /// # Errors
    /// [`FailIfError`]: it is none, its measure is unknown, or its bound is not counted in what the measure is.
    pub fn parse(text: &str) -> Result<Self, FailIfError> {
        let expression = Expression::parse(text).map_err(|reason| refuse(text, reason))?;
        let measure = Measure::of(&expression).ok_or_else(|| refuse(text, KNOWN))?;
        let bound = measure.unit().parse(&expression.bound).map_err(|reason| refuse(text, reason))?;
        if matches!(measure, Measure::Latency(..)) && bound > LATENCY_NS_MAX as f64 {
            return Err(refuse(text, "latencies are told apart up to 1h"));
        }
        Ok(Self { expression, measure, bound })
    }

    /// Checks that a run will have the measure.
    ///
    /// # Errors
    /// [`FailIfError`] when it will not.
    pub fn check(&self, run: &Measurable<'_>) -> Result<(), FailIfError> {
        self.measure.missing(run).map_or(Ok(()), |reason| Err(refuse(&self.to_string(), reason)))
    }

    /// Holds it against a run that has ended.
    #[must_use]
    pub fn judge(&self, run: &RunReport) -> ThresholdReport {
        let unit = self.measure.unit();
        let beyond = |value| self.expression.relation.holds(value, self.bound);
        let (value, found, crossed) = match self.measure.value(run) {
            Value::Known(value) => (Some(value), unit.words(value), beyond(value)),
            Value::Infinite => (None, "infinite: it falls among the unanswered".to_owned(), beyond(f64::INFINITY)),
            Value::NotKnown => (None, "not known, which counts as crossed".to_owned(), true),
        };
        ThresholdReport { expr: self.to_string(), value, unit, found, crossed }
    }
}

impl fmt::Display for RunThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expression.fmt(f)
    }
}
