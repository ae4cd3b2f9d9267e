//! Which receipts may be acknowledged. Pure.
//!
//! A receipt waits for a number of slots of the pipeline: when so many are on stable storage, its message is, and so is
//! everything that was delivered before it. One entry a block, not one a message.

use std::collections::VecDeque;

use dejaq_shared::broker::mirror::Receipt;

/// Receipts that wait for the disk, in the order of their deliveries.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    slots: u64,
    /// The highest of each link.
    highest: Vec<Receipt>,
}

impl Receipts {
    /// The message of `receipt`, and all before it, are on disk when `slots` slots are. That number never falls.
    #[inline]
    pub(super) fn note(&mut self, receipt: Receipt, slots: u64) {
        match self.waiting.back_mut() {
            Some(last) if last.slots == slots => raise(&mut last.highest, receipt),
            _ => self.waiting.push_back(Waiting { slots, highest: vec![receipt] }),
        }
    }

    /// Takes what may be acknowledged now that `synced` slots are on disk: one receipt a link at most.
    pub(super) fn take(&mut self, synced: u64) -> Vec<Receipt> {
        let mut due = Vec::new();
        while let Some(first) = self.waiting.pop_front_if(|first| first.slots <= synced) {
            first.highest.into_iter().for_each(|receipt| raise(&mut due, receipt));
        }
        due
    }

    /// Whether something waits.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// A later receipt of a link takes the place of the earlier one, whose connection may be gone.
#[inline]
fn raise(highest: &mut Vec<Receipt>, receipt: Receipt) {
    match highest.iter_mut().find(|known| known.link == receipt.link) {
        Some(known) => *known = receipt,
        None => highest.push(receipt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(link: u32, generation: u32, tag: u64) -> Receipt {
        Receipt { link, generation, tag }
    }

    #[test]
    fn nothing_is_taken_before_its_slots_are_synced_and_then_the_highest_of_each_link() {
        let mut receipts = Receipts::default();
        receipts.note(receipt(0, 1, 1), 1);
        receipts.note(receipt(7, 1, 1), 1);
        receipts.note(receipt(0, 1, 2), 1);
        receipts.note(receipt(0, 1, 3), 2);
        assert_eq!(receipts.take(0), []);
        assert_eq!(receipts.take(1), [receipt(0, 1, 2), receipt(7, 1, 1)]);
        assert_eq!(receipts.take(1), []);
        assert!(receipts.is_waiting());
        assert_eq!(receipts.take(2), [receipt(0, 1, 3)]);
        assert!(!receipts.is_waiting());
    }

    #[test]
    fn several_blocks_give_one_receipt_a_link_and_a_new_connection_begins_anew() {
        let mut receipts = Receipts::default();
        receipts.note(receipt(0, 1, 900), 1);
        receipts.note(receipt(0, 2, 1), 2);
        receipts.note(receipt(0, 2, 2), 3);
        assert_eq!(receipts.take(9), [receipt(0, 2, 2)]);
    }
}
