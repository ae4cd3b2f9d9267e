//! The bootstrap: both sides resampled again and again, and what each resampling measures. Pure; the seed decides all.
//!
//! Runs of one plan are paired by time: a resampling takes the same seconds of all runs, so that what the plan itself does
//! (bursts, lulls) is on both sides and cancels. Runs of different plans are resampled each side for itself. With several
//! runs on both sides the runs are resampled first, then the blocks, so that what varies from run to run is in the intervals;
//! with one run on a side nothing can be known of that, and only the variation within runs is.

use super::blocks::{Draws, length};
use super::interval::Replicates;
use super::measure::{Definition, MEASURES, Quantity};
use super::side::{Side, Taken};

/// How the sides are resampled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scheme {
    /// Whether the runs are of one plan.
    pub(crate) paired: bool,
    /// How many resamplings.
    pub(crate) replicates: usize,
    pub(crate) seed: u64,
}

/// What came of it.
pub(crate) struct Bootstrapped {
    /// Of each of [`MEASURES`].
    pub(crate) measures: Vec<Replicates>,
    /// The length of a block in units.
    pub(crate) block_units: usize,
    /// Whether runs were resampled.
    pub(crate) between_runs: bool,
}

pub(crate) fn bootstrap(base: &Side, new: &Side, scheme: Scheme) -> Bootstrapped {
    let between_runs = base.runs().len().min(new.runs().len()) > 1;
    let block_units = length(&histories(base, new, scheme.paired));
    let estimates = MEASURES.map(|m| ln_ratio(base.published(m.quantity), new.published(m.quantity)));
    let mut logs = MEASURES.map(|_| Vec::with_capacity(scheme.replicates));
    let mut draws = Draws::new(scheme.seed);
    let (mut of_base, mut of_new) = (base.all(), new.all());
    for _ in 0..scheme.replicates {
        if between_runs {
            draws.runs(base.runs().len(), &mut of_base.runs);
            draws.runs(new.runs().len(), &mut of_new.runs);
        }
        draws.blocks(base.units(), block_units, &mut of_base.units);
        if scheme.paired {
            of_new.units.clone_from(&of_base.units);
        } else {
            draws.blocks(new.units(), block_units, &mut of_new.units);
        }
        for (measure, logs) in MEASURES.iter().zip(&mut logs) {
            let log = ln_ratio(base.value(measure.quantity, &of_base), new.value(measure.quantity, &of_new));
            logs.push(if log.is_nan() { 0.0 } else { log });
        }
    }
    let blocks = base.units().min(new.units()) as f64 / block_units as f64;
    let measures = MEASURES.iter().zip(estimates).zip(logs);
    let measures = measures.map(|((measure, estimate), logs)| {
        let (units, freedom) = if between_runs { independent_runs(base, new, measure) } else { (blocks, blocks - 1.0) };
        Replicates { estimate, logs, units, freedom }
    });
    Bootstrapped { measures: measures.collect(), block_units, between_runs }
}

/// ln(new / base); no number for nothing against nothing, or infinity against infinity.
fn ln_ratio(base: f64, new: f64) -> f64 {
    libm::log(new / base)
}

/// How many runs count as independent, and the degrees of freedom by Welch and Satterthwaite, from each run's own value.
fn independent_runs(base: &Side, new: &Side, measure: &Definition) -> (f64, f64) {
    let spread = |side: &Side| {
        let count = side.runs().len();
        let logs: Vec<f64> = (0..count).map(|run| libm::log(side.value(measure.quantity, &side.only(run)))).collect();
        let mean = logs.iter().sum::<f64>() / count as f64;
        let degrees = count as f64 - 1.0;
        (logs.iter().map(|log| (log - mean) * (log - mean)).sum::<f64>() / degrees / count as f64, degrees)
    };
    let ((a, of_a), (b, of_b)) = (spread(base), spread(new));
    let least = of_a.min(of_b);
    let freedom = (a + b) * (a + b) / (a * a / of_a + b * b / of_b);
    (least + 1.0, if freedom.is_finite() { freedom.max(least) } else { least })
}

/// The series of which the block length is chosen: for each quantity that has a history, how NEW differs from BASE by unit;
/// each side's own where they are not paired.
fn histories(base: &Side, new: &Side, paired: bool) -> Vec<Vec<f64>> {
    let quantities = [Quantity::Response(500), Quantity::Response(990), Quantity::Service(500), Quantity::AchievedRate];
    let mut series = Vec::new();
    for quantity in quantities {
        let [base, new] = [base, new].map(|side| history(side, quantity));
        if paired {
            series.push(new.iter().zip(&base).map(|(new, base)| new - base).collect());
        } else {
            series.extend([base, new]);
        }
    }
    series
}

/// ln of a quantity in each unit; where it has none, what it had before.
fn history(side: &Side, quantity: Quantity) -> Vec<f64> {
    let mut taken = Taken { units: vec![0; side.units()], ..side.all() };
    let mut before = 0.0;
    let of_unit = (0..side.units()).map(|unit| {
        taken.units[unit] = 1;
        let log = libm::log(side.value(quantity, &taken));
        taken.units[unit] = 0;
        if log.is_finite() {
            before = log;
        }
        before
    });
    of_unit.collect()
}
