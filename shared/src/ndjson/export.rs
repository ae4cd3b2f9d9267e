//! Writing records as lines, in storage order: what a capture took in, as it took it in.

use std::fs::File;
use std::io::Write;

use super::{Bytes, Flag, Kind, Line, ShownProperties};
use crate::record::{BrokerTime, EPOCH_UNKNOWN, Lane, Record};
use crate::segment::SegmentError;
use crate::segment::block_read::{Block, Wanted};
use crate::segment::reader::BlockReader;
use crate::segment::recording::{RecordedStream, Recording};

/// Writes a recording's records. Keeps its buffers.
pub struct Exporter<'r> {
    recording: &'r Recording,
    names: Vec<String>,
    topic_ids: Vec<Option<String>>,
}

impl<'r> Exporter<'r> {
    /// Prepares.
    #[must_use]
    pub fn new(recording: &'r Recording) -> Self {
        Self {
            recording,
            names: recording.streams.iter().map(|s| s.stream.name()).collect(),
            topic_ids: recording.streams.iter().map(|s| s.stream.topic_id().map(|id| id.to_string())).collect(),
        }
    }

    /// Writes every record; calls `damaged` for each block that could not be read, and goes on. Returns the number of
    /// records written.
    ///
    /// # Errors
    /// A recording that must be understood, or (as [`SegmentError::Io`] with the path `-`) an output that refuses.
    pub fn write(&self, out: &mut impl Write, mut damaged: impl FnMut(&SegmentError)) -> Result<u64, SegmentError> {
        let mut reader = BlockReader::new()?;
        let mut block = Block::default();
        let mut records = 0;
        let mut open: Option<(u32, File)> = None;
        for at in &self.recording.blocks {
            let segment = &self.recording.segments[at.segment as usize];
            let file = match open.take().filter(|(number, _)| *number == at.segment) {
                Some((_, file)) => file,
                None => File::open(&segment.path).map_err(SegmentError::io("opening", &segment.path))?,
            };
            match reader.read(&file, &segment.path, &segment.header.segment.sync, *at, Wanted::ALL, &mut block) {
                Ok(()) => {
                    for record in (0..block.len()).map(|i| block.record(i)) {
                        let Some(stream) = segment.streams.get(&record.stream) else { continue };
                        self.line(*stream as usize, &record, out).map_err(SegmentError::io("writing to", "-"))?;
                        records += 1;
                    }
                }
                Err(error @ SegmentError::Damaged { .. }) => damaged(&error),
                Err(other) => return Err(other),
            }
            open = Some((at.segment, file));
        }
        Ok(records)
    }

    fn line(&self, stream: usize, record: &Record<'_>, out: &mut impl Write) -> std::io::Result<()> {
        let RecordedStream { stream: who, .. } = &self.recording.streams[stream];
        let (kind, broker_ts) = match record.broker_time {
            BrokerTime::None => (Kind::None, None),
            BrokerTime::Create(raw) => (Kind::Create, Some(raw)),
            BrokerTime::Append(raw) => (Kind::Append, Some(raw)),
        };
        let (mut topic, mut partition, mut vhost_is, mut exchange_is, mut queue_is) = (None, None, None, None, None);
        match &who.lane {
            Lane::Kafka { topic: name, partition: number, .. } => (topic, partition) = (Some(name), Some(*number)),
            Lane::RabbitExchange { vhost, exchange } => (vhost_is, exchange_is) = (Some(vhost), Some(exchange)),
            Lane::RabbitQueue { vhost, queue } => (vhost_is, queue_is) = (Some(vhost), Some(queue)),
        }
        let line = Line {
            broker: self.recording.broker().into(),
            cluster: (!who.cluster.is_empty()).then(|| who.cluster.as_str().into()),
            topic: topic.map(Into::into),
            topic_id: self.topic_ids[stream].as_deref().map(Into::into),
            partition,
            vhost: vhost_is.map(Into::into),
            exchange: exchange_is.map(Into::into),
            queue: queue_is.map(Into::into),
            stream: Some(self.names[stream].as_str().into()),
            position: Some(record.position),
            leader_epoch: (record.leader_epoch != EPOCH_UNKNOWN).then_some(record.leader_epoch),
            arrival_ns: Some(record.arrival_ns),
            broker_ts,
            broker_ts_kind: Some(kind),
            flags: Flag::of(record.flags),
            routing_key: record.routing_key.map(Bytes::from),
            properties: (!record.properties.is_empty()).then_some(ShownProperties(record.properties)),
            key: record.key.map(Bytes::from),
            headers: record.headers.iter().map(|(name, value)| (name.into(), value.map(Bytes::from))).collect(),
            value: record.value.map(Bytes::from),
        };
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")
    }
}
