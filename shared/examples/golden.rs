//! Makes the fixtures of the segment format: `cargo run -p dejaq-shared --example golden -- fixtures`.
//!
//! What is there already is never touched: a golden file holds what some build wrote once, so that every later build can be
//! held against it (fixtures/README.md). A file that this build writes otherwise is kept, and has a younger form beside it; see [`put`].

use std::error::Error;
use std::path::Path;

use dejaq_shared::amqp::{Basic, Properties, Table, TableBuf, Value};
use dejaq_shared::ndjson::Exporter;
use dejaq_shared::record::{BrokerTime, Gap, GapReason, Headers, HeadersBuf, Lane, Record, RecordFlags, Stream, TopicId};
use dejaq_shared::segment::MUST_UNDERSTAND;
use dejaq_shared::segment::block::{BlockBuilder, BlockEncoder, EncodedBlock};
use dejaq_shared::segment::codec::Compression;
use dejaq_shared::segment::frame::{FrameHead, HEAD_BYTES, SegmentHeader, frame_type, seal_metadata};
use dejaq_shared::segment::meta::{self, AttachmentV1, FiltersV1, IntroducedStream, SegmentV1, SourceV1, StreamBooksV1};
use dejaq_shared::segment::reader::SegmentReader;
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::recovery::recover;
use dejaq_shared::segment::scan::read_header;
use dejaq_shared::segment::writer::SegmentWriter;

type Outcome<T> = Result<T, Box<dyn Error>>;
type Writer = SegmentWriter<Vec<u8>>;

/// Beyond this length the expected records are compressed.
const PLAIN_BYTES_MAX: usize = 32 << 10;
const ARRIVAL_NS: i64 = 1_700_000_000_000_000_000;
const CREATE_MS: i64 = 1_700_000_000_000;

fn main() -> Outcome<()> {
    let root = std::env::args_os().nth(1).ok_or("usage: golden FIXTURES_DIRECTORY")?;
    let (golden, damaged) = (Path::new(&root).join("golden"), Path::new(&root).join("damaged"));
    std::fs::create_dir_all(&golden)?;
    std::fs::create_dir_all(&damaged)?;
    let mut differ = Vec::new();
    let made = [
        ("empties", empties()?),
        ("keys", keys()?),
        ("times", times()?),
        ("books", books()?),
        ("open", open()?),
        ("recovered", recovered()?),
        ("isolation", isolation()?),
        ("rabbit", rabbit()?),
    ];
    for (name, bytes) in &made {
        let lines = lines_of(bytes)?;
        put(&golden, name, ".dejaq", bytes, &mut differ)?;
        // The records are the same in every form of the segment.
        if lines.len() > PLAIN_BYTES_MAX {
            put(&golden, name, ".ndjson.zst", &zstd::bulk::compress(&lines, 19)?, &mut differ)?;
        } else {
            put(&golden, name, ".ndjson", &lines, &mut differ)?;
        }
    }
    for (name, bytes) in damages()? {
        put(&damaged, name, ".dejaq", &bytes, &mut differ)?;
    }
    if differ.is_empty() { Ok(()) } else { Err(format!("kept, though this build writes them otherwise: {}", differ.join(", ")).into()) }
}

/// What is added to a name where an earlier build wrote the file in another form, that of a younger build. Frames are bound to
/// their places since (docs/FORMAT.md, column 0 and tag 60).
const YOUNGER: &str = "-bound";

/// Writes a segment or its records if they are there in no form yet. What is there stays as it is, and is named in `differ`
/// when its youngest form is another.
fn put(dir: &Path, name: &str, suffix: &str, bytes: &[u8], differ: &mut Vec<String>) -> Outcome<()> {
    for form in ["", YOUNGER] {
        let path = dir.join(format!("{name}{form}{suffix}"));
        match std::fs::read(&path) {
            Ok(there) if there == bytes => return Ok(()),
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(std::fs::write(path, bytes)?),
            Err(e) => return Err(e.into()),
        }
    }
    differ.push(format!("{name}{suffix}"));
    Ok(())
}

