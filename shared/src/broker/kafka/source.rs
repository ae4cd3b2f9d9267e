//! Reading from Kafka.
//!
//! Guarantees: no offset is committed and no group joined; positions are absolute; a record is handed over once, in order
//! within its partition, from the position asked for; whatever could not be had of a partition is a [`Notice`]. Memory:
//! what the client may prefetch (see [`config`]) and one batch of pointers.
//!
//! Limits: a header name ends at its first NUL byte (the C API tells no length); producer ids, transaction and batch
//! bounds are not visible to a client. Asking for watermarks after an out-of-range answer blocks a poll for up to
//! [`WATERMARKS_TIMEOUT`].

use std::collections::{HashMap, VecDeque};
use std::ffi::CString;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::config::{self, Properties, SourceOptions};
use super::connect::await_cluster;
use super::convert;
use super::ffi::admin::{About, MetadataTopic, PartitionList};
use super::ffi::consumer::{Message, Messages};
use super::ffi::{Client, Code, Queue, Role, TopicHandle};
use super::housekeeping::{Housekeeping, News};
use super::lanes::{Lanes, Unreadable};
use crate::broker::BrokerError;
use crate::broker::endpoint::KafkaEndpoint;
use crate::broker::source::{Notice, ReadFrom, Source, SourceHandler, StartAt, TopicInfo, TopicSelection, TopicSettings};
use crate::record::{HeadersBuf, StreamIx};

/// How long a poll may wait for the watermarks of a partition whose position is not in the log.
pub const WATERMARKS_TIMEOUT: Duration = Duration::from_secs(2);

/// Up to so many named topics are asked for one by one, which also tells of missing permissions; else all are.
const ASK_ONE_BY_ONE_MAX: usize = 16;

const OFFSET_BEGINNING: i64 = -2;
const OFFSET_END: i64 = -1;

/// A Kafka cluster that is read from.
pub struct KafkaSource {
    // Fields are dropped in this order: the thread and all that belongs to the client before the client itself.
    house: Housekeeping,
    messages: Messages,
    queue: Queue,
    topics: HashMap<String, (TopicHandle, CString)>,
    client: Arc<Client>,
    cluster: String,
    properties: Properties,
    lanes: Lanes,
    /// Streams whose position is not in the log, until their watermarks are known.
    out_of_range: VecDeque<StreamIx>,
    /// Errors of the batch, to be looked at after it.
    troubles: Vec<Trouble>,
    headers: HeadersBuf,
}

/// An error about a partition, or about the consumer as a whole.
struct Trouble {
    stream: Option<StreamIx>,
    topic: Option<String>,
    code: Code,
    offset: i64,
    text: String,
}

impl KafkaSource {
    /// Connects, and waits for the cluster's first answer.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`] when nobody answered in `timeout`; at once when the user is refused, TLS fails or a
    /// property is.
    pub fn connect(endpoint: &KafkaEndpoint, options: &SourceOptions, timeout: Duration) -> Result<Self, BrokerError> {
        let properties = config::source_properties(endpoint, options)?;
        let client = Client::new(Role::Consumer, &properties)?;
        let events = client.main_queue()?;
        let cluster = await_cluster(&client, &events, endpoint, timeout)?;
        Ok(Self {
            house: Housekeeping::start(&client, events)?,
            messages: Messages::default(),
            queue: client.consumer_queue()?,
            topics: HashMap::new(),
            client,
            cluster,
            properties,
            lanes: Lanes::default(),
            out_of_range: VecDeque::new(),
            troubles: Vec::new(),
            headers: HeadersBuf::default(),
        })
    }

