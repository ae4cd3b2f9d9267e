//! Observed − intended by the second of the intended time, for the interval log. Pure.
//!
//! A second is open until every message that was intended in it is answered or given up; seconds are closed in order. At most
//! [`OPEN_SECONDS_MAX`] are open: beyond that the oldest is closed, and answers that come later are in the run's totals alone. Memory:
//! 0.14 MB for each second that is open, or closed and not taken.

use std::collections::VecDeque;

use super::latency::Latency;
use super::recorder::OPEN_SECONDS_MAX;

/// The most closed seconds that wait to be taken: all open ones close at once when what held up the first is given up.
const CLOSED_MAX: usize = 64;
/// What it takes at most, in bytes: a histogram for each second that is open or waits.
pub const END_TO_END_BYTES_MAX: u64 = (OPEN_SECONDS_MAX + CLOSED_MAX) as u64 * 136_000;
const SECOND_NS: u64 = 1_000_000_000;

/// See the module's words.
#[derive(Debug, Default)]
pub struct EndToEnd {
    /// Open seconds, without holes: `seconds[i]` is second `first_second + i`.
    seconds: VecDeque<Latency<u32>>,
    first_second: u64,
    closed: VecDeque<(u64, Latency<u32>)>,
    lost: u64,
}

impl EndToEnd {
    /// A message that was intended for `intended_ns` after the start was answered so long after that.
    pub fn answered(&mut self, intended_ns: u64, took_ns: u64) {
        let second = intended_ns / SECOND_NS;
        self.close_before((second + 1).saturating_sub(OPEN_SECONDS_MAX as u64));
        let Some(place) = second.checked_sub(self.first_second).and_then(|place| usize::try_from(place).ok()) else { return };
        if self.seconds.len() <= place {
            self.seconds.resize_with(place + 1, Latency::default);
        }
        self.seconds[place].record(took_ns);
    }

    /// Everything that was intended before `before_ns` is answered or given up.
    pub fn settled(&mut self, before_ns: u64) {
        self.close_before(before_ns / SECOND_NS);
    }

    /// The run is over: closes whatever is open.
    pub fn finish(&mut self) {
        self.close_before(u64::MAX);
    }

    /// What was closed since the last call: seconds with their answers, those without any left out.
    pub fn take_closed(&mut self) -> VecDeque<(u64, Latency<u32>)> {
        std::mem::take(&mut self.closed)
    }

    /// Seconds that were closed and given up since nobody took them.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn close_before(&mut self, second: u64) {
        while self.first_second < second {
            let Some(latency) = self.seconds.pop_front() else {
                self.first_second = second;
                return;
            };
            if latency.count() > 0 {
                self.closed.push_back((self.first_second, latency));
                if self.closed.len() > CLOSED_MAX {
                    self.closed.pop_front();
                    self.lost += 1;
                }
            }
            self.first_second += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: u64 = SECOND_NS;

    fn closed(end_to_end: &mut EndToEnd) -> Vec<(u64, u64)> {
        end_to_end.take_closed().into_iter().map(|(second, latency)| (second, latency.count())).collect()
    }

    #[test]
    fn an_answer_is_filed_where_its_message_was_intended_and_a_second_closes_when_all_in_it_is_settled() {
        let mut end_to_end = EndToEnd::default();
        end_to_end.answered(2 * S + 1, 5 * S);
        end_to_end.answered(0, 9 * S);
        end_to_end.answered(2 * S, 1);
        end_to_end.settled(S - 1);
        assert_eq!(closed(&mut end_to_end), [], "something of second 0 is open");
        end_to_end.settled(2 * S + 5);
        assert_eq!(closed(&mut end_to_end), [(0, 1)], "there was none in second 1");
        end_to_end.answered(2 * S + 7, 3);
        end_to_end.answered(S, 3);
        end_to_end.finish();
        assert_eq!(closed(&mut end_to_end), [(2, 3)], "what comes after its second was closed is not in the log");
    }

    #[test]
    fn memory_is_flat_however_long_answers_are_waited_for_or_nobody_takes_them() {
        let mut end_to_end = EndToEnd::default();
        for second in 0..1_000 {
            end_to_end.answered(second * S, 1);
            assert!(end_to_end.seconds.len() <= OPEN_SECONDS_MAX && end_to_end.closed.len() <= CLOSED_MAX);
        }
        assert_eq!(end_to_end.lost(), 1_000 - (OPEN_SECONDS_MAX + CLOSED_MAX) as u64);
        end_to_end.answered(u64::MAX, 1);
        assert_eq!(end_to_end.seconds.len(), OPEN_SECONDS_MAX);
    }

    proptest! {
        #[test]
        fn each_answer_that_is_in_time_is_in_the_log_once(answers in prop::collection::vec((0..40 * S, 0..S), 0..200), looks in 1..20usize) {
            let mut end_to_end = EndToEnd::default();
            let mut found = std::collections::BTreeMap::new();
            let mut wanted = std::collections::BTreeMap::new();
            for (number, (intended_ns, took_ns)) in answers.iter().enumerate() {
                end_to_end.answered(*intended_ns, *took_ns);
                *wanted.entry(intended_ns / S).or_insert(0) += 1;
                if number % looks == 0 {
                    // Nothing before the earliest one that is still to come.
                    let rest = answers[number + 1..].iter().map(|(ns, _)| *ns).min().unwrap_or(u64::MAX);
                    end_to_end.settled(rest);
                }
                found.extend(closed(&mut end_to_end));
            }
            end_to_end.finish();
            found.extend(closed(&mut end_to_end));
            prop_assert_eq!(found, wanted);
        }
    }
}
