//! The books of deliveries: where there are no positions at the source, these are what must add up.

use serde::Serialize;

/// What became of everything that was delivered since the capture was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Deliveries {
    /// Messages that the broker delivered, those that came again included.
    pub delivered: u64,
    /// Messages that the writer wrote.
    pub written: u64,
    /// Messages that came again and were proven to be on disk.
    pub duplicates: u64,
    /// Messages that the client could not read. Each is in a gap.
    pub unparseable: u64,
    /// Messages that were not wanted or too large: replayed traffic, and what follows it in its stream. Each is in a gap.
    pub left_out: u64,
    /// Of those written: flagged *redelivered* by the broker.
    pub redelivered: u64,
    /// Of those written: flagged *possible duplicate*.
    pub possible_duplicates: u64,
}

impl Deliveries {
    /// Whether delivered = written + duplicates + unparseable + left out.
    #[must_use]
    pub fn balanced(&self) -> bool {
        let Self { delivered, written, duplicates, unparseable, left_out, redelivered: _, possible_duplicates: _ } = *self;
        let counted = [written, duplicates, unparseable, left_out].into_iter().map(u128::from).sum::<u128>();
        u128::from(delivered) == counted
    }
}
