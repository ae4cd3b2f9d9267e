//! When a source that is sampled went silent, and whether it came back. Pure: time is given.

use dejaq_shared::units::format_ns;
use serde::{Deserialize, Serialize};

/// A source that has not answered for so long is silent, whether it said why or not.
pub const SILENT_NS: u64 = 3_000_000_000;
/// The most silences that are told one by one.
pub const SILENCES_MAX: usize = 100;

/// A time without an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Silent {
    /// The last answer before it, nanoseconds after the start; 0: there was none.
    pub from_ns: u64,
    /// The next answer; `null`: there was none any more.
    pub to_ns: Option<u64>,
    /// What was said instead.
    pub why: String,
}

impl std::fmt::Display for Silent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let from = format_ns(self.from_ns);
        match self.to_ns {
            Some(to_ns) => write!(f, "was silent from {from} to {}: {}", format_ns(to_ns), self.why),
            None => write!(f, "was silent from {from} on: {}", self.why),
        }
    }
}

/// Follows the answers of one source.
#[derive(Debug, Clone, Default)]
pub struct Silence {
    answered_ns: u64,
    samples: u64,
    why: Option<String>,
    silent: bool,
    found: Vec<Silent>,
    more: u64,
}

impl Silence {
    /// It answered.
    pub fn answered(&mut self, at_ns: u64) {
        if std::mem::take(&mut self.silent)
            && let Some(last) = self.found.last_mut().filter(|last| last.to_ns.is_none())
        {
            last.to_ns = Some(at_ns);
        }
        (self.answered_ns, self.why) = (at_ns, None);
        self.samples += 1;
    }

    /// It said that it cannot. Told at once if it never answered: a wrong address is better known early.
    pub fn failed(&mut self, at_ns: u64, why: String) {
        self.why = Some(why);
        if self.samples == 0 {
            self.fall_silent();
        }
        self.look(at_ns);
    }

    /// Time passes. Whether it has just fallen silent.
    pub fn look(&mut self, at_ns: u64) -> bool {
        let falls = !self.silent && at_ns.saturating_sub(self.answered_ns) >= SILENT_NS;
        if falls {
            self.fall_silent();
        }
        falls
    }

    /// Whether it is silent now.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// How often it answered.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The silences, the oldest first, and how many more there were.
    #[must_use]
    pub fn found(&self) -> (&[Silent], u64) {
        (&self.found, self.more)
    }

    fn fall_silent(&mut self) {
        if std::mem::replace(&mut self.silent, true) {
            return;
        }
        if self.found.len() >= SILENCES_MAX {
            self.more += 1;
            return;
        }
        let why = self.why.clone().unwrap_or_else(|| "no answer".to_owned());
        self.found.push(Silent { from_ns: self.answered_ns, to_ns: None, why });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_silence_has_a_beginning_a_reason_and_an_end() {
        let mut silence = Silence::default();
        silence.answered(S);
        silence.failed(2 * S, "refused".into());
        assert!(!silence.is_silent(), "one answer that fails is none");
        assert!(silence.look(4 * S) && !silence.look(5 * S), "told once");
        silence.answered(9 * S);
        assert!(!silence.look(10 * S));
        assert!(silence.look(12 * S));
        let found = [(S, Some(9 * S), "refused"), (9 * S, None, "no answer")];
        assert_eq!(silence.found().0, found.map(|(from_ns, to_ns, why)| Silent { from_ns, to_ns, why: why.into() }));
        assert_eq!(silence.samples(), 2);
    }

    #[test]
    fn a_source_that_never_answered_is_silent_from_the_start() {
        let mut silence = Silence::default();
        silence.failed(S / 2, "no such host".into());
        assert!(silence.is_silent());
        assert_eq!(silence.found().0, [Silent { from_ns: 0, to_ns: None, why: "no such host".into() }]);
    }

    proptest! {
        #[test]
        fn silences_are_the_gaps_between_answers(gaps in prop::collection::vec(1..6 * S, 1..300)) {
            let mut silence = Silence::default();
            let (mut now, mut gone) = (0, Vec::new());
            for gap in gaps {
                for step in 1..=gap.div_ceil(S / 2) {
                    silence.look(now + (step * S / 2).min(gap));
                }
                if gap >= SILENT_NS {
                    gone.push((now, Some(now + gap)));
                }
                now += gap;
                silence.answered(now);
            }
            let (found, more) = silence.found();
            let found: Vec<_> = found.iter().map(|s| (s.from_ns, s.to_ns)).collect();
            prop_assert_eq!(more + found.len() as u64, gone.len() as u64);
            prop_assert_eq!(&found[..], &gone[..found.len()]);
        }
    }
}
