//! A recording as the replay sees it: its facts, and its records in time order, again from the start when a loop asks.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;

use dejaq_shared::segment::SegmentError;
use dejaq_shared::segment::ordered::{Ordered, SortCost};
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::scan::Damage;
use dejaq_shared::segment::sort::SortProgress;
use dejaq_shared::segment::time_index::TimeIndex;
use dejaq_shared::segment::timeline::{StreamClock, TimeStatistics};
use dejaq_shared::units::format_count;
use serde::Deserialize;

use crate::feed::{FeedError, RecordFeed, TakeRecord};
use crate::prepare::RecordingFacts;

/// What the pre-flight must know of a recording; the times of its streams are added when they are measured.
#[must_use]
pub fn facts(recording: &Recording) -> RecordingFacts {
    let mut clusters: Vec<String> = Vec::new();
    // The header's cluster is that of the capture; each stream names its own, and only a stream can be of unknown source.
    let headers = recording.segments.iter().map(|s| &s.header.source.cluster).filter(|c| !c.is_empty());
    for cluster in recording.streams.iter().map(|s| &s.stream.cluster).chain(headers) {
        if !clusters.contains(cluster) {
            clusters.push(cluster.clone());
        }
    }
    RecordingFacts {
        id: recording.id_text(),
        clusters,
        ancestors: recording.ancestors.clone(),
        streams: recording.streams.iter().map(|s| s.stream.clone()).collect(),
        records: recording.streams.iter().map(|s| s.records).collect(),
        record_bytes_max: recording.streams.iter().map(|s| s.record_bytes_max).collect(),
        bytes_raw: recording.bytes_raw(),
        live: recording.live,
        times: Vec::new(),
    }
}

/// What the recording lacks by its own account, in words: a run of it is not all that was there.
#[must_use]
pub fn incomplete(recording: &Recording) -> Vec<String> {
    let mut notes = Vec::new();
    if !recording.gaps.is_empty() {
        notes.push(format!("the recording has {} gaps: what was lost is not replayed", format_count(recording.gaps.len() as u64)));
    }
    if recording.live {
        notes.push("the recording is still being written: what is in it now is replayed".to_owned());
    }
    notes
}

/// The attachment in which a capture keeps the topics as the source had them.
const TOPICS_ATTACHMENT: &str = "topics.json";

/// A topic as the source had it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SourceTopic {
    /// How many partitions.
    pub partitions: u32,
    /// Settings of its own; empty when they could not be read.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct NamedTopic {
    name: String,
    #[serde(flatten)]
    topic: SourceTopic,
}

/// The topics as the source had them when the capture last looked, by name: for `--create-topics`. Empty when the
/// recording does not tell (an import).
///
/// # Errors
/// [`FeedError`] when the attachments cannot be read.
pub fn source_topics(recording: &Recording) -> Result<BTreeMap<String, SourceTopic>, FeedError> {
    let mut topics = BTreeMap::new();
    for attachment in recording.attachments().map_err(|e| FeedError(e.into()))? {
        if attachment.name == TOPICS_ATTACHMENT {
            topics.extend(parse_topics(&attachment.bytes)?);
        }
    }
    Ok(topics)
}

/// The newest attachment of this name. `None` when the recording has none.
///
/// # Errors
/// [`FeedError`] when the attachments cannot be read.
pub fn attachment(recording: &Recording, name: &str) -> Result<Option<Vec<u8>>, FeedError> {
    let attachments = recording.attachments().map_err(|e| FeedError(e.into()))?;
    Ok(attachments.into_iter().rfind(|attachment| attachment.name == name).map(|attachment| attachment.bytes))
}

fn parse_topics(json: &[u8]) -> Result<impl Iterator<Item = (String, SourceTopic)> + use<>, FeedError> {
    let named: Vec<NamedTopic> = serde_json::from_slice(json)
        .map_err(|e| FeedError::new(format!("the recording's attachment {TOPICS_ATTACHMENT} is malformed: {e}")))?;
    Ok(named.into_iter().map(|t| (t.name, t.topic)))
}

/// A recording's records in time order.
pub struct RecordedFeed {
    order: Ordered,
    /// Damage met in passes before this one.
    before: Vec<String>,
}

impl RecordedFeed {
    /// Reads the times of the recording. `clocks` and `statistics` have an entry per stream; records outside of
    /// `from..to` (nanoseconds since 1970) are left out, by block where that is possible. A recording that is too far out
    /// of time order is sorted into the directory `scratch` first, and `progress` is called meanwhile.
    ///
    /// # Errors
    /// [`SegmentError`], too little room for sorting among them.
    pub fn open(
        recording: Arc<Recording>,
        clocks: &[StreamClock],
        statistics: &[TimeStatistics],
        window: RangeInclusive<i64>,
        scratch: &Path,
        progress: &mut dyn FnMut(SortProgress),
    ) -> Result<Self, SegmentError> {
        let index = Arc::new(TimeIndex::build(&recording, clocks, statistics)?);
        Ok(Self { order: Ordered::open(recording, index, window, scratch, progress)?, before: Vec::new() })
    }

    /// The first and the last time of the whole recording, nanoseconds since 1970.
    #[must_use]
    pub fn span(&self) -> Option<(i64, i64)> {
        self.order.index().span()
    }

