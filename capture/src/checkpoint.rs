//! When a block is closed, when the disk is synced, when a checkpoint is written. Pure: the time is a value.

use std::time::Duration;

/// A block closes at so many bytes of keys, values and headers.
pub const BLOCK_BYTES: usize = 4 << 20;
/// … or when its first record is this old.
pub const BLOCK_AGE: Duration = Duration::from_secs(10);
/// A block closes at so many records, so that tiny records do not make the columns of numbers outgrow the budget.
pub const BLOCK_RECORDS: usize = 64 << 10;
/// What is written is synced when it is so much …
pub const SYNC_BYTES: u64 = 64 << 20;
/// … or so old.
pub const SYNC_AGE: Duration = Duration::from_secs(1);
/// Positions that moved without a block (holes at the end of a log) and all others are written down this often.
pub const CHECKPOINT_AGE: Duration = Duration::from_secs(10);

/// What is delivered is written and acknowledged when it is this old, where it must be acknowledged.
pub const MIRROR_BLOCK_AGE: Duration = Duration::from_secs(1);

/// Nanoseconds of a constant above.
#[must_use]
pub const fn ns(age: Duration) -> u64 {
    // All of them are seconds: far below 584 years.
    age.as_secs() * 1_000_000_000 + age.subsec_nanos() as u64
}

/// How soon blocks are closed and synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    /// A block closes when its first record is this old …
    pub block_age: Duration,
    /// … or at so many records.
    pub block_records: usize,
    /// What is written is synced when it is this old.
    pub sync_age: Duration,
}

impl Cadence {
    /// Where the source keeps what it has: large blocks, few syncs.
    pub const LOG: Self = Self { block_age: BLOCK_AGE, block_records: BLOCK_RECORDS, sync_age: SYNC_AGE };

    /// Where the source waits for acknowledgements, and sends no more than `window` messages ahead of them. A block is a
    /// quarter of that: one is filled while others are written and synced, one sync right after the other.
    #[must_use]
    pub fn mirror(window: u32) -> Self {
        let quarter = usize::try_from(window / 4).unwrap_or(BLOCK_RECORDS);
        Self { block_age: MIRROR_BLOCK_AGE, block_records: quarter.clamp(1, BLOCK_RECORDS), sync_age: Duration::ZERO }
    }
}

/// When an open block is to be closed.
#[derive(Debug, Clone, Copy)]
pub struct BlockAge {
    age_max: Duration,
    opened_ns: Option<u64>,
}

impl BlockAge {
    /// No block is open; one may get this old.
    #[must_use]
    pub fn new(age_max: Duration) -> Self {
        Self { age_max, opened_ns: None }
    }

    /// The block has records now; the first call since [`BlockAge::closed`] starts its age.
    pub fn opened(&mut self, now_ns: u64) {
        self.opened_ns.get_or_insert(now_ns);
    }

    /// The block was closed.
    pub fn closed(&mut self) {
        self.opened_ns = None;
    }

    /// Whether it is old enough to be closed.
    #[must_use]
    pub fn is_due(&self, now_ns: u64) -> bool {
        self.opened_ns.is_some_and(|at| now_ns.saturating_sub(at) >= ns(self.age_max))
    }
}

/// When to sync. One sync is under way at most.
#[derive(Debug, Clone, Copy)]
pub struct SyncPolicy {
    age_max: Duration,
    unsynced_bytes: u64,
    oldest_ns: Option<u64>,
    under_way: bool,
}

impl SyncPolicy {
    /// Nothing is written; what is may get this old, or as large as [`SYNC_BYTES`].
    #[must_use]
    pub fn new(age_max: Duration) -> Self {
        Self { age_max, unsynced_bytes: 0, oldest_ns: None, under_way: false }
    }

    /// So many bytes were written.
    pub fn wrote(&mut self, bytes: u64, now_ns: u64) {
        self.unsynced_bytes += bytes;
        self.oldest_ns.get_or_insert(now_ns);
    }

    /// Whether to begin a sync now. If so, it counts as begun: what is written from here on belongs to the next one.
    pub fn begin(&mut self, now_ns: u64) -> bool {
        let old = self.oldest_ns.is_some_and(|at| now_ns.saturating_sub(at) >= ns(self.age_max));
        let begin = !self.under_way && (self.unsynced_bytes >= SYNC_BYTES || old);
        if begin {
            *self = Self { under_way: true, ..Self::new(self.age_max) };
        }
        begin
    }

    /// The sync that was begun has ended.
    pub fn ended(&mut self) {
        self.under_way = false;
    }

    /// Everything was synced by other means (a segment was sealed).
    pub fn all_synced(&mut self) {
        self.unsynced_bytes = 0;
        self.oldest_ns = None;
    }

    /// Whether all that was written is synced.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.oldest_ns.is_none() && !self.under_way
    }
}

/// When to write a checkpoint.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckpointPolicy {
    changed_since_ns: Option<u64>,
}

impl CheckpointPolicy {
    /// Some position has moved.
    pub fn changed(&mut self, now_ns: u64) {
        self.changed_since_ns.get_or_insert(now_ns);
    }

    /// Whether to write one.
    #[must_use]
    pub fn is_due(&self, now_ns: u64) -> bool {
        self.changed_since_ns.is_some_and(|at| now_ns.saturating_sub(at) >= ns(CHECKPOINT_AGE))
    }

    /// One was written.
    pub fn written(&mut self) {
        self.changed_since_ns = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_block_is_closed_ten_seconds_after_its_first_record() {
        let mut age = BlockAge::new(BLOCK_AGE);
        assert!(!age.is_due(100 * S));
        age.opened(100 * S);
        age.opened(105 * S);
        assert!(!age.is_due(110 * S - 1));
        assert!(age.is_due(110 * S));
        age.closed();
        assert!(!age.is_due(200 * S));
    }

    #[test]
    fn a_sync_begins_after_a_second_or_64_mib_and_never_while_one_is_under_way() {
        let mut sync = SyncPolicy::new(SYNC_AGE);
        assert!(!sync.begin(0) && sync.is_clean());
        sync.wrote(1, 5 * S);
        assert!(!sync.is_clean());
        assert!(!sync.begin(6 * S - 1));
        assert!(sync.begin(6 * S));
        sync.wrote(SYNC_BYTES, 6 * S);
        assert!(!sync.begin(60 * S), "one is under way");
        sync.ended();
        assert!(!sync.is_clean(), "what was written meanwhile belongs to the next one");
        assert!(sync.begin(6 * S) && !sync.is_clean());
        sync.ended();
        assert!(!sync.begin(100 * S) && sync.is_clean(), "nothing was written since");
    }

    #[test]
    fn what_is_waited_for_is_synced_at_once_and_blocks_are_a_quarter_of_the_window() {
        let cadence = Cadence::mirror(20_000);
        assert_eq!((cadence.block_records, cadence.block_age), (5_000, Duration::from_secs(1)));
        assert_eq!(Cadence::mirror(1).block_records, 1);
        assert_eq!(Cadence::mirror(u32::MAX).block_records, BLOCK_RECORDS);
        let mut sync = SyncPolicy::new(cadence.sync_age);
        sync.wrote(1, 5 * S);
        assert!(sync.begin(5 * S));
    }

    #[test]
    fn a_checkpoint_is_due_only_when_something_moved() {
        let mut policy = CheckpointPolicy::default();
        assert!(!policy.is_due(100 * S));
        policy.changed(100 * S);
        policy.changed(109 * S);
        assert!(policy.is_due(110 * S));
        policy.written();
        assert!(!policy.is_due(200 * S));
    }
}
