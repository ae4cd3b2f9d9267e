//! The time of each record: which clock a stream goes by, and what that makes of its records.
//!
//! # What it guarantees
//! - *Sane* is judged inside a stream, in order, never by distance to arrival from below (which is wrong after a catch-up):
//!   a create time between 2000-01-01 and arrival + 1 h, at most 5 min behind the largest sane one so far.
//! - Within a stream time never decreases: order wins. A record whose time is not sane takes its predecessor's (the first
//!   ones: the stream's first sane time).
//! - Records of one stream that share a millisecond are spread evenly inside it, in order. Where such a run goes on in the next
//!   block, the rest is spread over what is left of the millisecond.
//! - It depends on the recording alone, and reads only the columns of times.

use super::SegmentError;
use super::block_read::Block;
use super::recording::Recording;
use super::walk::each_block;
use crate::record::{BrokerTime, RecordFlags};

const MILLISECOND_NS: i64 = 1_000_000;
/// 2000-01-01T00:00:00Z in milliseconds since 1970.
const SANE_FROM_MS: i64 = 946_684_800_000;
const SANE_AHEAD_NS: i64 = 3_600 * 1_000_000_000;
const SANE_BEHIND_NS: i64 = 300 * 1_000_000_000;

/// The clock that a stream goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamClock {
    /// The broker's, when it appended.
    Append,
    /// The producer's.
    Create,
    /// The capture's, when it received.
    Arrival,
}

impl StreamClock {
    /// Its name in options and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Create => "create",
            Self::Arrival => "arrival",
        }
    }
}

/// What a stream's times are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeStatistics {
    /// Its records.
    pub records: u64,
    /// Of them with an append time.
    pub append: u64,
    /// Of them with a create time.
    pub create: u64,
    /// Of the create times, those that are not sane.
    pub create_insane: u64,
    /// Records that were read in catch-up.
    pub catch_up: u64,
    /// Records whose arrival is before their predecessor's (the capture's wall clock was set back between two of its runs).
    pub arrival_backwards: u64,
    /// The first broker time that is usable, nanoseconds since 1970.
    pub first_sane_ns: Option<i64>,
    /// The smallest and the largest broker time that is usable, milliseconds since 1970.
    pub sane_ms: Option<(i64, i64)>,
    /// The smallest and the largest broker time as it is, usable or not, milliseconds since 1970.
    pub raw_ms: Option<(i64, i64)>,
    /// Broker times of exactly 0.
    pub zero: u64,
}

impl TimeStatistics {
    /// Records without a usable broker time: they take their predecessor's.
    #[must_use]
    pub fn odd(&self) -> u64 {
        self.create_insane + self.records.saturating_sub(self.append + self.create)
    }

    /// The stream's clock by the rule of `--clock auto`: append time, else create time that is sane for 99 % of the
    /// records, else arrival.
    #[must_use]
    pub fn preferred_clock(&self) -> StreamClock {
        if self.append == self.records {
            return StreamClock::Append;
        }
        let timed = self.append + self.create > 0;
        if timed && self.odd().saturating_mul(100) <= self.records { StreamClock::Create } else { StreamClock::Arrival }
    }
}

/// Judges broker times in order.
#[derive(Debug, Clone, Copy, Default)]
struct Sanity {
    largest_ns: Option<i64>,
}

impl Sanity {
    /// The record's broker time in nanoseconds, if it is usable.
    fn judge(&mut self, time: BrokerTime, arrival_ns: i64) -> Option<i64> {
        let raw = match time {
            BrokerTime::None => return None,
            BrokerTime::Append(raw) => return raw.checked_mul(MILLISECOND_NS),
            BrokerTime::Create(raw) => raw,
        };
        let ns = raw.checked_mul(MILLISECOND_NS).filter(|ns| raw >= SANE_FROM_MS && *ns <= arrival_ns.saturating_add(SANE_AHEAD_NS))?;
        if self.largest_ns.is_some_and(|largest| ns < largest - SANE_BEHIND_NS) {
            return None;
        }
        self.largest_ns = self.largest_ns.max(Some(ns));
        Some(ns)
    }
}

/// Reads the times of a whole recording and says what each stream's are like. Streams are numbered as in the recording.
///
/// # Errors
/// I/O, or a block that must be understood. Damaged blocks are left out here: `verify` and replay report them.
pub fn measure(recording: &Recording) -> Result<Vec<TimeStatistics>, SegmentError> {
    let mut statistics = vec![TimeStatistics::default(); recording.streams.len()];
    let mut sanity = vec![Sanity::default(); recording.streams.len()];
    let mut last_arrival = vec![i64::MIN; recording.streams.len()];
    each_block(recording, |_, block, lanes| {
        for (record, slot) in block.slots().iter().enumerate() {
            let lane = lanes[*slot as usize] as usize;
            let (row, arrival) = (&mut statistics[lane], block.arrival_ns(record));
            row.records += 1;
            row.catch_up += u64::from(block.flags(record).has(RecordFlags::CATCH_UP));
            row.arrival_backwards += u64::from(arrival < last_arrival[lane]);
            last_arrival[lane] = arrival;
            let time = block.broker_time(record);
            let judged = sanity[lane].judge(time, arrival);
            match time {
                BrokerTime::None => {}
                BrokerTime::Append(_) => row.append += 1,
                BrokerTime::Create(_) => {
                    row.create += 1;
                    row.create_insane += u64::from(judged.is_none());
                }
            }
            if row.first_sane_ns.is_none() {
                row.first_sane_ns = judged;
            }
            if time != BrokerTime::None {
                row.zero += u64::from(time.raw() == 0);
                widen(&mut row.raw_ms, time.raw());
            }
            if judged.is_some() {
                widen(&mut row.sane_ms, time.raw());
            }
        }
    })?;
    Ok(statistics)
}