/// A segment's records as export writes them.
fn lines_of(segment: &[u8]) -> Outcome<Vec<u8>> {
    let dir = std::env::temp_dir().join(format!("dejaq-golden-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    std::fs::write(dir.join("one.dejaq"), segment)?;
    let recording = Recording::open(&dir)?;
    let mut lines = Vec::new();
    Exporter::new(&recording).write(&mut lines, |_| ())?;
    std::fs::remove_dir_all(&dir)?;
    Ok(lines)
}

fn header(ancestors: &[&str]) -> SegmentHeader {
    let first = SegmentV1::first(*b"golden recording", *b"golden writer  a", *b"\x9esync of golden\x01", "dejaq golden");
    let segment = SegmentV1 { created_wall_ns: ARRIVAL_NS - 1, created_mono_ns: 300, ..first };
    let ancestors = ancestors.iter().map(|a| (*a).to_owned()).collect();
    let source = SourceV1 { broker: "kafka".into(), cluster: "prod-cluster".into(), ancestors };
    let filters = FiltersV1 { topics: vec!["orders".into(), "^metrics".into()], replayed: "stop".into(), sampled_one_in: 1 };
    SegmentHeader { filters, ..SegmentHeader::new(segment, source) }
}

fn stream(topic: &str, partition: i32) -> Stream {
    let topic_id = Some(TopicId(*b"\x01topic id of it\xff"));
    Stream { cluster: "prod-cluster".into(), lane: Lane::Kafka { topic: topic.into(), topic_id, partition } }
}

fn begin(streams: &[(Stream, i64)], ancestors: &[&str]) -> Outcome<Writer> {
    begin_with(&header(ancestors), streams)
}

fn begin_with(header: &SegmentHeader, streams: &[(Stream, i64)]) -> Outcome<Writer> {
    let mut writer = SegmentWriter::begin(Vec::new(), Path::new("golden"), header)?;
    let rows: Vec<IntroducedStream> = (0..).zip(streams).map(|(id, (stream, start))| IntroducedStream::of(id, stream, *start)).collect();
    writer.streams(&rows, &[])?;
    checkpoint(&mut writer)?;
    Ok(writer)
}

fn checkpoint(writer: &mut Writer) -> Outcome<()> {
    let books: Vec<StreamBooksV1> = writer.facts().books.values().copied().collect();
    Ok(writer.checkpoint(&books)?)
}

/// A record to start from.
fn plain(stream: u32, position: i64) -> Record<'static> {
    Record {
        stream,
        position,
        leader_epoch: 3,
        arrival_ns: ARRIVAL_NS + position * 1_000,
        broker_time: BrokerTime::Create(CREATE_MS + position / 3),
        key: Some(b"key"),
        value: Some(b"value"),
        ..Record::EMPTY
    }
}

fn block<'a>(writer: &mut Writer, compression: Compression, records: impl IntoIterator<Item = Record<'a>>) -> Outcome<()> {
    let mut builder = BlockBuilder::new();
    for record in records {
        if !builder.accepts(&record) {
            return Err(format!("position {} does not go into this block", record.position).into());
        }
        builder.push(&record);
    }
    let mut encoded = EncodedBlock::default();
    BlockEncoder::new()?.encode(&builder, compression, &mut encoded)?;
    Ok(writer.block(&encoded)?)
}

/// Null, empty and bytes in every place; then a block in which no column but arrival is needed.
fn empties() -> Outcome<Vec<u8>> {
    let mut writer = begin(&[(stream("orders", 0), 0), (stream("orders", 1), 7)], &[])?;
    let strings: [Option<&[u8]>; 4] = [None, Some(b""), Some(b"text"), Some(b"\xff\x00\x80")];
    let mut sets = vec![HeadersBuf::default()];
    for (name, value) in [(&b""[..], None), (b"", Some(&b""[..])), (b"name", None), (b"\xff\xfe", Some(b"\x00\x80"))] {
        let mut set = HeadersBuf::default();
        set.push(name, value);
        set.push(b"twice", Some(b"1"));
        set.push(b"twice", Some(b"2"));
        sets.push(set);
    }
    let mut records = Vec::new();
    for (i, key) in (0i64..).zip(strings) {
        for (j, (value, set)) in (0i64..).zip(strings.into_iter().zip(sets.iter().cycle().skip(usize::try_from(i)?))) {
            records.push(Record { key, value, headers: set.as_headers(), ..plain(0, i * 4 + j) });
        }
    }
    block(&mut writer, Compression::None, records)?;
    block(&mut writer, Compression::None, (7..9).map(|position| Record { position, arrival_ns: ARRIVAL_NS, stream: 1, ..Record::EMPTY }))?;
    // All strings empty: lengths and no bytes.
    block(&mut writer, Compression::Zstd(3), (16..40).map(|position| Record { key: Some(b""), value: Some(b""), ..plain(0, position) }))?;
    Ok(writer.seal(false)?)
}

