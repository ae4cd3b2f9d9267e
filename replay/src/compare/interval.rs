//! From the replicates of a bootstrap to an interval, and from several to simultaneous ones. Pure.
//!
//! All is on the scale of ln(NEW / BASE). An interval is the estimate ± t · s · √(k / (k − 1)): s is the standard deviation of
//! the replicates; k is the number of independent units that were resampled (runs, or blocks), and the root makes good
//! that a bootstrap of k units is too narrow by just that; t is Student's, since s is itself an estimate.
//!
//! A ratio can be infinite: a percentile that falls among the unanswered ranks as infinity. A bound is infinite when more
//! replicates are than the interval leaves out at that end; the others make up s.
//!
//! **Holm.** Measures are ordered by their p-values; the i-th of m (from 0) is tested at 5 % / (m − i), until one does not
//! differ; it and all after it share that level. So an interval excludes 1 exactly when Holm's procedure says that the
//! measure differs, and the chance that any of them does by chance alone is at most 5 %.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The chance of a false alarm among all primary measures together.
pub(crate) const ALPHA: f64 = 0.05;

/// What the bootstrap says of one measure.
#[derive(Debug, Clone)]
pub(crate) struct Replicates {
    /// ln(NEW / BASE) of the runs as they are.
    pub(crate) estimate: f64,
    /// ln(NEW / BASE) of each replicate; those that are no number (nothing against nothing) count as 0, no difference.
    pub(crate) logs: Vec<f64>,
    /// How many independent units were resampled.
    pub(crate) units: f64,
    /// The degrees of freedom of the standard deviation.
    pub(crate) freedom: f64,
}

