//! The gaps that intake writes.

use dejaq_shared::record::{Gap, GapReason, Record, StreamIx};

use super::Lane;

/// The positions from `from` to the lane's next one, lost before `now_ns`.
pub(super) fn closed_gap(lane: &Lane, ix: StreamIx, from: i64, lost: u64, reason: GapReason, detail: &str, now_ns: i64) -> Gap {
    Gap {
        stream: Some(ix),
        scope: lane.stream.name(),
        from: Some(from),
        to: Some(lane.books.next),
        from_time_ns: None,
        to_time_ns: Some(now_ns),
        count: Some(lost),
        exact: true,
        reason,
        detail: detail.to_owned(),
    }
}

/// Everything from `from` on (to `to`, if that is known), from `now_ns` on.
pub(super) fn open_gap(lane: &Lane, ix: StreamIx, from: i64, to: Option<i64>, reason: GapReason, detail: &str, now_ns: i64) -> Gap {
    Gap {
        stream: Some(ix),
        scope: lane.stream.name(),
        from: Some(from),
        to,
        from_time_ns: Some(now_ns),
        to_time_ns: None,
        count: None,
        exact: false,
        reason,
        detail: detail.to_owned(),
    }
}

/// A record whose epoch is lower than its predecessor's: the log was cut back since that was read. The positions between
/// them are lost for all anybody can tell, and so may be records before them.
pub(super) fn epoch_fell(lane: &mut Lane, record: &Record<'_>) -> Gap {
    let (from, before) = (lane.books.next, lane.books.leader_epoch);
    let lost = lane.books.lose_to(record.position);
    lane.books.leader_epoch = record.leader_epoch;
    Gap {
        stream: Some(record.stream),
        scope: lane.stream.name(),
        from: (lost > 0).then_some(from),
        to: Some(record.position),
        from_time_ns: None,
        to_time_ns: Some(record.arrival_ns),
        count: None,
        exact: false,
        reason: GapReason::Truncation,
        detail: format!(
            "the leader epoch fell from {before} to {} at position {}: the log was cut back, records before it may have been replaced",
            record.leader_epoch, record.position
        ),
    }
}

/// A record above the limit, which leaves the lane at the position after it.
pub(super) fn oversize(lane: &mut Lane, record: &Record<'_>) -> Gap {
    let lost = lane.books.lose_to(record.position.saturating_add(1));
    let detail = format!("one record of {} bytes, the limit is {}", record.bytes_raw(), dejaq_shared::record::RECORD_BYTES_MAX);
    closed_gap(lane, record.stream, record.position, lost, GapReason::Oversize, &detail, record.arrival_ns)
}

/// An upper bound of [`Record::bytes_raw`] that does not walk the headers.
#[inline]
pub(crate) fn bytes_at_most(record: &Record<'_>) -> usize {
    let strings = [record.key, record.value, record.routing_key].into_iter().flatten().map(<[u8]>::len).sum::<usize>();
    strings + record.headers.as_bytes().len() + record.properties.as_bytes().len()
}
