//! One side of a comparison: its runs, and what any resampling of them and of their units measures.

use super::bins::{Mixture, at_rank};
use super::measure::Quantity;
use super::observed::{Observed, Unit};
use crate::measure::latency::{Latency, LatencySummary};

/// The runs of one side, made ready for resampling.
pub(crate) struct Side {
    runs: Vec<Observed>,
    response: Vec<Mixture>,
    service: Vec<Mixture>,
}

/// Which units and runs are taken, and how often.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taken {
    /// By unit.
    pub(crate) units: Vec<u32>,
    /// By run.
    pub(crate) runs: Vec<u32>,
}

impl Side {
    pub(crate) fn new(runs: Vec<Observed>) -> Self {
        let mixtures = |of: fn(&Unit) -> &super::bins::Bins| -> Vec<Mixture> {
            runs.iter().map(|run| Mixture::new(&run.units.iter().map(of).collect::<Vec<_>>())).collect()
        };
        Self { response: mixtures(|u| &u.response), service: mixtures(|u| &u.service), runs }
    }

    pub(crate) fn runs(&self) -> &[Observed] {
        &self.runs
    }

    pub(crate) fn units(&self) -> usize {
        self.runs.first().map_or(0, |run| run.units.len())
    }

    /// Each run and unit once.
    pub(crate) fn all(&self) -> Taken {
        Taken { units: vec![1; self.units()], runs: vec![1; self.runs.len()] }
    }

    /// One run alone.
    pub(crate) fn only(&self, run: usize) -> Taken {
        let mut taken = Taken { runs: vec![0; self.runs.len()], ..self.all() };
        taken.runs[run] = 1;
        taken
    }

    /// The value of a quantity in a resampling; infinity for a percentile among the unanswered, no number where there is nothing.
    pub(crate) fn value(&self, quantity: Quantity, taken: &Taken) -> f64 {
        match quantity {
            Quantity::Response(thousandths) => self.percentile(&self.response, self.sum(taken, |u| u.scheduled), thousandths, taken),
            Quantity::Service(thousandths) => {
                let of_run = self.service.iter().zip(&taken.runs);
                let count = of_run.map(|(mixture, times)| mixture.count(&taken.units) * u64::from(*times)).sum();
                self.percentile(&self.service, count, thousandths, taken)
            }
            Quantity::AchievedRate => {
                let active: f64 = self.weighted(taken).map(|(unit, weight)| unit.active_s * weight as f64).sum();
                self.sum(taken, |u| u.confirmed) as f64 / active
            }
            Quantity::UnansweredShare => {
                let scheduled = self.sum(taken, |u| u.scheduled);
                (scheduled.saturating_sub(self.sum(taken, |u| u.answered))) as f64 / scheduled as f64
            }
        }
    }

    /// The value that is published: of percentiles with the three digits of the histograms.
    pub(crate) fn published(&self, quantity: Quantity) -> f64 {
        let percentile = |of: fn(&Observed) -> &Latency<u64>, denominator: Option<u64>, thousandths| {
            let mut merged = Latency::<u64>::default();
            self.runs.iter().for_each(|run| merged.merge(of(run)));
            let count = merged.count();
            let LatencySummary { p50_ns, p90_ns, p99_ns, p999_ns, .. } = merged.summary(denominator.unwrap_or(count).saturating_sub(count));
            let found = match thousandths {
                500 => p50_ns,
                900 => p90_ns,
                990 => p99_ns,
                _ => p999_ns,
            };
            if count == 0 && denominator.unwrap_or(0) == 0 { f64::NAN } else { found.map_or(f64::INFINITY, |ns| ns as f64) }
        };
        match quantity {
            Quantity::Response(thousandths) => {
                percentile(|run| &run.response, Some(self.runs.iter().map(Observed::scheduled).sum()), thousandths)
            }
            Quantity::Service(thousandths) => percentile(|run| &run.service, None, thousandths),
            Quantity::AchievedRate | Quantity::UnansweredShare => self.value(quantity, &self.all()),
        }
    }

    /// How many values a percentile is taken of.
    pub(crate) fn values(&self, quantity: Quantity) -> u64 {
        match quantity {
            Quantity::Service(_) => self.runs.iter().map(|run| run.service.count()).sum(),
            _ => self.runs.iter().map(Observed::scheduled).sum(),
        }
    }

    fn percentile(&self, mixtures: &[Mixture], count: u64, thousandths: u64, taken: &Taken) -> f64 {
        if count == 0 {
            return f64::NAN;
        }
        let times: Vec<(&Mixture, u32)> = mixtures.iter().zip(taken.runs.iter().copied()).collect();
        at_rank(&times, &taken.units, (count * thousandths).div_ceil(1_000))
    }

    fn weighted<'a>(&'a self, taken: &'a Taken) -> impl Iterator<Item = (&'a Unit, u64)> {
        let of_run = |(run, times): (&'a Observed, &'a u32)| {
            run.units.iter().zip(&taken.units).map(move |(unit, weight)| (unit, u64::from(*weight) * u64::from(*times)))
        };
        self.runs.iter().zip(&taken.runs).filter(|(_, times)| **times > 0).flat_map(of_run)
    }

    fn sum(&self, taken: &Taken, of: impl Fn(&Unit) -> u64) -> u64 {
        self.weighted(taken).map(|(unit, weight)| of(unit) * weight).sum()
    }
}
