//! The formats by name, and what each is asked to look for.

use dejaq_shared::amqp::Properties;
use dejaq_shared::record::{Headers, Lane, Record};

/// A format, as rules name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FormatKind {
    /// JSON documents; tags are paths.
    Json,
    /// DogStatsD and StatsD datagrams, several lines each.
    DogStatsd,
    /// Influx line protocol.
    Influx,
    /// Graphite's plain text with tags.
    Graphite,
    /// Prometheus' text exposition.
    PrometheusText,
    /// Prometheus remote write 1.0: protobuf, snappy-compressed or plain.
    PrometheusRemoteWrite,
    /// OTLP metrics as protobuf.
    OtlpProtobuf,
    /// OTLP metrics as JSON.
    OtlpJson,
    /// The record's key: one tag, `key`.
    Key,
    /// The record's headers: a tag each. Of RabbitMQ's records it is [`FormatKind::AmqpHeader`] ([`FormatKind::of`]).
    Header,
    /// The entries of the AMQP header table, a tag each.
    AmqpHeader,
    /// The segments of the routing key (between dots): tags `1`, `2`, ….
    RoutingKey,
}

/// The part of a record that a format reads and writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The value.
    Value,
    /// The key.
    Key,
    /// The headers, in dejaq's encoding.
    Headers,
    /// The routing key.
    RoutingKey,
    /// The AMQP properties, in dejaq's encoding.
    Properties,
}

impl Part {
    /// How many there are: they count from 0.
    pub const COUNT: usize = 5;

    /// The bytes of this part of a record; `None` where it has none. Header sets and properties are always there, if only empty.
    #[must_use]
    pub fn of<'r>(self, record: &Record<'r>) -> Option<&'r [u8]> {
        match self {
            Self::Value => record.value,
            Self::Key => record.key,
            Self::Headers => Some(record.headers.as_bytes()),
            Self::RoutingKey => record.routing_key,
            Self::Properties => Some(record.properties.as_bytes()),
        }
    }

    /// Puts these bytes in the part's place.
    pub fn put<'r>(self, record: &mut Record<'r>, bytes: &'r [u8]) {
        match self {
            Self::Value => record.value = Some(bytes),
            Self::Key => record.key = Some(bytes),
            Self::Headers => record.headers = Headers::from_checked(bytes),
            Self::RoutingKey => record.routing_key = Some(bytes),
            Self::Properties => record.properties = Properties::from_checked(bytes),
        }
    }
}

impl FormatKind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Json,
        Self::DogStatsd,
        Self::Influx,
        Self::Graphite,
        Self::PrometheusText,
        Self::PrometheusRemoteWrite,
        Self::OtlpProtobuf,
        Self::OtlpJson,
        Self::Key,
        Self::Header,
        Self::AmqpHeader,
        Self::RoutingKey,
    ];

    /// The name in rule files and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::DogStatsd => "dogstatsd",
            Self::Influx => "influx",
            Self::Graphite => "graphite",
            Self::PrometheusText => "prometheus-text",
            Self::PrometheusRemoteWrite => "prometheus-remote-write",
            Self::OtlpProtobuf => "otlp-protobuf",
            Self::OtlpJson => "otlp-json",
            Self::Key => "key",
            Self::Header => "header",
            Self::AmqpHeader => "amqp-header",
            Self::RoutingKey => "routing-key",
        }
    }

    /// The inverse of [`FormatKind::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The format that is meant of a stream of this kind: `header` goes by the broker.
    #[must_use]
    pub fn of(self, lane: &Lane) -> Self {
        match (self, lane) {
            (Self::Header, Lane::RabbitExchange { .. } | Lane::RabbitQueue { .. }) => Self::AmqpHeader,
            _ => self,
        }
    }

    /// Which part of a record it is about.
    #[must_use]
    pub fn part(self) -> Part {
        match self {
            Self::Key => Part::Key,
            Self::Header => Part::Headers,
            Self::AmqpHeader => Part::Properties,
            Self::RoutingKey => Part::RoutingKey,
            _ => Part::Value,
        }
    }
}

/// The unit of a time stamp that its format leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StampUnit {
    /// Seconds since 1970, fractions of them kept.
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
    /// Microseconds since 1970.
    Microseconds,
    /// Nanoseconds since 1970.
    Nanoseconds,
    /// RFC 3339 text.
    Rfc3339,
}

/// A field of a JSON document that is a time stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StampField {
    /// Its path, such as `$.ts` or `$.events[*].at`.
    pub path: String,
    /// What it counts.
    pub unit: StampUnit,
}

/// What a format is asked to look for. Metric formats find all tags and all time stamps whatever is wanted, since a series is
/// its whole tag set; JSON, where that would be every scalar, finds what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// The tags (JSON: paths); `None`: all that there are (JSON: all scalars, by path).
    pub tags: Option<Vec<String>>,
    /// Fields that are time stamps; JSON only.
    pub stamps: Vec<StampField>,
}
