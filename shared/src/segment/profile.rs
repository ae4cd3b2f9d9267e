//! What is in a recording, summed up: for `inspect`, from the index and the columns of times alone.

use std::collections::BTreeMap;

use super::SegmentError;
use super::recording::Recording;
use super::time_index::TimeIndex;
use super::timeline::{StreamClock, TimeStatistics};
use super::walk::each_block;

/// A recording, summed up.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// Each stream's clock, by the rule of replay's `--clock auto`.
    pub clocks: Vec<StreamClock>,
    /// Each stream's times.
    pub statistics: Vec<TimeStatistics>,
    /// First and last time by these clocks, nanoseconds since 1970.
    pub span: Option<(i64, i64)>,
    /// The most records in one second, by arrival or broker time as above.
    pub peak_per_s: u64,
}

impl Profile {
    /// Reads the times of a whole recording.
    ///
    /// # Errors
    /// I/O.
    pub fn of(recording: &Recording, clocks: Vec<StreamClock>, statistics: Vec<TimeStatistics>) -> Result<Self, SegmentError> {
        let index = TimeIndex::build(recording, &clocks, &statistics)?;
        let mut seconds: BTreeMap<i64, u64> = BTreeMap::new();
        each_block(recording, |_, block, lanes| {
            for (record, slot) in block.slots().iter().enumerate() {
                let broker_ms = match clocks[lanes[*slot as usize] as usize] {
                    StreamClock::Arrival => block.arrival_ns(record).div_euclid(1_000_000),
                    StreamClock::Append | StreamClock::Create => block.broker_time(record).raw(),
                };
                *seconds.entry(broker_ms.div_euclid(1_000)).or_default() += 1;
            }
        })?;
        Ok(Self { span: index.span(), peak_per_s: seconds.values().copied().max().unwrap_or(0), clocks, statistics })
    }

    /// The one clock of all streams that have records, or "mixed".
    #[must_use]
    pub fn clock_name(&self) -> &'static str {
        let mut used = self.clocks.iter().zip(&self.statistics).filter(|(_, s)| s.records > 0).map(|(c, _)| *c);
        match used.next() {
            None => "none",
            Some(first) if used.all(|c| c == first) => first.name(),
            Some(_) => "mixed",
        }
    }
}
