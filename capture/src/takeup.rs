//! Which streams a capture begins with: those of the recording, compared with what the cluster has now, and new ones.

use std::collections::HashMap;
use std::time::Duration;

use dejaq_shared::broker::BrokerError;
use dejaq_shared::broker::source::{Source, StartAt, TopicInfo, TopicSelection};
use dejaq_shared::record::{Gap, GapReason, Lane, Stream, StreamIx};

use crate::books::Books;
use crate::config::{CapturePlan, Replayed};
use crate::intake::{Intake, LaneBooks, NewLane, Phase};
use crate::watch::{Change, Known, Watch};

/// A stream that the recording has already.
#[derive(Debug, Clone)]
pub(crate) struct KnownStream {
    pub(crate) stream: Stream,
    pub(crate) books: Books,
    pub(crate) ended: bool,
    /// An earlier capture stopped here because replayed traffic follows, and has written the gap.
    pub(crate) replay_follows: bool,
}

impl KnownStream {
    pub(crate) fn as_row(&self, ix: usize) -> LaneBooks {
        LaneBooks { stream: StreamIx::try_from(ix).unwrap_or(StreamIx::MAX), books: self.books, ended: self.ended }
    }
}

/// What the cluster has of what is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    pub(crate) name: String,
    pub(crate) topics: Vec<TopicInfo>,
    /// Where each partition ends now.
    ends: HashMap<(String, i32), i64>,
}

impl Cluster {
    /// Asks for topics and ends. Topics that were asked for by name must be there when `names_must_exist`.
    pub(crate) fn ask<S: Source>(
        source: &mut S,
        wanted: &TopicSelection,
        names_must_exist: bool,
        timeout: Duration,
    ) -> Result<Self, BrokerError> {
        let name = source.cluster().to_owned();
        let topics = if names_must_exist { source.topics(wanted, timeout)? } else { topics_there(source, wanted, timeout)? };
        if let Some(missing) = wanted.names().iter().find(|n| names_must_exist && !topics.iter().any(|t| t.name == **n)) {
            let hint = ": check the name, and whether this user may describe the topic".to_owned();
            return Err(BrokerError::UnknownTopic { topic: missing.clone(), cluster: name, hint });
        }
        let lanes: Vec<(String, i32)> = topics.iter().flat_map(|t| t.partitions.iter().map(|p| (t.name.clone(), *p))).collect();
        let ends = source.positions(&lanes, StartAt::End, timeout)?;
        Ok(Self { name, topics, ends: lanes.into_iter().zip(ends).collect() })
    }

    pub(crate) fn end(&self, stream: &Stream) -> Option<i64> {
        self.ends.get(&(stream.topic().to_owned(), stream.partition())).copied()
    }
}

/// The topics that are there; those asked for by name that are not are left out.
pub(crate) fn topics_there<S: Source>(source: &mut S, wanted: &TopicSelection, timeout: Duration) -> Result<Vec<TopicInfo>, BrokerError> {
    let mut left = wanted.as_typed();
    loop {
        // The parts of a selection that was parsed before.
        let Ok(selection) = TopicSelection::parse(left.iter().map(String::as_str)) else { return Ok(Vec::new()) };
        match source.topics(&selection, timeout) {
            Err(BrokerError::UnknownTopic { topic, .. }) if left.contains(&topic) => left.retain(|name| *name != topic),
            answer => return answer,
        }
        if left.is_empty() {
            return Ok(Vec::new());
        }
    }
}

/// A stream to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Begin {
    pub(crate) stream: Stream,
    pub(crate) at: StartAt,
    /// Whether it is new because the selection changed, not because the source did.
    pub(crate) newly_selected: bool,
}

impl Begin {
    /// The gap that says since when a newly selected stream is recorded.
    pub(crate) fn gap(&self, ix: StreamIx, start: i64, now_ns: i64) -> Option<Gap> {
        (self.newly_selected && self.at != StartAt::Beginning).then(|| Gap {
            stream: Some(ix),
            scope: self.stream.name(),
            from: None,
            to: Some(start),
            from_time_ns: None,
            to_time_ns: Some(now_ns),
            count: None,
            exact: false,
            reason: GapReason::FilterChange,
            detail: "the topic was not asked for before".to_owned(),
        })
    }
}

