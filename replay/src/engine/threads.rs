//! The threads of a run that are started with what they share, and the rows that the pacer sends to others.
//!
//! Guarantees: each ends when those that it listens to have, in a panic as well; the pacer waits for none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Scope, ScopedJoinHandle};

use crossbeam_channel::{Sender, bounded};
use dejaq_shared::broker::sink::Sink;
use dejaq_shared::clock::Clock;

use super::{RunError, Shared};
use crate::accounting::{Accounted, BATCHES_MAX, account};
use crate::assemble::{RunIdentity, unfinished};
use crate::batch::Batch;
use crate::cardinality::Cardinality;
use crate::expanding::Expanded;
use crate::hands::ThreadHands;
use crate::measure::collector::Totals;
use crate::measure::counts::{BucketRow, PaceLog, SecondRow};
use crate::pacer::{Pacer, PacerBooks, PacerOptions};
use crate::run::saver::{Incoming, SaveError, SaverOptions, ToSave, save};

/// Rows of the completing thread on their way to be written: well over half a minute of them. The closed seconds among them have half
/// a megabyte each.
const ROWS_MAX: usize = 1_024;
/// The pacer's rows on their way: when a backlog of sparse messages goes at once, each of its 100 ms is a row. An hour and a half of
/// them, in 2.6 MB.
const BUCKETS_MAX: usize = 1 << 16;
/// The seconds that they are of.
pub(super) const SECONDS_MAX: usize = BUCKETS_MAX / 10;

pub(super) type Accounting<'s> = ScopedJoinHandle<'s, Cardinality>;

/// The accounts of cardinality, where there is something to account for.
pub(super) fn spawn_accounts<'s, 'e, C: Clock + 'static>(
    scope: &'s Scope<'s, 'e>,
    shared: &'e Shared<'e, C>,
    expanded: &Expanded,
) -> (Option<Sender<Batch>>, Option<Accounting<'s>>) {
    if expanded.bounds.is_empty() {
        return (None, None);
    }
    let cardinality = Cardinality::new(&expanded.bounds);
    let (accounts, batches) = bounded(BATCHES_MAX);
    (Some(accounts), Some(scope.spawn(move || account(cardinality, &batches, &shared.ring, &shared.distinct))))
}

pub(super) type Saving<'s> = ScopedJoinHandle<'s, Result<Totals, SaveError>>;

pub(super) fn spawn_saver<'s, 'e, C: Clock + 'static>(
    scope: &'s Scope<'s, 'e>,
    shared: &'e Shared<'e, C>,
    options: SaverOptions,
    identity: &'e RunIdentity,
    scheduled: bool,
) -> (Sender<ToSave>, Sender<BucketRow>, Saving<'s>) {
    let (to_saver, completing) = bounded(ROWS_MAX);
    let (buckets, pacing) = bounded(BUCKETS_MAX);
    let live = Arc::clone(&shared.live);
    let saving = scope.spawn(move || {
        let so_far = |totals: &Totals| unfinished(identity, &live, totals, options.seen.report(), options.t0_unix_ns, scheduled);
        let totals = save(&options, Incoming::new(completing, pacing), &so_far);
        if totals.is_err() {
            shared.stop.store(true, Ordering::Relaxed);
        }
        totals
    });
    (to_saver, buckets, saving)
}

pub(super) fn spawn_pacer<'s, 'e, S: Sink, C: Clock + 'static>(
    scope: &'s Scope<'s, 'e>,
    shared: &'e Shared<'e, C>,
    options: PacerOptions,
    sink: &'e mut S,
    log: ChannelLog<'e>,
    accounts: Option<Sender<Batch>>,
) -> ScopedJoinHandle<'s, PacerBooks> {
    scope.spawn(move || {
        // Even if this thread should die, the others must hear that nothing more is sent.
        let _ended = OnDrop(|| {
            shared.ring.close();
            shared.pacer_ended_ns.store(shared.clock.now_ns().max(1), Ordering::Release);
        });
        let hands = ThreadHands::new(Arc::clone(&shared.clock), Arc::clone(&shared.room));
        Pacer::new(options, sink, hands, log, &shared.slots, shared.stop, Arc::clone(&shared.live))
            .run(&mut Accounted { ring: &shared.ring, accounts })
    })
}

/// The pacer's rows go to the threads that want them; it never waits for these.
pub(super) struct ChannelLog<'a> {
    pub(super) seconds: Sender<SecondRow>,
    pub(super) buckets: Sender<BucketRow>,
    pub(super) lost: &'a AtomicU64,
}

impl PaceLog for ChannelLog<'_> {
    fn second(&mut self, row: SecondRow) {
        self.lost.fetch_add(u64::from(self.seconds.try_send(row).is_err()), Ordering::Relaxed);
    }

    fn bucket(&mut self, row: BucketRow) {
        self.lost.fetch_add(u64::from(self.buckets.try_send(row).is_err()), Ordering::Relaxed);
    }
}

pub(super) fn join<T>(handle: ScopedJoinHandle<'_, T>, name: &'static str) -> Result<T, RunError> {
    handle.join().map_err(|_| RunError::Thread(name))
}

/// Does something when it goes, in a panic as well.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
