//! What an interval means.

use serde::{Deserialize, Serialize};

use super::interval::Interval;

/// How NEW stands against BASE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The interval lies within the margin around 1.
    #[serde(rename = "same")]
    Same,
    /// The interval excludes 1, and the estimate is better by more than the margin.
    #[serde(rename = "better")]
    Better,
    /// The interval excludes 1, and the estimate is worse by more than the margin.
    #[serde(rename = "worse")]
    Worse,
    /// Anything else.
    #[serde(rename = "cannot tell")]
    CannotTell,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Same => "same",
            Self::Better => "better",
            Self::Worse => "worse",
            Self::CannotTell => "cannot tell",
        })
    }
}

/// The verdict on one measure. `estimate` is ln(NEW / BASE).
pub(crate) fn of_measure(estimate: f64, interval: Interval, margin: f64, more_is_better: bool) -> Verdict {
    let ratio = |log| libm::exp(log);
    if ratio(interval.low) >= 1.0 - margin && ratio(interval.high) <= 1.0 + margin {
        return Verdict::Same;
    }
    if !interval.differs() || (ratio(estimate) - 1.0).abs() <= margin {
        return Verdict::CannotTell;
    }
    if (estimate > 0.0) == more_is_better { Verdict::Better } else { Verdict::Worse }
}

/// The verdict on all: worse if one is, else cannot tell if one cannot, else better if one is.
pub(crate) fn of_all(primary: &(impl Iterator<Item = Verdict> + Clone)) -> Verdict {
    let order = [Verdict::Worse, Verdict::CannotTell, Verdict::Better, Verdict::Same];
    order.into_iter().find(|verdict| primary.clone().any(|p| p == *verdict)).unwrap_or(Verdict::CannotTell)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Better, CannotTell, Same, Worse};

    #[test]
    fn a_verdict_needs_the_interval_and_the_margin() {
        let of = |low: f64, estimate: f64, high: f64| {
            let interval = Interval { low: low.ln(), high: high.ln() };
            [false, true].map(|more| of_measure(estimate.ln(), interval, 0.05, more))
        };
        assert_eq!(of(0.97, 1.0, 1.03), [Same, Same]);
        assert_eq!(of(1.01, 1.02, 1.04), [Same, Same], "a difference within the margin");
        assert_eq!(of(1.01, 1.04, 1.07), [CannotTell, CannotTell], "a difference that may or may not matter");
        assert_eq!(of(0.98, 1.10, 1.21), [CannotTell, CannotTell]);
        assert_eq!(of(1.01, 1.10, 1.19), [Worse, Better]);
        assert_eq!(of(0.80, 0.90, 0.99), [Better, Worse]);
        assert_eq!(of(f64::INFINITY, f64::INFINITY, f64::INFINITY), [Worse, Better]);
        assert_eq!(of(0.0, f64::INFINITY, f64::INFINITY), [CannotTell, CannotTell]);
        assert_eq!(of(0.0, 0.0, 0.0), [Better, Worse]);
    }

    #[test]
    fn one_that_is_worse_makes_all_worse_and_one_unknown_hides_what_is_better() {
        assert_eq!(of_all(&[Better, CannotTell, Worse].into_iter()), Worse);
        assert_eq!(of_all(&[Better, CannotTell, Same].into_iter()), CannotTell);
        assert_eq!(of_all(&[Better, Same].into_iter()), Better);
        assert_eq!(of_all(&[Same, Same].into_iter()), Same);
        assert_eq!(of_all(&[].into_iter()), CannotTell);
    }
}
