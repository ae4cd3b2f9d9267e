//! When each record is to be sent, as nanoseconds after the start of the run.
//!
//! Guarantees: due times never decrease; each is computed from the run's origin in exact integers, so that nothing
//! drifts however long the run is; the same records give the same times on every machine. It knows no clock.
//!
//! Recorded pace: `due = (pass · L + t − t_first) / speed`, where `L` is the length of a pass, the mean gap between its
//! records included (the seam of a loop). A pass whose records all have one time is given a seam of one second. Rate:
//! `due = i / rate` for the i-th record, over all passes; a profile likewise, by its curve. Max: everything is due at once. A copy's
//! record stands its phase later on the recorded time line; where phases are longer than the mean gap, the seam is as long as they are.

use std::sync::Arc;

use dejaq_shared::units::Ratio;

use crate::profile::Profile;

const SECOND_NS: i128 = 1_000_000_000;

/// What decides the due times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pace {
    /// The recording's own time line, this many times as fast.
    Recorded {
        /// 2 is twice as fast.
        speed: Ratio,
    },
    /// A steady rate in messages per second, in recorded order.
    Rate(Ratio),
    /// A rate curve, in recorded order; at its end the run ends.
    Profile(Arc<Profile>),
    /// No schedule: as fast as the target takes it.
    Max,
}

impl Pace {
    /// Whether there is a schedule at all.
    #[must_use]
    pub fn is_scheduled(&self) -> bool {
        *self != Self::Max
    }
}

/// Where one record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// When it is due, nanoseconds after the start; 0 without a schedule.
    pub due_ns: u64,
    /// The time that marks are counted by: the due time; without a schedule, recorded time since the first record.
    pub mark_ns: u64,
}

/// Gives out due times, record by record.
#[derive(Debug, Clone)]
pub struct Schedule {
    pace: Pace,
    index: u64,
    pass: Option<Pass>,
    pass_start: i128,
}

#[derive(Debug, Clone, Copy)]
struct Pass {
    first: i64,
    since_first: i128,
    records: u64,
}

impl Schedule {
    /// A schedule at its start.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self { pace, index: 0, pass: None, pass_start: 0 }
    }

    /// The next record of the recording has the time `time_ns` (nanoseconds since 1970). Returns how long after the first of its
    /// pass it stands.
    pub fn arrive(&mut self, time_ns: i64) -> u64 {
        let pass = self.pass.get_or_insert(Pass { first: time_ns, since_first: 0, records: 0 });
        // A time that lies before its predecessor's takes the predecessor's: the order is the recording's.
        pass.since_first = pass.since_first.max(i128::from(time_ns) - i128::from(pass.first));
        pass.records += 1;
        clamp(pass.since_first)
    }

    /// The place of the next message, which stands `since_first_ns` after the first record of its pass. Messages come in that order.
    pub fn place(&mut self, since_first_ns: u64) -> Place {
        let recorded = self.pass_start + i128::from(since_first_ns);
        let index = self.index;
        self.index += 1;
        let due_ns = match &self.pace {
            Pace::Recorded { speed } => clamp(recorded * i128::from(speed.den()) / i128::from(speed.num())),
            Pace::Rate(rate) => clamp(i128::from(index) * SECOND_NS * i128::from(rate.den()) / i128::from(rate.num())),
            Pace::Profile(profile) => profile.due_ns(index).unwrap_or(u64::MAX),
            Pace::Max => 0,
        };
        Place { due_ns, mark_ns: if self.pace.is_scheduled() { due_ns } else { clamp(recorded) } }
    }

    /// When the pass that comes next begins, nanoseconds after the start, at recorded pace; 0 at any other.
    #[must_use]
    pub fn next_pass_ns(&self) -> u64 {
        match &self.pace {
            Pace::Recorded { speed } => clamp(self.pass_start * i128::from(speed.den()) / i128::from(speed.num())),
            _ => 0,
        }
    }

    /// Ends a pass, of which the slowest copy was `behind_ns` behind: the next record is the first of another one. Returns how many
    /// records the pass had.
    pub fn end_pass(&mut self, behind_ns: u64) -> u64 {
        let Some(pass) = self.pass.take() else { return 0 };
        let gap = if pass.since_first == 0 { SECOND_NS } else { pass.since_first / i128::from(pass.records - 1).max(1) };
        self.pass_start += pass.since_first + gap.max(i128::from(behind_ns));
        pass.records
    }
}

