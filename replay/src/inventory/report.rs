//! What `inspect --tags` found, with the names that scripts may rely on (docs/OPERATIONS.md).

use serde::Serialize;

use crate::transform::formats::{FormatKind, StampUnit};

/// All that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TagReport {
    /// The relative standard error of every number that is not exact.
    pub estimate_error_share: f64,
    /// What there is of each topic and format, by topic.
    pub series: Vec<GroupReport>,
    /// Tags, by topic and format, those with the most distinct values first.
    pub tags: Vec<TagOfGroup>,
    /// Payloads of streams without a format, by topic: why.
    pub unrecognised: Vec<Unrecognised>,
    /// Blocks that could not be read: their records are in none of this.
    pub damaged_blocks: u64,
}

/// One format in one topic.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupReport {
    /// The topic.
    pub topic: String,
    /// The format's name.
    pub format: &'static str,
    /// Why this format was taken; empty for keys and headers, which need no guess.
    pub recognised: String,
    /// Payloads: records that have this part.
    pub payloads: u64,
    /// Payloads that are not of the format.
    pub malformed: u64,
    /// The first one that is not.
    pub malformed_example: Option<Malformation>,
    /// Samples in the others: lines, data points, documents.
    pub samples: u64,
    /// Distinct metric names; `null` where the format has none.
    pub metrics: Option<u64>,
    /// Whether `metrics` is exact.
    pub metrics_exact: bool,
    /// Distinct series: metric name and full tag set; `null` for JSON, whose documents have no such thing.
    pub series: Option<u64>,
    /// Whether `series` is exact.
    pub series_exact: bool,
    /// Time stamps in the payloads.
    pub stamps: u64,
    /// Samples of tags beyond the bound of tags that are told apart.
    pub other_tags: u64,
    #[serde(skip)]
    pub(crate) kind: FormatKind,
}

/// A payload that is not of its stream's format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Malformation {
    /// Its stream.
    pub stream: String,
    /// Its position there.
    pub position: i64,
    /// What is wrong, and where in it.
    pub what: String,
}

/// One tag.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TagOfGroup {
    /// The topic.
    pub topic: String,
    /// The format's name.
    pub format: &'static str,
    /// The tag's name; for JSON its path.
    pub tag: String,
    /// Samples that have it.
    pub samples: u64,
    /// Distinct values.
    pub distinct: u64,
    /// Whether `distinct` is exact.
    pub distinct_exact: bool,
    /// The most frequent values.
    pub top: Vec<TopValue>,
    /// Whether the counts of `top` are exact; else each was seen at least as often.
    pub top_exact: bool,
    #[serde(skip)]
    pub(crate) stamp: Option<StampUnit>,
    #[serde(skip)]
    pub(crate) kind: FormatKind,
}

/// A frequent value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopValue {
    /// The value, at most 256 bytes of it.
    pub value: String,
    /// How often it was seen.
    pub count: u64,
    /// The share of all values of the tag, 0 to 1.
    pub share: f64,
}

/// Streams of a topic without a format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unrecognised {
    /// The topic.
    pub topic: String,
    /// How many of its streams.
    pub streams: u64,
    /// Why, of the first of them.
    pub why: String,
}