/// What is to be done at the start.
#[derive(Debug)]
pub(crate) struct Takeup {
    pub(crate) intake: Intake,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) begin: Vec<Begin>,
}

/// Compares what the recording has with what the cluster has. `before`: the selection of the capture that wrote it last;
/// `None` for a new recording.
pub(crate) fn take_up(
    plan: &CapturePlan,
    topics: &TopicSelection,
    cluster: &Cluster,
    known: &[KnownStream],
    before: Option<&TopicSelection>,
    now_ns: i64,
) -> Takeup {
    // A recording without streams was never begun: its capture ended before it knew where.
    let before = before.filter(|_| !known.is_empty());
    let held: u64 = known.iter().map(|k| k.books.written).sum();
    let mut intake = Intake::new(plan.replayed, plan.records.map(|n| n.saturating_sub(held)));
    for known in known {
        let end = cluster.end(&known.stream);
        intake.add(NewLane {
            stream: known.stream.clone(),
            books: known.books,
            end: end.unwrap_or(known.books.next),
            until: end.filter(|_| plan.until_end),
            phase: match known {
                KnownStream { ended: true, .. } => Phase::Ended,
                KnownStream { replay_follows: true, .. } if plan.replayed == Replayed::Stop => Phase::Stopped,
                _ => Phase::Reading,
            },
        });
    }
    let mut gaps = Vec::new();
    for (ix, known) in (0..).zip(known).filter(|(_, k)| !topics.accepts(k.stream.topic())) {
        // Only the capture that leaves a topic out first writes the gap.
        let gap = intake.deselect(ix, now_ns);
        gaps.extend(gap.filter(|_| before.is_none_or(|b| b.accepts(known.stream.topic()))).map(|g| *g));
    }
    let seen = known_streams(&intake, topics);
    let changes = Watch::default().diff(seen.iter().map(Seen::as_known), &cluster.topics, true);
    let mut begin = Vec::new();
    for change in changes {
        match change {
            Change::Same(_) => {}
            Change::Recreated(ix) => gaps.extend(intake.recreated(ix, now_ns).map(|g| *g)),
            Change::Deleted(ix) => gaps.extend(intake.deleted(ix, true, now_ns).map(|g| *g)),
            Change::Back(ix) => {
                let end = intake.stream(ix).and_then(|s| cluster.end(s)).unwrap_or(0);
                intake.reopen(ix, end);
            }
            Change::New { topic, id, partition } => {
                let newly_selected = before.is_some_and(|b| !b.accepts(&topic));
                let at = if before.is_none() || newly_selected { plan.start } else { StartAt::Beginning };
                let lane = Lane::Kafka { topic, topic_id: id, partition };
                begin.push(Begin { stream: Stream { cluster: cluster.name.clone(), lane }, at, newly_selected });
            }
        }
    }
    Takeup { intake, gaps, begin }
}

/// A stream as the watch compares it, owned.
pub(crate) struct Seen {
    ix: StreamIx,
    stream: Stream,
    ended: bool,
}

impl Seen {
    pub(crate) fn as_known(&self) -> Known<'_> {
        Known {
            stream: self.ix,
            topic: self.stream.topic(),
            id: self.stream.topic_id(),
            partition: self.stream.partition(),
            ended: self.ended,
        }
    }
}

/// The streams that the watch is to compare: those that are asked for.
pub(crate) fn known_streams(intake: &Intake, wanted: &TopicSelection) -> Vec<Seen> {
    let wanted = intake.streams().filter(|(_, stream, _)| wanted.accepts(stream.topic()));
    wanted.map(|(ix, stream, phase)| Seen { ix, stream: stream.clone(), ended: phase == Phase::Ended }).collect()
}