/// Keys and header sets that repeat (a dictionary), and ones that do not, long enough to be compressed.
fn keys() -> Outcome<Vec<u8>> {
    let mut writer = begin(&[(stream("orders", 0), 0)], &[])?;
    for (start, distinct) in [(0i64, 5i64), (600, 600)] {
        let names: Vec<String> = (0..600).map(|n| format!("user-{}", n * 7 % distinct)).collect();
        let sets: Vec<HeadersBuf> = (0..600i64)
            .map(|n| {
                let mut set = HeadersBuf::default();
                set.push(b"trace", Some(format!("{}", n % distinct).as_bytes()));
                set
            })
            .collect();
        let records = names.iter().zip(&sets).zip(start..).map(|((name, set), position)| Record {
            key: (position % 50 != 0).then_some(name.as_bytes()),
            value: Some(if position % 2 == 0 { b"{\"amount\":12}" } else { b"{\"amount\":7}" }),
            headers: if position % 60 == 0 { Headers::EMPTY } else { set.as_headers() },
            ..plain(0, position)
        });
        block(&mut writer, Compression::Zstd(3), records)?;
    }
    Ok(writer.seal(false)?)
}

/// Every kind of broker time, sane and not; flags; leader epochs; streams of several identities, interleaved.
fn times() -> Outcome<Vec<u8>> {
    let unknown = Stream { cluster: String::new(), lane: Lane::Kafka { topic: "older".into(), topic_id: None, partition: 2 } };
    let mut writer = begin(&[(stream("metrics", 0), 0), (stream("metrics", 1), 1 << 40), (unknown, -5)], &[])?;
    let kinds = [
        BrokerTime::Create(CREATE_MS),
        BrokerTime::None,
        BrokerTime::Append(CREATE_MS + 1),
        BrokerTime::Create(-5),
        BrokerTime::Create(0),
        BrokerTime::Create(i64::MAX),
        BrokerTime::Create(i64::MIN),
        BrokerTime::Append(CREATE_MS),
        BrokerTime::Create(CREATE_MS * 1_000_000),
    ];
    let first = [0, 1 << 40, -5];
    let mixed = (0..54u8).map(|flags| {
        let n = i64::from(flags);
        let (lane, step) = (flags / 2 % 3, n / 6 * 2 + n % 2);
        let arrival_ns = if n == 30 { ARRIVAL_NS - 3_600_000_000_000 } else { ARRIVAL_NS + n / 4 * 250_000 };
        // Positions with holes; stream 1 has append times alone, stream 2 none.
        let broker_time = match lane {
            0 => kinds[usize::from(flags / 6 * 2 + flags % 2) % kinds.len()],
            1 => BrokerTime::Append(CREATE_MS + step / 5),
            _ => BrokerTime::None,
        };
        let position = first[usize::from(lane)] + step + i64::from(step > 4) * 3;
        let leader_epoch = [0, i32::MAX, -1][usize::from(lane)];
        Record { stream: lane.into(), position, leader_epoch, arrival_ns, broker_time, flags: RecordFlags(flags % 16), ..plain(0, 0) }
    });
    block(&mut writer, Compression::Zstd(1), mixed)?;
    // One arrival and times far apart: i64 differences that wrap.
    let extremes = [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (0, -1)];
    let wrapping = (100..).zip(extremes).map(|(position, (arrival_ns, raw))| Record {
        arrival_ns,
        broker_time: BrokerTime::Create(raw),
        ..plain(0, position)
    });
    block(&mut writer, Compression::None, wrapping)?;
    Ok(writer.seal(false)?)
}

