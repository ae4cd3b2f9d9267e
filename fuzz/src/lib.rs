//! The fuzz targets, as functions: bytes of others in; no panic, no endless loop, no memory beyond the format's limits; and
//! what was read holds together. `scripts/fuzz` drives them; checksums count as right in this build
//! (`shared/src/segment/checksum.rs`).

use std::path::Path;
use std::sync::Arc;

use dejaq_replay::transform::formats::{FormatKind, StampField, StampUnit, Wanted as FormatWanted, laws};
use dejaq_shared::amqp::{Properties, TableBuf};
use dejaq_shared::broker::endpoint::{Endpoint, redact};
use dejaq_shared::ndjson::{Exporter, import as import_lines};
use dejaq_shared::record::{Headers, HeadersBuf, Record, RecordFlags};
use dejaq_shared::segment::block::{BlockBuilder, BlockEncoder, EncodedBlock};
use dejaq_shared::segment::block_read::{Block, Wanted};
use dejaq_shared::segment::codec::{ByteStrings, ColumnDecoder, ColumnEntry, Compression};
use dejaq_shared::segment::facts::{Body, SegmentFacts};
use dejaq_shared::segment::frame::{FrameHead, PREFIX_BYTES, SegmentHeader, frame_type};
use dejaq_shared::segment::meta;
use dejaq_shared::segment::ordered::Ordered;
use dejaq_shared::segment::reader::{BlockReader, SegmentReader, SegmentState};
use dejaq_shared::segment::recording::Recording;
use dejaq_shared::segment::recording_writer::{NewRecording, RecordingWriter, RollPolicy};
use dejaq_shared::segment::recovery::recover;
use dejaq_shared::segment::time_index::TimeIndex;
use dejaq_shared::segment::timeline::measure;
use dejaq_shared::segment::verify::{verify_recording, verify_segment};
use dejaq_shared::segment::writer::SegmentWriter;
use dejaq_shared::segment::{MAGIC, MUST_UNDERSTAND};

/// A directory in memory where there is one: a target that needs files makes thousands a second.
fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary directory")
}

/// A segment: read, verified, its blocks read; recovered, sealed, and then whole but for what was damaged before.
pub fn segment(data: &[u8]) {
    let (path, store) = (Path::new("memory"), data.to_vec());
    let verified = verify_segment(&store, path);
    let Ok(read) = SegmentReader::read(&store, path) else { return };
    let sync = read.header.segment.sync;
    let (mut reader, mut block) = (BlockReader::new().expect("zstd"), Block::default());
    for frame in read.facts.frames.iter().filter(|f| f.block.is_some()) {
        for wanted in [Wanted::TIMES, Wanted::ALL] {
            if reader.read(&store, path, &sync, frame.offset, wanted, &mut block).is_ok() {
                touch(&block);
            }
        }
    }
    let Ok(recovered) = recover(&store, path) else { return };
    if recovered.sealed {
        return;
    }
    verified.expect("what can be recovered can be verified");
    let damages = recovered.damages.len();
    let going_on = SegmentWriter::go_on(store, path, &recovered.header, recovered.facts, recovered.keep_bytes).expect("memory");
    let Ok(sealed) = going_on.seal(true) else { return };
    let again = SegmentReader::read(&sealed, path).expect("what recovery sealed can be read");
    assert_eq!(again.state, SegmentState::Sealed);
    let report = verify_segment(&sealed, path).expect("and verified");
    assert!(report.sealed && report.recovered && report.damages.len() <= damages + 1, "{:?} after {damages}", report.damages);
}

