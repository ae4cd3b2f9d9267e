//! Compares two sides, each one run or several of the same thing: is NEW better than BASE, the same, or worse? Pure but for
//! [`load`], which reads run directories.
//!
//! Guarantees: two sides of the same thing are called better or worse in at most 5 of 100 comparisons (all primary measures
//! together), as far as the units that are resampled are alike; what the data cannot say is *cannot tell*; the same runs, options and
//! seed give the same result. Limits: with one run on a side, what varies from run to run is not in the intervals, and the
//! result says so. docs/MEASUREMENT.md has the definitions.

pub mod bins;
pub(crate) mod blocks;
mod bootstrap;
pub mod charts;
pub mod comparable;
mod interval;
pub mod load;
mod measure;
pub mod observed;
pub mod page;
mod picture;
pub mod result;
mod side;
pub mod signals;
pub mod text;
mod together;
pub mod verdict;

use bootstrap::{Bootstrapped, Scheme, bootstrap};
use interval::{ALPHA, Interval, Replicates, holm};
use measure::{Definition, MEASURES, Quantity};
use observed::{Axis, Observed, SHOWN};
use result::{Comparison, Measure};
use side::Side;
use together::Together;
use verdict::{Verdict, of_all, of_measure};

/// The fewest values that must lie beyond a percentile, on each side, for it to be compared.
pub const BEYOND_MIN: u64 = 50;

/// How to compare.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How far from 1 a ratio still counts as the same, as a share.
    pub margin: f64,
    /// The seed of the bootstrap.
    pub seed: u64,
    /// How many resamplings.
    pub replicates: usize,
    /// Whether all runs are of one plan, so that their seconds can be paired.
    pub paired: bool,
    /// Whether the target's own pace decided when messages were sent (`--max`): there is no response then.
    pub closed_loop: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { margin: 0.05, seed: 0, replicates: 2_000, paired: true, closed_loop: false }
    }
}

/// Compares two sides, whose runs have the units of `axis`.
#[must_use]
pub fn compare(base: &[Observed], new: &[Observed], axis: Axis, options: &Options) -> Comparison {
    let (base, new) = (Side::new(base), Side::new(new));
    let scheme = Scheme { paired: options.paired, replicates: options.replicates, seed: options.seed };
    let Bootstrapped { measures: replicates, block_units, between_runs } = bootstrap(&base, &new, scheme);
    let testable: Vec<bool> = MEASURES.iter().map(|m| untestable(m, &base, &new, options).is_none()).collect();
    let is_tested = |ix: usize| MEASURES[ix].primary && testable[ix] && !replicates[ix].estimate.is_nan();
    let tested: Vec<usize> = (0..MEASURES.len()).filter(|ix| is_tested(*ix)).collect();
    let together = holm(&tested.iter().map(|ix| &replicates[*ix]).collect::<Vec<_>>());
    let mut measures = Vec::new();
    for (ix, (definition, replicates)) in MEASURES.iter().zip(&replicates).enumerate() {
        let interval = match tested.iter().position(|t| *t == ix) {
            Some(at) => together[at],
            None => replicates.interval(ALPHA).filter(|_| testable[ix]),
        };
        measures.push(measured(definition, replicates, interval, (&base, &new), options));
    }
    measures.extend((0..SHOWN.len()).map(|ix| shown(ix, &base, &new)));
    measures.extend(signals::measures(base.runs(), new.runs()));
    let names = |side: &Side<'_>| side.runs().iter().map(|run| run.name.clone()).collect();
    Comparison {
        schema_version: result::SCHEMA_VERSION,
        verdict: of_all(&measures.iter().filter(|m| m.primary).map(|m| m.verdict)),
        base: names(&base),
        new: names(&new),
        paired: options.paired,
        within_run_only: !between_runs,
        from_s: axis.from_s,
        unit_s: axis.unit_s,
        units: axis.units,
        block_s: block_units as u64 * axis.unit_s,
        margin: options.margin,
        seed: options.seed,
        replicates: options.replicates,
        measures,
        notes: Vec::new(),
    }
}

/// Why a measure cannot be tested, if so.
fn untestable(definition: &Definition, base: &Side<'_>, new: &Side<'_>, options: &Options) -> Option<String> {
    if options.closed_loop && matches!(definition.quantity, Quantity::Response(_)) {
        return Some("no schedule with --max, so no response".to_owned());
    }
    let beyond = [base, new].map(|side| definition.beyond(side.values(definition.quantity)));
    let fewest = beyond.into_iter().min().unwrap_or(0);
    let is_percentile = definition.quantile().is_some();
    (is_percentile && fewest < BEYOND_MIN).then(|| format!("{fewest} messages beyond it, {BEYOND_MIN} are needed"))
}

fn measured(
    definition: &Definition,
    replicates: &Replicates,
    interval: Option<Interval>,
    sides: (&Side<'_>, &Side<'_>),
    options: &Options,
) -> Measure {
    let (base, new) = sides;
    let none = untestable(definition, base, new, options);
    let primary = definition.primary && !(options.closed_loop && none.is_some());
    let values = [base, new].map(|side| side.published(definition.quantity));
    let nothing = definition.quantity == Quantity::UnansweredShare && values == [0.0, 0.0];
    let verdict = match interval {
        _ if nothing => Verdict::Same,
        Some(interval) => of_measure(replicates.estimate, interval, options.margin, definition.more_is_better()),
        None => Verdict::CannotTell,
    };
    let why = none.or_else(|| match verdict {
        _ if nothing => Some("all were answered on both sides".to_owned()),
        Verdict::CannotTell if interval.is_none() => Some("too few blocks of time, or no value".to_owned()),
        _ => None,
    });
    Measure {
        name: definition.name.to_owned(),
        of: None,
        quantile: definition.quantile(),
        unit: definition.unit().to_owned(),
        base: result::finite(values[0]),
        new: result::finite(values[1]),
        ratio: result::finite(libm::exp(replicates.estimate)),
        low: interval.and_then(|i| result::finite(libm::exp(i.low))),
        high: interval.and_then(|i| result::finite(libm::exp(i.high))),
        tested: interval.is_some(),
        single: false,
        verdict,
        primary,
        why,
    }
}

/// A number that is shown and never tested.
fn shown(ix: usize, base: &Side<'_>, new: &Side<'_>) -> Measure {
    let (name, quantile, unit) = SHOWN[ix];
    let together = if quantile == Some(1.0) { Together::Largest } else { Together::Mean };
    let values = [base, new].map(|side| together.of(side.runs().iter().map(|run| run.shown[ix])));
    Measure::untested(name, quantile, unit, values, "shown, never tested")
}

#[cfg(test)]
mod tests;