/// Everything that is not records: gaps of every reason, holes, checkpoints, attachments, ancestors, later streams.
fn books() -> Outcome<Vec<u8>> {
    let mut writer = begin(&[(stream("orders", 0), 10)], &["grandparent-cluster"])?;
    writer.attachment(&AttachmentV1 { name: "plan.toml".into(), media_type: "application/toml".into(), bytes: b"speed = 1\n".to_vec() })?;
    writer.attachment(&AttachmentV1 { name: String::new(), media_type: String::new(), bytes: vec![0, 255] })?;
    block(&mut writer, Compression::None, [10, 11, 14].map(|position| plain(0, position)))?;
    writer.sync()?;
    // The same identity again (its log was cut back), and a new one.
    writer.streams(
        &[IntroducedStream::of(1, &stream("orders", 0), 0), IntroducedStream::of(2, &stream("late", 3), 0)],
        &["parent-cluster".into()],
    )?;
    let reasons =
        ["retention", "truncation", "drop", "unparseable", "oversize", "disconnect", "filter change", "replay", "of a later dejaq"];
    for (n, reason) in (0i64..).zip(reasons) {
        let known = n % 2 == 0;
        writer.gap(&Gap {
            stream: (n != 5).then_some(0),
            scope: if n == 5 { "all streams".into() } else { "orders/0".into() },
            from: known.then_some(15 + n),
            to: known.then_some(17 + n),
            from_time_ns: (!known).then_some(ARRIVAL_NS),
            to_time_ns: (n == 5).then_some(ARRIVAL_NS + 1),
            count: known.then_some(2),
            exact: known,
            reason: GapReason::from_name(reason),
            detail: if known { String::new() } else { "because — so".into() },
        })?;
    }
    block(&mut writer, Compression::None, [(1u32, 0i64), (2, 4), (0, 30), (1, 1)].map(|(lane, position)| plain(lane, position)))?;
    let mut rows: Vec<StreamBooksV1> = writer.facts().books.values().copied().collect();
    if let Some(row) = rows.first_mut() {
        row.ended = true;
    }
    writer.checkpoint(&rows)?;
    Ok(writer.seal(false)?)
}

fn three_blocks() -> Outcome<Writer> {
    let mut writer = begin(&[(stream("orders", 0), 0)], &[])?;
    for start in [0, 4, 8] {
        block(&mut writer, Compression::None, (start..start + 4).map(|position| plain(0, position)))?;
        writer.sync()?;
    }
    Ok(writer)
}

/// A header that states how transactions were read, and holes where their markers were.
fn isolation() -> Outcome<Vec<u8>> {
    let header = SegmentHeader { isolation: Some("read_committed".into()), ..header(&[]) };
    let mut writer = begin_with(&header, &[(stream("orders", 0), 0)])?;
    block(&mut writer, Compression::None, [0, 1, 5, 6].map(|position| plain(0, position)))?;
    Ok(writer.seal(false)?)
}