    /// The client's properties, as far as dejaq or the person set them; secrets as `***`.
    #[must_use]
    pub fn describe(&self) -> Vec<(String, String)> {
        self.properties.describe()
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

    /// Takes a partition out of the client and the tables.
    fn end_lane(&mut self, stream: StreamIx) -> Result<(), BrokerError> {
        let Some(lane) = self.lanes.remove(stream) else { return Ok(()) };
        let mut list = PartitionList::with_capacity(1)?;
        list.add(&lane.topic, lane.partition, OFFSET_END, -1)?;
        self.client.unassign(&list)?;
        if !self.lanes.has_topic(&lane.topic) {
            self.topics.remove(&lane.topic);
        }
        Ok(())
    }

    fn restart(&mut self, stream: StreamIx, position: i64) -> Result<(), BrokerError> {
        let Some(lane) = self.lanes.by_stream(stream) else { return Ok(()) };
        let (topic, partition) = (lane.topic.clone(), lane.partition);
        let mut list = PartitionList::with_capacity(1)?;
        list.add(&topic, partition, position, crate::record::EPOCH_UNKNOWN)?;
        self.client.unassign(&list)?;
        self.client.assign(&list)
    }

    /// One error, after its batch.
    fn settle<H: SourceHandler>(&mut self, trouble: Trouble, handler: &mut H) -> Result<(), BrokerError> {
        let Trouble { stream, topic, code, offset, text } = trouble;
        if code == Code::FATAL {
            return Err(BrokerError::Fatal(self.client.fatal_error().unwrap_or(text)));
        }
        let Some(stream) = stream else {
            // No right to describe our own group, which is never used: expected, and told once by the client.
            if code != Code::GROUP_AUTHORIZATION_FAILED {
                let about = topic.map_or(String::new(), |topic| format!("{topic}: "));
                self.house.warn(&format!("error {}", code.0), format!("{about}{text}"));
            }
            return Ok(());
        };
        match code {
            Code::AUTO_OFFSET_RESET | Code::OFFSET_OUT_OF_RANGE | Code::LOG_TRUNCATION => {
                if code == Code::LOG_TRUNCATION || text.contains(&Code::LOG_TRUNCATION.text()) {
                    self.end_lane(stream)?;
                    handler.notice(Notice::Truncated { stream, position: end_in(&text), detail: text });
                } else if !self.out_of_range.contains(&stream) {
                    self.out_of_range.push_back(stream);
                }
            }
            code if is_gone(code) => {
                self.end_lane(stream)?;
                handler.notice(Notice::Gone { stream, detail: format!("{text}{}", gone_hint(code)) });
            }
            Code::BAD_MESSAGE | Code::BAD_COMPRESSION | Code::CORRUPT_MESSAGE | Code::NOT_IMPLEMENTED | Code::MESSAGE_TOO_LARGE => {
                let Some(lane) = self.lanes.by_stream(stream) else { return Ok(()) };
                if let Unreadable::StepOver(range) = lane.cannot_read(offset) {
                    let next = range.end;
                    report_unreadable(handler, stream, range, &text);
                    self.restart(stream, next)?;
                }
            }
            code => {
                let name = self.lanes.by_stream(stream).map_or(String::new(), |lane| format!("{}/{}: ", lane.topic, lane.partition));
                self.house.warn(&format!("error {}", code.0), format!("{name}{text}"));
            }
        }
        Ok(())
    }

    /// Asks for the watermarks of one partition whose position is not in the log.
    fn settle_out_of_range<H: SourceHandler>(&mut self, handler: &mut H) -> Result<(), BrokerError> {
        let Some(stream) = self.out_of_range.pop_front() else { return Ok(()) };
        let Some(lane) = self.lanes.by_stream(stream) else { return Ok(()) };
        let (topic, partition, next) = (lane.topic.clone(), lane.partition, lane.next);
        let wanted = [(topic.as_str(), partition, OFFSET_BEGINNING)];
        let low = self.client.list_offsets(&wanted, WATERMARKS_TIMEOUT).map(|answers| answers.first().copied());
        let wanted = [(topic.as_str(), partition, OFFSET_END)];
        let high = self.client.list_offsets(&wanted, WATERMARKS_TIMEOUT).map(|answers| answers.first().copied());
        let (Ok(Some((low, Code::NONE))), Ok(Some((high, Code::NONE)))) = (low, high) else {
            // No answer: ask again at the next poll.
            self.out_of_range.push_back(stream);
            return Ok(());
        };
        if (low..=high).contains(&next) {
            // A leader that was behind for a moment.
            self.house.warn("in range", format!("{topic}/{partition}: position {next} was out of range for a moment; reading on from it"));
            return self.restart(stream, next);
        }
        self.end_lane(stream)?;
        handler.notice(Notice::OutOfRange { stream, low, high });
        Ok(())
    }

    fn settle_news<H: SourceHandler>(&mut self, news: News, handler: &mut H) -> Result<(), BrokerError> {
        if let Some(fatal) = news.fatal {
            return Err(BrokerError::Fatal(fatal));
        }
        for line in news.partition_errors {
            let concerned = self
                .lanes
                .iter()
                .find(|lane| line.strip_prefix(&lane.topic).is_some_and(|rest| rest.starts_with(&format!(" [{}]: ", lane.partition))));
            match concerned.map(|lane| lane.stream) {
                Some(stream)
                    if [
                        Code::UNKNOWN_TOPIC_OR_PARTITION,
                        Code::UNKNOWN_TOPIC,
                        Code::UNKNOWN_PARTITION,
                        Code::TOPIC_AUTHORIZATION_FAILED,
                    ]
                    .iter()
                    .any(|code| line.contains(&code.text())) =>
                {
                    self.end_lane(stream)?;
                    handler.notice(Notice::Gone { stream, detail: line });
                }
                _ => self.house.warn("client", line),
            }
        }
        for warning in news.warnings {
            handler.notice(Notice::Warning(warning));
        }
        Ok(())
    }
}

impl Source for KafkaSource {
    fn cluster(&self) -> &str {
        &self.cluster
    }

