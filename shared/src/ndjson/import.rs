//! Reading lines into a new recording.
//!
//! The recording appears under its name only when every line was taken: until then it is beside it, as `NAME.importing`.

use std::collections::HashMap;
use std::io::{BufRead, Read as _};
use std::path::Path;

use super::{Flag, Kind, Line};
use crate::amqp::{Properties, TableBuf};
use crate::broker::mark::{Mark, marks};
use crate::clock::wall_now_ns;
use crate::record::{BrokerTime, EPOCH_UNKNOWN, HeadersBuf, Lane, RECORD_BYTES_MAX, Record, Stream, StreamIx, TopicId};
use crate::segment::SegmentError;
use crate::segment::append::{RecordAppender, make_beside};
use crate::segment::meta::{FiltersV1, SourceV1};
use crate::segment::recording_writer::{NewRecording, RollPolicy};

/// The longest line: a record of the largest size in base64, with room for its fields.
const LINE_BYTES_MAX: u64 = (RECORD_BYTES_MAX as u64) * 2;

/// Why lines cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A line that is no record.
    #[error("{input}, line {line}: {what}")]
    Line {
        /// The file.
        input: String,
        /// Its number, from 1.
        line: u64,
        /// What was found and what was expected.
        what: String,
    },
    /// The input cannot be read.
    #[error("reading {input}: {source}")]
    Input {
        /// The file.
        input: String,
        /// Its words.
        source: std::io::Error,
    },
    /// The recording cannot be written.
    #[error(transparent)]
    Segment(#[from] SegmentError),
}

/// What was imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportSummary {
    /// Records.
    pub records: u64,
    /// Streams.
    pub streams: u64,
    /// Key, value and header bytes.
    pub bytes_raw: u64,
    /// Whether some record's source cluster is unknown.
    pub source_unknown: bool,
}

/// Reads lines from `input` (called `name` in messages) into a new recording at `out`. `source_cluster` is the cluster of
/// records that name none. `progress` is called now and then with the records so far.
///
/// # Errors
/// [`ImportError`]; nothing is left behind then.
pub fn import(
    input: impl BufRead,
    name: &str,
    out: &Path,
    source_cluster: Option<&str>,
    mut progress: impl FnMut(u64),
) -> Result<ImportSummary, ImportError> {
    make_beside(out, "importing", |beside| import_into(input, name, beside, source_cluster, &mut progress))
}

fn import_into(
    mut input: impl BufRead,
    name: &str,
    dir: &Path,
    source_cluster: Option<&str>,
    progress: &mut dyn FnMut(u64),
) -> Result<ImportSummary, ImportError> {
    let mut buffer = Vec::new();
    let mut number = 0u64;
    let mut importer: Option<Importer> = None;
    loop {
        buffer.clear();
        number += 1;
        let read = input
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut buffer)
            .map_err(|source| ImportError::Input { input: name.to_owned(), source })?;
        if read == 0 {
            break;
        }
        let at = |what: String| ImportError::Line { input: name.to_owned(), line: number, what };
        if read as u64 == LINE_BYTES_MAX && buffer.last() != Some(&b'\n') {
            return Err(at(format!("the line is longer than {LINE_BYTES_MAX} bytes")));
        }
        if buffer.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let line: Line<'_> = serde_json::from_slice(&buffer).map_err(|e| at(describe(&e)))?;
        let importer = match &mut importer {
            Some(importer) => importer,
            empty => empty.insert(Importer::new(dir, &line, source_cluster)?),
        };
        importer.take(&line)?.map_err(at)?;
        if importer.summary.records.is_multiple_of(65_536) {
            progress(importer.summary.records);
        }
    }
    match importer {
        Some(importer) => Ok(importer.finish()?),
        None => Err(ImportError::Line { input: name.to_owned(), line: 1, what: "the input holds no record".into() }),
    }
}

