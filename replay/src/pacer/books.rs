//! What a pacer tells: totals while it runs, its books when it has ended.

use std::sync::atomic::AtomicU64;

use crate::fidelity::shape::ShapeTally;
use crate::holds::Holds;
use crate::ledger::Ledger;

/// Totals that other threads may read while the run goes on.
#[derive(Debug, Default)]
pub struct Live {
    /// Records scheduled.
    pub scheduled: AtomicU64,
    /// Messages taken by the client.
    pub sent: AtomicU64,
    /// The due time of the newest record, nanoseconds after the start.
    pub due_ns: AtomicU64,
    /// Time that the target has held sending back: by a full client queue, or because its broker asked to.
    pub pushed_back_ns: AtomicU64,
}

/// What the pacer knows at the end.
#[derive(Debug, Default)]
pub struct PacerBooks {
    /// Its part of the ledger.
    pub ledger: Ledger,
    /// Messages sent within a second of their intended time.
    pub on_time: u64,
    /// What held it back.
    pub holds: Holds,
    /// The fewest messages in the client when its queue was full.
    pub queue_full_at: Option<usize>,
    /// The most records due in one second.
    pub peak_per_s: u64,
    /// How often the ring was empty when its next record was already late.
    pub dry_count: u64,
    /// The most lateness that an empty ring caused before the pacer was on time again.
    pub dry_late_max_ns: u64,
    /// The most that no hold explains.
    pub late_max_ns: u64,
    /// Records skipped as late, or at the end, that were late mostly through the generator.
    pub skipped_by_generator: u64,
    /// Records of the original sent before one of lower position in their stream and pass; the other copies come in its order.
    pub order_violations: u64,
    /// The due times of the first and the last record, nanoseconds after the start.
    pub due_span_ns: Option<(u64, u64)>,
    /// When the first and the last message were sent, on the run's clock.
    pub sent_span_ns: Option<(u64, u64)>,
    /// Whether the run was stopped before its end.
    pub stopped: bool,
    /// What was planned and what was sent, as fidelity wants it; `None` without a schedule.
    pub shape: Option<Box<ShapeTally>>,
}