/// An interval of ln(NEW / BASE).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Interval {
    /// Whether it excludes that there is no difference.
    pub(crate) fn differs(self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

impl Replicates {
    /// The interval that leaves out `alpha`, half of it at each end. `None` without an estimate or with too few units.
    pub(crate) fn interval(&self, alpha: f64) -> Option<Interval> {
        if self.estimate.is_nan() {
            return None;
        }
        let (below, above) = (self.share(f64::NEG_INFINITY), self.share(f64::INFINITY));
        if self.estimate == f64::INFINITY {
            let low = if above >= 1.0 - alpha / 2.0 { f64::INFINITY } else { f64::NEG_INFINITY };
            return Some(Interval { low, high: f64::INFINITY });
        }
        if self.estimate == f64::NEG_INFINITY {
            let high = if below >= 1.0 - alpha / 2.0 { f64::NEG_INFINITY } else { f64::INFINITY };
            return Some(Interval { low: f64::NEG_INFINITY, high });
        }
        let reach = self.student()?.inverse_cdf(1.0 - alpha / 2.0) * self.error()?;
        Some(Interval {
            low: if below > alpha / 2.0 { f64::NEG_INFINITY } else { self.estimate - reach },
            high: if above > alpha / 2.0 { f64::INFINITY } else { self.estimate + reach },
        })
    }

    /// The smallest `alpha` at which the interval excludes no difference; 1 when there is none.
    pub(crate) fn p_value(&self) -> f64 {
        let (below, above) = (self.share(f64::NEG_INFINITY), self.share(f64::INFINITY));
        if self.estimate.is_infinite() {
            let agree = if self.estimate > 0.0 { above } else { below };
            return (2.0 * (1.0 - agree)).min(1.0);
        }
        let (Some(student), Some(error)) = (self.student(), self.error()) else { return 1.0 };
        if self.estimate.is_nan() || self.estimate == 0.0 {
            return 1.0;
        }
        let finite = if error > 0.0 { 2.0 * student.sf(self.estimate.abs() / error) } else { 0.0 };
        let against = if self.estimate > 0.0 { below } else { above };
        finite.max(2.0 * against).min(1.0)
    }

    /// The share of replicates with just this value.
    fn share(&self, value: f64) -> f64 {
        self.logs.iter().filter(|log| **log == value).count() as f64 / self.logs.len().max(1) as f64
    }

    fn student(&self) -> Option<StudentsT> {
        StudentsT::new(0.0, 1.0, self.freedom).ok().filter(|_| self.freedom >= 1.0)
    }

    fn error(&self) -> Option<f64> {
        let finite = || self.logs.iter().filter(|log| log.is_finite());
        let count = finite().count() as f64;
        if count < 2.0 || self.units <= 1.0 {
            return None;
        }
        let mean = finite().sum::<f64>() / count;
        let variance = finite().map(|log| (log - mean) * (log - mean)).sum::<f64>() / (count - 1.0);
        Some(libm::sqrt(variance * self.units / (self.units - 1.0)))
    }
}

/// Simultaneous intervals: see the module's words.
pub(crate) fn holm(measures: &[&Replicates]) -> Vec<Option<Interval>> {
    let mut order: Vec<(f64, usize)> = measures.iter().map(|m| m.p_value()).zip(0..).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut intervals = vec![None; measures.len()];
    let mut differ = true;
    let mut left = measures.len();
    for (_, ix) in order {
        let interval = measures[ix].interval(ALPHA / left as f64);
        intervals[ix] = interval;
        differ &= interval.is_some_and(Interval::differs);
        if differ {
            left -= 1;
        }
    }
    intervals
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Replicates that are spread evenly around the estimate.
    fn around(estimate: f64, spread: f64) -> Replicates {
        let logs = (0..=1_000).map(|i| estimate + spread * (f64::from(i) / 500.0 - 1.0)).collect();
        Replicates { estimate, logs, units: 20.0, freedom: 19.0 }
    }

    #[test]
    fn an_interval_is_student_s_with_the_width_of_few_units_made_good() {
        let interval = around(0.1, 0.03).interval(0.05).expect("an interval");
        // The standard deviation of an even spread of ±0.03 is 0.03/√3; t for 19 degrees is 2.093.
        let reach = 2.093 * 0.03 / 3f64.sqrt() * (20.0f64 / 19.0).sqrt();
        assert!((interval.low - (0.1 - reach)).abs() < 1e-4 && (interval.high - (0.1 + reach)).abs() < 1e-4, "{interval:?}");
        assert!(Replicates { units: 1.0, ..around(0.1, 0.03) }.interval(0.05).is_none(), "one unit says nothing of its variation");
    }

    #[test]
    fn the_p_value_is_where_the_interval_touches_no_difference() {
        for replicates in [around(0.1, 0.03), around(-0.02, 0.05), around(0.3, 0.9)] {
            let p = replicates.p_value();
            let touches = |alpha: f64| replicates.interval(alpha).expect("an interval").differs();
            assert!(touches(p * 1.01) && !touches(p * 0.99), "{p}");
        }
    }

    #[test]
    fn an_infinite_ratio_is_certain_only_when_almost_all_replicates_are() {
        let with = |infinite: usize| {
            let logs = (0..1_000).map(|i| if i < infinite { f64::INFINITY } else { 1.0 }).collect();
            Replicates { estimate: f64::INFINITY, logs, units: 20.0, freedom: 19.0 }
        };
        assert!(with(999).interval(0.05).expect("one").differs());
        assert!(!with(900).interval(0.05).expect("one").differs());
        let finite = Replicates { estimate: 0.5, ..with(30) };
        assert_eq!(finite.interval(0.05).map(|i| i.high), Some(f64::INFINITY));
        assert!(finite.interval(0.2).expect("one").high.is_finite());
        assert_eq!(Replicates { estimate: f64::NAN, ..with(30) }.interval(0.05), None);
    }

    #[test]
    fn holm_gives_what_a_difference_leaves_to_the_others() {
        let (clear, close, none) = (around(0.5, 0.03), around(0.0446, 0.03), around(0.0, 0.03));
        let p = close.p_value();
        assert!(p > ALPHA / 3.0 && p < ALPHA / 2.0, "{p}: not at a third of 5 %, at half of it");
        let alone = holm(&[&none, &close, &none]);
        assert!(!alone[1].expect("one").differs());
        let beside = holm(&[&none, &close, &clear]);
        assert!(beside[1].expect("one").differs() && beside[2].expect("one").differs());
        assert!(!beside[0].expect("one").differs());
    }
}
