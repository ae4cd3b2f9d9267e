//! The thread that keeps the accounts of cardinality: batches that the pacer has dealt with come by here before they are
//! filled again, so that neither the pacer nor the planner spends time on them.

use std::sync::Mutex;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use crate::batch::Batch;
use crate::cardinality::Cardinality;
use crate::lock::lock;
use crate::ring::{Batches, Next, Ring};

/// Batches on their way to the accounts: a megabyte each.
pub(crate) const BATCHES_MAX: usize = 8;

/// The ring as the pacer sees it, with the accounts behind it where there are any.
pub(crate) struct Accounted<'a> {
    pub(crate) ring: &'a Ring,
    pub(crate) accounts: Option<Sender<Batch>>,
}

impl Batches for Accounted<'_> {
    fn next(&mut self) -> Next {
        self.ring.next()
    }

    fn wait(&mut self, max: Duration) {
        self.ring.wait(max);
    }

    fn recycle(&mut self, batch: Batch) {
        match &self.accounts {
            // The planner has more to do per record than the accounts have: this does not wait in a run that is on time.
            Some(accounts) => drop(accounts.send(batch)),
            None => self.ring.recycle(batch),
        }
    }
}

/// Enters batches until there are no more; `so_far` has what each rule has come to.
pub(crate) fn account(mut cardinality: Cardinality, batches: &Receiver<Batch>, mut ring: &Ring, so_far: &Mutex<Vec<u64>>) -> Cardinality {
    for batch in batches {
        cardinality.enter(&batch);
        let mut so_far = lock(so_far);
        so_far.clear();
        so_far.extend(cardinality.distinct());
        ring.recycle(batch);
    }
    cardinality
}
