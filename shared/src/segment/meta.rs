//! Metadata: a list of `tag u16 · flags u16 · length u32 · value`.
//!
//! A value is one bincode 2 struct (standard configuration: little-endian, variable-length integers). A struct that has
//! been published is never changed: what it lacks gets a new tag. An unknown tag with [`MUST_UNDERSTAND`](super::MUST_UNDERSTAND) is refused, one
//! without it is skipped by its length. Decoding is limited to [`VALUE_BYTES_MAX`](super::VALUE_BYTES_MAX) and must use the whole value.

use bincode::{Decode, Encode};

use crate::record::EPOCH_UNKNOWN;

mod entries;
mod gap;
mod introduced;

pub use entries::{ENTRY_HEAD_BYTES, Entries, Entry, entries, write, write_bytes};
pub use gap::GapV1;
pub use introduced::{IntroducedStream, KafkaStreamV1, RabbitExchangeV1, RabbitQueueV1};

/// The tags. A number is never given twice.
pub mod tag {
    /// [`super::SegmentV1`], in the header.
    pub const SEGMENT: u16 = 1;
    /// [`super::SourceV1`], in the header.
    pub const SOURCE: u16 = 2;
    /// [`super::FiltersV1`], in the header.
    pub const FILTERS: u16 = 3;
    /// Codec and encryption, in the header: empty today. Anything in it must be understood.
    pub const ENCODING: u16 = 4;
    /// [`super::IsolationV1`], in the header.
    pub const ISOLATION: u16 = 5;
    /// [`super::KafkaStreamV1`], in streams frames and the footer.
    pub const KAFKA_STREAM: u16 = 10;
    /// [`super::AncestorV1`], in streams frames and the footer.
    pub const ANCESTOR: u16 = 11;
    /// [`super::RabbitExchangeV1`], in streams frames and the footer.
    pub const RABBIT_EXCHANGE: u16 = 12;
    /// [`super::RabbitQueueV1`], in streams frames and the footer.
    pub const RABBIT_QUEUE: u16 = 13;
    /// [`super::CheckpointV1`], in checkpoint frames.
    pub const CHECKPOINT: u16 = 20;
    /// [`super::GapV1`], in gap frames and the footer.
    pub const GAP: u16 = 30;
    /// [`super::AttachmentV1`], in attachment frames.
    pub const ATTACHMENT: u16 = 40;
    /// [`super::FrameIndexV1`], in the footer.
    pub const FRAME_INDEX: u16 = 50;
    /// [`super::StatisticsV1`], in the footer.
    pub const STATISTICS: u16 = 51;
    /// [`super::FrameV1`], in every frame of metadata.
    pub const FRAME: u16 = 60;
}

/// Which segment this is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SegmentV1 {
    /// The recording.
    pub recording_id: [u8; 16],
    /// The capture that writes; a recording may have several.
    pub writer_id: [u8; 16],
    /// Its place among this writer's segments, from 0 without a gap.
    pub number: u64,
    /// The random bytes at each frame's start.
    pub sync: [u8; 16],
    /// The wall clock when the segment was begun, nanoseconds since 1970.
    pub created_wall_ns: i64,
    /// The writer's monotonic clock at that moment, nanoseconds from an origin of its own.
    pub created_mono_ns: u64,
    /// The program that wrote it, for people.
    pub software: String,
}

impl SegmentV1 {
    /// The first segment of a writer, begun at no known time.
    #[must_use]
    pub fn first(recording_id: [u8; 16], writer_id: [u8; 16], sync: [u8; 16], software: &str) -> Self {
        Self { recording_id, writer_id, number: 0, sync, created_wall_ns: 0, created_mono_ns: 0, software: software.to_owned() }
    }
}

/// Where the records come from.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SourceV1 {
    /// "kafka" or "rabbitmq".
    pub broker: String,
    /// The cluster's identity; empty when unknown.
    pub cluster: String,
    /// The clusters whose replayed traffic is known to be in it when the segment was begun.
    pub ancestors: Vec<String>,
}

/// What of the source was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FiltersV1 {
    /// Topic names and `^patterns`, as typed.
    pub topics: Vec<String>,
    /// What was done with replayed traffic: "stop" or "include".
    pub replayed: String,
    /// One record in so many was kept, so each stands for as many; 1 = all.
    pub sampled_one_in: u64,
}

impl FiltersV1 {
    /// Of a header that states none.
    #[must_use]
    pub fn none() -> Self {
        Self { topics: Vec::new(), replayed: String::new(), sampled_one_in: 1 }
    }
}

/// How records of transactions were read.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct IsolationV1 {
    /// "read_uncommitted": all records, those of aborted transactions too. "read_committed": aborted ones are holes.
    pub level: String,
}

/// A cluster that records were replayed from before they were captured here.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AncestorV1 {
    /// Its identity.
    pub cluster: String,
}

/// Where every stream stood.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CheckpointV1 {
    /// A row per stream.
    pub streams: Vec<StreamBooksV1>,
}

