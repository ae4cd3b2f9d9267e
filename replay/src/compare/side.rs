//! One side of a comparison: its runs, and what any resampling of them and of their units measures.

use super::bins::{Bins, Mixture};
use super::measure::Quantity;
use super::observed::{Observed, Unit};
use crate::measure::latency::{Latency, LatencySummary};

/// The runs of one side, made ready for resampling.
pub(crate) struct Side<'a> {
    runs: &'a [Observed],
    /// The units of all runs, run by run.
    cells: Vec<Cell>,
    response: Mixture,
    service: Mixture,
    published: Published,
    all: Taken,
}

/// What is counted of a unit of a run.
#[derive(Debug, Clone, Copy)]
struct Cell {
    scheduled: u64,
    answered: u64,
    confirmed: u64,
    served: u64,
    active_s: f64,
}

/// The values of a side that are published.
struct Published {
    response: LatencySummary,
    service: LatencySummary,
}

/// Which units of which runs are taken, and what they have together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taken {
    /// How often each cell is.
    weights: Vec<u32>,
    scheduled: u64,
    answered: u64,
    confirmed: u64,
    /// Latencies of service.
    served: u64,
    active_s: f64,
}

impl<'a> Side<'a> {
    pub(crate) fn new(runs: &'a [Observed]) -> Self {
        let units = || runs.iter().flat_map(|run| &run.units);
        let mixture = |of: fn(&Unit) -> &Bins| Mixture::new(&units().map(of).collect::<Vec<_>>());
        let cell = |unit: &Unit| Cell {
            scheduled: unit.scheduled,
            answered: unit.answered,
            confirmed: unit.confirmed,
            served: unit.service.count(),
            active_s: unit.active_s,
        };
        let merged = |of: fn(&Observed) -> &Latency<u64>| {
            let mut merged = Latency::<u64>::default();
            runs.iter().for_each(|run| merged.merge(of(run)));
            merged
        };
        let scheduled: u64 = runs.iter().map(Observed::scheduled).sum();
        let response = merged(|run| &run.response);
        let published = Published {
            response: response.summary(scheduled.saturating_sub(response.count())),
            service: merged(|run| &run.service).summary(0),
        };
        let mut side = Self {
            runs,
            cells: units().map(cell).collect(),
            response: mixture(|u| &u.response),
            service: mixture(|u| &u.service),
            published,
            all: Taken::default(),
        };
        let mut all = Taken::default();
        side.take(&vec![1; side.units()], &vec![1; runs.len()], &mut all);
        side.all = all;
        side
    }

    pub(crate) fn runs(&self) -> &[Observed] {
        self.runs
    }

    pub(crate) fn units(&self) -> usize {
        self.runs.first().map_or(0, |run| run.units.len())
    }

    /// Takes each unit, and each run, so many times.
    pub(crate) fn take(&self, units: &[u32], runs: &[u32], taken: &mut Taken) {
        let mut weights = std::mem::take(&mut taken.weights);
        weights.clear();
        runs.iter().for_each(|times| weights.extend(units.iter().map(|weight| weight * times)));
        *taken = Taken { weights, ..Taken::default() };
        for (cell, weight) in self.cells.iter().zip(&taken.weights).filter(|(_, weight)| **weight > 0) {
            let times = u64::from(*weight);
            taken.scheduled += cell.scheduled * times;
            taken.answered += cell.answered * times;
            taken.confirmed += cell.confirmed * times;
            taken.served += cell.served * times;
            taken.active_s += cell.active_s * f64::from(*weight);
        }
    }

    /// The value of a quantity in a resampling; infinity for a percentile among the unanswered, no number where there is nothing.
    pub(crate) fn value(&self, quantity: Quantity, taken: &Taken) -> f64 {
        let percentile = |mixture: &Mixture, of: fn(&Taken) -> u64, thousandths: u64| {
            let rank = |taken| (of(taken) * thousandths).div_ceil(1_000);
            if of(taken) == 0 { f64::NAN } else { mixture.at_rank(&taken.weights, rank(taken), rank(&self.all)) }
        };
        match quantity {
            Quantity::Response(thousandths) => percentile(&self.response, |t| t.scheduled, thousandths),
            Quantity::Service(thousandths) => percentile(&self.service, |t| t.served, thousandths),
            Quantity::AchievedRate => taken.confirmed as f64 / taken.active_s,
            Quantity::UnansweredShare => taken.scheduled.saturating_sub(taken.answered) as f64 / taken.scheduled as f64,
        }
    }

    /// The value that is published: of percentiles with the three digits of the histograms.
    pub(crate) fn published(&self, quantity: Quantity) -> f64 {
        let percentile = |of: &LatencySummary, thousandths| {
            let found = match thousandths {
                500 => of.p50_ns,
                900 => of.p90_ns,
                990 => of.p99_ns,
                _ => of.p999_ns,
            };
            if of.count + of.unanswered == 0 { f64::NAN } else { found.map_or(f64::INFINITY, |ns| ns as f64) }
        };
        match quantity {
            Quantity::Response(thousandths) => percentile(&self.published.response, thousandths),
            Quantity::Service(thousandths) => percentile(&self.published.service, thousandths),
            Quantity::AchievedRate | Quantity::UnansweredShare => self.value(quantity, &self.all),
        }
    }

    /// How many values a percentile is taken of.
    pub(crate) fn values(&self, quantity: Quantity) -> u64 {
        match quantity {
            Quantity::Service(_) => self.published.service.count,
            _ => self.all.scheduled,
        }
    }
}
