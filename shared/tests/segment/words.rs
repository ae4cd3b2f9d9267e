//! The tests' vocabulary: owned records, segments in memory, recordings in a temporary directory.

use std::path::{Path, PathBuf};

use dejaq_shared::amqp::{Basic, Properties, Table, TableBuf, Value};
use dejaq_shared::record::{BrokerTime, HeadersBuf, Lane, Record, RecordFlags, Stream, TopicId};
use dejaq_shared::segment::block::{BlockBuilder, BlockEncoder, EncodedBlock};
use dejaq_shared::segment::block_read::{Block, Wanted};
use dejaq_shared::segment::codec::Compression;
use dejaq_shared::segment::frame::{SegmentHeader, frame_type};
use dejaq_shared::segment::meta::{FiltersV1, IntroducedStream, SegmentV1, SourceV1};
use dejaq_shared::segment::reader::{BlockReader, Place, SegmentReader};
use dejaq_shared::segment::recording_writer::{NewRecording, RollPolicy};
use dejaq_shared::segment::writer::SegmentWriter;
use proptest::prelude::*;

/// A record that owns its bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Owned {
    pub(crate) stream: u32,
    pub(crate) position: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) arrival_ns: i64,
    pub(crate) broker_time: BrokerTime,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(crate) flags: u8,
    pub(crate) routing_key: Option<Vec<u8>>,
    /// Encoded.
    pub(crate) properties: Vec<u8>,
}

impl Owned {
    pub(crate) fn at(stream: u32, position: i64) -> Self {
        Self {
            stream,
            position,
            leader_epoch: 3,
            arrival_ns: 1_700_000_000_000_000_000 + position * 1_000,
            broker_time: BrokerTime::Create(1_700_000_000_000 + position / 10),
            key: Some(format!("key-{}", position % 7).into_bytes()),
            value: Some(format!("{{\"n\":{position},\"stream\":{stream}}}").into_bytes()),
            headers: vec![(b"path".to_vec(), Some(b"dns".to_vec()))],
            flags: 0,
            routing_key: None,
            properties: Vec::new(),
        }
    }

    pub(crate) fn of(record: &Record<'_>) -> Self {
        Self {
            stream: record.stream,
            position: record.position,
            leader_epoch: record.leader_epoch,
            arrival_ns: record.arrival_ns,
            broker_time: record.broker_time,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers.iter().map(|(n, v)| (n.to_vec(), v.map(<[u8]>::to_vec))).collect(),
            flags: record.flags.0,
            routing_key: record.routing_key.map(<[u8]>::to_vec),
            properties: record.properties.as_bytes().to_vec(),
        }
    }

    pub(crate) fn lend<T>(&self, f: impl FnOnce(&Record<'_>) -> T) -> T {
        let mut headers = HeadersBuf::default();
        for (name, value) in &self.headers {
            headers.push(name, value.as_deref());
        }
        f(&Record {
            stream: self.stream,
            position: self.position,
            leader_epoch: self.leader_epoch,
            arrival_ns: self.arrival_ns,
            broker_time: self.broker_time,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: headers.as_headers(),
            flags: RecordFlags(self.flags),
            routing_key: self.routing_key.as_deref(),
            properties: Properties::parse(&self.properties).expect("properties"),
        })
    }
}

/// Any record at all, for stream `0..streams`; positions are given by [`numbered`].
pub(crate) fn any_record(streams: u32) -> impl Strategy<Value = Owned> {
    let bytes = |most: usize| prop_oneof![prop::collection::vec(any::<u8>(), 0..most), "[a-c]{0,3}".prop_map(String::into_bytes)];
    let time = prop_oneof![
        Just(BrokerTime::None),
        any::<i64>().prop_map(BrokerTime::Create),
        (1_600_000_000_000i64..1_600_000_100_000).prop_map(BrokerTime::Create),
        any::<i64>().prop_map(BrokerTime::Append),
    ];
    let header = (bytes(8), prop::option::of(bytes(12)));
    (
        0..streams,
        1i64..5,
        any::<i64>(),
        time,
        prop::option::of(bytes(24)),
        prop::option::of(bytes(300)),
        prop::collection::vec(header, 0..4),
        0u8..16,
    )
        .prop_map(|(stream, position, arrival_ns, broker_time, key, value, headers, flags)| Owned {
            stream,
            position,
            leader_epoch: 3,
            arrival_ns,
            broker_time,
            key,
            value,
            headers,
            flags,
            routing_key: None,
            properties: Vec::new(),
        })
}

/// Any record of RabbitMQ's.
pub(crate) fn any_rabbit_record(streams: u32) -> impl Strategy<Value = Owned> {
    let routing_key = prop_oneof![prop::collection::vec(any::<u8>(), 0..9), "[ab]\\.[ab]".prop_map(String::into_bytes)];
    (any_record(streams), routing_key, any_properties()).prop_map(|(record, routing_key, properties)| Owned {
        key: None,
        headers: Vec::new(),
        routing_key: Some(routing_key),
        properties,
        ..record
    })
}

/// A value of a header table that owns what is in it.
#[derive(Debug, Clone)]
enum Tree {
    Leaf(Vec<u8>),
    Array(Vec<Tree>),
    Table(Vec<(Vec<u8>, Tree)>),
}

impl Tree {
    fn put(&self, out: &mut TableBuf) {
        match self {
            Self::Leaf(bytes) => drop(out.value(Table::parse(bytes).expect("one entry").iter().next().expect("one").1)),
            Self::Array(values) => {
                out.begin_array();
                values.iter().for_each(|value| value.put(out));
                out.end();
            }
            Self::Table(entries) => {
                out.begin_table();
                Self::put_entries(entries, out);
                out.end();
            }
        }
    }

