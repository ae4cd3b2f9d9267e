//! Simulated runs, whose truth is known: drift, correlation, and what varies from run to run.

use std::time::Duration;

use super::*;
use crate::compare::blocks::Draws;
use crate::compare::observed::Unit;
use crate::fail_if::of_comparison::{Crossed, RatioThreshold};

/// What a simulated run is made of.
#[derive(Clone, Copy)]
struct World {
    /// The length in seconds.
    seconds: usize,
    /// Messages a second, bursts apart.
    rate: usize,
    /// How much of a second's slowness is still there in the next.
    memory: f64,
    /// The spread of the slowness that a second adds, as a share.
    noise: f64,
    /// How much slower the last second is than the first, in all runs alike.
    drift: f64,
    /// The spread of whole runs, as a share.
    between: f64,
    /// How many of a million messages are never answered.
    unanswered: usize,
}

const QUIET: World = World { seconds: 120, rate: 120, memory: 0.6, noise: 0.03, drift: 0.3, between: 0.0, unanswered: 0 };

/// A number of about the normal distribution.
fn normal(draws: &mut Draws) -> f64 {
    ((0..4).map(|_| draws.below(1_000_000) as f64 / 1e6).sum::<f64>() - 2.0) * 3f64.sqrt()
}

impl World {
    /// A run that is `slower` times as slow as it should be. Load has bursts, which are those of the plan.
    fn run(self, seed: u64, slower: f64) -> Observed {
        let mut draws = Draws::new(seed);
        let mut run = Observed { units: vec![Unit::default(); self.seconds], shown: [None; SHOWN.len()], ..Observed::default() };
        let whole = libm::exp(self.between * normal(&mut draws)) * slower;
        let mut slowness = 0.0;
        for (second, unit) in run.units.iter_mut().enumerate() {
            slowness = self.memory * slowness + self.noise * normal(&mut draws);
            let drift = 1.0 + self.drift * second as f64 / self.seconds as f64;
            let burst = if second % 10 == 3 { 3 } else { 1 };
            unit.active_s = 1.0;
            for _ in 0..self.rate * burst {
                unit.scheduled += 1;
                if draws.below(1_000_000) < self.unanswered {
                    continue;
                }
                let seconds = 0.002 * whole * drift * burst as f64 * libm::exp(slowness + 0.4 * normal(&mut draws));
                let ns = Duration::from_secs_f64(seconds).subsec_nanos().into();
                (unit.answered, unit.confirmed) = (unit.answered + 1, unit.confirmed + 1);
                unit.response.add(ns, 1);
                run.response.record(ns);
            }
            // Nothing is sent late.
            unit.service = unit.response.clone();
        }
        run.service = run.response.clone();
        run
    }

    /// Compares `runs` runs a side; NEW is `slower` times as slow.
    fn compared(self, seed: u64, runs: u64, slower: f64) -> Comparison {
        let side = |from: u64, slower| -> Vec<Observed> { (0..runs).map(|run| self.run(seed * 1_000 + from + run, slower)).collect() };
        let options = Options { replicates: 120, seed, ..Options::default() };
        compare(&side(0, 1.0), &side(500, slower), Axis { from_s: 0, unit_s: 1, units: self.seconds }, &options)
    }

    /// Of 100 comparisons, how many say so.
    fn of_hundred(self, runs: u64, slower: f64, says: fn(Verdict) -> bool) -> usize {
        (0..100).filter(|seed| says(self.compared(*seed, runs, slower).verdict)).count()
    }
}

fn differs(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Better | Verdict::Worse)
}

/// Whether a primary measure is called better or worse, whatever the verdict on all.
fn any_differs(comparison: &Comparison) -> bool {
    comparison.measures.iter().any(|m| m.primary && differs(m.verdict))
}

#[test]
fn one_run_a_side_of_the_same_thing_seldom_differs_and_a_slowdown_is_found() {
    let false_alarms = (0..100).filter(|seed| any_differs(&QUIET.compared(*seed, 1, 1.0))).count();
    let found = QUIET.of_hundred(1, 1.1, |v| v == Verdict::Worse);
    assert!(false_alarms <= 5, "{false_alarms} of 100 called different");
    assert!(found >= 90, "{found} of 100 found");
}

#[test]
fn several_runs_a_side_that_vary_by_themselves_seldom_differ_and_a_slowdown_is_found() {
    let world = World { seconds: 60, rate: 60, between: 0.02, ..QUIET };
    let false_alarms = (0..100).filter(|seed| any_differs(&world.compared(*seed, 5, 1.0))).count();
    let found = world.of_hundred(5, 1.1, |v| v == Verdict::Worse);
    assert!(false_alarms <= 5, "{false_alarms} of 100 called different");
    assert!(found >= 90, "{found} of 100 found");
}