/// A stream's books up to a checkpoint, counted from its start: `next - start = written + holes + lost + filtered`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct StreamBooksV1 {
    /// The stream.
    pub id: u32,
    /// The next position to read.
    pub next: i64,
    /// The leader epoch under which it was reached, or -1.
    pub leader_epoch: i32,
    /// Records written.
    pub written: u64,
    /// Positions that never held a deliverable record.
    pub holes: u64,
    /// Positions lost (in gaps).
    pub lost: u64,
    /// Records left out by a rule.
    pub filtered: u64,
    /// Whether the stream has ended: deleted, recreated, or stopped for carrying replayed traffic.
    pub ended: bool,
}

impl StreamBooksV1 {
    /// The books of a stream at its start.
    #[must_use]
    pub fn at_start(id: u32, start: i64) -> Self {
        Self { id, next: start, leader_epoch: EPOCH_UNKNOWN, written: 0, holes: 0, lost: 0, filtered: 0, ended: false }
    }
}

/// A file that travels in the recording.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AttachmentV1 {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The footer's index: every frame of the segment, in order.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Default)]
pub struct FrameIndexV1 {
    /// A row per frame.
    pub frames: Vec<FrameEntryV1>,
}

/// One frame in the index.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FrameEntryV1 {
    /// Where its head begins in the file.
    pub offset: u64,
    /// Its type.
    pub frame_type: u16,
    /// Its body's length.
    pub body_bytes: u32,
    /// For a block, what is in it.
    pub block: Option<BlockEntryV1>,
}

/// A block in the index.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BlockEntryV1 {
    /// Records.
    pub records: u32,
    /// Key, value and header bytes.
    pub bytes_raw: u64,
    /// Earliest arrival.
    pub arrival_min_ns: i64,
    /// Latest arrival.
    pub arrival_max_ns: i64,
    /// Lowest and highest broker time, raw; none when no record has one.
    pub broker_time: Option<(i64, i64)>,
    /// Per stream: number, first and last position.
    pub positions: Vec<(u32, i64, i64)>,
}

/// The footer's totals.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StatisticsV1 {
    /// Frames in the segment, ones that recovery found unreadable included.
    pub frames: u64,
    /// The checksum of the last frame's head: closes the chain.
    pub last_head_crc: u32,
    /// Records.
    pub records: u64,
    /// Key, value and header bytes.
    pub bytes_raw: u64,
    /// A row per stream that has records in this segment.
    pub streams: Vec<StreamStatisticsV1>,
    /// Where every stream stood at the end, as in a checkpoint.
    pub books: Vec<StreamBooksV1>,
    /// Whether the segment was sealed by recovery, after its writer had died.
    pub recovered: bool,
}

/// One stream's totals in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct StreamStatisticsV1 {
    /// The stream.
    pub id: u32,
    /// Its records.
    pub records: u64,
    /// Their key, value and header bytes.
    pub bytes_raw: u64,
    /// The largest record's bytes (an upper bound where only block totals are known: never lower).
    pub record_bytes_max: u64,
    /// First position.
    pub first: i64,
    /// Last position.
    pub last: i64,
}

/// The frame that a body of metadata belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct FrameV1 {
    /// The checksum of its head, little-endian. Bytes: their number does not depend on the value.
    pub head_crc: [u8; 4],
}

#[cfg(test)]
mod tests {
    use super::super::MUST_UNDERSTAND;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_come_back_and_unknown_ones_are_skipped_unless_they_must_be_understood() {
        let mut list = Vec::new();
        write(&mut list, tag::ANCESTOR, 0, &AncestorV1 { cluster: "c".into() }).expect("small");
        write_bytes(&mut list, 999, 0, b"later");
        write_bytes(&mut list, 998, MUST_UNDERSTAND, b"");
        let found = entries(&list).collect::<Result<Vec<_>, _>>().expect("whole");
        assert_eq!(found[0].decode::<AncestorV1>().expect("same struct").cluster, "c");
        assert_eq!(found[1].skip_unknown(), Ok(()));
        assert_eq!(found[2].skip_unknown(), Err("metadata with tag 998".into()));
    }

    #[test]
    fn a_value_with_bytes_left_over_is_refused() {
        let mut value = bincode::encode_to_vec(AncestorV1 { cluster: "c".into() }, bincode::config::standard()).expect("small");
        value.push(0);
        assert!(Entry { tag: 11, flags: 0, value: &value }.decode::<AncestorV1>().is_err());
    }

    #[test]
    fn a_length_that_claims_the_moon_allocates_nothing() {
        // A Vec<u8> of 2^60 bytes: bincode's limit refuses before it asks for memory.
        let mut value = Vec::new();
        value.extend_from_slice(&[1, b'n', 1, b'm', 253]);
        value.extend_from_slice(&(1u64 << 60).to_le_bytes());
        assert!(Entry { tag: tag::ATTACHMENT, flags: 0, value: &value }.decode::<AttachmentV1>().is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            for entry in entries(&bytes).flatten() {
                let _ = entry.decode::<CheckpointV1>();
                let _ = entry.decode::<FrameIndexV1>();
                let _ = entry.decode::<StatisticsV1>();
            }
            let whole = Entry { tag: 0, flags: 0, value: &bytes };
            let _ = whole.decode::<CheckpointV1>();
            let _ = whole.decode::<GapV1>();
            let _ = whole.decode::<StatisticsV1>();
        }
    }
}
