//! Recognises the warm-up of a run: the first seconds, in which connections are made and a cold target answers slowly. Pure:
//! facts of the first seconds in, how many of them are warm-up out.
//!
//! The later half of what is looked at says what is normal. A second at the beginning is warm-up when its 99th percentile of
//! service is more than twice the normal one and more than a millisecond above it, although the target had no reason to be
//! slower: no more was due than half as much again as normal, nothing was held back, everything was confirmed. So neither a
//! burst, nor push-back, nor a loss is ever taken for warm-up. The warm-up ends with the first second that is not so, or
//! after half of what is looked at.
//!
//! Limits: fewer than [`SECONDS_MIN`] seconds with messages show no warm-up, and it is never longer than [`WARM_UP_MAX`].

/// The most seconds (with messages) that are looked at: memory is flat.
pub const LOOKED_AT_MAX: usize = 60;
/// The most seconds that can be warm-up.
pub const WARM_UP_MAX: usize = LOOKED_AT_MAX / 2;
/// The fewest seconds that say what is normal.
pub const SECONDS_MIN: usize = 10;
/// Slower than this many times the normal second …
const SLOWER: u64 = 2;
/// … and by this much.
const SLOWER_NS: u64 = 1_000_000;
/// Held back for longer than this, a second is slow for a reason.
const HELD_NS_MAX: u64 = 1_000_000;

/// What is known of one second of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SecondFacts {
    /// Its number, from 0 at the start.
    pub second: u64,
    /// Messages due in it.
    pub scheduled: u64,
    /// Those of them that were confirmed.
    pub acked: u64,
    /// The longest that one of them was held back.
    pub held_max_ns: u64,
    /// The 99th percentile of service.
    pub service_p99_ns: Option<u64>,
}

/// What was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WarmUp {
    /// The first of the seconds looked at, this many (0: none), are warm-up.
    Ends(usize),
    /// Half of a short run, this many of its seconds, was slower than the other half: it never settled.
    NeverEnds(usize),
}

/// Recognises the warm-up from the first seconds with messages, at most [`LOOKED_AT_MAX`].
#[must_use]
pub fn recognise(seconds: &[SecondFacts]) -> WarmUp {
    let (candidates, rest) = seconds.split_at(seconds.len() / 2);
    if seconds.len() < SECONDS_MIN {
        return WarmUp::Ends(0);
    }
    let Some(normal_ns) = median(rest.iter().filter_map(|s| s.service_p99_ns)) else { return WarmUp::Ends(0) };
    let normal_load = median(rest.iter().map(|s| s.scheduled)).unwrap_or(0);
    let slow = |s: &SecondFacts| s.service_p99_ns.is_some_and(|ns| ns > normal_ns.saturating_mul(SLOWER) && ns > normal_ns + SLOWER_NS);
    let without_reason = |s: &SecondFacts| {
        s.scheduled.saturating_mul(2) <= normal_load.saturating_mul(3) && s.held_max_ns <= HELD_NS_MAX && s.acked == s.scheduled
    };
    let found = candidates.iter().take_while(|s| slow(s) && without_reason(s)).count();
    // Of a longer run there is more that may be normal.
    let whole_run = seconds.len() < LOOKED_AT_MAX;
    if found == candidates.len() && whole_run { WarmUp::NeverEnds(found) } else { WarmUp::Ends(found) }
}

/// The lower median.
fn median(values: impl Iterator<Item = u64>) -> Option<u64> {
    let mut values: Vec<u64> = values.collect();
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    /// A hundred messages a second, answered in these milliseconds.
    fn run(p99_ms: &[u64]) -> Vec<SecondFacts> {
        let second = |(second, ms): (usize, &u64)| SecondFacts {
            second: second as u64,
            scheduled: 100,
            acked: 100,
            held_max_ns: 0,
            service_p99_ns: Some(ms * MS),
        };
        p99_ms.iter().enumerate().map(second).collect()
    }

    fn falling(slow: usize, seconds: usize) -> Vec<SecondFacts> {
        run(&(0..seconds).map(|s| if s < slow { 50 } else { 3 }).collect::<Vec<_>>())
    }

    #[test]
    fn slow_first_seconds_are_warm_up_and_a_slow_one_later_is_not() {
        assert_eq!(recognise(&falling(3, 20)), WarmUp::Ends(3));
        assert_eq!(recognise(&falling(0, 20)), WarmUp::Ends(0));
        let mut stalled = falling(0, 20);
        stalled[1].service_p99_ns = Some(2_000 * MS);
        assert_eq!(recognise(&stalled), WarmUp::Ends(0));
    }

    #[test]
    fn both_bounds_must_be_exceeded() {
        let with = |first: u64, rest: u64| {
            let mut seconds = run(&[0; 12]);
            seconds.iter_mut().for_each(|s| s.service_p99_ns = Some(rest));
            seconds[0].service_p99_ns = Some(first);
            recognise(&seconds)
        };
        assert_eq!(with(20 * MS, 10 * MS), WarmUp::Ends(0), "twice as slow, no more");
        assert_eq!(with(20 * MS + 1, 10 * MS), WarmUp::Ends(1));
        assert_eq!(with(1_200_000, 200_000), WarmUp::Ends(0), "six times as slow, by a millisecond");
        assert_eq!(with(1_200_001, 200_000), WarmUp::Ends(1));
    }

    #[test]
    fn what_has_a_reason_is_no_warm_up() {
        for spoil in [
            (|s: &mut SecondFacts| (s.scheduled, s.acked) = (151, 151)) as fn(&mut SecondFacts),
            |s| s.held_max_ns = HELD_NS_MAX + 1,
            |s| s.acked -= 1,
            |s| s.service_p99_ns = None,
        ] {
            let mut seconds = falling(3, 20);
            spoil(&mut seconds[1]);
            assert_eq!(recognise(&seconds), WarmUp::Ends(1), "{:?}", seconds[1]);
        }
    }

    #[test]
    fn a_short_run_that_never_settles_says_so_and_a_long_one_has_a_bound() {
        assert_eq!(recognise(&falling(10, 20)), WarmUp::NeverEnds(10));
        assert_eq!(recognise(&falling(29, LOOKED_AT_MAX)), WarmUp::Ends(29));
        assert_eq!(recognise(&falling(30, LOOKED_AT_MAX)), WarmUp::Ends(WARM_UP_MAX));
        assert_eq!(recognise(&falling(4, SECONDS_MIN - 1)), WarmUp::Ends(0), "too few to say what is normal");
    }

    proptest! {
        #[test]
        fn a_steady_target_has_no_warm_up(p99_ms in prop::collection::vec(10u64..20, 0..LOOKED_AT_MAX)) {
            prop_assert_eq!(recognise(&run(&p99_ms)), WarmUp::Ends(0));
        }
    }
}
