//! What was lost, and why: it stands in the recording where the records would.

use super::StreamIx;

/// Why something was lost. Written in recordings by its name; a name from a later dejaq is kept as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// The source deleted it before it was read.
    Retention,
    /// The source's log was cut back (unclean leader election), or the topic was made anew.
    Truncation,
    /// The source threw it away to hold a bound.
    Drop,
    /// It could not be read by the client.
    Unparseable,
    /// It is larger than [`RECORD_BYTES_MAX`](super::RECORD_BYTES_MAX).
    Oversize,
    /// The connection was away, and what passed meanwhile cannot be had.
    Disconnect,
    /// What the capture was asked to record changed.
    FilterChange,
    /// The stream carries replayed traffic, and recording it was not asked for.
    Replay,
    /// A reason that this build does not know.
    Other(String),
}

impl GapReason {
    /// The name in recordings and in JSON.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Retention => "retention",
            Self::Truncation => "truncation",
            Self::Drop => "drop",
            Self::Unparseable => "unparseable",
            Self::Oversize => "oversize",
            Self::Disconnect => "disconnect",
            Self::FilterChange => "filter change",
            Self::Replay => "replay",
            Self::Other(name) => name,
        }
    }

    /// The inverse of [`GapReason::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "retention" => Self::Retention,
            "truncation" => Self::Truncation,
            "drop" => Self::Drop,
            "unparseable" => Self::Unparseable,
            "oversize" => Self::Oversize,
            "disconnect" => Self::Disconnect,
            "filter change" => Self::FilterChange,
            "replay" => Self::Replay,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Something lost, with its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The stream it was lost from; `None` when it concerns several (then `scope` says which).
    pub stream: Option<StreamIx>,
    /// What the gap covers, for people: a stream's name, or "all streams".
    pub scope: String,
    /// The first position lost.
    pub from: Option<i64>,
    /// The position after the last one lost; `None` when the gap is open-ended.
    pub to: Option<i64>,
    /// The start of the time it covers, nanoseconds since 1970.
    pub from_time_ns: Option<i64>,
    /// The end of the time it covers.
    pub to_time_ns: Option<i64>,
    /// How many positions or messages were lost, if it is known.
    pub count: Option<u64>,
    /// Whether range and count are exact (false: bounds).
    pub exact: bool,
    /// Why.
    pub reason: GapReason,
    /// More about it, for people.
    pub detail: String,
}