    fn put_entries(entries: &[(Vec<u8>, Self)], out: &mut TableBuf) {
        entries.iter().for_each(|(name, value)| {
            out.name(name);
            value.put(out);
        });
    }
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = |value: Value<'_>| {
        let mut bytes = vec![0];
        value.write(&mut bytes);
        Tree::Leaf(bytes)
    };
    let bytes = || prop_oneof![prop::collection::vec(any::<u8>(), 0..20), "[a-z \"]{0,9}".prop_map(String::into_bytes)];
    let leaves = prop_oneof![
        any::<bool>().prop_map(move |v| leaf(Value::Bool(v))),
        any::<i8>().prop_map(move |v| leaf(Value::I8(v))),
        any::<u8>().prop_map(move |v| leaf(Value::U8(v))),
        any::<i16>().prop_map(move |v| leaf(Value::I16(v))),
        any::<u16>().prop_map(move |v| leaf(Value::U16(v))),
        any::<i32>().prop_map(move |v| leaf(Value::I32(v))),
        any::<u32>().prop_map(move |v| leaf(Value::U32(v))),
        any::<i64>().prop_map(move |v| leaf(Value::I64(v))),
        any::<u32>().prop_map(move |v| leaf(Value::F32(v))),
        (0u32..1 << 22).prop_map(move |v| leaf(Value::F32(0x7f80_0000 | v))),
        any::<u64>().prop_map(move |v| leaf(Value::F64(v))),
        (any::<u8>(), any::<u32>()).prop_map(move |(scale, value)| leaf(Value::Decimal { scale, value })),
        bytes().prop_map(move |v| leaf(Value::String(&v))),
        any::<u64>().prop_map(move |v| leaf(Value::Timestamp(v))),
        bytes().prop_map(move |v| leaf(Value::Bytes(&v))),
        Just(()).prop_map(move |()| leaf(Value::Void)),
    ];
    leaves.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::Array),
            prop::collection::vec(("[ab]{0,2}".prop_map(String::into_bytes), inner), 0..4).prop_map(Tree::Table),
        ]
    })
}

/// Any properties, encoded: every subset of them, every type.
pub(crate) fn any_properties() -> impl Strategy<Value = Vec<u8>> {
    let name = || prop_oneof![prop::collection::vec(any::<u8>(), 0..6), "[ab]{0,2}".prop_map(String::into_bytes)];
    let headers = prop::option::of(prop::collection::vec((name(), any_tree()), 0..5));
    let strings = prop::array::uniform10(prop::option::of(prop_oneof![name(), prop::collection::vec(any::<u8>(), 255)]));
    (headers, strings, any::<Option<u8>>(), any::<Option<u8>>(), any::<Option<u64>>()).prop_map(
        |(headers, strings, mode, priority, timestamp)| {
            let mut table = TableBuf::default();
            Tree::put_entries(headers.as_deref().unwrap_or_default(), &mut table);
            let [content_type, content_encoding, correlation_id, reply_to, expiration, message_id, kind, user_id, app_id, cluster_id] =
                strings.each_ref().map(Option::as_deref);
            let basic = Basic {
                content_type,
                content_encoding,
                headers: headers.as_ref().map(|_| table.as_table().expect("built right")),
                delivery_mode: mode,
                priority,
                correlation_id,
                reply_to,
                expiration,
                message_id,
                timestamp,
                kind,
                user_id,
                app_id,
                cluster_id,
            };
            let mut out = Vec::new();
            basic.write(&mut out).expect("short enough");
            assert_eq!(Properties::parse(&out).expect("own encoding").basic(), basic);
            out
        },
    )
}

