//! Reading from Kafka.
//!
//! Guarantees: no offset is committed and no group joined; positions are absolute; a record is handed over once, in order
//! within its partition, from the position asked for; whatever could not be had of a partition is a [`Notice`]. Memory:
//! what the client may prefetch (see [`config`]) and one batch of pointers.
//!
//! Limits: the name of a header whose value is null ends at its first NUL byte (the C API tells no length); producer ids, transaction and batch
//! bounds are not visible to a client. Asking for watermarks after an out-of-range answer blocks a poll for up to
//! two seconds, and again at the next poll while nobody answers.

use std::collections::{HashMap, VecDeque};
use std::ffi::CString;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::{self, Properties};
use super::connect::{Connected, connect};
use super::convert;
use super::ffi::admin::{About, MetadataTopic};
use super::ffi::consumer::Messages;
use super::ffi::partitions::PartitionList;
use super::ffi::topics::Operation;
use super::ffi::{Client, Code, Queue, Role, TopicHandle};
use super::housekeeping::Housekeeping;
use super::lanes::Lanes;
use super::rights::{Right, Who};
use super::token::TokenKeeper;
use crate::broker::BrokerError;
use crate::broker::endpoint::KafkaEndpoint;
use crate::broker::source::{Notice, ReadFrom, Source, SourceHandler, SourceOptions, StartAt, TopicInfo, TopicSelection, TopicSettings};
use crate::record::{HeadersBuf, Lane, StreamIx, TopicId};

mod epochs;
mod troubles;
mod withheld;

use troubles::{Trouble, is_gone, report_unreadable, trouble};
use withheld::Withheld;

/// Up to so many named topics are asked for one by one, which also tells of missing permissions; else all are.
const ASK_ONE_BY_ONE_MAX: usize = 16;

const OFFSET_BEGINNING: i64 = -2;
const OFFSET_END: i64 = -1;

/// A Kafka cluster that is read from.
pub struct KafkaSource {
    // Fields are dropped in this order: the threads and all that belongs to the client before the client itself.
    _keeper: Option<TokenKeeper>,
    house: Housekeeping,
    messages: Messages,
    queue: Queue,
    topics: HashMap<String, (TopicHandle, CString)>,
    client: Arc<Client>,
    cluster: String,
    who: Who,
    properties: Properties,
    lanes: Lanes,
    /// Streams whose position is not in the log, until their watermarks are known.
    out_of_range: VecDeque<StreamIx>,
    /// Errors of the batch, to be looked at after it.
    troubles: Vec<Trouble>,
    headers: HeadersBuf,
    withheld: Withheld,
}

impl KafkaSource {
    /// Connects, and waits for the cluster's first answer.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answered in `timeout`; at once when the user is refused, TLS fails, there is no
    /// valid token, or a property is refused.
    pub fn connect(endpoint: &KafkaEndpoint, options: &SourceOptions, timeout: Duration) -> Result<Self, BrokerError> {
        let properties = config::source_properties(endpoint, options)?;
        let withheld = Withheld::new(properties.get(config::ISOLATION) == Some("read_committed"));
        let Connected { keeper, events, client, cluster, who } = connect(Role::Consumer, endpoint, &properties, timeout)?;
        Ok(Self {
            _keeper: keeper,
            house: Housekeeping::start(&client, events)?,
            messages: Messages::default(),
            queue: client.consumer_queue()?,
            topics: HashMap::new(),
            client,
            cluster,
            who,
            properties,
            lanes: Lanes::default(),
            out_of_range: VecDeque::new(),
            troubles: Vec::new(),
            headers: HeadersBuf::default(),
            withheld,
        })
    }

    /// The client's properties, as far as dejaq or the person set them; secrets as `***`.
    #[must_use]
    pub fn describe(&self) -> Vec<(String, String)> {
        self.properties.describe()
    }

    /// What the cluster says about one topic.
    fn asked_alone(&self, name: &str, timeout: Duration) -> Result<Code, BrokerError> {
        let handle = TopicHandle::new(&self.client, name)?;
        let request = || format!("asking for topic {name:?}");
        let found = self.client.metadata(About::Topic(&handle), timeout).map_err(|code| code.request_error(request()))?;
        Ok(found.iter().find(|t| t.name == name).map_or(Code::UNKNOWN_TOPIC_OR_PARTITION, |t| t.code))
    }

    /// The offsets, or the first error among them.
    fn checked(&self, wanted: &[(&str, i32, i64)], answers: Vec<(i64, Code)>) -> Result<Vec<i64>, BrokerError> {
        let one = |((topic, partition, _), (offset, code)): (&(&str, i32, i64), (i64, Code))| match code {
            Code::NONE => Ok(offset),
            Code::TOPIC_AUTHORIZATION_FAILED => Err(self.who.lacks(Right::Describe, &[topic], Right::Read)),
            code => Err(code.request_error(format!("asking for an offset of {topic}/{partition}"))),
        };
        wanted.iter().zip(answers).map(one).collect()
    }

