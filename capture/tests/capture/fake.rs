//! A scripted source: logs in memory that tests change while they are captured. When nothing is left to deliver, the next
//! step of the script runs, once a poll until it says that it is done; after the last step the capture is asked to stop.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dejaq_shared::broker::BrokerError;
use dejaq_shared::broker::source::{Notice, ReadFrom, Source, SourceHandler, StartAt, TopicInfo, TopicSelection};
use dejaq_shared::record::{BrokerTime, HeadersBuf, Lane, Record, RecordFlags, StreamIx, TopicId};

pub(crate) const CLUSTER: &str = "fake-cluster";

#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) position: i64,
    pub(crate) epoch: i32,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) unparseable: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Log {
    pub(crate) low: i64,
    pub(crate) high: i64,
    pub(crate) messages: Vec<Message>,
}

impl Log {
    /// Appends a message at the end.
    pub(crate) fn push(&mut self, value: &str) -> &mut Message {
        let position = self.high;
        self.high += 1;
        self.messages.push(Message { position, epoch: 0, value: Some(value.as_bytes().to_vec()), headers: Vec::new(), unparseable: false });
        self.messages.last_mut().expect("just pushed")
    }

    pub(crate) fn push_all(&mut self, values: std::ops::Range<usize>) {
        for value in values {
            self.push(&format!("value {value}"));
        }
    }

    /// Offsets that hold nothing: transaction markers, compacted records.
    pub(crate) fn skip(&mut self, offsets: i64) {
        self.high += offsets;
    }

    /// Retention.
    pub(crate) fn delete_before(&mut self, low: i64) {
        self.low = low;
        self.messages.retain(|m| m.position >= low);
    }

    /// An unclean leader election.
    pub(crate) fn cut_back_to(&mut self, high: i64) {
        self.high = high;
        self.messages.retain(|m| m.position < high);
    }
}

#[derive(Default)]
pub(crate) struct Topic {
    pub(crate) id: u8,
    pub(crate) logs: BTreeMap<i32, Log>,
}

pub(crate) type Step = Box<dyn FnMut(&mut World) -> bool + Send>;

#[derive(Default)]
pub(crate) struct World {
    pub(crate) topics: BTreeMap<String, Topic>,
    pub(crate) script: VecDeque<Step>,
    /// Notices for the next poll, on top of what the logs give.
    pub(crate) notices: Vec<Notice>,
    /// How often the topics were asked for.
    pub(crate) looks: usize,
    /// Every lane that was started.
    pub(crate) started: Vec<ReadFrom>,
    pub(crate) stopped: Vec<StreamIx>,
    /// Delivers this much once more after each restart or step, as clients may.
    pub(crate) repeats: i64,
    pub(crate) broken_after: Option<usize>,
    /// Cuts the first log back to this at the first poll.
    pub(crate) cut: Option<i64>,
    /// How the source reads transactions.
    pub(crate) isolation: Option<&'static str>,
    /// A partition that may not be read.
    pub(crate) forbidden: Option<(String, i32)>,
}

impl World {
    pub(crate) fn topic(&mut self, name: &str, id: u8, partitions: i32) -> &mut Topic {
        let topic = self.topics.entry(name.to_owned()).or_default();
        topic.id = id;
        for partition in 0..partitions {
            topic.logs.entry(partition).or_default();
        }
        topic
    }

    pub(crate) fn log(&mut self, topic: &str, partition: i32) -> &mut Log {
        self.topics.get_mut(topic).and_then(|t| t.logs.get_mut(&partition)).expect("the test made it")
    }

    pub(crate) fn then(&mut self, mut step: impl FnMut(&mut World) + Send + 'static) {
        self.until(move |world| {
            step(world);
            true
        });
    }

    pub(crate) fn until(&mut self, step: impl FnMut(&mut World) -> bool + Send + 'static) {
        self.script.push_back(Box::new(step));
    }

    /// Waits until the capture has looked at the topics `n` times more.
    pub(crate) fn await_looks(&mut self, n: usize) {
        let mut from = None;
        self.until(move |world| world.looks >= *from.get_or_insert(world.looks) + n);
    }
}

struct Reader {
    topic: String,
    partition: i32,
    next: i64,
    told_end: Option<i64>,
}

pub(crate) struct FakeSource {
    world: Arc<Mutex<World>>,
    stop: Arc<AtomicBool>,
    readers: BTreeMap<StreamIx, Reader>,
    delivered: usize,
}

impl FakeSource {
    pub(crate) fn new(world: &Arc<Mutex<World>>, stop: &Arc<AtomicBool>) -> Self {
        Self { world: Arc::clone(world), stop: Arc::clone(stop), readers: BTreeMap::new(), delivered: 0 }
    }

    fn world(world: &Mutex<World>) -> MutexGuard<'_, World> {
        world.lock().expect("no test panics while holding it")
    }
}

fn deliver<H: SourceHandler>(ix: StreamIx, reader: &mut Reader, log: &Log, room: usize, arrival_ns: i64, handler: &mut H) -> usize {
    let mut count = 0;
    let mut headers = HeadersBuf::default();
    let from = reader.next;
    for message in log.messages.iter().filter(|m| m.position >= from).take(room) {
        reader.next = message.position + 1;
        if message.unparseable {
            handler.notice(Notice::Unparseable { stream: ix, position: message.position, detail: "bad header".into() });
            continue;
        }
        headers.clear();
        for (name, value) in &message.headers {
            headers.push(name, Some(value));
        }
        handler.record(&Record {
            stream: ix,
            position: message.position,
            leader_epoch: message.epoch,
            arrival_ns,
            broker_time: BrokerTime::Create(message.position),
            key: None,
            value: message.value.as_deref(),
            headers: headers.as_headers(),
            flags: RecordFlags::default(),
            ..Record::EMPTY
        });
        count += 1;
    }
    count
}

