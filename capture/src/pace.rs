//! How fast a capture goes, whether it is behind, and how hard it may compress. Pure: the time is a value.

use std::time::Duration;

use crate::checkpoint::ns;
use crate::config::{BEHIND_LEVEL, Compress, DEFAULT_LEVEL};

/// Between two measurements.
const MEASURE_EVERY: Duration = Duration::from_secs(1);
/// `auto` changes its level at most this often.
const LEVEL_DWELL: Duration = Duration::from_secs(10);
/// So many records at the broker are no lag worth a word: a fetch or two.
const LAG_MIN: u64 = 1_000;
/// Behind is who has more to fetch than this many seconds of its own rate.
const LAG_SECONDS: f64 = 2.0;

/// Rates since the last measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rates {
    pub(crate) records_per_s: f64,
    pub(crate) bytes_per_s: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    last_ns: u64,
    records: u64,
    bytes: u64,
    lagging: bool,
    catching_up: bool,
    /// The level of `auto`, and when it was chosen.
    auto: Option<(i32, Option<u64>)>,
}

impl Pace {
    pub(crate) fn new(now_ns: u64, compress: Compress) -> Self {
        let auto = (compress == Compress::Auto).then_some((DEFAULT_LEVEL, None));
        Self { last_ns: now_ns, records: 0, bytes: 0, lagging: false, catching_up: false, auto }
    }

    pub(crate) fn is_due(&self, now_ns: u64) -> bool {
        now_ns.saturating_sub(self.last_ns) >= ns(MEASURE_EVERY)
    }

    /// Takes totals; `catching_up`: some stream has not reached the end that it had when its reading began.
    pub(crate) fn measure(&mut self, now_ns: u64, records: u64, bytes: u64, lag: Option<u64>, catching_up: bool) -> Rates {
        let ns = now_ns.saturating_sub(self.last_ns).max(1);
        let seconds = Duration::from_nanos(ns).as_secs_f64();
        let per_s = |new: u64, old: u64| new.saturating_sub(old) as f64 / seconds;
        let bytes_per_s = u128::from(bytes.saturating_sub(self.bytes)) * 1_000_000_000 / u128::from(ns);
        let bytes_per_s = u64::try_from(bytes_per_s).unwrap_or(u64::MAX);
        let rates = Rates { records_per_s: per_s(records, self.records), bytes_per_s };
        (self.last_ns, self.records, self.bytes) = (now_ns, records, bytes);
        self.lagging = lag.is_some_and(|lag| lag > LAG_MIN && lag as f64 > rates.records_per_s * LAG_SECONDS);
        self.catching_up = catching_up;
        rates
    }

    /// Whether what comes now was sent noticeably earlier.
    pub(crate) fn is_lagging(&self) -> bool {
        self.lagging
    }

    /// Whether it is behind for either reason.
    pub(crate) fn is_behind(&self) -> bool {
        self.lagging || self.catching_up
    }

    /// The level that `auto` changes to now, if it does.
    pub(crate) fn change_level(&mut self, now_ns: u64) -> Option<i32> {
        let wanted = if self.is_behind() { BEHIND_LEVEL } else { DEFAULT_LEVEL };
        let (level, since) = self.auto.as_mut()?;
        let settled = since.is_none_or(|at| now_ns.saturating_sub(at) >= ns(LEVEL_DWELL));
        (settled && *level != wanted).then(|| {
            (*level, *since) = (wanted, Some(now_ns));
            wanted
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn lag_counts_against_the_own_rate() {
        let mut pace = Pace::new(0, Compress::None);
        assert!(!pace.is_due(S - 1) && pace.is_due(S));
        let rates = pace.measure(2 * S, 20_000, 2_000, Some(15_000), false);
        assert_eq!((rates.records_per_s, rates.bytes_per_s), (10_000.0, 1_000));
        assert!(!pace.is_behind(), "1.5 s of its rate");
        pace.measure(3 * S, 30_000, 3_000, Some(25_000), false);
        assert!(pace.is_lagging());
        pace.measure(4 * S, 30_000, 3_000, Some(900), false);
        assert!(!pace.is_behind(), "a fetch or two");
        pace.measure(5 * S, 30_000, 3_000, None, true);
        assert!(pace.is_behind() && !pace.is_lagging());
    }

    #[test]
    fn auto_lowers_the_level_while_behind_and_does_not_flap() {
        let mut pace = Pace::new(0, Compress::Auto);
        pace.measure(S, 0, 0, None, true);
        assert_eq!(pace.change_level(S), Some(BEHIND_LEVEL));
        assert_eq!(pace.change_level(S), None);
        pace.measure(2 * S, 0, 0, None, false);
        assert_eq!(pace.change_level(2 * S), None, "too soon");
        assert_eq!(pace.change_level(11 * S), Some(DEFAULT_LEVEL));
        assert_eq!(Pace::new(0, Compress::Level(3)).change_level(S), None);
    }
}
