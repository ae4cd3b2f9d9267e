//! The fit pass: a record as its broker gave it → a message as the target takes it. Pure; it is the last thing that is done to
//! a record before it is sent.
//!
//! Kafka → Kafka is left as it is. RabbitMQ → RabbitMQ loses what a broker would refuse or must write itself (`strip`). Across
//! brokers a declared mapping holds (`to_kafka`, `to_rabbit`). Whatever a message loses is counted.
//!
//! Guarantees: a message for Kafka has no routing key and no properties, one for RabbitMQ no key and no headers of Kafka's. Nothing
//! is allocated per message: what is written anew lies in memory that is used again, until the next one.

use std::sync::Arc;

use dejaq_shared::amqp::{Properties, TableBuf};
use dejaq_shared::broker::sink::TargetKind;
use dejaq_shared::record::{Headers, HeadersBuf, Lane, Record, Stream, StreamIx};
use dejaq_shared::units::Ratio;

mod address;
mod choices;
mod counts;
mod owned;
mod strip;
mod to_kafka;
mod to_rabbit;

pub use address::RoutingKeys;
pub use choices::{DeadLettered, ExpirationMode, FitOptions, KeySource, RoutingKeySource};
pub use counts::{FitCounts, FitReport, Lost};
use counts::{Loss, Losses};
use strip::Stripping;
pub(crate) use to_kafka::{Carried, carried};

/// The most bytes of AMQP's short strings, routing keys and names of headers among them.
pub const SHORT_BYTES_MAX: usize = 255;

/// See [`Fit::growth_bytes`]. A record that grows more can exceed `--max-bytes` by itself, no other with it.
const ACROSS_BYTES: usize = 512;

/// From which broker to which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Way {
    /// Kafka → Kafka.
    #[default]
    AsItIs,
    RabbitToRabbit,
    RabbitToKafka,
    KafkaToRabbit,
}

/// What is done to a stream's records.
#[derive(Debug, Clone, Default)]
struct StreamFit {
    way: Way,
    /// The routing key of all of them, where they share one.
    routing_key: Option<Box<[u8]>>,
}

/// How records are made into messages, decided before a run. The default leaves them as they are, for Kafka.
#[derive(Debug, Clone)]
pub struct Fit {
    kind: TargetKind,
    streams: Vec<StreamFit>,
    key: KeySource,
    key_routes: bool,
    map_key: Vec<(Vec<u8>, Vec<u8>)>,
    skip_dead_lettered: bool,
    stripping: Stripping,
}

impl Default for Fit {
    fn default() -> Self {
        Self {
            kind: TargetKind::Kafka,
            streams: Vec::new(),
            key: KeySource::default(),
            key_routes: true,
            map_key: Vec::new(),
            skip_dead_lettered: false,
            stripping: Stripping { expiration: ExpirationMode::Keep, speed: Ratio::ONE, reply_to: false },
        }
    }
}

impl Fit {
    /// For a recording's streams and a target. `to_default[ix]` says whether a stream's records go to RabbitMQ's default exchange,
    /// which routes to the queue that the routing key names; `speed` is what the recorded time line is divided by.
    #[must_use]
    pub fn new(streams: &[Stream], to_default: &[bool], kind: TargetKind, options: &FitOptions, speed: Ratio) -> Self {
        let fits = streams.iter().zip(to_default).map(|(stream, to_default)| stream_fit(stream, *to_default, kind, options));
        let rabbit = kind == TargetKind::RabbitMq;
        let dead_lettered = options.dead_lettered.unwrap_or(if rabbit { DeadLettered::Skip } else { DeadLettered::Send });
        Self {
            kind,
            streams: fits.collect(),
            key: options.key.clone(),
            key_routes: options.routing_key == RoutingKeySource::Key,
            map_key: options.map_key.iter().map(|(old, new)| (old.as_bytes().to_vec(), new.as_bytes().to_vec())).collect(),
            skip_dead_lettered: dead_lettered == DeadLettered::Skip,
            stripping: Stripping { expiration: options.expiration, speed, reply_to: options.strip_reply_to },
        }
    }

    /// By how many bytes a record grows on its way to another broker, where it has a dozen headers: names of properties, lengths of
    /// headers.
    #[must_use]
    pub fn growth_bytes(&self) -> usize {
        let across = |stream: &StreamFit| matches!(stream.way, Way::RabbitToKafka | Way::KafkaToRabbit);
        if self.streams.iter().any(across) { ACROSS_BYTES } else { 0 }
    }

