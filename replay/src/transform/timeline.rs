//! Which values are alive when. Values have indices in the order of their birth; alive are those from `low` to before `high`.
//! Time falls into periods: one begins wherever churn replaces values or growth adds some. A rule without either has one.
//!
//! Churn takes the oldest: at the end of each `every`, `share` of the values alive die, and as many are born. A last period
//! that the horizon cuts short has its part of the births, rounded: a run of just less than whole periods has those of whole ones. Growth goes in [`STEPS`] steps (one with `curve = "step"`).

use super::quota::whole;
use super::rules::{Churn, Curve, ExpandRule, Grow};

/// The steps of a growth.
pub(super) const STEPS: u64 = 100;

/// Walks through the periods, in order.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    distinct: u64,
    churn: Option<Churn>,
    grow: Option<Grow>,
    /// Where births of a cut period are counted to.
    horizon_ns: u64,
    /// The period, from 0.
    pub(super) period: usize,
    /// The first value alive.
    pub(super) low: u64,
    /// Behind the last value alive.
    pub(super) high: u64,
    start_ns: u64,
    churned: u64,
    grown: u64,
    next_ns: u64,
}

impl Timeline {
    pub(super) fn new(rule: &ExpandRule, horizon_ns: u64) -> Self {
        let high = rule.grow.map_or(rule.distinct, |grow| grow.from);
        let mut line = Self {
            distinct: rule.distinct,
            churn: rule.churn,
            grow: rule.grow,
            horizon_ns,
            period: 0,
            low: 0,
            high,
            start_ns: 0,
            churned: 0,
            grown: 0,
            next_ns: 0,
        };
        line.next_ns = line.after();
        line
    }

    /// When the period begins, nanoseconds after the start.
    pub(super) fn start_ns(&self) -> u64 {
        self.start_ns
    }

    /// Whether a time lies behind this period.
    pub(super) fn is_past(&self, due_ns: u64) -> bool {
        due_ns >= self.next_ns
    }

    /// Goes on to the next period.
    pub(super) fn advance(&mut self) {
        self.start_ns = self.next_ns;
        self.period += 1;
        if let Some(grow) = self.grow.filter(|grow| self.step_ns(grow, self.grown + 1) <= self.start_ns && self.grown < steps(grow)) {
            self.grown += 1;
            let alive = self.alive(&grow);
            self.high = self.high.max(self.low + alive);
        }
        if let Some(churn) = self.churn.filter(|churn| churn.every_ns.saturating_mul(self.churned + 1) <= self.start_ns) {
            self.churned += 1;
            let births = self.births(&churn);
            self.low += births;
            self.high += births;
        }
        self.next_ns = self.after();
    }

    fn after(&self) -> u64 {
        let churn = self.churn.map_or(u64::MAX, |churn| churn.every_ns.saturating_mul(self.churned + 1));
        let grow = self.grow.filter(|grow| self.grown < steps(grow)).map_or(u64::MAX, |grow| self.step_ns(&grow, self.grown + 1));
        churn.min(grow)
    }

    fn step_ns(&self, grow: &Grow, step: u64) -> u64 {
        let at = u128::from(grow.over_ns) * u128::from(step) / u128::from(steps(grow));
        u64::try_from(at).unwrap_or(u64::MAX)
    }

    /// Alive after this many steps.
    fn alive(&self, grow: &Grow) -> u64 {
        let (from, to) = (grow.from as f64, self.distinct as f64);
        let part = self.grown as f64 / steps(grow) as f64;
        if self.grown >= steps(grow) {
            return self.distinct;
        }
        let alive = match grow.curve {
            Curve::Exponential => from * libm::pow(to / from, part),
            Curve::Linear | Curve::Step => from + (to - from) * part,
        };
        whole(libm::round(alive)).clamp(grow.from, self.distinct)
    }

    fn births(&self, churn: &Churn) -> u64 {
        let alive = self.high - self.low;
        let born = libm::round(churn.share * alive as f64).max(1.0);
        let left_ns = self.horizon_ns.saturating_sub(self.start_ns);
        let part = if left_ns < churn.every_ns { left_ns as f64 / churn.every_ns as f64 } else { 1.0 };
        whole(libm::round(born * part)).min(alive)
    }
}

fn steps(grow: &Grow) -> u64 {
    if grow.curve == Curve::Step { 1 } else { STEPS }
}