/// serde's message without its own line number, which is always 1.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line 1 column ") {
        Some((what, column)) => format!("{what} (column {column})"),
        None => text,
    }
}

struct Importer {
    writer: RecordAppender,
    headers: HeadersBuf,
    table: TableBuf,
    properties: Vec<u8>,
    streams: HashMap<Stream, (StreamIx, i64)>,
    broker: String,
    source_cluster: Option<String>,
    summary: ImportSummary,
}

impl Importer {
    fn new(dir: &Path, first: &Line<'_>, source_cluster: Option<&str>) -> Result<Self, ImportError> {
        let cluster = first.cluster.as_deref().or(source_cluster).unwrap_or_default().to_owned();
        let source = SourceV1 { broker: first.broker.clone().into_owned(), cluster, ancestors: Vec::new() };
        let filters = FiltersV1 { topics: Vec::new(), replayed: "include".into(), sampled_one_in: 1 };
        Ok(Self {
            writer: RecordAppender::create(dir, NewRecording { source, filters, isolation: None, roll: RollPolicy::default() })?,
            headers: HeadersBuf::default(),
            table: TableBuf::default(),
            properties: Vec::new(),
            streams: HashMap::new(),
            broker: first.broker.clone().into_owned(),
            source_cluster: source_cluster.map(str::to_owned),
            summary: ImportSummary::default(),
        })
    }

    /// Takes one line. The inner error is the line's fault, the outer one the recording's.
    fn take(&mut self, line: &Line<'_>) -> Result<Result<(), String>, SegmentError> {
        let stream = match self.stream_of(line) {
            Ok(stream) => stream,
            Err(what) => return Ok(Err(what)),
        };
        self.summary.source_unknown |= stream.cluster.is_empty();
        let known = self.streams.get(&stream).copied();
        let position = line.position.unwrap_or(known.map_or(0, |(_, next)| next));
        if let Some((_, next)) = known.filter(|(_, next)| position < *next) {
            return Ok(Err(format!(
                "position {position} of stream {} comes after position {}: positions of a stream must rise",
                stream.name(),
                next - 1
            )));
        }
        let (kind, raw) = (line.broker_ts_kind, line.broker_ts);
        let broker_time = match (kind, raw) {
            (None | Some(Kind::None), None) => BrokerTime::None,
            (None | Some(Kind::Create), Some(raw)) => BrokerTime::Create(raw),
            (Some(Kind::Append), Some(raw)) => BrokerTime::Append(raw),
            (Some(kind), raw) => return Ok(Err(format!("broker_ts_kind {kind:?} does not go with broker_ts {raw:?}"))),
        };
        let arrival_ns = line.arrival_ns.or_else(|| raw.and_then(|ms| ms.checked_mul(1_000_000))).unwrap_or_else(wall_now_ns);
        self.headers.clear();
        for (name, value) in &line.headers {
            self.headers.push(&name.0, value.as_ref().map(|v| v.0.as_ref()));
        }
        self.properties.clear();
        if let Some(properties) = &line.properties
            && let Err(fault) = properties.encode(&mut self.table, &mut self.properties)
        {
            return Ok(Err(fault.to_string()));
        }
        self.inherit()?;
        let ix = match known {
            Some((ix, _)) => ix,
            None => self.writer.recording().add_streams(&[(stream.clone(), position)])?.first().copied().unwrap_or_default(),
        };
        let Some(next) = position.checked_add(1) else { return Ok(Err(format!("position {position} is the last there can be"))) };
        self.streams.insert(stream, (ix, next));
        let record = Record {
            stream: ix,
            position,
            leader_epoch: line.leader_epoch.unwrap_or(EPOCH_UNKNOWN),
            arrival_ns,
            broker_time,
            key: line.key.as_ref().map(|k| k.0.as_ref()),
            value: line.value.as_ref().map(|v| v.0.as_ref()),
            headers: self.headers.as_headers(),
            flags: Flag::set(&line.flags),
            routing_key: line.routing_key.as_ref().map(|k| k.0.as_ref()),
            properties: Properties::from_checked(&self.properties),
        };
        if record.bytes_raw() > RECORD_BYTES_MAX {
            return Ok(Err(format!("the record has {} bytes, the limit is {RECORD_BYTES_MAX}", record.bytes_raw())));
        }
        self.writer.push(&record)?;
        self.summary.records += 1;
        self.summary.bytes_raw += record.bytes_raw() as u64;
        Ok(Ok(()))
    }

