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

/// Nanoseconds of a constant above.
#[must_use]
pub const fn ns(age: Duration) -> u64 {
    // All of them are seconds: far below 584 years.
    age.as_secs() * 1_000_000_000 + age.subsec_nanos() as u64
}

/// When an open block is to be closed.
#[derive(Debug, Clone, Copy, Default)]
pub struct BlockAge {
    opened_ns: Option<u64>,
}

impl BlockAge {
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
        self.opened_ns.is_some_and(|at| now_ns.saturating_sub(at) >= ns(BLOCK_AGE))
    }
}

/// When to sync. One sync is under way at most.
#[derive(Debug, Clone, Copy, Default)]
pub struct SyncPolicy {
    unsynced_bytes: u64,
    oldest_ns: Option<u64>,
    under_way: bool,
}

impl SyncPolicy {
    /// So many bytes were written.
    pub fn wrote(&mut self, bytes: u64, now_ns: u64) {
        self.unsynced_bytes += bytes;
        self.oldest_ns.get_or_insert(now_ns);
    }

    /// Whether to begin a sync now. If so, it counts as begun: what is written from here on belongs to the next one.
    pub fn begin(&mut self, now_ns: u64) -> bool {
        let old = self.oldest_ns.is_some_and(|at| now_ns.saturating_sub(at) >= ns(SYNC_AGE));
        let begin = !self.under_way && (self.unsynced_bytes >= SYNC_BYTES || old);
        if begin {
            *self = Self { under_way: true, ..Self::default() };
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
        let mut age = BlockAge::default();
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
        let mut sync = SyncPolicy::default();
        assert!(!sync.begin(0));
        sync.wrote(1, 5 * S);
        assert!(!sync.begin(6 * S - 1));
        assert!(sync.begin(6 * S));
        sync.wrote(SYNC_BYTES, 6 * S);
        assert!(!sync.begin(60 * S), "one is under way");
        sync.ended();
        assert!(sync.begin(6 * S));
        sync.ended();
        assert!(!sync.begin(100 * S), "nothing was written since");
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