/// RabbitMQ: exchanges and a stream queue, routing keys with a dictionary and without, every property and every AMQP type.
fn rabbit() -> Outcome<Vec<u8>> {
    let lane = |lane| Stream { cluster: "rabbit@prod".into(), lane };
    let exchange = |vhost: &str, exchange: &str| lane(Lane::RabbitExchange { vhost: vhost.into(), exchange: exchange.into() });
    let queue = lane(Lane::RabbitQueue { vhost: "tenant".into(), queue: "log".into() });
    let mut header = header(&[]);
    (header.source.broker, header.source.cluster) = ("rabbitmq".into(), "rabbit@prod".into());
    let mut writer = begin_with(&header, &[(exchange("/", ""), 0), (exchange("tenant", "orders"), 0), (queue, 40)])?;
    let table = every_type();
    let mut sets = vec![Vec::new()];
    for basic in [
        Basic { headers: Some(Table::EMPTY), ..Basic::default() },
        Basic { content_type: Some(b""), priority: Some(0), timestamp: Some(u64::MAX), cluster_id: Some(b"\xff"), ..Basic::default() },
        Basic {
            content_type: Some(b"application/json"),
            content_encoding: Some(b"gzip"),
            headers: Some(table.as_table()?),
            delivery_mode: Some(2),
            priority: Some(9),
            correlation_id: Some(b"c"),
            reply_to: Some(b"amq.rabbitmq.reply-to"),
            expiration: Some(b"60000"),
            message_id: Some(&[b'm'; 255]),
            timestamp: Some(1_700_000_000),
            kind: Some(b"t"),
            user_id: Some(b"guest"),
            app_id: Some(b"app"),
            cluster_id: Some(b"x"),
        },
    ] {
        let mut set = Vec::new();
        basic.write(&mut set)?;
        sets.push(set);
    }
    let keys: [Option<&[u8]>; 4] = [Some(b""), Some(b"orders.eu.new"), Some(b"\xff."), Some(b"orders.us.new")];
    let records =
        (0i64..12).zip(keys.into_iter().cycle().zip(sets.iter().cycle().skip(1).step_by(3))).map(|(n, (routing_key, set))| Record {
            stream: if n < 6 { 0 } else { 1 },
            flags: if n == 5 { RecordFlags::REDELIVERED } else { RecordFlags::default() },
            broker_time: BrokerTime::None,
            key: None,
            routing_key,
            properties: Properties::from_checked(set),
            leader_epoch: -1,
            ..plain(0, n)
        });
    block(&mut writer, Compression::None, records)?;
    // A stream queue: no routing key known of some; then keys that do not repeat, compressed.
    let of_queue = |position| Record { stream: 2, key: None, broker_time: BrokerTime::None, leader_epoch: -1, ..plain(2, position) };
    block(&mut writer, Compression::Zstd(3), (40..44).map(|n| Record { routing_key: (n % 2 == 0).then_some(&b"k"[..]), ..of_queue(n) }))?;
    let names: Vec<String> = (0..600).map(|n| format!("device.{n}.up")).collect();
    let ids: Vec<Vec<u8>> = (0..600u32)
        .map(|n| {
            let mut set = Vec::new();
            Basic { message_id: Some(n.to_string().as_bytes()), ..Basic::default() }.write(&mut set).map(|()| set)
        })
        .collect::<Result<_, _>>()?;
    let unique = names.iter().zip(&ids).zip(44..).map(|((name, set), position)| Record {
        routing_key: Some(name.as_bytes()),
        properties: Properties::from_checked(set),
        value: None,
        ..of_queue(position)
    });
    block(&mut writer, Compression::Zstd(3), unique)?;
    Ok(writer.seal(false)?)
}

/// A header table with a value of every type, a name twice, and tables and arrays in each other.
fn every_type() -> TableBuf {
    let mut table = TableBuf::default();
    for (name, value) in [
        (&b"t"[..], Value::Bool(true)),
        (b"b", Value::I8(-128)),
        (b"B", Value::U8(255)),
        (b"s", Value::I16(-32_768)),
        (b"u", Value::U16(65_535)),
        (b"I", Value::I32(i32::MIN)),
        (b"i", Value::U32(u32::MAX)),
        (b"l", Value::I64(i64::MIN)),
        (b"f", Value::F32(0x7fc0_0001)),
        (b"d", Value::F64(1.5f64.to_bits())),
        (b"D", Value::Decimal { scale: 2, value: 4_294_967_295 }),
        (b"S", Value::String(b"text")),
        (b"S", Value::String(b"\xff\x00")),
        (b"T", Value::Timestamp(u64::MAX)),
        (b"x", Value::Bytes(b"\x00\xfe")),
        (b"V", Value::Void),
        (b"", Value::String(b"")),
        (b"\xff", Value::Bool(false)),
    ] {
        table.name(name).value(value);
    }
    table.name(b"F").begin_table().name(b"A").begin_array().value(Value::Void).begin_table().end().begin_array();
    table.value(Value::I8(1)).end().end().name(b"A").value(Value::I64(7)).end();
    table
}

/// Without a footer, and after its last block with a frame that is not a block.
fn open() -> Outcome<Vec<u8>> {
    let mut writer = three_blocks()?;
    checkpoint(&mut writer)?;
    Ok(writer.store().clone())
}

/// Sealed by recovery: the second block is bad (it had been synced: kept as damage), and a torn tail was cut.
fn recovered() -> Outcome<Vec<u8>> {
    let mut bytes = three_blocks()?.store().clone();
    let frames = SegmentReader::read(&bytes, Path::new("golden"))?.facts.frames;
    let second = usize::try_from(frames[3].offset)? + HEAD_BYTES + frames[3].body_bytes as usize - 1;
    bytes[second] ^= 1;
    bytes.extend_from_slice(b"\x9esync of golden\x01torn");
    let path = Path::new("golden");
    let found = recover(&bytes, path)?;
    Ok(SegmentWriter::go_on(bytes, path, &found.header, found.facts, found.keep_bytes)?.seal(true)?)
}

