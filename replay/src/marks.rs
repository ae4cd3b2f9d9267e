//! Which records carry dejaq's mark. Decided by intended time, never by the clock, so that the same plan marks the same
//! records.

use dejaq_shared::record::StreamIx;

/// How many records are marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MarkPolicy {
    /// The first record of each stream, and one per stream per second of intended time.
    #[default]
    First,
    /// Every record.
    All,
    /// None.
    Off,
}

impl MarkPolicy {
    /// The name on the command line and in `run.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::All => "all",
            Self::Off => "off",
        }
    }
}

/// Decides record by record.
#[derive(Debug)]
pub struct Marks {
    policy: MarkPolicy,
    marked_second: Vec<u64>,
}

const NEVER: u64 = u64::MAX;

impl Marks {
    /// For this many streams.
    #[must_use]
    pub fn new(policy: MarkPolicy, streams: usize) -> Self {
        Self { policy, marked_second: vec![NEVER; streams] }
    }

    /// Whether a stream's next record, due at `at_ns` after the start, is marked.
    pub fn next(&mut self, stream: StreamIx, at_ns: u64) -> bool {
        match self.policy {
            MarkPolicy::All => true,
            MarkPolicy::Off => false,
            MarkPolicy::First => {
                let second = at_ns / 1_000_000_000;
                let Some(marked) = self.marked_second.get_mut(stream as usize) else { return true };
                let due = *marked != second;
                *marked = second;
                due
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_marks_the_first_and_one_a_second_of_each_stream() {
        let mut marks = Marks::new(MarkPolicy::First, 2);
        let given: Vec<bool> = [(0, 0), (0, 1), (1, 5), (0, 999_999_999), (0, 1_000_000_000), (1, 1_500_000_000), (1, 1_600_000_000)]
            .map(|(s, t)| marks.next(s, t))
            .to_vec();
        assert_eq!(given, [true, false, true, false, true, true, false]);
    }

    #[test]
    fn all_and_off() {
        assert!(Marks::new(MarkPolicy::All, 1).next(0, 0));
        assert!(!Marks::new(MarkPolicy::Off, 1).next(0, 0));
    }
}