impl Source for FakeSource {
    fn cluster(&self) -> &str {
        CLUSTER
    }

    fn isolation(&self) -> Option<&str> {
        Self::world(&self.world).isolation
    }

    fn topics(&mut self, wanted: &TopicSelection, _: Duration) -> Result<Vec<TopicInfo>, BrokerError> {
        let mut world = Self::world(&self.world);
        world.looks += 1;
        if let Some(missing) = wanted.names().iter().find(|n| !world.topics.contains_key(*n)) {
            return Err(BrokerError::UnknownTopic { topic: missing.clone(), cluster: CLUSTER.into(), hint: String::new() });
        }
        let accepted = world.topics.iter().filter(|(name, _)| wanted.accepts(name));
        Ok(accepted
            .map(|(name, t)| {
                let id = Some(TopicId([t.id; 16]));
                let lane = |partition: &i32| Lane::Kafka { topic: name.clone(), topic_id: id, partition: *partition };
                TopicInfo { name: name.clone(), id, lanes: t.logs.keys().map(lane).collect() }
            })
            .collect())
    }

    fn check_rights(&mut self, _: &[String], _: Duration) -> Result<(), BrokerError> {
        Ok(())
    }

    fn topic_settings(&mut self, topics: &[String], _: Duration) -> Result<Vec<(String, Vec<(String, String)>)>, BrokerError> {
        Ok(topics.iter().map(|t| (t.clone(), vec![("cleanup.policy".to_owned(), "delete".to_owned())])).collect())
    }

    fn positions(&mut self, lanes: &[(String, i32)], at: StartAt, _: Duration) -> Result<Vec<i64>, BrokerError> {
        let mut world = Self::world(&self.world);
        Ok(lanes
            .iter()
            .map(|(topic, partition)| {
                let log = world.log(topic, *partition);
                match at {
                    StartAt::Beginning => log.low,
                    StartAt::End | StartAt::Time(_) => log.high,
                }
            })
            .collect())
    }

    fn start(&mut self, lanes: &[ReadFrom]) -> Result<(), BrokerError> {
        let mut world = Self::world(&self.world);
        for lane in lanes {
            let next = lane.position - world.repeats;
            self.readers.insert(lane.stream, Reader { topic: lane.topic.clone(), partition: lane.partition, next, told_end: None });
            world.started.push(lane.clone());
        }
        Ok(())
    }

    fn stop(&mut self, streams: &[StreamIx]) -> Result<(), BrokerError> {
        for stream in streams {
            self.readers.remove(stream);
        }
        Self::world(&self.world).stopped.extend(streams);
        Ok(())
    }

    fn poll<H: SourceHandler>(
        &mut self,
        records_max: usize,
        _: Duration,
        clock: &mut dyn FnMut() -> i64,
        handler: &mut H,
    ) -> Result<usize, BrokerError> {
        let mut world = Self::world(&self.world);
        let arrival_ns = clock();
        if let Some(high) = world.cut.take() {
            world.topics.values_mut().next().and_then(|t| t.logs.get_mut(&0)).expect("the test made it").cut_back_to(high);
        }
        let mut notices = std::mem::take(&mut world.notices);
        let mut count = 0;
        let mut out = Vec::new();
        for (&ix, reader) in &mut self.readers {
            let Some(log) = world.topics.get(&reader.topic).and_then(|t| t.logs.get(&reader.partition)) else { continue };
            if world.forbidden.as_ref().is_some_and(|f| *f == (reader.topic.clone(), reader.partition)) {
                out.push(ix);
                notices.push(Notice::Gone { stream: ix, detail: "not permitted".into() });
                continue;
            }
            let repeats = world.repeats;
            if reader.next > log.high || reader.next + repeats < log.low {
                out.push(ix);
                notices.push(Notice::OutOfRange { stream: ix, low: log.low, high: log.high });
                continue;
            }
            count += deliver(ix, reader, log, records_max - count, arrival_ns, handler);
            let all = log.messages.last().is_none_or(|m| m.position < reader.next);
            if all && reader.told_end != Some(log.high) {
                reader.told_end = Some(log.high);
                reader.next = reader.next.max(log.high);
                notices.push(Notice::End { stream: ix, position: log.high });
            }
        }
        out.extend(notices.iter().filter_map(|n| if let Notice::Gone { stream, .. } = n { Some(*stream) } else { None }));
        self.readers.retain(|ix, _| !out.contains(ix));
        let quiet = count == 0 && notices.is_empty();
        notices.into_iter().for_each(|n| handler.notice(n));
        self.delivered += count;
        if world.broken_after.is_some_and(|n| self.delivered >= n) {
            return Err(BrokerError::Fatal("the fake broke".into()));
        }
        if quiet {
            match world.script.pop_front() {
                Some(mut step) => {
                    if !step(&mut world) {
                        world.script.push_front(step);
                        std::thread::yield_now();
                    }
                }
                None => self.stop.store(true, Ordering::SeqCst),
            }
        }
        Ok(count)
    }

    fn lag(&mut self) -> Option<u64> {
        None
    }

    fn withheld(&self) -> usize {
        0
    }
}
