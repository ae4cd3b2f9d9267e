//! `compare --fail-if 'p99(response) > 1.1x'`: a threshold for a ratio NEW / BASE. It is crossed only when the whole interval
//! is beyond it, so that chance alone does not fail a build.
//!
//! What was seen of the system under test (`lag_messages_max > 2x`) is one value a run and has no interval: who names it asks
//! for the plain ratio, and is told so. Nothing is known then of what chance does.

use std::fmt;

use super::{Expression, FailIfError};
use crate::compare::result::{Comparison, Measure};
use crate::compare::verdict::Verdict;

/// A threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct RatioThreshold {
    expression: Expression,
    ratio: f64,
}

/// What a comparison says of a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crossed {
    /// The whole interval lies beyond it.
    Yes,
    /// The whole interval lies on this side of it.
    No,
    /// The ratio lies beyond it, of a measure that has one value a run.
    YesByRatio,
    /// Such a ratio lies on this side of it.
    NoByRatio,
    /// It lies within the interval, or there is none.
    CannotTell,
}

const EXAMPLE: &str = "--fail-if 'p99(response) > 1.1x' or --fail-if 'achieved_rate < 0.9x'";

fn refuse(text: &str, reason: impl Into<String>) -> FailIfError {
    FailIfError { text: text.to_owned(), reason: reason.into(), example: EXAMPLE }
}

impl RatioThreshold {
    /// Reads MEASURE, a relation, NUMBER `x`.
    ///
    /// # Errors
    /// [`FailIfError`].
    pub fn parse(text: &str) -> Result<Self, FailIfError> {
        let expression = Expression::parse(text).map_err(|reason| refuse(text, reason))?;
        let number = expression.bound.strip_suffix('x').ok_or_else(|| refuse(text, "a ratio ends with x"))?;
        let ratio: f64 = number.trim_end().parse().map_err(|_| refuse(text, "not a number before the x"))?;
        if !(ratio.is_finite() && ratio > 0.0) {
            return Err(refuse(text, "a ratio is more than 0"));
        }
        Ok(Self { expression, ratio })
    }

    /// Holds it against a comparison.
    ///
    /// # Errors
    /// [`FailIfError`] when there is no such measure.
    pub fn judge(&self, comparison: &Comparison) -> Result<Crossed, FailIfError> {
        let title = self.expression.measure();
        let Some(measure) = named(comparison, &title) else {
            let known: Vec<String> = comparison.measures.iter().map(Measure::title).collect();
            return Err(refuse(&self.to_string(), format!("no measure {title}; there are {}", known.join(", "))));
        };
        Ok(if measure.single { self.by_ratio(measure) } else { self.by_interval(measure) })
    }

    fn by_interval(&self, measure: &Measure) -> Crossed {
        let relation = self.expression.relation;
        let (low, high) = match measure.interval() {
            Some(interval) => interval,
            // Nothing unanswered on both sides needs no interval.
            None if measure.verdict == Verdict::Same => (1.0, 1.0),
            None => return Crossed::CannotTell,
        };
        // The end that must be beyond for all to be, and the one that must not be for none to be.
        let (nearest, farthest) = if relation.is_upward() { (low, high) } else { (high, low) };
        if relation.holds(nearest, self.ratio) {
            Crossed::Yes
        } else if !relation.holds(farthest, self.ratio) {
            Crossed::No
        } else {
            Crossed::CannotTell
        }
    }

    /// Anything is infinitely more than nothing; nothing and nothing are no ratio, nor is what is below nothing.
    fn by_ratio(&self, measure: &Measure) -> Crossed {
        match measure.base.zip(measure.new).filter(|(base, new)| *base >= 0.0 && *new >= 0.0).map(|(base, new)| new / base) {
            Some(ratio) if ratio.is_nan() => Crossed::CannotTell,
            Some(ratio) if self.expression.relation.holds(ratio, self.ratio) => Crossed::YesByRatio,
            Some(_) => Crossed::NoByRatio,
            None => Crossed::CannotTell,
        }
    }
}

/// The measure of this title, or the only one of this name, whosever it is.
fn named<'a>(comparison: &'a Comparison, title: &str) -> Option<&'a Measure> {
    let all = || comparison.measures.iter();
    let only = || {
        let mut of_name = all().filter(|m| m.of.is_some() && m.name == title && m.quantile.is_none());
        of_name.next().filter(|_| of_name.next().is_none())
    };
    all().find(|m| m.title() == title).or_else(only)
}

impl fmt::Display for RatioThreshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expression.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fail_if::Relation;

    #[test]
    fn expressions_are_read_or_refused_with_the_reason() {
        let read = RatioThreshold::parse(" p99 ( response ) >1.1 x").expect("good");
        assert_eq!((read.expression.measure().as_str(), read.expression.relation, read.ratio), ("p99(response)", Relation::Above, 1.1));
        assert_eq!(RatioThreshold::parse("achieved_rate<=0.9x").expect("good").expression.relation, Relation::AtMost);
        for (bad, why) in [
            ("p99", "no < or >"),
            ("p99 > 1.1", "ends with x"),
            ("p99 > ax", "not a number"),
            ("p99 < -1x", "more than 0"),
            ("p99 > infx", "more than 0"),
        ] {
            let error = RatioThreshold::parse(bad).expect_err("bad").to_string();
            assert!(error.contains(why) && error.contains("for example"), "{error}");
        }
    }

    #[test]
    fn a_measure_that_is_the_same_without_an_interval_is_not_unsure_and_what_is_below_nothing_is_no_ratio() {
        let unanswered = RatioThreshold::parse("unanswered_share > 1.1x").expect("good");
        let measure = Measure::untested("unanswered_share", None, "share", [Some(0.0), Some(0.0)], "");
        assert_eq!(unanswered.by_interval(&measure), Crossed::CannotTell);
        assert_eq!(unanswered.by_interval(&Measure { verdict: Verdict::Same, ..measure }), Crossed::No);
        let age = RatioThreshold::parse("freshness_age_max > 2x").expect("good");
        let by_ratio = |base, new| age.by_ratio(&Measure::untested("freshness_age_max", None, "ns", [Some(base), Some(new)], ""));
        assert_eq!(by_ratio(1.0, 3.0), Crossed::YesByRatio);
        assert_eq!((by_ratio(-1.0, -3.0), by_ratio(-1.0, 5.0)), (Crossed::CannotTell, Crossed::CannotTell));
    }
}
