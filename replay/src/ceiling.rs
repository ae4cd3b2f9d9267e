//! Ceilings: messages per second (`--max-rate`) and bytes per second (`--max-bytes`) that no window of a second, or
//! longer, exceeds.
//!
//! Each is governor's cell-rate algorithm with a small burst (10 ms worth, at least one message), whose long-term rate is
//! lowered by the burst: over a window of T ≥ 1 s it lets through at most `burst + rate · T`, which is the ceiling. So a
//! ceiling is approached to about 1 %, and a sleep that ends late does not cost throughput. Bytes are counted in cells, rounded
//! up. It knows no clock: the time is given.

use std::num::NonZeroU32;
use std::time::Duration;

use dejaq_shared::units::{Ratio, format_bytes};
use governor::clock::{Clock as _, FakeRelativeClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// A ceiling that cannot be held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CeilingError {
    /// The largest record alone is over the ceiling.
    #[error("--max-bytes {}/s cannot be held: the largest record has {}; allow at least {}/s", format_bytes(*ceiling), format_bytes(*largest), format_bytes(largest.saturating_mul(3)))]
    RecordTooLarge {
        /// The ceiling in bytes per second.
        ceiling: u64,
        /// The largest record.
        largest: u64,
    },
    /// Out of what can be counted.
    #[error("--max-rate {0} cannot be held: give a rate from 1/s to 100M/s")]
    Rate(String),
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, NoOpMiddleware<governor::nanos::Nanos>>;

/// One cell-rate limiter with its time set by hand.
#[derive(Debug)]
struct Cells {
    limiter: Limiter,
    clock: FakeRelativeClock,
    at_ns: u64,
    /// How late a record may be taken without a cost to those after it.
    slack_ns: u64,
}

impl Cells {
    /// At most `burst` cells at once, of which a record takes `largest` or fewer, and `per_second` in the long run (rounded down to whole nanoseconds per cell).
    fn new(per_second: u64, burst: u32, largest: u32) -> Option<Self> {
        let period = Duration::from_nanos(1_000_000_000u64.div_ceil(per_second.max(1)));
        let quota = Quota::with_period(period)?.allow_burst(NonZeroU32::new(burst)?);
        let slack_ns = u64::try_from(period.as_nanos()).ok()?.saturating_mul(u64::from(burst.saturating_sub(largest)));
        let clock = FakeRelativeClock::default();
        Some(Self { limiter: RateLimiter::direct_with_clock(quota, clock.clone()), clock, at_ns: 0, slack_ns })
    }

    /// Takes `cells` at `now_ns`, or says when they can be taken.
    fn take(&mut self, cells: NonZeroU32, now_ns: u64) -> Result<(), u64> {
        if now_ns > self.at_ns {
            self.clock.advance(Duration::from_nanos(now_ns - self.at_ns));
            self.at_ns = now_ns;
        }
        match self.limiter.check_n(cells) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => {
                let wait = u64::try_from(not_until.wait_time_from(self.clock.now()).as_nanos()).unwrap_or(u64::MAX);
                Err(self.at_ns.saturating_add(wait.max(1)))
            }
            // More cells than the burst: never, since the burst covers the largest record. Let it pass rather than hang.
            Err(_) => Ok(()),
        }
    }
}

/// The ceilings of a run.
#[derive(Debug, Default)]
pub struct Ceilings {
    rate: Option<Cells>,
    bytes: Option<(Cells, u64)>,
    /// The record that waits has its bytes already, and only its message is still to be taken.
    bytes_taken: bool,
}

impl Ceilings {
    /// Ceilings for records of at most `record_bytes_max` bytes (the mark included).
    ///
    /// # Errors
    /// [`CeilingError`] when they cannot be held.
    pub fn new(rate: Option<Ratio>, bytes_per_s: Option<u64>, record_bytes_max: u64) -> Result<Self, CeilingError> {
        let both = rate.is_some();
        let rate = rate.map(rate_cells).transpose()?;
        let bytes = bytes_per_s.map(|ceiling| byte_cells(ceiling, record_bytes_max, both)).transpose()?;
        Ok(Self { rate, bytes, bytes_taken: false })
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_unbounded(&self) -> bool {
        self.rate.is_none() && self.bytes.is_none()
    }

    /// How late a sleep may end, in nanoseconds, without a cost to throughput: the records after it go in a burst. What is beyond delays
    /// all that wait.
    #[must_use]
    pub fn slack_ns(&self) -> u64 {
        let bytes = self.bytes.as_ref().map(|(cells, _)| cells);
        self.rate.iter().chain(bytes).map(|cells| cells.slack_ns).min().unwrap_or(0)
    }

    /// Takes leave to send a record of `bytes` at `now_ns`, or says when to ask again for the same record. Leave that is
    /// not used at once must be asked for again.
    ///
    /// # Errors
    /// The time to ask again, later than `now_ns`.
    pub fn take(&mut self, bytes: u64, now_ns: u64) -> Result<(), u64> {
        if let Some((cells, cell_bytes)) = &mut self.bytes
            && !self.bytes_taken
        {
            let count = u32::try_from(bytes.div_ceil(*cell_bytes)).unwrap_or(u32::MAX);
            cells.take(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN), now_ns)?;
            // Asked in this order, only bytes can be taken earlier than they are used, by one record: with both
            // ceilings their rate is lowered by that record.
            self.bytes_taken = true;
        }
        if let Some(cells) = &mut self.rate {
            cells.take(NonZeroU32::MIN, now_ns)?;
        }
        self.bytes_taken = false;
        Ok(())
    }
}

