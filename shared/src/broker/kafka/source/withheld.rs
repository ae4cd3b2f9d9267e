//! What a reader of committed transactions cannot have yet: the records of an open transaction, and all behind it. Pure.
//!
//! The client tells the end of a partition where such a reader may go no further, however much the log holds beyond. That
//! is normal for the moment that a transaction lasts; one that stays open stops the partition, which must be seen.

use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::record::StreamIx;

/// A partition that has stood so long before an open transaction is told.
const STUCK_AFTER: Duration = Duration::from_secs(10);
/// And again after so long.
const TOLD_EVERY: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Standing {
    position: i64,
    tell_at: Instant,
}

/// The partitions that ended, when their end was told last, before records that are there.
#[derive(Debug)]
pub(super) struct Withheld {
    watched: bool,
    standing: FxHashMap<StreamIx, Standing>,
}

impl Withheld {
    /// `watched`: whether the reader reads committed records only; nothing is withheld from another.
    pub(super) fn new(watched: bool) -> Self {
        Self { watched, standing: FxHashMap::default() }
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watched
    }

    /// A partition's end was told at `position`, while the log reaches to `high`.
    pub(super) fn at_end(&mut self, stream: StreamIx, position: i64, high: Option<i64>, now: Instant) {
        if high.is_some_and(|high| high > position) {
            self.standing.insert(stream, Standing { position, tell_at: now + STUCK_AFTER });
        } else {
            self.standing.remove(&stream);
        }
    }

    /// A record of the stream came.
    #[inline]
    pub(super) fn arrived(&mut self, stream: StreamIx) {
        if !self.standing.is_empty() {
            self.standing.remove(&stream);
        }
    }

    /// How many partitions stand so.
    pub(super) fn count(&self) -> usize {
        self.standing.len()
    }

    /// Those that it is time to tell about, with their positions.
    pub(super) fn stuck(&mut self, now: Instant) -> Vec<(StreamIx, i64)> {
        let due = self.standing.iter_mut().filter(|(_, standing)| now >= standing.tell_at);
        due.map(|(stream, standing)| {
            standing.tell_at = now + TOLD_EVERY;
            (*stream, standing.position)
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_open_is_told_after_ten_seconds_and_then_once_a_minute() {
        let mut withheld = Withheld::new(true);
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        withheld.at_end(3, 50, Some(80), at(0));
        withheld.at_end(4, 50, Some(50), at(0));
        assert_eq!((withheld.count(), withheld.stuck(at(9))), (1, vec![]));
        assert_eq!(withheld.stuck(at(10)), [(3, 50)]);
        assert_eq!(withheld.stuck(at(69)), []);
        assert_eq!(withheld.stuck(at(70)), [(3, 50)]);
        // The next end is another one: its time begins anew.
        withheld.at_end(3, 60, Some(80), at(71));
        assert_eq!(withheld.stuck(at(80)), []);
        withheld.arrived(3);
        assert_eq!((withheld.count(), withheld.stuck(at(1_000))), (0, vec![]));
    }
}
