//! Which value each occurrence of a rule gets, one after the other.
//!
//! In a period with as many occurrences as values are alive, every one of them is shown, and the quotas are those of the pick. In
//! a period with fewer, values never shown before come first, in the order of their birth, once each; what occurrences are
//! left follow the pick. So the number of values shown is known exactly before the run.

use super::expansion::RulePlan;
use super::permutation::Permutation;
use super::quota::Quota;
use super::rules::Pick;
use super::timeline::Timeline;
use super::zipf::{self, Block};
use crate::hash::key;

/// Goes through the occurrences of one rule.
#[derive(Debug)]
pub(super) struct Walk {
    timeline: Timeline,
    coming: Coming,
    quota: Quota,
    order: Permutation,
    /// With churn: which place each rank has among the values alive.
    places: Option<Permutation>,
    next: u64,
    /// Which time through the horizon.
    round: u64,
    blocks: Vec<Block>,
    blocks_of: u64,
    /// With per-series: occurrences met, by series.
    met: Vec<u64>,
}

/// What a period shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Coming {
    pub(super) occurrences: u64,
    /// The first value that is shown for the first time.
    pub(super) first: u64,
    /// How many are.
    pub(super) new: u64,
    /// Whether there are enough occurrences for all values alive.
    pub(super) all: bool,
}

impl Coming {
    /// What is to come in a period; `shown`: all values before are shown, or dead.
    pub(super) fn of(timeline: &Timeline, occurrences: u64, shown: u64) -> Self {
        let first = shown.max(timeline.low);
        let unshown = timeline.high.saturating_sub(first);
        Self { occurrences, first, new: unshown.min(occurrences), all: occurrences >= timeline.high - timeline.low }
    }
}

impl Walk {
    pub(super) fn new(plan: &RulePlan) -> Self {
        let mut walk = Self {
            timeline: plan.timeline(),
            coming: Coming::default(),
            quota: Quota::default(),
            order: Permutation::new(1, 0),
            places: None,
            next: 0,
            round: 0,
            blocks: Vec::new(),
            blocks_of: 0,
            met: vec![0; plan.series.as_ref().map_or(0, super::series::SeriesShares::len)],
        };
        walk.begin(plan);
        walk
    }

    /// The value of the next occurrence, in a series where that matters.
    pub(super) fn next(&mut self, plan: &RulePlan, due_ns: u64, series: u64) -> u64 {
        let (round, at_ns) = plan.horizon.place(due_ns);
        if round != self.round {
            let met = std::mem::take(&mut self.met);
            *self = Self { round, met, ..Self::new(plan) };
            self.met.fill(0);
        }
        if let Some(shares) = &plan.series {
            let Some(number) = shares.find(series) else { return 0 };
            let share = shares.share(number);
            let slot = self.met[number] % share.occurrences.max(1);
            self.met[number] += 1;
            // In turn: each value of a series comes as often as any other, give or take one.
            return share.base + slot % share.values.max(1);
        }
        while self.timeline.is_past(at_ns) && self.timeline.period < super::count::PERIODS_MAX {
            let shown = self.coming.first + self.coming.new;
            self.timeline.advance();
            self.coming = Coming::of(&self.timeline, plan.occurrences_in(self.timeline.period), shown);
            if !self.timeline.is_past(at_ns) {
                self.begin_with(plan);
            }
        }
        let slot = self.order.at(self.next % self.coming.occurrences.max(1));
        self.next += 1;
        let first = if self.coming.all { 0 } else { self.coming.new };
        if slot < first {
            return self.coming.first + slot;
        }
        self.value_of(self.quota.rank(slot - first))
    }

    fn begin(&mut self, plan: &RulePlan) {
        self.coming = Coming::of(&self.timeline, plan.occurrences_in(self.timeline.period), 0);
        self.begin_with(plan);
    }

    fn begin_with(&mut self, plan: &RulePlan) {
        let alive = self.timeline.high - self.timeline.low;
        if alive != self.blocks_of {
            self.blocks = if let Pick::Zipf(exponent) = plan.pick { zipf::blocks(alive, exponent) } else { zipf::uniform(alive) };
            self.blocks_of = alive;
            self.places = plan.churns.then(|| Permutation::new(alive, key(plan.key, 1)));
        }
        let Coming { occurrences, new, all, .. } = self.coming;
        self.quota = Quota::new(if all { occurrences } else { occurrences - new }, &self.blocks, all);
        self.order = Permutation::new(occurrences.max(1), key(plan.key, 2 + self.timeline.period as u64));
        self.next = 0;
    }

    /// The value with a rank. With churn a newborn takes the rank of the value whose place it takes, and who dies when says
    /// nothing of the ranks.
    fn value_of(&self, rank: u64) -> u64 {
        let (low, alive) = (self.timeline.low, self.timeline.high - self.timeline.low);
        match &self.places {
            None => low + rank,
            Some(places) => low + (places.at(rank) + alive - low % alive) % alive,
        }
    }
}