fn rate_cells(rate: Ratio) -> Result<Cells, CeilingError> {
    let refuse = || CeilingError::Rate(format!("{rate}/s"));
    let ceiling = rate.num() / rate.den();
    if ceiling == 0 || ceiling > 100_000_000 {
        return Err(refuse());
    }
    let burst = (ceiling / 100).max(1);
    // A window of a second holds at most burst − 1 + rate messages.
    Cells::new(ceiling - (burst - 1), u32::try_from(burst).map_err(|_| refuse())?, 1).ok_or_else(refuse)
}

fn byte_cells(ceiling: u64, record_bytes_max: u64, taken_ahead: bool) -> Result<(Cells, u64), CeilingError> {
    let refuse = || CeilingError::RecordTooLarge { ceiling, largest: record_bytes_max };
    // At most ten million cells a second, so that a cell's time is exact to 1 %.
    let cell_bytes = ceiling.div_ceil(10_000_000).max(1);
    let cells_per_s = ceiling / cell_bytes;
    let largest = record_bytes_max.div_ceil(cell_bytes).max(1);
    let burst = (cells_per_s / 100).max(largest);
    let reserve = if taken_ahead { largest } else { 0 };
    let rate = cells_per_s.checked_sub(burst + reserve).filter(|rate| *rate > 0).ok_or_else(refuse)?;
    let count = |cells: u64| u32::try_from(cells).map_err(|_| refuse());
    let cells = Cells::new(rate, count(burst)?, count(largest)?).ok_or_else(refuse)?;
    Ok((cells, cell_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sends as fast as the ceilings let, with sleeps that end late, and returns when each record went.
    fn flood(ceilings: &mut Ceilings, records: &[(u64, u64)]) -> Vec<u64> {
        let mut now = 0;
        records
            .iter()
            .map(|(bytes, overshoot)| {
                while let Err(until) = ceilings.take(*bytes, now) {
                    assert!(until > now);
                    now = until + overshoot;
                }
                now
            })
            .collect()
    }

    fn no_window_exceeds(sent: &[(u64, u64)], ceiling: u64) -> bool {
        let mut first = 0;
        let mut sum = 0;
        sent.iter().all(|(at, weight)| {
            sum += weight;
            while sent[first].0 + 1_000_000_000 <= *at {
                sum -= sent[first].1;
                first += 1;
            }
            sum <= ceiling
        })
    }

    proptest! {
        #[test]
        fn no_window_of_a_second_exceeds_a_ceiling(rate in 1u64..5_000, bytes_per_s in 2_100u64..200_000, records in prop::collection::vec((1u64..1_000, 0u64..2_000_000), 1..3_000)) {
            let mut ceilings = Ceilings::new(Ratio::new(rate, 1), Some(bytes_per_s), 1_000).expect("possible");
            let at = flood(&mut ceilings, &records);
            let messages: Vec<(u64, u64)> = at.iter().map(|t| (*t, 1)).collect();
            let bytes: Vec<(u64, u64)> = at.iter().zip(&records).map(|(t, (b, _))| (*t, *b)).collect();
            prop_assert!(no_window_exceeds(&messages, rate));
            prop_assert!(no_window_exceeds(&bytes, bytes_per_s));
        }

        #[test]
        fn no_window_exceeds_bytes_alone(bytes_per_s in 1_200u64..200_000, records in prop::collection::vec((1u64..1_000, 0u64..2_000_000), 1..3_000)) {
            let mut ceilings = Ceilings::new(None, Some(bytes_per_s), 1_000).expect("possible");
            let at = flood(&mut ceilings, &records);
            let bytes: Vec<(u64, u64)> = at.iter().zip(&records).map(|(t, (b, _))| (*t, *b)).collect();
            prop_assert!(no_window_exceeds(&bytes, bytes_per_s));
        }

        #[test]
        fn a_ceiling_is_approached(rate in 100u64..50_000) {
            let mut ceilings = Ceilings::new(Ratio::new(rate, 1), None, 1_000).expect("possible");
            let count = usize::try_from(rate * 3).expect("small");
            let at = flood(&mut ceilings, &vec![(10, 50_000); count]);
            let took = *at.last().expect("some") as f64 / 1e9;
            prop_assert!(took < 3.0 * 1.05, "{took}");
        }
    }

    #[test]
    fn impossible_ceilings_are_refused() {
        assert!(Ceilings::new(None, Some(1_000), 1_000).is_err());
        assert!(Ceilings::new(Ratio::new(1, 2), None, 1).is_err());
        assert!(Ceilings::new(None, None, u64::MAX).is_ok());
    }

    #[test]
    fn unbounded_lets_all_through() {
        let mut ceilings = Ceilings::default();
        assert!(ceilings.is_unbounded());
        assert_eq!(ceilings.take(u64::MAX, 0), Ok(()));
    }
}