/// Segments of one directory, after lengths of two bytes each: opened, exported, put into time order, verified, resumed.
pub fn recording(mut data: &[u8]) {
    let dir = scratch();
    for number in 0..3 {
        let Some((length, rest)) = data.split_first_chunk::<2>() else { break };
        let (bytes, rest) = rest.split_at(usize::from(u16::from_le_bytes(*length)).min(rest.len()));
        std::fs::write(dir.path().join(format!("{number}.dejaq")), bytes).expect("a file");
        data = rest;
    }
    let Ok(recording) = Recording::open(dir.path()) else { return };
    let _ = (recording.records(), recording.bytes_raw(), recording.clusters(), recording.damages(), recording.unsealed());
    let _ = Exporter::new(&recording).write(&mut std::io::sink(), |_| ());
    in_time_order(recording);
    let _ = verify_recording(dir.path(), |_| ());
    let source = Recording::open(dir.path()).expect("as before").segments[0].header.source.clone();
    let filters = Recording::open(dir.path()).expect("as before").segments[0].header.filters.clone();
    if let Ok((writer, _)) =
        RecordingWriter::resume(dir.path(), NewRecording { source, filters, isolation: None, roll: RollPolicy::default() })
    {
        writer.seal().expect("memory");
        Recording::open(dir.path()).expect("what was resumed can be read");
    }
}

fn in_time_order(recording: Recording) {
    let Ok(statistics) = measure(&recording) else { return };
    let clocks: Vec<_> = statistics.iter().map(|s| s.preferred_clock()).collect();
    let Ok(index) = TimeIndex::build(&recording, &clocks, &statistics) else { return };
    let scratch = std::env::temp_dir();
    let window = i64::MIN..=i64::MAX;
    let Ok(mut order) = Ordered::open(Arc::new(recording), Arc::new(index), window, &scratch, &mut |_| ()) else { return };
    let mut last = i64::MIN;
    while let Ok(1..) = order.next_batch(1000, &mut |time, _| {
        assert!(time >= last, "time went back");
        last = time;
    }) {}
}

/// The metadata of a header; then the whole as a frame's head.
pub fn header(data: &[u8]) {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&[1, 0, 0, 0]);
    bytes.extend_from_slice(&u32::try_from(data.len()).expect("small").to_le_bytes());
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(&[0; 4]);
    if let Ok((header, _)) = SegmentHeader::decode(&bytes) {
        let again = header.encode().expect("what was read can be written");
        assert_eq!(SegmentHeader::decode(&again).expect("and read again").0, header);
    }
    if let Some(prefix) = data.first_chunk::<PREFIX_BYTES>() {
        let _ = SegmentHeader::length(prefix);
    }
    let _ = SegmentHeader::decode(data);
    if let Some(head) = data.first_chunk() {
        let _ = FrameHead::decode(head, &head.first_chunk::<16>().copied().unwrap_or_default());
    }
}

/// A body of metadata, as each type of frame.
pub fn metadata(data: &[u8]) {
    let body = [data, &[0; 4]].concat();
    let mut facts = SegmentFacts::default();
    for frame_type in frame_type::STREAMS..=frame_type::ATTACHMENT + 1 {
        let head = FrameHead {
            frame_type,
            flags: 0,
            number: u64::from(frame_type),
            previous: 0,
            body_bytes: u32::try_from(body.len()).expect("small"),
            crc: 0,
        };
        if let Ok(read) = Body::read(&head, &body) {
            facts.absorb(0, &head, &read);
            facts.absorb(0, &head, &read);
        }
    }
    repeated(&facts);
    for entry in meta::entries(data).flatten() {
        let _ = entry.decode::<meta::FrameIndexV1>();
        let _ = entry.decode::<meta::StatisticsV1>();
        let _ = entry.skip_unknown();
    }
}

/// The metadata of a footer.
pub fn footer(data: &[u8]) {
    if let Ok(facts) = SegmentFacts::from_footer(data) {
        let _ = facts.is_index_of(0, u64::MAX);
        repeated(&facts);
    }
}

/// A footer that is made of facts says the same.
fn repeated(facts: &SegmentFacts) {
    if let Ok(list) = facts.to_footer() {
        assert_eq!(&SegmentFacts::from_footer(&list).expect("what was written can be read"), facts);
    }
}