    fn metadata(&self, wanted: &TopicSelection, timeout: Duration) -> Result<Vec<MetadataTopic>, BrokerError> {
        let failed = |code: Code| code.request_error("asking for the topics".to_owned());
        if wanted.has_patterns() || wanted.names().len() > ASK_ONE_BY_ONE_MAX {
            return self.client.metadata(About::AllTopics, timeout).map_err(failed);
        }
        let mut topics = Vec::new();
        for name in wanted.names() {
            let handle = TopicHandle::new(&self.client, name)?;
            topics.extend(self.client.metadata(About::Topic(&handle), timeout).map_err(failed)?);
        }
        Ok(topics)
    }
}

fn info(topic: MetadataTopic, id: Option<TopicId>) -> TopicInfo {
    let lane = |partition: &i32| Lane::Kafka { topic: topic.name.clone(), topic_id: id, partition: *partition };
    TopicInfo { lanes: topic.partitions.iter().map(lane).collect(), name: topic.name, id }
}

impl Source for KafkaSource {
    fn cluster(&self) -> &str {
        &self.cluster
    }

    fn isolation(&self) -> Option<&str> {
        self.properties.get(config::ISOLATION)
    }

    fn topics(&mut self, wanted: &TopicSelection, timeout: Duration) -> Result<Vec<TopicInfo>, BrokerError> {
        let mut found = self.metadata(wanted, timeout)?;
        for name in wanted.names() {
            let code = found.iter().find(|t| t.name == *name).map_or(Code::UNKNOWN_TOPIC_OR_PARTITION, |t| t.code);
            if code == Code::NONE {
                continue;
            }
            // The answer about all topics leaves out those that may not be seen; one about a single topic says so.
            let hidden = code == Code::UNKNOWN_TOPIC_OR_PARTITION && self.asked_alone(name, timeout)? == Code::TOPIC_AUTHORIZATION_FAILED;
            if hidden || code == Code::TOPIC_AUTHORIZATION_FAILED {
                return Err(self.who.lacks(Right::Describe, &[name], Right::Read));
            }
            if is_gone(code) {
                let hint = format!(": {} (check the name)", code.text());
                return Err(BrokerError::UnknownTopic { topic: name.clone(), cluster: self.cluster.clone(), hint });
            }
            return Err(code.request_error(format!("asking for topic {name:?}")));
        }
        found.retain(|topic| topic.code == Code::NONE && wanted.accepts(&topic.name));
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found.dedup_by(|a, b| a.name == b.name);
        let names: Vec<&str> = found.iter().map(|topic| topic.name.as_str()).collect();
        let ids = self.client.topic_ids(&names, timeout)?;
        Ok(found.into_iter().zip(ids).map(|(topic, id)| info(topic, id)).collect())
    }

    fn check_rights(&mut self, topics: &[String], timeout: Duration) -> Result<(), BrokerError> {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        let unreadable = self.client.not_permitted(&names, Operation::Read, timeout)?;
        if unreadable.is_empty() { Ok(()) } else { Err(self.who.lacks(Right::Read, &unreadable, Right::Read)) }
    }

    fn topic_settings(&mut self, topics: &[String], timeout: Duration) -> Result<Vec<TopicSettings>, BrokerError> {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        let all = self.client.topic_settings(&names, timeout)?;
        let own = |settings: Vec<(String, Option<String>, bool)>| {
            settings.into_iter().filter(|(_, _, own)| *own).filter_map(|(name, value, _)| Some((name, value?))).collect()
        };
        let refused: Vec<&str> =
            all.iter().filter(|(_, s)| matches!(s, Err(Code::TOPIC_AUTHORIZATION_FAILED))).map(|(topic, _)| topic.as_str()).collect();
        if !refused.is_empty() {
            let lacks = self.who.lacks(Right::DescribeConfigs, &refused, Right::DescribeConfigs);
            self.house.warn("settings", format!("the recording does without the topics' settings: {lacks}"));
        }
        Ok(all.into_iter().filter_map(|(topic, settings)| Some((topic, own(settings.ok()?)))).collect())
    }

    fn positions(&mut self, lanes: &[(String, i32)], at: StartAt, timeout: Duration) -> Result<Vec<i64>, BrokerError> {
        let what = match at {
            StartAt::Beginning => OFFSET_BEGINNING,
            StartAt::End => OFFSET_END,
            // Kafka counts milliseconds; negative ones mean something else.
            StartAt::Time(ns) => i64::try_from((i128::from(ns) + 999_999).div_euclid(1_000_000)).unwrap_or(i64::MAX).max(0),
        };
        let wanted: Vec<_> = lanes.iter().map(|(topic, partition)| (topic.as_str(), *partition, what)).collect();
        let mut positions = self.checked(&wanted, self.client.list_offsets(&wanted, timeout)?)?;
        // Nothing at or after that time: the end.
        let late: Vec<usize> = (0..positions.len()).filter(|i| positions[*i] < 0).collect();
        let wanted: Vec<_> = late.iter().map(|i| (lanes[*i].0.as_str(), lanes[*i].1, OFFSET_END)).collect();
        for (i, end) in late.iter().zip(self.checked(&wanted, self.client.list_offsets(&wanted, timeout)?)?) {
            positions[*i] = end;
        }
        Ok(positions)
    }

