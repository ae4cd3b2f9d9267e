//! What a person may choose about messages that RabbitMQ takes or gave. What was typed → what it means.

/// What becomes of a message's time to live, which counts anew from when it is replayed (`--expiration`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExpirationMode {
    /// As recorded.
    #[default]
    Keep,
    /// Divided by `--speed`, so that it is as long as before against the distances between messages.
    Scale,
    /// None.
    Strip,
}

impl ExpirationMode {
    /// The name on the command line and in `run.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Scale => "scale",
            Self::Strip => "strip",
        }
    }
}

/// What becomes of messages that the source's broker dead-lettered (`--dead-lettered`): it published them once more itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeadLettered {
    /// They are left out: a target that dead-letters makes its own.
    Skip,
    /// They are sent.
    Send,
}

impl DeadLettered {
    /// The name on the command line and in `run.json`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Send => "send",
        }
    }
}

/// What a message of RabbitMQ has for a key at Kafka (`--key`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum KeySource {
    /// Its routing key.
    #[default]
    RoutingKey,
    /// The property `message_id`.
    MessageId,
    /// The header of this name, where that is a string or a byte array.
    Header(String),
    /// Nothing.
    None,
}

impl KeySource {
    /// Reads `routing-key`, `message-id`, `header:NAME` or `none`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "routing-key" => Some(Self::RoutingKey),
            "message-id" => Some(Self::MessageId),
            "none" => Some(Self::None),
            _ => text.strip_prefix("header:").filter(|name| !name.is_empty()).map(|name| Self::Header(name.to_owned())),
        }
    }
}

impl std::fmt::Display for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::RoutingKey => f.write_str("routing-key"),
            Self::MessageId => f.write_str("message-id"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::None => f.write_str("none"),
        }
    }
}

/// What a record of Kafka has for a routing key at RabbitMQ (`--routing-key`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RoutingKeySource {
    /// Its key as recorded, whichever copy it is: copies are routed alike. A null key is an empty routing key.
    #[default]
    Key,
    /// The name of its topic.
    Topic,
    /// The number of its partition.
    Partition,
    /// This text.
    Text(String),
}

impl RoutingKeySource {
    /// Reads `key`, `topic`, `partition` or the text itself; `None` when that has more bytes than AMQP takes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "key" => Some(Self::Key),
            "topic" => Some(Self::Topic),
            "partition" => Some(Self::Partition),
            _ => (text.len() <= super::SHORT_BYTES_MAX).then(|| Self::Text(text.to_owned())),
        }
    }
}

impl std::fmt::Display for RoutingKeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Topic => "topic",
            Self::Partition => "partition",
            Self::Text(text) => text,
        })
    }
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FitOptions {
    /// `--expiration`.
    pub expiration: ExpirationMode,
    /// `--dead-lettered`; `None`: left out where the target is RabbitMQ, which may dead-letter itself.
    pub dead_lettered: Option<DeadLettered>,
    /// `--strip-reply-to`.
    pub strip_reply_to: bool,
    /// `--key`.
    pub key: KeySource,
    /// `--routing-key`.
    pub routing_key: RoutingKeySource,
    /// `--map-key`: routing keys to rename.
    pub map_key: Vec<(String, String)>,
}