    /// Remembers whose traffic it was that was replayed, as a capture does: replay must refuse these clusters.
    fn inherit(&mut self) -> Result<(), SegmentError> {
        let marks = marks(self.headers.as_headers(), Properties::from_checked(&self.properties));
        let mut clusters = marks.filter_map(|value| Mark::decode(value?)).flat_map(|mark| mark.clusters);
        clusters.try_for_each(|cluster| self.writer.recording().ancestor(&cluster))
    }

    fn stream_of(&self, line: &Line<'_>) -> Result<Stream, String> {
        if line.broker != self.broker {
            return Err(format!("broker {:?} after {:?}: a recording has one", line.broker, self.broker));
        }
        let lane = match line.broker.as_ref() {
            "kafka" => kafka_lane(line)?,
            "rabbitmq" => rabbit_lane(line)?,
            other => return Err(format!("broker {other:?} is not known, expected \"kafka\" or \"rabbitmq\"")),
        };
        let cluster = line.cluster.as_deref().or(self.source_cluster.as_deref()).unwrap_or_default().to_owned();
        Ok(Stream { cluster, lane })
    }

    fn finish(mut self) -> Result<ImportSummary, SegmentError> {
        self.summary.streams = self.streams.len() as u64;
        let books = self.writer.books()?;
        self.writer.seal(&books)?;
        Ok(self.summary)
    }
}

fn kafka_lane(line: &Line<'_>) -> Result<Lane, String> {
    if line.vhost.is_some() || line.exchange.is_some() || line.queue.is_some() || line.routing_key.is_some() || line.properties.is_some() {
        return Err("vhost, exchange, queue, routing_key and properties are RabbitMQ's, the broker is \"kafka\"".into());
    }
    let topic = line.topic.as_deref().ok_or("missing field `topic`")?;
    let partition = line.partition.ok_or("missing field `partition`")?;
    if topic.is_empty() || partition < 0 {
        return Err(format!("topic {topic:?} with partition {partition} is no stream"));
    }
    let topic_id = match line.topic_id.as_deref() {
        None => None,
        Some(text) => Some(
            TopicId::parse(text).ok_or_else(|| format!("topic_id {text:?} is no topic id, expected 22 characters of URL-safe base64"))?,
        ),
    };
    Ok(Lane::Kafka { topic: topic.to_owned(), topic_id, partition })
}

fn rabbit_lane(line: &Line<'_>) -> Result<Lane, String> {
    if line.topic.is_some() || line.topic_id.is_some() || line.partition.is_some() {
        return Err("topic, topic_id and partition are Kafka's, the broker is \"rabbitmq\"".into());
    }
    let vhost = line.vhost.as_deref().ok_or("missing field `vhost`")?.to_owned();
    match (line.exchange.as_deref(), line.queue.as_deref()) {
        (Some(_), None) if line.routing_key.is_none() => Err("missing field `routing_key` of a record of an exchange".into()),
        (Some(exchange), None) => Ok(Lane::RabbitExchange { vhost, exchange: exchange.to_owned() }),
        (None, Some("")) => Err("queue \"\" is no stream".into()),
        (None, Some(queue)) => Ok(Lane::RabbitQueue { vhost, queue: queue.to_owned() }),
        (exchange, queue) => Err(format!("exchange {exchange:?} with queue {queue:?}: expected one of the two")),
    }
}