fn clamp(ns: i128) -> u64 {
    u64::try_from(ns).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ratio(num: u64, den: u64) -> Ratio {
        Ratio::new(num, den).expect("positive")
    }

    fn place(schedule: &mut Schedule, time_ns: i64) -> Place {
        let since_first = schedule.arrive(time_ns);
        schedule.place(since_first)
    }

    fn due(schedule: &mut Schedule, times: &[i64]) -> Vec<u64> {
        times.iter().map(|t| place(schedule, *t).due_ns).collect()
    }

    proptest! {
        #[test]
        fn due_times_never_decrease(times in prop::collection::vec(any::<i64>(), 1..50), num in 1u64..1_000, den in 1u64..1_000, passes in 1usize..4) {
            for pace in [Pace::Recorded { speed: ratio(num, den) }, Pace::Rate(ratio(num, den)), Pace::Max] {
                let mut schedule = Schedule::new(pace);
                let mut last = 0;
                for _ in 0..passes {
                    for due in due(&mut schedule, &times) {
                        prop_assert!(due >= last);
                        last = due;
                    }
                    schedule.end_pass(0);
                }
            }
        }

        #[test]
        fn recorded_pace_is_exact(start in -1_000_000_000_000_000_000i64..1_000_000_000_000_000_000, gap in 0i64..1_000_000_000_000_000, num in 1u64..100_000, den in 1u64..100_000) {
            let mut schedule = Schedule::new(Pace::Recorded { speed: ratio(num, den) });
            place(&mut schedule, start);
            let exact = u128::from(gap.unsigned_abs()) * u128::from(den) / u128::from(num);
            prop_assert_eq!(u128::from(place(&mut schedule, start + gap).due_ns), exact);
        }

        #[test]
        fn a_rate_does_not_drift(index in 0u64..1_000_000_000_000, num in 1u64..2_000_000, den in 1u64..1_000) {
            let mut schedule = Schedule::new(Pace::Rate(ratio(num, den)));
            schedule.index = index;
            let exact = u128::from(index) * 1_000_000_000 * u128::from(den) / u128::from(num);
            prop_assert_eq!(u128::from(place(&mut schedule, 0).due_ns), exact.min(u128::from(u64::MAX)));
        }
    }

    #[test]
    fn a_billion_records_later_it_is_still_exact() {
        let mut schedule = Schedule::new(Pace::Rate(ratio(3, 1)));
        schedule.index = 3_000_000_000;
        assert_eq!(place(&mut schedule, 0).due_ns, 1_000_000_000 * 1_000_000_000);
    }

    #[test]
    fn speed_four_is_four_times_as_fast() {
        let mut schedule = Schedule::new(Pace::Recorded { speed: ratio(4, 1) });
        assert_eq!(due(&mut schedule, &[1_000, 5_000, 9_000]), [0, 1_000, 2_000]);
    }

    #[test]
    fn the_seam_of_a_loop_is_the_mean_gap() {
        let mut schedule = Schedule::new(Pace::Recorded { speed: Ratio::ONE });
        assert_eq!(due(&mut schedule, &[10, 20, 50]), [0, 10, 40]);
        assert_eq!(schedule.end_pass(0), 3);
        assert_eq!(due(&mut schedule, &[10, 20, 50]), [60, 70, 100]);
        schedule.end_pass(0);
        assert_eq!(due(&mut schedule, &[10]), [120]);
    }

    #[test]
    fn a_pass_of_one_instant_takes_a_second() {
        let mut schedule = Schedule::new(Pace::Recorded { speed: Ratio::ONE });
        assert_eq!(due(&mut schedule, &[7, 7]), [0, 0]);
        schedule.end_pass(0);
        assert_eq!(due(&mut schedule, &[7]), [1_000_000_000]);
        assert_eq!(schedule.end_pass(0), 1);
        assert_eq!(schedule.end_pass(0), 0);
    }

    #[test]
    fn max_has_no_due_times_but_marks_by_recorded_time() {
        let mut schedule = Schedule::new(Pace::Max);
        place(&mut schedule, 1_000);
        assert_eq!(place(&mut schedule, 3_000), Place { due_ns: 0, mark_ns: 2_000 });
    }
}