/// What runs vary by is larger than what they vary within: one run a side is misled, and says that it may be; several are not.
#[test]
fn what_varies_from_run_to_run_is_in_the_intervals_of_several_runs_alone() {
    let world = World { seconds: 60, rate: 60, between: 0.08, ..QUIET };
    let misled = |runs| (0..40).filter(|seed| any_differs(&world.compared(*seed, runs, 1.0))).count();
    let (one, several) = (misled(1), misled(4));
    assert!(world.compared(1, 1, 1.0).within_run_only && !world.compared(1, 4, 1.0).within_run_only);
    assert!(one > 8 && several <= 2, "{one} of 40 with one run a side, {several} with four");
}

#[test]
fn the_same_run_twice_is_the_same_and_the_seed_decides_all() {
    let world = World { seconds: 60, rate: 200, ..QUIET };
    let compare_them = |seed| {
        let options = Options { replicates: 200, seed, ..Options::default() };
        compare(&[world.run(1, 1.0)], &[world.run(1, 1.0)], Axis { from_s: 0, unit_s: 1, units: 60 }, &options)
    };
    let found = compare_them(0);
    assert_eq!(found.verdict, Verdict::Same);
    assert!(found.measures.iter().filter(|m| m.primary && m.name != "unanswered_share").all(|m| m.ratio == Some(1.0)), "{found:#?}");
    assert_eq!(found, compare_them(0));
    assert_ne!(world.compared(1, 1, 1.0).measures, world.compared(2, 1, 1.0).measures);
}

#[test]
fn the_unanswered_rank_as_infinity_and_are_worse_than_none() {
    let world = World { seconds: 60, rate: 200, ..QUIET };
    let lossy = World { unanswered: 20_000, ..world };
    let options = Options { replicates: 300, ..Options::default() };
    let axis = Axis { from_s: 0, unit_s: 1, units: 60 };
    let found = compare(&[world.run(1, 1.0)], &[lossy.run(2, 1.0)], axis, &options);
    assert_eq!(found.verdict, Verdict::Worse);
    let measure = |title: &str| found.measures.iter().find(|m| m.title() == title).expect("known").clone();
    let p99 = measure("p99(response)");
    assert_eq!((p99.new, p99.interval().map(|(low, _)| low), p99.verdict), (None, Some(f64::INFINITY), Verdict::Worse));
    assert_eq!(measure("unanswered_share").verdict, Verdict::Worse);
    assert_eq!(RatioThreshold::parse("p99(response) > 5x").expect("good").judge(&found), Ok(Crossed::Yes));
    assert_eq!(RatioThreshold::parse("achieved_rate < 0.5x").expect("good").judge(&found), Ok(Crossed::No));
    assert_eq!(
        RatioThreshold::parse("max(response) > 1x").expect("good").judge(&found),
        Ok(Crossed::CannotTell),
        "a maximum is never tested"
    );
    let by_ratio = |base: Option<f64>, new: Option<f64>, text: &str| {
        let mut found = found.clone();
        let lag =
            Measure { name: "lag_messages_max".into(), of: Some("billing".into()), single: true, base, new, ..found.measures[4].clone() };
        found.measures.push(Measure { quantile: None, tested: false, ..lag });
        RatioThreshold::parse(text).expect("good").judge(&found).expect("a measure")
    };
    assert_eq!(by_ratio(Some(10.0), Some(21.0), "lag_messages_max > 2x"), Crossed::YesByRatio);
    assert_eq!(by_ratio(Some(10.0), Some(20.0), "lag_messages_max > 2x"), Crossed::NoByRatio);
    assert_eq!(by_ratio(Some(10.0), Some(4.0), "lag_messages_max < 0.5x"), Crossed::YesByRatio);
    assert_eq!(by_ratio(Some(0.0), Some(1.0), "lag_messages_max > 2x"), Crossed::YesByRatio, "anything is more than nothing");
    assert_eq!(by_ratio(Some(0.0), Some(0.0), "lag_messages_max > 2x"), Crossed::CannotTell);
    assert_eq!(by_ratio(None, Some(1.0), "lag_messages_max > 2x"), Crossed::CannotTell);
    assert_eq!(by_ratio(Some(1.0), Some(2.0), "lag_messages_max(billing) >= 2x"), Crossed::YesByRatio, "by its full name");
    assert!(RatioThreshold::parse("p75(response) > 1x").expect("good").judge(&found).is_err());
}

#[test]
fn few_messages_cannot_tell_the_tail() {
    let found = World { seconds: 60, rate: 20, ..QUIET }.compared(1, 1, 3.0);
    let verdict = |title: &str| found.measures.iter().find(|m| m.title() == title).expect("known").verdict;
    assert_eq!((verdict("p50(response)"), verdict("p99(response)")), (Verdict::Worse, Verdict::CannotTell));
    assert_eq!(found.verdict, Verdict::Worse);
}
