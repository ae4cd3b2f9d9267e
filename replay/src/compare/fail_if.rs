//! `--fail-if 'p99(response) > 1.1x'`: a threshold for a ratio NEW / BASE. It is crossed only when the whole interval is
//! beyond it, so that chance alone does not fail a build.
//!
//! What is known of the system under test (`lag_messages_max > 2x`) is one value a run and has no interval: who names it asks for
//! the plain ratio, and is told so. Nothing is known then of what chance does.

use super::result::{Comparison, Measure};

/// A threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct FailIf {
    text: String,
    /// The measure's title.
    title: String,
    above: bool,
    ratio: f64,
}

/// Why an expression is none.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("--fail-if {text:?}: {reason}; for example --fail-if 'p99(response) > 1.1x' or --fail-if 'achieved_rate < 0.9x'")]
pub struct FailIfError {
    text: String,
    reason: String,
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

impl FailIf {
    /// Reads MEASURE `>` or `<` NUMBER `x`.
    ///
    /// # Errors
    /// [`FailIfError`].
    pub fn parse(text: &str) -> Result<Self, FailIfError> {
        let refuse = |reason: &str| FailIfError { text: text.to_owned(), reason: reason.to_owned() };
        let at = text.find(['<', '>']).ok_or_else(|| refuse("no < or > in it"))?;
        let (title, rest) = text.split_at(at);
        let number = rest[1..].trim().strip_suffix('x').ok_or_else(|| refuse("a ratio ends with x"))?;
        let ratio: f64 = number.trim_end().parse().map_err(|_| refuse("not a number before the x"))?;
        if !(ratio.is_finite() && ratio > 0.0) {
            return Err(refuse("a ratio is more than 0"));
        }
        let title = without_blanks(title);
        Ok(Self { text: text.to_owned(), title, above: rest.starts_with('>'), ratio })
    }

    /// As it was typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Holds it against a comparison.
    ///
    /// # Errors
    /// [`FailIfError`] when there is no such measure.
    pub fn judge(&self, comparison: &Comparison) -> Result<Crossed, FailIfError> {
        let Some(measure) = comparison.measures.iter().find(|m| without_blanks(&m.title()) == self.title) else {
            let known: Vec<String> = comparison.measures.iter().map(Measure::title).collect();
            return Err(FailIfError {
                text: self.text.clone(),
                reason: format!("no measure {}; there are {}", self.title, known.join(", ")),
            });
        };
        if measure.single {
            return Ok(self.by_ratio(measure));
        }
        let Some((low, high)) = measure.interval() else { return Ok(Crossed::CannotTell) };
        let (beyond, within) = if self.above { (low > self.ratio, high <= self.ratio) } else { (high < self.ratio, low >= self.ratio) };
        Ok(if beyond {
            Crossed::Yes
        } else if within {
            Crossed::No
        } else {
            Crossed::CannotTell
        })
    }

    /// Anything is infinitely more than nothing; nothing and nothing are no ratio.
    fn by_ratio(&self, measure: &Measure) -> Crossed {
        match measure.base.zip(measure.new).map(|(base, new)| new / base) {
            Some(ratio) if !ratio.is_nan() => {
                let beyond = if self.above { ratio > self.ratio } else { ratio < self.ratio };
                if beyond { Crossed::YesByRatio } else { Crossed::NoByRatio }
            }
            _ => Crossed::CannotTell,
        }
    }
}

/// A title may have blanks in it, and who types it may add some.
fn without_blanks(title: &str) -> String {
    title.chars().filter(|c| !c.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_or_refused_with_the_reason() {
        let read = FailIf::parse(" p99 ( response ) >1.1 x").expect("good");
        assert_eq!((read.title.as_str(), read.above, read.ratio), ("p99(response)", true, 1.1));
        assert!(!FailIf::parse("achieved_rate<0.9x").expect("good").above);
        for (bad, why) in [("p99", "no < or >"), ("p99 > 1.1", "ends with x"), ("p99 > ax", "not a number"), ("p99 < -1x", "more than 0")] {
            let error = FailIf::parse(bad).expect_err("bad").to_string();
            assert!(error.contains(why) && error.contains("for example"), "{error}");
        }
    }
}