/// A block's body; what it holds comes back when it is written again.
pub fn block(data: &[u8]) {
    let (mut decoder, mut block) = (ColumnDecoder::new().expect("zstd"), Block::default());
    let _ = block.decode(&mut decoder, data, Wanted::TIMES);
    if block.decode(&mut decoder, data, Wanted::ALL).is_err() {
        return;
    }
    touch(&block);
    let _ = block.head.check_frame(data, 0);
    let mut builder = BlockBuilder::new();
    for record in (0..block.len()).map(|i| block.record(i)) {
        if !builder.accepts(&record) {
            return;
        }
        builder.push(&record);
    }
    let mut encoded = EncodedBlock::default();
    BlockEncoder::new().expect("zstd").encode(&builder, Compression::None, &mut encoded).expect("memory");
    let (path, header) = (Path::new("memory"), any_header());
    let mut writer = SegmentWriter::begin(Vec::new(), path, &header).expect("memory");
    writer.block(&encoded).expect("what was read can be written");
    let (offset, mut again) = (writer.facts().frames[0].offset, Block::default());
    let mut reader = BlockReader::new().expect("zstd");
    reader.read(writer.store(), path, &header.segment.sync, offset, Wanted::ALL, &mut again).expect("and read again");
    assert_eq!(block.len(), again.len());
    for i in 0..block.len() {
        let (before, after) = (block.record(i), again.record(i));
        assert_eq!(shown(&before), shown(&after));
    }
}

fn shown(record: &Record<'_>) -> impl PartialEq + std::fmt::Debug {
    let flags: RecordFlags = record.flags;
    let of = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let times = (record.arrival_ns, record.broker_time, flags.0);
    let strings = (of(record.key), of(record.value), of(record.routing_key));
    (record.stream, record.position, times, strings, record.headers.as_bytes().to_vec(), record.properties.as_bytes().to_vec())
}

fn touch(block: &Block) {
    for i in 0..block.len() {
        let record = block.record(i);
        std::hint::black_box((record.bytes_raw(), record.headers.iter().count(), record.properties.basic()));
    }
}

fn any_header() -> SegmentHeader {
    let segment = meta::SegmentV1::first([1; 16], [2; 16], *b"sixteen sync b..", "");
    SegmentHeader::new(segment, meta::SourceV1 { broker: "kafka".into(), cluster: String::new(), ancestors: Vec::new() })
}

/// A column: the first bytes say how it is stored, how long it claims to be, how many records and whether there is an index.
pub fn column(data: &[u8]) {
    let Some((&[codec, kind, low, high, records], stored)) = data.split_first_chunk::<5>() else { return };
    let entry = ColumnEntry {
        id: 10,
        flags: MUST_UNDERSTAND,
        codec: u16::from(codec % 3),
        raw_bytes: u64::from(u16::from_le_bytes([low, high])) << (kind >> 4),
        stored_bytes: stored.len() as u64,
        crc: 0,
    };
    let mut raw = Vec::new();
    if ColumnDecoder::new().expect("zstd").decode(&entry, stored, &mut raw).is_err() {
        return;
    }
    assert_eq!(raw.len() as u64, entry.raw_bytes);
    // The raw bytes as lengths, bytes and index, cut where they say.
    let cut = |at: usize, of: &[u8]| of.len() * (at % 17) / 16;
    let (lengths, rest) = raw.split_at(cut(usize::from(kind), &raw));
    let (bytes, index) = rest.split_at(cut(usize::from(records), rest));
    let mut strings = ByteStrings::default();
    strings.bytes.extend_from_slice(bytes);
    let records = usize::from(records);
    if strings.read("fuzz", lengths, (kind & 1 == 1).then_some(index), records).is_ok() {
        let _ = (0..records + 1).filter_map(|i| strings.get(i)).map(<[u8]>::len).sum::<usize>();
        let _ = strings.stored().count();
    }
}

/// A header set; what it holds comes back when it is written again.
pub fn header_set(data: &[u8]) {
    let _ = Headers::from_checked(data).iter().count();
    let Ok(headers) = Headers::parse(data) else { return };
    let mut again = HeadersBuf::default();
    for (name, value) in headers.iter() {
        again.push(name, value);
    }
    assert!(headers.iter().eq(again.as_headers().iter()));
    assert_eq!(headers.bytes_raw(), again.as_headers().bytes_raw());
}