    fn topics(&mut self, wanted: &TopicSelection, timeout: Duration) -> Result<Vec<TopicInfo>, BrokerError> {
        let mut found = self.metadata(wanted, timeout)?;
        for name in wanted.names() {
            let code = found.iter().find(|t| t.name == *name).map_or(Code::UNKNOWN_TOPIC_OR_PARTITION, |t| t.code);
            if code == Code::NONE {
                continue;
            }
            if is_gone(code) {
                let hint = format!(": {}{}", code.text(), gone_hint(code));
                return Err(BrokerError::UnknownTopic { topic: name.clone(), cluster: self.cluster.clone(), hint });
            }
            return Err(code.request_error(format!("asking for topic {name:?}")));
        }
        found.retain(|topic| topic.code == Code::NONE && wanted.accepts(&topic.name));
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found.dedup_by(|a, b| a.name == b.name);
        let names: Vec<&str> = found.iter().map(|topic| topic.name.as_str()).collect();
        let ids = self.client.topic_ids(&names, timeout)?;
        Ok(found.into_iter().zip(ids).map(|(topic, id)| TopicInfo { name: topic.name, id, partitions: topic.partitions }).collect())
    }

    fn topic_settings(&mut self, topics: &[String], timeout: Duration) -> Result<Vec<TopicSettings>, BrokerError> {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        let all = self.client.topic_settings(&names, timeout)?;
        let own = |settings: Vec<(String, Option<String>, bool)>| {
            settings.into_iter().filter(|(_, _, own)| *own).filter_map(|(name, value, _)| Some((name, value?))).collect()
        };
        Ok(all.into_iter().map(|(topic, settings)| (topic, own(settings))).collect())
    }

    fn positions(&mut self, lanes: &[(String, i32)], at: StartAt, timeout: Duration) -> Result<Vec<i64>, BrokerError> {
        let what = match at {
            StartAt::Beginning => OFFSET_BEGINNING,
            StartAt::End => OFFSET_END,
            // Kafka counts milliseconds; negative ones mean something else.
            StartAt::Time(ns) => i64::try_from((i128::from(ns) + 999_999).div_euclid(1_000_000)).unwrap_or(i64::MAX).max(0),
        };
        let wanted: Vec<_> = lanes.iter().map(|(topic, partition)| (topic.as_str(), *partition, what)).collect();
        let mut positions = checked(&wanted, self.client.list_offsets(&wanted, timeout)?)?;
        // Nothing at or after that time: the end.
        let late: Vec<usize> = (0..positions.len()).filter(|i| positions[*i] < 0).collect();
        let wanted: Vec<_> = late.iter().map(|i| (lanes[*i].0.as_str(), lanes[*i].1, OFFSET_END)).collect();
        for (i, end) in late.iter().zip(checked(&wanted, self.client.list_offsets(&wanted, timeout)?)?) {
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
        known
    }
}

#[cold]
fn trouble(message: Message<'_>, code: Code, stream: Option<StreamIx>) -> Trouble {
    Trouble { stream, topic: message.topic_name(), code, offset: message.offset(), text: message.error_text() }
}

fn report_unreadable<H: SourceHandler>(handler: &mut H, stream: StreamIx, positions: Range<i64>, detail: &str) {
    for position in positions {
        handler.notice(Notice::Unparseable { stream, position, detail: detail.to_owned() });
    }
}

/// The offsets, or the first error among them.
fn checked(wanted: &[(&str, i32, i64)], answers: Vec<(i64, Code)>) -> Result<Vec<i64>, BrokerError> {
    wanted
        .iter()
        .zip(answers)
        .map(|((topic, partition, _), (offset, code))| match code {
            Code::NONE => Ok(offset),
            code => Err(code.request_error(format!("asking for an offset of {topic}/{partition}"))),
        })
        .collect()
}

fn is_gone(code: Code) -> bool {
    matches!(
        code,
        Code::UNKNOWN_TOPIC_OR_PARTITION
            | Code::UNKNOWN_TOPIC
            | Code::UNKNOWN_PARTITION
            | Code::UNKNOWN_TOPIC_ID
            | Code::INVALID_TOPIC
            | Code::TOPIC_AUTHORIZATION_FAILED
    )
}

fn gone_hint(code: Code) -> &'static str {
    if code == Code::TOPIC_AUTHORIZATION_FAILED {
        " (the user needs READ and DESCRIBE on the topic)"
    } else {
        " (check the name; without the right to DESCRIBE it a topic looks as if it were not there)"
    }
}

/// Where the logs part, from the client's words "broker end offset is N".
fn end_in(text: &str) -> Option<i64> {
    let (_, rest) = text.split_once("broker end offset is ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
    digits.parse().ok()
}
