//! What changed in the cluster's topics since the streams were taken up. Pure.
//!
//! Neither growth nor deletion nor re-creation of a topic raises anything in a client that reads by absolute offsets, so
//! the metadata is compared at intervals. A stream counts as deleted only when two looks in a row miss it: metadata drops
//! topics for a moment during elections.

use std::collections::{BTreeMap, HashMap};

use dejaq_shared::broker::source::TopicInfo;
use dejaq_shared::record::{Lane, StreamIx, TopicId};

/// A stream that the capture knows, as the watch sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known<'a> {
    /// Its number.
    pub stream: StreamIx,
    /// The topic's name.
    pub topic: &'a str,
    /// The topic's id.
    pub id: Option<TopicId>,
    /// The partition.
    pub partition: i32,
    /// Whether it has ended.
    pub ended: bool,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A partition that was never read.
    New(Lane),
    /// The topic has another id now; the new one's partitions follow as [`Change::New`].
    Recreated(StreamIx),
    /// The partition is gone.
    Deleted(StreamIx),
    /// A stream that had ended is there again, with the same id.
    Back(StreamIx),
    /// The stream is there as it was.
    Same(StreamIx),
}

/// Remembers what was missed at the last look.
#[derive(Debug, Default)]
pub struct Watch {
    missed: HashMap<StreamIx, u32>,
}

/// How many looks in a row must miss a stream before it counts as deleted.
const MISSED_TO_END: u32 = 2;

impl Watch {
    /// Compares. `certain`: one miss is enough (at a resume, where nothing was read meanwhile).
    pub fn diff<'a>(&mut self, known: impl IntoIterator<Item = Known<'a>>, now: &[TopicInfo], certain: bool) -> Vec<Change> {
        // The newest stream of a lane stands for it: an older one has ended (recreated topic, log cut back).
        let mut lanes: BTreeMap<(&str, i32), Known<'_>> = BTreeMap::new();
        for stream in known {
            lanes.insert((stream.topic, stream.partition), stream);
        }
        let mut changes = Vec::new();
        for topic in now {
            for lane in &topic.lanes {
                let Some(known) = lanes.remove(&(topic.name.as_str(), lane.partition())) else {
                    changes.push(Change::New(lane.clone()));
                    continue;
                };
                self.missed.remove(&known.stream);
                let another = known.id.is_some() && topic.id.is_some() && known.id != topic.id;
                if another {
                    if !known.ended {
                        changes.push(Change::Recreated(known.stream));
                    }
                    changes.push(Change::New(lane.clone()));
                } else if known.ended {
                    changes.push(Change::Back(known.stream));
                } else {
                    changes.push(Change::Same(known.stream));
                }
            }
        }
        for known in lanes.into_values().filter(|k| !k.ended) {
            let missed = self.missed.entry(known.stream).or_default();
            *missed += 1;
            if certain || *missed >= MISSED_TO_END {
                self.missed.remove(&known.stream);
                changes.push(Change::Deleted(known.stream));
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> Option<TopicId> {
        Some(TopicId([n; 16]))
    }

    fn lane(topic: &str, n: u8, partition: i32) -> Lane {
        Lane::Kafka { topic: topic.into(), topic_id: id(n), partition }
    }

    fn topic(name: &str, n: u8, partitions: &[i32]) -> TopicInfo {
        TopicInfo { name: name.into(), id: id(n), lanes: partitions.iter().map(|partition| lane(name, n, *partition)).collect() }
    }

    fn known(stream: StreamIx, n: u8, partition: i32, ended: bool) -> Known<'static> {
        Known { stream, topic: "a", id: id(n), partition, ended }
    }

    #[test]
    fn partitions_and_topics_that_were_added_are_new() {
        let changes = Watch::default().diff([known(0, 1, 0, false)], &[topic("a", 1, &[0, 1]), topic("b", 2, &[0])], false);
        assert_eq!(changes, [Change::Same(0), Change::New(lane("a", 1, 1)), Change::New(lane("b", 2, 0))]);
    }

    #[test]
    fn another_id_ends_the_old_stream_and_begins_a_new_one_once() {
        let new = Change::New(lane("a", 2, 0));
        assert_eq!(Watch::default().diff([known(0, 1, 0, false)], &[topic("a", 2, &[0])], false), [Change::Recreated(0), new]);
        // With the new stream known, the old one is no longer looked at.
        assert_eq!(Watch::default().diff([known(0, 1, 0, true), known(1, 2, 0, false)], &[topic("a", 2, &[0])], false), [Change::Same(1)]);
    }

    #[test]
    fn an_unknown_id_is_no_change() {
        let mut unknown = topic("a", 1, &[0]);
        unknown.id = None;
        assert_eq!(Watch::default().diff([known(0, 1, 0, false)], &[unknown], false), [Change::Same(0)]);
    }

    #[test]
    fn only_the_second_miss_in_a_row_is_a_deletion() {
        let mut watch = Watch::default();
        assert_eq!(watch.diff([known(0, 1, 0, false)], &[], false), []);
        assert_eq!(watch.diff([known(0, 1, 0, false)], &[topic("a", 1, &[0])], false), [Change::Same(0)]);
        assert_eq!(watch.diff([known(0, 1, 0, false)], &[], false), []);
        assert_eq!(watch.diff([known(0, 1, 0, false)], &[], false), [Change::Deleted(0)]);
        assert_eq!(watch.diff([known(0, 1, 0, true)], &[], false), []);
        assert_eq!(watch.diff([known(0, 1, 0, true)], &[topic("a", 1, &[0])], false), [Change::Back(0)]);
    }

    #[test]
    fn at_a_resume_one_miss_is_enough() {
        assert_eq!(Watch::default().diff([known(0, 1, 0, false)], &[], true), [Change::Deleted(0)]);
    }
}