fn widen(range: &mut Option<(i64, i64)>, with: i64) {
    let (low, high) = range.unwrap_or((with, with));
    *range = Some((low.min(with), high.max(with)));
}

/// Turns one stream's records, taken in order, into times that never decrease.
#[derive(Debug, Clone)]
pub(super) struct LaneTime {
    clock: StreamClock,
    sanity: Sanity,
    /// The millisecond (or the arrival) that the record before was given, unspread.
    base_ns: i64,
    /// What the record before was given in the end.
    last_ns: i64,
    started: bool,
    first_sane_ns: Option<i64>,
}

impl LaneTime {
    pub(super) fn new(clock: StreamClock, statistics: &TimeStatistics) -> Self {
        Self {
            clock,
            sanity: Sanity::default(),
            base_ns: i64::MIN,
            last_ns: i64::MIN,
            started: false,
            first_sane_ns: statistics.first_sane_ns,
        }
    }

    /// The times of the records `of` (indices into `block`, in order) into `out`, replacing what is there.
    pub(super) fn times(&mut self, block: &Block, of: &[u32], out: &mut Vec<i64>) {
        out.clear();
        let (last_before, base_before) = (self.last_ns, self.base_ns);
        for record in of {
            let base = self.base_of(block, *record as usize);
            self.base_ns = base;
            out.push(base);
        }
        if self.clock != StreamClock::Arrival {
            spread(out, base_before, last_before);
        }
        self.last_ns = out.last().copied().unwrap_or(self.last_ns);
    }

    fn base_of(&mut self, block: &Block, record: usize) -> i64 {
        let arrival = block.arrival_ns(record);
        let own = match self.clock {
            StreamClock::Arrival => Some(arrival),
            StreamClock::Append | StreamClock::Create => self.sanity.judge(block.broker_time(record), arrival),
        };
        if !self.started {
            self.started = true;
            return own.or(self.first_sane_ns).unwrap_or(arrival);
        }
        own.map_or(self.base_ns, |own| own.max(self.base_ns))
    }
}

/// Spreads runs of equal milliseconds. `base_before` and `last_before` are the record's before the first.
fn spread(times: &mut [i64], base_before: i64, last_before: i64) {
    let mut start = 0;
    while start < times.len() {
        let base = times[start];
        let length = times[start..].iter().take_while(|t| **t == base).count();
        // A run that began before goes on over what is left; its first place is taken.
        let (from, taken) = if base == base_before { (last_before, 1) } else { (base, 0) };
        let left = i128::from(base) + i128::from(MILLISECOND_NS) - i128::from(from);
        let places = (length + taken) as i128;
        for (i, time) in times[start..start + length].iter_mut().enumerate() {
            let share = left * (i + taken) as i128 / places;
            *time = i64::try_from(i128::from(from) + share).unwrap_or(i64::MAX);
        }
        start += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: i64 = MILLISECOND_NS;

    #[test]
    fn records_of_one_millisecond_are_spread_inside_it() {
        let mut times = vec![5 * MS, 5 * MS, 5 * MS, 5 * MS, 7 * MS];
        spread(&mut times, i64::MIN, i64::MIN);
        assert_eq!(times, [5 * MS, 5 * MS + 250_000, 5 * MS + 500_000, 5 * MS + 750_000, 7 * MS]);
    }

    #[test]
    fn a_run_that_goes_on_takes_what_is_left() {
        let mut times = vec![5 * MS, 5 * MS, 6 * MS];
        spread(&mut times, 5 * MS, 5 * MS + 700_000);
        assert_eq!(times, [5 * MS + 800_000, 5 * MS + 900_000, 6 * MS]);
    }

    #[test]
    fn absurd_create_times_are_not_sane() {
        let arrival = 1_700_000_000_000 * MS;
        for raw in [0, -1, -5, 1_700_000_000, 1_700_000_000_000_000, i64::MAX, i64::MIN, 1_700_003_600_001] {
            assert_eq!(Sanity::default().judge(BrokerTime::Create(raw), arrival), None, "{raw}");
        }
        assert!(
            Sanity::default().judge(BrokerTime::Create(1_500_000_000_000), arrival).is_some(),
            "years before arrival: read in catch-up"
        );
        let mut sanity = Sanity::default();
        assert!(sanity.judge(BrokerTime::Create(1_600_000_000_000), arrival).is_some());
        assert!(sanity.judge(BrokerTime::Create(1_600_000_000_000 - 300_000), arrival).is_some(), "5 min behind");
        assert!(sanity.judge(BrokerTime::Create(1_600_000_000_000 - 300_001), arrival).is_none(), "more than 5 min behind");
    }

    proptest! {
        #[test]
        fn spreading_never_decreases_and_stays_in_the_millisecond(steps in prop::collection::vec(0i64..3, 1..60), cut in 0usize..60) {
            let mut at = 1_000;
            let bases: Vec<i64> = steps.iter().map(|s| { at += s; at * MS }).collect();
            let cut = cut.min(bases.len());
            let mut first = bases[..cut].to_vec();
            spread(&mut first, i64::MIN, i64::MIN);
            let mut second = bases[cut..].to_vec();
            let before = if cut == 0 { (i64::MIN, i64::MIN) } else { (bases[cut - 1], first[cut - 1]) };
            spread(&mut second, before.0, before.1);
            let all: Vec<i64> = first.into_iter().chain(second).collect();
            prop_assert!(all.is_sorted());
            for (time, base) in all.iter().zip(&bases) {
                prop_assert!((*base..*base + MS).contains(time));
            }
        }
    }
}
