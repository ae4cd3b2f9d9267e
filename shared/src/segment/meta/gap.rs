//! Gaps as metadata has them.

use bincode::{Decode, Encode};

use crate::record::{Gap, GapReason};

/// Something lost. See [`Gap`], whose fields these are.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct GapV1 {
    /// The stream, or none.
    pub stream: Option<u32>,
    /// What it covers, for people.
    pub scope: String,
    /// First position lost.
    pub from: Option<i64>,
    /// Position after the last one lost.
    pub to: Option<i64>,
    /// Start of the time it covers.
    pub from_time_ns: Option<i64>,
    /// End of the time it covers.
    pub to_time_ns: Option<i64>,
    /// How many.
    pub count: Option<u64>,
    /// Whether range and count are exact.
    pub exact: bool,
    /// [`GapReason::name`].
    pub reason: String,
    /// For people.
    pub detail: String,
}

impl From<&Gap> for GapV1 {
    fn from(gap: &Gap) -> Self {
        Self {
            stream: gap.stream,
            scope: gap.scope.clone(),
            from: gap.from,
            to: gap.to,
            from_time_ns: gap.from_time_ns,
            to_time_ns: gap.to_time_ns,
            count: gap.count,
            exact: gap.exact,
            reason: gap.reason.name().to_owned(),
            detail: gap.detail.clone(),
        }
    }
}

impl From<GapV1> for Gap {
    fn from(gap: GapV1) -> Self {
        Self {
            stream: gap.stream,
            scope: gap.scope,
            from: gap.from,
            to: gap.to,
            from_time_ns: gap.from_time_ns,
            to_time_ns: gap.to_time_ns,
            count: gap.count,
            exact: gap.exact,
            reason: GapReason::from_name(&gap.reason),
            detail: gap.detail,
        }
    }
}
