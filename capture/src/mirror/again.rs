//! What the broker may deliver again although it is on disk, and whether a message is such a one. Pure.
//!
//! Two things leave messages on disk that the broker has no acknowledgement of: a capture that died (then the newest
//! [`WINDOW`] records of the recording may come again) and a connection that broke (then what was delivered on it and was not
//! acknowledged). Their hashes are kept as a multiset: each is good for one message.
//!
//! A hash is of everything that makes a message: stream, routing key, properties with the header table, body. It is keyed anew
//! in each process, so that nobody can make two messages that collide.
//!
//! # Its limits
//! - No more than [`EXPECTED_MAX`] messages are expected; of more, the older half is forgotten, and what then comes again is kept
//!   with the flag *redelivered* only.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use dejaq_shared::broker::mirror::Receipt;
use dejaq_shared::record::{Record, RecordFlags, StreamIx};

/// How many of the newest records of a recording may come again: what a prefetch can be at most.
pub(super) const WINDOW: u64 = 65_536;
/// How many are expected at most.
pub(super) const EXPECTED_MAX: usize = 1 << 18;

/// What is known of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It is not known to be on disk.
    New,
    /// One that looks the same is on disk: nothing proves that it is the same.
    Perhaps,
    /// It is on disk.
    Proven,
}

/// What one link has delivered and what is not acknowledged of it.
#[derive(Debug)]
struct Link {
    link: u32,
    generation: u32,
    unacknowledged: VecDeque<(u64, u64)>,
}

#[derive(Debug, Clone, Copy)]
struct Copies {
    count: u32,
    /// When the newest of them was noted.
    noted: u64,
}

/// The memory of what is on disk and may come again.
#[derive(Debug, Default)]
pub(super) struct Again {
    keys: RandomState,
    expected: HashMap<u64, Copies>,
    noted: u64,
    links: Vec<Link>,
}

impl Again {
    /// A hash of all that makes the message.
    pub(super) fn hash(&self, stream: StreamIx, record: &Record<'_>) -> u64 {
        self.keys.hash_one((stream, record.routing_key, record.properties.as_bytes(), record.value))
    }

    /// A message with this hash is on disk, and may come again.
    pub(super) fn expect(&mut self, hash: u64) {
        self.noted += 1;
        let noted = self.noted;
        self.expected.entry(hash).and_modify(|c| *c = Copies { count: c.count + 1, noted }).or_insert(Copies { count: 1, noted });
        if self.expected.len() > EXPECTED_MAX {
            let mut times: Vec<u64> = self.expected.values().map(|c| c.noted).collect();
            let (_, median, _) = times.select_nth_unstable(EXPECTED_MAX / 2);
            let median = *median;
            self.expected.retain(|_, c| c.noted > median);
        }
    }

    /// Says what is known of a delivery; one that was expected is expected no longer. Its connection is looked at first: a new
    /// one means that what is unacknowledged on the old one comes again.
    pub(super) fn judge(&mut self, receipt: Receipt, record: &Record<'_>, hash: u64) -> Known {
        self.connected(receipt);
        if !record.flags.has(RecordFlags::REDELIVERED) {
            return Known::New;
        }
        let Some(copies) = self.expected.get_mut(&hash) else { return Known::New };
        copies.count -= 1;
        if copies.count == 0 {
            self.expected.remove(&hash);
        }
        if names_itself(record) { Known::Proven } else { Known::Perhaps }
    }

    /// A delivery that was judged is on disk, or will be: until it is acknowledged it may come again.
    pub(super) fn note(&mut self, receipt: Receipt, hash: u64) {
        if let Some(link) = self.links.iter_mut().find(|l| l.link == receipt.link) {
            link.unacknowledged.push_back((receipt.tag, hash));
        }
    }

    /// Everything up to `receipt` was acknowledged.
    pub(super) fn acknowledged(&mut self, receipt: Receipt) {
        if let Some(link) = self.links.iter_mut().find(|l| l.link == receipt.link && l.generation == receipt.generation) {
            while link.unacknowledged.pop_front_if(|(tag, _)| *tag <= receipt.tag).is_some() {}
        }
    }

    fn connected(&mut self, receipt: Receipt) {
        let Some(link) = self.links.iter_mut().find(|l| l.link == receipt.link) else {
            let Receipt { link, generation, tag: _ } = receipt;
            self.links.push(Link { link, generation, unacknowledged: VecDeque::new() });
            return;
        };
        if link.generation != receipt.generation {
            link.generation = receipt.generation;
            let lost = std::mem::take(&mut link.unacknowledged);
            lost.into_iter().for_each(|(_, hash)| self.expect(hash));
        }
    }
}

/// Whether the message carries an id of its own.
fn names_itself(record: &Record<'_>) -> bool {
    record.properties.basic().message_id.is_some_and(|id| !id.is_empty())
}

#[cfg(test)]
mod tests;
