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

pub(crate) fn bootstrap(base: &Side<'_>, new: &Side<'_>, scheme: Scheme) -> Bootstrapped {
    let between_runs = base.runs().len().min(new.runs().len()) > 1;
    let block_units = length(&histories(base, new, scheme.paired));
    let estimates = MEASURES.map(|m| ln_ratio(base.published(m.quantity), new.published(m.quantity)));
    let mut logs = MEASURES.map(|_| Vec::with_capacity(scheme.replicates));
    let mut draws = Draws::new(scheme.seed);
    let (mut of_base, mut of_new) = (Taken::default(), Taken::default());
    let [(mut base_runs, mut base_units), (mut new_runs, mut new_units)] = [base, new].map(|side| (vec![1; side.runs().len()], Vec::new()));
    for _ in 0..scheme.replicates {
        if between_runs {
            draws.runs(base.runs().len(), &mut base_runs);
            draws.runs(new.runs().len(), &mut new_runs);
        }
        draws.blocks(base.units(), block_units, &mut base_units);
        if scheme.paired {
            new_units.clone_from(&base_units);
        } else {
            draws.blocks(new.units(), block_units, &mut new_units);
        }
        base.take(&base_units, &base_runs, &mut of_base);
        new.take(&new_units, &new_runs, &mut of_new);
        for (measure, logs) in MEASURES.iter().zip(&mut logs) {
            let log = ln_ratio(base.value(measure.quantity, &of_base), new.value(measure.quantity, &of_new));
            logs.push(if log.is_nan() { 0.0 } else { log });
        }
    }
    let blocks = base.units().min(new.units()) as f64 / block_units as f64;
    let each_run = [base, new].map(each_run);
    let measures = MEASURES.iter().zip(estimates).zip(logs);
    let measures = measures.map(|((measure, estimate), logs)| {
        let (units, freedom) = if between_runs { independent_runs((base, new), &each_run, measure) } else { (blocks, blocks - 1.0) };
        Replicates { estimate, logs, units, freedom }
    });
    Bootstrapped { measures: measures.collect(), block_units, between_runs }
}

/// ln(new / base); no number for nothing against nothing, or infinity against infinity.
fn ln_ratio(base: f64, new: f64) -> f64 {
    libm::log(new / base)
}

/// Each run of a side alone.
fn each_run(side: &Side<'_>) -> Vec<Taken> {
    let count = side.runs().len();
    let alone = |run| {
        let (mut runs, mut taken) = (vec![0; count], Taken::default());
        runs[run] = 1;
        side.take(&vec![1; side.units()], &runs, &mut taken);
        taken
    };
    (0..count).map(alone).collect()
}

/// How many runs count as independent, and the degrees of freedom by Welch and Satterthwaite, from each run's own value.
fn independent_runs((base, new): (&Side<'_>, &Side<'_>), each_run: &[Vec<Taken>; 2], measure: &Definition) -> (f64, f64) {
    let spread = |side: &Side<'_>, each_run: &[Taken]| {
        let count = each_run.len() as f64;
        let logs: Vec<f64> = each_run.iter().map(|run| libm::log(side.value(measure.quantity, run))).collect();
        let mean = logs.iter().sum::<f64>() / count;
        let degrees = count - 1.0;
        (logs.iter().map(|log| (log - mean) * (log - mean)).sum::<f64>() / degrees / count, degrees)
    };
    let ((a, of_a), (b, of_b)) = (spread(base, &each_run[0]), spread(new, &each_run[1]));
    let least = of_a.min(of_b);
    let freedom = (a + b) * (a + b) / (a * a / of_a + b * b / of_b);
    (least + 1.0, if freedom.is_finite() { freedom.max(least) } else { least })
}

/// The quantities of which the block length is chosen.
const WITH_HISTORY: [Quantity; 4] = [Quantity::Response(500), Quantity::Response(990), Quantity::Service(500), Quantity::AchievedRate];

/// The series of which the block length is chosen: for each quantity that has a history, how NEW differs from BASE by unit;
/// each side's own where they are not paired.
fn histories(base: &Side<'_>, new: &Side<'_>, paired: bool) -> Vec<Vec<f64>> {
    let [of_base, of_new] = [base, new].map(history);
    if !paired {
        return of_base.into_iter().chain(of_new).collect();
    }
    let difference = |(base, new): (Vec<f64>, Vec<f64>)| new.iter().zip(&base).map(|(new, base)| new - base).collect();
    of_base.into_iter().zip(of_new).map(difference).collect()
}

/// ln of each of [`WITH_HISTORY`] in each unit; where it has none, what it had before.
fn history(side: &Side<'_>) -> [Vec<f64>; WITH_HISTORY.len()] {
    let (runs, mut units, mut taken) = (vec![1; side.runs().len()], vec![0; side.units()], Taken::default());
    let mut series = WITH_HISTORY.map(|_| Vec::with_capacity(side.units()));
    for unit in 0..side.units() {
        units[unit] = 1;
        side.take(&units, &runs, &mut taken);
        units[unit] = 0;
        for (quantity, series) in WITH_HISTORY.iter().zip(&mut series) {
            let log = libm::log(side.value(*quantity, &taken));
            let before = series.last().copied().unwrap_or(0.0);
            series.push(if log.is_finite() { log } else { before });
        }
    }
    series
}