/// AMQP properties; what they hold comes back when it is written again, in the same bytes.
pub fn properties(data: &[u8]) {
    let _ = format!("{:?}", Properties::from_checked(data));
    let Ok(properties) = Properties::parse(data) else { return };
    let mut again = Vec::new();
    properties.basic().write(&mut again).expect("what was read is short enough");
    assert_eq!(again, data, "there is one form only");
    let _ = format!("{properties:?}");
    let Some(table) = properties.basic().headers else { return };
    let mut entries = TableBuf::default();
    for (name, value) in table.iter() {
        entries.name(name).value(value);
    }
    assert_eq!(entries.as_table(), Ok(table));
}

/// Lines of JSON; what was imported is exported so that it imports to the same again.
pub fn import(data: &[u8]) {
    let dir = scratch();
    let of = |lines: &[u8], name: &str| {
        let out = dir.path().join(name);
        let summary = import_lines(lines, "fuzz", &out, None, |_| ()).ok()?;
        let recording = Recording::open(&out).expect("what was imported can be read");
        let mut lines = Vec::new();
        let written = Exporter::new(&recording).write(&mut lines, |e| panic!("{e}")).expect("memory");
        assert_eq!((written, recording.records()), (summary.records, summary.records));
        assert!(verify_recording(&out, |_| ()).expect("readable").is_clean());
        Some(lines)
    };
    if let Some(lines) = of(data, "first") {
        assert_eq!(of(&lines, "second").as_deref(), Some(lines.as_slice()));
    }
}

/// An endpoint's URL: whatever is in it, its password is not shown.
pub fn endpoint(data: &[u8]) {
    let Ok(url) = std::str::from_utf8(data) else { return };
    let _ = redact(url);
    match Endpoint::parse(url) {
        Ok(endpoint) => {
            let _ = format!("{endpoint:?}");
            assert!(Endpoint::parse(&endpoint.to_string()).is_ok(), "what is shown can be typed");
        }
        Err(error) => drop(error.to_string()),
    }
}

/// A payload of a format, behind a byte that chooses the edits: what every format promises.
pub fn payload(kind: FormatKind, wanted: &FormatWanted, data: &[u8]) {
    if let Some((pick, payload)) = data.split_first() {
        laws::hold(kind, wanted, payload, *pick);
    }
}

/// JSON: all scalars, then by paths with time stamps.
pub fn json(data: &[u8]) {
    let stamp = |path: &str, unit| StampField { path: path.into(), unit };
    let stamps = vec![stamp("$.t", StampUnit::Seconds), stamp("$.a[*].t", StampUnit::Rfc3339)];
    payload(FormatKind::Json, &FormatWanted::default(), data);
    payload(FormatKind::Json, &FormatWanted { tags: Some(vec!["$.a[*].h".into(), "$.a[1].h".into(), "$['a b']".into()]), stamps }, data);
}

/// DogStatsD and StatsD.
pub fn dogstatsd(data: &[u8]) {
    payload(FormatKind::DogStatsd, &FormatWanted::default(), data);
}

/// Influx line protocol.
pub fn influx(data: &[u8]) {
    payload(FormatKind::Influx, &FormatWanted::default(), data);
}

/// Graphite.
pub fn graphite(data: &[u8]) {
    payload(FormatKind::Graphite, &FormatWanted::default(), data);
}

/// Prometheus text.
pub fn prometheus_text(data: &[u8]) {
    payload(FormatKind::PrometheusText, &FormatWanted::default(), data);
}

/// Headers and keys.
pub fn headers(data: &[u8]) {
    payload(FormatKind::Header, &FormatWanted::default(), data);
    payload(FormatKind::Key, &FormatWanted::default(), data);
}

/// AMQP header tables and routing keys.
pub fn rabbit_formats(data: &[u8]) {
    payload(FormatKind::AmqpHeader, &FormatWanted::default(), data);
    payload(FormatKind::RoutingKey, &FormatWanted::default(), data);
}

/// Prometheus remote write, compressed or plain.
pub fn remote_write(data: &[u8]) {
    payload(FormatKind::PrometheusRemoteWrite, &FormatWanted::default(), data);
}

/// OTLP metrics as protobuf.
pub fn otlp_protobuf(data: &[u8]) {
    payload(FormatKind::OtlpProtobuf, &FormatWanted::default(), data);
}

/// OTLP metrics as JSON.
pub fn otlp_json(data: &[u8]) {
    payload(FormatKind::OtlpJson, &FormatWanted::default(), data);
}
