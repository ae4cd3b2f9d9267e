//! Which messages came back as unroutable. Pure.
//!
//! RabbitMQ returns a message and then confirms it; lapin hands each returned one over with whichever confirm it completes next,
//! and completes those of one answer of the broker in any order (semantics: P6). So a returned message is known by what is in it,
//! and a confirm that came with another's waits until its own cannot follow any more.
//!
//! # What it guarantees
//! Each return is counted against one message of its content that was confirmed at the same time or later. Of messages that are
//! alike (same exchange, routing key, properties, size, ends of the body), it is the first confirmed: which one it was makes no
//! difference, since they are routed alike.
//!
//! # What it builds on
//! Whoever tells of the confirms looks again and again, and tells in one look of all that lapin had completed before it, in any order.
//! So a confirm is decided one look after its own: then all that were completed before it are told.
//!
//! Each confirm takes a return along as long as one waits in lapin. So of the confirms told of, never more have a return that still
//! waits than there are returns told of whose confirm is not (count both since no return waited): where there are none of these,
//! what came back is known. A confirm with nothing beside it means that no return waited then; one look later, it settles those told
//! of two looks before it, which were completed before it. Should neither follow, [`SETTLE`] does.

use std::collections::VecDeque;
use std::hash::{Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use hashbrown::HashMap;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use rustc_hash::{FxBuildHasher, FxHasher};

use crate::broker::sink::{Completion, Fate};

/// How long a confirm that came with another's return waits for its own: only for a return that is not known by what is in it.
pub(super) const SETTLE: Duration = Duration::from_secs(5);
/// How much of either end of a body is looked at.
const ENDS_BYTES: usize = 64;

/// What a message is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(u64);

/// Of a message as lapin has it, before it is sent and when it comes back.
pub(super) fn fingerprint(exchange: &str, routing_key: &str, properties: &BasicProperties, body: &[u8]) -> Fingerprint {
    let mut hasher = FxHasher::default();
    (exchange, routing_key, body.len()).hash(&mut hasher);
    body[..body.len().min(ENDS_BYTES)].hash(&mut hasher);
    body[body.len().saturating_sub(ENDS_BYTES)..].hash(&mut hasher);
    let texts: [&Option<ShortString>; 5] =
        [properties.message_id(), properties.correlation_id(), properties.kind(), properties.app_id(), properties.reply_to()];
    texts.hash(&mut hasher);
    (properties.timestamp(), properties.priority(), properties.delivery_mode()).hash(&mut hasher);
    if let Some(headers) = properties.headers() {
        hash_table(headers, &mut hasher);
    }
    Fingerprint(hasher.finish())
}

/// What headers exchanges look at; numbers by their bits.
fn hash_table(table: &FieldTable, hasher: &mut FxHasher) {
    for (name, value) in table {
        name.hash(hasher);
        match value {
            AMQPValue::Boolean(value) => value.hash(hasher),
            AMQPValue::ShortShortInt(value) => value.hash(hasher),
            AMQPValue::ShortShortUInt(value) => value.hash(hasher),
            AMQPValue::ShortInt(value) => value.hash(hasher),
            AMQPValue::ShortUInt(value) => value.hash(hasher),
            AMQPValue::LongInt(value) => value.hash(hasher),
            AMQPValue::LongUInt(value) => value.hash(hasher),
            AMQPValue::LongLongInt(value) => value.hash(hasher),
            AMQPValue::Float(value) => value.to_bits().hash(hasher),
            AMQPValue::Double(value) => value.to_bits().hash(hasher),
            AMQPValue::LongString(value) => value.as_bytes().hash(hasher),
            AMQPValue::Timestamp(value) => value.hash(hasher),
            AMQPValue::ByteArray(value) => value.as_slice().hash(hasher),
            AMQPValue::FieldTable(value) => hash_table(value, hasher),
            AMQPValue::FieldArray(value) => value.as_slice().len().hash(hasher),
            AMQPValue::DecimalValue(value) => value.hash(hasher),
            AMQPValue::ShortString(value) => value.hash(hasher),
            AMQPValue::Void => {}
        }
    }
}

/// A message that the broker confirmed.
#[derive(Debug, Clone, Copy)]
struct Confirmed {
    tag: usize,
    print: Fingerprint,
    /// Whether it came with the return of another message.
    with_another: bool,
    at: Instant,
    /// The look that told of it.
    look: u64,
}

/// The returns and confirms of one channel.
#[derive(Debug, Default)]
pub(super) struct Returns {
    returned: HashMap<Fingerprint, u32, FxBuildHasher>,
    undecided: VecDeque<Confirmed>,
    /// The present look.
    look: u64,
    /// The newest look that told of a confirm with nothing beside it.
    alone_in: Option<u64>,
    /// The same, before the present look.
    alone_before: Option<u64>,
}

impl Returns {
    /// A confirm, and the return that lapin handed over with it.
    pub(super) fn confirmed(&mut self, tag: usize, print: Fingerprint, with: Option<Fingerprint>, at: Instant) {
        if let Some(returned) = with {
            *self.returned.entry(returned).or_default() += 1;
        }
        let with_another = with.is_some_and(|returned| returned != print);
        self.undecided.push_back(Confirmed { tag, print, with_another, at, look: self.look });
        if with.is_none() {
            self.alone_in = Some(self.look);
        }
    }

    /// A message that was refused (nack), and the return that lapin handed over with it.
    pub(super) fn refused(&mut self, with: Option<Fingerprint>) {
        match with {
            Some(returned) => *self.returned.entry(returned).or_default() += 1,
            None => self.alone_in = Some(self.look),
        }
    }

    /// A look is over: decides what of those before it can be decided.
    pub(super) fn decide(&mut self, now: Instant, out: &mut Vec<Completion>) {
        let look = self.look;
        self.look += 1;
        let alone = self.alone_before;
        self.alone_before = self.alone_in;
        let is_settled = |confirmed: &Confirmed| {
            alone.is_some_and(|alone| confirmed.look + 2 <= alone) || now.saturating_duration_since(confirmed.at) >= SETTLE
        };
        self.decide_if(out, |confirmed| confirmed.look < look, is_settled);
    }

    /// Decides those that are ready: they came back, or are settled.
    fn decide_if(&mut self, out: &mut Vec<Completion>, is_ready: impl Fn(&Confirmed) -> bool, is_settled: impl Fn(&Confirmed) -> bool) {
        let mut undecided = std::mem::take(&mut self.undecided);
        undecided.retain(|confirmed| {
            let came_back = is_ready(confirmed) && self.take(confirmed.print);
            if came_back {
                out.push(Completion { tag: confirmed.tag, fate: Fate::Failed("returned as unroutable") });
            }
            !came_back
        });
        let all_known = self.returned.is_empty();
        undecided.retain(|confirmed| {
            let settled = is_ready(confirmed) && (!confirmed.with_another || all_known || is_settled(confirmed));
            if settled {
                out.push(Completion { tag: confirmed.tag, fate: Fate::Acked });
            }
            !settled
        });
        self.undecided = undecided;
    }

    /// The channel is gone: what it has confirmed is decided, and nothing more will come back.
    pub(super) fn end(&mut self, out: &mut Vec<Completion>) {
        self.decide_if(out, |_| true, |_| true);
        self.returned.clear();
    }

    /// Whether something waits for its return, or for the next look.
    pub(super) fn is_undecided(&self) -> bool {
        !self.undecided.is_empty()
    }

    /// Whether the next look will decide something that this one could not.
    pub(super) fn wants_a_look(&self) -> bool {
        self.undecided.back().is_some_and(|confirmed| confirmed.look + 1 == self.look)
    }

    fn take(&mut self, print: Fingerprint) -> bool {
        if self.returned.is_empty() {
            return false;
        }
        match self.returned.get_mut(&print) {
            Some(1) => self.returned.remove(&print).is_some(),
            Some(count) => {
                *count -= 1;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn print(of: u64) -> Fingerprint {
        Fingerprint(of)
    }

    fn decided(returns: &mut Returns, now: Instant) -> Vec<(usize, bool)> {
        let mut out = Vec::new();
        returns.decide(now, &mut out);
        returns.decide(now, &mut out);
        out.sort_unstable_by_key(|c| c.tag);
        out.into_iter().map(|c| (c.tag, c.fate == Fate::Acked)).collect()
    }

    #[test]
    fn a_confirm_with_nothing_beside_it_is_decided_at_once() {
        let (mut returns, now) = (Returns::default(), Instant::now());
        returns.confirmed(1, print(1), None, now);
        assert_eq!(decided(&mut returns, now), [(1, true)]);
        returns.confirmed(2, print(2), Some(print(2)), now);
        assert_eq!(decided(&mut returns, now), [(2, false)]);
    }

    #[test]
    fn a_confirm_with_another_s_return_waits_for_its_own() {
        let (mut returns, now) = (Returns::default(), Instant::now());
        returns.confirmed(1, print(1), Some(print(2)), now);
        assert_eq!(decided(&mut returns, now), []);
        returns.confirmed(2, print(2), Some(print(1)), now);
        assert_eq!(decided(&mut returns, now), [(1, false), (2, false)]);
        // Its own never comes: a confirm with nothing beside it says so, two looks later, or time.
        returns.confirmed(3, print(3), Some(print(4)), now);
        assert_eq!(decided(&mut returns, now), []);
        returns.confirmed(4, print(4), None, now);
        assert_eq!(decided(&mut returns, now), [(3, true), (4, false)]);
        returns.confirmed(5, print(5), Some(print(6)), now);
        assert_eq!(decided(&mut returns, now + SETTLE / 2), []);
        assert_eq!(decided(&mut returns, now + SETTLE), [(5, true)]);
    }

    #[test]
    fn a_channel_that_ends_leaves_nothing_behind() {
        let (mut returns, now) = (Returns::default(), Instant::now());
        returns.confirmed(1, print(1), Some(print(2)), now);
        let mut out = Vec::new();
        returns.end(&mut out);
        assert_eq!(out, [Completion { tag: 1, fate: Fate::Acked }]);
        returns.confirmed(2, print(2), None, now);
        assert_eq!(decided(&mut returns, now), [(2, true)], "returns of the channel before are gone");
    }

    #[test]
    fn what_is_in_a_message_makes_its_fingerprint() {
        let with = |id: &str| BasicProperties::default().with_message_id(id.into());
        let one = fingerprint("e", "k", &with("1"), b"body");
        assert_eq!(one, fingerprint("e", "k", &with("1"), b"body"));
        for other in [
            fingerprint("f", "k", &with("1"), b"body"),
            fingerprint("e", "l", &with("1"), b"body"),
            fingerprint("e", "k", &with("2"), b"body"),
            fingerprint("e", "k", &with("1"), b"bodY"),
            fingerprint("e", "k", &with("1"), b"bodyy"),
        ] {
            assert_ne!(one, other);
        }
    }

    /// A broker that returns before it confirms and confirms in batches, and lapin, which completes a batch in any order and hands
    /// over the oldest return with each: every message is decided rightly, whatever the batches and orders are, and in whatever order a
    /// look tells of what it finds; of what was completed while it lasted it may find a part.
    fn story(unroutable: &[bool], batches: &[usize], orders: &[usize], cuts: &[bool]) -> Vec<(usize, bool)> {
        let (mut returns, now) = (Returns::default(), Instant::now());
        let (mut waiting, mut out) = (VecDeque::new(), Vec::new());
        let mut next = 0;
        let mut random = orders.iter().copied().cycle();
        let mut cut = cuts.iter().copied().cycle();
        let mut strange = orders.iter().copied().cycle();
        // What was completed and not told of; how many of it a look must tell of: those completed before it began.
        let (mut completed, mut due) = (Vec::<(usize, Option<Fingerprint>)>::new(), 0);
        let mut look = |returns: &mut Returns, completed: &mut Vec<(usize, Option<Fingerprint>)>, out: &mut Vec<Completion>| {
            // The due ones in any order, and among them some of those that were completed since.
            let mut told: Vec<_> = completed.drain(..due).collect();
            let mut kept = Vec::new();
            for one in completed.drain(..) {
                if strange.next().unwrap_or(0) % 2 == 0 { told.push(one) } else { kept.push(one) }
            }
            while !told.is_empty() {
                let (tag, with) = told.remove(strange.next().unwrap_or(0) % told.len());
                returns.confirmed(tag, print(tag as u64), with, now);
            }
            *completed = kept;
            due = completed.len();
            returns.decide(now, out);
        };
        for size in batches.iter().copied().cycle() {
            let mut batch: Vec<usize> = (next..unroutable.len().min(next + size.max(1))).collect();
            next += batch.len();
            waiting.extend(batch.iter().copied().filter(|tag| unroutable[*tag]));
            while !batch.is_empty() {
                let tag = batch.remove(random.next().unwrap_or(0) % batch.len());
                let with = waiting.pop_front().map(|tag: usize| print(tag as u64));
                completed.push((tag, with));
                if cut.next().unwrap_or(false) {
                    look(&mut returns, &mut completed, &mut out);
                }
            }
            if next >= unroutable.len() {
                break;
            }
        }
        // No time passes: what came back is known by the counts alone.
        for _ in 0..4 {
            look(&mut returns, &mut completed, &mut out);
        }
        let mut found: Vec<_> = out.into_iter().map(|c| (c.tag, c.fate != Fate::Acked)).collect();
        found.sort_unstable();
        found
    }

    proptest! {
        #[test]
        fn every_return_finds_its_message(
            unroutable in prop::collection::vec(any::<bool>(), 1..60),
            batches in prop::collection::vec(1usize..8, 1..8),
            orders in prop::collection::vec(0usize..100, 1..20),
            cuts in prop::collection::vec(any::<bool>(), 1..20),
        ) {
            let expected: Vec<_> = unroutable.iter().copied().enumerate().collect();
            prop_assert_eq!(story(&unroutable, &batches, &orders, &cuts), expected);
        }
    }
}