    fn start(&mut self, lanes: &[ReadFrom]) -> Result<(), BrokerError> {
        let mut list = PartitionList::with_capacity(lanes.len())?;
        for lane in lanes {
            if !self.topics.contains_key(&lane.topic) {
                let handle = TopicHandle::new(&self.client, &lane.topic)?;
                self.topics.insert(lane.topic.clone(), (handle, super::ffi::c_string(&lane.topic, "the topic name")?));
            }
            list.add(&lane.topic, lane.partition, lane.position, lane.leader_epoch)?;
        }
        self.client.assign(&list)?;
        if let Err(error) = self.check_epochs(lanes) {
            self.client.unassign(&list)?;
            return Err(error);
        }
        for lane in lanes {
            let address = self.topics.get(&lane.topic).map_or(0, |(handle, _)| handle.address());
            self.lanes.add(address, lane.stream, &lane.topic, lane.partition, lane.position);
        }
        Ok(())
    }

    fn stop(&mut self, streams: &[StreamIx]) -> Result<(), BrokerError> {
        for stream in streams {
            self.end_lane(*stream)?;
        }
        Ok(())
    }

    fn poll<H: SourceHandler>(
        &mut self,
        records_max: usize,
        timeout: Duration,
        clock: &mut dyn FnMut() -> i64,
        handler: &mut H,
    ) -> Result<usize, BrokerError> {
        let mut records = 0;
        if self.messages.fill(&self.queue, records_max, timeout) > 0 {
            let arrival_ns = clock();
            while let Some(message) = self.messages.next() {
                let lane = self.lanes.find(message.topic_address(), message.partition());
                match (message.code(), lane) {
                    (Code::NONE, Some(lane)) => {
                        let before = lane.arrived(message.offset(), false);
                        let stream = lane.stream;
                        self.withheld.arrived(stream);
                        if !before.is_empty() {
                            report_unreadable(handler, stream, before, "the client could not read it");
                        }
                        match convert::record(message, stream, arrival_ns, &mut self.headers) {
                            Ok(record) => {
                                handler.record(&record);
                                records += 1;
                            }
                            Err(code) => {
                                let detail = format!("its headers cannot be read: {}", code.text());
                                handler.notice(Notice::Unparseable { stream, position: message.offset(), detail });
                            }
                        }
                    }
                    (Code::PARTITION_EOF, Some(lane)) => {
                        let (stream, position) = (lane.stream, message.offset());
                        report_unreadable(handler, stream, lane.arrived(position, true), "the client could not read it");
                        if self.withheld.is_watched() {
                            let name = self.topics.get(&lane.topic).map(|(_, name)| name);
                            let marks = name.and_then(|name| self.client.cached_watermarks(name, lane.partition));
                            self.withheld.at_end(stream, position, marks.map(|(_, high)| high), Instant::now());
                        }
                        handler.notice(Notice::End { stream, position });
                    }
                    // Left over from a stream that was stopped.
                    (Code::NONE | Code::PARTITION_EOF, None) => {}
                    (code, lane) => self.troubles.push(trouble(message, code, lane.map(|lane| lane.stream))),
                }
            }
        }
        for trouble in std::mem::take(&mut self.troubles) {
            self.settle(trouble, handler)?;
        }
        if !self.out_of_range.is_empty() {
            self.settle_out_of_range(handler)?;
        }
        if let Some(news) = self.house.news() {
            self.settle_news(news, handler)?;
        }
        Ok(records)
    }

    fn lag(&mut self) -> Option<u64> {
        let mut known = None;
        for lane in self.lanes.iter() {
            let Some((_, name)) = self.topics.get(&lane.topic) else { continue };
            if let Some((_, high)) = self.client.cached_watermarks(name, lane.partition) {
                *known.get_or_insert(0) += u64::try_from(high - lane.next).unwrap_or(0);
            }
        }
        for (stream, position) in self.withheld.stuck(Instant::now()) {
            if let Some(lane) = self.lanes.by_stream(stream) {
                let text = format!(
                    "{}/{} stands at position {position} before an open transaction: its records, and those behind it, come when it ends (isolation.level=read_committed)",
                    lane.topic, lane.partition
                );
                self.house.warn("open transaction", text);
            }
        }
        known
    }

    fn withheld(&self) -> usize {
        self.withheld.count()
    }
}
