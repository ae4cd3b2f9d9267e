//! When a consumer group rebalanced: what the system under test did by itself while it was measured. Pure: who is in the group, and
//! time, are given.
//!
//! A group rebalances while its coordinator says so, and when its members are others than at the look before. Times are those of
//! looks: it began after the one and was over by the other. Limits: one that begins and ends between two looks with the same members is
//! not seen. Memory is flat: [`REBALANCES_MAX`] are told, and further ones counted.

use std::collections::BTreeSet;

use dejaq_shared::broker::backlog::Membership;
use dejaq_shared::units::format_ns;
use serde::{Deserialize, Serialize};

/// The most rebalances that are told one by one.
pub const REBALANCES_MAX: usize = 100;

/// A rebalance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Rebalance {
    /// The last look before it, nanoseconds after the start.
    pub from_ns: u64,
    /// The first look at which it was over; `null`: it was not by the last one.
    pub to_ns: Option<u64>,
    /// Members that were not in the group before.
    pub joined: u64,
    /// Members that are not in it any more.
    pub left: u64,
}

impl std::fmt::Display for Rebalance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rebalanced after {}", format_ns(self.from_ns))?;
        match (self.joined, self.left) {
            (0, 0) => Ok(()),
            (joined, 0) => write!(f, ": {joined} joined"),
            (0, left) => write!(f, ": {left} left"),
            (joined, left) => write!(f, ": {joined} joined, {left} left"),
        }
    }
}

/// Follows who is in a group.
#[derive(Debug, Clone, Default)]
pub struct Rebalances {
    /// The members when the group was last settled, and that look.
    settled: Option<(BTreeSet<String>, u64)>,
    /// The one that goes on.
    open: Option<Rebalance>,
    found: Vec<Rebalance>,
    more: u64,
}

impl Rebalances {
    /// Who is in the group at `at_ns`.
    pub fn look(&mut self, membership: Membership, at_ns: u64) {
        let now: BTreeSet<String> = membership.members.into_iter().collect();
        let (before, since_ns) = self.settled.get_or_insert_with(|| (now.clone(), at_ns));
        if membership.settled && *before == now && self.open.is_none() {
            *since_ns = at_ns;
            return;
        }
        let from_ns = self.open.as_ref().map_or(*since_ns, |open| open.from_ns);
        let (joined, left) = (now.difference(before).count() as u64, before.difference(&now).count() as u64);
        let rebalance = Rebalance { from_ns, to_ns: membership.settled.then_some(at_ns), joined, left };
        if !membership.settled {
            self.open = Some(rebalance);
            return;
        }
        (self.open, self.settled) = (None, Some((now, at_ns)));
        if self.found.len() < REBALANCES_MAX { self.found.push(rebalance) } else { self.more += 1 }
    }

    /// What was found, the oldest first, and how many more there were.
    #[must_use]
    pub fn found(&self) -> (Vec<Rebalance>, u64) {
        let room = REBALANCES_MAX - self.found.len();
        let open = self.open.iter();
        (self.found.iter().chain(open.clone().take(room)).cloned().collect(), self.more + u64::from(room == 0 && open.len() > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn group(settled: bool, members: &[&str]) -> Membership {
        Membership { settled, members: members.iter().map(|id| (*id).to_owned()).collect() }
    }

    fn found(looks: &[(bool, &[&str])]) -> Vec<(u64, Option<u64>, u64, u64)> {
        let mut rebalances = Rebalances::default();
        for (at, (settled, members)) in (0..).zip(looks) {
            rebalances.look(group(*settled, members), at * S);
        }
        let (found, more) = rebalances.found();
        assert_eq!(more, 0);
        found.into_iter().map(|r| (r.from_ns / S, r.to_ns.map(|to| to / S), r.joined, r.left)).collect()
    }

    #[test]
    fn a_rebalance_is_from_the_last_look_before_it_to_the_first_after_it() {
        assert_eq!(found(&[(true, &["a", "b"]), (true, &["b", "a"]), (true, &["a", "b"])]), [], "the order says nothing");
        let joins: &[(bool, &[&str])] = &[(true, &["a"]), (true, &["a"]), (false, &["a", "b"]), (false, &["a"]), (true, &["a", "b"])];
        assert_eq!(found(joins), [(1, Some(4), 1, 0)], "however long it takes, it is one");
        assert_eq!(found(&[(true, &["a"]), (true, &["b", "c"]), (true, &["b"])]), [(0, Some(1), 2, 1), (1, Some(2), 0, 1)]);
        assert_eq!(found(&[(true, &["a"]), (false, &["a"]), (true, &["a"])]), [(0, Some(2), 0, 0)], "the same members once more");
        assert_eq!(found(&[(false, &["a"]), (true, &["a"]), (false, &[])]), [(0, Some(1), 0, 0), (1, None, 0, 1)], "it goes on");
        assert_eq!(found(&[(true, &[]), (true, &["a"])]), [(0, Some(1), 1, 0)], "a group that comes to be");
    }

    #[test]
    fn memory_is_flat() {
        let mut rebalances = Rebalances::default();
        for at in 0..=2 * REBALANCES_MAX as u64 {
            rebalances.look(group(true, &[&at.to_string()]), at * S);
        }
        rebalances.look(group(false, &[]), 1_000 * S);
        let (found, more) = rebalances.found();
        assert_eq!((found.len(), more), (REBALANCES_MAX, REBALANCES_MAX as u64 + 1));
    }
}