/// A stream under a tag of a later broker: what RabbitMQ's tags are to a build without them.
fn unknown_stream() -> Outcome<Vec<u8>> {
    let mut writer = begin(&[(stream("orders", 0), 0)], &[])?;
    block(&mut writer, Compression::None, [plain(0, 0)])?;
    let (facts, mut bytes) = (writer.facts().clone(), writer.store().clone());
    let mut list = Vec::new();
    meta::write_bytes(&mut list, 19, MUST_UNDERSTAND, b"later");
    let body = seal_metadata(list);
    let length = u32::try_from(body.len())?;
    let sync = header(&[]).segment.sync;
    let (head, _) = FrameHead::encode(&sync, frame_type::STREAMS, MUST_UNDERSTAND, facts.next_number, facts.last_head_crc, length);
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// A block whose second record has properties that are cut in their header table.
fn malformed_properties() -> Outcome<Vec<u8>> {
    let lane = Lane::RabbitExchange { vhost: "/".into(), exchange: "orders".into() };
    let mut writer = begin(&[(Stream { cluster: "rabbit@prod".into(), lane }, 0)], &[])?;
    let of =
        |position, properties| Record { routing_key: Some(b"k"), properties: Properties::from_checked(properties), ..plain(0, position) };
    block(&mut writer, Compression::None, [of(0, b"\x10\x00\x05")])?;
    block(&mut writer, Compression::None, [of(1, b"\x10\x00\x05"), of(2, b"\x04\x00\x03\x00\x00\x00\x01nS")])?;
    Ok(writer.seal(false)?)
}

/// Segments that are wrong, each in one way.
fn damages() -> Outcome<Vec<(&'static str, Vec<u8>)>> {
    let path = Path::new("golden");
    let whole = three_blocks()?.seal(false)?;
    let frames = SegmentReader::read(&whole, path)?.facts.frames;
    let range = |n: usize| -> Outcome<std::ops::Range<usize>> {
        let start = usize::try_from(frames[n].offset)?;
        Ok(start..start + HEAD_BYTES + frames[n].body_bytes as usize)
    };
    let (second, last) = (range(3)?, range(4)?);
    let mut made = Vec::new();
    let mut bad_block = whole.clone();
    bad_block[second.end - 1] ^= 1;
    made.push(("bad-block", bad_block));
    made.push(("torn-tail", whole[..last.end - 5].to_vec()));
    made.push(("removed-frame", [&whole[..second.start], &whole[second.end..]].concat()));
    made.push(("repeated-frame", [&whole[..second.end], &whole[second.start..]].concat()));
    made.push(("swapped-frames", [&whole[..second.start], &whole[last.clone()], &whole[second.clone()], &whole[last.end..]].concat()));
    let mut swapped_bodies = whole.clone();
    swapped_bodies[second.start + HEAD_BYTES..second.end].copy_from_slice(&whole[last.start + HEAD_BYTES..last.end]);
    swapped_bodies[last.start + HEAD_BYTES..last.end].copy_from_slice(&whole[second.start + HEAD_BYTES..second.end]);
    made.push(("swapped-bodies", swapped_bodies));
    let mut bad_footer = whole.clone();
    bad_footer[last.end + 60] ^= 1;
    made.push(("bad-footer", bad_footer));
    made.push(("unknown-stream-must", unknown_stream()?));
    made.push(("properties", malformed_properties()?));
    let mut future = whole.clone();
    future[8] = 2;
    made.push(("future-version", future));
    let mut claims = whole.clone();
    claims[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    made.push(("header-4-gib", claims));
    let (header, chain, start) = read_header(&whole, path)?;
    for (name, flags) in [("unknown-frame-must", MUST_UNDERSTAND), ("unknown-frame", 0)] {
        let body = seal_metadata(b"of a later dejaq".to_vec());
        let (head, _) = FrameHead::encode(&header.segment.sync, 77, flags, 0, chain, u32::try_from(body.len())?);
        made.push((name, [&whole[..usize::try_from(start)?], &head, &body].concat()));
    }
    Ok(made)
}