/// Makes each record's position (a step) absolute in its stream.
pub(crate) fn numbered(mut records: Vec<Owned>) -> Vec<Owned> {
    let mut at = std::collections::HashMap::new();
    for record in &mut records {
        let next = at.entry(record.stream).or_insert(0i64);
        *next += record.position;
        record.position = *next;
    }
    records
}

pub(crate) fn header() -> SegmentHeader {
    let first = SegmentV1::first([1; 16], [2; 16], *b"sixteen sync b..", "test");
    let segment = SegmentV1 { created_wall_ns: 1_700_000_000_000_000_000, created_mono_ns: 5, ..first };
    let source = SourceV1 { broker: "kafka".into(), cluster: "cluster-a".into(), ancestors: vec!["elder".into()] };
    let filters = FiltersV1 { topics: vec!["^metrics".into()], replayed: "stop".into(), sampled_one_in: 1 };
    SegmentHeader { filters, ..SegmentHeader::new(segment, source) }
}

pub(crate) fn stream(topic: &str, partition: i32) -> Stream {
    Stream { cluster: "cluster-a".into(), lane: Lane::Kafka { topic: topic.into(), topic_id: Some(TopicId([9; 16])), partition } }
}

pub(crate) fn exchange(exchange: &str) -> Stream {
    Stream { cluster: "rabbit".into(), lane: Lane::RabbitExchange { vhost: "/".into(), exchange: exchange.into() } }
}

pub(crate) fn queue(queue: &str) -> Stream {
    Stream { cluster: "rabbit".into(), lane: Lane::RabbitQueue { vhost: "tenant".into(), queue: queue.into() } }
}

pub(crate) fn encode(records: &[Owned], compression: Compression) -> EncodedBlock {
    let mut builder = BlockBuilder::new();
    for record in records {
        record.lend(|r| builder.push(r));
    }
    let mut block = EncodedBlock::default();
    BlockEncoder::new().expect("zstd").encode(&builder, compression, &mut block).expect("zstd");
    block
}

/// A segment in memory: streams `t/0`, `t/1`, …, then a block for each slice of records.
pub(crate) fn begin(streams: u32) -> SegmentWriter<Vec<u8>> {
    begin_with(&header(), streams)
}

/// The same with a header of one's own.
pub(crate) fn begin_with(header: &SegmentHeader, streams: u32) -> SegmentWriter<Vec<u8>> {
    let mut writer = SegmentWriter::begin(Vec::new(), Path::new("memory"), header).expect("memory");
    let rows: Vec<IntroducedStream> = (0..streams).map(|id| IntroducedStream::of(id, &stream("t", id.cast_signed()), 0)).collect();
    writer.streams(&rows, &[]).expect("memory");
    writer.checkpoint(&writer.facts().books.values().copied().collect::<Vec<_>>()).expect("memory");
    writer
}

pub(crate) fn segment(streams: u32, blocks: &[&[Owned]]) -> SegmentWriter<Vec<u8>> {
    let mut writer = begin(streams);
    for records in blocks {
        writer.block(&encode(records, Compression::Zstd(3))).expect("memory");
    }
    writer
}

/// All records of all blocks, found by the facts as `Recording` finds them; the first that cannot be read is the error.
pub(crate) fn read_all(bytes: &Vec<u8>) -> Result<Vec<Owned>, dejaq_shared::segment::SegmentError> {
    let mut records = Vec::new();
    read_blocks(bytes)?.into_iter().try_for_each(|block| block.map(|block| records.extend(block)))?;
    Ok(records)
}

type Found = Result<Vec<Owned>, dejaq_shared::segment::SegmentError>;

/// The records of each block, or what is wrong with it.
pub(crate) fn read_blocks(bytes: &Vec<u8>) -> Result<Vec<Found>, dejaq_shared::segment::SegmentError> {
    let path = PathBuf::from("memory");
    let reader = SegmentReader::read(bytes, &path)?;
    let mut blocks = BlockReader::new()?;
    let mut block = Block::default();
    let frames = (0..).zip(&reader.facts.frames).filter(|(_, f)| f.frame_type == frame_type::RECORDS);
    let found = frames.map(|(number, frame)| {
        let place = Place { offset: frame.offset, number: reader.facts.is_complete().then_some(number) };
        blocks.read(bytes, &path, &reader.header.segment.sync, place, Wanted::ALL, &mut block)?;
        Ok((0..block.len()).map(|i| Owned::of(&block.record(i))).collect())
    });
    Ok(found.collect())
}

pub(crate) fn new_recording() -> NewRecording {
    NewRecording { source: header().source, filters: header().filters, isolation: None, roll: RollPolicy::default() }
}