    /// Which broker the messages are for.
    #[must_use]
    pub fn kind(&self) -> TargetKind {
        self.kind
    }

    /// Whether a record is left out because the source's broker dead-lettered it.
    #[must_use]
    #[inline]
    pub fn leaves_out(&self, record: &Record<'_>) -> bool {
        self.skip_dead_lettered
            && !record.properties.is_empty()
            && record.properties.basic().headers.is_some_and(|headers| headers.iter().any(|(name, _)| name == b"x-death"))
    }

    #[inline]
    fn way(&self, stream: StreamIx) -> Way {
        self.streams.get(stream as usize).map_or(Way::AsItIs, |stream| stream.way)
    }
}

fn stream_fit(stream: &Stream, to_default: bool, kind: TargetKind, options: &FitOptions) -> StreamFit {
    let way = match (&stream.lane, kind) {
        (Lane::Kafka { .. }, TargetKind::Kafka) => Way::AsItIs,
        (Lane::Kafka { .. }, TargetKind::RabbitMq) => Way::KafkaToRabbit,
        (_, TargetKind::Kafka) => Way::RabbitToKafka,
        (_, TargetKind::RabbitMq) => Way::RabbitToRabbit,
    };
    let routing_key = match (way, &stream.lane, &options.routing_key) {
        (Way::RabbitToRabbit, Lane::RabbitQueue { queue, .. }, _) if to_default => Some(queue.clone()),
        (Way::KafkaToRabbit, Lane::Kafka { topic, .. }, RoutingKeySource::Topic) => Some(topic.clone()),
        (Way::KafkaToRabbit, Lane::Kafka { partition, .. }, RoutingKeySource::Partition) => Some(partition.to_string()),
        (Way::KafkaToRabbit, _, RoutingKeySource::Text(text)) => Some(text.clone()),
        _ => None,
    };
    StreamFit { way, routing_key: routing_key.map(|key| key.into_bytes().into_boxed_slice()) }
}

/// Memory for what is written anew.
#[derive(Debug, Default)]
struct Buffers {
    headers: HeadersBuf,
    table: TableBuf,
    text: Vec<u8>,
    bytes: Vec<u8>,
    names: to_rabbit::Names,
}

/// Makes messages of records, one after the other.
#[derive(Debug)]
pub struct Fitter {
    fit: Arc<Fit>,
    buffers: Buffers,
    counts: FitCounts,
}

impl Fitter {
    /// For a run.
    #[must_use]
    pub fn new(fit: Arc<Fit>) -> Self {
        Self { fit, buffers: Buffers::default(), counts: FitCounts::default() }
    }

    /// The message, in the target's terms. What is written anew lies in this fitter's own memory, until the next call.
    #[inline]
    pub fn fit<'r>(&'r mut self, record: &Record<'r>) -> Record<'r> {
        match self.fit.way(record.stream) {
            Way::AsItIs => *record,
            way => self.changed(way, record),
        }
    }

    fn changed<'r>(&'r mut self, way: Way, record: &Record<'r>) -> Record<'r> {
        let Self { fit, buffers, counts } = self;
        let mut losses = Losses::default();
        let message = match way {
            Way::AsItIs => *record,
            Way::RabbitToRabbit => {
                let properties = strip::strip(record.properties, &fit.stripping, buffers, &mut losses);
                Record { properties, key: None, headers: Headers::EMPTY, ..*record }
            }
            Way::RabbitToKafka => {
                let routing_key = record.routing_key.filter(|_| fit.key != KeySource::RoutingKey);
                let headers = to_kafka::headers(routing_key, record.properties, buffers, &mut losses);
                Record { headers, routing_key: None, properties: Properties::EMPTY, ..*record }
            }
            Way::KafkaToRabbit => {
                to_rabbit::losses(record, fit.key_routes, &mut losses);
                let properties = to_rabbit::properties(record.headers, buffers, &mut losses);
                Record { properties, key: None, headers: Headers::EMPTY, value: Some(record.value.unwrap_or_default()), ..*record }
            }
        };
        if message.routing_key.is_some_and(|key| key.len() > SHORT_BYTES_MAX || std::str::from_utf8(key).is_err()) {
            losses.add(Loss::LongRoutingKey);
        }
        counts.add(losses);
        message
    }

    /// What messages lost so far.
    #[must_use]
    pub fn counts(&self) -> &FitCounts {
        &self.counts
    }
}

#[cfg(test)]
mod tests;
