//! What of a broker is to be recorded: topics of Kafka, exchanges or a stream queue of RabbitMQ. Exactly one of them, and one
//! that goes with the URL.

use dejaq_shared::broker::mirror::{ExchangeSelection, MirrorBy};
use dejaq_shared::broker::source::TopicSelection;
use dejaq_shared::record::DEFAULT_EXCHANGE;

use super::{CaptureConfig, ConfigError, parse};

/// What is to be recorded.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// Topics of Kafka.
    Topics(TopicSelection),
    /// What is published to exchanges of RabbitMQ.
    Exchanges(ExchangeSelection),
    /// A stream queue of RabbitMQ.
    StreamQueue(String),
}

impl Wanted {
    /// The broker it is of, as recordings name it.
    #[must_use]
    pub fn broker(&self) -> &'static str {
        match self {
            Self::Topics(_) => "kafka",
            Self::Exchanges(_) | Self::StreamQueue(_) => "rabbitmq",
        }
    }

    /// Whether the broker gives each message once, so that there is no place in a log to begin or to end at.
    #[must_use]
    pub fn is_mirrored(&self) -> bool {
        matches!(self, Self::Exchanges(_))
    }

    /// Reads what the settings ask for from `from`.
    pub(super) fn of(config: &CaptureConfig, from: &str) -> Result<Self, ConfigError> {
        let wanted = Self::one_of(config)?;
        let key = match wanted {
            Self::Topics(_) => "topics",
            Self::Exchanges(_) => "exchanges",
            Self::StreamQueue(_) => "stream_queue",
        };
        if !wanted.is_mirrored() {
            let given = [
                (config.vhosts.is_some(), "vhosts"),
                (config.catch_all == Some(true), "catch_all"),
                (config.firehose == Some(true), "firehose"),
            ];
            if let Some((_, other)) = given.into_iter().find(|(given, _)| *given) {
                return contradiction(other, format!("goes with exchanges, not with {key}"));
            }
        }
        // A scheme that is not known is the endpoint's to refuse.
        match (from.split_once("://").map(|(scheme, _)| scheme), wanted.broker()) {
            (Some("kafka" | "kafkas"), "rabbitmq") => contradiction(
                key,
                "goes with amqp:// or amqps://, and from is a Kafka cluster: what is recorded there is topics".to_owned(),
            ),
            (Some("amqp" | "amqps"), "kafka") => contradiction(
                key,
                "goes with kafka:// or kafkas://, and from is RabbitMQ: what is recorded there is exchanges, or a stream_queue".to_owned(),
            ),
            _ => Ok(wanted),
        }
    }

    fn one_of(config: &CaptureConfig) -> Result<Self, ConfigError> {
        let topics = config.topics.as_ref().filter(|t| !t.is_empty());
        let exchanges = config.exchanges.as_ref().filter(|e| !e.is_empty());
        match (topics, exchanges, &config.stream_queue) {
            (Some(topics), None, None) => parse::topics(topics).map(Self::Topics),
            (None, Some(names), None) => exchange_selection(config, names).map(Self::Exchanges),
            (None, None, Some(queue)) if queue.is_empty() => parse::refuse("stream_queue", "", "the name of a queue"),
            (None, None, Some(queue)) => Ok(Self::StreamQueue(queue.clone())),
            (None, None, None) => Err(ConfigError::Missing {
                key: "topics",
                hint: "give --topics a,b or --topics '^prefix' (Kafka), --exchanges a,b or --stream-queue NAME (RabbitMQ)",
            }),
            (Some(_), Some(_), _) => contradiction("topics", "and exchanges are both given, a recording has one of them".to_owned()),
            (Some(_), None, Some(_)) => contradiction("topics", "and stream_queue are both given, a recording has one of them".to_owned()),
            (None, Some(_), Some(_)) => {
                contradiction("exchanges", "and stream_queue are both given, a recording has one of them".to_owned())
            }
        }
    }
}

fn exchange_selection(config: &CaptureConfig, names: &[String]) -> Result<ExchangeSelection, ConfigError> {
    let by = match (config.catch_all == Some(true), config.firehose == Some(true)) {
        (true, true) => return contradiction("catch_all", "and firehose are both given: choose one way to see the messages".to_owned()),
        (true, false) => MirrorBy::CatchAll,
        (false, true) => MirrorBy::Firehose,
        (false, false) => MirrorBy::Bindings,
    };
    if names.iter().any(String::is_empty) {
        return parse::refuse("exchanges", names.join(","), "names, none of them empty; (default) is the default exchange");
    }
    if let Some(pattern) = names.iter().find(|name| name.starts_with('^')) {
        return parse::refuse("exchanges", pattern, "the name of an exchange: patterns are for topics only");
    }
    let names: Vec<String> = names.iter().map(|name| if name == DEFAULT_EXCHANGE { String::new() } else { name.clone() }).collect();
    if by != MirrorBy::Firehose && names.iter().any(String::is_empty) {
        return contradiction("exchanges", format!("has {DEFAULT_EXCHANGE}, to which nothing can be bound: add firehose to see it"));
    }
    let vhosts = config.vhosts.clone().unwrap_or_default();
    if vhosts.iter().any(String::is_empty) {
        return parse::refuse("vhosts", vhosts.join(","), "names of virtual hosts, none of them empty");
    }
    Ok(ExchangeSelection { names, vhosts, by })
}

fn contradiction<T>(key: &'static str, why: String) -> Result<T, ConfigError> {
    Err(ConfigError::Contradiction { key, why })
}
