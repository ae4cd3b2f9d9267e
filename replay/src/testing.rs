//! What the tests of this crate share: a recording in memory.

use dejaq_shared::broker::sink::Outgoing;
use dejaq_shared::record::{BrokerTime, Headers, Record, RecordFlags, StreamIx};

use crate::feed::{FeedError, RecordFeed, TakeRecord};

/// A recording in memory: `(time, stream)` of each record; the value is the record's number, the key its lowest byte.
pub(crate) struct MemoryFeed {
    records: Vec<(i64, StreamIx)>,
    at: usize,
    fails_at: Option<usize>,
    panics: bool,
    /// Values in place of the records' numbers.
    values: Vec<Vec<u8>>,
}

impl MemoryFeed {
    pub(crate) fn new(records: Vec<(i64, StreamIx)>) -> Self {
        Self { records, at: 0, fails_at: None, panics: false, values: Vec::new() }
    }

    pub(crate) fn of_times(times: &[i64]) -> Self {
        Self::new(times.iter().map(|t| (*t, 0)).collect())
    }

    /// `count` records, `gap_ns` apart, over this many streams in turn.
    pub(crate) fn steady(count: u32, gap_ns: i64, streams: u32) -> Self {
        Self::new((0..count).map(|i| (i64::from(i) * gap_ns, i % streams)).collect())
    }

    /// The same with values of one's own, in turn.
    pub(crate) fn with_values(mut self, values: Vec<Vec<u8>>) -> Self {
        self.values = values;
        self
    }

    pub(crate) fn failing_after(mut self, records: usize) -> Self {
        self.fails_at = Some(records);
        self
    }

    pub(crate) fn panicking_after(mut self, records: usize) -> Self {
        self.panics = true;
        self.failing_after(records)
    }
}

impl RecordFeed for MemoryFeed {
    fn next_batch(&mut self, max: usize, take: &mut TakeRecord<'_>) -> Result<usize, FeedError> {
        let mut given = 0;
        while given < max && self.at < self.records.len() {
            if self.fails_at == Some(self.at) {
                assert!(!self.panics, "a defect, for a test");
                return Err(FeedError::new("segment 000001: block 3 is damaged"));
            }
            let (time, stream) = self.records[self.at];
            let value = self.at.to_le_bytes();
            take(
                time,
                &Record {
                    stream,
                    position: i64::try_from(self.at).expect("small"),
                    leader_epoch: -1,
                    arrival_ns: time,
                    broker_time: BrokerTime::Create(time / 1_000_000),
                    key: Some(&value[..1]),
                    value: Some(if self.values.is_empty() { &value } else { &self.values[self.at % self.values.len()] }),
                    headers: Headers::EMPTY,
                    flags: RecordFlags::default(),
                    ..Record::EMPTY
                },
            );
            self.at += 1;
            given += 1;
        }
        Ok(given)
    }

    fn rewind(&mut self) -> Result<(), FeedError> {
        self.at = 0;
        Ok(())
    }
}

/// A record of stream 3.
pub(crate) fn record<'a>(key: Option<&'a [u8]>, value: Option<&'a [u8]>, headers: Headers<'a>) -> Record<'a> {
    Record {
        stream: 3,
        position: 9,
        leader_epoch: -1,
        arrival_ns: 0,
        broker_time: BrokerTime::None,
        key,
        value,
        headers,
        flags: RecordFlags::default(),
        ..Record::EMPTY
    }
}

/// A Kafka stream of cluster "prod".
pub(crate) fn stream(topic: &str, partition: i32) -> dejaq_shared::record::Stream {
    dejaq_shared::record::Stream {
        cluster: "prod".to_owned(),
        lane: dejaq_shared::record::Lane::Kafka { topic: topic.to_owned(), topic_id: None, partition },
    }
}

/// A message as a client was handed it, but for its tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Said {
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) headers: Vec<u8>,
    pub(crate) mark: Option<Vec<u8>>,
    pub(crate) target: u32,
    pub(crate) partition: i32,
    pub(crate) connection: u32,
    pub(crate) routing_key: Option<Vec<u8>>,
    pub(crate) properties: Vec<u8>,
    pub(crate) timestamp_ms: Option<i64>,
}

impl Said {
    pub(crate) fn of(message: &Outgoing<'_>) -> Self {
        Self {
            value: message.value.map(<[u8]>::to_vec),
            key: message.key.map(<[u8]>::to_vec),
            headers: message.headers.as_bytes().to_vec(),
            mark: message.mark.map(<[u8]>::to_vec),
            target: message.target,
            partition: message.partition,
            connection: message.connection,
            routing_key: message.routing_key.map(<[u8]>::to_vec),
            properties: message.properties.as_bytes().to_vec(),
            timestamp_ms: message.timestamp_ms,
        }
    }
}
