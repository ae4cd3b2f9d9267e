//! What an earlier capture left: the end of its recording, and what it was asked for.

use std::collections::HashSet;
use std::path::Path;

use dejaq_shared::record::{Gap, GapReason};
use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::walk::each_record;

use super::again::{Again, WINDOW};

/// The end of a recording.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// When its newest record arrived, nanoseconds since 1970.
    pub(super) newest_ns: Option<i64>,
    /// Blocks of it that could not be read: what was in them is not recognised when it comes again.
    pub(super) damaged: u64,
}

/// Reads the newest records, at least [`WINDOW`] of them: they may come again.
pub(super) fn read_tail(dir: &Path, again: &mut Again) -> Result<Tail, SegmentError> {
    let recording = Recording::open(dir)?;
    let mut left = WINDOW;
    let older = recording.blocks.iter().rposition(|block| {
        let enough = left == 0;
        left = left.saturating_sub(u64::from(block.records));
        enough
    });
    let first = older.map_or(0, |older| older + 1);
    let mut tail = Tail::default();
    tail.damaged = each_record::<SegmentError>(
        &recording,
        |block| block >= first,
        |stream, record| {
            tail.newest_ns = tail.newest_ns.max(Some(record.arrival_ns));
            again.expect(again.hash(stream, record));
            Ok(())
        },
    )?;
    Ok(tail)
}

/// The gaps of a recording that goes on with another selection: what is recorded no longer from now on, what was not before.
pub(super) fn filter_changes(before: &[String], now: &[String], now_ns: i64) -> Vec<Gap> {
    let (old, new): (HashSet<&String>, HashSet<&String>) = (before.iter().collect(), now.iter().collect());
    let gap = |filter: &String, from_time_ns, to_time_ns, detail: &str| Gap {
        stream: None,
        scope: filter.clone(),
        from: None,
        to: None,
        from_time_ns,
        to_time_ns,
        count: None,
        exact: false,
        reason: GapReason::FilterChange,
        detail: detail.to_owned(),
    };
    let left = before.iter().filter(|f| !new.contains(f)).map(|f| gap(f, Some(now_ns), None, "it is no longer asked for"));
    let come = now.iter().filter(|f| !old.contains(f)).map(|f| gap(f, None, Some(now_ns), "it was not asked for before"));
    left.chain(come).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn each_filter_that_came_or_went_is_a_gap_with_its_side_of_time_open() {
        let gaps = filter_changes(&list(&["a", "b"]), &list(&["b", "c"]), 5);
        let rows: Vec<_> = gaps.iter().map(|g| (g.scope.as_str(), g.from_time_ns, g.to_time_ns, g.reason.name())).collect();
        assert_eq!(rows, [("a", Some(5), None, "filter change"), ("c", None, Some(5), "filter change")]);
    }

    #[test]
    fn another_order_is_no_change() {
        assert_eq!(filter_changes(&list(&["a", "b"]), &list(&["b", "a"]), 5), []);
    }
}
