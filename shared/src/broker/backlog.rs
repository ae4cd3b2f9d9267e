//! How much waits for the consumers of a broker: asked for, never joined.

use std::time::Duration;

use super::BrokerError;

/// How far one reader has come in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The position that the group will read next, as it has committed it.
    pub committed: i64,
    /// The position after the newest record; `None`: the cluster does not tell (no leader, no permission, deleted).
    pub end: Option<i64>,
}

/// Who reads as a group, at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// Whether each knows what it reads; not so while the group rebalances.
    pub settled: bool,
    /// The members' ids, as the coordinator gave them: one that leaves and comes back has another.
    pub members: Vec<String>,
}

/// What a queue holds. There are no positions in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueDepth {
    /// Messages that no consumer has been given, as of now.
    pub ready: u64,
    /// Messages that consumers were given and have not acknowledged, by the broker's statistics, which are some seconds old;
    /// `None`: it does not tell.
    pub unacknowledged: Option<u64>,
}

/// What waits for consumers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// For a group that reads logs: where it stands in each partition for which it has committed a position, and where these end.
    Log(Vec<Depth>),
    /// In a queue.
    Queue(QueueDepth),
}

/// A consumer group of Kafka, or a queue of RabbitMQ. Asking joins no group, commits nothing, and consumes nothing.
pub trait Backlog: Send {
    /// What waits now.
    ///
    /// # Errors
    /// When the cluster does not answer in `timeout`, or refuses.
    fn waiting(&mut self, timeout: Duration) -> Result<Waiting, BrokerError>;

    /// Who is in the group now; `None` where there are no such groups.
    ///
    /// # Errors
    /// When the cluster does not answer in `timeout`, or refuses.
    fn membership(&mut self, timeout: Duration) -> Result<Option<Membership>, BrokerError>;
}
