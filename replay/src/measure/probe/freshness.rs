//! How old the newest event is that a system's outputs cover: for systems that make one output of many messages. Pure.
//!
//! Event times are those that the outputs bear, on the wall clock of whoever wrote them: of a replay they are recent when its
//! time stamps are written anew (`[[retime]]` rules). An output that bears none covers nothing.

use serde::{Deserialize, Serialize};

use super::spec::freshness_wanted;
use crate::transform::formats::{Format, FormatKind, OpenError, Parsed, StampField, open};

/// Reads the newest event time of an output.
#[derive(Debug)]
pub struct EventTimes {
    format: Box<dyn Format>,
    parsed: Parsed,
}

impl EventTimes {
    /// Looks for this field.
    ///
    /// # Errors
    /// [`OpenError`] when its path is none.
    pub fn new(field: &StampField) -> Result<Self, OpenError> {
        Ok(Self { format: open(FormatKind::Json, &freshness_wanted(field))?, parsed: Parsed::default() })
    }

    /// The newest one in an output, nanoseconds since 1970.
    pub fn newest(&mut self, value: Option<&[u8]>) -> Option<i64> {
        self.format.parse(value?, &mut self.parsed).ok()?;
        self.parsed.stamps.iter().map(|stamp| stamp.ns).max()
    }
}

/// What a freshness probe found over a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FreshnessReport {
    /// Outputs that bear an event time.
    pub covering: u64,
    /// Outputs that bear none.
    pub without_time: u64,
    /// How old the newest covered event was at most, of all seconds after the first output, in nanoseconds; `null`: no output.
    pub age_ns_max: Option<i64>,
    /// The same at the end.
    pub age_ns_end: Option<i64>,
}

/// Follows the newest event time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Freshness {
    newest_ns: Option<i64>,
    report: FreshnessReport,
}

impl Freshness {
    /// An output came that covers events up to this time, or none.
    pub fn seen(&mut self, event_ns: Option<i64>) {
        match event_ns {
            Some(_) => self.report.covering += 1,
            None => self.report.without_time += 1,
        }
        self.newest_ns = self.newest_ns.max(event_ns);
    }

    /// A second is over, at `now_ns` since 1970: the newest event time and its age, once there is one. An event that is ahead
    /// of this machine's clock has a negative age.
    pub fn second(&mut self, now_ns: i64) -> Option<(i64, i64)> {
        let newest_ns = self.newest_ns?;
        let age_ns = now_ns.saturating_sub(newest_ns);
        self.report.age_ns_max = self.report.age_ns_max.max(Some(age_ns));
        self.report.age_ns_end = Some(age_ns);
        Some((newest_ns, age_ns))
    }

    /// What was found so far.
    #[must_use]
    pub fn report(&self) -> FreshnessReport {
        self.report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::formats::StampUnit;

    #[test]
    fn the_newest_event_that_any_output_covered_counts() {
        let mut times = EventTimes::new(&StampField { path: "$.w[*].t".into(), unit: StampUnit::Seconds }).expect("a path");
        let mut freshness = Freshness::default();
        assert_eq!(freshness.second(0), None, "nothing came yet");
        for output in [br#"{"w": [{"t": 10}, {"t": 12}]}"#.as_slice(), br#"{"w": [{"t": 11}]}"#, br#"{"w": []}"#, b"junk"] {
            freshness.seen(times.newest(Some(output)));
        }
        const S: i64 = 1_000_000_000;
        assert_eq!(freshness.second(15 * S), Some((12 * S, 3 * S)));
        assert_eq!(freshness.second(16 * S), Some((12 * S, 4 * S)), "it ages while nothing comes");
        freshness.seen(Some(17 * S));
        assert_eq!(freshness.second(16 * S), Some((17 * S, -S)));
        let report = FreshnessReport { covering: 3, without_time: 2, age_ns_max: Some(4 * S), age_ns_end: Some(-S) };
        assert_eq!(freshness.report(), report);
    }
}
