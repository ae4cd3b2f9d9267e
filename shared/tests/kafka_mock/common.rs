//! What the tests share: a target that sends and collects its answers, a source that reads and collects.

use std::time::{Duration, Instant};

use dejaq_shared::broker::endpoint::Endpoint;
use dejaq_shared::broker::kafka::embedded::EmbeddedKafka;
use dejaq_shared::broker::sink::{
    ClientProfile, Completion, Completions as _, Destination, Outgoing, QueueLimits, Refusal, Sink as _, SinkOptions,
};
use dejaq_shared::broker::source::{Notice, ReadFrom, Source as _, SourceHandler, SourceOptions, StartAt};
use dejaq_shared::broker::{AnyCompletions, AnySink, AnySource, AnyTarget};
use dejaq_shared::record::{BrokerTime, Record};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn endpoint(kafka: &EmbeddedKafka) -> Endpoint {
    Endpoint::parse(&kafka.url()).expect("the embedded cluster's own URL")
}

pub(crate) fn pairs(user: &[(&str, &str)]) -> Vec<(String, String)> {
    user.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn sink_options(user: &[(&str, &str)]) -> SinkOptions {
    let queue = QueueLimits { messages_max: 100_000, bytes_max: 96 << 20 };
    SinkOptions { queue, profile: ClientProfile::Precise, connections: 1, user: pairs(user) }
}

pub(crate) fn connect_target(kafka: &EmbeddedKafka, user: &[(&str, &str)]) -> AnyTarget {
    AnyTarget::connect(&endpoint(kafka), &sink_options(user), PATIENCE).expect("a target")
}

/// A message of which only the value matters.
pub(crate) fn plain(target: u32, partition: i32, value: &[u8], tag: usize) -> Outgoing<'_> {
    Outgoing { target, partition, value: Some(value), tag, ..Outgoing::EMPTY }
}

/// An open target and the answers so far.
pub(crate) struct Sending {
    pub(crate) sink: AnySink,
    pub(crate) completions: AnyCompletions,
    pub(crate) answers: Vec<Completion>,
}

impl Sending {
    pub(crate) fn open(kafka: &EmbeddedKafka, topics: &[&str], user: &[(&str, &str)]) -> Self {
        let topics: Vec<Destination> = topics.iter().map(|t| Destination::named(*t)).collect();
        let (sink, completions) = connect_target(kafka, user).open(&topics, PATIENCE).expect("topics are there");
        Self { sink, completions, answers: Vec::new() }
    }

    pub(crate) fn submit(&mut self, message: &Outgoing<'_>) -> Result<(), Refusal> {
        self.sink.submit(message)
    }

    /// Polls until nothing is in flight.
    pub(crate) fn drain(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while self.sink.in_flight() > 0 {
            assert!(Instant::now() < deadline, "{} messages are not answered", self.sink.in_flight());
            self.completions.poll(Duration::from_millis(50), &mut |batch| self.answers.extend_from_slice(batch)).expect("a live client");
        }
    }

    /// Sends values to a partition, in order, and waits until they are acknowledged.
    pub(crate) fn send(&mut self, target: u32, partition: i32, values: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        for (tag, value) in values.into_iter().enumerate() {
            self.submit(&plain(target, partition, value.as_ref(), tag)).expect("taken");
        }
        self.drain();
    }
}

/// A record with bytes of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) stream: u32,
    pub(crate) position: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(crate) broker_time: BrokerTime,
    pub(crate) arrival_ns: i64,
    pub(crate) replayed: bool,
}

/// What a source delivered.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) records: Vec<Owned>,
    pub(crate) notices: Vec<Notice>,
}

impl SourceHandler for Seen {
    fn record(&mut self, r: &Record<'_>) {
        let headers = r.headers.iter().map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec))).collect();
        self.records.push(Owned {
            stream: r.stream,
            position: r.position,
            leader_epoch: r.leader_epoch,
            key: r.key.map(<[u8]>::to_vec),
            value: r.value.map(<[u8]>::to_vec),
            headers,
            broker_time: r.broker_time,
            arrival_ns: r.arrival_ns,
            replayed: r.flags.has(dejaq_shared::record::RecordFlags::REPLAYED),
        });
    }

    fn notice(&mut self, notice: Notice) {
        self.notices.push(notice);
    }
}

impl Seen {
    pub(crate) fn positions(&self, stream: u32) -> Vec<i64> {
        self.records.iter().filter(|r| r.stream == stream).map(|r| r.position).collect()
    }

    pub(crate) fn ended(&self, stream: u32) -> Option<i64> {
        self.notices.iter().rev().find_map(|n| match n {
            Notice::End { stream: s, position } if *s == stream => Some(*position),
            _ => None,
        })
    }
}

pub(crate) struct Reading {
    pub(crate) source: AnySource,
    pub(crate) seen: Seen,
}

impl Reading {
    /// The embedded cluster answers an empty fetch only after the whole wait, so that is made short.
    pub(crate) fn connect(kafka: &EmbeddedKafka) -> Self {
        Self::connect_with(kafka, &[])
    }

    pub(crate) fn connect_with(kafka: &EmbeddedKafka, user: &[(&str, &str)]) -> Self {
        let mut user = pairs(user);
        user.extend(pairs(&[("fetch.wait.max.ms", "10")]));
        let options = SourceOptions { user, ..SourceOptions::default() };
        Self { source: AnySource::connect(&endpoint(kafka), &options, PATIENCE).expect("a source"), seen: Seen::default() }
    }

    pub(crate) fn start(&mut self, stream: u32, topic: &str, partition: i32, position: i64) {
        let lane = ReadFrom { stream, topic: topic.to_owned(), partition, position, leader_epoch: -1 };
        self.source.start(&[lane]).expect("started");
    }

    pub(crate) fn position(&mut self, topic: &str, partition: i32, at: StartAt) -> i64 {
        self.source.positions(&[(topic.to_owned(), partition)], at, PATIENCE).expect("a position")[0]
    }

    pub(crate) fn poll(&mut self) {
        self.source.poll(500, Duration::from_millis(50), &mut || 42, &mut self.seen).expect("a live client");
    }

    pub(crate) fn until(&mut self, what: &str, done: impl Fn(&Seen) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(&self.seen) {
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}; notices {:?}, {} records",
                self.seen.notices,
                self.seen.records.len()
            );
            self.poll();
        }
    }
}