    /// What sorting took, if it was needed.
    #[must_use]
    pub fn sort_cost(&self) -> Option<SortCost> {
        self.order.sort_cost()
    }

    fn words(&self, segment: u32, damage: &Damage) -> String {
        let segments = &self.order.recording().segments;
        let path = segments.get(segment as usize).map_or_else(|| format!("segment {segment}"), |s| s.path.display().to_string());
        format!("{path}: bytes {} to {}: {}", damage.from, damage.to, damage.what)
    }
}

/// The times from `from` on and before `to`, nanoseconds since 1970.
#[must_use]
pub fn window(from: Option<i64>, to: Option<i64>) -> RangeInclusive<i64> {
    from.unwrap_or(i64::MIN)..=to.map_or(i64::MAX, |to| to.saturating_sub(1))
}

impl RecordFeed for RecordedFeed {
    fn next_batch(&mut self, max: usize, take: &mut TakeRecord<'_>) -> Result<usize, FeedError> {
        self.order.next_batch(max, take).map_err(|e| FeedError(e.into()))
    }

    fn rewind(&mut self) -> Result<(), FeedError> {
        // Each pass meets the same damage: what the first one met is enough.
        if self.before.is_empty() {
            self.before = self.damages();
        }
        self.order.rewind().map_err(|e| FeedError(e.into()))
    }

    fn damages(&self) -> Vec<String> {
        if !self.before.is_empty() {
            return self.before.clone();
        }
        let met = self.order.damages().iter().map(|(segment, damage)| self.words(*segment, damage));
        let recording = self.order.recording();
        recording.damages().into_iter().chain(recording.unsealed()).chain(met).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::{Planner, PlannerOptions};
    use crate::testing::{record, stream};
    use dejaq_shared::record::{BrokerTime, Headers, Record};
    use dejaq_shared::segment::block::{BlockBuilder, BlockEncoder, EncodedBlock};
    use dejaq_shared::segment::codec::Compression;
    use dejaq_shared::segment::meta::{FiltersV1, SourceV1};
    use dejaq_shared::segment::recording_writer::{NewRecording, RecordingWriter, RollPolicy};
    use dejaq_shared::segment::timeline::measure;

    /// Two partitions whose records alternate in time and lie one after the other in storage.
    fn write(dir: &Path) {
        let source = SourceV1 { broker: "kafka".into(), cluster: "prod".into(), ancestors: vec!["old".into()] };
        let new = NewRecording {
            source,
            filters: FiltersV1 { topics: vec!["t".into()], replayed: "stop".into(), sampled_one_in: 1 },
            isolation: None,
            roll: RollPolicy::default(),
        };
        let mut writer = RecordingWriter::create(dir, new).expect("new");
        writer.add_streams(&[(stream("t", 0), 0), (stream("t", 1), 0)]).expect("streams");
        let topics = br#"[{"name":"t","id":null,"partitions":3,"settings":{"cleanup.policy":"compact"}}]"#;
        writer.attachment(TOPICS_ATTACHMENT, "application/json", topics.to_vec()).expect("attached");
        for partition in 0..2u32 {
            let mut builder = BlockBuilder::new();
            for n in 0..50i64 {
                let ms = 1_700_000_000_000 + n * 20 + i64::from(partition) * 10;
                let plain = record(None, Some(b"value"), Headers::EMPTY);
                builder.push(&Record {
                    stream: partition,
                    position: n,
                    arrival_ns: ms * 1_000_000,
                    broker_time: BrokerTime::Create(ms),
                    ..plain
                });
            }
            let mut block = EncodedBlock::default();
            BlockEncoder::new().expect("zstd").encode(&builder, Compression::Zstd(1), &mut block).expect("encoded");
            writer.block(&block).expect("block");
        }
        writer.seal().expect("sealed");
    }

    #[test]
    fn a_recording_is_planned_in_time_order_twice() {
        let tmp = tempfile::tempdir().expect("tmp");
        let dir = tmp.path().join("r");
        write(&dir);
        let recording = Arc::new(Recording::open(&dir).expect("a recording"));
        let facts = facts(&recording);
        assert_eq!((facts.clusters, facts.ancestors, facts.records), (vec!["prod".to_owned()], vec!["old".to_owned()], vec![50, 50]));
        let topics = source_topics(&recording).expect("readable");
        assert_eq!((topics["t"].partitions, topics["t"].settings["cleanup.policy"].as_str()), (3, "compact"));

        let times = measure(&recording).expect("times");
        let mut feed = RecordedFeed::open(recording, &[StreamClock::Create; 2], &times, window(None, None), tmp.path(), &mut |_| ())
            .expect("in order");
        let options = PlannerOptions { repeat: true, run_ns: Some(2_000_000_000), ..PlannerOptions::of_streams(2) };
        let mut planner = Planner::new(options);
        let mut due = Vec::new();
        let mut more = true;
        while more {
            more = planner.advance(&mut feed).expect("readable");
            while let Some(batch) = planner.pop() {
                due.extend(batch.items.iter().map(|i| (i.due_ns, i.stream)));
            }
        }
        let expected: Vec<(u64, u32)> = (0..200u32).map(|n| (u64::from(n) * 10_000_000, n % 2)).collect();
        assert_eq!(due, expected);
        assert_eq!(feed.damages(), [] as [String; 0]);
    }
}
